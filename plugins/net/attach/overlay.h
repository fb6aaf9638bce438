/* SPDX-License-Identifier: MIT */
/*
 * Overlay networks: a VXLAN tunnel that is a port of the network's bridge, and who is behind it.
 *
 * - RemoteSubnetRoute to a prefix of the network's own subnets: another host that has a part of the same
 *   segment.  Whatever is for everybody, or for somebody not known yet, goes there, too.
 * - RemoteSubnetRoute elsewhere: another host's subnet.  This host routes there, by the router whose MAC
 *   address is DistributedRouterMacAddress.
 * - A remote endpoint: one address behind one host (policy ProviderAddress); nobody is asked for it.
 *
 * All of it blocks.
 */
#ifndef NET_OVERLAY_H
#define NET_OVERLAY_H

#include "attach/state.h"

/* The links below (an adapter, or who has the tunnel's own address), less what the tunnel needs. */
uint32_t net_overlay_mtu(struct net_rtnl *r, const struct net_network *n, uint32_t *ret_encap);

/* The tunnel of n, made anew, with all that is behind it. */
int net_overlay_make(const struct net_state *s, struct net_rtnl *r, const struct net_network *n,
		     const char *alias, struct plug_error *err);
/* The same where n's bridge is there; else there is nothing to change. */
int net_overlay_change(const struct net_state *s, struct net_rtnl *r, const struct net_network *n,
		       struct plug_error *err);
/* *ret: whether the tunnel is there; the end of its adapter is its end. */
int net_overlay_is_there(struct net_rtnl *r, const struct net_network *n, bool *ret, struct plug_error *err);
int net_overlay_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err);

/* A remote endpoint comes or goes, where the tunnel is there. */
int net_overlay_remote(struct net_rtnl *r, const struct net_network *n, const struct net_endpoint *e,
		       bool add, struct plug_error *err);

#endif
