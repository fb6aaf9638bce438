/* SPDX-License-Identifier: MIT */
/* HNS's namespaces and policy lists. */
#include "model/parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int net_hns_namespace_parse(struct json_object *o, struct net_namespace **ret, struct plug_error *err)
{
	struct net_namespace *ns = calloc(1, sizeof(*ns));
	bool host = false;
	int r = ns ? net_part_id(o, "ID", ns->id, err) : plug_error_errno(err, -ENOMEM, "namespace");

	if (r == 0)
		r = net_json_bool(o, "IsDefault", &host, err);
	if (r == 0)
		r = net_part_u32(o, "CompartmentId", &ns->number, err);
	if (r == 0)
		r = net_part_resources(o, "ResourceList", ns, err);
	if (r < 0) {
		net_namespace_free(ns);
		return net_part_of(err, r, "namespace");
	}
	ns->type = host ? NET_NS_HOST_DEFAULT : NET_NS_HOST;
	*ret = ns;
	return 0;
}

struct json_object *net_hns_namespace_print(const struct net_namespace *ns)
{
	struct json_object *o = json_object_new_object();

	net_json_add_string(&o, "ID", ns->id);
	if (ns->type == NET_NS_HOST_DEFAULT || ns->type == NET_NS_GUEST_DEFAULT)
		net_json_add(&o, "IsDefault", json_object_new_boolean(true));
	if (ns->resource_count)
		net_json_add(&o, "ResourceList", net_print_resources(ns, "Id"));
	if (ns->number)
		net_json_add(&o, "CompartmentId", json_object_new_int64(ns->number));
	return o;
}

/* {"Type":"ELB","SourceVIP","VIPs","ILB","IsDSR","Protocol","InternalPort","ExternalPort"} */
static int elb_parse(struct json_object *o, struct net_balancer *b, struct plug_error *err)
{
	bool internal = false, direct = false;
	int r = net_part_addr(o, "SourceVIP", &b->source_vip, err);

	if (r == 0)
		r = net_part_vips(o, "VIPs", b, err);
	if (r == 0)
		r = net_json_bool(o, "ILB", &internal, err);
	if (r == 0)
		r = net_json_bool(o, "IsDSR", &direct, err);
	b->flags |= (internal ? NET_BALANCER_INTERNAL : 0) | (direct ? NET_BALANCER_DIRECT : 0);
	return r ?: net_part_balancer_port(o, b, err);
}

/* {"Type":"ROUTE","DestinationPrefix","NextHop","NeedEncap"}: HCN's members, too. */
static int route_parse(struct json_object *policies, struct net_sdn_route *route, struct plug_error *err)
{
	struct json_object *o = json_object_new_object();
	int r;

	net_json_add(&o, "Policies", json_object_get(policies));
	r = o ? net_part_routes(o, "Policies", &route->routes, &route->route_count, err)
	      : plug_error_errno(err, -ENOMEM, "Policies");
	json_object_put(o);
	return r;
}

/* All of one type, as the service demands; *ret_elb: which. */
static int list_type(struct json_object *policies, bool *ret_elb, struct plug_error *err)
{
	size_t n = plug_json_length(policies), elbs = 0;
	int r = 0;

	if (!n || n > 4096)
		return plug_error_set(err, -EINVAL, "Policies: not from 1 to 4096");
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *type = "";

		r = net_json_string(json_object_array_get_idx(policies, i), "Type", &type, err);
		if (r == 0 && strcasecmp(type, "ELB") && strcasecmp(type, "ROUTE"))
			r = plug_error_set(err, -EINVAL, "Type: \"%.64s\" is not ELB or ROUTE", type);
		elbs += r == 0 && !strcasecmp(type, "ELB");
	}
	if (r == 0 && elbs && elbs != n)
		r = plug_error_set(err, -EINVAL, "Policies: ELB and ROUTE do not go together");
	*ret_elb = elbs > 0;
	return r;
}

static int list_parse(struct json_object *o, bool elb, struct json_object *policies,
		      struct net_balancer *b, struct net_sdn_route *route, struct plug_error *err)
{
	int r = net_part_id(o, "ID", elb ? b->id : route->id, err);

	if (r == 0)
		r = net_part_ids(o, "References", elb ? &b->endpoints : &route->endpoints, err);
	if (r == 0 && !elb)
		return route_parse(policies, route, err);
	for (size_t i = 0; r == 0 && i < plug_json_length(policies); i++)
		r = elb_parse(json_object_array_get_idx(policies, i), b, err);
	return r;
}

int net_hns_list_parse(struct json_object *o, struct net_balancer **ret_balancer,
		       struct net_sdn_route **ret_route, struct plug_error *err)
{
	struct json_object *policies = NULL;
	struct net_balancer *b = NULL;
	struct net_sdn_route *route = NULL;
	bool elb = false;
	int r = net_json_array(o, "Policies", &policies, err) ?: list_type(policies, &elb, err);

	if (r == 0) {
		b = elb ? calloc(1, sizeof(*b)) : NULL;
		route = elb ? NULL : calloc(1, sizeof(*route));
		r = b || route ? list_parse(o, elb, policies, b, route, err)
			       : plug_error_errno(err, -ENOMEM, "policy list");
	}
	if (r < 0) {
		net_balancer_free(b);
		net_sdn_route_free(route);
		return net_part_of(err, r, "policy list");
	}
	*ret_balancer = b;
	*ret_route = route;
	return 0;
}

static struct json_object *references_print(const struct net_strv *ids)
{
	struct json_object *list = json_object_new_array();
	char text[sizeof("/endpoints/") + NET_ID_SIZE];

	for (size_t i = 0; i < ids->count; i++) {
		(void)snprintf(text, sizeof(text), "/endpoints/%s", ids->items[i]);
		net_json_append(&list, json_object_new_string(text));
	}
	return list;
}

static struct json_object *list_print(const char *id, const struct net_strv *endpoints,
				      struct json_object *policies)
{
	struct json_object *o = json_object_new_object();

	net_json_add_string(&o, "ID", id);
	net_json_add(&o, "References", references_print(endpoints));
	net_json_add(&o, "Policies", policies);
	return o;
}

struct json_object *net_hns_balancer_print(const struct net_balancer *b)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < b->port_count; i++) {
		struct json_object *one = json_object_new_object();

		net_json_add_string(&one, "Type", "ELB");
		net_json_add(&one, "Protocol", json_object_new_int(b->ports[i].protocol));
		net_json_add(&one, "InternalPort", json_object_new_int(b->ports[i].internal));
		net_json_add(&one, "ExternalPort", json_object_new_int(b->ports[i].external));
		net_print_addr(&one, "SourceVIP", &b->source_vip);
		if (b->vip_count)
			net_json_add(&one, "VIPs", net_print_vips(b));
		if (b->flags & NET_BALANCER_INTERNAL)
			net_json_add(&one, "ILB", json_object_new_boolean(true));
		if (b->flags & NET_BALANCER_DIRECT)
			net_json_add(&one, "IsDSR", json_object_new_boolean(true));
		net_json_append(&list, one);
	}
	return list_print(b->id, &b->endpoints, list);
}

struct json_object *net_hns_sdn_route_print(const struct net_sdn_route *r)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < r->route_count; i++) {
		struct json_object *one = net_print_route(&r->routes[i], true);

		net_json_add_string(&one, "Type", "ROUTE");
		net_json_append(&list, one);
	}
	return list_print(r->id, &r->endpoints, list);
}
