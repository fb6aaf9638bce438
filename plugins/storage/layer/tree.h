/* SPDX-License-Identifier: MIT */
/*
 * Names below a directory, given as "a/b/c" ("" is the directory itself).  Resolved by the kernel
 * (openat2): no symlink is followed on the way or at the end, and nothing leads out.
 */
#ifndef ST_LAYER_TREE_H
#define ST_LAYER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* A descriptor, the caller's; flags as for open(2), O_NOFOLLOW and O_CLOEXEC are added. */
int st_tree_open(int root, const char *path, int flags);
/* The same for writing a new file: O_CREAT | O_EXCL. */
int st_tree_create(int root, const char *path, mode_t mode);
/* The directory that path is in (O_PATH), and *base: its last part, within path. */
int st_tree_parent(int root, const char *path, const char **base);
/* 0, or a negative errno: -ENOENT; -ELOOP: through a symlink. */
int st_tree_stat(int root, const char *path, struct stat *ret);
/* Directories up to and including path, those that are missing with mode 0755.  -ENOTDIR, -ELOOP. */
int st_tree_mkdirs(int root, const char *path);
/* Whatever is there goes, with all below it; absent: fine. */
int st_tree_remove(int root, const char *path);

struct st_names {
	char **name;
	size_t count;
};

/* The names in a directory in the order of their bytes, without "." and "..". */
int st_tree_list(int root, const char *path, struct st_names *ret);
void st_names_finish(struct st_names *names);
bool st_names_have(const struct st_names *names, const char *name); /* of st_tree_list() */

/* "a/b", or "b" where dir is ""; to be freed. */
char *st_tree_join(const char *dir, const char *name);

/* What overlayfs means by them. */
static inline bool st_tree_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && !st->st_rdev;
}
/* A directory that hides what the layers below have in it. */
bool st_tree_is_opaque(int root, const char *path);

/* "/proc/self/fd/N/BASE" for calls that take a path and no descriptor; in buf. */
#define ST_TREE_PATH 320
int st_tree_path(int parent, const char *base, char buf[static ST_TREE_PATH]);

/* A whole small file (up to max bytes), with a NUL behind it, to be freed.  -EFBIG. */
int st_tree_read_file(int root, const char *path, size_t max, char **ret, size_t *ret_size);
/* Anew, under another name until it is whole; not synced. */
int st_tree_write_file(int root, const char *name, mode_t mode, const void *data, size_t size);

#endif
