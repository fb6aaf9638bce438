/* SPDX-License-Identifier: MIT */
/* What the parts of Windows layers share. */
#ifndef ST_LAYER_WIN_PRIVATE_H
#define ST_LAYER_WIN_PRIVATE_H

#include "layer/win.h"

#include <stdio.h>
#include <sys/stat.h>

#define WIN_ENTRIES "entries"
#define WIN_TOMBSTONES "tombstones.txt"
#define WIN_FILES "Files"
#define WIN_UVM "UtilityVM"
#define WIN_UVM_FILES "UtilityVM/Files"

#define WIN_ATTR_READONLY 0x1u
#define WIN_ATTR_HIDDEN 0x2u
#define WIN_ATTR_SYSTEM 0x4u
#define WIN_ATTR_DIRECTORY 0x10u
#define WIN_ATTR_ARCHIVE 0x20u
#define WIN_ATTR_SPARSE 0x200u

/* ---- win_name.c */

/*
 * A name of the archive as a path below the layer: cleaned, to be freed.  -EINVAL and *cause ("path
 * contains invalid character `:`"), -ENOMEM.
 */
int win_name_clean(const char *text, char **ret, const char **cause);
/* What stands behind "PATH:" in text, if it names a stream of PATH; else NULL.  *cause: it is refused. */
const char *win_name_stream(const char *text, const char *path, const char **cause);
/* path is below dir, not dir itself. */
bool win_name_below(const char *path, const char *dir);
/* As Windows writes it, to be freed. */
char *win_name_windows(const char *path);
/* The backup of a boot file, or NULL. */
const char *win_name_backup(const char *path);
/* Where a link leads to, as a relative path within Files; other targets as they stand.  To be freed. */
char *win_name_target(const char *path, const char *target);

/* ---- win_meta.c: what Linux has no place for, as attributes without "user." */

struct win_meta {
	struct st_pax *record;
	size_t count;
};

void win_meta_finish(struct win_meta *meta);
int win_meta_set(struct win_meta *meta, const char *key, const void *value, size_t size);
const struct st_pax *win_meta_get(const struct win_meta *meta, const char *key);
/* All of an entry that a file's name, type, link, size and data do not say; kept: mtime is right. */
int win_meta_of(const struct st_entry *entry, bool mtime_kept, struct win_meta *ret);
/* The other way: fields, and entry->pax, which is the caller's to free (not what it points to). */
int win_meta_fill(const struct win_meta *meta, struct st_entry *entry);
uint32_t win_meta_attributes(const struct win_meta *meta, const struct st_entry *entry);
/* 0: all of it is in the file's attributes; 1: there is no room, and none of it is. */
int win_meta_store(int fd, const struct win_meta *meta);
/* What is at parent/base, none being fine.  *dosattrib: as Wine keeps it; UINT32_MAX: it does not. */
int win_meta_load(int parent, const char *base, struct win_meta *ret, uint32_t *dosattrib);

/* ---- win_entries.c: the file `entries` */

struct win_entry {
	char type; /* enum st_tar_type; 'w': a tombstone; 's': a stream */
	bool stored; /* meta is in the file's attributes */
	char *path, *link; /* link may be NULL */
	struct win_meta meta;
};

void win_entry_finish(struct win_entry *entry);
int win_entries_put(FILE *file, const struct win_entry *entry);
/* 1: an entry; 0: the end; -EBADMSG. */
int win_entries_next(FILE *file, struct win_entry *ret);
/* -ENOENT: the layer has none. */
int win_entries_open(int layer, FILE **ret);

/* ---- win_data.c: the current entry's data; holes: blocks of zeros are left out. */
int win_data_write(struct st_tar *tar, const struct st_entry *entry, int fd, bool holes);

/* ---- win_clone.c: UtilityVM/Files of the parent; files are linked, the boot files copied. */
int win_clone_uvm(int parent, int stage);
/* A regular file of another layer under a name of this one. */
int win_link_or_copy(int from, const char *from_path, int to, const char *to_path);

#endif
