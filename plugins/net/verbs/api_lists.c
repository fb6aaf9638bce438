/* SPDX-License-Identifier: MIT */
/* Load balancers and SDN routes: objects that name endpoints. */
#include "common/util.h"
#include "verbs/api.h"

#include <string.h>

static int endpoints_check(const struct net_api *api, const struct net_strv *ids, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ids->count; i++) {
		struct net_endpoint *e = NULL;

		r = net_store_endpoint(api->store, ids->items[i], &e, err);
		net_endpoint_free(e);
	}
	return r;
}

/* Those that are plugged in: *ret and each of them to be freed. */
static int plugged_read(const struct net_api *api, const struct net_strv *ids,
			struct net_endpoint ***ret, size_t *ret_count, struct plug_error *err)
{
	struct net_endpoint **list = calloc(ids->count + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return plug_error_errno(err, -ENOMEM, "endpoints");
	for (size_t i = 0; i < ids->count; i++) {
		if (net_store_endpoint(api->store, ids->items[i], &list[count], NULL) < 0)
			continue;
		if (*list[count]->namespace_id)
			count++;
		else
			net_endpoint_free(list[count]);
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

static void plugged_free(struct net_endpoint **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		net_endpoint_free(list[i]);
	free(list);
}

static int balancer_apply(const struct net_api *api, const struct net_balancer *b, struct plug_error *err)
{
	struct net_endpoint **list;
	size_t count;
	int r = plugged_read(api, &b->endpoints, &list, &count, err);

	if (r < 0)
		return r;
	r = api->effects->balancer_put(api->arg, b, (const struct net_endpoint *const *)list, count, err);
	plugged_free(list, count);
	return r;
}

/* The same port of the same address, or of the host. */
static bool balancers_meet(const struct net_balancer *a, const struct net_balancer *b, uint16_t *ret_port)
{
	bool addresses = !a->vip_count && !b->vip_count;

	for (size_t i = 0; i < a->vip_count; i++)
		for (size_t j = 0; j < b->vip_count; j++)
			addresses = addresses || net_addr_same(&a->vips[i], &b->vips[j]);
	for (size_t i = 0; addresses && i < a->port_count; i++)
		for (size_t j = 0; j < b->port_count; j++) {
			*ret_port = a->ports[i].external;
			if (a->ports[i].protocol == b->ports[j].protocol && b->ports[j].external == *ret_port)
				return true;
		}
	return false;
}

static int balancer_check(const struct net_api *api, const struct net_balancer *b, struct plug_error *err)
{
	struct net_entry *entries;
	size_t count;
	int r = net_store_list(api->store, NET_BALANCERS, NULL, &entries, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct net_balancer *other = NULL;
		uint16_t port;

		if (net_store_balancer(api->store, entries[i].id, &other, NULL) < 0)
			continue;
		if (strcmp(other->id, b->id) != 0 && balancers_meet(b, other, &port))
			r = plug_error_set(err, -EADDRINUSE,
					   "load balancer: ExternalPort: %u: in use by load balancer %s",
					   port, other->id);
		net_balancer_free(other);
	}
	net_entries_free(entries, count);
	return r;
}

int net_api_balancer_create(const struct net_api *api, struct net_balancer *b, struct net_balancer **ret,
			    struct plug_error *err)
{
	int r = b->port_count ? 0
			      : plug_error_set(err, -EINVAL, "load balancer: PortMappings: none");

	if (r == 0 && !*b->id && net_id_make(b->id) < 0)
		r = plug_error_errno(err, -EIO, "load balancer: id");
	if (r == 0)
		r = net_store_lock(api->store, err);
	if (r == 0) {
		r = endpoints_check(api, &b->endpoints, err);
		if (r == 0)
			r = balancer_check(api, b, err);
		if (r == 0)
			r = net_store_put_balancer(api->store, b, NET_PUT_NEW, err);
		if (r == 0) {
			r = balancer_apply(api, b, err);
			if (r < 0) {
				(void)api->effects->balancer_remove(api->arg, b, NULL);
				(void)net_store_remove(api->store, NET_BALANCERS, b->id, NULL);
			}
		}
		net_store_unlock(api->store);
	}
	if (r == 0 && ret)
		*ret = b;
	else
		net_balancer_free(b);
	return r;
}

int net_api_balancer_remove(const struct net_api *api, const char *ref, struct plug_error *err)
{
	struct net_balancer *b = NULL;
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	r = net_store_balancer(api->store, ref, &b, err);
	if (r == 0)
		r = api->effects->balancer_remove(api->arg, b, err);
	if (r == 0)
		r = net_store_remove(api->store, NET_BALANCERS, b->id, err);
	net_store_unlock(api->store);
	net_balancer_free(b);
	return r;
}

/* Into, or out of, one endpoint's namespace; one that is nowhere gets them when it is plugged in. */
static int route_apply(const struct net_api *api, const struct net_sdn_route *route,
		       const struct net_endpoint *e, bool add, struct plug_error *err)
{
	struct net_namespace *ns = NULL;
	int r;

	if (!*e->namespace_id)
		return 0;
	r = net_store_namespace(api->store, e->namespace_id, &ns, err);
	if (r == 0)
		r = api->effects->route(api->arg, e, ns, route, add, err);
	net_namespace_free(ns);
	return r;
}

static int routes_apply(const struct net_api *api, const struct net_sdn_route *route, bool add,
			struct plug_error *err)
{
	struct net_endpoint **list;
	size_t count;
	int r = plugged_read(api, &route->endpoints, &list, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = route_apply(api, route, list[i], add, err);
	plugged_free(list, count);
	return r;
}

int net_api_sdn_route_create(const struct net_api *api, struct net_sdn_route *route,
			     struct net_sdn_route **ret, struct plug_error *err)
{
	int r = route->route_count ? 0 : plug_error_set(err, -EINVAL, "SDN route: Setting: none");

	if (r == 0 && !*route->id && net_id_make(route->id) < 0)
		r = plug_error_errno(err, -EIO, "SDN route: id");
	if (r == 0)
		r = net_store_lock(api->store, err);
	if (r == 0) {
		r = endpoints_check(api, &route->endpoints, err);
		if (r == 0)
			r = net_store_put_sdn_route(api->store, route, NET_PUT_NEW, err);
		if (r == 0) {
			r = routes_apply(api, route, true, err);
			if (r < 0) {
				(void)routes_apply(api, route, false, NULL);
				(void)net_store_remove(api->store, NET_SDN_ROUTES, route->id, NULL);
			}
		}
		net_store_unlock(api->store);
	}
	if (r == 0 && ret)
		*ret = route;
	else
		net_sdn_route_free(route);
	return r;
}

int net_api_sdn_route_remove(const struct net_api *api, const char *ref, struct plug_error *err)
{
	struct net_sdn_route *route = NULL;
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	r = net_store_sdn_route(api->store, ref, &route, err);
	if (r == 0)
		r = routes_apply(api, route, false, err);
	if (r == 0)
		r = net_store_remove(api->store, NET_SDN_ROUTES, route->id, err);
	net_store_unlock(api->store);
	net_sdn_route_free(route);
	return r;
}

static void strv_drop(struct net_strv *v, const char *text)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->items[i], text) != 0)
			v->items[kept++] = v->items[i];
		else
			free(v->items[i]);
	v->count = kept;
}

static int balancer_moved(const struct net_api *api, const char *id, const struct net_endpoint *e,
			  bool gone, struct plug_error *err)
{
	struct net_balancer *b = NULL;
	int r = net_store_balancer(api->store, id, &b, err);

	if (r == 0 && net_strv_has(&b->endpoints, e->id)) {
		if (gone) {
			strv_drop(&b->endpoints, e->id);
			r = net_store_put_balancer(api->store, b, NET_PUT_CHANGE, err);
		}
		if (r == 0)
			r = balancer_apply(api, b, err);
	}
	net_balancer_free(b);
	return r;
}

static int route_moved(const struct net_api *api, const char *id, const struct net_endpoint *e,
		       bool gone, struct plug_error *err)
{
	struct net_sdn_route *route = NULL;
	int r = net_store_sdn_route(api->store, id, &route, err);

	if (r == 0 && net_strv_has(&route->endpoints, e->id)) {
		if (gone) {
			strv_drop(&route->endpoints, e->id);
			r = net_store_put_sdn_route(api->store, route, NET_PUT_CHANGE, err);
		} else {
			r = route_apply(api, route, e, true, err);
		}
	}
	net_sdn_route_free(route);
	return r;
}

int net_api_endpoint_moved(const struct net_api *api, const struct net_endpoint *e, bool gone,
			   struct plug_error *err)
{
	static const enum net_kind kinds[] = { NET_BALANCERS, NET_SDN_ROUTES };
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	for (size_t k = 0; r == 0 && k < PLUG_ELEMENTS(kinds); k++) {
		struct net_entry *entries;
		size_t count;

		r = net_store_list(api->store, kinds[k], NULL, &entries, &count, err);
		if (r < 0)
			break;
		for (size_t i = 0; r == 0 && i < count; i++)
			r = kinds[k] == NET_BALANCERS ? balancer_moved(api, entries[i].id, e, gone, err)
						      : route_moved(api, entries[i].id, e, gone, err);
		net_entries_free(entries, count);
	}
	net_store_unlock(api->store);
	return r;
}
