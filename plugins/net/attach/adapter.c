/* SPDX-License-Identifier: MIT */
#include "attach/adapter.h"

#include "model/make.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VLAN_PREFIX "cv"

/* The card of n, and which VLAN of it is wanted; 0: none. */
struct card {
	char name[NET_LINK_SIZE];
	uint32_t vlan;
	struct net_link_info link;
};

/* "eth0.50", as docker has it: where there is no such link, VLAN 50 of eth0. */
static bool split(struct card *card)
{
	char *dot = strrchr(card->name, '.'), *end;
	unsigned long vlan = dot && dot[1] >= '1' && dot[1] <= '9' ? strtoul(dot + 1, &end, 10) : 0;

	if (card->vlan || !vlan || vlan > 4094 || *end)
		return false;
	card->vlan = (uint32_t)vlan;
	*dot = 0;
	return true;
}

static int find(struct net_rtnl *r, const struct net_network *n, struct card *card, struct plug_error *err)
{
	int result;

	if (!n->adapter)
		return plug_error_set(err, -EINVAL, "network %s: type %s needs an adapter", n->name,
				      net_type_name(n->type));
	*card = (struct card){ .vlan = net_network_vlan(n) };
	(void)snprintf(card->name, sizeof(card->name), "%s", n->adapter);
	result = net_link_find(r, card->name, &card->link, err);
	if (result == -ENODEV && split(card))
		result = net_link_find(r, card->name, &card->link, err);
	if (result == -ENODEV)
		return plug_error_set(err, result,
				      "network %s: adapter %s: there is no such link on this host", n->name,
				      n->adapter);
	if (result == 0 && card->link.flags & (IFF_LOOPBACK | IFF_POINTOPOINT))
		return plug_error_set(err, -EINVAL, "network %s: adapter %s: is not an Ethernet card",
				      n->name, n->adapter);
	if (result == 0 && !(card->link.flags & IFF_UP))
		return plug_error_set(err, -ENETDOWN, "network %s: adapter %s: is down (ip link set %s up)",
				      n->name, n->adapter, card->name);
	return result;
}

static int vlan_make(struct net_rtnl *r, const struct net_network *n, const char *alias, const char *name,
		     const struct card *card, struct plug_error *err)
{
	int result = net_link_create(r,
				     &(struct net_link){ .name = name, .kind = NET_LINK_VLAN, .up = true,
							 .parent = card->link.index, .alias = alias,
							 .vlan = (uint16_t)card->vlan },
				     err);

	if (result == -EEXIST)
		return plug_error_none(err);
	if (result == -EOPNOTSUPP)
		return plug_error_set(err, result,
				      "network %s: VLAN %u of %s: this kernel has no VLANs (8021q)", n->name,
				      card->vlan, card->name);
	return result;
}

int net_adapter_ensure(struct net_rtnl *r, const struct net_network *n, const char *alias,
		       struct net_link_info *ret, struct plug_error *err)
{
	char name[NET_LINK_SIZE];
	struct card card;
	int result = find(r, n, &card, err);

	if (result == 0)
		*ret = card.link;
	if (result < 0 || !card.vlan)
		return result;
	net_link_name(VLAN_PREFIX, n->id, name);
	result = vlan_make(r, n, alias, name, &card, err);
	return result < 0 ? result : net_link_find(r, name, ret, err);
}

int net_adapter_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err)
{
	char name[NET_LINK_SIZE];

	net_link_name(VLAN_PREFIX, n->id, name);
	return net_link_delete(r, name, err);
}

static int known(void *arg, int index, const struct net_addr *addr)
{
	struct net_network *n = arg;
	struct net_addr host = net_addr_host(addr);

	(void)index;
	for (size_t i = 0; i < n->subnet_count; i++)
		if (net_addr_contains(&n->subnets[i].prefix, &host))
			return net_network_aux(n, "this host", &host);
	return 0;
}

int net_adapter_known(struct net_rtnl *r, struct net_network *n, struct plug_error *err)
{
	return net_type_has_adapter(n->type) ? net_address_list(r, known, n, err) : 0;
}

struct looking {
	int index;
	bool found;
};

static int look(void *arg, int index, const struct net_addr *addr)
{
	struct looking *l = arg;
	bool local = addr->family == AF_INET6 && addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;

	l->found = l->found || (index == l->index && !local);
	return 0;
}

int net_adapter_addressed(struct net_rtnl *r, const struct net_link_info *link, bool *ret,
			  struct plug_error *err)
{
	struct looking l = { .index = link->index };
	int result = net_address_list(r, look, &l, err);

	if (result == 0)
		*ret = l.found;
	return result;
}
