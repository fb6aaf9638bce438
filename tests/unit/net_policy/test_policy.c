/* SPDX-License-Identifier: MIT */
/* Policies as both services write them: what is read is printed again, and what is wrong is named. */
#include "model/json.h"
#include "policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int read_it(const char *text, enum net_policy_shape shape, enum net_policy_scope scope,
		   struct net_policy **ret, size_t *ret_count, struct plug_error *err)
{
	struct json_object *list = NULL;
	int r;

	*err = (struct plug_error){ 0 };
	assert_int_equal(plug_json_parse(text, strlen(text), "test", &list, err), 0);
	r = net_policies_parse(list, shape, scope, ret, ret_count, err);
	json_object_put(list);
	return r;
}

static void expect_print(const struct net_policy *p, size_t count, enum net_policy_shape shape,
			 const char *text)
{
	struct json_object *o = net_policies_print(p, count, shape);

	assert_non_null(o);
	assert_string_equal(json_object_to_json_string_ext(
				    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			    text);
	json_object_put(o);
}

#define HCN(type, settings) "[{\"Type\":\"" type "\",\"Settings\":{" settings "}}]"
#define HNS(type, members) "[{\"Type\":\"" type "\"" members "}]"

/* The same policy in both shapes; what each prints from what the other read. */
static const struct {
	enum net_policy_scope scope;
	const char *hcn, *hns;
} pairs[] = {
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("PortMapping", "\"Protocol\":6,\"InternalPort\":80,\"ExternalPort\":8080"),
	  HNS("NAT", ",\"Protocol\":\"TCP\",\"InternalPort\":80,\"ExternalPort\":8080") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("PortMapping", "\"Protocol\":17,\"InternalPort\":53,\"VIP\":\"fd00::1\",\"Flags\":2"),
	  HNS("NAT", ",\"Protocol\":\"UDP\",\"InternalPort\":53,\"VIP\":\"fd00::1\",\"Flags\":2") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("PortMapping", "\"Protocol\":132,\"InternalPort\":7,\"ExternalPort\":7,\"Count\":3"),
	  HNS("NAT", ",\"Protocol\":\"SCTP\",\"InternalPort\":7,\"ExternalPort\":7,\"Count\":3") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("OutBoundNAT",
	      "\"VirtualIP\":\"10.0.0.9\",\"Exceptions\":[\"10.0.0.0/8\",\"192.0.2.1\"],"
	      "\"Destinations\":[\"198.51.100.0/24\"]"),
	  HNS("OutBoundNAT",
	      ",\"VIP\":\"10.0.0.9\",\"ExceptionList\":[\"10.0.0.0/8\",\"192.0.2.1\"],"
	      "\"Destinations\":[\"198.51.100.0/24\"]") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("ACL", "\"Protocols\":\"6,17\",\"Action\":\"Block\",\"LocalAddresses\":\"10.0.0.2\","
		     "\"RemoteAddresses\":\"10.0.0.0/8,fd00::/8\",\"LocalPorts\":\"80,8000-9000\","
		     "\"RemotePorts\":\"1024-65535\",\"Priority\":200,\"Direction\":\"In\","
		     "\"RuleType\":\"Switch\""),
	  HNS("ACL", ",\"Protocols\":\"6,17\",\"Action\":\"Block\",\"LocalAddresses\":\"10.0.0.2\","
		     "\"RemoteAddresses\":\"10.0.0.0/8,fd00::/8\",\"LocalPorts\":\"80,8000-9000\","
		     "\"RemotePorts\":\"1024-65535\",\"Priority\":200,\"Direction\":\"In\","
		     "\"RuleType\":\"Switch\"") },
	{ NET_POLICY_OF_NETWORK,
	  HCN("NetworkACL", "\"Action\":\"Pass\",\"Direction\":\"Out\",\"RuleType\":\"Host\""),
	  HNS("NetworkACL", ",\"Action\":\"Pass\",\"Direction\":\"Out\",\"RuleType\":\"Host\"") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("TierAcl",
	      "\"Name\":\"t\",\"Direction\":\"Out\",\"Order\":2,\"TierAclRules\":[{\"Id\":\"r\","
	      "\"TierAclRuleAction\":\"Pass\",\"RemotePorts\":\"53\",\"Priority\":1}]"),
	  HNS("TierAcl",
	      ",\"Name\":\"t\",\"Direction\":\"Out\",\"Order\":2,\"TierAclRules\":[{\"Id\":\"r\","
	      "\"TierAclRuleAction\":\"Pass\",\"RemotePorts\":\"53\",\"Priority\":1}]") },
	{ NET_POLICY_OF_ENDPOINT, HCN("QOS", "\"MaximumOutgoingBandwidthInBytes\":1000000"),
	  HNS("QOS", ",\"MaximumOutgoingBandwidthInBytes\":1000000") },
	{ NET_POLICY_OF_SUBNET, HCN("VLAN", "\"IsolationId\":7"), HNS("VLAN", ",\"VLAN\":7") },
	{ NET_POLICY_OF_SUBNET, HCN("VSID", "\"IsolationId\":5001"),
	  HNS("VSID", ",\"VSID\":5001") },
	{ NET_POLICY_OF_NETWORK,
	  HCN("SourceMacAddress", "\"SourceMacAddress\":\"00-15-5D-52-C0-00\""),
	  HNS("SourceMacAddress", ",\"SourceMacAddress\":\"00-15-5D-52-C0-00\"") },
	{ NET_POLICY_OF_ENDPOINT, HCN("EncapOverhead", "\"Overhead\":50"),
	  HNS("EncapOverhead", ",\"Overhead\":50") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("SDNRoute",
	      "\"DestinationPrefix\":\"10.96.0.0/12\",\"NextHop\":\"10.0.0.1\",\"NeedEncap\":true"),
	  HNS("ROUTE", ",\"DestinationPrefix\":\"10.96.0.0/"
		       "12\",\"NextHop\":\"10.0.0.1\",\"NeedEncap\":true") },
	{ NET_POLICY_OF_NETWORK,
	  HCN("RemoteSubnetRoute", "\"DestinationPrefix\":\"10.1.0.0/16\",\"IsolationId\":4096,"
				   "\"ProviderAddress\":\"192.0.2.7\","
				   "\"DistributedRouterMacAddress\":\"00-15-5D-52-C0-01\""),
	  HNS("RemoteSubnetRoute", ",\"DestinationPrefix\":\"10.1.0.0/16\",\"IsolationId\":4096,"
				   "\"ProviderAddress\":\"192.0.2.7\","
				   "\"DistributedRouterMacAddress\":\"00-15-5D-52-C0-01\"") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("L4Proxy", "\"IP\":\"10.0.0.9\",\"Port\":\"3128\",\"Protocol\":6,\"Exceptions\":["
			 "\"10.0.0.0/8\"],"
			 "\"Destination\":\"198.51.100.0/24:80,443\",\"OutboundNAT\":true"),
	  HNS("PROXY", ",\"IP\":\"10.0.0.9\",\"Port\":\"3128\",\"ExceptionList\":[\"10.0.0.0/8\"],"
		       "\"Destination\":\"198.51.100.0/24:80,443\",\"OutboundNat\":true") },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("L4WFPPROXY", "\"InboundProxyPort\":\"15003\",\"OutboundProxyPort\":\"15001\","
			    "\"FilterTuple\":{\"Protocols\":\"6\","
			    "\"RemotePorts\":\"80\"},\"UserSID\":\"1337\",\"OutboundExceptions\":{"
			    "\"IpAddressExceptions\":"
			    "[\"10.0.0.1\"],\"PortExceptions\":[\"15000\"]}"),
	  HNS("L4WFPPROXY", ",\"InboundProxyPort\":\"15003\",\"OutboundProxyPort\":\"15001\","
			    "\"FilterTuple\":{\"Protocols\":\"6\","
			    "\"RemotePorts\":\"80\"},\"UserSID\":\"1337\",\"OutboundExceptions\":{"
			    "\"IpAddressExceptions\":"
			    "[\"10.0.0.1\"],\"PortExceptions\":[\"15000\"]}") },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortName", "\"Name\":\"web\""),
	  HNS("PortName", ",\"Name\":\"web\"") },
	{ NET_POLICY_OF_NETWORK, HCN("NetAdapterName", "\"NetworkAdapterName\":\"eth1\""),
	  HNS("NetAdapterName", ",\"NetworkAdapterName\":\"eth1\"") },
	{ NET_POLICY_OF_ENDPOINT, HCN("ProviderAddress", "\"ProviderAddress\":\"192.0.2.1\""),
	  HNS("PA", ",\"PA\":\"192.0.2.1\"") },
	{ NET_POLICY_OF_NETWORK, HCN("AutomaticDNS", "\"Enable\":true"),
	  HNS("AutomaticDNS", ",\"Enable\":true") },
	{ NET_POLICY_OF_NETWORK, HCN("VxlanPort", "\"Port\":8472"),
	  HNS("VxlanPort", ",\"Port\":8472") },
	{ NET_POLICY_OF_NETWORK, HCN("HostRoute", ""), HNS("HostRoute", "") },
	{ NET_POLICY_OF_ENDPOINT, HCN("Iov", "\"IovOffloadWeight\":1"),
	  HNS("Iov", ",\"IovOffloadWeight\":1") },
};

static void both_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		static const enum net_policy_shape shapes[] = { NET_POLICY_HCN, NET_POLICY_HNS };

		for (size_t s = 0; s < 2; s++) {
			struct net_policy *p = NULL, *copy = NULL;
			struct plug_error err;
			size_t n = 0;

			if (read_it(s ? pairs[i].hns : pairs[i].hcn, shapes[s], pairs[i].scope, &p,
				    &n, &err) < 0)
				fail_msg("%zu: %s", i, err.text);
			assert_int_equal(n, 1);
			expect_print(p, n, NET_POLICY_HCN, pairs[i].hcn);
			expect_print(p, n, NET_POLICY_HNS, pairs[i].hns);
			assert_int_equal(net_policies_copy(p, n, &copy), 0);
			assert_true(net_policy_same(p, copy));
			expect_print(copy, n, NET_POLICY_HCN, pairs[i].hcn);
			net_policies_free(copy, n);
			net_policies_free(p, n);
		}
	}
}

static void old_spellings(void **state)
{
	struct net_policy *p = NULL;
	struct plug_error err;
	size_t n = 0;

	(void)state;
	/* Isolation is both; protocols and ports as numbers; names in any case; MACs with colons. */
	assert_int_equal(
		read_it("[{\"Type\":\"Isolation\",\"VLAN\":5,\"VSID\":6},"
			"{\"Type\":\"acl\",\"Protocol\":6,\"LocalPort\":22,\"RemotePort\":9,"
			"\"action\":\"allow\",\"Direction\":\"in\"},"
			"{\"Type\":\"ACL\",\"Protocol\":256,\"InternalPort\":80,\"Action\":"
			"\"Block\","
			"\"Direction\":\"Out\"},"
			"{\"Type\":\"NAT\",\"Protocol\":17,\"InternalPort\":\"53\"}]",
			NET_POLICY_HNS, NET_POLICY_OF_ENDPOINT, &p, &n, &err),
		0);
	assert_int_equal(n, 5);
	assert_int_equal(p[0].kind, NET_POLICY_VLAN);
	assert_int_equal(p[0].number, 5);
	assert_int_equal(p[1].kind, NET_POLICY_VSID);
	assert_int_equal(p[1].number, 6);
	assert_int_equal(p[2].acl.protocol_count, 1);
	assert_int_equal(p[2].acl.local_ports[0].first, 22);
	assert_int_equal(p[2].acl.remote_ports[0].last, 9);
	assert_int_equal(p[3].acl.protocol_count, 0);
	assert_int_equal(p[3].acl.local_ports[0].first, 80);
	assert_true(p[3].acl.out);
	assert_int_equal(p[4].port.protocol, 17);
	assert_int_equal(p[4].port.internal, 53);
	assert_ptr_equal(net_policies_find(p, n, NET_POLICY_PORT), &p[4]);
	assert_null(net_policies_find(p, n, NET_POLICY_QOS));
	net_policies_free(p, n);
	assert_int_equal(
		read_it(HCN("SourceMacAddress", "\"SourceMacAddress\":\"02:00:00:00:00:0a\""),
			NET_POLICY_HCN, NET_POLICY_OF_NETWORK, &p, &n, &err),
		0);
	expect_print(p, n, NET_POLICY_HNS,
		     HNS("SourceMacAddress", ",\"SourceMacAddress\":\"02-00-00-00-00-0A\""));
	net_policies_free(p, n);
}

static const struct {
	enum net_policy_scope scope;
	const char *text, *error;
} wrong[] = {
	{ NET_POLICY_OF_ENDPOINT, "{}", "Policies: not a list" },
	{ NET_POLICY_OF_ENDPOINT, "[1]", "Policies[0]: not an object" },
	{ NET_POLICY_OF_ENDPOINT, "[{}]", "Policies[0]: Type: missing" },
	{ NET_POLICY_OF_ENDPOINT, "[{\"Type\":7}]", "Policies[0]: Type: not a string" },
	{ NET_POLICY_OF_ENDPOINT, "[{\"Type\":\"Foo\"}]",
	  "Policies[0]: Type: \"Foo\" is not known" },
	{ NET_POLICY_OF_ENDPOINT, "[{\"Type\":\"Iov\"},{\"Type\":\"VxlanPort\"}]",
	  "Policies[1]: Type: \"VxlanPort\" is not for endpoints" },
	{ NET_POLICY_OF_NETWORK, HCN("ACL", ""), "Policies[0]: Type: \"ACL\" is not for networks" },
	{ NET_POLICY_OF_SUBNET, HCN("QOS", ""), "Policies[0]: Type: \"QOS\" is not for subnets" },
	{ NET_POLICY_OF_ENDPOINT, "[{\"Type\":\"QOS\",\"Settings\":[]}]",
	  "Policies[0]: Settings: not an object" },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortMapping", ""),
	  "Policies[0]: InternalPort: not a number from 1 to 65535" },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortMapping", "\"InternalPort\":65536"),
	  "Policies[0]: InternalPort: not a number from 0 to 65535" },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortMapping", "\"InternalPort\":80,\"ExternalPort\":-1"),
	  "Policies[0]: ExternalPort: not a number from 0 to 65535" },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortMapping", "\"InternalPort\":80,\"Protocol\":1"),
	  "Policies[0]: Protocol: not tcp (6), udp (17) or sctp (132)" },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortMapping", "\"InternalPort\":65000,\"Count\":1000"),
	  "Policies[0]: Count: goes beyond port 65535" },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortMapping", "\"InternalPort\":80,\"VIP\":\"10.0.0\""),
	  "Policies[0]: VIP: \"10.0.0\" is not an address" },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("PortMapping", "\"InternalPort\":80,\"VIP\":\"10.0.0.1\",\"Flags\":2"),
	  "Policies[0]: VIP: an IPv4 address, but Flags says IPv6" },
	{ NET_POLICY_OF_ENDPOINT, HCN("PortMapping", "\"InternalPort\":80,\"Flags\":4"),
	  "Policies[0]: Flags: 4 is not known" },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("OutBoundNAT", "\"Exceptions\":[\"10.0.0.0/8\",\"10.0.0.0/33\"]"),
	  "Policies[0]: Exceptions: \"10.0.0.0/33\" is not valid" },
	{ NET_POLICY_OF_ENDPOINT, HCN("OutBoundNAT", "\"Exceptions\":\"10.0.0.0/8\""),
	  "Policies[0]: Exceptions: not a list" },
	{ NET_POLICY_OF_ENDPOINT, HCN("ACL", "\"Direction\":\"In\""),
	  "Policies[0]: Action: missing" },
	{ NET_POLICY_OF_ENDPOINT, HCN("ACL", "\"Action\":\"Drop\",\"Direction\":\"In\""),
	  "Policies[0]: Action: \"Drop\" is not known" },
	{ NET_POLICY_OF_ENDPOINT, HCN("ACL", "\"Action\":\"Block\""),
	  "Policies[0]: Direction: missing" },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("ACL", "\"Action\":\"Block\",\"Direction\":\"In\",\"Priority\":65536"),
	  "Policies[0]: Priority: not a number from 0 to 65535" },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("ACL", "\"Action\":\"Block\",\"Direction\":\"In\",\"LocalPorts\":\"80-22\""),
	  "Policies[0]: LocalPorts: \"80-22\" is not valid" },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("ACL", "\"Action\":\"Block\",\"Direction\":\"In\",\"LocalPorts\":\"80\","
		     "\"Protocols\":\"1\""),
	  "Policies[0]: LocalPorts: protocol 1 has no ports" },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("ACL", "\"Action\":\"Block\",\"Direction\":\"In\",\"Protocols\":\"tcp,foo\""),
	  "Policies[0]: Protocols: \"foo\" is not valid" },
	{ NET_POLICY_OF_ENDPOINT, HCN("TierAcl", "\"Direction\":\"In\",\"TierAclRules\":[{}]"),
	  "Policies[0]: TierAclRules[0]: TierAclRuleAction: missing" },
	{ NET_POLICY_OF_ENDPOINT, HCN("QOS", "\"MaximumOutgoingBandwidthInBytes\":10"),
	  "Policies[0]: MaximumOutgoingBandwidthInBytes: less than 576" },
	{ NET_POLICY_OF_SUBNET, HCN("VLAN", "\"IsolationId\":4095"),
	  "Policies[0]: IsolationId: not a number from 0 to 4094" },
	{ NET_POLICY_OF_SUBNET, HCN("VLAN", ""), "Policies[0]: IsolationId: missing" },
	{ NET_POLICY_OF_NETWORK,
	  HCN("SourceMacAddress", "\"SourceMacAddress\":\"01-00-5e-00-00-01\""),
	  "Policies[0]: SourceMacAddress: \"01-00-5e-00-00-01\" is not the address of an "
	  "interface" },
	{ NET_POLICY_OF_NETWORK, HCN("SourceMacAddress", "\"SourceMacAddress\":\"\""),
	  "Policies[0]: SourceMacAddress: missing" },
	{ NET_POLICY_OF_ENDPOINT, HCN("SDNRoute", "\"NextHop\":\"10.0.0.1\""),
	  "Policies[0]: DestinationPrefix: missing" },
	{ NET_POLICY_OF_ENDPOINT,
	  HCN("SDNRoute", "\"DestinationPrefix\":\"fd00::/8\",\"NextHop\":\"10.0.0.1\""),
	  "Policies[0]: NextHop: of another family than DestinationPrefix" },
	{ NET_POLICY_OF_ENDPOINT, HCN("L4Proxy", "\"IP\":\"10.0.0.1\""),
	  "Policies[0]: Port: not a number from 1 to 65535" },
	{ NET_POLICY_OF_ENDPOINT, HCN("L4Proxy", "\"Port\":\"80\",\"Destination\":\"x:80\""),
	  "Policies[0]: Destination: \"x:80\" is not a prefix" },
	{ NET_POLICY_OF_ENDPOINT, HCN("L4WFPPROXY", "\"OutboundProxyPort\":\"\""),
	  "Policies[0]: OutboundProxyPort: missing, and InboundProxyPort too" },
	{ NET_POLICY_OF_NETWORK, HCN("AutomaticDNS", "\"Enable\":1"),
	  "Policies[0]: Enable: not true or false" },
};

static void errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct net_policy *p = NULL;
		struct plug_error err;
		size_t n = 0;

		assert_int_equal(
			read_it(wrong[i].text, NET_POLICY_HCN, wrong[i].scope, &p, &n, &err),
			-EINVAL);
		assert_string_equal(err.text, wrong[i].error);
		assert_null(p);
		assert_int_equal(n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_shapes),
		cmocka_unit_test(old_spellings),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
