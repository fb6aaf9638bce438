/* SPDX-License-Identifier: MIT */
#include "layer/tree.h"

#include "archive/unpack.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* Somebody renames meanwhile: the kernel asks to be asked again. */
#define AGAIN_MAX 128
#define NAMES_STEP 64

static int open_how(int root, const char *path, uint64_t flags, mode_t mode)
{
	struct open_how how = {
		.flags = flags | O_NOFOLLOW | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	/* A symlink itself may be held, by O_PATH and O_NOFOLLOW; the ones on the way may not. */
	if (flags & O_PATH)
		how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
	for (unsigned i = 0;; i++) {
		long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN || i == AGAIN_MAX)
			return -errno;
	}
}

int st_tree_parent(int root, const char *path, const char **base)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash ? (size_t)(slash - path) : 0);
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	if (!dir)
		return -ENOMEM;
	*base = slash ? slash + 1 : *path ? path : ".";
	for (unsigned i = 0;; i++) {
		long fd = syscall(SYS_openat2, root, *dir ? dir : ".", &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN || i == AGAIN_MAX)
			return -errno;
	}
}

int st_tree_open(int root, const char *path, int flags)
{
	_cleanup_close_ int parent = -1;
	const char *base;

	if (!(flags & O_PATH))
		return open_how(root, path, (uint64_t)flags, 0);
	parent = st_tree_parent(root, path, &base);
	return parent < 0 ? parent : open_how(parent, base, (uint64_t)flags, 0);
}

int st_tree_create(int root, const char *path, mode_t mode)
{
	return open_how(root, path, O_RDWR | O_CREAT | O_EXCL, mode);
}

int st_tree_stat(int root, const char *path, struct stat *ret)
{
	const char *base;
	_cleanup_close_ int parent = st_tree_parent(root, path, &base);

	if (parent < 0)
		return parent;
	return fstatat(parent, base, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int st_tree_mkdirs(int root, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	struct stat st;
	int r = copy ? 0 : -ENOMEM;

	for (char *end = copy; r == 0 && *path && end;) {
		_cleanup_close_ int parent = -1;
		const char *base;

		end = strchr(end, '/');
		if (end)
			*end = 0;
		parent = st_tree_parent(root, copy, &base);
		if (parent < 0)
			r = parent;
		else if (mkdirat(parent, base, 0755) < 0 && errno != EEXIST)
			r = -errno;
		else if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else if (!S_ISDIR(st.st_mode))
			r = S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR;
		if (end)
			*end++ = '/';
	}
	return r;
}

int st_tree_remove(int root, const char *path)
{
	const char *base;
	_cleanup_close_ int parent = st_tree_parent(root, path, &base);
	int r;

	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	r = st_remove_tree(parent, base);
	return r == -ENOENT ? 0 : r;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_add(struct st_names *names, const char *name)
{
	if (names->count % NAMES_STEP == 0) {
		char **more = realloc(names->name, (names->count + NAMES_STEP) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		names->name = more;
	}
	names->name[names->count] = strdup(name);
	if (!names->name[names->count])
		return -ENOMEM;
	names->count++;
	return 0;
}

int st_tree_list(int root, const char *path, struct st_names *ret)
{
	_cleanup_close_ int fd = st_tree_open(root, path, O_RDONLY | O_DIRECTORY);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct st_names names = { 0 };
	struct dirent *e;
	int r = fd < 0 ? fd : dir ? 0 : -errno;

	if (dir)
		(void)plug_take_fd(&fd);
	while (r == 0 && (errno = 0, e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = names_add(&names, e->d_name);
	if (r == 0 && errno)
		r = -errno;
	if (r < 0) {
		st_names_finish(&names);
		return r;
	}
	if (names.count)
		qsort(names.name, names.count, sizeof(*names.name), by_bytes);
	*ret = names;
	return 0;
}

void st_names_finish(struct st_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct st_names){ 0 };
}

bool st_names_have(const struct st_names *names, const char *name)
{
	return names->count && bsearch(&name, names->name, names->count, sizeof(*names->name), by_bytes);
}

char *st_tree_join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s%s%s", dir, *dir && *name ? "/" : "", name) < 0 ? NULL : path;
}

int st_tree_path(int parent, const char *base, char buf[static ST_TREE_PATH])
{
	int n = snprintf(buf, ST_TREE_PATH, "/proc/self/fd/%d/%s", parent, base);

	return n < ST_TREE_PATH ? 0 : -ENAMETOOLONG;
}

bool st_tree_is_opaque(int root, const char *path)
{
	static const char *const names[] = { "trusted.overlay.opaque", "user.overlay.opaque" };
	_cleanup_close_ int fd = st_tree_open(root, path, O_RDONLY | O_DIRECTORY);
	char value;

	for (size_t i = 0; fd >= 0 && i < PLUG_ELEMENTS(names); i++)
		if (fgetxattr(fd, names[i], &value, 1) == 1 && value == 'y')
			return true;
	return false;
}

int st_tree_read_file(int root, const char *path, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = st_tree_open(root, path, O_RDONLY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)max)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (size < (size_t)st.st_size && (n = read(fd, text + size, (size_t)st.st_size - size)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		size += n > 0 ? (size_t)n : 0;
	}
	text[size] = 0;
	*ret = plug_take_ptr(text);
	*ret_size = size;
	return 0;
}

int st_tree_write_file(int root, const char *name, mode_t mode, const void *data, size_t size)
{
	char making[280];
	_cleanup_close_ int fd = -1;
	int r;

	(void)snprintf(making, sizeof(making), ".%s.new", name);
	(void)unlinkat(root, making, 0);
	fd = openat(root, making, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = plug_write_all(fd, data, size);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(root, making, root, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(root, making, 0);
	return r;
}
