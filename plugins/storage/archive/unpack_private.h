/* SPDX-License-Identifier: MIT */
/* What the parts of unpacking share. */
#ifndef ST_ARCHIVE_UNPACK_PRIVATE_H
#define ST_ARCHIVE_UNPACK_PRIVATE_H

#include "archive/tar_private.h"
#include "archive/unpack.h"

#include <sys/stat.h>

/* Directories that are kept open, the last used ones. */
#define UNPACK_DIRS 32

struct unpack_dir {
	char *path; /* "" for the root; NULL: unused */
	size_t size;
	uint64_t hash, used;
	int fd; /* O_PATH */
};

/* A name in the archive, cleaned: "a/b/c"; the directory is the first parent_size bytes of it. */
struct unpack_name {
	struct tar_text path;
	size_t parent_size;
	const char *base; /* "" for the root itself */
};

struct unpack {
	struct st_tar *tar;
	int root;
	const struct st_unpack_options *options;
	struct st_unpack_result result;
	char *error;
	size_t error_size;

	const struct st_entry *entry;
	struct unpack_name name, link;
	int parent; /* of name; borrowed from dirs */
	uint64_t reported; /* bytes, at the last progress */

	struct unpack_dir dirs[UNPACK_DIRS];
	uint64_t clock;
	bool removed_dirs; /* so that a directory that was made may be none any more */

	struct tar_text late; /* what directories get at the end: struct unpack_late and path */
	int late_fd;          /* where that goes when it grows; -1: not yet */
	struct tar_text implied;

	uint64_t *made; /* ST_WHITEOUT_APPLY: hashes of the names that this archive made */
	size_t made_count, made_cap;
	uint64_t seed;
};

/* "entry NAME: WHAT: text of code"; what NULL: only the text.  Returns code; the first one counts. */
int unpack_fail(struct unpack *u, int code, const char *what);

/* unpack_name.c: -EINVAL for "..", a NUL cannot be; "." and slashes that mean nothing go. */
int unpack_name_set(struct unpack *u, struct unpack_name *name, const char *text);
void unpack_name_free(struct unpack_name *name);
uint64_t unpack_hash(const struct unpack *u, const char *path, size_t size);
/* The names that this archive made, and all directories above them. */
int unpack_made_add(struct unpack *u, const char *path, size_t size);
bool unpack_made_has(const struct unpack *u, const char *path, size_t size);

/* unpack_dir.c: a directory's descriptor, valid until the next call, or a negative errno. */
int unpack_dir_find(struct unpack *u, const char *path, size_t size);
/* The same, made where it is missing. */
int unpack_dir_make(struct unpack *u, const char *path, size_t size);
/* Names below may mean something else now. */
void unpack_dirs_forget(struct unpack *u);
/* A descriptor of the directory that can be read and written to; the caller closes. */
int unpack_dir_open(int dirfd, const char *name);

/* unpack_meta.c */
int unpack_meta_file(struct unpack *u, int fd);
/* For what is not opened: u->parent, u->name.base. */
int unpack_meta_name(struct unpack *u);
int unpack_meta_directory(struct unpack *u);
/* Times of directories, and modes that would have been in the way. */
int unpack_late(struct unpack *u);

/* unpack_whiteout.c: 1: the entry was a whiteout, and is done; 0: it is none. */
int unpack_whiteout(struct unpack *u);
/* Hides what the layers below have in this directory. */
int unpack_opaque(struct unpack *u, int parent, const char *name);

/* unpack.c: what is there makes way for what is not a directory. */
int unpack_replace(struct unpack *u, int parent, const char *name, bool *was_whiteout);

static inline bool unpack_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && !st->st_rdev;
}

#endif
