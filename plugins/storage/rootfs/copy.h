/* SPDX-License-Identifier: MIT */
/* A directory's content, as it is, into another one. */
#ifndef ST_ROOTFS_COPY_H
#define ST_ROOTFS_COPY_H

#include "common/error.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Everything below from (modes, owners, times, extended attributes, devices, hard links among them),
 * and from's own mode, owner and attributes, into the empty directory to.  No symlink is followed, no
 * mount entered.  *stop set: -ECANCELED.
 */
int st_copy_tree(int from, int to, const atomic_bool *stop, struct plug_error *err);

#endif
