/* SPDX-License-Identifier: MIT */
/* Directories by their names in the archive, resolved by the kernel and never out of the root. */
#include "archive/unpack_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

/* Somebody renames or mounts somewhere meanwhile: the kernel asks to be asked again. */
#define AGAIN_MAX 128
/* Bytes of names of directories that the archive does not describe. */
#define IMPLIED_MAX (8 << 20)

static int beneath_open(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	for (unsigned i = 0;; i++) {
		long fd = syscall(SYS_openat2, root, path[0] ? path : ".", &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN || i == AGAIN_MAX)
			return -errno;
	}
}

int unpack_dir_open(int dirfd, const char *name)
{
	return beneath_open(dirfd, name, O_RDONLY | O_NOFOLLOW);
}

static struct unpack_dir *dir_cached(struct unpack *u, const char *path, size_t size, uint64_t hash)
{
	for (unsigned i = 0; i < UNPACK_DIRS; i++) {
		struct unpack_dir *dir = &u->dirs[i];

		if (dir->path && dir->hash == hash && dir->size == size &&
		    !memcmp(dir->path, path, size)) {
			dir->used = ++u->clock;
			return dir;
		}
	}
	return NULL;
}

static void dir_close(struct unpack_dir *dir)
{
	if (dir->path)
		(void)close(dir->fd);
	free(dir->path);
	dir->path = NULL;
}

void unpack_dirs_forget(struct unpack *u)
{
	for (unsigned i = 0; i < UNPACK_DIRS; i++)
		dir_close(&u->dirs[i]);
}

/* Takes fd, in the place of the one that was not used for longest. */
static int dir_keep(struct unpack *u, const char *path, size_t size, uint64_t hash, int fd)
{
	struct unpack_dir *oldest = &u->dirs[0];

	for (unsigned i = 0; i < UNPACK_DIRS && oldest->path; i++)
		if (!u->dirs[i].path || u->dirs[i].used < oldest->used)
			oldest = &u->dirs[i];
	dir_close(oldest);
	oldest->path = strndup(path, size);
	if (!oldest->path) {
		(void)close(fd);
		return unpack_fail(u, -ENOMEM, NULL);
	}
	oldest->size = size;
	oldest->hash = hash;
	oldest->used = ++u->clock;
	oldest->fd = fd;
	return fd;
}

int unpack_dir_find(struct unpack *u, const char *path, size_t size)
{
	uint64_t hash = unpack_hash(u, path, size);
	struct unpack_dir *dir = dir_cached(u, path, size, hash);
	_cleanup_free_ char *name = NULL;
	int fd;

	if (dir)
		return dir->fd;
	name = strndup(path, size);
	if (!name)
		return unpack_fail(u, -ENOMEM, NULL);
	fd = beneath_open(u->root, name, O_PATH);
	return fd < 0 ? fd : dir_keep(u, path, size, hash, fd);
}

/* name in parent, which is there already as something else, or is not. */
static int implied_make(struct unpack *u, int parent, const char *name, const char *path,
			size_t size)
{
	bool was_whiteout = false;
	struct stat st;
	int r;

	if (!fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) && unpack_is_whiteout(&st)) {
		r = unpack_replace(u, parent, name, &was_whiteout);
		if (r)
			return r;
	}
	if (mkdirat(parent, name, 0755))
		return errno == EEXIST ? 0 : -errno; /* the caller looks what it is */
	/* Whatever the umask is, and the directory above. */
	r = fchownat(parent, name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	if (!r)
		r = fchmodat(parent, name, 0755, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	if (!r && was_whiteout)
		r = unpack_opaque(u, parent, name);
	if (!r && u->implied.size > IMPLIED_MAX)
		r = -E2BIG;
	if (!r)
		r = tar_text_add(&u->implied, path, size);
	if (!r)
		r = tar_text_add(&u->implied, "", 1);
	return r;
}

/* From the root down, each from the one above: a symlink on the way is the kernel's to resolve. */
static int dir_walk(struct unpack *u, char *path)
{
	_cleanup_close_ int at = beneath_open(u->root, "", O_PATH);
	char *name = path, *end;

	for (; at >= 0 && *name; name = end + (*end != 0)) {
		char c;
		int fd, r;

		end = name + strcspn(name, "/");
		c = *end;
		*end = 0;
		fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
			r = implied_make(u, at, name, path, (size_t)(end - path));
			if (r)
				return r;
			fd = beneath_open(u->root, path, O_PATH);
		} else if (fd < 0) {
			fd = -errno;
		}
		*end = c;
		(void)close(at);
		at = fd;
	}
	return plug_take_fd(&at);
}

int unpack_dir_make(struct unpack *u, const char *path, size_t size)
{
	int fd = unpack_dir_find(u, path, size);
	_cleanup_free_ char *name = NULL;

	if (fd != -ENOENT && fd != -ENOTDIR)
		return fd;
	name = strndup(path, size);
	if (!name)
		return unpack_fail(u, -ENOMEM, NULL);
	fd = dir_walk(u, name);
	return fd < 0 ? fd : dir_keep(u, path, size, unpack_hash(u, path, size), fd);
}
