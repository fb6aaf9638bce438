/* SPDX-License-Identifier: MIT */
#include "archive/tar_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GLOBAL_RECORDS_MAX 1024

static const struct st_limits defaults = {
	.max_entries = 16 << 20,
	.max_bytes = 1ULL << 40,
	.max_name = 64 << 10,
	.max_pax_bytes = 1 << 20,
};

/* The data of a header that says something about the next one. */
static int extended_read(struct st_tar *tar, const uint8_t *block, struct tar_text *text,
			 uint64_t max)
{
	uint64_t size;
	int r;

	if (tar_field_unsigned(block, TAR_SIZE, &size))
		return tar_fail(tar, -EBADMSG, "an extended header with a wrong size");
	if (size > max || text->size > max - size)
		return tar_fail(tar, -E2BIG, "extended headers of more than %llu bytes",
				(unsigned long long)max);
	tar_consume(tar, TAR_BLOCK);
	r = tar_read_text(tar, text, size);
	return r ? r : tar_skip(tar, tar_padding(size));
}

static int extended_pax(struct st_tar *tar, const uint8_t *block, struct tar_records *records)
{
	size_t from = records->text.size;
	int r = extended_read(tar, block, &records->text, tar->limits.max_pax_bytes);

	if (!r)
		r = tar_records_parse(tar, records, from);
	if (!r && records == &tar->global) {
		tar->pax_global = 0; /* their text may have moved */
		if (records->count > GLOBAL_RECORDS_MAX)
			r = tar_fail(tar, -E2BIG, "too many global pax records");
	}
	return r;
}

static int extended_name(struct st_tar *tar, const uint8_t *block, struct tar_text *text,
			 bool *ret)
{
	int r;

	text->size = 0;
	r = extended_read(tar, block, text, tar->limits.max_name + 1);
	if (r)
		return r;
	if (text->size) /* up to its NUL */
		text->size = strlen(text->data);
	*ret = text->size > 0;
	return 0;
}

static bool block_zero(const uint8_t *block)
{
	static const uint8_t zeros[TAR_BLOCK];

	return !memcmp(block, zeros, TAR_BLOCK);
}

/* Two blocks of zeros; archives that just end, or end after one, are common enough. */
static int tar_end(struct st_tar *tar)
{
	int r;

	tar_consume(tar, TAR_BLOCK);
	r = tar_need(tar, TAR_BLOCK);
	if (r > 0 && !block_zero(tar->buffer + tar->at))
		return tar_fail(tar, -EBADMSG, "a lone block of zeros");
	return r < 0 ? r : 0;
}

/* One header: 1, an entry; 0, the end; 2, it was about the next one. */
static int header_read(struct st_tar *tar)
{
	uint8_t block[TAR_BLOCK];
	int r = tar_need(tar, TAR_BLOCK);

	if (r <= 0)
		return r;
	memcpy(block, tar->buffer + tar->at, TAR_BLOCK);
	if (block_zero(block))
		return tar_end(tar);
	if (tar_checksum(block))
		return tar_fail(tar, -EBADMSG, "not a tar header (its checksum is wrong)");
	if (++tar->headers > tar->limits.max_entries)
		return tar_fail(tar, -E2BIG, "more than %llu entries, which is the limit",
				(unsigned long long)tar->limits.max_entries);
	r = 0;
	switch (block[TAR_TYPE]) {
	case 'x':
	case 'X':
		r = extended_pax(tar, block, &tar->local);
		break;
	case 'g':
		r = extended_pax(tar, block, &tar->global);
		break;
	case 'L':
		r = extended_name(tar, block, &tar->path, &tar->long_path);
		break;
	case 'K':
		r = extended_name(tar, block, &tar->link, &tar->long_link);
		break;
	case 'V': /* the label of the archive */
		tar_consume(tar, TAR_BLOCK);
		break;
	default:
		tar_consume(tar, TAR_BLOCK);
		return tar_entry_read(tar, block);
	}
	return r ? r : 2;
}

int st_tar_next(struct st_tar *tar, const struct st_entry **ret)
{
	int r;

	if (tar->state)
		return tar->state < 0 ? tar->state : 0;
	r = tar_skip(tar, tar->left);
	/* umoci leaves out the end of an archive, and with it the padding of the last file. */
	if (!r && tar->padding) {
		r = tar_need(tar, 1);
		if (r > 0)
			r = tar_skip(tar, tar->padding);
	}
	tar->left = tar->padding = 0;
	tar->path.size = tar->link.size = 0;
	tar->long_path = tar->long_link = false;
	tar_records_clear(&tar->local);
	if (!r)
		r = 2;
	while (r == 2)
		r = header_read(tar);
	if (!r && (tar->local.count || tar->long_path || tar->long_link))
		r = tar_fail(tar, -EBADMSG, "ends with an extended header");
	if (r < 0)
		return r;
	if (!r)
		tar->state = 1;
	else
		*ret = &tar->entry;
	return r;
}

ssize_t st_tar_take(struct st_tar *tar, const void **ret)
{
	size_t n;
	int r;

	if (tar->state < 0)
		return tar->state;
	if (tar->state || !tar->entry.stored || !tar->left)
		return 0;
	r = tar_some(tar, tar->left, &n);
	if (r)
		return r;
	*ret = tar->buffer + tar->at;
	tar_consume(tar, n);
	tar->left -= n;
	return (ssize_t)n;
}

ssize_t st_tar_read(struct st_tar *tar, void *buffer, size_t size)
{
	uint8_t *to = buffer;
	size_t done = 0;

	if (tar->state < 0)
		return tar->state;
	while (done < size && !tar->state && tar->entry.stored && tar->left) {
		size_t room = size - done, n;
		int r = tar_some(tar, tar->left < room ? tar->left : room, &n);

		if (r)
			return r;
		memcpy(to + done, tar->buffer + tar->at, n);
		tar_consume(tar, n);
		tar->left -= n;
		done += n;
	}
	return (ssize_t)done;
}

const char *st_tar_error(const struct st_tar *tar)
{
	return tar->message;
}

int st_tar_open(st_read_cb read, void *arg, const struct st_limits *limits, struct st_tar **ret)
{
	struct st_tar *tar = calloc(1, sizeof(*tar));

	if (!tar)
		return -ENOMEM;
	tar->read = read;
	tar->arg = arg;
	tar->limits = limits ? *limits : defaults;
	if (!tar->limits.max_entries)
		tar->limits.max_entries = defaults.max_entries;
	if (!tar->limits.max_bytes)
		tar->limits.max_bytes = defaults.max_bytes;
	if (!tar->limits.max_name)
		tar->limits.max_name = defaults.max_name;
	if (!tar->limits.max_pax_bytes)
		tar->limits.max_pax_bytes = defaults.max_pax_bytes;
	tar->buffer = malloc(TAR_BUFFER_BYTES);
	if (!tar->buffer) {
		st_tar_close(tar);
		return -ENOMEM;
	}
	*ret = tar;
	return 0;
}

void st_tar_close(struct st_tar *tar)
{
	if (!tar)
		return;
	tar_records_free(&tar->global);
	tar_records_free(&tar->local);
	free(tar->path.data);
	free(tar->link.data);
	free(tar->uname.data);
	free(tar->gname.data);
	free(tar->pax);
	free(tar->entry.extents);
	free(tar->buffer);
	free(tar);
}
