/* SPDX-License-Identifier: MIT */
/* What the parts of the reader share. */
#ifndef ST_ARCHIVE_TAR_PRIVATE_H
#define ST_ARCHIVE_TAR_PRIVATE_H

#include "archive/tar.h"

#include <stdio.h>

#define TAR_BLOCK 512u
#define TAR_BUFFER_BYTES (256 * 1024)

/* Where the fields of a header are. */
struct tar_field {
	uint16_t at, size;
};
#define TAR_NAME (struct tar_field){ 0, 100 }
#define TAR_MODE (struct tar_field){ 100, 8 }
#define TAR_UID (struct tar_field){ 108, 8 }
#define TAR_GID (struct tar_field){ 116, 8 }
#define TAR_SIZE (struct tar_field){ 124, 12 }
#define TAR_MTIME (struct tar_field){ 136, 12 }
#define TAR_CHECKSUM (struct tar_field){ 148, 8 }
#define TAR_TYPE 156
#define TAR_LINK (struct tar_field){ 157, 100 }
#define TAR_MAGIC (struct tar_field){ 257, 8 }
#define TAR_UNAME (struct tar_field){ 265, 32 }
#define TAR_GNAME (struct tar_field){ 297, 32 }
#define TAR_MAJOR (struct tar_field){ 329, 8 }
#define TAR_MINOR (struct tar_field){ 337, 8 }
#define TAR_PREFIX (struct tar_field){ 345, 155 }
#define TAR_GNU_ATIME (struct tar_field){ 345, 12 }
#define TAR_GNU_CTIME (struct tar_field){ 357, 12 }
#define TAR_GNU_SPARSE 386 /* four pairs of numbers of 12 bytes; then whether there are more */
#define TAR_GNU_EXTENDED 482
#define TAR_GNU_REAL_SIZE (struct tar_field){ 483, 12 }
#define TAR_STAR_PREFIX (struct tar_field){ 345, 131 }
#define TAR_STAR_ATIME (struct tar_field){ 476, 12 }
#define TAR_STAR_CTIME (struct tar_field){ 488, 12 }

enum tar_format {
	TAR_V7,
	TAR_USTAR,
	TAR_GNU,
	TAR_STAR,
};

/* Bytes that grow; always with a NUL behind them once there are any. */
struct tar_text {
	char *data;
	size_t size, cap;
};

/* The pax keys that mean something to the reader itself. */
enum tar_key {
	KEY_PATH,
	KEY_LINK,
	KEY_SIZE,
	KEY_UID,
	KEY_GID,
	KEY_UNAME,
	KEY_GNAME,
	KEY_MTIME,
	KEY_ATIME,
	KEY_CTIME,
	KEY_MAJOR,
	KEY_MINOR,
	KEY_SPARSE_MAJOR,
	KEY_SPARSE_MINOR,
	KEY_SPARSE_NAME,
	KEY_SPARSE_REAL_SIZE,
	KEY_SPARSE_SIZE,
	KEY_SPARSE_BLOCKS,
	KEY_SPARSE_MAP,
	KEY_COUNT,
};

/* A record by where its parts are: the text moves when it grows. */
struct tar_record {
	size_t key, value, size;
};

struct tar_records {
	struct tar_text text;
	struct tar_record *list;
	size_t count, cap;
	size_t known[KEY_COUNT]; /* the last record of each key, from 1; 0: none */
};

struct st_tar {
	st_read_cb read;
	void *arg;
	struct st_limits limits;

	uint8_t *buffer;
	size_t at, filled;
	bool end;          /* of the source */
	uint64_t offset;   /* in the archive, of buffer[at] */

	uint64_t headers, bytes; /* so far, against the limits */
	uint64_t left;           /* of the entry's stored data */
	uint32_t padding;        /* behind it */
	int state;               /* 0, 1: the end was reached, or a negative errno for good */
	char message[320];

	struct st_entry entry;
	struct tar_text path, link, uname, gname;
	bool long_path, long_link; /* GNU's, for the next entry */
	struct tar_records global, local;
	struct st_pax *pax; /* the global records, then the local ones */
	size_t pax_cap, pax_global;
	size_t extent_cap;
	bool sparse;
};

/* A name as it may be shown: nothing that a terminal would obey, its end if it is long. */
void tar_shown(const char *path, char *ret, size_t size);
/* Remembers the error and what it is about; returns code. */
int tar_fail(struct st_tar *tar, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* size (of the buffer at most) bytes at tar->buffer + tar->at: 1; 0: the archive ends right here. */
int tar_need(struct st_tar *tar, size_t size);
void tar_consume(struct st_tar *tar, size_t size);
/* What is there of size bytes, at least one: the archive ending here would be too early. */
int tar_some(struct st_tar *tar, uint64_t size, size_t *ret);
int tar_skip(struct st_tar *tar, uint64_t size);
static inline uint32_t tar_padding(uint64_t size)
{
	return (uint32_t)(-size % TAR_BLOCK);
}
/* Appends size bytes of the archive to text. */
int tar_read_text(struct st_tar *tar, struct tar_text *text, uint64_t size);

int tar_text_add(struct tar_text *text, const void *data, size_t size);
/* Room for one more element; list is a pointer to an array of such elements. */
int tar_grow(void *list, size_t *cap, size_t count, size_t element);

/* tar_number.c.  Each: 0, or -EBADMSG / -ERANGE for a text that is no such number. */
int tar_field_number(const uint8_t *block, struct tar_field field, int64_t *ret);
int tar_field_unsigned(const uint8_t *block, struct tar_field field, uint64_t *ret);
int tar_decimal(const char *text, size_t size, uint64_t *ret);
int tar_time(const char *text, size_t size, struct timespec *ret);
int tar_checksum(const uint8_t *block);

/* tar_pax.c: the records in text from `from` on are appended to the list. */
int tar_records_parse(struct st_tar *tar, struct tar_records *records, size_t from);
void tar_records_clear(struct tar_records *records);
void tar_records_free(struct tar_records *records);
/* The value of a key for this entry; false: there is none, or it is empty. */
bool tar_value(const struct st_tar *tar, enum tar_key key, const char **ret, size_t *size);
/* Gives the entry its list of records, and counts their bytes. */
int tar_pax_list(struct st_tar *tar);

/*
 * tar_entry.c: the header of a file, directory and so on; the extended ones before it have been
 * read.  1, or a negative errno.
 */
int tar_entry_read(struct st_tar *tar, const uint8_t *block);

/* tar_sparse.c: finds the entry's extents, reads what stands before its data. */
int tar_sparse(struct st_tar *tar, const uint8_t *block);
/* Whether it is a sparse file as pax has them. */
bool tar_sparse_pax(const struct st_tar *tar);

#endif
