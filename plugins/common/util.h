/* SPDX-License-Identifier: MIT */
/* What a function acquires, it hands over visibly or gives back when it returns. */
#ifndef PLUG_UTIL_H
#define PLUG_UTIL_H

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static inline void plug_freep(void *p)
{
	free(*(void **)p);
}

static inline void plug_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void plug_closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(plug_freep)
#define _cleanup_close_ _cleanup_(plug_closep)
#define _cleanup_closedir_ _cleanup_(plug_closedirp)

/* Hand-over: the variable forgets, the caller's expression owns. */
static inline int plug_take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define plug_take_ptr(p)                      \
	({                                  \
		__typeof__(p) _taken = (p); \
		(p) = NULL;                 \
		_taken;                     \
	})

/* All of it, in as many calls as it takes: 0, or a negative errno. */
static inline int plug_write_all(int fd, const void *data, size_t size)
{
	const char *from = data;

	while (size) {
		ssize_t n = write(fd, from, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		size -= (size_t)n;
	}
	return 0;
}

/* The same, at a place. */
static inline int plug_pwrite_all(int fd, const void *data, size_t size, uint64_t offset)
{
	const char *from = data;

	while (size) {
		ssize_t n = pwrite(fd, from, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* FNV-1a: for marks that are looked for again, not for strangers' data. */
static inline unsigned plug_hash(const char *text)
{
	unsigned h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

#define PLUG_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

#endif
