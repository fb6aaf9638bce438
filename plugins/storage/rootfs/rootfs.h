/* SPDX-License-Identifier: MIT */
/*
 * Root file systems of containers, from an image or from windows.layerFolders; their scratch space,
 * anonymous volumes, and the mounts of Linux containers on Windows (hcs-behaviour.md §4.1, §4.2).
 *
 *   storage.scratch  durable   the image is kept in the store; STATE_DIR/scratch takes what is written
 *                              (lazily: a power cut takes both with the container, or neither)
 *   storage.rootfs   volatile  an overlay at RUN_DIR/rootfs; root.path says so
 *   storage.volumes  durable   STATE_DIR/volumes/N for each volume of the image; disks that go with
 *                              their container
 *   storage.mounts   volatile  RUN_DIR/mounts/mN for what the spec mounts
 *
 * and the image source "storage".
 */
#ifndef ST_ROOTFS_ROOTFS_H
#define ST_ROOTFS_ROOTFS_H

#include "disk/seal.h"

#include <cowherd/plugin.h>

/* For containers made from now on.  scratch_bytes: of those that ask for no size; 0: no limit. */
void st_rootfs_configure(enum st_verify verify, uint64_t scratch_bytes);
int st_rootfs_register(const struct cowherd_host *host, struct cowherd_self *self);
void st_rootfs_finish(void);

#endif
