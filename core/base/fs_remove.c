/* SPDX-License-Identifier: MIT */
/*
 * Removing a tree that others could write to: each directory is entered by openat2(2) from its
 * parent's descriptor, so that neither a symlink nor a mount leads out, however names change
 * meanwhile.  What is mounted inside stays, and with it the way to it.
 */
#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* Directories held open at a time; what lies deeper is moved up first, so that any depth ends. */
#define REMOVE_DEPTH_MAX 16

struct remove {
	int top;        /* the tree's root, into which is moved what is too deep; -1: not open */
	uint64_t moved; /* makes names in it */
};

static int remove_entry(struct remove *rm, int at, const char *name, unsigned depth);

static int remove_open(int at, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, at, name, &how, sizeof(how));
	if (fd >= 0)
		return (int)fd;
	return errno == EXDEV ? -EBUSY : -errno;
}

static int remove_move_up(struct remove *rm, int at, const char *name)
{
	char to[48];
	do {
		(void)snprintf(to, sizeof(to), ".removing-%llu", (unsigned long long)rm->moved++);
		if (renameat2(at, name, rm->top, to, RENAME_NOREPLACE) == 0)
			return 0;
	} while (errno == EEXIST);
	return -errno;
}

/* One pass over what is in it; goes on after an error and returns the first. */
static int remove_children(struct remove *rm, int at, const char *name, unsigned depth,
			   bool *ret_progress)
{
	_cleanup_close_ int fd = remove_open(at, name);
	if (fd < 0)
		return fd;
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1; /* the stream's from here on */
	if (depth == 0)
		rm->top = dirfd(dir);
	int first = 0;
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry)
			return first < 0 ? first : -errno;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int r = remove_entry(rm, dirfd(dir), entry->d_name, depth + 1);
		if (r == 0)
			*ret_progress = true;
		else if (first == 0)
			first = r;
	}
}

static int remove_dir(struct remove *rm, int at, const char *name, unsigned depth)
{
	/* A listing that is emptied while it is read may skip entries: again, while that helps. */
	for (;;) {
		bool progress = false;
		int r = remove_children(rm, at, name, depth, &progress);
		if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (!progress)
			return r < 0 ? r : -errno;
	}
}

static int remove_entry(struct remove *rm, int at, const char *name, unsigned depth)
{
	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	int error = -errno;
	if (error != -EISDIR && error != -EPERM)
		return error;
	if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTDIR)
		return error;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	return depth < REMOVE_DEPTH_MAX ? remove_dir(rm, at, name, depth)
					: remove_move_up(rm, at, name);
}

int cow_fs_remove_tree(const char *path)
{
	_cleanup_close_ int parent = -1;
	_cleanup_free_ char *name = NULL;
	int r = cow_fs_open_parent(path, &parent, &name);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	struct remove rm = { .top = -1 };
	return remove_entry(&rm, parent, name, 0);
}
