/* SPDX-License-Identifier: MIT */
/*
 * Each directory is entered by openat2(2) from its parent's descriptor, so that neither a symlink
 * nor a mount leads out, however names change meanwhile.
 */
#include "archive/unpack.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Directories held open at a time; what lies deeper is moved up first, so that any depth ends. */
#define DEPTH_MAX 16

struct removal {
	int top;        /* the tree's root, into which is moved what is too deep; -1: not open */
	uint64_t moved; /* makes names in it */
};

static int remove_entry(struct removal *removal, int at, const char *name, unsigned depth);

static int remove_open(int at, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, at, name, &how, sizeof(how));

	/* A layer may hold directories that its owner, who is not root, cannot read. */
	if (fd < 0 && errno == EACCES && fchmodat(at, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = syscall(SYS_openat2, at, name, &how, sizeof(how));
	if (fd >= 0)
		return (int)fd;
	return errno == EXDEV ? -EBUSY : -errno;
}

static int remove_move_up(struct removal *removal, int at, const char *name)
{
	char to[48];

	do {
		(void)snprintf(to, sizeof(to), ".removing-%llu",
			       (unsigned long long)removal->moved++);
		if (renameat2(at, name, removal->top, to, RENAME_NOREPLACE) == 0)
			return 0;
	} while (errno == EEXIST);
	return -errno;
}

/* One pass over what is in it; goes on after an error and returns the first. */
static int remove_children(struct removal *removal, int at, const char *name, unsigned depth,
			   bool *progress)
{
	_cleanup_close_ int fd = remove_open(at, name);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int first = 0;

	if (fd < 0)
		return fd;
	if (!dir)
		return -errno;
	(void)plug_take_fd(&fd); /* the stream's from here on */
	if (!depth)
		removal->top = dirfd(dir);
	while (errno = 0, entry = readdir(dir), entry) {
		int r;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = remove_entry(removal, dirfd(dir), entry->d_name, depth + 1);
		if (!r)
			*progress = true;
		else if (!first)
			first = r;
	}
	return first ? first : -errno;
}

static int remove_directory(struct removal *removal, int at, const char *name, unsigned depth)
{
	/* A listing that is emptied while it is read may skip entries: again, while that helps. */
	for (;;) {
		bool progress = false;
		int r = remove_children(removal, at, name, depth, &progress);

		if (!unlinkat(at, name, AT_REMOVEDIR) || errno == ENOENT)
			return 0;
		if (!progress)
			return r ? r : -errno;
	}
}

static int remove_entry(struct removal *removal, int at, const char *name, unsigned depth)
{
	int error;

	if (!unlinkat(at, name, 0) || errno == ENOENT)
		return 0;
	error = -errno;
	if (error != -EISDIR && error != -EPERM)
		return error;
	if (!unlinkat(at, name, AT_REMOVEDIR) || errno == ENOENT)
		return 0;
	if (errno == ENOTDIR)
		return error;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	return depth < DEPTH_MAX ? remove_directory(removal, at, name, depth)
				 : remove_move_up(removal, at, name);
}

int st_remove_tree(int dirfd, const char *name)
{
	struct removal removal = { .top = -1 };

	if (!name[0] || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return -EINVAL;
	return remove_entry(&removal, dirfd, name, 0);
}
