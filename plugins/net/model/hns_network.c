/* SPDX-License-Identifier: MIT */
/* HNSNetwork and HNSEndpoint. */
#include "model/parts.h"

#include <errno.h>
#include <string.h>

static int dns_parse(struct json_object *o, struct net_dns *dns, struct plug_error *err)
{
	int r = net_part_commas(o, "DNSSuffix", &dns->search, err);

	if (r == 0)
		r = net_part_copy(o, "DNSDomain", &dns->domain, err);
	if (r == 0)
		r = net_part_commas(o, "DNSServerList", &dns->servers, err);
	return r ?: net_part_servers_check(&dns->servers, "DNSServerList", err);
}

static void dns_print(struct json_object **o, const struct net_dns *dns)
{
	net_json_add(o, "DNSSuffix", net_print_commas(&dns->search));
	net_json_add(o, "DNSServerList", net_print_commas(&dns->servers));
	net_json_add_string(o, "DNSDomain", dns->domain);
}

static int subnet_parse(struct json_object *o, struct net_network *n, struct plug_error *err)
{
	struct net_subnet subnet = { 0 };
	struct json_object *policies = NULL;
	const char *prefix = NULL;
	int r = net_json_string(o, "AddressPrefix", &prefix, err);

	if (r < 0 || !prefix || !*prefix)
		return r;
	if (net_addr_parse_prefix(prefix, &subnet.prefix) < 0)
		return plug_error_set(err, -EINVAL, "AddressPrefix: \"%.64s\" is not a prefix", prefix);
	r = net_part_addr(o, "GatewayAddress", &subnet.gateway, err);
	if (r == 0)
		r = net_json_array(o, "Policies", &policies, err);
	if (r == 0)
		r = net_part_subnet_policies(policies, true, &subnet, err);
	if (r == 0)
		r = net_part_subnet_add(n, &subnet, err);
	if (r < 0)
		net_policies_free(subnet.policies, subnet.policy_count);
	return r;
}

static int network_parse(struct json_object *o, struct net_network *n, struct plug_error *err)
{
	struct json_object *policies = NULL, *pools = NULL, *subnets = NULL;
	int r = net_part_id(o, "ID", n->id, err);

	if (r == 0)
		r = net_part_name(o, &n->name, err);
	if (r == 0)
		r = net_part_type(o, &n->type, err);
	if (r == 0)
		r = net_part_copy(o, "NetworkAdapterName", &n->adapter, err);
	if (r == 0)
		r = net_part_mac(o, "SourceMac", &n->source_mac, err);
	if (r == 0)
		r = net_json_array(o, "Policies", &policies, err);
	if (r == 0)
		r = net_part_network_policies(policies, true, n, err);
	if (r == 0)
		r = net_json_array(o, "MacPools", &pools, err) ?: net_part_ranges(pools, n, err);
	if (r == 0)
		r = net_json_array(o, "Subnets", &subnets, err);
	for (size_t i = 0; r == 0 && i < plug_json_length(subnets); i++)
		r = subnet_parse(json_object_array_get_idx(subnets, i), n, err);
	if (r == 0)
		r = dns_parse(o, &n->dns, err);
	if (r == 0)
		r = net_part_addr(o, "ManagementIP", &n->management, err);
	return r ?: net_json_bool(o, "AutomaticDNS", &n->automatic_dns, err);
}

int net_hns_network_parse(struct json_object *o, struct net_network **ret, struct plug_error *err)
{
	struct net_network *n = calloc(1, sizeof(*n));
	int r = n ? network_parse(o, n, err) : plug_error_errno(err, -ENOMEM, "network");

	if (r < 0) {
		net_network_free(n);
		return net_part_of(err, r, "network");
	}
	*ret = n;
	return 0;
}

struct json_object *net_hns_network_print(const struct net_network *n)
{
	struct json_object *o = json_object_new_object(), *subnets = json_object_new_array();

	for (size_t i = 0; i < n->subnet_count; i++) {
		struct json_object *one = json_object_new_object();

		net_print_prefix(&one, "AddressPrefix", &n->subnets[i].prefix);
		net_print_addr(&one, "GatewayAddress", &n->subnets[i].gateway);
		net_json_add(&one, "Policies", net_print_subnet_policies(&n->subnets[i], true));
		net_json_append(&subnets, one);
	}
	net_json_add_string(&o, "ID", n->id);
	net_json_add(&o, "Name", json_object_new_string(n->name ? n->name : ""));
	net_json_add_string(&o, "Type", net_type_name(n->type));
	net_json_add_string(&o, "NetworkAdapterName", n->adapter);
	net_print_mac(&o, "SourceMac", &n->source_mac);
	net_json_add(&o, "Policies", net_print_network_policies(n, true));
	net_json_add(&o, "MacPools", net_print_ranges(n));
	net_json_add(&o, "Subnets", subnets);
	dns_print(&o, &n->dns);
	net_json_add(&o, "DNSServerCompartment", json_object_new_int(0));
	net_print_addr(&o, "ManagementIP", &n->management);
	net_json_add(&o, "AutomaticDNS", json_object_new_boolean(n->automatic_dns));
	return o;
}

static int ip_parse(struct json_object *o, const char *key, const char *length, struct net_endpoint *e,
		    struct plug_error *err)
{
	struct net_addr ip = { 0 };
	uint64_t len = 0;
	int r = net_part_addr(o, key, &ip, err);

	if (r < 0 || !ip.family)
		return r;
	if (ip.family != (strstr(key, "v6") ? AF_INET6 : AF_INET))
		return plug_error_set(err, -EINVAL, "%s: of the other family", key);
	r = net_json_number(o, length, net_addr_bits(&ip), &len, err);
	ip.prefix = len ? (uint8_t)len : net_addr_bits(&ip);
	if (r == 0)
		e->ips[e->ip_count++] = ip;
	return r;
}

/* EncapOverhead is a member here and a policy there. */
static int encap_parse(struct json_object *o, struct net_endpoint *e, struct plug_error *err)
{
	struct net_policy policy = { .kind = NET_POLICY_ENCAP };
	uint64_t n = 0;
	int r = net_json_number(o, "EncapOverhead", UINT16_MAX, &n, err);

	if (r < 0 || !n || net_policies_find(e->policies, e->policy_count, NET_POLICY_ENCAP))
		return r;
	policy.number = (uint32_t)n;
	r = net_policies_add(&e->policies, &e->policy_count, &policy);
	return r < 0 ? plug_error_errno(err, r, "EncapOverhead") : 0;
}

/* What makes an endpoint what it is. */
static int endpoint_parse(struct json_object *o, struct net_endpoint *e, struct plug_error *err)
{
	struct json_object *policies = NULL;
	int r = net_part_id(o, "ID", e->id, err);

	if (r == 0)
		r = net_part_name(o, &e->name, err);
	if (r == 0)
		r = net_part_id(o, "VirtualNetwork", e->network, err);
	if (r == 0)
		r = net_part_mac(o, "MacAddress", &e->mac, err);
	e->ips = calloc(2, sizeof(*e->ips));
	if (r == 0 && !e->ips)
		r = plug_error_errno(err, -ENOMEM, "endpoint");
	if (r == 0)
		r = ip_parse(o, "IPAddress", "PrefixLength", e, err);
	if (r == 0)
		r = ip_parse(o, "IPv6Address", "IPv6PrefixLength", e, err);
	if (r == 0)
		r = net_part_addr(o, "GatewayAddress", &e->gateway, err);
	if (r == 0)
		r = net_part_addr(o, "GatewayAddressV6", &e->gateway6, err);
	if (r == 0)
		r = dns_parse(o, &e->dns, err);
	if (r == 0)
		r = net_json_array(o, "Policies", &policies, err);
	if (r == 0)
		r = net_policies_parse(policies, NET_POLICY_HNS, NET_POLICY_OF_ENDPOINT, &e->policies,
				       &e->policy_count, err);
	return r ?: encap_parse(o, e, err);
}

static int endpoint_flags(struct json_object *o, struct net_endpoint *e, struct plug_error *err)
{
	struct json_object *namespace = NULL;
	bool remote = false;
	int r = net_json_bool(o, "EnableInternalDNS", &e->internal_dns, err);

	if (r == 0)
		r = net_json_bool(o, "DisableICC", &e->disable_icc, err);
	if (r == 0)
		r = net_json_bool(o, "EnableLowMetric", &e->low_metric, err);
	if (r == 0)
		r = net_json_bool(o, "IsRemoteEndpoint", &remote, err);
	e->flags = remote ? NET_ENDPOINT_REMOTE : 0;
	if (r == 0)
		r = net_json_object(o, "Namespace", &namespace, err);
	if (r == 0)
		r = net_part_id(namespace, "ID", e->namespace_id, err);
	return r ?: net_part_strings(o, "SharedContainers", &e->containers, err);
}

int net_hns_endpoint_parse(struct json_object *o, struct net_endpoint **ret, struct plug_error *err)
{
	struct net_endpoint *e = calloc(1, sizeof(*e));
	int r = e ? endpoint_parse(o, e, err) : plug_error_errno(err, -ENOMEM, "endpoint");

	if (r == 0)
		r = endpoint_flags(o, e, err);
	if (r < 0) {
		net_endpoint_free(e);
		return net_part_of(err, r, "endpoint");
	}
	*ret = e;
	return 0;
}

/* The first of each family: HNS has room for no more. */
static void ips_print(struct json_object **o, const struct net_endpoint *e)
{
	bool seen[2] = { false, false };

	for (size_t i = 0; i < e->ip_count; i++) {
		bool six = e->ips[i].family == AF_INET6;

		if (seen[six])
			continue;
		seen[six] = true;
		net_print_addr(o, six ? "IPv6Address" : "IPAddress", &e->ips[i]);
		net_json_add(o, six ? "IPv6PrefixLength" : "PrefixLength",
			     json_object_new_int(e->ips[i].prefix));
	}
}

struct json_object *net_hns_endpoint_print(const struct net_endpoint *e, const char *network)
{
	struct json_object *o = json_object_new_object();
	const struct net_policy *encap =
		net_policies_find(e->policies, e->policy_count, NET_POLICY_ENCAP);

	net_json_add_string(&o, "ID", e->id);
	net_json_add(&o, "Name", json_object_new_string(e->name ? e->name : ""));
	net_json_add_string(&o, "VirtualNetwork", e->network);
	net_json_add_string(&o, "VirtualNetworkName", network);
	net_json_add(&o, "Policies",
		     net_policies_print(e->policies, e->policy_count, NET_POLICY_HNS));
	net_print_mac(&o, "MacAddress", &e->mac);
	ips_print(&o, e);
	dns_print(&o, &e->dns);
	net_print_addr(&o, "GatewayAddress", &e->gateway);
	net_print_addr(&o, "GatewayAddressV6", &e->gateway6);
	net_json_add(&o, "EnableInternalDNS", json_object_new_boolean(e->internal_dns));
	net_json_add(&o, "DisableICC", json_object_new_boolean(e->disable_icc));
	net_json_add(&o, "IsRemoteEndpoint",
		     json_object_new_boolean((e->flags & NET_ENDPOINT_REMOTE) != 0));
	net_json_add(&o, "EnableLowMetric", json_object_new_boolean(e->low_metric));
	if (*e->namespace_id)
		net_json_add(&o, "Namespace", net_print_id("ID", e->namespace_id));
	if (encap)
		net_json_add(&o, "EncapOverhead", json_object_new_int64(encap->number));
	if (e->containers.count)
		net_json_add(&o, "SharedContainers", net_print_strings(&e->containers));
	return o;
}
