/* SPDX-License-Identifier: MIT */
/* The data of an entry, with holes where it is sparse. */
#include "layer/win_private.h"
#include "common/util.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HOLE 4096u

static bool is_zero(const uint8_t *data, size_t size)
{
	return !*data && !memcmp(data, data + 1, size - 1);
}

static int write_at(int fd, const uint8_t *data, size_t size, uint64_t offset, bool holes)
{
	while (size) {
		/* Up to the end of a block, so that holes are whole ones. */
		size_t n = HOLE - (size_t)(offset % HOLE);
		int r;

		if (!holes || n > size)
			n = size;
		r = holes && n == HOLE && is_zero(data, n) ? 0 : plug_pwrite_all(fd, data, n, offset);
		if (r < 0)
			return r;
		data += n;
		size -= n;
		offset += n;
	}
	return 0;
}

int win_data_write(struct st_tar *tar, const struct st_entry *e, int fd, bool holes)
{
	const struct st_extent whole = { 0, e->size };
	const struct st_extent *extent = e->extent_count ? e->extents : &whole;
	uint64_t at = 0;
	const void *data;
	ssize_t left;
	int r = 0;

	while (r == 0 && (left = st_tar_take(tar, &data)) > 0) {
		const uint8_t *from = data;

		while (r == 0 && left > 0) {
			size_t n = (size_t)left;

			if (n > extent->size - at)
				n = (size_t)(extent->size - at);
			r = write_at(fd, from, n, extent->offset + at, holes);
			from += n;
			left -= (ssize_t)n;
			at += n;
			if (at == extent->size) {
				extent++;
				at = 0;
			}
		}
	}
	if (r == 0 && left < 0)
		return (int)left;
	return r == 0 && ftruncate(fd, (off_t)e->size) < 0 ? -errno : r;
}
