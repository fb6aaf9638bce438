/* SPDX-License-Identifier: MIT */
/* Load balancers and SDN routes: what they mean for endpoints as these come and go.  All of it blocks. */
#ifndef NET_LISTS_H
#define NET_LISTS_H

#include "attach/state.h"

/* The rules and ports of one, for these of its endpoints, which are plugged in. */
int net_balancer_put(struct net_state *s, const struct net_balancer *b,
		     const struct net_endpoint *const *endpoints, size_t count, struct plug_error *err);
/* Its rules and ports go.  Has none: success. */
int net_balancer_drop(struct net_state *s, const char *id, struct plug_error *err);
/* The rules of every load balancer, with those of its endpoints that are plugged in; not of damaged ones. */
int net_balancers_refresh_all(struct net_state *s, struct plug_error *err);

/* The routes of one object, in the namespace of e, where `inside` is. */
int net_sdn_route_apply(struct net_rtnl *inside, const struct net_endpoint *e,
			const struct net_sdn_route *route, bool add, struct plug_error *err);

/* e was plugged in, by its record too: it joins the load balancers, and gets the routes, that name it. */
int net_lists_plugged(struct net_state *s, struct net_rtnl *inside, const struct net_endpoint *e,
		      struct plug_error *err);
/* An endpoint was unplugged, or is gone.  Its routes went with its link. */
int net_lists_unplugged(struct net_state *s, const char *id, struct plug_error *err);

#endif
