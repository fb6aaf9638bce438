/* SPDX-License-Identifier: MIT */
#include "attach/bridge.h"

#include "attach/adapter.h"
#include "attach/overlay.h"
#include "common/util.h"
#include "model/make.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* One at a time: two first endpoints of a network make one bridge. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static int sysctl(const char *path, const char *value)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return plug_write_all(fd, value, strlen(value));
}

/* Packets pass this host: switched on where it is off, and left so. */
static int forwarding(uint8_t family, struct plug_error *err)
{
	const char *path = family == AF_INET ? "/proc/sys/net/ipv4/ip_forward" :
					       "/proc/sys/net/ipv6/conf/all/forwarding";
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char now = '0';
	int r;

	if (fd >= 0 && read(fd, &now, 1) == 1 && now == '1')
		return 0;
	r = sysctl(path, "1");
	return r < 0 ? plug_error_errno(err, r, "%s", path) : 0;
}

void net_bridge_alias(const struct net_state *s, const struct net_network *n, char ret[NET_ALIAS_SIZE])
{
	(void)snprintf(ret, NET_ALIAS_SIZE, "cowherd %.36s %08x", n->id, plug_hash(s->run_dir));
}

static int setting(const struct net_network *n, const char *family, const char *key, const char *value,
		   struct plug_error *err)
{
	char path[96];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, n->bridge, key);
	r = sysctl(path, value);
	/* A kernel without IPv6 has none of it. */
	if (r == -ENOENT && strcmp(family, "ipv6") == 0)
		return 0;
	return r < 0 ? plug_error_errno(err, r, "%s", path) : 0;
}

/*
 * What is published is reached by 127.0.0.1, too: of our bridges only, from outside nobody gets there.  And
 * the host believes no container that says it is a router; where it has no IPv6 address of its own, nobody
 * reaches it by a link-local one.
 */
static int settings(const struct net_network *n, struct plug_error *err)
{
	bool six = false;
	int r;

	for (size_t i = 0; net_type_is_routed(n->type) && i < n->subnet_count; i++)
		six = six || n->subnets[i].gateway.family == AF_INET6;
	r = six ? setting(n, "ipv6", "accept_ra", "0", err) : setting(n, "ipv6", "disable_ipv6", "1", err);
	if (r == 0 && net_type_is_routed(n->type))
		r = setting(n, "ipv4", "route_localnet", "1", err);
	return r;
}

/* The host's own address in each subnet is what containers know as their gateway. */
static int gateways(struct net_rtnl *r, const struct net_network *n, struct plug_error *err)
{
	int result = 0;

	if (!net_type_is_routed(n->type))
		return 0;
	for (size_t i = 0; result == 0 && i < n->subnet_count; i++) {
		struct net_addr a = n->subnets[i].gateway;

		if (!net_addr_is_set(&a))
			continue;
		a.prefix = n->subnets[i].prefix.prefix;
		result = net_address_add(r, n->bridge, &a, err);
		if (result == 0)
			result = forwarding(a.family, err);
	}
	return result;
}

/* The card becomes a port, unless it is somebody else's. */
static int port(struct net_rtnl *r, const struct net_network *n, const struct net_link_info *card, int bridge,
		struct plug_error *err)
{
	if (card->master == bridge)
		return 0;
	if (card->master)
		return plug_error_set(err, -EBUSY, "network %s: adapter %s: is a port of another bridge",
				      n->name, card->name);
	return net_link_set(r, card->name, &(struct net_link_change){ .master = bridge, .up = 1 }, err);
}

/* One bridge on its way. */
struct making {
	const struct net_state *state;
	struct net_rtnl *r;
	const struct net_network *n;
	char alias[NET_ALIAS_SIZE];
	struct net_link_info card; /* of networks on one; index 0: none */
};

/*
 * What belongs to the bridge, each as often as asked.  The alias comes last: one that has none is of somebody
 * who was killed before he was done.
 */
static int complete(const struct making *m, int index, struct plug_error *err)
{
	int result = settings(m->n, err);

	if (result == 0)
		result = gateways(m->r, m->n, err);
	if (result == 0 && m->card.index)
		result = port(m->r, m->n, &m->card, index, err);
	if (result == 0 && m->n->type == NET_OVERLAY)
		result = net_overlay_make(m->state, m->r, m->n, m->alias, err);
	return result < 0 ? result :
			    net_link_set(m->r, m->n->bridge,
					 &(struct net_link_change){ .alias = m->alias }, err);
}

/* Never one that only has the name: it was there before us. */
static int bridge_delete(struct net_rtnl *r, const struct net_network *n, struct plug_error *err)
{
	struct net_link_info info;
	struct net_mac mac = net_network_mac(n);
	int result = net_link_find(r, n->bridge, &info, err);

	if (result < 0)
		return result == -ENODEV ? plug_error_none(err) : result;
	if (strncmp(info.alias, "cowherd ", 8) != 0 && (*info.alias || memcmp(info.mac, mac.bytes, 6) != 0))
		return 0;
	return net_link_delete(r, n->bridge, err);
}

/* On failure nothing new is left. */
static int make(const struct making *m, uint32_t mtu, struct net_link_info *ret, struct plug_error *err)
{
	const struct net_network *n = m->n;
	struct net_mac mac = net_network_mac(n);
	int result = net_link_create(m->r,
				     &(struct net_link){ .name = n->bridge, .kind = NET_LINK_BRIDGE,
							 .mac = mac.bytes, .mtu = mtu, .up = true },
				     err);

	if (result < 0)
		return result;
	result = net_link_find(m->r, n->bridge, ret, err);
	if (result == 0)
		result = complete(m, ret->index, err);
	if (result < 0)
		(void)net_bridge_remove(m->r, n, NULL);
	return result;
}

/* A card that went and came back is a port again, a tunnel that went with it is made again. */
static int mend(const struct making *m, const struct net_link_info *bridge, struct plug_error *err)
{
	bool there = true;
	int result = m->n->type == NET_OVERLAY ? net_overlay_is_there(m->r, m->n, &there, err) : 0;

	if (result == 0 && m->card.index)
		result = port(m->r, m->n, &m->card, bridge->index, err);
	return result < 0 || there ? result : net_overlay_make(m->state, m->r, m->n, m->alias, err);
}

/* Nobody else's: marked by us, or by its address one that we had not finished. */
static int check_ours(const struct making *m, const struct net_link_info *bridge, struct plug_error *err)
{
	struct net_mac mac = net_network_mac(m->n);

	if (strcmp(bridge->kind, "bridge") != 0)
		return plug_error_set(err, -EEXIST, "network %s: link %s is not a bridge", m->n->name,
				      m->n->bridge);
	if (strcmp(bridge->alias, m->alias) != 0 &&
	    (*bridge->alias || memcmp(bridge->mac, mac.bytes, 6) != 0))
		return plug_error_set(err, -EEXIST, "network %s: the bridge %s is somebody else's",
				      m->n->name, m->n->bridge);
	return 0;
}

static int ensure_bridge(const struct making *m, struct net_place *place, struct plug_error *err)
{
	struct net_link_info info;
	int result;

	(void)pthread_mutex_lock(&making);
	result = net_link_find(m->r, m->n->bridge, &info, err);
	if (result == -ENODEV && plug_error_none(err) == 0) {
		result = make(m, place->mtu, &info, err);
	} else if (result == 0) {
		result = check_ours(m, &info, err);
		if (result == 0)
			result = *info.alias ? mend(m, &info, err) : complete(m, info.index, err);
	}
	(void)pthread_mutex_unlock(&making);
	if (result == 0)
		place->index = info.index;
	return result;
}

static int mtu_check(const struct net_network *n, const struct net_link_info *card, struct plug_error *err)
{
	if (n->mtu <= card->mtu)
		return 0;
	return plug_error_set(err, -EINVAL, "network %s: an MTU of %u is more than that of %s, %u", n->name,
			      n->mtu, card->name, card->mtu);
}

/*
 * A bridge of somebody else's is used as it is.  A card becomes a port of our bridge where that was asked for
 * and the host has no addresses there, which it would lose; else containers get macvlans.
 */
static int ensure_adapter(struct making *m, struct net_place *place, bool *ret_done, struct plug_error *err)
{
	struct net_link_info bridge;
	bool addressed = false;
	int result = net_adapter_ensure(m->r, m->n, m->alias, &m->card, err);

	if (result == 0)
		result = mtu_check(m->n, &m->card, err);
	if (result == 0)
		result = net_adapter_addressed(m->r, &m->card, &addressed, err);
	if (result < 0)
		return result;
	if (!place->mtu)
		place->mtu = m->card.mtu;
	place->index = m->card.index;
	place->foreign = true;
	place->way = strcmp(m->card.kind, "bridge") == 0 ? NET_WAY_BRIDGE : NET_WAY_MACVLAN;
	/* What is a port already stays one, whatever addresses somebody gives it meanwhile. */
	if (addressed && net_link_find(m->r, m->n->bridge, &bridge, NULL) == 0)
		addressed = m->card.master != bridge.index;
	*ret_done = place->way == NET_WAY_BRIDGE || m->n->type == NET_TRANSPARENT || addressed;
	if (!*ret_done) {
		place->way = NET_WAY_BRIDGE;
		place->foreign = false;
	}
	return 0;
}

int net_bridge_ensure(const struct net_state *s, struct net_rtnl *r, const struct net_network *n,
		      struct net_place *ret, struct plug_error *err)
{
	struct making m = { .state = s, .r = r, .n = n };
	struct net_place place = { .mtu = n->mtu };
	bool done = false;
	int result = 0;

	net_bridge_alias(s, n, m.alias);
	switch (n->type) {
	case NET_CNI:
		place.way = NET_WAY_CNI;
		done = true;
		break;
	case NET_TRANSPARENT:
	case NET_L2BRIDGE:
	case NET_L2TUNNEL:
		result = ensure_adapter(&m, &place, &done, err);
		break;
	case NET_OVERLAY:
		place.mtu = net_overlay_mtu(r, n, &place.encap);
		if (n->mtu)
			place.mtu = n->mtu;
		break;
	default:
		break;
	}
	if (result == 0 && !done)
		result = ensure_bridge(&m, &place, err);
	if (result == 0)
		*ret = place;
	return result;
}

int net_bridge_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err)
{
	int first = n->type == NET_OVERLAY ? net_overlay_remove(r, n, err) : 0, second = 0;

	if (n->type != NET_CNI && n->type != NET_TRANSPARENT)
		second = bridge_delete(r, n, err);
	if (first == 0 && second == 0 && net_type_has_adapter(n->type))
		first = net_adapter_remove(r, n, err);
	return first < 0 ? first : second;
}

/* ---- what an earlier life left */

struct sweep {
	char mark[16]; /* the owner's */
	bool (*used)(void *arg, const char *network);
	void *arg;
	char (*names)[NET_LINK_SIZE];
	size_t count;
};

static int sweep_look(void *arg, const struct net_link_info *link)
{
	struct sweep *s = arg;
	char id[NET_ID_SIZE], mark[16];
	void *more;

	if (sscanf(link->alias, "cowherd %36s %8s", id, mark) != 2 || strcmp(mark, s->mark) != 0 ||
	    s->used(s->arg, id))
		return 0;
	more = realloc(s->names, (s->count + 1) * sizeof(*s->names));
	if (!more)
		return -ENOMEM;
	s->names = more;
	memcpy(s->names[s->count++], link->name, NET_LINK_SIZE);
	return 0;
}

int net_bridge_sweep(struct net_rtnl *r, const char *owner, bool (*used)(void *arg, const char *network),
		     void *arg, struct plug_error *err)
{
	struct sweep s = { .used = used, .arg = arg };
	int result, one;

	(void)snprintf(s.mark, sizeof(s.mark), "%08x", plug_hash(owner));
	result = net_link_list(r, sweep_look, &s, err);
	for (size_t i = 0; i < s.count; i++) {
		one = net_link_delete(r, s.names[i], result < 0 ? NULL : err);
		result = result < 0 ? result : one;
	}
	free(s.names);
	return result;
}
