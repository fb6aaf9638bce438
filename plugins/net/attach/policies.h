/* SPDX-License-Identifier: MIT */
/*
 * What an endpoint's policies are where it is plugged in: rules, bandwidth, proxies; and what has to happen
 * when they become others meanwhile.  All of it blocks; repeating it is harmless.
 */
#ifndef NET_POLICIES_H
#define NET_POLICIES_H

#include "attach/bridge.h"
#include "attach/state.h"

/* Of an endpoint that net_plug() has just plugged in.  netns: a descriptor of the namespace it is in. */
int net_policies_apply(struct net_state *s, int netns, const struct net_place *place,
		       const struct net_network *n, const struct net_endpoint *e, struct plug_error *err);

/*
 * The same for one that had those of `was` until now: what only they asked for goes.  inside: a socket in its
 * namespace.  Ports are not taken here.
 */
int net_policies_change(struct net_state *s, int netns, struct net_rtnl *inside, const struct net_network *n,
			const struct net_endpoint *e, const struct net_endpoint *was,
			struct plug_error *err);

#endif
