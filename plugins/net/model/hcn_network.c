/* SPDX-License-Identifier: MIT */
/* HostComputeNetwork. */
#include "common/util.h"
#include "model/parts.h"
#include "model/shape.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* {"NextHop","DestinationPrefix","Metric"}; without a next hop it is on the link. */
static int route_parse(struct json_object *o, struct net_route *route, struct plug_error *err)
{
	const char *destination = "";
	int r = net_json_string(o, "DestinationPrefix", &destination, err);

	if (r == 0 && net_addr_parse_prefix(destination, &route->destination) < 0)
		r = plug_error_set(err, -EINVAL, "DestinationPrefix: \"%.64s\" is not a prefix",
				   destination);
	if (r == 0)
		r = net_part_addr(o, "NextHop", &route->next_hop, err);
	if (r == 0)
		r = net_part_u32(o, "Metric", &route->metric, err);
	if (r == 0)
		r = net_json_bool(o, "NeedEncap", &route->encap, err);
	if (r == 0 && route->next_hop.family && route->next_hop.family != route->destination.family)
		r = plug_error_set(err, -EINVAL, "NextHop: not of the family of %.64s", destination);
	return r;
}

int net_part_routes(struct json_object *o, const char *key, struct net_route **ret, size_t *ret_count,
		    struct plug_error *err)
{
	struct json_object *list = NULL;
	int r = net_json_array(o, key, &list, err);
	size_t n = plug_json_length(list);

	if (r < 0 || !n)
		return r;
	if (n > 4096)
		return plug_error_set(err, -E2BIG, "%s: more than 4096", key);
	*ret = calloc(n, sizeof(**ret));
	if (!*ret)
		return plug_error_errno(err, -ENOMEM, "%s", key);
	*ret_count = n;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = route_parse(json_object_array_get_idx(list, i), &(*ret)[i], err);
	return r < 0 ? net_part_of(err, r, key) : 0;
}

bool net_route_default(const struct net_route *route)
{
	return !route->destination.prefix && net_addr_is_any(&route->destination);
}

struct json_object *net_print_route(const struct net_route *route, bool sdn)
{
	struct json_object *o = json_object_new_object();
	char text[NET_ADDR_TEXT];

	net_addr_format(&route->next_hop, text);
	net_json_add(&o, "NextHop", json_object_new_string(text));
	net_addr_format_prefix(&route->destination, text);
	net_json_add_string(&o, "DestinationPrefix", text);
	if (sdn)
		net_json_add(&o, "NeedEncap", json_object_new_boolean(route->encap));
	else if (route->metric)
		net_json_add(&o, "Metric", json_object_new_int64(route->metric));
	return o;
}

/* The default route as HCN has it. */
void net_print_gateway(struct json_object **list, const struct net_addr *gateway)
{
	struct net_route route = { .next_hop = *gateway };

	if (!gateway->family)
		return;
	route.destination.family = gateway->family;
	net_json_append(list, net_print_route(&route, false));
}

int net_hcn_dns_parse(struct json_object *o, struct net_dns *ret, struct plug_error *err)
{
	int r = net_part_copy(o, "Domain", &ret->domain, err);

	if (r == 0)
		r = net_part_strings(o, "Search", &ret->search, err);
	if (r == 0)
		r = net_part_strings(o, "ServerList", &ret->servers, err);
	if (r == 0)
		r = net_part_servers_check(&ret->servers, "ServerList", err);
	if (r == 0)
		r = net_part_strings(o, "Options", &ret->options, err);
	return r < 0 ? net_part_of(err, r, "Dns") : 0;
}

struct json_object *net_hcn_dns_print(const struct net_dns *dns)
{
	struct json_object *o = json_object_new_object();

	net_json_add_string(&o, "Domain", dns->domain);
	if (dns->search.count)
		net_json_add(&o, "Search", net_print_strings(&dns->search));
	if (dns->servers.count)
		net_json_add(&o, "ServerList", net_print_strings(&dns->servers));
	if (dns->options.count)
		net_json_add(&o, "Options", net_print_strings(&dns->options));
	return o;
}

void net_print_version(struct json_object **o)
{
	struct json_object *version = json_object_new_object();

	net_json_add(&version, "Major", json_object_new_int(2));
	net_json_add(&version, "Minor", json_object_new_int(0));
	net_json_add(o, "SchemaVersion", version);
}

/* The default route's next hop is the gateway; others stay. */
static void gateway_find(struct net_subnet *subnet)
{
	size_t kept = 0;

	for (size_t i = 0; i < subnet->route_count; i++)
		if (net_route_default(&subnet->routes[i]) && !subnet->gateway.family &&
		    subnet->routes[i].destination.family == subnet->prefix.family)
			subnet->gateway = subnet->routes[i].next_hop;
		else
			subnet->routes[kept++] = subnet->routes[i];
	subnet->route_count = kept;
}

static int subnet_parse(struct json_object *o, struct net_network *n, struct plug_error *err)
{
	struct net_subnet subnet = { 0 };
	struct json_object *policies = NULL;
	const char *prefix = NULL, *range = NULL;
	int r = net_json_string(o, "IpAddressPrefix", &prefix, err);

	if (r < 0 || !prefix || !*prefix)
		return r;
	if (net_addr_parse_prefix(prefix, &subnet.prefix) < 0)
		return plug_error_set(err, -EINVAL, "IpAddressPrefix: \"%.64s\" is not a prefix", prefix);
	r = net_part_routes(o, "Routes", &subnet.routes, &subnet.route_count, err);
	if (r == 0)
		r = net_json_array(o, "Policies", &policies, err);
	if (r == 0)
		r = net_part_subnet_policies(policies, false, &subnet, err);
	if (r == 0)
		r = net_json_string(o, "Range", &range, err);
	if (r == 0 && range && *range &&
	    (net_addr_parse_prefix(range, &subnet.range) < 0 ||
	     !net_addr_contains(&subnet.prefix, &subnet.range)))
		r = plug_error_set(err, -EINVAL, "Range: \"%.64s\" is not a part of %.64s", range, prefix);
	if (r == 0) {
		gateway_find(&subnet);
		r = net_part_subnet_add(n, &subnet, err);
	}
	if (r < 0) {
		free(subnet.routes);
		net_policies_free(subnet.policies, subnet.policy_count);
	}
	return r;
}

static int ipams_parse(struct json_object *o, struct net_network *n, struct plug_error *err)
{
	struct json_object *ipams = NULL;
	int r = net_json_array(o, "Ipams", &ipams, err);

	for (size_t i = 0; r == 0 && i < plug_json_length(ipams); i++) {
		struct json_object *ipam = json_object_array_get_idx(ipams, i), *subnets = NULL;
		const char *type = "Static";

		r = net_json_string(ipam, "Type", &type, err);
		if (r == 0 && strcasecmp(type, "DHCP") && strcasecmp(type, "Static") && *type)
			r = plug_error_set(err, -EINVAL, "Type: \"%.64s\" is not Static or DHCP", type);
		n->dhcp = n->dhcp || (r == 0 && !strcasecmp(type, "DHCP"));
		if (r == 0)
			r = net_json_array(ipam, "Subnets", &subnets, err);
		for (size_t k = 0; r == 0 && k < plug_json_length(subnets); k++)
			r = subnet_parse(json_object_array_get_idx(subnets, k), n, err);
	}
	return r < 0 ? net_part_of(err, r, "Ipams") : 0;
}

/* {"NAME": "ADDRESS"} */
static int aux_parse(struct json_object *own, struct net_network *n, struct plug_error *err)
{
	struct json_object *all = NULL;
	int r = net_json_object(own, "Reserved", &all, err);

	if (r < 0 || !all)
		return r;
	json_object_object_foreach (all, name, value) {
		struct net_addr a = { 0 };
		bool within = false;

		(void)value;
		r = net_part_addr(all, name, &a, err);
		for (size_t i = 0; r == 0 && i < n->subnet_count; i++)
			within = within || net_addr_contains(&n->subnets[i].prefix, &a);
		if (r == 0 && !within)
			r = plug_error_set(err, -EINVAL, "%.64s: not an address of a subnet", name);
		if (r == 0 && net_network_aux(n, name, &a) < 0)
			r = plug_error_errno(err, -ENOMEM, "%.64s", name);
		if (r < 0)
			return net_part_of(err, r, "Reserved");
	}
	return 0;
}

/* linux/if_link.h: MACVLAN_MODE_… */
static const char *const macvlan_modes[] = {
	[1] = "private", [2] = "vepa", [4] = "bridge", [8] = "passthru",
};

int net_macvlan_mode(const char *text, uint32_t *ret)
{
	for (uint32_t i = 1; i < PLUG_ELEMENTS(macvlan_modes); i <<= 1)
		if (!strcmp(text, macvlan_modes[i])) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

static int mode_parse(struct json_object *own, struct net_network *n, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(own, "MacvlanMode", &text, err);

	if (r < 0 || !text || !*text || net_macvlan_mode(text, &n->macvlan_mode) == 0)
		return r;
	return plug_error_set(err, -EINVAL, "MacvlanMode: \"%.64s\" is not bridge, private, vepa or passthru",
			      text);
}

static int mtu_parse(struct json_object *own, struct net_network *n, struct plug_error *err)
{
	int r = net_part_u32(own, "Mtu", &n->mtu, err);

	if (r == 0 && n->mtu && (n->mtu < 68 || n->mtu > 65535))
		return plug_error_set(err, -EINVAL, "Mtu: %u is not from 68 to 65535", n->mtu);
	return r;
}

/* A name or a path; or all of it, which is kept as text. */
static int conflist_parse(struct json_object *own, struct net_network *n, struct plug_error *err)
{
	struct json_object *o = net_json_get(own, "Conflist");
	const char *text;

	if (!json_object_is_type(o, json_type_object))
		return net_part_copy(own, "Conflist", &n->conflist, err);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	free(n->conflist);
	n->conflist = text ? strdup(text) : NULL;
	return n->conflist ? 0 : plug_error_errno(err, -ENOMEM, "Conflist");
}

/* What no service of Windows has. */
static int own_parse(struct json_object *o, struct net_network *n, struct plug_error *err)
{
	struct json_object *own = NULL;
	uint64_t created = 0;
	int r = net_json_object(o, "Cowherd", &own, err);

	if (r < 0 || !own)
		return r;
	r = net_part_link(own, "Bridge", n->bridge, err) ?: mtu_parse(own, n, err);
	if (r == 0)
		r = aux_parse(own, n, err) ?: mode_parse(own, n, err);
	if (r == 0)
		r = conflist_parse(own, n, err);
	if (r == 0)
		r = net_part_strings(own, "Labels", &n->labels, err);
	if (r == 0)
		r = net_part_addr(own, "ManagementIP", &n->management, err);
	if (r == 0)
		r = net_json_bool(own, "Configured", &n->configured, err);
	if (r == 0)
		r = net_json_number(own, "Created", INT64_MAX, &created, err);
	n->created = (int64_t)created;
	return r < 0 ? net_part_of(err, r, "Cowherd") : 0;
}

int net_part_type(struct json_object *o, enum net_type *ret, struct plug_error *err)
{
	const char *type = NULL;
	int r = net_json_string(o, "Type", &type, err);

	if (r < 0 || !type || !*type)
		return r;
	if (net_type_parse(type, ret) < 0)
		return plug_error_set(err, -EINVAL,
				      "Type: \"%.64s\" is not NAT, Transparent, L2Bridge, L2Tunnel, ICS, "
				      "Private, Internal, Overlay or CNI",
				      type);
	return 0;
}

int net_hcn_network_parse(struct json_object *o, struct net_network **ret, struct plug_error *err)
{
	struct net_network *n = calloc(1, sizeof(*n));
	struct json_object *pool = NULL, *ranges = NULL, *dns = NULL, *policies = NULL;
	int r = n ? net_part_id(o, "ID", n->id, err) : plug_error_errno(err, -ENOMEM, "network");

	if (r == 0)
		r = net_part_name(o, &n->name, err);
	if (r == 0)
		r = net_part_type(o, &n->type, err);
	if (r == 0)
		r = net_json_object(o, "MacPool", &pool, err) ?: net_json_array(pool, "Ranges", &ranges, err);
	if (r == 0)
		r = net_part_ranges(ranges, n, err);
	if (r == 0)
		r = net_json_object(o, "Dns", &dns, err) ?: net_hcn_dns_parse(dns, &n->dns, err);
	if (r == 0)
		r = ipams_parse(o, n, err);
	if (r == 0)
		r = net_part_u32(o, "Flags", &n->flags, err);
	if (r == 0)
		r = net_json_array(o, "Policies", &policies, err);
	if (r == 0)
		r = net_part_network_policies(policies, false, n, err);
	if (r == 0)
		r = own_parse(o, n, err);
	if (r < 0) {
		net_network_free(n);
		return net_part_of(err, r, "network");
	}
	*ret = n;
	return 0;
}

static struct json_object *ipams_print(const struct net_network *n)
{
	struct json_object *ipams = json_object_new_array(), *ipam = json_object_new_object(),
			   *subnets = json_object_new_array();

	for (size_t i = 0; i < n->subnet_count; i++) {
		const struct net_subnet *s = &n->subnets[i];
		struct json_object *one = json_object_new_object(), *routes = json_object_new_array();

		net_print_prefix(&one, "IpAddressPrefix", &s->prefix);
		net_print_prefix(&one, "Range", &s->range);
		net_json_add(&one, "Policies", net_print_subnet_policies(s, false));
		net_print_gateway(&routes, &s->gateway);
		for (size_t k = 0; k < s->route_count; k++)
			net_json_append(&routes, net_print_route(&s->routes[k], false));
		net_json_add(&one, "Routes", routes);
		net_json_append(&subnets, one);
	}
	net_json_add_string(&ipam, "Type", n->dhcp ? "DHCP" : "Static");
	net_json_add(&ipam, "Subnets", subnets);
	net_json_append(&ipams, ipam);
	return ipams;
}

static struct json_object *aux_print(const struct net_network *n)
{
	struct json_object *all = json_object_new_object();

	for (size_t i = 0; i < n->aux_count; i++)
		net_print_addr(&all, n->aux[i].name, &n->aux[i].addr);
	return all;
}

static struct json_object *own_print(const struct net_network *n)
{
	struct json_object *own = json_object_new_object();

	net_json_add_string(&own, "Bridge", n->bridge);
	if (n->mtu)
		net_json_add(&own, "Mtu", json_object_new_int64(n->mtu));
	if (n->aux_count)
		net_json_add(&own, "Reserved", aux_print(n));
	if (n->macvlan_mode)
		net_json_add_string(&own, "MacvlanMode", macvlan_modes[n->macvlan_mode]);
	if (n->conflist && *n->conflist == '{')
		net_json_add(&own, "Conflist", json_tokener_parse(n->conflist));
	else
		net_json_add_string(&own, "Conflist", n->conflist);
	if (n->labels.count)
		net_json_add(&own, "Labels", net_print_strings(&n->labels));
	net_print_addr(&own, "ManagementIP", &n->management);
	if (n->configured)
		net_json_add(&own, "Configured", json_object_new_boolean(true));
	if (n->created)
		net_json_add(&own, "Created", json_object_new_int64(n->created));
	return own;
}

struct json_object *net_hcn_network_print(const struct net_network *n)
{
	struct json_object *o = json_object_new_object(), *pool = json_object_new_object();

	net_json_add_string(&o, "ID", n->id);
	net_json_add(&o, "Name", json_object_new_string(n->name ? n->name : ""));
	net_json_add_string(&o, "Type", net_type_name(n->type));
	net_json_add(&o, "Policies", net_print_network_policies(n, false));
	net_json_add(&pool, "Ranges", net_print_ranges(n));
	net_json_add(&o, "MacPool", pool);
	net_json_add(&o, "Dns", net_hcn_dns_print(&n->dns));
	net_json_add(&o, "Ipams", ipams_print(n));
	net_json_add(&o, "Flags", json_object_new_int64(n->flags));
	net_json_add(&o, "Health", json_object_new_object());
	net_print_version(&o);
	net_json_add(&o, "Cowherd", own_print(n));
	return o;
}

/* hcn/hcnnetwork.go, Create. */
static int subnet_check(struct json_object *subnet, struct plug_error *err)
{
	struct json_object *routes = net_json_get(subnet, "Routes");
	const char *prefix = NULL, *text;
	bool found = false;
	int r = net_json_string(subnet, "IpAddressPrefix", &prefix, err);

	if (r < 0 || !prefix || !*prefix)
		return r;
	for (size_t i = 0; i < plug_json_length(routes); i++) {
		struct json_object *route = json_object_array_get_idx(routes, i);

		text = NULL;
		r = net_json_string(route, "NextHop", &text, err);
		if (r < 0)
			return r;
		if (!text || !*text)
			return plug_error_set(err, -EINVAL,
					      "network create error, subnet has address prefix but no "
					      "gateway specified");
		text = "";
		r = net_json_string(route, "DestinationPrefix", &text, err);
		if (r < 0)
			return r;
		found = found || !strcmp(text, "0.0.0.0/0") || !strcmp(text, "::/0");
	}
	return found ? 0 : plug_error_set(err, -EINVAL, "network create error, no default gateway");
}

int net_hcn_network_check(struct json_object *o, struct plug_error *err)
{
	struct json_object *ipams = net_json_get(o, "Ipams");
	int r = 0;

	for (size_t i = 0; r == 0 && i < plug_json_length(ipams); i++) {
		struct json_object *subnets =
			net_json_get(json_object_array_get_idx(ipams, i), "Subnets");

		for (size_t k = 0; r == 0 && k < plug_json_length(subnets); k++)
			r = subnet_check(json_object_array_get_idx(subnets, k), err);
	}
	return r;
}
