/* SPDX-License-Identifier: MIT */
/*
 * Removal of trees that strangers' archives made: any depth, with a bounded number of descriptors.
 * What lies too deep is moved up to the top and removed from there.
 */
#include "image/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 48

struct removal {
	int top;
	unsigned moved; /* directories that were moved to the top */
	int error;      /* the first */
};

static void removal_fail(struct removal *x, int code)
{
	if (!x->error)
		x->error = code;
}

static void move_up(struct removal *x, int dirfd, const char *name)
{
	char to[40];

	do
		(void)snprintf(to, sizeof(to), ".deep-%u", x->moved++);
	while (renameat2(dirfd, name, x->top, to, RENAME_NOREPLACE) < 0 && errno == EEXIST);
}

/* Removes all in fd, which it closes. */
static void directory_empty(struct removal *x, int fd, unsigned depth, const char *except)
{
	_cleanup_closedir_ DIR *d = fdopendir(fd);
	struct dirent *e;

	if (!d) {
		removal_fail(x, -errno);
		(void)close(fd);
		return;
	}
	while ((e = readdir(d))) {
		int inner;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    (except && !strcmp(e->d_name, except)))
			continue;
		if (!unlinkat(fd, e->d_name, 0) || errno == ENOENT)
			continue;
		if (errno != EISDIR) {
			removal_fail(x, -errno);
			continue;
		}
		if (!unlinkat(fd, e->d_name, AT_REMOVEDIR))
			continue;
		if (depth >= DEPTH_MAX) {
			move_up(x, fd, e->d_name);
			continue;
		}
		inner = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (inner < 0) {
			removal_fail(x, -errno);
			continue;
		}
		directory_empty(x, inner, depth + 1, NULL);
		if (unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			removal_fail(x, -errno);
	}
}

static int empty(int dirfd, const char *except)
{
	struct removal x = { .top = dirfd };
	unsigned moved;

	do {
		int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		moved = x.moved;
		x.error = 0;
		directory_empty(&x, fd, 0, except);
	} while (x.moved != moved);
	return x.error;
}

/* The lock goes last: until then the directory is ours, also to others who sweep. */
int st_remove_work(int tmp, const char *name, int dirfd)
{
	int r = empty(dirfd, "lock");

	if (r == 0 && unlinkat(dirfd, "lock", 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && unlinkat(tmp, name, AT_REMOVEDIR) < 0 && errno != ENOENT &&
	    errno != ENOTEMPTY)
		r = -errno;
	return r;
}
