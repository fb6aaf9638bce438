/* SPDX-License-Identifier: MIT */
/* Addresses for an endpoint; and the network they are from. */
#include "attach/parts.h"
#include "attach/trash.h"

#include "attach/networks.h"
#include "common/util.h"
#include "kernel/rtnl.h"
#include "model/make.h"

#include <string.h>

static int add_ip(struct net_endpoint *e, const struct net_addr *ip)
{
	struct net_addr *more = realloc(e->ips, (e->ip_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	e->ips = more;
	e->ips[e->ip_count++] = *ip;
	return 0;
}

static int add_route(struct net_endpoint *e, const struct net_route *route)
{
	struct net_route *more = realloc(e->routes, (e->route_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	e->routes = more;
	e->routes[e->route_count++] = *route;
	return 0;
}

/* The subnet's gateway, and its routes other than the default one. */
static int take_routes(struct net_endpoint *e, const struct net_subnet *subnet)
{
	int r = 0;

	if (subnet->prefix.family == AF_INET)
		e->gateway = subnet->gateway;
	else
		e->gateway6 = subnet->gateway;
	for (size_t i = 0; r == 0 && i < subnet->route_count; i++)
		if (subnet->routes[i].destination.prefix)
			r = add_route(e, &subnet->routes[i]);
	return r;
}

static int take_one(struct net_state *s, const struct net_network *n, size_t subnet,
		    const struct net_addr *wanted, struct net_endpoint *e, struct plug_error *err)
{
	struct net_addr ip;
	int r = net_ipam_take(s->store, n, subnet, wanted, e->id, &ip, err);

	/* Whose it was may be gone already, and only its link not yet. */
	if (r == -EADDRINUSE && wanted && net_trash_empty(s, NULL) == 0) {
		(void)plug_error_none(err);
		r = net_ipam_take(s->store, n, subnet, wanted, e->id, &ip, err);
	}
	if (r < 0)
		return r;
	ip.prefix = n->subnets[subnet].prefix.prefix;
	r = add_ip(e, &ip) ?: take_routes(e, &n->subnets[subnet]);
	return r < 0 ? plug_error_errno(err, r, "network %s", n->name) : 0;
}

/* From the first subnet of the family that has one, or the one that `wanted` lies in. */
static int take_family(struct net_state *s, const struct net_network *n, uint8_t family,
		       const struct net_addr *wanted, struct net_endpoint *e, struct plug_error *err)
{
	bool want = net_addr_is_set(wanted);
	char text[NET_ADDR_TEXT];
	int r = -ENOENT;

	for (size_t i = 0; i < n->subnet_count && (r == -ENOENT || r == -EADDRNOTAVAIL); i++) {
		const struct net_subnet *subnet = &n->subnets[i];

		if (subnet->prefix.family != family || (want && !net_addr_contains(&subnet->prefix, wanted)))
			continue;
		r = take_one(s, n, i, want ? wanted : NULL, e, err);
	}
	if (r != -ENOENT || !want)
		return r == -ENOENT ? 0 : r;
	net_addr_format(wanted, text);
	return plug_error_set(err, -EINVAL, "network %s: address %s lies in none of its subnets", n->name,
			      text);
}

int net_take_addresses(struct net_state *s, const struct net_network *n, const struct net_want *w,
		       struct net_endpoint *e, struct plug_error *err)
{
	int r = take_family(s, n, AF_INET, &w->ip, e, err);

	return r < 0 ? r : take_family(s, n, AF_INET6, &w->ip6, e, err);
}

/* ---- the network */

/* Where nobody has made one: a NAT network like any other, on disk, to be changed or removed. */
static int make_fallback(struct net_state *s, struct net_network **ret, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	struct net_network *n = calloc(1, sizeof(*n));
	_cleanup_free_ struct net_addr *taken = NULL;
	size_t count = 0;
	int result = n ? net_id_make(n->id) : -ENOMEM;

	if (result == 0) {
		n->name = strdup(NET_FALLBACK_NETWORK);
		n->subnets = calloc(1, sizeof(*n->subnets));
		n->type = NET_NAT;
		net_link_name("cow", n->id, n->bridge);
		result = n->name && n->subnets ? 0 : -ENOMEM;
	}
	if (result < 0)
		(void)plug_error_errno(err, result, "network " NET_FALLBACK_NETWORK);
	if (result == 0)
		result = net_rtnl_open(-1, &r, err);
	if (result == 0)
		result = net_route_destinations(r, &taken, &count, err);
	if (result == 0)
		result = net_ipam_subnet_choose(s->store, taken, count, &n->subnets[0], err);
	if (result == 0) {
		n->subnet_count = 1;
		result = net_store_put_network(s->store, n, NET_PUT_NEW, err);
	}
	net_network_free(n);
	/* Another one was faster, or it is ours. */
	return result < 0 && result != -EEXIST ?
		       result :
		       net_store_network(s->store, NET_FALLBACK_NETWORK, ret, err);
}

int net_find_network(struct net_state *s, const char *ref, struct net_network **ret, struct plug_error *err)
{
	int r = net_store_network(s->store, ref, ret, err);

	if (r == -ENOENT && net_networks_failed(ref, err) < 0)
		return r;
	if (r != -ENOENT || strcmp(ref, NET_FALLBACK_NETWORK) != 0)
		return r;
	(void)plug_error_none(err);
	return make_fallback(s, ret, err);
}
