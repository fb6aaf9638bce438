/* SPDX-License-Identifier: MIT */
/*
 * Where a container writes: STATE_DIR/scratch, durable.  Without a limit the directories upper and
 * work of overlayfs; with one a sparse file of that size with ext4 in it, mounted by a loop device at
 * RUN_DIR/scratch, so that what is full is that file system and nobody else's.
 */
#ifndef ST_ROOTFS_SCRATCH_H
#define ST_ROOTFS_SCRATCH_H

#include "rootfs/plan.h"

struct st_scratch {
	char *upper, *work;
};

/* Makes it, or finds what is there; a limit counts when it is made.  Directory `dir` is ours. */
int st_scratch_make(const char *dir, uint64_t bytes, struct plug_error *err);
/* Mounts it, where it has to be, at `place`; ret's strings are the caller's. */
int st_scratch_open(const char *dir, const char *place, struct st_scratch *ret,
		    struct plug_error *err);
void st_scratch_finish(struct st_scratch *scratch);
/* upper and work below a directory that is there. */
int st_scratch_in(const char *dir, struct st_scratch *ret, struct plug_error *err);

#endif
