/* SPDX-License-Identifier: MIT */
/* An endpoint's link, put into a namespace and set up there.  All of it blocks. */
#ifndef NET_PLUG_H
#define NET_PLUG_H

#include "attach/bridge.h"

/*
 * Makes the link of e in the namespace (a descriptor) of `inside` and sets it up: addresses, routes, MTU.
 * made: the pair is there already, from the pool, and up.  first: it has the default route of its families.
 * On failure the link is gone.
 */
int net_plug(struct net_rtnl *host, struct net_rtnl *inside, int netns, const struct net_place *place,
	     const struct net_network *n, const struct net_endpoint *e, bool made, bool first,
	     struct plug_error *err);
/* The default routes are by e, which is plugged in, from now on. */
int net_plug_default(struct net_rtnl *inside, const struct net_endpoint *e, struct plug_error *err);
/* Only the pair, for the pool: name, MAC and MTU, nothing set up inside.  On failure it is gone. */
int net_plug_pair(struct net_rtnl *host, struct net_rtnl *inside, int netns,
		  const struct net_place *place, const struct net_network *n, const struct net_endpoint *e,
		  struct plug_error *err);
/*
 * Of one that is plugged in and had the policies of `was` until now: routes and the MTU inside, and what its
 * port of the bridge does.
 */
int net_plug_change(struct net_rtnl *host, struct net_rtnl *inside, const struct net_place *place,
		    const struct net_network *n, const struct net_endpoint *e, const struct net_endpoint *was,
		    struct plug_error *err);

#endif
