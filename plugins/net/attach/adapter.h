/* SPDX-License-Identifier: MIT */
/*
 * The host's card below a network, or a VLAN of it.  The card itself is somebody else's: it becomes the port
 * of our bridge where nothing else uses it, and else is left as it is.  All of it blocks.
 */
#ifndef NET_ADAPTER_H
#define NET_ADAPTER_H

#include "kernel/rtnl.h"
#include "model/object.h"

/*
 * The link that n's endpoints stand on: its adapter, or the VLAN of it, made where it is missing and marked
 * with alias.  -EINVAL: n has none; -ENODEV: it is not there; -ENETDOWN: nobody has set it up;
 * -EOPNOTSUPP: the kernel has no VLANs.
 */
int net_adapter_ensure(struct net_rtnl *r, const struct net_network *n, const char *alias,
		       struct net_link_info *ret, struct plug_error *err);
/* Removes the VLAN that ensure has made.  Gone already is success. */
int net_adapter_remove(struct net_rtnl *r, const struct net_network *n, struct plug_error *err);

/*
 * *ret: whether the host has addresses there, other than link-local ones.  As the port of a bridge it would
 * lose what comes to them.
 */
int net_adapter_addressed(struct net_rtnl *r, const struct net_link_info *link, bool *ret,
			  struct plug_error *err);

/*
 * For networks on a card: the host's addresses in its subnets are noted in n->aux, so that no endpoint gets
 * them.  n: a copy that is not written back.
 */
int net_adapter_known(struct net_rtnl *r, struct net_network *n, struct plug_error *err);

#endif
