/* SPDX-License-Identifier: MIT */
#include "rootfs/copy.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define DEPTH_MAX 512
#define XATTR_LIST_MAX 65536
#define PIECE (1u << 18) /* bytes */

/* One file of several names, at its first one. */
struct link_seen {
	ino_t ino;
	dev_t dev;
	char *path; /* from the root of the copy */
};

struct copy {
	int root; /* of the copy */
	const atomic_bool *stop;
	struct plug_error *err;
	struct link_seen *links;
	size_t link_count, link_cap;
	char path[PATH_MAX]; /* of the entry at hand, from the root */
	size_t len;
};

static int fail(struct copy *c, int code)
{
	return plug_error_errno(c->err, code, "copying /%s", c->path);
}

static void put_attribute(int from, int to, const char *name, char *value, size_t size)
{
	ssize_t n = fgetxattr(from, name, value, size);

	/* What the file system of the copy does not know is no reason to have no copy. */
	if (n >= 0)
		(void)fsetxattr(to, name, value, (size_t)n, 0);
}

/* overlayfs shows no attributes of its own, so that what is listed is the image's. */
static int copy_attributes(int from, int to)
{
	_cleanup_free_ char *names = NULL, *value = NULL;
	ssize_t n = flistxattr(from, NULL, 0);

	if (n <= 0)
		return 0;
	names = malloc(XATTR_LIST_MAX);
	value = malloc(XATTR_LIST_MAX);
	if (!names || !value)
		return -ENOMEM;
	n = flistxattr(from, names, XATTR_LIST_MAX);
	for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1)
		put_attribute(from, to, name, value, XATTR_LIST_MAX);
	return 0;
}

static int finish(int fd, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };

	if (fchown(fd, st->st_uid, st->st_gid) < 0 || fchmod(fd, st->st_mode & 07777) < 0 ||
	    futimens(fd, times) < 0)
		return -errno;
	return 0;
}

/* Between two file systems that do not know each other, byte by byte. */
static ssize_t copy_piece(int from, int to, off_t at, size_t size)
{
	loff_t in = at, out = at;
	ssize_t n = copy_file_range(from, &in, to, &out, size, 0);
	char *buffer;

	if (n >= 0 || (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS))
		return n < 0 ? -errno : n;
	buffer = malloc(PIECE);
	if (!buffer)
		return -ENOMEM;
	n = pread(from, buffer, size < PIECE ? size : PIECE, at);
	if (n > 0)
		n = pwrite(to, buffer, (size_t)n, at);
	n = n < 0 ? -errno : n;
	free(buffer);
	return n;
}

static int copy_data(struct copy *c, int from, int to, off_t size)
{
	off_t at = 0, end;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		while (at < end) {
			ssize_t n = copy_piece(from, to, at, (size_t)(end - at));

			if (n < 0)
				return (int)n;
			if (n == 0)
				break;
			if (atomic_load(c->stop))
				return -ECANCELED;
			at += n;
		}
		if (at < end)
			break;
	}
	if (at < 0 && errno != ENXIO)
		return -errno;
	return ftruncate(to, size) < 0 ? -errno : 0;
}

static int copy_file(struct copy *c, int from_dir, int to_dir, const char *name,
		     const struct stat *st)
{
	_cleanup_close_ int from = openat(from_dir, name,
					  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_close_ int to = -1;
	int r;

	if (from < 0)
		return -errno;
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = copy_data(c, from, to, st->st_size);
	if (r == 0)
		r = finish(to, st); /* the owner first: changing it drops capabilities */
	return r < 0 ? r : copy_attributes(from, to);
}

static int copy_other(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim };
	char target[PATH_MAX];
	ssize_t n;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(from_dir, name, target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		if (symlinkat(target, to_dir, name) < 0)
			return -errno;
	} else if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0) {
		return -errno;
	}
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	(void)utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* 1: it is a link to one that is there already, and was made. */
static int copy_link(struct copy *c, int to_dir, const char *name, const struct stat *st)
{
	struct link_seen *more;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return 0;
	for (size_t i = 0; i < c->link_count; i++)
		if (c->links[i].ino == st->st_ino && c->links[i].dev == st->st_dev)
			return linkat(c->root, c->links[i].path, to_dir, name, 0) < 0 ? -errno : 1;
	if (c->link_count == c->link_cap) {
		size_t cap = c->link_cap ? c->link_cap * 2 : 64;

		more = reallocarray(c->links, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->links = more;
		c->link_cap = cap;
	}
	c->links[c->link_count] = (struct link_seen){ st->st_ino, st->st_dev, strdup(c->path) };
	if (!c->links[c->link_count].path)
		return -ENOMEM;
	c->link_count++;
	return 0;
}

static int copy_dir(struct copy *c, int from, int to, int depth);

static int copy_subdir(struct copy *c, int from_dir, int to_dir, const char *name,
		       const struct stat *st, int depth)
{
	_cleanup_close_ int from = -1, to = -1;
	struct stat inside;
	int r;

	from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0 || fstat(from, &inside) < 0 || mkdirat(to_dir, name, 0700) < 0)
		return -errno;
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return -errno;
	r = copy_dir(c, from, to, depth + 1);
	if (r == 0)
		r = copy_attributes(from, to);
	return r < 0 ? r : finish(to, st);
}

static int copy_entry(struct copy *c, int from, int to, const char *name, int depth)
{
	size_t len = c->len;
	struct stat st;
	int r = 0;

	if (len + strlen(name) + 2 > sizeof(c->path))
		return -ENAMETOOLONG;
	c->len += (size_t)sprintf(c->path + len, "%s%s", len ? "/" : "", name);
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0)
		r = copy_link(c, to, name, &st);
	if (r == 0 && S_ISDIR(st.st_mode))
		r = copy_subdir(c, from, to, name, &st, depth);
	else if (r == 0 && S_ISREG(st.st_mode))
		r = copy_file(c, from, to, name, &st);
	else if (r == 0 && !S_ISSOCK(st.st_mode))
		r = copy_other(from, to, name, &st);
	if (r < 0)
		return c->err && c->err->code ? r : fail(c, r);
	c->len = len;
	c->path[len] = '\0';
	return 0;
}

static int copy_dir(struct copy *c, int from, int to, int depth)
{
	_cleanup_closedir_ DIR *d = NULL;
	int fd = fcntl(from, F_DUPFD_CLOEXEC, 3), r = 0;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	if (depth > DEPTH_MAX)
		return -ELOOP;
	rewinddir(d); /* the place in it is shared with `from` */
	for (struct dirent *e = readdir(d); r == 0 && e; e = readdir(d)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = atomic_load(c->stop) ? -ECANCELED : copy_entry(c, from, to, e->d_name, depth);
	}
	return r;
}

int st_copy_tree(int from, int to, const atomic_bool *stop, struct plug_error *err)
{
	struct copy c = { .root = to, .stop = stop, .err = err };
	struct stat st;
	int r = fstat(from, &st) < 0 ? -errno : copy_dir(&c, from, to, 0);

	if (r == 0)
		r = copy_attributes(from, to);
	if (r == 0)
		r = finish(to, &st);
	for (size_t i = 0; i < c.link_count; i++)
		free(c.links[i].path);
	free(c.links);
	return r < 0 && err && !err->code ? plug_error_errno(err, r, "copying /%s", c.path) : r;
}
