/* SPDX-License-Identifier: MIT */
/* Objects as JSON, and which of them a query means. */
#include "common/util.h"
#include "model/shape.h"
#include "verbs/api.h"

#include <string.h>
#include <strings.h>

static int missing(struct plug_error *err)
{
	return plug_error_errno(err, -ENOMEM, "query");
}

/* HNS shows the network's name in an endpoint. */
static struct json_object *endpoint_hns(const struct net_api *api, const struct net_endpoint *e)
{
	struct net_network *n = NULL;
	struct json_object *o;

	(void)net_store_network(api->store, e->network, &n, NULL);
	o = net_hns_endpoint_print(e, n ? n->name : NULL);
	net_network_free(n);
	return o;
}

static int one_read(const struct net_api *api, enum net_kind kind, const char *ref, bool hns,
		    struct json_object **ret, struct plug_error *err)
{
	struct net_network *n = NULL;
	struct net_endpoint *e = NULL;
	struct net_namespace *ns = NULL;
	struct net_balancer *b = NULL;
	struct net_sdn_route *route = NULL;
	int r = -EINVAL;

	*ret = NULL;
	switch (kind) {
	case NET_NETWORKS:
		r = net_store_network(api->store, ref, &n, err);
		if (r == 0)
			*ret = hns ? net_hns_network_print(n) : net_hcn_network_print(n);
		break;
	case NET_ENDPOINTS:
		r = net_store_endpoint(api->store, ref, &e, err);
		if (r == 0)
			*ret = hns ? endpoint_hns(api, e) : net_hcn_endpoint_print(e);
		break;
	case NET_NAMESPACES:
		r = net_store_namespace(api->store, ref, &ns, err);
		if (r == 0)
			*ret = hns ? net_hns_namespace_print(ns) : net_hcn_namespace_print(ns);
		break;
	case NET_BALANCERS:
		r = net_store_balancer(api->store, ref, &b, err);
		if (r == 0)
			*ret = hns ? net_hns_balancer_print(b) : net_hcn_balancer_print(b);
		break;
	case NET_SDN_ROUTES:
	case NET_KIND_COUNT:
		r = net_store_sdn_route(api->store, ref, &route, err);
		if (r == 0)
			*ret = hns ? net_hns_sdn_route_print(route) : net_hcn_sdn_route_print(route);
		break;
	}
	net_network_free(n);
	net_endpoint_free(e);
	net_namespace_free(ns);
	net_balancer_free(b);
	net_sdn_route_free(route);
	return r == 0 && !*ret ? missing(err) : r;
}

int net_api_get(const struct net_api *api, enum net_kind kind, const char *ref, bool hns,
		struct json_object **ret, struct plug_error *err)
{
	return one_read(api, kind, ref, hns, ret, err);
}

/* Ids and types are the same in either case. */
static bool value_equals(struct json_object *a, struct json_object *b)
{
	if (json_object_is_type(a, json_type_string) && json_object_is_type(b, json_type_string))
		return !strcasecmp(json_object_get_string(a), json_object_get_string(b));
	return json_object_equal(a, b);
}

/* Every member of wanted is one of the object, in either shape. */
static bool matches(struct json_object *wanted, struct json_object *hcn, struct json_object *hns)
{
	json_object_object_foreach(wanted, key, value)
	{
		struct json_object *one = net_json_get(hcn, key), *other = net_json_get(hns, key);

		if (!(one && value_equals(one, value)) && !(other && value_equals(other, value)))
			return false;
	}
	return true;
}

/* {"SchemaVersion", "Flags", "Filter": "{\"ID\": …}"} */
static int filter_parse(struct json_object *query, struct json_object **ret, struct plug_error *err)
{
	const char *text = "";
	uint64_t flags = 0;
	int r = net_json_string(query, "Filter", &text, err);

	if (r == 0)
		r = net_json_number(query, "Flags", UINT32_MAX, &flags, err);
	if (r < 0 || !*text)
		return r;
	r = plug_json_parse(text, strlen(text), "Filter", ret, err);
	if (r == 0 && !json_object_is_type(*ret, json_type_object)) {
		json_object_put(plug_take_ptr(*ret));
		r = plug_error_set(err, -EINVAL, "Filter: not an object");
	}
	return r;
}

/* One that is gone by now, or damaged, is not among them. */
static int one_add(const struct net_api *api, enum net_kind kind, const char *id,
		   struct json_object *filter, bool hns, struct json_object *list, struct plug_error *err)
{
	_cleanup_json_ struct json_object *shown = NULL, *other = NULL;
	int r = one_read(api, kind, id, hns, &shown, NULL);

	if (r == 0 && filter)
		r = one_read(api, kind, id, !hns, &other, NULL);
	if (r == -ENOMEM)
		return missing(err);
	if (r < 0 || (filter && !matches(filter, shown, other)))
		return 0;
	if (json_object_array_add(list, shown) < 0)
		return missing(err);
	shown = NULL;
	return 0;
}

int net_api_query(const struct net_api *api, enum net_kind kind, struct json_object *query, bool hns,
		  struct json_object **ret, struct plug_error *err)
{
	_cleanup_json_ struct json_object *filter = NULL, *list = json_object_new_array();
	struct net_entry *entries;
	size_t count;
	int r = list ? filter_parse(query, &filter, err) : missing(err);

	if (r == 0)
		r = net_store_list(api->store, kind, NULL, &entries, &count, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = one_add(api, kind, entries[i].id, filter, hns, list, err);
	net_entries_free(entries, count);
	if (r == 0)
		*ret = plug_take_ptr(list);
	return r;
}
