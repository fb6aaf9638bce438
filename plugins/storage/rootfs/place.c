/* SPDX-License-Identifier: MIT */
#include "rootfs/place.h"

#include "archive/unpack.h"
#include "rootfs/plan.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define STACK_MAX 64 /* mounts on one place */

int st_place_make(const char *path, mode_t mode, struct plug_error *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", path);
	return 0;
}

bool st_place_mounted(const char *path)
{
	struct statx own, above;
	char up[4096];

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &own) < 0)
		return false;
	(void)snprintf(up, sizeof(up), "%s/..", path);
	if (own.stx_mask & STATX_MNT_ID &&
	    statx(AT_FDCWD, up, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &above) == 0)
		return own.stx_mnt_id != above.stx_mnt_id;
	return own.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

int st_place_clear(const char *path, struct plug_error *err)
{
	int code = EINVAL;

	for (int i = 0; i < STACK_MAX; i++) {
		if (umount2(path, UMOUNT_NOFOLLOW) == 0)
			continue;
		code = errno;
		/* Somebody is in there still: it goes with him. */
		if (code != EBUSY || umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
			break;
	}
	if (code == ENOENT)
		return 0;
	if (code != EINVAL && code != ENOTDIR && code != EBUSY)
		return plug_error_errno(err, -code, "unmounting %s", path);
	if (rmdir(path) == 0 || errno == ENOENT || errno == ENOTEMPTY)
		return 0;
	if (errno == ENOTDIR && (unlink(path) == 0 || errno == ENOENT))
		return 0;
	return plug_error_errno(err, -errno, "removing %s", path);
}

static int clear_below(const char *dir, int depth, struct plug_error *err)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	int r = 0, rc;

	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : plug_error_errno(err, -errno, "%s", dir);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		_cleanup_free_ char *path = NULL;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		path = st_path_join(dir, e->d_name);
		rc = path ? st_place_clear(path, err) : -ENOMEM;
		/* What is in it now is what it was before it was mounted on: the place of a file. */
		if (rc == 0 && depth > 0 && !st_place_mounted(path))
			rc = clear_below(path, depth - 1, err);
		r = r < 0 ? r : rc;
	}
	return r < 0 ? r : st_place_clear(dir, err);
}

int st_place_clear_all(const char *dir, struct plug_error *err)
{
	return clear_below(dir, 1, err);
}

int st_place_remove(const char *path, struct plug_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, (size_t)(slash - path) + 1);
	_cleanup_close_ int fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : plug_error_errno(err, -errno, "%s", path);
	r = st_remove_tree(fd, slash + 1);
	return r < 0 && r != -ENOENT ? plug_error_errno(err, r, "removing %s", path) : 0;
}

int st_bind_mount(const char *source, const char *target, bool read_only, bool recursive,
		  struct plug_error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	unsigned flags = recursive ? AT_RECURSIVE : 0;
	_cleanup_close_ int tree =
		open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);

	if (tree < 0)
		return plug_error_errno(err, -errno, "%s", source);
	/* Before 5.12 there is no mount_setattr(): the container's own mount is made read-only. */
	if (read_only &&
	    mount_setattr(tree, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) < 0 &&
	    errno != ENOSYS)
		return plug_error_errno(err, -errno, "%s", source);
	if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return plug_error_errno(err, -errno, "%s", target);
	return 0;
}
