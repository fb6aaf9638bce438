/* SPDX-License-Identifier: MIT */
/* Output: appended in large writes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/ext4_writer.h"
#include "common/util.h"

#define BUFFER (1u << 20)

int ext4_out_open(struct writer_out *out, int fd, uint64_t max)
{
	*out = (struct writer_out){ .fd = fd, .max = max, .buffer = malloc(BUFFER) };
	return out->buffer ? 0 : -ENOMEM;
}

void ext4_out_close(struct writer_out *out)
{
	free(out->buffer);
	out->buffer = NULL;
}

int ext4_out_place(int fd, const void *data, size_t size, uint64_t offset)
{
	return plug_pwrite_all(fd, data, size, offset);
}

int ext4_out_flush(struct writer_out *out)
{
	int r = ext4_out_place(out->fd, out->buffer, out->used, out->start);

	if (r < 0)
		return r;
	out->start += out->used;
	out->used = 0;
	return 0;
}

/* Makes room; gives how much there is, or an error. */
static ssize_t out_room(struct writer_out *out, size_t size)
{
	int r;

	if (size > out->max || ext4_out_offset(out) > out->max - size)
		return -EFBIG;
	if (out->used == BUFFER) {
		r = ext4_out_flush(out);
		if (r < 0)
			return r;
	}
	return (ssize_t)(size < BUFFER - out->used ? size : BUFFER - out->used);
}

int ext4_out_put(struct writer_out *out, const void *data, size_t size)
{
	const char *from = data;
	ssize_t n;

	for (; size; size -= (size_t)n, from += n) {
		n = out_room(out, size);
		if (n < 0)
			return (int)n;
		memcpy(out->buffer + out->used, from, (size_t)n);
		out->used += (size_t)n;
	}
	return 0;
}

int ext4_out_zeros(struct writer_out *out, size_t size)
{
	ssize_t n;

	for (; size; size -= (size_t)n) {
		n = out_room(out, size);
		if (n < 0)
			return (int)n;
		memset(out->buffer + out->used, 0, (size_t)n);
		out->used += (size_t)n;
	}
	return 0;
}

int ext4_out_align(struct writer_out *out)
{
	return ext4_out_zeros(out, (size_t)(-ext4_out_offset(out) & (ST_EXT4_BLOCK - 1)));
}

int ext4_out_skip(struct writer_out *out, uint64_t offset)
{
	int r = ext4_out_flush(out);

	if (r < 0)
		return r;
	if (offset > out->max)
		return -EFBIG;
	out->start = offset;
	return 0;
}

int ext4_out_read(struct writer_out *out, uint64_t block, uint8_t ret[ST_EXT4_BLOCK])
{
	struct st_source file;
	int r = ext4_out_flush(out);

	if (r < 0)
		return r;
	st_source_fd(&file, &out->fd, out->start);
	return st_source_read(&file, ret, ST_EXT4_BLOCK, block * ST_EXT4_BLOCK);
}
