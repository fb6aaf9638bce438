/* SPDX-License-Identifier: MIT */
#include "attach/plug.h"

#include "model/make.h"
#include "policy/policy.h"
#include "policy/rules.h"

#include <errno.h>

/* Bytes that an encapsulation on the way needs: policy EncapOverhead, of the endpoint or its network. */
static uint32_t overhead(const struct net_network *n, const struct net_endpoint *e)
{
	const struct net_policy *p =
		net_policies_find(e->policies, e->policy_count, NET_POLICY_ENCAP);

	if (!p)
		p = net_policies_find(n->policies, n->policy_count, NET_POLICY_ENCAP);
	return p ? p->number : 0;
}

static uint32_t mtu_of(const struct net_place *place, const struct net_network *n,
		       const struct net_endpoint *e)
{
	uint32_t less = overhead(n, e), mtu = place->mtu;

	/* That of our own tunnel is what the document speaks of. */
	if (less <= place->encap)
		return mtu;
	less -= place->encap;
	if (!mtu)
		mtu = 1500;
	return mtu > less + 68 ? mtu - less : 68;
}

/* No IPv6 can come of it: there is no subnet of it, and no router beyond the host that would tell of one. */
static bool without_ipv6(const struct net_network *n)
{
	for (size_t i = 0; i < n->subnet_count; i++)
		if (n->subnets[i].prefix.family == AF_INET6)
			return false;
	return net_type_is_routed(n->type) || n->type == NET_PRIVATE;
}

/*
 * Each link that gets an address of its own tells all others on the bridge, who are woken by it: with many,
 * that takes longer than the rest.  The host's end needs none; the container's where it is of use.
 */
int net_plug_pair(struct net_rtnl *host, struct net_rtnl *inside, int netns,
		  const struct net_place *place, const struct net_network *n, const struct net_endpoint *e,
		  struct plug_error *err)
{
	static const struct net_link_change silent = { .silent = true }, up = { .up = 1 };
	struct net_mac mac = net_endpoint_mac(n, e);
	struct net_link pair = { .name = e->host_link, .kind = NET_LINK_VETH, .mtu = mtu_of(place, n, e),
				 .master = place->index,
				 .peer = { .name = e->guest_link, .mac = mac.bytes, .netns = &netns } };
	int index, r = net_link_create(host, &pair, err);

	if (r < 0)
		return r;
	r = net_link_set(host, e->host_link, &silent, err);
	if (r == 0)
		r = net_link_set(host, e->host_link, &up, err);
	if (r == 0 && without_ipv6(n))
		r = net_link_set(inside, e->guest_link, &silent, err);
	if (r == 0) /* asked for now, it is known when there is a hurry */
		r = net_link_index(inside, e->guest_link, &index, err);
	if (r < 0)
		(void)net_link_delete(host, e->host_link, NULL);
	return r;
}

static int macvlan(struct net_rtnl *host, int netns, const struct net_place *place,
		   const struct net_network *n, const struct net_endpoint *e, struct plug_error *err)
{
	struct net_mac mac = net_endpoint_mac(n, e);
	int r = net_rules_check_bridged(n, e->policies, e->policy_count, err);

	if (r < 0)
		return r;
	/* Under the guest's name at once: made in its namespace, it never is the host's. */
	return net_link_create(host,
			       &(struct net_link){ .name = e->guest_link, .kind = NET_LINK_MACVLAN,
						   .parent = place->index, .mac = mac.bytes,
						   .mode = n->macvlan_mode,
						   .mtu = mtu_of(place, n, e), .netns = &netns },
			       err);
}

static int default_route(struct net_rtnl *inside, const struct net_endpoint *e,
			 const struct net_addr *gateway, struct plug_error *err)
{
	struct net_kernel_route route = { .link = e->guest_link, .next_hop = *gateway, .onlink = true };

	if (!net_addr_is_set(gateway))
		return 0;
	route.destination.family = gateway->family;
	return net_route_add(inside, &route, err);
}

int net_plug_default(struct net_rtnl *inside, const struct net_endpoint *e, struct plug_error *err)
{
	return default_route(inside, e, &e->gateway, err) ?: default_route(inside, e, &e->gateway6, err);
}

static int routes(struct net_rtnl *inside, const struct net_endpoint *e, bool first, struct plug_error *err)
{
	int r = first ? net_plug_default(inside, e, err) : 0;

	for (size_t i = 0; r == 0 && i < e->route_count; i++)
		r = net_route_add(inside,
				  &(struct net_kernel_route){ .link = e->guest_link,
							      .destination = e->routes[i].destination,
							      .next_hop = e->routes[i].next_hop,
							      .metric = e->routes[i].metric },
				  err);
	return r;
}

static bool has_policy(const struct net_endpoint *e, const struct net_policy *p)
{
	for (size_t i = 0; i < e->policy_count; i++)
		if (net_policy_same(&e->policies[i], p))
			return true;
	return false;
}

/* Routes that are policies (SDNRoute, ROUTE); those that `other` (may be NULL) has too stay as they are. */
static int policy_routes(struct net_rtnl *inside, const struct net_endpoint *e,
			 const struct net_endpoint *other, bool add, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < e->policy_count; i++) {
		const struct net_policy_route *route = &e->policies[i].route;
		const struct net_kernel_route one = { .link = e->guest_link,
						      .destination = route->destination,
						      .next_hop = route->next_hop };

		if (e->policies[i].kind != NET_POLICY_ROUTE || route->remote ||
		    (other && has_policy(other, &e->policies[i])))
			continue;
		r = add ? net_route_add(inside, &one, err) : net_route_delete(inside, &one, err);
	}
	return r;
}

static int set_up(struct net_rtnl *inside, const struct net_network *n, const struct net_endpoint *e,
		  bool made, bool first, struct plug_error *err)
{
	struct net_mac mac = net_endpoint_mac(n, e);
	bool other = made && (e->mac.set || n->mac_count), up = made && !other;
	int r = 0;

	if (other) /* than the pool's: its own IPv6 address is made of it */
		r = net_link_set(inside, e->guest_link,
				 &(struct net_link_change){ .up = -1, .mac = mac.bytes }, err);
	/* Before it is up: the addresses are there as the first packet comes. */
	for (size_t i = 0; r == 0 && i < e->ip_count; i++)
		r = net_address_add(inside, e->guest_link, &e->ips[i], err);
	if (r == 0 && !up)
		r = net_link_set(inside, e->guest_link, &(struct net_link_change){ .up = 1 }, err);
	r = r < 0 ? r : routes(inside, e, first, err);
	return r < 0 ? r : policy_routes(inside, e, NULL, true, err);
}

/* Who asks for its own published port gets frames back where they came from. */
static bool hairpin(const struct net_endpoint *e)
{
	return net_policies_find(e->policies, e->policy_count, NET_POLICY_PORT);
}

/* Of both ends; host: NULL where it has only one. */
static int mtu_change(struct net_rtnl *host, struct net_rtnl *inside, const struct net_endpoint *e,
		      uint32_t mtu, struct plug_error *err)
{
	const struct net_link_change change = { .mtu = mtu ? mtu : 1500 };
	int r = host ? net_link_set(host, e->host_link, &change, err) : 0;

	return r < 0 ? r : net_link_set(inside, e->guest_link, &change, err);
}

static int port_set(struct net_rtnl *host, const struct net_endpoint *e, struct plug_error *err)
{
	const struct net_port port = { .hairpin = hairpin(e), .isolated = e->disable_icc };

	return net_link_port(host, e->host_link, &port, err);
}

int net_plug_change(struct net_rtnl *host, struct net_rtnl *inside, const struct net_place *place,
		    const struct net_network *n, const struct net_endpoint *e, const struct net_endpoint *was,
		    struct plug_error *err)
{
	bool veth = place->way == NET_WAY_BRIDGE;
	uint32_t mtu = mtu_of(place, n, e);
	int r = 0;

	if (mtu != mtu_of(place, n, was))
		r = mtu_change(veth ? host : NULL, inside, e, mtu, err);
	/* It stays: a load balancer may need it as well. */
	if (r == 0 && veth && hairpin(e) && !hairpin(was))
		r = port_set(host, e, err);
	if (r == 0)
		r = policy_routes(inside, was, e, false, err);
	return r < 0 ? r : policy_routes(inside, e, was, true, err);
}

int net_plug(struct net_rtnl *host, struct net_rtnl *inside, int netns, const struct net_place *place,
	     const struct net_network *n, const struct net_endpoint *e, bool made, bool first,
	     struct plug_error *err)
{
	bool veth = place->way == NET_WAY_BRIDGE;
	int r = 0;

	if (!made) {
		net_rtnl_forget(inside);
		r = veth ? net_plug_pair(host, inside, netns, place, n, e, err) :
			   macvlan(host, netns, place, n, e, err);
	}
	if (r < 0)
		return r;
	/* Before it is up: after that the kernel tells everybody, with the lock of all links. */
	if (veth && (hairpin(e) || e->disable_icc))
		r = port_set(host, e, err);
	if (r == 0)
		r = set_up(inside, n, e, made, first, err);
	if (r < 0)
		(void)net_link_delete(veth ? host : inside, veth ? e->host_link : e->guest_link, NULL);
	return r;
}
