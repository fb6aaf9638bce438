/* SPDX-License-Identifier: MIT */
/*
 * Rules inside a container's own namespace: the proxies of L4WFPPROXY, which run in the container.  They
 * are a table of their own there, and end with the namespace.
 */
#ifndef NET_GUEST_H
#define NET_GUEST_H

#include "common/error.h"
#include "common/text.h"
#include "model/object.h"
#include "policy/policy.h"

/*
 * The table as text for nft; none where no policy asks for one.  UserSID: a number of a user in the
 * container's namespace, or as Samba writes it, "S-1-22-1-NUMBER".  Pure.  -EINVAL: another SID; -ENOMEM.
 */
int net_guest_rules(const struct net_endpoint *e, struct plug_text *ret, struct plug_error *err);
/* What net_guest_rules() would say of these.  Pure. */
int net_guest_check(const struct net_policy *policies, size_t count, struct plug_error *err);
/* Makes, replaces, or where nothing asks for one removes it.  netns: a descriptor, borrowed.  Blocks. */
int net_guest_apply(int netns, const struct net_endpoint *e, struct plug_error *err);

#endif
