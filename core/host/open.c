/* SPDX-License-Identifier: MIT */
/*
 * Mapping a plugin file that nobody but root or the supervisor's own user can have written.
 *
 * The file is judged through a descriptor.  dlopen() wants a path, and a path may lead elsewhere a
 * moment later; so it is given the resolved path only where every directory on it is as well guarded
 * as the file itself (debuggers and sanitizers then find the file by name), and else the descriptor.
 */
#include "base/cleanup.h"
#include "host/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static bool owner_trusted(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* In a sticky directory nobody can replace what belongs to others. */
static bool directory_trusted(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && owner_trusted(&st) &&
	       (!(st.st_mode & (S_IWGRP | S_IWOTH)) || (st.st_mode & S_ISVTX));
}

/* real: absolute, without symlinks; put back as it was. */
static bool path_trusted(char *real)
{
	for (char *slash = strchr(real + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		bool trusted;

		*slash = '\0';
		trusted = directory_trusted(real);
		*slash = '/';
		if (!trusted)
			return false;
	}
	return directory_trusted("/");
}

static int file_judge(int fd, struct cow_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cow_error_errno(err, -errno, "cannot look at it");
	if (!S_ISREG(st.st_mode))
		return cow_error_set(err, -EINVAL, "not a regular file");
	if (!owner_trusted(&st))
		return cow_error_set(err, -EPERM, "owned by uid %u, not by root or uid %u",
				     (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return cow_error_set(err, -EPERM, "writable by group or others (mode %04o)",
				     (unsigned)st.st_mode & 07777);
	return 0;
}

/* What dlerror() says begins with the path; the caller names that already. */
static const char *loader_text(const char *path)
{
	const char *text = dlerror();
	size_t n = strlen(path);

	if (!text)
		return "cannot be loaded";
	return strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

int plugin_file_open(const char *path, void **ret, int *ret_fd, struct cow_error *err)
{
	char by_fd[64];
	const char *name;
	void *handle;
	_cleanup_free_ char *real = realpath(path, NULL);
	_cleanup_close_ int fd = -1;
	int rc;

	if (!real)
		return cow_error_errno(err, -errno, "cannot find it");
	fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return cow_error_errno(err, -errno, "cannot open it");
	rc = file_judge(fd, err);
	if (rc < 0)
		return rc;
	(void)snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
	name = path_trusted(real) ? real : by_fd;
	handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return cow_error_set(err, -ENOEXEC, "%s", loader_text(name));
	*ret = handle;
	/* The dynamic loader knows the file by this name: it must not come to mean another one. */
	*ret_fd = name == by_fd ? cow_take_fd(&fd) : -1;
	return 0;
}
