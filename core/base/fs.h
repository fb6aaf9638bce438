/* SPDX-License-Identifier: MIT */
/* Small file helpers.  All return 0 or a negative errno; all descriptors are close-on-exec. */
#ifndef COW_BASE_FS_H
#define COW_BASE_FS_H

#include <stddef.h>
#include <sys/types.h>

/* The whole file, NUL-terminated, to be freed.  -EFBIG beyond max bytes.  ret_len may be NULL. */
int cow_fs_read(const char *path, size_t max, char **ret, size_t *ret_len);
int cow_fs_read_at(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len);
#define COW_FS_DURABLE 0x1u /* fsync file and directory: survives a power cut, not only a kill */
/*
 * Whole or not at all: temporary name (".NAME.tmp", always the same: one writer per path at a
 * time), write, rename.  mode is exact, whatever the umask says.
 */
int cow_fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
			unsigned flags);
/* The same, and the new file, open to read and write; cow_fs_sync_parent() is the caller's. */
int cow_fs_write_atomic_fd(const char *path, const void *data, size_t len, mode_t mode,
			   unsigned flags, int *ret_fd);
/* fsync the directory that holds path: a new name survives a power cut. */
int cow_fs_sync_parent(const char *path);
int cow_fs_write_all(int fd, const void *data, size_t len);
/* Every missing directory of path. */
int cow_fs_mkdirs(const char *path, mode_t mode);
/*
 * Remove a tree without following symlinks or crossing into mounts; absent is success.  Goes on
 * after an error and returns the first; -EBUSY: something is mounted inside and stays.
 */
int cow_fs_remove_tree(const char *path);
/* The directory that path's last component is in, and that component.  -EINVAL: "", ".", "..". */
int cow_fs_open_parent(const char *path, int *ret_fd, char **ret_name);
/* dir + "/" + name, to be freed; name alone where it is absolute.  NULL: out of memory. */
char *cow_fs_join(const char *dir, const char *name);
/* Absolute, "." and ".." and "//" folded as text; NULL: out of memory. */
char *cow_fs_absolute(const char *cwd, const char *path);

#endif
