/* SPDX-License-Identifier: MIT */
/* HostComputeEndpoint and HostComputeNamespace. */
#include "model/parts.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define IPS_MAX 256

static int ips_parse(struct json_object *o, struct net_endpoint *e, struct plug_error *err)
{
	struct json_object *list = NULL;
	int r = net_json_array(o, "IpConfigurations", &list, err);
	size_t n = plug_json_length(list);

	if (r < 0 || !n)
		return r;
	if (n > IPS_MAX)
		return plug_error_set(err, -E2BIG, "IpConfigurations: more than %d", IPS_MAX);
	e->ips = calloc(n, sizeof(*e->ips));
	if (!e->ips)
		return plug_error_errno(err, -ENOMEM, "IpConfigurations");
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		struct net_addr *ip = &e->ips[e->ip_count];
		uint64_t len = 0;

		r = net_part_addr(one, "IpAddress", ip, err);
		if (r == 0 && !ip->family)
			continue; /* one is to be chosen */
		if (r == 0)
			r = net_json_number(one, "PrefixLength", net_addr_bits(ip), &len, err);
		ip->prefix = len ? (uint8_t)len : net_addr_bits(ip);
		e->ip_count++;
	}
	return r < 0 ? net_part_of(err, r, "IpConfigurations") : 0;
}

/* The first default route of each family is the gateway. */
static void gateways_find(struct net_endpoint *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->route_count; i++) {
		const struct net_route *route = &e->routes[i];
		struct net_addr *gateway =
			route->destination.family == AF_INET ? &e->gateway : &e->gateway6;

		if (net_route_default(route) && route->next_hop.family && !gateway->family)
			*gateway = route->next_hop;
		else
			e->routes[kept++] = *route;
	}
	e->route_count = kept;
}

static int own_parse(struct json_object *o, struct net_endpoint *e, struct plug_error *err)
{
	struct json_object *own = NULL;
	int r = net_json_object(o, "Cowherd", &own, err);

	if (r < 0 || !own)
		return r;
	r = net_part_link(own, "HostLink", e->host_link, err);
	if (r == 0)
		r = net_part_link(own, "GuestLink", e->guest_link, err);
	if (r == 0)
		r = net_part_strings(own, "Containers", &e->containers, err);
	if (r == 0)
		r = net_part_strings(own, "Aliases", &e->aliases, err);
	if (r == 0)
		r = net_json_bool(own, "InternalDNS", &e->internal_dns, err);
	if (r == 0)
		r = net_json_bool(own, "DisableICC", &e->disable_icc, err);
	if (r == 0)
		r = net_json_bool(own, "LowMetric", &e->low_metric, err);
	if (r == 0)
		r = net_json_bool(own, "Durable", &e->durable, err);
	return r < 0 ? net_part_of(err, r, "Cowherd") : 0;
}

static int endpoint_parse(struct json_object *o, struct net_endpoint *e, struct plug_error *err)
{
	struct json_object *dns = NULL, *policies = NULL;
	int r = net_part_id(o, "ID", e->id, err);

	if (r == 0)
		r = net_part_name(o, &e->name, err);
	if (r == 0)
		r = net_part_id(o, "HostComputeNetwork", e->network, err);
	if (r == 0)
		r = net_part_id(o, "HostComputeNamespace", e->namespace_id, err);
	if (r == 0)
		r = ips_parse(o, e, err);
	if (r == 0)
		r = net_json_object(o, "Dns", &dns, err) ?: net_hcn_dns_parse(dns, &e->dns, err);
	if (r == 0)
		r = net_part_routes(o, "Routes", &e->routes, &e->route_count, err);
	if (r == 0)
		r = net_part_mac(o, "MacAddress", &e->mac, err);
	if (r == 0)
		r = net_part_u32(o, "Flags", &e->flags, err);
	if (r == 0)
		r = net_json_array(o, "Policies", &policies, err);
	if (r == 0)
		r = net_policies_parse(policies, NET_POLICY_HCN, NET_POLICY_OF_ENDPOINT, &e->policies,
				       &e->policy_count, err);
	if (r == 0)
		r = own_parse(o, e, err);
	gateways_find(e);
	return r;
}

int net_hcn_endpoint_parse(struct json_object *o, struct net_endpoint **ret, struct plug_error *err)
{
	struct net_endpoint *e = calloc(1, sizeof(*e));
	int r = e ? endpoint_parse(o, e, err) : plug_error_errno(err, -ENOMEM, "endpoint");

	if (r < 0) {
		net_endpoint_free(e);
		return net_part_of(err, r, "endpoint");
	}
	*ret = e;
	return 0;
}

int net_hcn_endpoint_check(struct json_object *o, struct plug_error *err)
{
	const char *namespace = NULL;
	int r = net_json_string(o, "HostComputeNamespace", &namespace, err);

	if (r < 0)
		return r;
	if (namespace && *namespace)
		return plug_error_set(err, -EINVAL,
				      "endpoint create error, endpoint json HostComputeNamespace is read "
				      "only and should not be set");
	return 0;
}

static struct json_object *own_print(const struct net_endpoint *e)
{
	struct json_object *own = json_object_new_object();

	net_json_add_string(&own, "HostLink", e->host_link);
	net_json_add_string(&own, "GuestLink", e->guest_link);
	if (e->containers.count)
		net_json_add(&own, "Containers", net_print_strings(&e->containers));
	if (e->aliases.count)
		net_json_add(&own, "Aliases", net_print_strings(&e->aliases));
	if (e->internal_dns)
		net_json_add(&own, "InternalDNS", json_object_new_boolean(true));
	if (e->disable_icc)
		net_json_add(&own, "DisableICC", json_object_new_boolean(true));
	if (e->low_metric)
		net_json_add(&own, "LowMetric", json_object_new_boolean(true));
	if (e->durable)
		net_json_add(&own, "Durable", json_object_new_boolean(true));
	return own;
}

struct json_object *net_hcn_endpoint_print(const struct net_endpoint *e)
{
	struct json_object *o = json_object_new_object(), *ips = json_object_new_array(),
			   *routes = json_object_new_array();

	for (size_t i = 0; i < e->ip_count; i++) {
		struct json_object *one = json_object_new_object();

		net_print_addr(&one, "IpAddress", &e->ips[i]);
		net_json_add(&one, "PrefixLength", json_object_new_int(e->ips[i].prefix));
		net_json_append(&ips, one);
	}
	net_print_gateway(&routes, &e->gateway);
	net_print_gateway(&routes, &e->gateway6);
	for (size_t i = 0; i < e->route_count; i++)
		net_json_append(&routes, net_print_route(&e->routes[i], false));
	net_json_add_string(&o, "ID", e->id);
	net_json_add(&o, "Name", json_object_new_string(e->name ? e->name : ""));
	net_json_add_string(&o, "HostComputeNetwork", e->network);
	net_json_add_string(&o, "HostComputeNamespace", e->namespace_id);
	net_json_add(&o, "Policies",
		     net_policies_print(e->policies, e->policy_count, NET_POLICY_HCN));
	net_json_add(&o, "IpConfigurations", ips);
	net_json_add(&o, "Dns", net_hcn_dns_print(&e->dns));
	net_json_add(&o, "Routes", routes);
	net_print_mac(&o, "MacAddress", &e->mac);
	net_json_add(&o, "Flags", json_object_new_int64(e->flags));
	net_json_add(&o, "Health", json_object_new_object());
	net_print_version(&o);
	net_json_add(&o, "Cowherd", own_print(e));
	return o;
}

static const char *const namespace_types[NET_NS_TYPE_COUNT] = {
	[NET_NS_HOST] = "Host",
	[NET_NS_HOST_DEFAULT] = "HostDefault",
	[NET_NS_GUEST] = "Guest",
	[NET_NS_GUEST_DEFAULT] = "GuestDefault",
};

static int namespace_type(struct json_object *o, enum net_namespace_type *ret, struct plug_error *err)
{
	const char *type = NULL;
	int r = net_json_string(o, "Type", &type, err);

	if (r < 0 || !type || !*type)
		return r;
	for (unsigned i = 0; i < NET_NS_TYPE_COUNT; i++)
		if (!strcasecmp(type, namespace_types[i])) {
			*ret = (enum net_namespace_type)i;
			return 0;
		}
	return plug_error_set(err, -EINVAL,
			      "Type: \"%.64s\" is not Host, HostDefault, Guest or GuestDefault", type);
}

int net_part_resources(struct json_object *o, const char *key, struct net_namespace *ns,
		       struct plug_error *err)
{
	struct json_object *list = NULL;
	int r = net_json_array(o, key, &list, err);

	if (r == 0 && plug_json_length(list) > 4096)
		return plug_error_set(err, -E2BIG, "%s: more than 4096", key);
	for (size_t i = 0; r == 0 && i < plug_json_length(list); i++)
		r = net_part_resource(json_object_array_get_idx(list, i), ns, err);
	return r < 0 ? net_part_of(err, r, key) : 0;
}

static int resource_type(struct json_object *o, bool *ret_container, struct plug_error *err)
{
	const char *type = "";
	int r = net_json_string(o, "Type", &type, err);

	if (r < 0)
		return r;
	*ret_container = !strcasecmp(type, "Container");
	if (!*ret_container && strcasecmp(type, "Endpoint") != 0)
		return plug_error_set(err, -EINVAL, "Type: \"%.64s\" is not Container or Endpoint", type);
	return 0;
}

/* {"Type": "Endpoint", "Data": {"ID": …}}; a container's id is no GUID here. */
int net_part_resource(struct json_object *o, struct net_namespace *ns, struct plug_error *err)
{
	struct json_object *data = NULL;
	char guid[NET_ID_SIZE];
	const char *id = "";
	bool container = false;
	int r = resource_type(o, &container, err);

	if (r == 0)
		r = net_json_object(o, "Data", &data, err) ?: net_json_string(data, "ID", &id, err);
	if (r < 0)
		return r;
	if (!*id || strlen(id) > NET_NAME_MAX)
		return plug_error_set(err, -EINVAL, "Data: ID: missing");
	if (!container && net_id_parse(id, guid) < 0)
		return plug_error_set(err, -EINVAL, "Data: ID: \"%.64s\" is not a GUID", id);
	r = net_namespace_add(ns, container, container ? id : guid);
	if (r == -EEXIST)
		return plug_error_set(err, r, "Data: ID: %.64s is there twice", id);
	return r < 0 ? plug_error_errno(err, r, "Data") : 0;
}

int net_hcn_namespace_parse(struct json_object *o, struct net_namespace **ret, struct plug_error *err)
{
	struct net_namespace *ns = calloc(1, sizeof(*ns));
	struct json_object *own = NULL;
	int r = ns ? net_part_id(o, "ID", ns->id, err) : plug_error_errno(err, -ENOMEM, "namespace");

	if (r == 0)
		r = net_part_u32(o, "NamespaceId", &ns->number, err);
	if (r == 0)
		r = namespace_type(o, &ns->type, err);
	if (r == 0)
		r = net_part_resources(o, "Resources", ns, err);
	if (r == 0)
		r = net_json_object(o, "Cowherd", &own, err);
	if (r == 0)
		r = net_part_copy(own, "Path", &ns->path, err);
	if (r == 0 && ns->path && *ns->path != '/')
		r = plug_error_set(err, -EINVAL, "Cowherd: Path: not absolute");
	if (r == 0)
		r = net_json_bool(own, "Durable", &ns->durable, err);
	if (r < 0) {
		net_namespace_free(ns);
		return net_part_of(err, r, "namespace");
	}
	*ret = ns;
	return 0;
}

struct json_object *net_print_resources(const struct net_namespace *ns, const char *id)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < ns->resource_count; i++) {
		struct json_object *one = json_object_new_object();

		net_json_add_string(&one, "Type",
				    ns->resources[i].container ? "Container" : "Endpoint");
		net_json_add(&one, "Data", net_print_id(id, ns->resources[i].id));
		net_json_append(&list, one);
	}
	return list;
}

struct json_object *net_hcn_namespace_print(const struct net_namespace *ns)
{
	struct json_object *o = json_object_new_object(), *own = json_object_new_object();

	net_json_add_string(&o, "ID", ns->id);
	net_json_add(&o, "NamespaceId", json_object_new_int64(ns->number));
	net_json_add_string(&o, "Type",
			    (unsigned)ns->type < NET_NS_TYPE_COUNT ? namespace_types[ns->type] : "");
	net_json_add(&o, "Resources", net_print_resources(ns, "Id"));
	net_print_version(&o);
	net_json_add_string(&own, "Path", ns->path);
	if (ns->durable)
		net_json_add(&own, "Durable", json_object_new_boolean(true));
	net_json_add(&o, "Cowherd", own);
	return o;
}
