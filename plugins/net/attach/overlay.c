/* SPDX-License-Identifier: MIT */
#include "attach/overlay.h"

#include "attach/bridge.h"
#include "model/make.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Outer Ethernet, UDP and VXLAN headers are 30 bytes. */
#define OVERHEAD_IPV4 50u
#define OVERHEAD_IPV6 70u
#define MTU_USUAL 1500u
#define VXLAN_PREFIX "cx"

static void tunnel_name(const struct net_network *n, char ret[NET_LINK_SIZE])
{
	net_link_name(VXLAN_PREFIX, n->id, ret);
}

/* This host's address for the tunnels: HNS's ManagementIP, HCN's ProviderAddress; family 0: as routed. */
static struct net_addr own_address(const struct net_network *n)
{
	const struct net_policy *p = net_policies_find(n->policies, n->policy_count, NET_POLICY_PROVIDER);

	return net_addr_is_set(&n->management) || !p ? n->management : p->address;
}

/* Tunnels are of one family: that of their own end, or of whoever is there first. */
static uint8_t family_of(const struct net_network *n)
{
	struct net_addr own = own_address(n);
	const struct net_policy *p = net_policies_find(n->policies, n->policy_count, NET_POLICY_ROUTE);

	return own.family ? own.family : p ? p->route.provider.family : AF_INET;
}

/* ---- the size of packets */

struct holder {
	struct net_addr address;
	int index;
};

static int holder_look(void *arg, int index, const struct net_addr *addr)
{
	struct holder *h = arg;

	if (net_addr_same(&h->address, addr))
		h->index = index;
	return 0;
}

struct sized {
	int index;
	uint32_t mtu;
};

static int sized_look(void *arg, const struct net_link_info *link)
{
	struct sized *s = arg;

	if (link->index == s->index)
		s->mtu = link->mtu;
	return 0;
}

uint32_t net_overlay_mtu(struct net_rtnl *r, const struct net_network *n, uint32_t *ret_encap)
{
	struct holder holder = { .address = own_address(n) };
	struct sized below = { 0 };
	struct net_link_info adapter;
	uint32_t encap = family_of(n) == AF_INET6 ? OVERHEAD_IPV6 : OVERHEAD_IPV4;

	if (n->adapter && net_link_find(r, n->adapter, &adapter, NULL) == 0)
		below.mtu = adapter.mtu;
	else if (holder.address.family && net_address_list(r, holder_look, &holder, NULL) == 0) {
		below.index = holder.index;
		(void)net_link_list(r, sized_look, &below, NULL);
	}
	if (!below.mtu)
		below.mtu = MTU_USUAL;
	*ret_encap = encap;
	return below.mtu > encap + 68 ? below.mtu - encap : 68;
}

/* ---- who is behind it */

static bool is_within(const struct net_network *n, const struct net_addr *a)
{
	for (size_t i = 0; i < n->subnet_count; i++)
		if (net_addr_overlaps(&n->subnets[i].prefix, a))
			return true;
	return false;
}

/* MAC behind a host, where nobody else has to be asked or told. */
static int reach(struct net_rtnl *r, const char *tunnel, const uint8_t *mac, const struct net_addr *host,
		 struct plug_error *err)
{
	int result = net_link_fdb(r, tunnel, mac, host, true, err);

	return result < 0 ? result : net_link_fdb_port(r, tunnel, mac, true, err);
}

/* A subnet of another host.  Its first address stands for the router there, as nobody has it. */
static int subnet_add(struct net_rtnl *r, const struct net_network *n, const char *tunnel,
		      const struct net_policy_route *route, struct plug_error *err)
{
	struct net_addr router = net_addr_network(&route->destination);
	struct net_kernel_route way = { .destination = route->destination,
					.link = n->bridge,
					.onlink = true };
	int result;

	router.prefix = net_addr_bits(&router);
	way.next_hop = router;
	result = reach(r, tunnel, route->router.bytes, &route->provider, err);
	if (result == 0)
		result = net_neighbour_add(r, n->bridge, &router, route->router.bytes, err);
	return result < 0 ? result : net_route_add(r, &way, err);
}

static int subnets_add(struct net_rtnl *r, const struct net_network *n, const char *tunnel,
		       struct plug_error *err)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < n->policy_count; i++) {
		const struct net_policy_route *route = &n->policies[i].route;

		if (n->policies[i].kind != NET_POLICY_ROUTE || !route->remote)
			continue;
		result = is_within(n, &route->destination) ?
				 net_link_fdb(r, tunnel, NULL, &route->provider, true, err) :
				 subnet_add(r, n, tunnel, route, err);
	}
	return result;
}

static int remote_add(struct net_rtnl *r, const struct net_network *n, const char *tunnel,
		      const struct net_endpoint *e, struct plug_error *err)
{
	const struct net_policy *host =
		net_policies_find(e->policies, e->policy_count, NET_POLICY_PROVIDER);
	struct net_mac mac = net_endpoint_mac(n, e);
	int result = host ? reach(r, tunnel, mac.bytes, &host->address, err) :
			    plug_error_set(err, -EINVAL, "endpoint %s: ProviderAddress: missing",
					   e->name ? e->name : e->id);

	for (size_t i = 0; result == 0 && i < e->ip_count; i++) {
		struct net_kernel_route way = { .destination = net_addr_host(&e->ips[i]), .link = n->bridge };

		result = net_neighbour_add(r, n->bridge, &e->ips[i], mac.bytes, err);
		if (result == 0 && !is_within(n, &way.destination))
			result = net_route_add(r, &way, err);
	}
	return result;
}

static int remote_delete(struct net_rtnl *r, const struct net_network *n, const char *tunnel,
			 const struct net_endpoint *e, struct plug_error *err)
{
	struct net_mac mac = net_endpoint_mac(n, e);
	int result = net_link_fdb(r, tunnel, mac.bytes, NULL, false, err);

	if (result == 0)
		result = net_link_fdb_port(r, tunnel, mac.bytes, false, err);
	for (size_t i = 0; result == 0 && i < e->ip_count; i++) {
		struct net_kernel_route way = { .destination = net_addr_host(&e->ips[i]), .link = n->bridge };

		result = net_neighbour_delete(r, n->bridge, &e->ips[i], err);
		if (result == 0 && !is_within(n, &way.destination))
			result = net_route_delete(r, &way, err);
	}
	return result;
}

static int remotes_add(const struct net_state *s, struct net_rtnl *r, const struct net_network *n,
		       const char *tunnel, struct plug_error *err)
{
	struct net_entry *entries = NULL;
	size_t count = 0;
	int result = net_store_list(s->store, NET_ENDPOINTS, n->id, &entries, &count, err);

	for (size_t i = 0; result == 0 && i < count; i++) {
		struct net_endpoint *e = NULL;

		/* A damaged one is not worth all the others. */
		if (net_store_endpoint(s->store, entries[i].id, &e, NULL) == 0 &&
		    e->flags & NET_ENDPOINT_REMOTE)
			result = remote_add(r, n, tunnel, e, err);
		net_endpoint_free(e);
	}
	net_entries_free(entries, count);
	return result;
}

/* ---- routes that were by the tunnel */

struct stale {
	const struct net_network *n;
	int index;
	struct net_addr *items;
	size_t count;
};

static int stale_look(void *arg, const struct net_addr *destination, int link)
{
	struct stale *s = arg;
	struct net_addr *grown;

	if (link != s->index || is_within(s->n, destination) || destination->bytes[0] >= 0xfe)
		return 0;
	grown = reallocarray(s->items, s->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->items = grown;
	s->items[s->count++] = *destination;
	return 0;
}

static int routes_clear(struct net_rtnl *r, const struct net_network *n, const struct net_link_info *bridge,
			struct plug_error *err)
{
	struct stale stale = { .n = n, .index = bridge->index };
	int result = net_route_list(r, stale_look, &stale, err);

	for (size_t i = 0; result == 0 && i < stale.count; i++)
		result = net_route_delete(r,
					  &(struct net_kernel_route){ .destination = stale.items[i],
								      .link = n->bridge },
					  err);
	free(stale.items);
	return result;
}

/* ---- the tunnel */

static int tunnel_make(struct net_rtnl *r, const struct net_network *n, const char *tunnel,
		       const char *alias, const struct net_link_info *bridge, struct plug_error *err)
{
	struct net_link link = { .name = tunnel, .kind = NET_LINK_VXLAN, .master = bridge->index, .up = true,
				 .alias = alias, .vni = net_network_vsid(n), .port = n->vxlan_port,
				 .local = own_address(n) };
	struct net_link_info adapter;
	int result = 0;

	/* Of no address in particular, but of a family. */
	link.local.family = family_of(n);
	if (n->adapter)
		result = net_link_find(r, n->adapter, &adapter, err);
	if (result == -ENODEV)
		return plug_error_set(err, result,
				      "network %s: adapter %s: there is no such link on this host", n->name,
				      n->adapter);
	if (result == 0 && n->adapter)
		link.parent = adapter.index;
	if (result == 0)
		result = net_link_create(r, &link, err);
	if (result == -EEXIST)
		return plug_error_set(err, result,
				      "network %s: VSID %u: somebody on this host has it already", n->name,
				      link.vni);
	return result;
}

int net_overlay_make(const struct net_state *s, struct net_rtnl *r, const struct net_network *n,
		     const char *alias, struct plug_error *err)
{
	const struct net_port port = { .suppress = true };
	struct net_link_info bridge;
	char tunnel[NET_LINK_SIZE];
	int result;

	tunnel_name(n, tunnel);
	result = net_link_find(r, n->bridge, &bridge, err);
	if (result == 0)
		result = net_link_delete(r, tunnel, err);
	if (result == 0)
		result = routes_clear(r, n, &bridge, err);
	if (result == 0)
		result = tunnel_make(r, n, tunnel, alias, &bridge, err);
	/* The gateway's address is that of each host: it is asked for here, and not there. */
	if (result == 0)
		result = net_link_port(r, tunnel, &port, err);
	if (result == 0)
		result = subnets_add(r, n, tunnel, err);
	return result < 0 ? result : remotes_add(s, r, n, tunnel, err);
}

int net_overlay_is_there(struct net_rtnl *r, const struct net_network *n, bool *ret, struct plug_error *err)
{
	char tunnel[NET_LINK_SIZE];
	struct net_link_info info;
	int result;

	tunnel_name(n, tunnel);
	result = net_link_find(r, tunnel, &info, err);
	if (result < 0 && result != -ENODEV)
		return result;
	*ret = result == 0 && *info.alias;
	return plug_error_none(err);
}

int net_overlay_change(const struct net_state *s, struct net_rtnl *r, const struct net_network *n,
		       struct plug_error *err)
{
	char alias[NET_ALIAS_SIZE];
	bool there = false;
	int result = n->type == NET_OVERLAY ? net_overlay_is_there(r, n, &there, err) : 0;

	if (result < 0 || !there)
		return result;
	net_bridge_alias(s, n, alias);
	return net_overlay_make(s, r, n, alias, err);
}

int net_overlay_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err)
{
	char tunnel[NET_LINK_SIZE];

	tunnel_name(n, tunnel);
	return net_link_delete(r, tunnel, err);
}

int net_overlay_remote(struct net_rtnl *r, const struct net_network *n, const struct net_endpoint *e,
		       bool add, struct plug_error *err)
{
	char tunnel[NET_LINK_SIZE];
	bool there = false;
	int result;

	if (n->type != NET_OVERLAY || !(e->flags & NET_ENDPOINT_REMOTE))
		return 0;
	result = net_overlay_is_there(r, n, &there, err);
	if (result < 0 || !there)
		return result;
	tunnel_name(n, tunnel);
	return add ? remote_add(r, n, tunnel, e, err) : remote_delete(r, n, tunnel, e, err);
}
