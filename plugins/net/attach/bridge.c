/* SPDX-License-Identifier: MIT */
#include "attach/bridge.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define VXLAN_OVERHEAD 50u /* outer Ethernet, IPv4, UDP and VXLAN headers */
#define VXLAN_PREFIX "cx"

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

/* 02 and the first five bytes of the id: it does not change as ports come and go. */
static void bridge_mac(const struct net_network *n, uint8_t ret[6])
{
	unsigned b[5] = { 0 };

	(void)sscanf(n->id, "%2x%2x%2x%2x-%2x", &b[0], &b[1], &b[2], &b[3], &b[4]);
	ret[0] = 2;
	for (int i = 0; i < 5; i++)
		ret[i + 1] = (uint8_t)b[i];
}

static void alias_of(const char *owner, const struct net_network *n, char ret[256])
{
	/* Before the owner, whose length is unknown, stands what is compared. */
	(void)snprintf(ret, 256, "cowherd %s %08x", n->id, plug_hash(owner));
}

/* What is published is reached by 127.0.0.1, too: of our bridges only, from outside nobody gets there. */
static int route_localnet(const struct net_network *n, struct plug_error *err)
{
	char path[96];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/route_localnet", n->bridge);
	r = sysctl(path, "1");
	return r < 0 ? plug_error_errno(err, r, "%s", path) : 0;
}

static bool is_routed(enum net_type type)
{
	return type == NET_NAT || type == NET_ICS || type == NET_INTERNAL;
}

/* The host's own address in each subnet is what containers know as their gateway. */
static int gateways(struct net_rtnl *r, const struct net_network *n, struct plug_error *err)
{
	int result = 0;

	if (!is_routed(n->type))
		return 0;
	result = route_localnet(n, err);
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

/* The tunnel of an overlay, a port of its bridge. */
static int vxlan(struct net_rtnl *r, const struct net_network *n, const char *alias, int bridge,
		 struct plug_error *err)
{
	char name[NET_LINK_SIZE];
	struct net_link link = { .name = name, .kind = NET_LINK_VXLAN, .master = bridge, .up = true,
				 .alias = alias, .vni = n->subnet_count ? n->subnets[0].vsid : 0,
				 .port = n->vxlan_port, .local = n->management };
	struct net_link_info adapter;
	int result;

	if (!link.vni)
		return plug_error_set(err, -EINVAL, "network %s: an overlay needs a VSID", n->name);
	net_link_name(VXLAN_PREFIX, n->id, name);
	if (n->adapter) {
		result = net_link_find(r, n->adapter, &adapter, err);
		if (result < 0)
			return result;
		link.parent = adapter.index;
	}
	result = net_link_create(r, &link, err);
	return result == -EEXIST ? plug_error_none(err) : result;
}

static int find_adapter(struct net_rtnl *r, const struct net_network *n, struct net_link_info *ret,
			struct plug_error *err)
{
	if (!n->adapter)
		return plug_error_set(err, -EINVAL, "network %s: %s needs an adapter", n->name,
				      net_type_name(n->type));
	return net_link_find(r, n->adapter, ret, err);
}

/*
 * What belongs to the bridge, each as often as asked.  The alias comes last: one that has none is of somebody
 * who was killed before he was done.
 */
static int complete(struct net_rtnl *r, const struct net_network *n, const char *alias, int index,
		    struct plug_error *err)
{
	int result = gateways(r, n, err);

	if (result == 0 && (n->type == NET_L2BRIDGE || n->type == NET_L2TUNNEL))
		result = net_link_set(r, n->adapter,
				      &(struct net_link_change){ .master = index, .up = 1 }, err);
	if (result == 0 && n->type == NET_OVERLAY)
		result = vxlan(r, n, alias, index, err);
	return result < 0 ? result :
			    net_link_set(r, n->bridge, &(struct net_link_change){ .alias = alias }, err);
}

/* On failure nothing new is left. */
static int make(struct net_rtnl *r, const struct net_network *n, const char *alias, uint32_t mtu,
		struct net_link_info *ret, struct plug_error *err)
{
	uint8_t mac[6];
	int result;

	bridge_mac(n, mac);
	result = net_link_create(r,
				 &(struct net_link){ .name = n->bridge, .kind = NET_LINK_BRIDGE, .mac = mac,
						     .mtu = mtu, .up = true },
				 err);
	if (result < 0)
		return result;
	result = net_link_find(r, n->bridge, ret, err);
	if (result == 0)
		result = complete(r, n, alias, ret->index, err);
	if (result < 0)
		(void)net_bridge_remove(r, n, NULL);
	return result;
}

static int ensure_bridge(struct net_rtnl *r, const struct net_network *n, const char *owner,
			 struct net_place *place, struct plug_error *err)
{
	struct net_link_info info;
	char alias[256];
	int result;

	alias_of(owner, n, alias);
	(void)pthread_mutex_lock(&making);
	result = net_link_find(r, n->bridge, &info, err);
	if (result == -ENODEV && plug_error_none(err) == 0)
		result = make(r, n, alias, place->mtu, &info, err);
	else if (result == 0 && strcmp(info.kind, "bridge") != 0)
		result = plug_error_set(err, -EEXIST, "network %s: link %s is not a bridge", n->name,
					n->bridge);
	else if (result == 0 && !*info.alias)
		result = complete(r, n, alias, info.index, err);
	(void)pthread_mutex_unlock(&making);
	if (result == 0)
		place->index = info.index;
	return result;
}

/* A bridge of somebody else's is used as it is; macvlan where the adapter is a device. */
static int ensure_adapter(struct net_rtnl *r, const struct net_network *n, struct net_place *place,
			  bool *ret_done, struct plug_error *err)
{
	struct net_link_info adapter;
	int result = find_adapter(r, n, &adapter, err);

	if (result < 0)
		return result;
	if (!place->mtu)
		place->mtu = adapter.mtu;
	place->index = adapter.index;
	place->foreign = true;
	place->way = strcmp(adapter.kind, "bridge") == 0 ? NET_WAY_BRIDGE : NET_WAY_MACVLAN;
	*ret_done = place->way == NET_WAY_BRIDGE || n->type == NET_TRANSPARENT;
	if (!*ret_done) {
		place->way = NET_WAY_BRIDGE;
		place->foreign = false;
	}
	return 0;
}

int net_bridge_ensure(struct net_rtnl *r, const struct net_network *n, const char *owner,
		      struct net_place *ret, struct plug_error *err)
{
	struct net_place place = { .mtu = n->mtu };
	bool done = false;
	int result = 0;

	switch (n->type) {
	case NET_CNI:
		place.way = NET_WAY_CNI;
		done = true;
		break;
	case NET_TRANSPARENT:
	case NET_L2BRIDGE:
	case NET_L2TUNNEL:
		result = ensure_adapter(r, n, &place, &done, err);
		break;
	case NET_OVERLAY:
		if (!place.mtu)
			place.mtu = 1500 - VXLAN_OVERHEAD;
		break;
	default:
		break;
	}
	if (result == 0 && !done)
		result = ensure_bridge(r, n, owner, &place, err);
	if (result == 0)
		*ret = place;
	return result;
}

int net_bridge_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err)
{
	char name[NET_LINK_SIZE];
	int first = 0, second;

	if (n->type == NET_OVERLAY) {
		net_link_name(VXLAN_PREFIX, n->id, name);
		first = net_link_delete(r, name, err);
	}
	second = n->type == NET_CNI || n->type == NET_TRANSPARENT ? 0 : net_link_delete(r, n->bridge, err);
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
