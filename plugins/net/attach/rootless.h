/* SPDX-License-Identifier: MIT */
/*
 * A container's network where the supervisor is not root: one network, "nat", by pasta or slirp4netns, in a
 * user namespace that the container joins.  Everything of it is in RUN_DIR/rootless of the container.
 */
#ifndef NET_ATTACH_ROOTLESS_H
#define NET_ATTACH_ROOTLESS_H

#include "attach/parts.h"
#include "cowherd/plugin.h"
#include "rootless/rootless.h"

/* In place of net_take() and net_give(): pool jobs.  take fills part->patch, and chooses part->rootless. */
int net_rootless_take(struct net_part *part);
int net_rootless_give(const char *container, const char *run_dir, struct plug_error *err);

/* ---- rootless_guard.c, on the loop */

/* The program of a container is started again when it ends, until the container's release. */
int net_rootless_guard(const struct cowherd_host *host, struct cowherd_self *self,
		       const struct net_part *part, struct plug_error *err);
void net_rootless_unguard(const char *run_dir);
void net_rootless_unguard_all(void);
/* Likewise those that an earlier supervisor has started. */
void net_rootless_begin(const struct cowherd_host *host, struct cowherd_self *self);

/* ---- between both */

#define NET_ROOTLESS_PORTS_MAX 16

/* What the program is started with; and the texts of it. */
struct net_rootless_request {
	struct net_rootless q;
	struct net_rootless_port ports[NET_ROOTLESS_PORTS_MAX];
	char hosts[NET_ROOTLESS_PORTS_MAX][NET_ADDR_TEXT];
	char *dir, userns[48], netns[48];
};
/* ports: as people write them. */
int net_rootless_request_make(struct net_rootless_request *q, enum net_rootless_kind kind,
			      const char *run_dir, const struct net_strv *ports, struct plug_error *err);
void net_rootless_request_holder(struct net_rootless_request *q, pid_t holder);
void net_rootless_request_finish(struct net_rootless_request *q);
/* The directory of notes, a file for each container; to be freed, NULL: out of memory. */
char *net_rootless_notes(void);
/* config.c: "any", "pasta", "slirp4netns". */
const char *net_rootless_kind_name(enum net_rootless_kind kind);
int net_rootless_kind_parse(const char *name, enum net_rootless_kind *ret);

#endif
