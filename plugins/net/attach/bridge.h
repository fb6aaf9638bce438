/* SPDX-License-Identifier: MIT */
/*
 * The host's side of a network: the bridge (or whatever link) its endpoints are plugged into, made when it is
 * first needed.  What we make is marked by its alias, so that what an earlier life left is found and nobody
 * else's is touched.  All of it blocks; r: a socket in the host's namespace.
 */
#ifndef NET_BRIDGE_H
#define NET_BRIDGE_H

#include "kernel/rtnl.h"
#include "model/object.h"

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
	bool foreign;  /* a bridge that is not ours: never removed, its addresses are left alone */
};

/* owner: marks the links, the host's run_dir.  -ENODEV: the adapter is not there; -EINVAL: it has none. */
int net_bridge_ensure(struct net_rtnl *r, const struct net_network *n, const char *owner,
		      struct net_place *ret, struct plug_error *err);
/* Removes what ensure has made.  Gone already is success. */
int net_bridge_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err);
/* Removes every link of owner whose network is not among those in use (ids). */
int net_bridge_sweep(struct net_rtnl *r, const char *owner, bool (*used)(void *arg, const char *network),
		     void *arg, struct plug_error *err);

#endif
