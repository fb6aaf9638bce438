/* SPDX-License-Identifier: MIT */
/* Bytes that can be read at any place: a file, or the disk inside an image file. */
#ifndef ST_DISK_SOURCE_H
#define ST_DISK_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct st_source {
	/* All of it or a negative errno; the caller has checked offset + size against `size`. */
	int (*read)(void *arg, void *buf, size_t size, uint64_t offset);
	void *arg;
	uint64_t size; /* bytes */
};

/* -EIO: outside, or the file is shorter than it was. */
int st_source_read(const struct st_source *, void *buf, size_t size, uint64_t offset);
/* A part of a file; fd stays the caller's and must live as long as the source. */
void st_source_fd(struct st_source *ret, const int *fd, uint64_t size);
/* Memory, for tests and fuzzers. */
void st_source_memory(struct st_source *ret, const void *data, uint64_t size);

#endif
