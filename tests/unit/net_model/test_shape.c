/* SPDX-License-Identifier: MIT */
/* Both JSON shapes, there and back, and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model/shape.h"
#include "policy/policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define ID "11111111-2222-4333-8444-555555555555"
#define OTHER "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static struct json_object *json(const char *text)
{
	struct json_object *o = NULL;
	struct plug_error err = { 0 };

	if (plug_json_parse(text, strlen(text), "test", &o, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return o;
}

/* A member by path: "Ipams/0/Subnets/0/IpAddressPrefix". */
static const char *at(struct json_object *o, const char *path)
{
	char key[64];

	while (o && *path) {
		size_t n = strcspn(path, "/");

		(void)snprintf(key, sizeof(key), "%.*s", (int)n, path);
		o = json_object_is_type(o, json_type_array)
			    ? json_object_array_get_idx(o, strtoul(key, NULL, 10))
			    : json_object_object_get(o, key);
		path += n + (path[n] == '/');
	}
	return o ? json_object_get_string(o) : NULL;
}

static const char network_text[] =
	"{\"ID\":\"{11111111-2222-4333-8444-555555555555}\",\"Name\":\"web\",\"Type\":\"overlay\","
	"\"Policies\":[{\"Type\":\"NetAdapterName\",\"Settings\":{\"NetworkAdapterName\":\"eth1\"}},"
	"{\"Type\":\"VxlanPort\",\"Settings\":{\"Port\":4790}},"
	"{\"Type\":\"SourceMacAddress\",\"Settings\":{\"SourceMacAddress\":\"02-00-00-00-00-05\"}}],"
	"\"MacPool\":{\"Ranges\":[{\"StartMacAddress\":\"00-15-5D-00-00-00\","
	"\"EndMacAddress\":\"00-15-5D-00-0F-FF\"}]},"
	"\"Dns\":{\"Domain\":\"x.test\",\"Search\":[\"a\",\"b\"],\"ServerList\":[\"10.0.0.53\"],"
	"\"Options\":[\"ndots:2\"]},"
	"\"Ipams\":[{\"Type\":\"Static\",\"Subnets\":[{\"IpAddressPrefix\":\"10.1.0.0/16\","
	"\"Policies\":[{\"Type\":\"VSID\",\"Settings\":{\"IsolationId\":5000}}],"
	"\"Routes\":[{\"NextHop\":\"10.1.0.1\",\"DestinationPrefix\":\"0.0.0.0/0\"},"
	"{\"NextHop\":\"10.1.0.9\",\"DestinationPrefix\":\"10.9.0.0/16\",\"Metric\":7}]},"
	"{\"IpAddressPrefix\":\"fd00:1::/64\",\"Routes\":[{\"NextHop\":\"fd00:1::1\","
	"\"DestinationPrefix\":\"::/0\"}]}]}],\"Flags\":8,\"SchemaVersion\":{\"Major\":2,\"Minor\":0},"
	"\"Cowherd\":{\"Bridge\":\"cow11111111\",\"Mtu\":1400,\"Labels\":[\"a=b\"]}}";

static void hcn_network(void **state)
{
	struct json_object *o = json(network_text), *printed;
	struct net_network *n = NULL, *again = NULL;
	struct plug_error err = { 0 };
	char *text, *second;

	(void)state;
	assert_int_equal(net_hcn_network_parse(o, &n, &err), 0);
	assert_string_equal(n->id, ID);
	assert_string_equal(n->name, "web");
	assert_int_equal(n->type, NET_OVERLAY);
	assert_string_equal(n->adapter, "eth1");
	assert_int_equal(n->vxlan_port, 4790);
	assert_int_equal(n->source_mac.bytes[5], 5);
	assert_int_equal(n->policy_count, 0); /* all three became members */
	assert_int_equal(n->subnet_count, 2);
	assert_int_equal(n->subnets[0].vsid, 5000);
	assert_int_equal(n->subnets[0].route_count, 1);
	assert_int_equal(n->subnets[0].gateway.bytes[3], 1);
	assert_int_equal(n->subnets[1].gateway.family, AF_INET6);
	assert_int_equal(n->flags, NET_FLAG_NON_PERSISTENT);
	assert_int_equal(n->mtu, 1400);
	printed = net_hcn_network_print(n);
	assert_string_equal(at(printed, "Policies/0/Settings/NetworkAdapterName"), "eth1");
	assert_string_equal(at(printed, "Ipams/0/Subnets/0/Routes/0/DestinationPrefix"), "0.0.0.0/0");
	assert_string_equal(at(printed, "Ipams/0/Subnets/0/Routes/1/Metric"), "7");
	assert_string_equal(at(printed, "MacPool/Ranges/0/EndMacAddress"), "00-15-5D-00-0F-FF");
	text = plug_json_print(printed);
	assert_int_equal(net_hcn_network_parse(printed, &again, &err), 0);
	json_object_put(printed);
	printed = net_hcn_network_print(again);
	second = plug_json_print(printed);
	assert_string_equal(text, second);
	free(text);
	free(second);
	json_object_put(printed);
	json_object_put(o);
	net_network_free(n);
	net_network_free(again);
}

static void hns_network(void **state)
{
	struct json_object *o = json(
		"{\"Name\":\"n\",\"Type\":\"L2Bridge\",\"NetworkAdapterName\":\"eth0\","
		"\"SourceMac\":\"02:00:00:00:00:01\",\"Policies\":[{\"Type\":\"VLAN\",\"VLAN\":7}],"
		"\"MacPools\":[{\"StartMacAddress\":\"00-15-5D-00-00-00\",\"EndMacAddress\":"
		"\"00-15-5D-00-00-0F\"}],\"Subnets\":[{\"AddressPrefix\":\"192.168.7.3/24\","
		"\"GatewayAddress\":\"192.168.7.1\",\"Policies\":[{\"Type\":\"VSID\",\"VSID\":9}]}],"
		"\"DNSSuffix\":\"a.test, b.test\",\"DNSServerList\":\"1.1.1.1,fd00::53\","
		"\"ManagementIP\":\"192.168.7.2\",\"AutomaticDNS\":true}"),
		*printed;
	struct net_network *n = NULL, *hcn = NULL;
	struct plug_error err = { 0 };

	(void)state;
	assert_int_equal(net_hns_network_parse(o, &n, &err), 0);
	assert_string_equal(n->id, "");
	assert_int_equal(n->vlan, 7);
	assert_int_equal(n->subnets[0].vsid, 9);
	assert_int_equal(n->dns.search.count, 2);
	assert_string_equal(n->dns.servers.items[1], "fd00::53");
	assert_true(n->automatic_dns);
	printed = net_hns_network_print(n);
	assert_string_equal(at(printed, "Subnets/0/AddressPrefix"), "192.168.7.0/24");
	assert_string_equal(at(printed, "Subnets/0/Policies/0/VSID"), "9");
	assert_string_equal(at(printed, "DNSServerList"), "1.1.1.1,fd00::53");
	assert_string_equal(at(printed, "DNSSuffix"), "a.test,b.test");
	assert_string_equal(at(printed, "SourceMac"), "02-00-00-00-00-01");
	json_object_put(printed);
	/* What one shape said, the other shows. */
	printed = net_hcn_network_print(n);
	assert_string_equal(at(printed, "Ipams/0/Subnets/0/Policies/0/Settings/IsolationId"), "9");
	assert_int_equal(net_hcn_network_parse(printed, &hcn, &err), 0);
	assert_int_equal(hcn->vlan, 7);
	assert_string_equal(hcn->adapter, "eth0");
	json_object_put(printed);
	json_object_put(o);
	net_network_free(n);
	net_network_free(hcn);
}

static void endpoints(void **state)
{
	struct json_object *o = json(
		"{\"ID\":\"" ID "\",\"Name\":\"e\",\"VirtualNetwork\":\"" OTHER "\","
		"\"MacAddress\":\"02-42-AC-11-00-02\",\"IPAddress\":\"10.0.0.5\",\"PrefixLength\":24,"
		"\"IPv6Address\":\"fd00::5\",\"IPv6PrefixLength\":64,\"GatewayAddress\":\"10.0.0.1\","
		"\"GatewayAddressV6\":\"fd00::1\",\"EnableInternalDNS\":true,\"DisableICC\":true,"
		"\"IsRemoteEndpoint\":true,\"EnableLowMetric\":true,\"Namespace\":{\"ID\":\"" OTHER "\"},"
		"\"EncapOverhead\":50,\"SharedContainers\":[\"c1\"],\"DNSDomain\":\"d.test\","
		"\"Policies\":[{\"Type\":\"NAT\",\"Protocol\":\"TCP\",\"InternalPort\":80,"
		"\"ExternalPort\":8080}]}"),
		*printed;
	struct net_endpoint *e = NULL, *again = NULL;
	struct plug_error err = { 0 };

	(void)state;
	assert_int_equal(net_hns_endpoint_parse(o, &e, &err), 0);
	json_object_put(o);
	assert_int_equal(e->ip_count, 2);
	assert_int_equal(e->ips[1].prefix, 64);
	assert_int_equal(e->flags, NET_ENDPOINT_REMOTE);
	assert_non_null(net_policies_find(e->policies, e->policy_count, NET_POLICY_ENCAP));
	assert_non_null(net_policies_find(e->policies, e->policy_count, NET_POLICY_PORT));
	printed = net_hcn_endpoint_print(e);
	assert_string_equal(at(printed, "Policies/0/Type"), "PortMapping");
	assert_string_equal(at(printed, "Policies/0/Settings/Protocol"), "6");
	assert_string_equal(at(printed, "Routes/0/NextHop"), "10.0.0.1");
	assert_string_equal(at(printed, "Routes/1/DestinationPrefix"), "::/0");
	assert_int_equal(net_hcn_endpoint_parse(printed, &again, &err), 0);
	json_object_put(printed);
	assert_true(net_addr_same(&again->gateway6, &e->gateway6));
	assert_true(again->internal_dns && again->disable_icc && again->low_metric);
	printed = net_hns_endpoint_print(again, "web");
	assert_string_equal(at(printed, "VirtualNetworkName"), "web");
	assert_string_equal(at(printed, "MacAddress"), "02-42-AC-11-00-02");
	assert_string_equal(at(printed, "EncapOverhead"), "50");
	assert_string_equal(at(printed, "IPv6PrefixLength"), "64");
	assert_string_equal(at(printed, "Namespace/ID"), OTHER);
	assert_string_equal(at(printed, "SharedContainers/0"), "c1");
	json_object_put(printed);
	net_endpoint_free(e);
	net_endpoint_free(again);
	/* Go prints an address that is not there like this. */
	o = json("{\"IPAddress\":\"<nil>\",\"GatewayAddress\":\"\"}");
	assert_int_equal(net_hns_endpoint_parse(o, &e, &err), 0);
	assert_int_equal(e->ip_count, 0);
	net_endpoint_free(e);
	json_object_put(o);
}

static void namespaces(void **state)
{
	struct json_object *o = json(
		"{\"ID\":\"" ID "\",\"NamespaceId\":3,\"Type\":\"Guest\",\"Resources\":[{\"Type\":"
		"\"Container\",\"Data\":{\"Id\":\"c1\"}},{\"Type\":\"Endpoint\",\"Data\":{\"ID\":\"" OTHER
		"\"}}],\"Cowherd\":{\"Path\":\"/run/netns/x\"}}"),
		*printed;
	struct net_namespace *ns = NULL, *again = NULL;
	struct plug_error err = { 0 };

	(void)state;
	assert_int_equal(net_hcn_namespace_parse(o, &ns, &err), 0);
	json_object_put(o);
	assert_int_equal(ns->type, NET_NS_GUEST);
	assert_int_equal(ns->resource_count, 2);
	assert_int_equal(net_namespace_add(ns, true, "c1"), -EEXIST);
	assert_int_equal(net_namespace_drop(ns, false, "c1"), -ENOENT);
	printed = net_hns_namespace_print(ns);
	assert_string_equal(at(printed, "CompartmentId"), "3");
	assert_string_equal(at(printed, "ResourceList/1/Data/Id"), OTHER);
	assert_int_equal(net_hns_namespace_parse(printed, &again, &err), 0);
	assert_int_equal(again->resource_count, 2);
	json_object_put(printed);
	assert_int_equal(net_namespace_drop(ns, true, "c1"), 0);
	assert_int_equal(ns->resource_count, 1);
	net_namespace_free(ns);
	net_namespace_free(again);
}

static void policy_lists(void **state)
{
	struct json_object *o = json(
		"{\"References\":[\"/endpoints/" ID "\"],\"Policies\":[{\"Type\":\"ELB\","
		"\"SourceVIP\":\"10.0.0.9\",\"VIPs\":[\"10.9.9.9\"],\"Protocol\":6,\"InternalPort\":80,"
		"\"ExternalPort\":8080,\"ILB\":true}]}"),
		*printed;
	struct net_balancer *b = NULL, *hcn = NULL;
	struct net_sdn_route *route = NULL;
	struct plug_error err = { 0 };

	(void)state;
	assert_int_equal(net_hns_list_parse(o, &b, &route, &err), 0);
	json_object_put(o);
	assert_null(route);
	assert_string_equal(b->endpoints.items[0], ID);
	assert_int_equal(b->flags, NET_BALANCER_INTERNAL);
	printed = net_hcn_balancer_print(b);
	assert_string_equal(at(printed, "PortMappings/0/ExternalPort"), "8080");
	assert_int_equal(net_hcn_balancer_parse(printed, &hcn, &err), 0);
	json_object_put(printed);
	printed = net_hns_balancer_print(hcn);
	assert_string_equal(at(printed, "References/0"), "/endpoints/" ID);
	assert_string_equal(at(printed, "Policies/0/VIPs/0"), "10.9.9.9");
	json_object_put(printed);
	net_balancer_free(b);
	net_balancer_free(hcn);
	o = json("{\"References\":[\"" ID "\"],\"Policies\":[{\"Type\":\"ROUTE\",\"DestinationPrefix\":"
		 "\"10.8.0.0/16\",\"NextHop\":\"10.0.0.2\",\"NeedEncap\":true}]}");
	assert_int_equal(net_hns_list_parse(o, &b, &route, &err), 0);
	json_object_put(o);
	assert_null(b);
	assert_true(route->routes[0].encap);
	printed = net_hcn_sdn_route_print(route);
	assert_string_equal(at(printed, "Setting/0/DestinationPrefix"), "10.8.0.0/16");
	json_object_put(printed);
	net_sdn_route_free(route);
}

/* What each parser says to what it does not take. */
static void refusals(void **state)
{
	static const struct {
		const char *what, *text, *error;
	} bad[] = {
		{ "network", "{\"ID\":\"x\"}", "network: ID: \"x\" is not a GUID" },
		{ "network", "{\"Name\":7}", "network: Name: not a string" },
		{ "network", "{\"Name\":\"a\\nb\"}", "network: Name: has control characters or \"/\"" },
		{ "network", "{\"Type\":\"Token\"}",
		  "network: Type: \"Token\" is not NAT, Transparent, L2Bridge, L2Tunnel, ICS, Private, "
		  "Internal, Overlay or CNI" },
		{ "network", "{\"Ipams\":[{\"Type\":\"Odd\"}]}",
		  "network: Ipams: Type: \"Odd\" is not Static or DHCP" },
		{ "network", "{\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"10.0.0.0/33\"}]}]}",
		  "network: Ipams: IpAddressPrefix: \"10.0.0.0/33\" is not a prefix" },
		{ "network",
		  "{\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"10.0.0.0/24\"},{\"IpAddressPrefix\":"
		  "\"10.0.0.128/25\"}]}]}",
		  "network: Ipams: subnet 10.0.0.128/25: overlaps another of the network" },
		{ "network",
		  "{\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"10.0.0.0/24\",\"Routes\":[{\"NextHop\":"
		  "\"10.0.1.1\",\"DestinationPrefix\":\"0.0.0.0/0\"}]}]}]}",
		  "network: Ipams: subnet 10.0.0.0/24: the gateway 10.0.1.1 is not in it" },
		{ "network", "{\"Dns\":{\"ServerList\":[\"dns.test\"]}}",
		  "network: Dns: ServerList: \"dns.test\" is not an address" },
		{ "network", "{\"Cowherd\":{\"Mtu\":10}}",
			"network: Cowherd: Mtu: 10 is not from 68 to 65535" },
		{ "network",
		  "{\"MacPool\":{\"Ranges\":[{\"StartMacAddress\":\"02-00-00-00-00-02\",\"EndMacAddress\":"
		  "\"02-00-00-00-00-01\"}]}}",
		  "network: MAC ranges: StartMacAddress is not below EndMacAddress" },
		{ "endpoint", "{\"MacAddress\":\"01-00-5E-00-00-01\"}",
		  "endpoint: MacAddress: \"01-00-5E-00-00-01\" is not a MAC address of one card" },
		{ "endpoint", "{\"IpConfigurations\":[{\"IpAddress\":\"10.0.0.1\",\"PrefixLength\":33}]}",
		  "endpoint: IpConfigurations: PrefixLength: not a number from 0 to 32" },
		{ "endpoint", "{\"Routes\":[{\"DestinationPrefix\":\"::/0\",\"NextHop\":\"10.0.0.1\"}]}",
		  "endpoint: Routes: NextHop: not of the family of ::/0" },
		{ "endpoint", "{\"Cowherd\":{\"HostLink\":\"a/b\"}}",
		  "endpoint: Cowherd: HostLink: \"a/b\" is not a link's name" },
		{ "namespace", "{\"Type\":\"Odd\"}",
		  "namespace: Type: \"Odd\" is not Host, HostDefault, Guest or GuestDefault" },
		{ "namespace", "{\"Resources\":[{\"Type\":\"Endpoint\",\"Data\":{\"Id\":\"e\"}}]}",
		  "namespace: Resources: Data: ID: \"e\" is not a GUID" },
		{ "balancer", "{\"PortMappings\":[{\"Protocol\":1}]}",
		  "load balancer: PortMappings: Protocol: not 6 (tcp) or 17 (udp)" },
		{ "balancer", "{\"PortMappings\":[{\"Protocol\":6,\"InternalPort\":0,\"ExternalPort\":1}]}",
		  "load balancer: PortMappings: InternalPort: not a number from 1 to 65535" },
		{ "list", "{\"Policies\":[{\"Type\":\"ELB\"},{\"Type\":\"ROUTE\"}]}",
		  "policy list: Policies: ELB and ROUTE do not go together" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json_object *o = json(bad[i].text);
		struct plug_error err = { 0 };
		struct net_network *n = NULL;
		struct net_endpoint *e = NULL;
		struct net_namespace *ns = NULL;
		struct net_balancer *b = NULL;
		struct net_sdn_route *route = NULL;
		int r = *bad[i].what == 'l'	       ? net_hns_list_parse(o, &b, &route, &err)
			: *bad[i].what == 'b'	       ? net_hcn_balancer_parse(o, &b, &err)
			: *bad[i].what == 'e'	       ? net_hcn_endpoint_parse(o, &e, &err)
			: !strcmp(bad[i].what, "network") ? net_hcn_network_parse(o, &n, &err)
							  : net_hcn_namespace_parse(o, &ns, &err);

		assert_true(r < 0);
		assert_int_equal(err.code, r);
		assert_string_equal(err.text, bad[i].error);
		json_object_put(o);
	}
}

/* hcn's own checks, with its texts. */
static void create_checks(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"10.0.0.0/24\",\"Routes\":[{\"NextHo"
			"p\":\"\","
		  "\"DestinationPrefix\":\"0.0.0.0/0\"}]}]}]}",
		  "network create error, subnet has address prefix but no gateway specified" },
		{ "{\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"10.0.0.0/24\",\"Routes\":[{\"NextHop\":"
		  "\"10.0.0.1\",\"DestinationPrefix\":\"10.1.0.0/16\"}]}]}]}",
		  "network create error, no default gateway" },
		{ "{\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"10.0.0.0/24\"}]}]}",
		  "network create error, no default gateway" },
		{ "{\"Ipams\":[{\"Subnets\":[{}]}]}", NULL },
		{ network_text, NULL },
	};
	struct plug_error err = { 0 };
	struct json_object *o;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r;

		err = (struct plug_error){ 0 };
		o = json(cases[i].text);
		r = net_hcn_network_check(o, &err);
		assert_int_equal(r, cases[i].error ? -EINVAL : 0);
		if (cases[i].error)
			assert_string_equal(err.text, cases[i].error);
		json_object_put(o);
	}
	o = json("{\"HostComputeNamespace\":\"" ID "\"}");
	assert_int_equal(net_hcn_endpoint_check(o, &err), -EINVAL);
	assert_string_equal(err.text, "endpoint create error, endpoint json HostComputeNamespace is read"
		" only and "
				      "should not be set");
	json_object_put(o);
}

static void numbers_and_documents(void **state)
{
	struct json_object *o = json("{\"a\":\"12\",\"b\":-1,\"c\":1.5,\"D\":3,\"e\":99999999999999999999}"),
			   *none = NULL;
	struct plug_error err = { 0 };
	uint64_t n = 77;
	char deep[200];

	(void)state;
	assert_int_equal(net_json_number(o, "a", 100, &n, &err), 0);
	assert_int_equal(n, 12);
	assert_int_equal(net_json_number(o, "b", 100, &n, &err), -EINVAL);
	assert_int_equal(net_json_number(o, "c", 100, &n, &err), -EINVAL);
	assert_int_equal(net_json_number(o, "e", 100, &n, &err), -EINVAL);
	assert_int_equal(net_json_number(o, "d", 100, &n, &err), 0); /* whatever the case */
	assert_int_equal(n, 3);
	assert_int_equal(net_json_number(o, "absent", 100, &n, &err), 0);
	assert_int_equal(n, 3);
	json_object_put(o);
	memset(deep, '[', sizeof(deep));
	assert_int_equal(plug_json_parse(deep, sizeof(deep), "x", &none, &err), -E2BIG);
	assert_int_equal(plug_json_parse("{}x", 3, "x", &none, &err), -EBADMSG);
	assert_int_equal(plug_json_parse("{'a':1}", 7, "x", &none, &err), -EBADMSG);
	assert_int_equal(plug_json_parse("{\"a\":1", 6, "x", &none, &err), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hcn_network),	cmocka_unit_test(hns_network),
		cmocka_unit_test(endpoints),	cmocka_unit_test(namespaces),
		cmocka_unit_test(policy_lists), cmocka_unit_test(refusals),
		cmocka_unit_test(create_checks), cmocka_unit_test(numbers_and_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
