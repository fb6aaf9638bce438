/* SPDX-License-Identifier: MIT */
/*
 * tmpcopyup: what lies below the target, copied into the new tmpfs before it covers it; of what is
 * mounted there, such as a /proc, the mount points only.
 */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#define COPY_DEPTH_MAX 64

/* getdents64(2)'s record; <dirent.h> knows another. */
struct copy_dirent {
	uint64_t ino, off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static int copy_directory(struct child *c, int from, int to, int depth);

static int copy_meta(int fd, const struct stat *st)
{
	long r = sys(fchown, fd, st->st_uid, st->st_gid);

	return r < 0 ? (int)r : (int)sys(fchmod, fd, st->st_mode & 07777);
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
	long in = sys(openat, from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	long out, n;

	if (in < 0)
		return (int)in;
	out = sys(openat, to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	n = out;
	if (out >= 0) {
		do
			n = sys(sendfile, out, in, NULL, 1 << 20);
		while (n > 0);
		if (n == 0)
			n = copy_meta((int)out, st);
		(void)sys(close, out);
	}
	(void)sys(close, in);
	return (int)n;
}

static int copy_link(struct child *c, int from, int to, const char *name, const struct stat *st)
{
	long n = sys(readlinkat, from, name, c->buf, sizeof(c->buf) - 1);

	if (n < 0)
		return (int)n;
	c->buf[n] = '\0';
	n = sys(symlinkat, c->buf, to, name);
	return n < 0 ? (int)n
		     : (int)sys(fchownat, to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_subdirectory(struct child *c, int from, int to, const char *name,
			     const struct stat *st, int depth)
{
	long in, out, r = sys(mkdirat, to, name, 0700);
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV,
	};

	if (r < 0)
		return (int)r;
	in = sys(openat2, from, name, &how, sizeof(how));
	if (in == -EXDEV)
		return (int)sys(fchmodat, to, name, st->st_mode & 07777);
	if (in < 0)
		return (int)in;
	out = sys(openat, to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = out < 0 ? out : copy_directory(c, (int)in, (int)out, depth + 1);
	if (r == 0)
		r = copy_meta((int)out, st);
	if (out >= 0)
		(void)sys(close, out);
	(void)sys(close, in);
	return (int)r;
}

static int copy_entry(struct child *c, int from, int to, const char *name, int depth)
{
	struct stat st;
	long r = sys(newfstatat, from, name, &st, AT_SYMLINK_NOFOLLOW);

	if (r < 0)
		return r == -ENOENT ? 0 : (int)r;
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st);
	if (S_ISLNK(st.st_mode))
		return copy_link(c, from, to, name, &st);
	if (S_ISDIR(st.st_mode))
		return copy_subdirectory(c, from, to, name, &st, depth);
	r = sys(mknodat, to, name, st.st_mode, st.st_rdev);
	return r < 0 ? (int)r
		     : (int)sys(fchownat, to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_directory(struct child *c, int from, int to, int depth)
{
	char entries[4096] __attribute__((aligned(8)));
	long n;

	if (depth > COPY_DEPTH_MAX)
		return -ELOOP;
	while ((n = sys(getdents64, from, entries, sizeof(entries))) > 0) {
		for (long at = 0; at < n;) {
			struct copy_dirent *e = (struct copy_dirent *)(void *)(entries + at);
			int r = 0;

			if (!sys_streq(e->name, ".") && !sys_streq(e->name, ".."))
				r = copy_entry(c, from, to, e->name, depth);
			if (r < 0)
				return r;
			at += e->len;
		}
	}
	return (int)n;
}

/* from, to: O_PATH descriptors of the target and of the new mount. */
int child_copy_up(struct child *c, int from, int to)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	struct stat st;
	long in, out, r = child_step(c, LAUNCH_STEP_COPY_UP, c->index);

	if (r < 0)
		return (int)r;
	in = sys(openat2, from, ".", &how, sizeof(how));
	if (in < 0)
		return (int)in;
	out = sys(openat2, to, ".", &how, sizeof(how));
	r = out < 0 ? out : sys(fstat, in, &st);
	if (r == 0)
		r = copy_meta((int)out, &st);
	if (r == 0)
		r = copy_directory(c, (int)in, (int)out, 0);
	if (out >= 0)
		(void)sys(close, out);
	(void)sys(close, in);
	return (int)r;
}
