/* SPDX-License-Identifier: MIT */
#include "common/files.h"
#include "common/util.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int plug_file_read(int fd, size_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size = 0;
	ssize_t n = 1;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (n && size < (size_t)st.st_size) {
		n = read(fd, text + size, (size_t)st.st_size - size);
		if (n < 0 && errno != EINTR)
			return -errno;
		size += n > 0 ? (size_t)n : 0;
	}
	text[size] = 0;
	*ret = plug_take_ptr(text);
	*ret_size = size;
	return 0;
}

int plug_file_write(int dir, const char *name, const char *making, const char *text, unsigned how)
{
	_cleanup_close_ int fd = openat(
		dir, making, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool fresh = how & PLUG_FILE_NEW, durable = how & PLUG_FILE_DURABLE;
	int r = fd < 0 ? -errno : plug_write_all(fd, text, strlen(text));

	if (r == 0 && durable && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && (fresh ? linkat(dir, making, dir, name, 0) : renameat(dir, making, dir, name)) < 0)
		r = -errno;
	if (r == 0 && durable && fsync(dir) < 0)
		r = -errno;
	if (fd >= 0 && (fresh || r < 0))
		(void)unlinkat(dir, making, 0);
	return r;
}

int plug_directories_make(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + (*copy == '/');; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = 0;
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return -errno;
		*p = c;
		if (!c)
			return 0;
	}
}
