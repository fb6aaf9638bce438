/* SPDX-License-Identifier: MIT */
/* Sparse files as GNU tar writes them: in the old header, and in pax as 0.0, 0.1 and 1.0. */
#include "archive/tar_private.h"

#include <errno.h>
#include <string.h>

static int sparse_bad(struct st_tar *tar, const char *what)
{
	return tar_fail(tar, -EBADMSG, "sparse file: %s", what);
}

/* Ascending, without overlap, within the file, and not more than there is data for. */
static int extent_add(struct st_tar *tar, uint64_t offset, uint64_t size)
{
	struct st_entry *entry = &tar->entry;
	int r;

	if (entry->extent_count) {
		const struct st_extent *last = &entry->extents[entry->extent_count - 1];

		if (offset < last->offset + last->size)
			return sparse_bad(tar, "the map is not in order");
	}
	if (offset > entry->size || size > entry->size - offset)
		return sparse_bad(tar, "the map reaches beyond its end");
	if (!size) /* marks the end of the file */
		return 0;
	r = tar_grow(&entry->extents, &tar->extent_cap, entry->extent_count, sizeof(*entry->extents));
	if (r)
		return tar_fail(tar, r, "%s", strerror(-r));
	entry->extents[entry->extent_count++] = (struct st_extent){ offset, size };
	return 0;
}

/* n pairs in a header block, or in one that continues it; unused ones are empty. */
static int gnu_pairs(struct st_tar *tar, const uint8_t *at, unsigned n)
{
	for (unsigned i = 0; i < n && at[i * 24]; i++) {
		uint64_t offset, size;
		int r;

		if (tar_field_unsigned(at + i * 24, (struct tar_field){ 0, 12 }, &offset) ||
		    tar_field_unsigned(at + i * 24, (struct tar_field){ 12, 12 }, &size))
			return sparse_bad(tar, "the map has a wrong number");
		r = extent_add(tar, offset, size);
		if (r)
			return r;
	}
	return 0;
}

static int sparse_gnu(struct st_tar *tar, const uint8_t *block)
{
	bool more = block[TAR_GNU_EXTENDED];
	uint64_t bytes = 0;
	int r;

	if (tar_field_unsigned(block, TAR_GNU_REAL_SIZE, &tar->entry.size))
		return sparse_bad(tar, "the size is no number");
	r = gnu_pairs(tar, block + TAR_GNU_SPARSE, 4);
	while (!r && more) {
		const uint8_t *next;

		bytes += TAR_BLOCK;
		if (bytes > tar->limits.max_pax_bytes)
			return tar_fail(tar, -E2BIG, "sparse file: the map is too long");
		r = tar_need(tar, TAR_BLOCK);
		if (r <= 0)
			return r ? r : sparse_bad(tar, "the archive ends within the map");
		next = tar->buffer + tar->at;
		more = next[504];
		r = gnu_pairs(tar, next, 21);
		tar_consume(tar, TAR_BLOCK);
	}
	return r;
}

/* 0.0: a record for each offset and each size, which follow one another. */
static int sparse_0_0(struct st_tar *tar)
{
	const struct tar_records *records = &tar->local;
	bool half = false;
	uint64_t offset = 0, size;

	for (size_t i = 0; i < records->count; i++) {
		const struct tar_record *record = &records->list[i];
		const char *key = records->text.data + record->key;
		bool is_size = !strcmp(key, "GNU.sparse.numbytes");
		int r;

		if (!is_size && strcmp(key, "GNU.sparse.offset") != 0)
			continue;
		if (is_size != half ||
		    tar_decimal(records->text.data + record->value, record->size,
				is_size ? &size : &offset))
			return sparse_bad(tar, "the map has a wrong number");
		half = !half;
		r = is_size ? extent_add(tar, offset, size) : 0;
		if (r)
			return r;
	}
	return half ? sparse_bad(tar, "the map has an odd number of numbers") : 0;
}

/* 0.1: "offset,size,offset,size…". */
static int sparse_0_1(struct st_tar *tar, const char *map, size_t size)
{
	const char *end = map + size;
	uint64_t number[2];
	unsigned n = 0;

	while (map < end) {
		const char *comma = memchr(map, ',', (size_t)(end - map));
		size_t digits = (size_t)((comma ? comma : end) - map);

		if (tar_decimal(map, digits, &number[n]))
			return sparse_bad(tar, "the map has a wrong number");
		map += digits + 1;
		n ^= 1;
		if (!n) {
			int r = extent_add(tar, number[0], number[1]);
			if (r)
				return r;
		}
	}
	return n ? sparse_bad(tar, "the map has an odd number of numbers") : 0;
}

/* The blocks before the data of 1.0, read one at a time. */
struct map_reader {
	struct st_tar *tar;
	uint64_t bytes;
	unsigned at; /* in the block; TAR_BLOCK: it is used up */
};

static int map_byte(struct map_reader *map)
{
	struct st_tar *tar = map->tar;
	int r;

	if (map->at == TAR_BLOCK) {
		if (map->bytes)
			tar_consume(tar, TAR_BLOCK);
		if (tar->left < TAR_BLOCK)
			return sparse_bad(tar, "the data ends within the map");
		map->bytes += TAR_BLOCK;
		if (map->bytes > tar->limits.max_pax_bytes)
			return tar_fail(tar, -E2BIG, "sparse file: the map is too long");
		tar->left -= TAR_BLOCK;
		map->at = 0;
		r = tar_need(tar, TAR_BLOCK);
		if (r <= 0)
			return r ? r : sparse_bad(tar, "the archive ends within the map");
	}
	return tar->buffer[tar->at + map->at++];
}

static int map_number(struct map_reader *map, uint64_t *ret)
{
	char digits[20];
	size_t n = 0;

	for (;;) {
		int c = map_byte(map);

		if (c < 0)
			return c;
		if (c == '\n')
			break;
		if (n == sizeof(digits))
			return sparse_bad(map->tar, "the map has a wrong number");
		digits[n++] = (char)c;
	}
	return tar_decimal(digits, n, ret) ? sparse_bad(map->tar, "the map has a wrong number") : 0;
}

/* 1.0: at the beginning of the data, lines: how many, then offset and size of each; whole blocks. */
static int sparse_1_0(struct st_tar *tar)
{
	struct map_reader map = { .tar = tar, .at = TAR_BLOCK };
	uint64_t n, offset, size;
	int r = map_number(&map, &n);

	for (uint64_t i = 0; !r && i < n; i++) {
		r = map_number(&map, &offset);
		if (!r)
			r = map_number(&map, &size);
		if (!r)
			r = extent_add(tar, offset, size);
	}
	if (!r)
		tar_consume(tar, TAR_BLOCK);
	return r;
}

bool tar_sparse_pax(const struct st_tar *tar)
{
	return tar->local.known[KEY_SPARSE_MAJOR] || tar->local.known[KEY_SPARSE_BLOCKS] ||
	       tar->local.known[KEY_SPARSE_MAP];
}

static int sparse_pax(struct st_tar *tar)
{
	uint64_t major = 0, minor = 0;
	const char *value;
	size_t size;

	if (tar_value(tar, KEY_SPARSE_MAJOR, &value, &size) && tar_decimal(value, size, &major))
		return sparse_bad(tar, "the version is no number");
	if (tar_value(tar, KEY_SPARSE_MINOR, &value, &size) && tar_decimal(value, size, &minor))
		return sparse_bad(tar, "the version is no number");
	if (major > 1 || (major == 1 && minor))
		return sparse_bad(tar, "this version is not known");
	if (!tar_value(tar, KEY_SPARSE_REAL_SIZE, &value, &size) &&
	    !tar_value(tar, KEY_SPARSE_SIZE, &value, &size))
		return sparse_bad(tar, "no size");
	if (tar_decimal(value, size, &tar->entry.size))
		return sparse_bad(tar, "the size is no number");
	if (major == 1)
		return sparse_1_0(tar);
	return tar_value(tar, KEY_SPARSE_MAP, &value, &size) ? sparse_0_1(tar, value, size)
							      : sparse_0_0(tar);
}

int tar_sparse(struct st_tar *tar, const uint8_t *block)
{
	struct st_entry *entry = &tar->entry;
	uint64_t sum = 0;
	int r;

	r = block[TAR_TYPE] == 'S' ? sparse_gnu(tar, block) : sparse_pax(tar);
	if (r)
		return r;
	for (size_t i = 0; i < entry->extent_count; i++)
		sum += entry->extents[i].size; /* no overflow: all lie within entry->size */
	if (sum != tar->left)
		return sparse_bad(tar, "the map does not match the data");
	tar->sparse = true;
	return 0;
}
