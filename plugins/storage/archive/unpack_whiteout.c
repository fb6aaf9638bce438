/* SPDX-License-Identifier: MIT */
#include "archive/unpack_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#define PREFIX ".wh."
#define OPAQUE ".wh..wh..opq"
#define META ".wh..wh." /* other things of aufs: its plinks and the like, nothing in an image */
#define CLEAR_DEPTH_MAX 256

int unpack_opaque(struct unpack *u, int parent, const char *name)
{
	const char *key = u->options->user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
	_cleanup_close_ int fd = unpack_dir_open(parent, name);

	if (fd < 0)
		return unpack_fail(u, fd, "opaque directory");
	return fsetxattr(fd, key, "y", 1, 0) ? unpack_fail(u, -errno, "opaque directory") : 0;
}

static int clear(struct unpack *u, int parent, const char *name, struct tar_text *path,
		 unsigned depth);

/* One name in a directory: it goes, unless this archive made it or something below it. */
static int clear_name(struct unpack *u, int parent, const char *name, struct tar_text *path,
		      unsigned depth)
{
	size_t size = path->size;
	struct stat st;
	int r = size ? tar_text_add(path, "/", 1) : 0;

	if (!r)
		r = tar_text_add(path, name, strlen(name));
	if (r)
		return r;
	if (!unpack_made_has(u, path->data, path->size)) {
		u->removed_dirs = true;
		r = st_remove_tree(parent, name);
	} else if (!fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode)) {
		r = clear(u, parent, name, path, depth + 1);
	}
	path->size = size;
	path->data[size] = 0;
	return r;
}

static int clear(struct unpack *u, int parent, const char *name, struct tar_text *path,
		 unsigned depth)
{
	_cleanup_close_ int fd = depth > CLEAR_DEPTH_MAX ? -ELOOP : unpack_dir_open(parent, name);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (fd < 0)
		return fd;
	if (!dir)
		return -errno;
	(void)plug_take_fd(&fd);
	while (errno = 0, entry = readdir(dir), entry) {
		int r;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = clear_name(u, dirfd(dir), entry->d_name, path, depth);
		if (r)
			return r;
	}
	return -errno;
}

/* ST_WHITEOUT_APPLY: removes what was there before this archive. */
static int apply(struct unpack *u, int parent, const char *name)
{
	struct tar_text path = { 0 };
	int r = tar_text_add(&path, u->name.path.data, u->name.parent_size);

	unpack_dirs_forget(u);
	if (!r)
		r = name ? clear_name(u, parent, name, &path, 0) : clear(u, parent, ".", &path, 0);
	free(path.data);
	return r ? unpack_fail(u, r, "whiteout") : 0;
}

/* ST_WHITEOUT_OVERLAY: the kernel's whiteout, unless this layer has something of that name. */
static int hide(struct unpack *u, int parent, const char *name)
{
	struct stat st;

	if (!mknodat(parent, name, S_IFCHR, 0))
		return 0;
	if (errno != EEXIST)
		return unpack_fail(u, -errno, "whiteout");
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW))
		return unpack_fail(u, -errno, "whiteout");
	/* Its own directory hides nothing of the one below unless it says so. */
	return S_ISDIR(st.st_mode) ? unpack_opaque(u, parent, name) : 0;
}

int unpack_whiteout(struct unpack *u)
{
	bool overlay = u->options->whiteouts == ST_WHITEOUT_OVERLAY;
	const char *base = u->name.base, *name = base + sizeof(PREFIX) - 1;
	_cleanup_close_ int parent = -1;
	bool opaque = !strcmp(base, OPAQUE);
	int r;

	if (u->options->whiteouts == ST_WHITEOUT_KEEP || strncmp(base, PREFIX, sizeof(PREFIX) - 1) != 0)
		return 0;
	if (!opaque && !strncmp(base, META, sizeof(META) - 1))
		return 1;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return unpack_fail(u, -EINVAL, "refused: a whiteout of nothing, or of a directory above");
	/* One of its own: what follows closes those that are kept open. */
	parent = fcntl(u->parent, F_DUPFD_CLOEXEC, 0);
	if (parent < 0)
		return unpack_fail(u, -errno, "whiteout");
	if (opaque)
		r = overlay ? unpack_opaque(u, parent, ".") : apply(u, parent, NULL);
	else
		r = overlay ? hide(u, parent, name) : apply(u, parent, name);
	return r ? r : 1;
}
