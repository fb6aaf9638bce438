/* SPDX-License-Identifier: MIT */
/*
 * A container's network where the supervisor is not root: one network, "nat", by pasta or slirp4netns, in a
 * user namespace that the container joins.  Everything of it is in RUN_DIR/rootless of the container.
 */
#ifndef NET_ATTACH_ROOTLESS_H
#define NET_ATTACH_ROOTLESS_H

#include "attach/parts.h"
#include "cowherd/plugin.h"

/* In place of net_take() and net_give(): pool jobs.  take fills part->patch. */
int net_rootless_take(struct net_part *part);
int net_rootless_give(const char *run_dir, struct plug_error *err);

/* On the loop: the program of a container is started again when it ends, until the container's release. */
int net_rootless_guard(const struct cowherd_host *host, struct cowherd_self *self,
		       const struct net_part *part, struct plug_error *err);
void net_rootless_unguard(const char *run_dir);
void net_rootless_unguard_all(void);

#endif
