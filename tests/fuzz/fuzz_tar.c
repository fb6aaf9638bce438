/* SPDX-License-Identifier: MIT */
/*
 * Any bytes: the reader ends, within its limits; entries that it gives are as tar.h says, and those
 * that the writer takes come back the same.
 */
#include "archive/tar.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	uint8_t *data;
	size_t size, at, cap;
};

static ssize_t bytes_read(void *arg, void *buffer, size_t size)
{
	struct bytes *bytes = arg;
	size_t n = bytes->size - bytes->at;

	if (n > size)
		n = size;
	if (n > 700) /* the edges of pieces fall anywhere */
		n = 700;
	if (n)
		memcpy(buffer, bytes->data + bytes->at, n);
	bytes->at += n;
	return (ssize_t)n;
}

static int bytes_write(void *arg, const void *data, size_t size)
{
	struct bytes *bytes = arg;

	if (bytes->size + size > bytes->cap) {
		bytes->cap = 2 * (bytes->size + size);
		bytes->data = realloc(bytes->data, bytes->cap);
		if (!bytes->data)
			abort();
	}
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	return 0;
}

static void good(bool is)
{
	if (!is)
		abort();
}

static void entry_good(const struct st_entry *entry, const struct st_limits *limits)
{
	uint64_t end = 0, sum = 0;

	good(entry->path && entry->link && entry->uname && entry->gname);
	good(strlen(entry->path) <= limits->max_name && strlen(entry->link) <= limits->max_name);
	good(entry->mode <= 07777 && entry->size <= limits->max_bytes);
	good(entry->mtime.tv_nsec >= 0 && entry->mtime.tv_nsec < 1000000000);
	for (size_t i = 0; i < entry->extent_count; i++) {
		const struct st_extent *extent = &entry->extents[i];

		good(extent->size && extent->offset >= end && extent->size <= entry->size);
		end = extent->offset + extent->size;
		good(end <= entry->size);
		sum += extent->size;
	}
	if (entry->extent_count)
		good(sum == entry->stored);
	for (size_t i = 0; i < entry->pax_count; i++)
		good(entry->pax[i].key[0] && !entry->pax[i].value[entry->pax[i].size]);
}

/* Reads all, and writes into out what can be written. */
static void run(struct bytes *in, struct bytes *out, const struct st_limits *limits)
{
	struct st_tar_writer *writer = NULL;
	const struct st_entry *entry;
	struct st_tar *tar;
	const void *data;
	bool taken;
	ssize_t n;
	int r;

	if (st_tar_open(bytes_read, in, limits, &tar) ||
	    st_tar_writer_open(bytes_write, out, &writer))
		abort();
	while ((r = st_tar_next(tar, &entry)) > 0) {
		uint64_t stored = 0;

		entry_good(entry, limits);
		taken = !st_tar_put(writer, entry);
		while ((n = st_tar_take(tar, &data)) > 0) {
			stored += (uint64_t)n;
			if (taken)
				good(!st_tar_put_data(writer, data, (size_t)n));
		}
		if (n < 0)
			break;
		good(stored == entry->stored);
	}
	if (r < 0)
		good(st_tar_error(tar)[0] && st_tar_next(tar, &entry) == r);
	else if (!r)
		good(!st_tar_finish(writer));
	else
		out->size = 0;
	if (r < 0)
		out->size = 0;
	st_tar_writer_close(writer);
	st_tar_close(tar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct st_limits limits = { .max_entries = 5000, .max_bytes = 1 << 24,
						 .max_name = 4096, .max_pax_bytes = 65536 };
	/* What the writer says in records of its own counts too. */
	static const struct st_limits more = { .max_entries = 20000, .max_bytes = 1 << 28,
					       .max_name = 4096, .max_pax_bytes = 1 << 20 };
	struct bytes in = { .data = (uint8_t *)data, .size = size }, once = { 0 }, twice = { 0 };

	run(&in, &once, &limits);
	if (once.size) { /* what was written is read, and written the same again */
		run(&once, &twice, &more);
		good(once.size == twice.size && !memcmp(once.data, twice.data, once.size));
	}
	free(once.data);
	free(twice.data);
	return 0;
}
