/* SPDX-License-Identifier: MIT */
#include "layer/backup.h"

#include "common/util.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define SECURITY_MAX (64u << 10)
#define EA_MAX (64u << 10)
#define REPARSE_MAX (16u << 10)
#define LINK_MAX (64u << 10)
#define NAME_MAX_BYTES 1024u /* 255 characters, colons, a type */
#define ALTERNATES_MAX 4096u
#define PIECES_MAX (1u << 18)
#define FILE_SIZE_MAX ((uint64_t)1 << 44) /* of ext4 and NTFS with 4 KiB blocks */

struct header {
	uint32_t id, attributes;
	uint64_t size;
	uint32_t name_size;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 20, "WIN32_STREAM_ID without its name");

void st_blob_finish(struct st_blob *blob)
{
	free(blob->data);
	*blob = (struct st_blob){ 0 };
}

int st_blob_add(struct st_blob *blob, const void *data, size_t size)
{
	uint8_t *more = realloc(blob->data, blob->size + size + 1);

	if (!more)
		return -ENOMEM;
	if (size)
		memcpy(more + blob->size, data, size);
	blob->data = more;
	blob->size += size;
	return 0;
}

void st_backup_finish(struct st_backup *b)
{
	for (size_t i = 0; i < b->alternate_count; i++)
		free(b->alternate[i].name);
	free(b->alternate);
	free(b->piece);
	st_blob_finish(&b->security);
	st_blob_finish(&b->ea);
	st_blob_finish(&b->reparse);
	st_blob_finish(&b->link);
	*b = (struct st_backup){ 0 };
}

int st_backup_header(struct st_blob *blob, enum st_backup_id id, uint32_t attributes, uint64_t size,
		     const char *name)
{
	struct header h = { htole32(id), htole32(attributes), htole64(size), 0 };
	size_t at = blob->size;
	int r = st_blob_add(blob, &h, sizeof(h));

	if (r == 0 && name)
		r = st_utf16_add(blob, name);
	if (r < 0)
		return r;
	h.name_size = htole32((uint32_t)(blob->size - at - sizeof(h)));
	memcpy(blob->data + at, &h, sizeof(h));
	return 0;
}

/* ---- reading */

struct scan {
	const struct st_source *source;
	uint64_t at; /* of the current stream's data */
	struct header h;
	uint8_t name[NAME_MAX_BYTES];
	bool data_seen, sparse_ended;
	struct st_backup *b;
	const char *cause;
};

static int bad(struct scan *s, const char *cause)
{
	s->cause = cause;
	return -EBADMSG;
}

/* 1: a header, with its data within the source; 0: the end. */
static int header_next(struct scan *s, uint64_t at)
{
	uint64_t left = s->source->size - at;
	int r;

	if (!left)
		return 0;
	if (left < sizeof(s->h))
		return bad(s, "a stream's header is truncated");
	r = st_source_read(s->source, &s->h, sizeof(s->h), at);
	if (r < 0)
		return r;
	s->h = (struct header){ le32toh(s->h.id), le32toh(s->h.attributes), le64toh(s->h.size),
				le32toh(s->h.name_size) };
	left -= sizeof(s->h);
	if (s->h.name_size > sizeof(s->name) || s->h.name_size % 2)
		return bad(s, "a stream's name is too long");
	if (s->h.name_size > left || s->h.size > left - s->h.name_size)
		return bad(s, "a stream is truncated");
	s->at = at + sizeof(s->h) + s->h.name_size;
	return (r = st_source_read(s->source, s->name, s->h.name_size, at + sizeof(s->h))) < 0 ? r : 1;
}

static int take_blob(struct scan *s, struct st_blob *blob, size_t max)
{
	if (blob->data)
		return bad(s, "a stream that may be there once is there twice");
	if (s->h.size > max)
		return bad(s, "a stream of metadata is too long");
	blob->data = malloc((size_t)s->h.size + 1);
	if (!blob->data)
		return -ENOMEM;
	blob->size = (size_t)s->h.size;
	return st_source_read(s->source, blob->data, blob->size, s->at);
}

static int piece_add(struct scan *s, struct st_backup_piece piece)
{
	struct st_backup *b = s->b;

	if (b->piece_count == PIECES_MAX)
		return bad(s, "more pieces of a sparse file than there can be");
	if ((b->piece_count & (b->piece_count - 1)) == 0) {
		size_t n = b->piece_count ? 2 * b->piece_count : 1;
		struct st_backup_piece *more = realloc(b->piece, n * sizeof(*more));

		if (!more)
			return -ENOMEM;
		b->piece = more;
	}
	b->piece[b->piece_count++] = piece;
	return 0;
}

static int take_data(struct scan *s)
{
	if (s->data_seen || s->h.name_size)
		return bad(s, "main data twice");
	s->data_seen = true;
	s->b->sparse = s->h.attributes & ST_BACKUP_SPARSE;
	if (s->b->sparse)
		return s->h.size ? bad(s, "data of a sparse file outside of its blocks") : 0;
	s->b->size = s->h.size;
	return s->h.size ? piece_add(s, (struct st_backup_piece){ s->at, 0, s->h.size }) : 0;
}

/* Ascending; one without data says where the file ends. */
static int take_block(struct scan *s)
{
	uint64_t offset, size;
	int r;

	if (!s->b->sparse || s->h.size < sizeof(offset))
		return bad(s, "a block of a sparse file where there can be none");
	r = st_source_read(s->source, &offset, sizeof(offset), s->at);
	if (r < 0)
		return r;
	offset = le64toh(offset);
	size = s->h.size - sizeof(offset);
	if (s->sparse_ended || offset < s->b->size)
		return bad(s, "blocks of a sparse file are out of order");
	if (offset > FILE_SIZE_MAX || size > FILE_SIZE_MAX - offset)
		return bad(s, "a sparse file is larger than any file can be");
	s->b->size = offset + size;
	s->sparse_ended = !size;
	return size ? piece_add(s, (struct st_backup_piece){ s->at + sizeof(offset), offset, size }) : 0;
}

/* ":NAME:$DATA" */
static int alternate_name(struct scan *s, char **ret)
{
	static const char type[] = ":$DATA";
	_cleanup_free_ char *name = NULL;
	int r = st_utf16_decode(s->name, s->h.name_size, &name);
	size_t n;

	if (r < 0)
		return r == -EILSEQ ? bad(s, "an alternate stream's name is not UTF-16") : r;
	n = strlen(name);
	if (n < sizeof(type) + 1 || *name != ':' || strcmp(name + n - (sizeof(type) - 1), type) != 0)
		return bad(s, "an alternate stream without a name");
	name[n - (sizeof(type) - 1)] = 0;
	if (strpbrk(name + 1, ":/\\"))
		return bad(s, "an alternate stream's name contains an invalid character");
	*ret = strdup(name + 1);
	return *ret ? 0 : -ENOMEM;
}

static int take_alternate(struct scan *s)
{
	struct st_backup *b = s->b;
	struct st_backup_alternate *more, one = { .at = s->at, .size = s->h.size };
	int r;

	if (s->h.attributes & ST_BACKUP_SPARSE)
		return bad(s, "sparse alternate data streams are unsupported");
	if (b->alternate_count == ALTERNATES_MAX)
		return bad(s, "more alternate streams than there can be");
	r = alternate_name(s, &one.name);
	if (r < 0)
		return r;
	more = realloc(b->alternate, (b->alternate_count + 1) * sizeof(*more));
	if (!more) {
		free(one.name);
		return -ENOMEM;
	}
	b->alternate = more;
	more[b->alternate_count++] = one;
	return 0;
}

static int take(struct scan *s)
{
	switch (s->h.id) {
	case ST_BACKUP_DATA:
		return take_data(s);
	case ST_BACKUP_SPARSE_BLOCK:
		return take_block(s);
	case ST_BACKUP_ALTERNATE:
		return take_alternate(s);
	case ST_BACKUP_SECURITY:
		return take_blob(s, &s->b->security, SECURITY_MAX);
	case ST_BACKUP_EA:
		return take_blob(s, &s->b->ea, EA_MAX);
	case ST_BACKUP_REPARSE:
		return take_blob(s, &s->b->reparse, REPARSE_MAX);
	case ST_BACKUP_LINK: /* Windows writes one for each name */
		return s->b->link.data || s->h.size > LINK_MAX ? 0 : take_blob(s, &s->b->link, LINK_MAX);
	case ST_BACKUP_PROPERTY:
	case ST_BACKUP_OBJECT_ID:
	case ST_BACKUP_TXFS:
		return 0;
	default:
		return bad(s, "a stream of an unknown kind");
	}
}

int st_backup_scan(const struct st_source *source, uint64_t start, struct st_backup *ret,
		   const char **cause)
{
	struct st_backup backup = { 0 };
	struct scan s = { .source = source, .b = &backup };
	int r = start > source->size ? bad(&s, "it is truncated") : 0;

	while (r == 0 && (r = header_next(&s, start)) > 0) {
		r = take(&s);
		start = s.at + s.h.size;
	}
	if (r < 0) {
		st_backup_finish(&backup);
		*cause = s.cause ? s.cause : strerror(-r);
		return r;
	}
	*ret = backup;
	return 0;
}
