/* SPDX-License-Identifier: MIT */
/* What a network may say of itself. */
#include "common/util.h"
#include "model/make.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool net_type_has_bridge(enum net_type type)
{
	return type != NET_TRANSPARENT && type != NET_CNI;
}

bool net_type_is_routed(enum net_type type)
{
	return type == NET_NAT || type == NET_ICS || type == NET_INTERNAL || type == NET_OVERLAY;
}

bool net_type_leads_out(enum net_type type)
{
	return type != NET_PRIVATE && type != NET_INTERNAL;
}

bool net_type_has_adapter(enum net_type type)
{
	return type == NET_TRANSPARENT || type == NET_L2BRIDGE || type == NET_L2TUNNEL;
}

uint32_t net_network_vlan(const struct net_network *n)
{
	for (size_t i = 0; i < n->subnet_count; i++)
		if (n->subnets[i].vlan)
			return n->subnets[i].vlan;
	return n->vlan;
}

uint32_t net_network_vsid(const struct net_network *n)
{
	for (size_t i = 0; i < n->subnet_count; i++)
		if (n->subnets[i].vsid)
			return n->subnets[i].vsid;
	return 0;
}

struct net_mac net_network_mac(const struct net_network *n)
{
	const struct net_policy *p = net_policies_find(n->policies, n->policy_count, NET_POLICY_ROUTER_MAC);
	struct net_mac mac = { .set = true, .bytes = { 2 } };
	unsigned b[5] = { 0 };

	if (p)
		return p->mac;
	(void)sscanf(n->id, "%2x%2x%2x%2x-%2x", &b[0], &b[1], &b[2], &b[3], &b[4]);
	for (size_t i = 0; i < PLUG_ELEMENTS(b); i++)
		mac.bytes[i + 1] = (uint8_t)b[i];
	return mac;
}

static int adapter_check(const struct net_network *n, struct plug_error *err)
{
	if (net_type_has_adapter(n->type) && !n->adapter)
		return plug_error_set(err, -EINVAL, "network %s: type %s needs an adapter", n->name,
				      net_type_name(n->type));
	if (n->adapter &&
	    (!*n->adapter || strlen(n->adapter) >= NET_LINK_SIZE || strpbrk(n->adapter, "/ \t\n")))
		return plug_error_set(err, -EINVAL, "network %s: \"%.64s\" is not an adapter's name",
				      n->name, n->adapter);
	if (n->type == NET_CNI && !n->conflist)
		return plug_error_set(err, -EINVAL, "network %s: type CNI needs a conflist", n->name);
	if (n->type != NET_CNI && n->conflist)
		return plug_error_set(err, -EINVAL, "network %s: only type CNI has a conflist", n->name);
	if (n->dhcp && !net_type_has_adapter(n->type) && n->type != NET_CNI)
		return plug_error_set(err, -EINVAL,
				      "network %s: type %s: there is no DHCP server to get addresses from",
				      n->name, net_type_name(n->type));
	return 0;
}

/* RFC 8200: no link of IPv6 is smaller. */
#define MTU_IPV6 1280

static int mtu_check(const struct net_network *n, struct plug_error *err)
{
	for (size_t i = 0; n->mtu && n->mtu < MTU_IPV6 && i < n->subnet_count; i++)
		if (n->subnets[i].prefix.family == AF_INET6)
			return plug_error_set(err, -EINVAL,
					      "network %s: an MTU of %u is too small for IPv6 (%d)", n->name,
					      n->mtu, MTU_IPV6);
	return 0;
}

/* One number for the whole network: there is one link below it. */
static int number_check(const struct net_network *n, const char *what, uint32_t number, uint32_t whole,
			uint32_t max, struct plug_error *err)
{
	if (number > max)
		return plug_error_set(err, -EINVAL, "network %s: %s %u is not from 1 to %u", n->name, what,
				      number, max);
	if (number && number != whole)
		return plug_error_set(err, -EINVAL,
				      "network %s: %s %u beside %u: each needs a network of its own", n->name,
				      what, number, whole);
	return 0;
}

static int vlan_check(const struct net_network *n, struct plug_error *err)
{
	uint32_t whole = net_network_vlan(n);
	int r = number_check(n, "VLAN", n->vlan, whole, 4094, err);

	for (size_t i = 0; r == 0 && i < n->subnet_count; i++)
		r = number_check(n, "VLAN", n->subnets[i].vlan, whole, 4094, err);
	if (r == 0 && whole && !net_type_has_adapter(n->type))
		r = plug_error_set(err, -EINVAL, "network %s: VLAN %u: type %s has no adapter for it",
				   n->name, whole, net_type_name(n->type));
	return r;
}

/* Tunnels are of one family, and another subnet is reached by its router. */
static int route_check(const struct net_network *n, const struct net_policy_route *route, uint8_t family,
		       struct plug_error *err)
{
	const char *why = NULL;
	char text[NET_ADDR_TEXT];
	bool within = false;

	for (size_t i = 0; i < n->subnet_count; i++)
		within = within || net_addr_overlaps(&n->subnets[i].prefix, &route->destination);
	if (route->isolation && route->isolation != net_network_vsid(n))
		why = "IsolationId: not the network's VSID";
	else if (route->provider.family != family)
		why = "ProviderAddress: not of the others' family";
	else if (!within && !route->router.set)
		why = "DistributedRouterMacAddress: missing";
	if (!why)
		return 0;
	net_addr_format_prefix(&route->destination, text);
	return plug_error_set(err, -EINVAL, "network %s: RemoteSubnetRoute %s: %s", n->name, text, why);
}

static int overlay_check(const struct net_network *n, struct plug_error *err)
{
	uint32_t whole = net_network_vsid(n);
	const struct net_policy *own = net_policies_find(n->policies, n->policy_count, NET_POLICY_PROVIDER);
	uint8_t family = n->management.family ? n->management.family : own ? own->address.family : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n->subnet_count; i++)
		r = number_check(n, "VSID", n->subnets[i].vsid, whole, 0xffffff, err);
	if (r < 0 || n->type != NET_OVERLAY)
		return r;
	if (!whole)
		return plug_error_set(err, -EINVAL,
				      "network %s: type Overlay needs a VSID, the same on all hosts",
				      n->name);
	for (size_t i = 0; r == 0 && i < n->policy_count; i++) {
		const struct net_policy_route *route = &n->policies[i].route;

		if (n->policies[i].kind != NET_POLICY_ROUTE || !route->remote)
			continue;
		if (!family)
			family = route->provider.family;
		r = route_check(n, route, family, err);
	}
	return r;
}

int net_network_check_kind(const struct net_network *n, struct plug_error *err)
{
	return adapter_check(n, err) ?: mtu_check(n, err) ?: vlan_check(n, err) ?: overlay_check(n, err);
}
