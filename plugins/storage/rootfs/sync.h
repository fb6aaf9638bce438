/* SPDX-License-Identifier: MIT */
/*
 * References of containers, brought to the disk a moment after they were taken, and before the host does
 * that with the containers' own records; of those that are not gone by then.  On the loop only.
 */
#ifndef ST_ROOTFS_SYNC_H
#define ST_ROOTFS_SYNC_H

#include <cowherd/plugin.h>

void st_sync_init(const struct cowherd_host *host, struct cowherd_self *self);
void st_sync_later(const char *owner);
void st_sync_forget(const char *owner);
void st_sync_finish(void);

#endif
