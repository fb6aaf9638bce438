/* SPDX-License-Identifier: MIT */
/*
 * Containers of a CNI network know each other by /etc/hosts: there is no resolver of ours.  A line for each
 * address, marked with its endpoint, in the file of every other container.  Pool jobs; as far as it goes:
 * what cannot be written is not worth the container.
 */
#ifndef NET_ATTACH_NEIGHBOURS_H
#define NET_ATTACH_NEIGHBOURS_H

#include "attach/state.h"

/* e is plugged in and stored, and its container's files are written.  run_dir: that container's. */
void net_neighbours_join(struct net_state *s, const struct net_endpoint *e, const char *run_dir);
/* Before the endpoint goes; one of another kind of network has no lines. */
void net_neighbours_leave(struct net_state *s, const char *endpoint, const char *run_dir);

#endif
