/* SPDX-License-Identifier: MIT */
/*
 * The next root file system, mounted ahead for who makes one container after the other from the same
 * image: a detached overlay, and its scratch directory among what is in the making in the store (image/
 * store.h), so that both go with this process whatever ends it.  It counts until something in the store
 * comes or goes, and is given up when nobody has wanted it for a second.
 */
#ifndef ST_ROOTFS_READY_H
#define ST_ROOTFS_READY_H

#include "rootfs/parts.h"

/* On the loop; store_dir is there until the end.  What a predecessor had ready goes a second later. */
void st_ready_init(const struct cowherd_host *host, struct cowherd_self *self, const char *store_dir);
/* A container was made from this image, without a limit.  On the loop. */
void st_ready_want(const char *digest);
/* After all work on the pool. */
void st_ready_finish(void);

/*
 * The one for part->plan.digest becomes SCRATCH and, mounted, TARGET.  On the loop, without waiting.
 * False: not so; SCRATCH may be there now all the same, as good as one that is made.
 */
bool st_ready_take(struct st_part *part, const char *scratch, const char *target);

/* base.c: the layers of an image with one scratch directory, as a detached mount; to be closed. */
int st_base_tree(struct st_part *part, const char *scratch, int *ret);

#endif
