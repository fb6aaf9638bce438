/* SPDX-License-Identifier: MIT */
#include "disk/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int st_source_read(const struct st_source *s, void *buf, size_t size, uint64_t offset)
{
	if (offset > s->size || size > s->size - offset)
		return -EIO;
	return s->read(s->arg, buf, size, offset);
}

static int read_fd(void *arg, void *buf, size_t size, uint64_t offset)
{
	char *to = buf;
	ssize_t n;

	while (size) {
		n = pread(*(const int *)arg, to, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		to += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

void st_source_fd(struct st_source *ret, const int *fd, uint64_t size)
{
	*ret = (struct st_source){ .read = read_fd, .arg = (void *)(uintptr_t)fd, .size = size };
}

static int read_memory(void *arg, void *buf, size_t size, uint64_t offset)
{
	memcpy(buf, (const char *)arg + offset, size);
	return 0;
}

void st_source_memory(struct st_source *ret, const void *data, uint64_t size)
{
	*ret = (struct st_source){ .read = read_memory,
				   .arg = (void *)(uintptr_t)data,
				   .size = size };
}
