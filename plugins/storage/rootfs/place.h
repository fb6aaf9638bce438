/* SPDX-License-Identifier: MIT */
/* Directories, and what is mounted on them.  All of it blocks. */
#ifndef ST_ROOTFS_PLACE_H
#define ST_ROOTFS_PLACE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* mkdir; that it is there already is success. */
int st_place_make(const char *path, mode_t mode, struct plug_error *err);
/* Whatever is mounted there, however often, goes, then the directory if it is empty.  Absent: fine. */
int st_place_clear(const char *path, struct plug_error *err);
/* The same for each entry of a directory, then for itself. */
int st_place_clear_all(const char *dir, struct plug_error *err);
/* Remove a tree by its absolute path; absent: fine. */
int st_place_remove(const char *path, struct plug_error *err);
/* Something is mounted right there. */
bool st_place_mounted(const char *path);

struct st_overlay {
	const char *const *lower; /* top first; directories */
	size_t lower_count;
	const char *upper, *work; /* NULL: read-only, which takes two lower ones */
	const char *links; /* a directory to make short names in, for kernels before 6.8; may be NULL */
	bool classic;      /* as on such a kernel */
};
/* -EINVAL and the like with the kernel's own words where it has any. */
int st_overlay_mount(const struct st_overlay *overlay, const char *target, struct plug_error *err);
/* Nowhere yet: a detached mount, to be closed; target is only a name.  -EOPNOTSUPP: as above, or classic. */
int st_overlay_tree(const struct st_overlay *overlay, const char *target, int *ret, struct plug_error *err);

/*
 * A bind mount of what source (absolute; symlinks of the host are followed, once) is now, at target,
 * which exists.  Nothing that is renamed later changes what it shows.
 */
int st_bind_mount(const char *source, const char *target, bool read_only, bool recursive,
		  struct plug_error *err);

#endif
