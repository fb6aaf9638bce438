/* SPDX-License-Identifier: MIT */
#include "cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cgroup_open(const char *dir, const char *file, int flags)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_write(const char *dir, const char *file, const char *value)
{
	size_t len = strlen(value);
	int fd = cgroup_open(dir, file, O_WRONLY), r = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = write(fd, value, len);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		r = n < 0 ? -errno : -EIO;
	(void)close(fd);
	return r;
}

ssize_t cgroup_read(const char *dir, const char *file, char *buf, size_t size)
{
	int fd = cgroup_open(dir, file, O_RDONLY);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	do {
		n = read(fd, buf + len, size - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < size - 1) || (n < 0 && errno == EINTR));
	if (n < 0)
		n = -errno;
	(void)close(fd);
	buf[len] = '\0';
	return n < 0 ? n : (ssize_t)len;
}

int cgroup_read_number(const char *dir, const char *file, uint64_t *ret)
{
	char buf[64], *end;
	ssize_t n = cgroup_read(dir, file, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	if (strncmp(buf, "max", 3) == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	*ret = strtoull(buf, &end, 10);
	return end == buf ? -EPROTO : 0;
}

bool cgroup_text_key(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line;) {
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			*ret = strtoull(line + len + 1, NULL, 10);
			return true;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return false;
}

int cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t *ret)
{
	char buf[8192];
	ssize_t n = cgroup_read(dir, file, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	return cgroup_text_key(buf, key, ret) ? 0 : -ENODATA;
}
