/* SPDX-License-Identifier: MIT */
/*
 * The daemons behind attached disks (qemu-storage-daemon) are watched: who loses one is told, in the log,
 * as "disk.lost" of his container.  On the loop.
 */
#ifndef ST_DISK_WATCH_H
#define ST_DISK_WATCH_H

#include <cowherd/plugin.h>

/* dir: the table of disks (disk/attach.h).  What an earlier life left half attached there goes now. */
void st_disk_watch_init(const struct cowherd_host *host, struct cowherd_self *self, const char *dir);
/* Disks may have come. */
void st_disk_watch_look(void);
/* Disks may have gone: looks only where one is watched. */
void st_disk_watch_released(void);
void st_disk_watch_finish(void);

#endif
