/* SPDX-License-Identifier: MIT */
/* What a network is to this host besides its record, for whoever changes or removes it.  All of it blocks. */
#ifndef NET_ATTACH_NETWORK_H
#define NET_ATTACH_NETWORK_H

#include "attach/state.h"

/* Its policies, servers or names are others now: rules and the resolver follow. */
int net_network_changed(struct net_state *s, const struct net_network *n, struct plug_error *err);
/* Its bridge, rules, and what was made in advance for it.  Gone already is success. */
int net_network_take_down(struct net_state *s, const struct net_network *n, struct plug_error *err);

#endif
