/* SPDX-License-Identifier: MIT */
/* What create parameters may say about the network. */
#include "spec/create.h"
#include "spec/network.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct cow_network_option *ret, struct cow_error *err)
{
	struct json_object *o = json_tokener_parse(text);
	struct cow_json at = { .value = o };
	int r;

	if (!o)
		fail_msg("no JSON: %s", text);
	*ret = (struct cow_network_option){ 0 };
	r = cow_network_parse(&at, ret, err);
	json_object_put(o);
	return r;
}

static void modes(void **state)
{
	static const struct {
		const char *text;
		enum cow_network mode;
		const char *of;
		bool plugin;
	} cases[] = {
		{ "{}", COW_NETWORK_AS_SPEC, NULL, false },
		{ "{\"network\":\"none\"}", COW_NETWORK_NONE, NULL, false },
		{ "{\"network\":\"host\",\"dns\":[\"10.0.0.1\"]}", COW_NETWORK_HOST, NULL, true },
		{ "{\"network\":\"container:web\"}", COW_NETWORK_CONTAINER, "web", false },
		{ "{\"network\":\"ns:/run/x\"}", COW_NETWORK_PATH, "/run/x", false },
		{ "{\"network\":\"front:ip=10.0.0.5,alias=a\"}", COW_NETWORK_PLUGIN, NULL, true },
		{ "{\"networks\":[\"front\",\"back:mac=02-00-00-00-00-01\"]}",
		  COW_NETWORK_PLUGIN, NULL, true },
		{ "{\"ports\":[\"80\"]}", COW_NETWORK_AS_SPEC, NULL, true },
		{ "{\"publish_all\":true}", COW_NETWORK_AS_SPEC, NULL, true },
		{ "{\"publish_all\":false}", COW_NETWORK_AS_SPEC, NULL, false },
		{ "{\"network\":\"a\",\"ip\":\"10.0.0.1\",\"ip6\":\"fd00::1\",\"network_alias\":[\"b\"],"
		  "\"mac_address\":\"02:00:00:00:00:0a\",\"dns_search\":[\".\"],\"dns_option\":[\"ndots:1\"],"
		  "\"add_host\":[\"gw:host-gateway\",\"six:fd00::1\"]}",
		  COW_NETWORK_PLUGIN, NULL, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cow_network_option o;
		struct cow_error err = { 0 };

		if (parse(cases[i].text, &o, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.message);
		if (o.mode != cases[i].mode || o.plugin != cases[i].plugin ||
		    strcmp(o.of ? o.of : "", cases[i].of ? cases[i].of : "") != 0)
			fail_msg("%s: %d %d %s", cases[i].text, o.mode, o.plugin, o.of);
		cow_network_finish(&o);
	}
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "{\"network\":1}", "/network: not a string" },
		{ "{\"network\":\"ns:rel\"}",
		  "/network: \"ns:rel\" is not none, host, container:NAME, ns:/PATH or a network's "
		  "NAME[:KEY=VALUE,…]" },
		{ "{\"network\":\"a:b\"}", "/network: \"a:b\" is not none" },
		{ "{\"network\":\"container:\"}", "/network: \"container:\" is not none" },
		{ "{\"network\":\"host\",\"ports\":[\"80\"]}",
		  "/ports: goes with a network of its own only" },
		{ "{\"network\":\"container:a\",\"dns\":[]}", "/dns: goes with a network of its own only" },
		{ "{\"network\":\"none\",\"publish_all\":true}",
		  "/publish_all: goes with a network of its own only" },
		{ "{\"network\":\"a\",\"networks\":[\"b\"]}", "/networks: there is \"network\" already" },
		{ "{\"networks\":\"b\"}", "/networks: not an array" },
		{ "{\"networks\":[\"host:\"]}", "/networks/0: \"host:\" is not a network's NAME" },
		{ "{\"networks\":[1]}", "/networks/0: not a string" },
		{ "{\"ip\":\"fd00::1\"}", "/ip: \"fd00::1\" is not an IPv4 address" },
		{ "{\"ip6\":\"10.0.0.1\"}", "/ip6: \"10.0.0.1\" is not an IPv6 address" },
		{ "{\"mac_address\":\"02:00\"}", "/mac_address: \"02:00\" is not six bytes" },
		{ "{\"mac_address\":\"02:00-00:00:00:01\"}", "/mac_address: " },
		{ "{\"dns\":[\"web\"]}", "/dns/0: \"web\" is not an address" },
		{ "{\"add_host\":[\"web\"]}", "/add_host/0: \"web\" is not NAME:ADDRESS" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cow_network_option o;
		struct cow_error err = { 0 };

		assert_int_equal(parse(cases[i].text, &o, &err), -EINVAL);
		if (!strstr(err.message, cases[i].message))
			fail_msg("%s: %s", cases[i].text, err.message);
		cow_network_finish(&o);
	}
}

/* Which ports can be published; whether they are free is a plugin's to say. */
static void ports(void **state)
{
	static const char *const cases[2][16] = {
		{ "80", "8080:80", "80/udp", "8080:80/SCTP", "80-82", "8080-8082:80-82", "8000-8010:80",
		  "127.0.0.1:8080:80", "127.0.0.1::80", "[::1]:8080:80", "0.0.0.0:1:2/tcp", "0:80" },
		{ "", "a", "80/icmp", "70000", "82-80", "1:2:3:4", ":80", "8080-8081:80-82", "::1:8080:80",
		  "1.2.3:8080:80", "80/", "8080:", "-1", "[::1:80:80", "80-" },
	};

	(void)state;
	for (int bad = 0; bad < 2; bad++)
		for (size_t n = 0; n < 16 && cases[bad][n]; n++) {
			struct cow_network_option o;
			struct cow_error err = { 0 };
			char text[128];
			int r;

			(void)snprintf(text, sizeof(text), "{\"ports\":[\"%s\"]}", cases[bad][n]);
			r = parse(text, &o, &err);
			if ((r < 0) != bad)
				fail_msg("%s: %d %s", text, r, err.message);
			cow_network_finish(&o);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(modes), cmocka_unit_test(refuses),
					    cmocka_unit_test(ports) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
