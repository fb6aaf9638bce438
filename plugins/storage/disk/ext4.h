/* SPDX-License-Identifier: MIT */
/*
 * ext4 images without a kernel: written from a tar in one pass, and read back.
 *
 * The writer puts file data first, as it comes, and directories, inode tables and bitmaps behind it;
 * what it has to remember per file is kept in records that spill to an unlinked file, so memory is
 * bounded (about 16 MiB) however many files there are.  Format: Documentation/filesystems/ext4 of the
 * kernel.  The images are read-only ones: no journal, no free space worth mentioning.
 */
#ifndef ST_DISK_EXT4_H
#define ST_DISK_EXT4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "disk/source.h"

#define ST_EXT4_BLOCK 4096u

struct st_tar;

/* Writing. */

struct st_ext4_options {
	/* What the image may grow to; room for its descriptors is set aside.  0: 128 GiB. */
	uint64_t max_bytes;
	bool whiteouts;   /* .wh.NAME becomes a 0:0 device, .wh..wh..opq trusted.overlay.opaque=y */
	bool inline_data; /* files of up to 60 bytes live in their inode */
	uint8_t uuid[16]; /* zeros: an image depends on nothing but its tar */
	char label[16];
};

struct st_ext4_result {
	uint64_t bytes;   /* of the file system: where a verity superblock or a footer goes */
	uint64_t entries; /* of the tar */
	uint64_t data_bytes; /* of file content: what the import is called to be large */
	uint64_t skipped_xattrs; /* of name spaces that ext4 has no number for */
};

/*
 * Writes the tar to fd (a regular file or block device, from offset 0), which ends with the file
 * system.  Errors: what the archive reader says; -EFBIG: larger than max_bytes; -EINVAL: a name that
 * leads out; -EMLINK, -E2BIG (extended attributes) … The message is "entry: cause".
 */
int st_ext4_write(struct st_tar *tar, int fd, const struct st_ext4_options *options,
		  struct st_ext4_result *ret, char *error, size_t error_size);

/* Reading: hostile images give errors (-EUCLEAN), in bounded time and memory. */

struct st_ext4;

struct st_ext4_stat {
	uint32_t ino;
	uint32_t mode; /* with the type */
	uint32_t uid, gid, nlink;
	uint32_t major, minor; /* of devices */
	uint64_t size, blocks_512;
	struct timespec mtime, atime, ctime;
};

/* The source is copied; what it points to stays the caller's and must live as long. */
int st_ext4_open(const struct st_source *, struct st_ext4 **ret, char *error, size_t error_size);
void st_ext4_close(struct st_ext4 *);

/* How long the file system is: block count times block size. */
uint64_t st_ext4_size(const struct st_ext4 *);

/* path is taken from the root; symbolic links on the way are followed, inside; a last one is not. */
int st_ext4_lookup(struct st_ext4 *, const char *path, uint32_t *ret_ino);
int st_ext4_stat(struct st_ext4 *, uint32_t ino, struct st_ext4_stat *ret);
/* At most size bytes from offset; 0 at the end.  Holes read as zeros. */
ssize_t st_ext4_read(struct st_ext4 *, uint32_t ino, void *buf, size_t size, uint64_t offset);
/* The next range with data at or behind offset; 0 when there is none, else 1. */
int st_ext4_next_data(struct st_ext4 *, uint32_t ino, uint64_t offset, uint64_t *ret_start,
		      uint64_t *ret_end);
/* At most 4095 bytes and a NUL. */
int st_ext4_readlink(struct st_ext4 *, uint32_t ino, char buf[4096]);

/* Entries without "." and "..", names without '/' and NUL; a result other than 0 ends it and is returned. */
typedef int (*st_ext4_entry_cb)(void *arg, const char *name, uint32_t ino);
int st_ext4_readdir(struct st_ext4 *, uint32_t ino, st_ext4_entry_cb, void *arg);

/* Names with their prefix ("user.a"), values as the kernel gives them (ACLs converted). */
typedef int (*st_ext4_xattr_cb)(void *arg, const char *name, const void *value, size_t size);
int st_ext4_xattrs(struct st_ext4 *, uint32_t ino, st_ext4_xattr_cb, void *arg);

/*
 * Every file, parents first: path without leading '/', "" for the root.  Names of one directory as they
 * stand in it.  depth and the number of entries are limited, so that a loop of directories ends
 * (-ELOOP); hard links are told by ino and nlink.
 */
typedef int (*st_ext4_walk_cb)(void *arg, const char *path, const struct st_ext4_stat *);
int st_ext4_walk(struct st_ext4 *, st_ext4_walk_cb, void *arg);

#endif
