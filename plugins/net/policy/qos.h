/* SPDX-License-Identifier: MIT */
/*
 * Bandwidth of an endpoint, in both directions, on the host's end of its veth pair, where the container
 * cannot change it: what goes to the container is shaped by a token bucket on that link; what comes from
 * it passes an intermediate device (IFB) with another one.
 */
#ifndef NET_QOS_H
#define NET_QOS_H

#include "common/error.h"
#include "model/object.h"
#include "policy/policy.h"

/* "if" and 8 hex digits of the id: the intermediate device, made where traffic out is limited. */
#define NET_QOS_LINK_PREFIX "if"

/* The limits of an endpoint's policies; both 0: none. */
struct net_policy_qos net_qos_of(const struct net_endpoint *e);

/*
 * Sets, changes or takes away (both 0) the limits.  The link exists, in the calling thread's namespace.
 * -EOPNOTSUPP: "qos: kernel lacks …".  Blocks; not on the loop.
 */
int net_qos_apply(const char *host_link, const char *ifb, const struct net_policy_qos *qos,
		  struct plug_error *err);
/* Removes the intermediate device; the link's own go with it.  Gone already is success. */
int net_qos_remove(const char *ifb, struct plug_error *err);

#endif
