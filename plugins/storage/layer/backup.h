/* SPDX-License-Identifier: MIT */
/*
 * Win32 backup streams, as BackupRead() gives them (MS-BKUP; hcs-behaviour.md §5.4): headers of 20 bytes,
 * little-endian, each with a name in UTF-16 and its data behind it.  Here is the format alone: what a
 * sequence of streams holds, and the bytes of what it can hold.  Input is not trusted.
 */
#ifndef ST_LAYER_BACKUP_H
#define ST_LAYER_BACKUP_H

#include "archive/tar.h"
#include "disk/source.h"

#include <stdbool.h>

enum st_backup_id {
	ST_BACKUP_DATA = 1,
	ST_BACKUP_EA = 2,
	ST_BACKUP_SECURITY = 3,
	ST_BACKUP_ALTERNATE = 4,
	ST_BACKUP_LINK = 5,
	ST_BACKUP_PROPERTY = 6,
	ST_BACKUP_OBJECT_ID = 7,
	ST_BACKUP_REPARSE = 8,
	ST_BACKUP_SPARSE_BLOCK = 9,
	ST_BACKUP_TXFS = 10,
};

#define ST_BACKUP_HAS_SECURITY 0x2u /* attribute of a stream */
#define ST_BACKUP_SPARSE 0x8u

struct st_blob {
	uint8_t *data;
	size_t size;
};

void st_blob_finish(struct st_blob *blob);
/* At its end.  -ENOMEM. */
int st_blob_add(struct st_blob *blob, const void *data, size_t size);

struct st_backup_piece {
	uint64_t at;           /* in the source */
	uint64_t offset, size; /* of the file */
};

struct st_backup_alternate {
	char *name; /* UTF-8, without colons and type */
	uint64_t at, size;
};

struct st_backup {
	bool sparse;
	uint64_t size; /* of the main data; pieces: where it is, one unless it is sparse */
	struct st_backup_piece *piece;
	size_t piece_count;
	struct st_backup_alternate *alternate;
	size_t alternate_count;
	struct st_blob security, ea, reparse, link; /* data NULL: it has none */
};

/*
 * All streams from `start` to the end of the source.  -EBADMSG and *cause: truncated, too long, in no
 * sensible order, or of an unknown kind; nothing to finish then.
 */
int st_backup_scan(const struct st_source *source, uint64_t start, struct st_backup *ret,
		   const char **cause);
void st_backup_finish(struct st_backup *backup);

/* A header with its name (UTF-8, may be NULL), added to blob.  -EILSEQ: not UTF-8; -ENOMEM. */
int st_backup_header(struct st_blob *blob, enum st_backup_id id, uint32_t attributes, uint64_t size,
		     const char *name);

/* UTF-16, little-endian.  -EILSEQ: not valid, or it holds a NUL; -ENOMEM. */
int st_utf16_decode(const uint8_t *data, size_t size, char **ret);
int st_utf16_add(struct st_blob *blob, const char *text);

/* Extended attributes, FILE_FULL_EA_INFORMATION (MS-FSCC 2.4.15). */
struct st_ea {
	const char *name; /* not terminated */
	size_t name_size;
	const uint8_t *value;
	size_t value_size;
};
/* *at begins with 0.  1; 0: no more; -EBADMSG. */
int st_ea_next(const struct st_blob *blob, size_t *at, struct st_ea *ret);
/* *last begins with 0.  -E2BIG: a name or value that is too long. */
int st_ea_add(struct st_blob *blob, size_t *last, const struct st_ea *ea);

/*
 * Symbolic links and mount points (MS-FSCC 2.1.2).  The name that is shown is the target.  -ENOTSUP: a
 * reparse point of another kind, *tag; -EBADMSG.
 */
int st_reparse_decode(const struct st_blob *blob, char **target, bool *mount_point, uint32_t *tag);
int st_reparse_encode(const char *target, bool mount_point, struct st_blob *ret);

#endif
