/* SPDX-License-Identifier: MIT */
#include "attach/lists.h"

#include "common/util.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void endpoints_free(struct net_endpoint **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		net_endpoint_free(list[i]);
	free(list);
}

/* Who asks for its own balancer may be sent to itself: back where the frame came from. */
static int ports_hairpin(const struct net_endpoint *const *endpoints, size_t count, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	int r = count ? net_rtnl_open(-1, &host, err) : 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct net_port port = { .hairpin = true, .isolated = endpoints[i]->disable_icc };

		r = net_link_port(host, endpoints[i]->host_link, &port, err);
		if (r == -ENODEV) /* on its way, or a macvlan */
			r = plug_error_none(err);
	}
	return r;
}

/* One without addresses of its own is at the host's: its ports are held as published ones are. */
static int ports_hold(struct net_state *s, const struct net_balancer *b, struct plug_error *err)
{
	size_t count = b->vip_count ? 0 : b->port_count;
	_cleanup_free_ struct net_policy *ports = calloc(count + 1, sizeof(*ports));
	char name[NET_ID_SIZE + 16];

	if (!ports)
		return plug_error_errno(err, -ENOMEM, "load balancer %s", b->id);
	for (size_t i = 0; i < count; i++)
		ports[i] = (struct net_policy){ .kind = NET_POLICY_PORT,
						.port = { .protocol = b->ports[i].protocol,
							  .internal = b->ports[i].internal,
							  .external = b->ports[i].external,
							  .count = 1 } };
	(void)snprintf(name, sizeof(name), "load balancer %s", b->id);
	return net_ports_change(s->ports, b->id, name, ports, count, err);
}

int net_balancer_put(struct net_state *s, const struct net_balancer *b,
		     const struct net_endpoint *const *endpoints, size_t count, struct plug_error *err)
{
	int r = ports_hold(s, b, err);

	if (r == 0)
		r = net_table_put_balancer(s->table, b, endpoints, count, err);
	return r < 0 ? r : ports_hairpin(endpoints, count, err);
}

int net_balancer_drop(struct net_state *s, const char *id, struct plug_error *err)
{
	net_ports_release(s->ports, id);
	return net_table_remove(s->table, id, err);
}

static int balancer_put(struct net_state *s, const struct net_balancer *b, struct plug_error *err)
{
	struct net_endpoint **list = calloc(b->endpoints.count + 1, sizeof(*list));
	size_t count = 0;
	int r;

	if (!list)
		return plug_error_errno(err, -ENOMEM, "load balancer %s", b->id);
	for (size_t i = 0; i < b->endpoints.count; i++) {
		if (net_store_endpoint(s->store, b->endpoints.items[i], &list[count], NULL) < 0)
			continue;
		if (*list[count]->guest_link)
			count++;
		else
			net_endpoint_free(list[count]);
	}
	r = net_balancer_put(s, b, (const struct net_endpoint *const *)list, count, err);
	endpoints_free(list, count);
	return r;
}

/*
 * Those that name this endpoint; NULL: all.  One that is damaged, or cannot be had again, is not worth the
 * others.
 */
static int balancers_refresh(struct net_state *s, const char *endpoint, struct plug_error *err)
{
	struct net_entry *entries;
	size_t count;
	int r = net_store_list(s->store, NET_BALANCERS, NULL, &entries, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct net_balancer *b = NULL;

		if (net_store_balancer(s->store, entries[i].id, &b, NULL) < 0)
			continue;
		if (!endpoint || net_strv_has(&b->endpoints, endpoint))
			r = balancer_put(s, b, err);
		r = endpoint ? r : 0;
		net_balancer_free(b);
	}
	net_entries_free(entries, count);
	return r;
}

int net_balancers_refresh_all(struct net_state *s, struct plug_error *err)
{
	return balancers_refresh(s, NULL, err);
}

int net_sdn_route_apply(struct net_rtnl *inside, const struct net_endpoint *e,
			const struct net_sdn_route *route, bool add, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < route->route_count; i++) {
		const struct net_kernel_route one = { .destination = route->routes[i].destination,
						      .next_hop = route->routes[i].next_hop,
						      .metric = route->routes[i].metric,
						      .link = e->guest_link,
						      .onlink = route->routes[i].next_hop.family != 0 };

		r = add ? net_route_add(inside, &one, err) : net_route_delete(inside, &one, err);
	}
	return r;
}

static int routes_add(struct net_state *s, struct net_rtnl *inside, const struct net_endpoint *e,
		      struct plug_error *err)
{
	struct net_entry *entries;
	size_t count;
	int r = net_store_list(s->store, NET_SDN_ROUTES, NULL, &entries, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct net_sdn_route *route = NULL;

		if (net_store_sdn_route(s->store, entries[i].id, &route, NULL) < 0)
			continue;
		if (net_strv_has(&route->endpoints, e->id))
			r = net_sdn_route_apply(inside, e, route, true, err);
		net_sdn_route_free(route);
	}
	net_entries_free(entries, count);
	return r;
}

int net_lists_plugged(struct net_state *s, struct net_rtnl *inside, const struct net_endpoint *e,
		      struct plug_error *err)
{
	int r = routes_add(s, inside, e, err);

	return r < 0 ? r : balancers_refresh(s, e->id, err);
}

int net_lists_unplugged(struct net_state *s, const char *id, struct plug_error *err)
{
	return balancers_refresh(s, id, err);
}
