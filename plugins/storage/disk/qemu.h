/* SPDX-License-Identifier: MIT */
/* Disks that only QEMU can read, exported by a qemu-storage-daemon of their own. */
#ifndef ST_DISK_QEMU_H
#define ST_DISK_QEMU_H

#include <stdbool.h>

#include "disk/error.h"
#include "disk/vhd.h"

/*
 * Starts one that exports the disk in `path` as the raw file DIR/TOKEN/disk; *ret_fd is open on it.
 * -ENOENT "qemu-storage-daemon: …": not installed.
 */
int st_qemu_export(const char *dir, const char *token, const char *path, enum st_disk_kind kind,
		   bool readonly, int *ret_fd, const struct st_message *m);
/*
 * A pidfd of the one that exports under this token.  -ENOENT: nothing is exported under it; -ESRCH: it
 * has ended, and reads and writes of its disk fail.
 */
int st_qemu_pidfd(const char *dir, const char *token);
/* Ends it, by its token alone: processes whose command line has it, mount, directory. */
int st_qemu_release(const char *dir, const char *token);

#endif
