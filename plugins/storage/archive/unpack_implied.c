/* SPDX-License-Identifier: MIT */
/* Directories that an archive implies, as the layers below describe them. */
#include "archive/unpack_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#define XATTR_NAMES_MAX 65536 /* the kernel's own limits */
#define XATTR_VALUE_MAX 65536

static bool xattr_copied(const char *name)
{
	return !strcmp(name, "security.capability") ||
	       (!strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13) != 0);
}

static int xattrs_copy(int from, int to)
{
	_cleanup_free_ char *names = malloc(XATTR_NAMES_MAX);
	_cleanup_free_ char *value = malloc(XATTR_VALUE_MAX);
	ssize_t size, n;

	if (!names || !value)
		return -ENOMEM;
	size = flistxattr(from, names, XATTR_NAMES_MAX);
	if (size < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = names; name < names + size; name += strlen(name) + 1) {
		if (!xattr_copied(name))
			continue;
		n = fgetxattr(from, name, value, XATTR_VALUE_MAX);
		if (n < 0 || (fsetxattr(to, name, value, (size_t)n, 0) && errno != EOPNOTSUPP))
			return -errno;
	}
	return 0;
}

/* 1: done; 0: this layer does not know it. */
static int implied_copy(int dirfd, int lower, const char *path)
{
	_cleanup_close_ int from = unpack_dir_open(lower, path);
	_cleanup_close_ int to = -1;
	struct timespec times[2];
	struct stat st;
	int r;

	if (from < 0)
		return from == -ENOENT || from == -ENOTDIR || from == -ELOOP ? 0 : from;
	to = unpack_dir_open(dirfd, path);
	if (to < 0)
		return to == -ENOENT || to == -ENOTDIR || to == -ELOOP ? 1 : to; /* replaced since */
	if (fstat(from, &st) || fchown(to, st.st_uid, st.st_gid) || fchmod(to, st.st_mode & 07777))
		return -errno;
	r = xattrs_copy(from, to);
	if (r)
		return r;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return futimens(to, times) ? -errno : 1;
}

int st_unpack_implied(int dirfd, const struct st_unpack_result *result, const int *lower,
		      size_t lower_count)
{
	for (size_t at = 0; at < result->implied_size; at += strlen(result->implied + at) + 1) {
		const char *path = result->implied + at;
		int r = 0;

		for (size_t i = 0; !r && i < lower_count; i++)
			r = implied_copy(dirfd, lower[i], path);
		if (r < 0)
			return r;
	}
	return 0;
}
