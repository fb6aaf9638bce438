/* SPDX-License-Identifier: MIT */
/* What an endpoint asks of the plugins, and what it has of them. */
#include "box.h"

#include "cni/endpoint.h"
#include "policy/policy.h"

#include <netinet/in.h>

static const char conflist[] =
	"{\"cniVersion\":\"1.0.0\",\"name\":\"pods\",\"plugins\":["
	"{\"type\":\"a\",\"capabilities\":{\"portMappings\":true,\"bandwidth\":true,"
	"\"ips\":true,\"mac\":true,\"aliases\":true}},{\"type\":\"b\"}]}";

static struct net_network network = { .name = (char *)"mine", .type = NET_CNI, .conflist = (char *)"pods" };

static struct net_endpoint *endpoint(void)
{
	struct net_endpoint *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	(void)strcpy(e->id, "0b1c2d3e-0000-4000-8000-0123456789ab");
	(void)strcpy(e->guest_link, "eth0");
	e->name = strdup("web");
	assert_non_null(e->name);
	return e;
}

static int begin(void **state)
{
	if (box_begin(state) < 0)
		return -1;
	box_file("bin/a", 0755, "%s", box_plugin);
	box_file("bin/b", 0755, "%s", box_plugin);
	box_file("net.d/10-pods.conflist", 0644, "%s", conflist);
	(void)snprintf(box.cache, sizeof(box.cache), "%s/net/cni", box.dir);
	return net_cni_configure(box.plugin_dirs, box.conf);
}

static int end(void **state)
{
	net_cni_unconfigure();
	return box_end(state);
}

static void plugged_in(void **state)
{
	struct net_endpoint *e = endpoint();
	char text[NET_ADDR_TEXT];

	(void)state;
	if (net_cni_plug(box.dir, &network, e, "/proc/self/ns/net", NULL, &box.err) < 0)
		fail_msg("%s", box.err.text);
	assert_int_equal(e->ip_count, 1);
	net_addr_format_prefix(&e->ips[0], text);
	assert_string_equal(text, "10.9.0.2/24");
	net_addr_format(&e->gateway, text);
	assert_string_equal(text, "10.9.0.1");
	assert_int_equal(e->gateway6.family, 0);
	net_mac_format(&e->mac, ':', text);
	assert_string_equal(text, "02:00:00:00:00:01");
	assert_int_equal(e->dns.servers.count, 1);
	assert_string_equal(e->dns.servers.items[0], "10.9.0.1");
	assert_string_equal(e->dns.domain, "x.example");
	assert_non_null(strstr(box_text(box.log), "\"runtimeConfig\":{\"portMappings\":[],\"aliases\":[]}"));
	assert_int_equal(box_count(box.cache), 1);
	assert_int_equal(net_cni_unplug(box.dir, e->id, NULL, &box.err), 0);
	assert_int_equal(box_count(box.cache), 0);
	assert_int_equal(net_cni_unplug(box.dir, e->id, NULL, &box.err), 0);
	net_endpoint_free(e);
}

static void policies_become_arguments(void **state)
{
	struct net_endpoint *e = endpoint();
	const char *log;

	(void)state;
	e->ips = calloc(1, sizeof(*e->ips));
	e->policies = calloc(3, sizeof(*e->policies));
	assert_true(e->ips && e->policies);
	assert_int_equal(net_addr_parse_prefix("10.9.0.7/24", &e->ips[0]), 0);
	e->ip_count = 1;
	assert_int_equal(net_mac_parse("02-00-00-00-00-07", &e->mac), 0);
	assert_int_equal(net_strv_add(&e->aliases, "www"), 0);
	e->policies[0].kind = NET_POLICY_PORT;
	e->policies[0].port = (struct net_policy_port){
		.protocol = IPPROTO_TCP, .internal = 80, .external = 8080, .count = 2 };
	e->policies[1].kind = NET_POLICY_PORT;
	e->policies[1].port = (struct net_policy_port){
		.protocol = IPPROTO_UDP, .internal = 53, .external = 5353, .count = 1 };
	assert_int_equal(net_addr_parse("127.0.0.1", &e->policies[1].port.host), 0);
	e->policies[2].kind = NET_POLICY_QOS;
	e->policies[2].qos = (struct net_policy_qos){ .out = 1000, .in = 1000000000000 };
	e->policy_count = 3;
	if (net_cni_plug(box.dir, &network, e, "/proc/self/ns/net", NULL, &box.err) < 0)
		fail_msg("%s", box.err.text);
	log = box_text(box.log);
	assert_non_null(strstr(log, "{\"protocol\":\"tcp\",\"hostPort\":8080,\"containerPort\":80},"
				    "{\"protocol\":\"tcp\",\"hostPort\":8081,\"containerPort\":81},"
				    "{\"protocol\":\"udp\",\"hostPort\":5353,\"containerPort\":53,"
				    "\"hostIP\":\"127.0.0.1\"}]"));
	assert_non_null(strstr(log, "\"bandwidth\":{\"ingressRate\":8000000000000,"
				    "\"ingressBurst\":2000000000,"
				    "\"egressRate\":8000,\"egressBurst\":8000}"));
	assert_non_null(strstr(log, "\"ips\":[\"10.9.0.7"));
	assert_non_null(strstr(log, "\"mac\":\"02:00:00:00:00:07\""));
	assert_non_null(strstr(log, "\"aliases\":[\"www\"]"));
	assert_int_equal(net_cni_unplug(box.dir, e->id, "/proc/self/ns/net", &box.err), 0);
	net_endpoint_free(e);
}

static void refused(void **state)
{
	struct net_endpoint *e = endpoint();

	(void)state;
	box_file("ADD-b", 0644, "echo '{\"code\":7,\"msg\":\"no\"}'; exit 1\n");
	assert_int_equal(net_cni_plug(box.dir, &network, e, "/proc/self/ns/net", NULL, &box.err), -EIO);
	assert_string_equal(box.err.text, "cni pods: b: no (code 7)");
	assert_int_equal(e->ip_count, 0);
	assert_int_equal(box_count(box.cache), 0);
	network.conflist = (char *)"others";
	assert_int_equal(net_cni_plug(box.dir, &network, e, "/proc/self/ns/net", NULL, &box.err), -ENOENT);
	net_endpoint_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
		TEST(plugged_in),
		TEST(policies_become_arguments),
		TEST(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
