/* SPDX-License-Identifier: MIT */
/*
 * Paths inside a root that is not ours to trust.  The kernel resolves (openat2, RESOLVE_IN_ROOT, no
 * magic links); what is missing is made below a descriptor that it resolved, one component at a
 * time, without following anything.  So a symlink, or one that appears meanwhile, leads nowhere
 * outside.
 */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>

#define RESOLVE_TRIES 64

static int resolve_by(int root, const char *path, uint64_t flags, uint64_t rules)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | rules,
	};
	long fd;
	int tries = RESOLVE_TRIES;

	/* EAGAIN: something was renamed while ".." was looked up. */
	do
		fd = sys(openat2, root, *path ? path : ".", &how, sizeof(how));
	while (fd == -EAGAIN && --tries);
	return (int)fd;
}

static int resolve_existing(int root, const char *path, uint64_t flags)
{
	return resolve_by(root, path, flags, 0);
}

/* The link `name` in dir, put in the place of prefix's last component; rest is kept behind it. */
static int resolve_substitute(int dir, const char *name, char *path, size_t name_at, size_t rest_at)
{
	char target[PATH_MAX], joined[PATH_MAX];
	long n = sys(readlinkat, dir, name, target, sizeof(target) - 1);
	size_t pos = 0;

	if (n < 0)
		return n == -EINVAL ? -EAGAIN : (int)n; /* not a link any more: look again */
	target[n] = '\0';
	joined[0] = '\0';
	if (target[0] != '/') {
		char kept = path[name_at];

		path[name_at] = '\0';
		pos = sys_append(joined, sizeof(joined), pos, path);
		path[name_at] = kept;
	}
	pos = sys_append(joined, sizeof(joined), pos, target);
	pos = sys_append(joined, sizeof(joined), pos, "/");
	pos = sys_append(joined, sizeof(joined), pos, path + rest_at);
	if (pos >= sizeof(joined))
		return -ENAMETOOLONG;
	(void)sys_append(path, PATH_MAX, 0, joined);
	return -EAGAIN;
}

static int resolve_make(int dir, const char *name, bool file)
{
	long fd;

	if (!file)
		return (int)sys(mkdirat, dir, name, 0755);
	fd = sys(openat, dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return (int)fd;
	(void)sys(close, fd);
	return 0;
}

/*
 * One component: open path[0..end), or make it in dir.  Returns the descriptor, or -EAGAIN where
 * path was changed or someone else was quicker.
 */
static int resolve_component(int root, int dir, char *path, size_t at, size_t end, bool file)
{
	char name[NAME_MAX + 1];
	char kept = path[end];
	size_t rest = end;
	int fd, r;

	path[end] = '\0';
	fd = resolve_existing(root, path, 0);
	if (fd != -ENOENT) {
		path[end] = kept;
		return fd;
	}
	if (sys_append(name, sizeof(name), 0, path + at) >= sizeof(name)) {
		path[end] = kept;
		return -ENAMETOOLONG;
	}
	r = resolve_make(dir, name, file);
	if (r == 0)
		fd = resolve_existing(root, path, 0);
	path[end] = kept;
	if (r == 0)
		return fd;
	if (r != -EEXIST)
		return r;
	while (path[rest] == '/')
		rest++;
	return resolve_substitute(dir, name, path, at, rest);
}

/* Walk down path, making what is missing.  -EAGAIN: start again with the path as it is now. */
static int resolve_walk(int root, char *path, int how)
{
	int dir = resolve_existing(root, ".", O_DIRECTORY);
	size_t at = 0;

	while (dir >= 0) {
		size_t end, next;
		int fd;

		while (path[at] == '/')
			at++;
		if (!path[at])
			break;
		for (end = at; path[end] && path[end] != '/'; end++)
			;
		for (next = end; path[next] == '/'; next++)
			;
		fd = resolve_component(root, dir, path, at, end,
				       !path[next] && (how & RESOLVE_MAKE_FILE));
		(void)sys(close, dir);
		dir = fd;
		at = end;
	}
	return dir;
}

/* Only the last component is missing, as most often: -EAGAIN where it is not that simple. */
static int resolve_last(int root, char *path, bool file)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	size_t len = sys_strlen(path), at;
	int dir, fd = -EAGAIN;

	while (len && path[len - 1] == '/')
		path[--len] = '\0';
	for (at = len; at && path[at - 1] != '/'; at--)
		;
	if (at < 2)
		return -EAGAIN;
	path[at - 1] = '\0';
	dir = resolve_existing(root, path, O_DIRECTORY);
	path[at - 1] = '/';
	if (dir < 0)
		return -EAGAIN;
	if (resolve_make(dir, path + at, file) == 0)
		fd = (int)sys(openat2, dir, path + at, &how, sizeof(how));
	(void)sys(close, dir);
	return fd < 0 ? -EAGAIN : fd;
}

static int resolve_made(int root, const char *path, int how)
{
	char copy[PATH_MAX];
	int tries = RESOLVE_TRIES;
	int fd = resolve_existing(root, path, how & RESOLVE_NOFOLLOW ? O_NOFOLLOW : 0);

	if (fd != -ENOENT || !(how & (RESOLVE_MAKE_DIR | RESOLVE_MAKE_FILE)))
		return fd;
	if (sys_append(copy, sizeof(copy), 0, path) >= sizeof(copy))
		return -ENAMETOOLONG;
	fd = resolve_last(root, copy, how & RESOLVE_MAKE_FILE);
	if (fd != -EAGAIN)
		return fd;
	do
		fd = resolve_walk(root, copy, how);
	while (fd == -EAGAIN && --tries);
	return fd == -EAGAIN ? -ELOOP : fd;
}

/* What was made through a link, or has become one since, is looked at again without. */
int resolve(int root, const char *path, int how)
{
	int fd = resolve_made(root, path, how);

	if (fd < 0 || !(how & RESOLVE_NO_LINKS))
		return fd;
	(void)sys(close, fd);
	return resolve_by(root, path, 0, RESOLVE_NO_SYMLINKS);
}

int resolve_parent(int root, const char *path, char *name)
{
	char dir[PATH_MAX];
	size_t len = sys_append(dir, sizeof(dir), 0, path), at;

	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	while (len && dir[len - 1] == '/')
		dir[--len] = '\0';
	for (at = len; at && dir[at - 1] != '/'; at--)
		;
	if (!dir[at] || sys_streq(dir + at, ".") || sys_streq(dir + at, ".."))
		return -EINVAL;
	(void)sys_append(name, PATH_MAX, 0, dir + at);
	dir[at] = '\0';
	return resolve(root, at ? dir : "/", RESOLVE_MAKE_DIR);
}
