/* SPDX-License-Identifier: MIT */
/*
 * What the resolver of each network knows: the endpoints that are plugged in.  The resolver lives on the
 * loop; whoever plugs in or out elsewhere notes it, and the loop takes the notes up before it answers him.
 */
#ifndef NET_ATTACH_NAMES_H
#define NET_ATTACH_NAMES_H

#include "attach/state.h"
#include "cowherd/plugin.h"

/* ---- on the loop */

void net_names_start(const struct cowherd_host *host, struct cowherd_self *self);
void net_names_finish(void);
/* Known from now on.  dns: servers that this one's questions go to; none: its own, or the network's. */
int net_names_add(const struct net_network *n, const struct net_endpoint *e, const struct net_strv *dns,
		  struct plug_error *err);
/* Takes up the notes; what the resolver cannot do is a warning in the log. */
void net_names_settle(void);

/* ---- any thread */

/* Plugged in: read from the store. */
void net_names_note(struct net_state *s, const char *endpoint);
void net_names_note_gone(const char *endpoint);
/* Its servers or its domain are others now, maybe. */
void net_names_note_network(const struct net_network *n);

/* Whether there is a resolver of ours on the addresses of its gateways. */
bool net_network_resolves(const struct net_network *n);

#endif
