/* SPDX-License-Identifier: MIT */
/* The utility VM's files of a parent become this layer's own names. */
#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

static int attributes_copy(int from, int to)
{
	ssize_t size = flistxattr(from, NULL, 0);
	_cleanup_free_ char *names = NULL;
	int r = 0;

	if (size <= 0)
		return 0;
	names = malloc((size_t)size);
	size = names ? flistxattr(from, names, (size_t)size) : -1;
	if (size < 0)
		return names ? -errno : -ENOMEM;
	for (char *p = names; r == 0 && p < names + size; p += strlen(p) + 1) {
		ssize_t n = strncmp(p, "user.", 5) ? -1 : fgetxattr(from, p, NULL, 0);
		_cleanup_free_ char *value = n < 0 ? NULL : malloc((size_t)n + 1);

		if (n < 0)
			continue;
		n = value ? fgetxattr(from, p, value, (size_t)n) : -1;
		if (n < 0 || fsetxattr(to, p, value, (size_t)n, 0) < 0)
			r = value ? -errno : -ENOMEM;
	}
	return r;
}

/* Owner, mode, attributes and times of one that is open. */
static int meta_copy(int from, int to)
{
	struct timespec times[2];
	struct stat st;
	int r;

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
	    fchmod(to, st.st_mode & 07777) < 0)
		return -errno;
	r = attributes_copy(from, to);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return r == 0 && futimens(to, times) < 0 ? -errno : r;
}

static int file_copy(int from, const char *from_path, int to, const char *to_path)
{
	_cleanup_close_ int in = st_tree_open(from, from_path, O_RDONLY | O_NONBLOCK),
			    out = in < 0 ? -1 : st_tree_create(to, to_path, 0600);
	ssize_t n;

	if (in < 0 || out < 0)
		return in < 0 ? in : out;
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	return n < 0 ? -errno : meta_copy(in, out);
}

int win_link_or_copy(int from, const char *from_path, int to, const char *to_path)
{
	const char *from_base, *to_base;
	_cleanup_close_ int from_dir = st_tree_parent(from, from_path, &from_base),
			    to_dir = st_tree_parent(to, to_path, &to_base);

	if (from_dir < 0 || to_dir < 0)
		return from_dir < 0 ? from_dir : to_dir;
	if (linkat(from_dir, from_base, to_dir, to_base, 0) == 0)
		return 0;
	if (errno != EXDEV && errno != EMLINK && errno != EPERM)
		return -errno;
	return file_copy(from, from_path, to, to_path);
}

static int clone_link(int from, int to, const char *path)
{
	char target[4097];
	const char *base;
	_cleanup_close_ int from_dir = st_tree_parent(from, path, &base),
			    to_dir = st_tree_parent(to, path, &base);
	ssize_t n;

	if (from_dir < 0 || to_dir < 0)
		return from_dir < 0 ? from_dir : to_dir;
	n = readlinkat(from_dir, base, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	return symlinkat(target, to_dir, base) < 0 ? -errno : 0;
}

static int clone_tree(int from, int to, const char *path);

static int clone_one(int from, int to, const char *path)
{
	struct stat st;
	int r = st_tree_stat(from, path, &st);

	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return clone_tree(from, to, path);
	if (S_ISLNK(st.st_mode))
		return clone_link(from, to, path);
	if (!S_ISREG(st.st_mode))
		return 0;
	/* The four are changed later, in place. */
	return win_name_backup(path) ? file_copy(from, path, to, path)
				     : win_link_or_copy(from, path, to, path);
}

static int clone_tree(int from, int to, const char *path)
{
	_cleanup_close_ int in = st_tree_open(from, path, O_RDONLY | O_DIRECTORY), out = -1;
	struct st_names names = { 0 };
	int r = in < 0 ? in : st_tree_mkdirs(to, path);

	if (r == 0)
		r = st_tree_list(from, path, &names);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_free_ char *child = st_tree_join(path, names.name[i]);

		r = child ? clone_one(from, to, child) : -ENOMEM;
	}
	st_names_finish(&names);
	if (r == 0) {
		out = st_tree_open(to, path, O_RDONLY | O_DIRECTORY);
		r = out < 0 ? out : meta_copy(in, out);
	}
	return r;
}

int win_clone_uvm(int parent, int stage)
{
	return clone_tree(parent, stage, WIN_UVM_FILES);
}
