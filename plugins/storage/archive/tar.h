/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing tar archives: POSIX ustar and pax (IEEE 1003.1, pax, "ustar Interchange
 * Format"), GNU (long names, sparse files 0.0, 0.1, 1.0 and old, base-256 numbers), star's times.
 * Not libarchive, which drops the pax records that it does not know (MSWINDOWS.*).
 *
 * Input is not trusted: whatever is in it, the reader answers in bounded time and memory, with an
 * entry or with an error.  It does not judge names: who unpacks does (archive/unpack.h).
 */
#ifndef ST_ARCHIVE_TAR_H
#define ST_ARCHIVE_TAR_H

#include "archive/stream.h"

#include <time.h>

/* Types of entries, as POSIX numbers them.  Old and contiguous files are ST_TAR_FILE here. */
enum st_tar_type {
	ST_TAR_FILE = '0',
	ST_TAR_HARD_LINK = '1',
	ST_TAR_SYMLINK = '2',
	ST_TAR_CHAR = '3',
	ST_TAR_BLOCK = '4',
	ST_TAR_DIRECTORY = '5',
	ST_TAR_FIFO = '6',
};

/* One pax record, as it stands there (SCHILY.xattr.*, MSWINDOWS.*, LIBARCHIVE.*). */
struct st_pax {
	char *key;
	char *value; /* NUL-terminated, and may hold NULs */
	size_t size; /* bytes of value */
};

/* Stored data of a sparse file: where it goes in the expanded file. */
struct st_extent {
	uint64_t offset, size;
};

struct st_entry {
	char *path; /* as it stands there: may be absolute, hold "..", end in "/" */
	char *link; /* hard link, symlink: the target; else "" */
	char type;  /* enum st_tar_type; others are passed on */
	uint32_t mode; /* 07777 at most */
	uint32_t type_bits; /* S_IFMT of the header's mode, where go-winio puts a type; mostly 0 */
	uint64_t uid, gid;
	uint64_t size; /* of the expanded file; 0 for all but files */
	struct timespec mtime, atime, ctime;
	bool has_atime, has_ctime;
	uint32_t major, minor; /* devices */
	char *uname, *gname;   /* "" where there are none */
	struct st_pax *pax;    /* global ones first; of two with the same key the later one counts */
	size_t pax_count;
	struct st_extent *extents; /* ascending, without overlap, within size */
	size_t extent_count;       /* 0: not sparse, or sparse and nothing but a hole (stored is 0) */
	uint64_t stored;           /* bytes of data in the archive: st_tar_read() gives these */
};

/* 0: the default. */
struct st_limits {
	uint64_t max_entries;   /* headers of any kind; 16 Mi */
	uint64_t max_bytes;     /* sum of the expanded files, holes included; 1 TiB */
	uint64_t max_name;      /* bytes of a path or a link; 64 KiB */
	uint64_t max_pax_bytes; /* of one entry's extended headers or sparse map; 1 MiB */
};

struct st_tar;

/* limits NULL: the defaults; copied.  The caller closes.  -ENOMEM. */
int st_tar_open(st_read_cb read, void *arg, const struct st_limits *limits, struct st_tar **ret);
/*
 * The next entry, valid until the next call: 1; the end of the archive: 0; or a negative errno:
 * -EBADMSG (not a tar, or broken), -EFBIG, -E2BIG, -ENAMETOOLONG (a limit), -ENOMEM, what read
 * said.  Skips what was not read of the entry before.  After an error every call gives it again.
 */
int st_tar_next(struct st_tar *tar, const struct st_entry **ret);
/* Stored data of the current entry; 0 at its end. */
ssize_t st_tar_read(struct st_tar *tar, void *buffer, size_t size);
/*
 * The same without a copy: points to at least one byte of it, valid until the next call; 0 at its
 * end.  Takes what it gives.
 */
ssize_t st_tar_take(struct st_tar *tar, const void **ret);
/* "entry NAME: cause", or "byte N: cause"; "" without an error. */
const char *st_tar_error(const struct st_tar *tar);
void st_tar_close(struct st_tar *tar); /* NULL: nothing */

/* The last pax record with this key, or NULL. */
const struct st_pax *st_entry_pax(const struct st_entry *entry, const char *key);

/* All bytes are taken: 0, or a negative errno. */
typedef int (*st_write_cb)(void *arg, const void *data, size_t size);

struct st_tar_writer;

/* The caller closes.  -ENOMEM. */
int st_tar_writer_open(st_write_cb write, void *arg, struct st_tar_writer **ret);
/*
 * Begins an entry: ustar, with pax records for what ustar cannot say (those of entry->pax that the
 * entry's members do not say are kept in their order) and sparse files as GNU 1.0.  The same
 * entries give the same bytes.  A file is sparse when it has extents, or a size and nothing stored;
 * else `stored` is its size.  -EINVAL (no path, a path that is no file's, extents that are not in
 * order or do not add up to `stored`, a mode, key or name that cannot be written), -EPROTO (data of
 * the entry before is missing), -ENOMEM, what write said.
 */
int st_tar_put(struct st_tar_writer *writer, const struct st_entry *entry);
/* Data of the entry, all `stored` bytes in as many calls as you like.  -EPROTO: more than that. */
int st_tar_put_data(struct st_tar_writer *writer, const void *data, size_t size);
/* Ends the archive.  -EPROTO: data is missing. */
int st_tar_finish(struct st_tar_writer *writer);
void st_tar_writer_close(struct st_tar_writer *writer); /* NULL: nothing */

#endif
