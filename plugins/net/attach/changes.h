/* SPDX-License-Identifier: MIT */
/*
 * Networks that a container was connected to, or disconnected from, since it was made: kept with the
 * container's own files, so that its next life, after whatever ended this one, has them again; and they go
 * with it.
 */
#ifndef NET_ATTACH_CHANGES_H
#define NET_ATTACH_CHANGES_H

#include "attach/plan.h"

/* As they are kept in the directory of a container; none is success.  The plan is as it would be without. */
int net_changes_apply(struct net_plan *plan, const char *state_dir, struct plug_error *err);
/* wanted: "NAME[:KEY=VALUE,...]".  Blocks. */
int net_changes_connect(const char *state_dir, const char *wanted, struct plug_error *err);
/*
 * network: the name that it may have been connected by; original: what stands for it in the options (a want's
 * `network`), or NULL.  Blocks.
 */
int net_changes_disconnect(const char *state_dir, const char *network, const char *original,
			   struct plug_error *err);

#endif
