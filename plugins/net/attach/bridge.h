/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a network: the bridge (or whatever link) its endpoints are plugged into, made when it is
 * first needed.  What we make is marked by its alias, so that what an earlier life left is found and nobody
 * else's is touched.  All of it blocks; r: a socket in the host's namespace.
 */
#ifndef NET_BRIDGE_H
#define NET_BRIDGE_H

#include "attach/state.h"

/* How endpoints of a network are plugged in. */
enum net_way {
	NET_WAY_BRIDGE,	 /* a veth pair, the host's end a port of a bridge */
	NET_WAY_MACVLAN, /* a macvlan of the adapter */
	NET_WAY_CNI,
};

struct net_place {
	enum net_way way;
	int index;     /* of the bridge or adapter */
	uint32_t mtu;  /* for links plugged in there; 0: the kernel's choice */
	uint32_t encap; /* what a tunnel on the way has taken from it already */
	bool foreign;  /* a bridge that is not ours: never removed, its addresses are left alone */
};

/* The mark of n's links, among those of other supervisors on this host. */
#define NET_ALIAS_SIZE 64
void net_bridge_alias(const struct net_state *s, const struct net_network *n, char ret[NET_ALIAS_SIZE]);

/*
 * -ENODEV, -ENETDOWN: the adapter is not there, or not up; -EBUSY: another bridge has it; -EEXIST: somebody
 * else has a link of that name.
 */
int net_bridge_ensure(const struct net_state *s, struct net_rtnl *r, const struct net_network *n,
		      struct net_place *ret, struct plug_error *err);
/* Removes what ensure has made.  Gone already is success. */
int net_bridge_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err);
/* Removes every link of owner whose network is not among those in use (ids). */
int net_bridge_sweep(struct net_rtnl *r, const char *owner, bool (*used)(void *arg, const char *network),
		     void *arg, struct plug_error *err);

#endif
