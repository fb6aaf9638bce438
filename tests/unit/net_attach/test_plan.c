/* SPDX-License-Identifier: MIT */
/* What a container asks of the network: options and specs against the plan in one line, or the error. */
#include "attach/plan.h"
#include "common/text.h"
#include "tests/alloc_fail_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN "{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"}]}"
#define AT(path) "{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"" path "\"}]}"
#define WINDOWS(members) ",\"windows\":{\"network\":{" members "}}}"

static const char *const modes[] = { "nothing", "files", "networks" };

static void list(struct plug_text *t, const char *name, const struct net_strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		plug_text_add(t, "%s%s", i ? "," : name, v->items[i]);
}

static void want(struct plug_text *t, const struct net_want *w)
{
	char text[NET_ADDR_TEXT];

	plug_text_add(t, " %s%s", w->existing ? "@" : "", w->network);
	if (net_addr_is_set(&w->ip)) {
		net_addr_format(&w->ip, text);
		plug_text_add(t, ":ip=%s", text);
	}
	if (net_addr_is_set(&w->ip6)) {
		net_addr_format(&w->ip6, text);
		plug_text_add(t, ":ip6=%s", text);
	}
	net_mac_format(&w->mac, ':', text);
	if (w->mac.set)
		plug_text_add(t, ":mac=%s", text);
	list(t, ":alias=", &w->aliases);
}

/* The plan in one line. */
static void print(const struct net_plan *p, struct plug_text *t)
{
	plug_text_add(t, "%s", modes[p->mode]);
	for (size_t i = 0; i < p->want_count; i++)
		want(t, &p->wants[i]);
	if (p->namespace_ref)
		plug_text_add(t, " in %s", p->namespace_ref);
	if (p->joined)
		plug_text_add(t, " with %s", p->joined);
	if (p->hosting_system)
		plug_text_add(t, " vm %s%s%s", p->hosting_system, p->sandbox ? " sandbox" : "",
			      p->workload ? " workload" : "");
	list(t, " ports ", &p->ports);
	list(t, " dns ", &p->dns);
	list(t, " search ", &p->search);
	list(t, " options ", &p->options);
	list(t, " hosts ", &p->hosts);
	if (p->host)
		plug_text_add(t, " host");
	if (p->unqualified != NET_UNQUALIFIED_UNSET)
		plug_text_add(t, p->unqualified == NET_UNQUALIFIED_DENY ? " deny" : " allow");
}

static const struct {
	const char *options, *spec, *want; /* want: the plan; or "! " and the error */
	const char *network;		   /* the configured default, or NULL */
} table[] = {
	{ "{}", OWN "}", "nothing", NULL },
	{ "{}", OWN "}", "networks nat", "nat" },
	{ "{}", AT("/x") "}", "nothing", "nat" },
	{ "{}", "{\"linux\":{}}", "nothing host", "nat" },
	/* options by name */
	{ "{\"network\":\"none\"}", OWN "}", "nothing", "nat" },
	{ "{\"network\":\"host\"}", "{}", "nothing host", "nat" },
	{ "{\"network\":\"host\",\"dns\":[\"192.0.2.1\"]}", "{}", "files dns 192.0.2.1 host", "nat" },
	{ "{\"network\":\"ns:/x\"}", AT("/x") "}", "nothing", "nat" },
	{ "{\"network\":\"web\"}", OWN "}", "networks web", "nat" },
	{ "{\"network\":\"web:ip=10.0.0.9,ip6=fd00::9,mac=02-00-00-00-00-01,alias=a,alias=b\"}", OWN "}",
	  "networks web:ip=10.0.0.9:ip6=fd00::9:mac=02:00:00:00:00:01:alias=a,b", NULL },
	{ "{\"networks\":[\"web\",\"db:ip=10.1.0.9\"],\"ip\":\"10.0.0.9\",\"ip6\":\"fd00::9\","
	  "\"mac_address\":"
	  "\"02:00:00:00:00:02\",\"network_alias\":[\"w\"]}",
	  OWN "}", "networks web:ip=10.0.0.9:ip6=fd00::9:mac=02:00:00:00:00:02:alias=w db:ip=10.1.0.9",
	  NULL },
	{ "{\"networks\":[]}", OWN "}", "networks nat", "nat" },
	{ "{\"network\":\"web:\"}", OWN "}", "! network: \"\" is not KEY=VALUE", NULL },
	{ "{\"network\":\"web:ip\"}", OWN "}", "! network: \"ip\" is not KEY=VALUE", NULL },
	{ "{\"network\":\"web:ip=x\"}", OWN "}", "! network: ip=x: not an address", NULL },
	{ "{\"network\":\"web:mac=01:00:00:00:00:01\"}", OWN "}",
	  "! network: mac=01:00:00:00:00:01: not a MAC address", NULL },
	{ "{\"network\":\"web:alias=-\"}", OWN "}", "! network: alias=-: not a name", NULL },
	{ "{\"network\":\"web:x=y\"}", OWN "}", "! network: x: not one of ip, ip6, mac, alias", NULL },
	{ "{\"networks\":[\"web\",\"web:alias=b\"]}", OWN "}", "! network web: is asked for twice", NULL },
	{ "{\"networks\":\"web\"}", OWN "}", "! networks: not a list", NULL },
	{ "{\"network\":7}", OWN "}", "! network: not a string", NULL },
	/* ports */
	{ "{\"ports\":[\"80:80\"]}", OWN "}", "networks nat ports 80:80", NULL },
	{ "{\"ports\":[\"80:80\"]}", OWN "}", "networks web ports 80:80", "web" },
	{ "{\"ports\":[\"80:80\"]}", AT("/x") "}", "! ports: the container has no network of its own", NULL },
	{ "{\"network\":\"host\",\"ports\":[\"80\"]}", "{}", "! ports:"
	  " the container has no network of its own", NULL },
	{ "{\"publish_all\":true,\"resolved\":{\"config\":{\"config\":{\"ExposedPorts\":{"
	  "\"80/tcp\":{},\"53/udp\":{}}}"
	  "}}}",
	  OWN "}", "networks nat ports 80/tcp,53/udp", NULL },
	{ "{\"publish_all\":true}", OWN "}", "nothing", NULL },
	{ "{\"ip\":\"10.0.0.9\"}", OWN "}", "! ip: the container has no network of its own", NULL },
	{ "{\"network_alias\":[\"x\"]}", OWN "}", "! network_alias:"
	  " the container has no network of its own", NULL },
	{ "{\"ip\":\"10.0.0.9\"}", OWN "}", "networks nat:ip=10.0.0.9", "nat" },
	/* names */
	{ "{\"dns\":[\"192.0.2.1\"],\"dns_search\":[\"a\"],\"dns_option\":[\"x\"],\"add_host\":["
	  "\"h:1.2.3.4\"]}", OWN "}",
	  "files dns 192.0.2.1 search a options x hosts h:1.2.3.4", NULL },
	{ "{\"dns\":[7]}", OWN "}", "! dns[0]: not a string", NULL },
	/* windows.network */
	{ "{}", OWN WINDOWS("\"endpointList\":[\"a\",\"b\"]"), "networks @a @b", "nat" },
	{ "{}", AT("/x") WINDOWS("\"endpointList\":[\"a\"]"), "networks @a in /x", NULL },
	{ "{}", AT("/x") WINDOWS("\"endpointList\":[\"a\"],\"networkNamespace\":\"n\""),
	  "networks @a in n", NULL },
	{ "{}", OWN WINDOWS("\"networkNamespace\":\"/run/n\""), "networks in /run/n", "nat" },
	{ "{}", OWN WINDOWS("\"networkNamespace\":\"\""), "networks nat", "nat" },
	{ "{}", OWN WINDOWS("\"endpointList\":[]"), "nothing", NULL },
	{ "{}", OWN WINDOWS("\"endpointList\":null,\"networkNamespace\":null"), "nothing", NULL },
	{ "{}", OWN WINDOWS("\"EndpointList\":[\"a\"]"), "networks @a", NULL },
	{ "{\"network\":\"web\"}", OWN WINDOWS("\"endpointList\":[\"a\"],\"networkNamespace\":\"n\""),
	  "networks web",
	  NULL },
	{ "{\"network\":\"none\"}", OWN WINDOWS("\"endpointList\":[\"a\"]"), "nothing", NULL },
	{ "{\"joined\":{\"id\":\"c\",\"run_dir\":\"/run/c\"}}",
	  AT("/proc/1/ns/net") WINDOWS("\"networkSharedContainerName\":\"c\",\"networkNamespace\":\"n\","
				       "\"endpointList\":[\"a\"],\"DNSSearchList\":[\"x\"]"),
	  "files with /run/c", "nat" },
	{ "{\"network\":\"container:c\",\"joined\":{\"run_dir\":\"/run/c\"}}", AT("/proc/1/ns/net") "}",
	  "files with /run/c", "nat" },
	{ "{\"joined\":{\"run_dir\":\"/run/c\"},\"dns\":[\"192.0.2.1\"]}", AT("/x") "}",
	  "! dns, dns_search, dns_option, add_host:"
	  " are those of the container whose network is joined", NULL },
	{ "{}", OWN WINDOWS("\"DNSSearchList\":[\"a\",\"b\"],\"allowUnqualifiedDNSQuery\":true"),
	  "files search a,b allow", NULL },
	{ "{}", OWN WINDOWS("\"DNSSearchList\":[\"a\"],\"allowUnqualifiedDNSQuery\":false"),
	  "networks nat search a deny", "nat" },
	{ "{\"dns_search\":[\"o\"]}", OWN WINDOWS("\"DNSSearchList\":[\"a\"],\"endpointList\":[\"e\"]"),
	  "networks @e search o", NULL },
	{ "{}", OWN WINDOWS("\"endpointList\":[\"a\",\"A\"]"), "! endpointList: A is there twice", NULL },
	{ "{}", OWN WINDOWS("\"endpointList\":{}"), "! endpointList: not a list", NULL },
	{ "{}", OWN WINDOWS("\"networkNamespace\":7"), "! networkNamespace: not a string", NULL },
	{ "{\"ports\":[\"1:1\"]}", OWN WINDOWS("\"endpointList\":[\"a\"]"), "! ports:"
	  " the endpoints are there already",
	  NULL },
	{ "{\"ip\":\"10.0.0.9\"}", OWN WINDOWS("\"networkNamespace\":\"n\""), "! ip:"
	  " the endpoints are there already",
	  NULL },
	/* hosting systems */
	{ "{\"network\":\"web\",\"hosting_system\":\"vm\"}", OWN "}", "networks web vm vm", NULL },
	{ "{\"network\":\"web\"}", OWN ",\"annotations\":{\"cowherd.hosting-system\":\"noted\"}}",
	  "networks web vm noted", NULL },
	{ "{\"network\":\"web\",\"hosting_system\":\"vm\"}",
	  OWN ",\"annotations\":{\"cowherd.hosting-system\":\"noted\","
	  "\"io.kubernetes.cri.container-type\":\"sandbox\"}}",
	  "networks web vm vm sandbox", NULL },
	{ "{\"hosting_system\":\"vm\"}",
	  OWN ",\"annotations\":{\"io.kubernetes.cri.container-type\":"
	  "\"container\"}" WINDOWS("\"networkNamespace\":\"n\""),
	  "networks in n vm vm workload", NULL },
	/* what is no JSON, or not the one expected */
	{ "[]", OWN "}", "nothing", NULL },
	{ "{", OWN "}", "!", NULL },
	{ "{}", "{", "!", NULL },
	{ "{\"network\":\"web\"}", "[]", "networks web", NULL },
	{ "{}", "{\"linux\":7,\"windows\":\"x\",\"annotations\":[]}", "nothing host", "nat" },
	{ "{}", "{\"linux\":{\"namespaces\":{\"type\":\"network\"}},\"windows\":{\"network\":7}}",
	  "nothing host", "nat" },
};

static int read_row(size_t i, struct net_plan *plan, struct plug_error *err)
{
	const struct cowherd_request request = { .size = sizeof(request), .container = "c1", .name = "name",
						 .options = table[i].options, .spec = table[i].spec };
	const struct net_plan_defaults defaults = { .network = table[i].network, .fallback = "nat" };

	return net_plan_read(&request, &defaults, plan, err);
}

static void plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		_cleanup_text_ struct plug_text text = { 0 };
		struct net_plan plan = { 0 };
		struct plug_error err = { 0 };
		int r = read_row(i, &plan, &err);

		if (r < 0)
			plug_text_add(&text, "! %s", err.text);
		else
			print(&plan, &text);
		if (strcmp(table[i].want, "!") == 0)
			assert_true(r < 0 && err.text[0]);
		else if (strcmp(text.data, table[i].want) != 0)
			fail_msg("%s %s:\n  %s\nnot\n  %s", table[i].options, table[i].spec, text.data,
				 table[i].want);
		net_plan_finish(&plan);
	}
}

/* At most NET_WANTS_MAX networks; the cheap look sees whatever makes a plan. */
static void limits(void **state)
{
	const struct net_plan_defaults defaults = { .fallback = "nat" };
	_cleanup_text_ struct plug_text text = { 0 };
	struct cowherd_request request = { .size = sizeof(request), .container = "c", .spec = OWN "}" };
	struct net_plan plan = { 0 };
	struct plug_error err = { 0 };

	(void)state;
	plug_text_add(&text, "{\"networks\":[\"n\"");
	for (int i = 0; i < NET_WANTS_MAX; i++)
		plug_text_add(&text, ",\"n%d\"", i);
	plug_text_add(&text, "]}");
	request.options = text.data;
	assert_int_equal(net_plan_read(&request, &defaults, &plan, &err), -E2BIG);
	assert_string_equal(err.text, "networks: more than 16");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		request.options = table[i].options;
		request.spec = table[i].spec;
		if (net_plan_read(&request, &defaults, &plan, &err) == 0 && plan.mode != NET_PLAN_NOTHING)
			assert_true(net_plan_may_want(&request, &defaults));
		net_plan_finish(&plan);
		plan = (struct net_plan){ 0 };
	}
	request.options = "{\"name\":\"x\"}";
	request.spec = OWN "}";
	assert_false(net_plan_may_want(&request, &defaults));
}

static const char *text_of(struct json_object *o, const char *key, size_t i, const char *member)
{
	struct json_object *list = NULL, *value = NULL;

	(void)json_object_object_get_ex(o, key, &list);
	(void)json_object_object_get_ex(json_object_array_get_idx(list, i), member, &value);
	return value ? json_object_get_string(value) : NULL;
}

/* Ours is the only network namespace; mounts that are there stay, and are not covered. */
static void patches(void **state)
{
	const struct cowherd_request request = {
		.size = sizeof(request), .container = "c", .options = "{\"network\":\"nat\"}",
		.spec = "{\"mounts\":[{\"destination\":\"/etc/hosts\",\"source\":\"/mine\"}],"
		"\"linux\":{\"namespaces\":["
			"{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/old\"}]}}"
	};
	const struct net_plan_defaults defaults = { .fallback = "nat" };
	struct plug_error err = { 0 };
	struct net_plan plan;
	struct json_object *o, *linux_;

	(void)state;
	assert_int_equal(net_plan_read(&request, &defaults, &plan, &err), 0);
	o = net_plan_patch(&plan, "/new", "/r", "/h");
	assert_non_null(o);
	linux_ = json_object_object_get(o, "linux");
	assert_int_equal(json_object_array_length(json_object_object_get(linux_, "namespaces")), 2);
	assert_string_equal(text_of(linux_, "namespaces", 0, "path"), "/new");
	assert_string_equal(text_of(linux_, "namespaces", 1, "type"), "pid");
	assert_int_equal(json_object_array_length(json_object_object_get(o, "mounts")), 2);
	assert_string_equal(text_of(o, "mounts", 0, "source"), "/mine");
	assert_string_equal(text_of(o, "mounts", 1, "destination"), "/etc/resolv.conf");
	assert_string_equal(text_of(o, "mounts", 1, "source"), "/r");
	json_object_put(o);
	net_plan_finish(&plan);
}

/* Every allocation of a plan and its patch fails once: -ENOMEM, nothing lost; the next one is whole. */
static void memory(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (*table[i].want == '!')
			continue;
		alloc_fail_each(n) {
			_cleanup_text_ struct plug_text text = { 0 };
			struct net_plan plan = { 0 };
			struct plug_error err = { 0 };
			struct json_object *patch = NULL;
			int r = read_row(i, &plan, &err);

			if (r == 0)
				patch = net_plan_patch(&plan, "/new", "/r", "/h");
			if (!alloc_fail_stop()) {
				assert_int_equal(r, 0);
				assert_non_null(patch);
			}
			assert_true(r == 0 || r == -ENOMEM);
			failures += r < 0 || !patch;
			if (r == 0) {
				print(&plan, &text);
				assert_string_equal(text.data, table[i].want);
			}
			json_object_put(patch);
			net_plan_finish(&plan);
		}
	}
	assert_true(failures > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans),
		cmocka_unit_test(limits),
		cmocka_unit_test(patches),
		cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
