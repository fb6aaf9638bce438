/* SPDX-License-Identifier: MIT */
/* The text for nft, where no packet shows it: SCTP, which kernels may lack, and what is merged and sorted. */
#include "model/json.h"
#include "policy/policy.h"
#include "policy/rules.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct plug_error err;

/* What is added and removed for 10.1.0.2, fd01::2 with these policies. */
static void expect(const char *policies, const char *add, const char *remove)
{
	struct net_network n = { .name = (char *)"one", .bridge = "cow1", .type = NET_NAT };
	struct net_addr ips[2];
	struct net_endpoint e = { .id = "ID", .name = (char *)"end", .ips = ips, .ip_count = 2 };
	_cleanup_text_ struct plug_text a = { 0 }, r = { 0 };
	struct json_object *list;

	assert_int_equal(net_addr_parse_prefix("10.1.0.2/24", &ips[0]), 0);
	assert_int_equal(net_addr_parse_prefix("fd01::2/64", &ips[1]), 0);
	assert_int_equal(plug_json_parse(policies, strlen(policies), "policies", &list, &err), 0);
	if (net_policies_parse(list, NET_POLICY_HCN, NET_POLICY_OF_ENDPOINT, &e.policies,
			       &e.policy_count, &err) < 0)
		fail_msg("%s", err.text);
	json_object_put(list);
	assert_int_equal(net_rules_endpoint("t", &n, &e, &a, &r, &err), 0);
	assert_string_equal(a.data ? a.data : "", add);
	assert_string_equal(r.data ? r.data : "", remove);
	net_policies_free(e.policies, e.policy_count);
}

#define P(type, settings) "{\"Type\":\"" type "\",\"Settings\":{" settings "}}"

static void ports(void **state)
{
	(void)state;
	expect("[]", "", "");
	expect("[" P("PortMapping", "\"Protocol\":132,\"InternalPort\":80,\"ExternalPort\":8080,"
				    "\"VIP\":\"192.0.2.1\"") "]",
	       "add element inet t hostport4 { 192.0.2.1 . 132 . 8080 : 10.1.0.2 . 80 }\n",
	       "delete element inet t hostport4 { 192.0.2.1 . 132 . 8080 : 10.1.0.2 . 80 }\n");
	/* The same numbers on both sides are one element, others one each. */
	expect("[" P("PortMapping",
		     "\"Protocol\":132,\"InternalPort\":80,\"ExternalPort\":80,\"Count\":100") "]",
	       "add element inet t range4 { 132 . 80-179 : 10.1.0.2 }\n"
	       "add element inet t range6 { 132 . 80-179 : fd01::2 }\n",
	       "delete element inet t range4 { 132 . 80-179 : 10.1.0.2 }\n"
	       "delete element inet t range6 { 132 . 80-179 : fd01::2 }\n");
	expect("[" P("PortMapping",
		     "\"InternalPort\":80,\"ExternalPort\":90,\"Count\":2,\"Flags\":2") "]",
	       "add element inet t port6 { 6 . 90 : fd01::2 . 80 }\n"
	       "add element inet t port6 { 6 . 91 : fd01::2 . 81 }\n",
	       "delete element inet t port6 { 6 . 90 : fd01::2 . 80 }\n"
	       "delete element inet t port6 { 6 . 91 : fd01::2 . 81 }\n");
}

static void lists(void **state)
{
	(void)state;
	/* Block first among equals, those without a priority last; overlapping parts are merged. */
	expect("[" P("ACL", "\"Action\":\"Pass\",\"Direction\":\"In\"") "," P(
		       "ACL",
		       "\"Action\":\"Allow\",\"Direction\":\"In\",\"Priority\":7,\"Protocols\":\"1,"
		       "58\"") "," P("ACL", "\"Action\":\"Block\",\"Direction\":\"In\","
					    "\"Priority\":7,\"LocalPorts\":\"80,81-90,85\","
					    "\"RemoteAddresses\":\"10.0.0.0/8,10.9.0.0/16,fd00::/"
					    "8,10.0.0.0/8\"") "]",
	       "add chain inet t in-ID-0\n"
	       "add rule inet t in-ID-0 ip saddr { 10.0.0.0/8 } meta l4proto { 6, 17, 132 } th "
	       "dport { 80-90 } drop\n"
	       "add rule inet t in-ID-0 ip6 saddr { fd00::/8 } meta l4proto { 6, 17, 132 } th "
	       "dport { 80-90 } drop\n"
	       "add rule inet t in-ID-0 meta l4proto { 1, 58 } return\n"
	       "add rule inet t in-ID-0 return\n"
	       "add element inet t aclin4 { 10.1.0.2 : jump in-ID-0 }\n"
	       "add element inet t aclin6 { fd01::2 : jump in-ID-0 }\n",
	       "delete element inet t aclin4 { 10.1.0.2 : jump in-ID-0 }\n"
	       "delete element inet t aclin6 { fd01::2 : jump in-ID-0 }\n"
	       "flush chain inet t in-ID-0\ndelete chain inet t in-ID-0\n");
	expect("[" P("L4Proxy", "\"IP\":\"fd01::9\",\"Port\":\"3128\",\"Exceptions\":[\"fd00::/"
				"8\",\"10.0.0.0/8\"]") "]",
	       "add chain inet t proxy-ID-1\n"
	       "add rule inet t proxy-ID-1 ip6 daddr { fd00::/8 } return\n"
	       "add rule inet t proxy-ID-1 ip6 daddr fd01::9 return\n"
	       "add rule inet t proxy-ID-1 meta l4proto 6 dnat ip6 to [fd01::9]:3128\n"
	       "add element inet t proxy6 { fd01::2 : jump proxy-ID-1 }\n",
	       "delete element inet t proxy6 { fd01::2 : jump proxy-ID-1 }\n"
	       "flush chain inet t proxy-ID-1\ndelete chain inet t proxy-ID-1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
