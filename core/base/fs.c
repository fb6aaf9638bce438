/* SPDX-License-Identifier: MIT */
#include "base/fs.h"
#include "base/cleanup.h"
#include "base/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int cow_fs_read_at(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	_cleanup_free_ char *data = NULL;
	size_t len = 0, cap = 0;
	/* Not by size: files of /proc and /sys say 0. */
	for (;;) {
		if (cap - len < 2) {
			cap = cap ? cap * 2 : 1024;
			char *larger = realloc(data, cap);
			if (!larger)
				return -ENOMEM;
			data = larger;
		}
		ssize_t n = read(fd, data + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret = cow_take_ptr(data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int cow_fs_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	return cow_fs_read_at(AT_FDCWD, path, max, ret, ret_len);
}

int cow_fs_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* "dir/name" as a directory to open and a name in it.  Trailing slashes are no part of the name. */
static int fs_split(const char *path, char **ret_dir, char **ret_name)
{
	size_t end = strlen(path);
	while (end > 0 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	_cleanup_free_ char *name = strndup(path + start, end - start);
	_cleanup_free_ char *dir = start > 0 ? strndup(path, start) : strdup(".");
	if (!name || !dir)
		return -ENOMEM;
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	*ret_dir = cow_take_ptr(dir);
	*ret_name = cow_take_ptr(name);
	return 0;
}

int cow_fs_open_parent(const char *path, int *ret_dirfd, char **ret_name)
{
	_cleanup_free_ char *dir = NULL, *name = NULL;
	int r = fs_split(path, &dir, &name);
	if (r < 0)
		return r;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_dirfd = fd;
	*ret_name = cow_take_ptr(name);
	return 0;
}

static int fs_write_file_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
			    unsigned flags, int *ret_fd)
{
	/* What a killed predecessor left under this name is removed, not written through. */
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = cow_fs_write_all(fd, data, len);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && (flags & COW_FS_DURABLE) && fsync(fd) < 0)
		r = -errno;
	if (r == 0)
		*ret_fd = cow_take_fd(&fd);
	return r;
}

int cow_fs_write_atomic_fd(const char *path, const void *data, size_t len, mode_t mode,
			   unsigned flags, int *ret_fd)
{
	_cleanup_close_ int dirfd = -1, fd = -1;
	_cleanup_free_ char *name = NULL;
	int r = cow_fs_open_parent(path, &dirfd, &name);
	if (r < 0)
		return r;
	/* Always the same name: who dies here leaves at most one such file; the next takes it. */
	_cleanup_free_ char *temporary = cow_asprintf(".%s.tmp", name);
	if (!temporary)
		return -ENOMEM;
	r = fs_write_file_at(dirfd, temporary, data, len, mode, flags, &fd);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, temporary, 0);
		return r;
	}
	*ret_fd = cow_take_fd(&fd);
	return 0;
}

int cow_fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, unsigned flags)
{
	_cleanup_close_ int fd = -1;
	int r = cow_fs_write_atomic_fd(path, data, len, mode, flags, &fd);
	if (r < 0 || !(flags & COW_FS_DURABLE))
		return r;
	return cow_fs_sync_parent(path);
}

int cow_fs_sync_parent(const char *path)
{
	_cleanup_close_ int dirfd = -1;
	_cleanup_free_ char *name = NULL;
	int r = cow_fs_open_parent(path, &dirfd, &name);
	if (r < 0)
		return r;
	return fsync(dirfd) < 0 ? -errno : 0;
}

static int fs_mkdir(const char *path, mode_t mode)
{
	struct stat st;
	if (mkdir(path, mode) == 0)
		return 0;
	/* Directories that exist may give other errors, too, e.g. on a read-only mount. */
	int error = -errno;
	if (stat(path, &st) < 0)
		return error == -EEXIST ? -errno : error;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int cow_fs_mkdirs(const char *path, mode_t mode)
{
	if (path[0] == '\0')
		return -EINVAL;
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		int r = fs_mkdir(copy, mode);
		if (r < 0)
			return r;
		*p = '/';
	}
	return fs_mkdir(copy, mode);
}

char *cow_fs_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);
	if (name[0] == '/' || len == 0)
		return strdup(name);
	return cow_asprintf("%s%s%s", dir, dir[len - 1] == '/' ? "" : "/", name);
}

char *cow_fs_absolute(const char *cwd, const char *path)
{
	/* Folding never makes it longer, so it is done in place: out follows in. */
	char *s = cow_asprintf("/%s/%s", path[0] == '/' ? "" : cwd, path);
	if (!s)
		return NULL;
	char *out = s;
	for (const char *in = s; *in;) {
		in += strspn(in, "/");
		size_t n = strcspn(in, "/");
		if (n == 2 && in[0] == '.' && in[1] == '.') {
			while (out > s && *--out != '/')
				;
		} else if (n > 0 && !(n == 1 && in[0] == '.')) {
			*out++ = '/';
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	if (out == s)
		*out++ = '/';
	*out = '\0';
	return s;
}
