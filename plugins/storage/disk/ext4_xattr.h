/* SPDX-License-Identifier: MIT */
/* Extended attributes as ext4 keeps them: in the inode behind its fields, the rest in one block. */
#ifndef ST_DISK_EXT4_XATTR_H
#define ST_DISK_EXT4_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/ext4.h"
#include "disk/ext4_format.h"

#define EXT4_XATTR_INDEX_SYSTEM 7u /* "system.data": inline data */
#define ST_XATTRS_MAX 200u /* more do not fit into inode and block */

struct st_xattr {
	uint8_t index, name_len;
	const char *name; /* without prefix; borrowed */
	void *value;      /* as on disk; owned */
	uint32_t size;
};

struct st_xattrs {
	size_t count;
	struct st_xattr items[ST_XATTRS_MAX];
};

/*
 * A name with its prefix, and a value as the kernel gives it; the same name again replaces.  1: no
 * place for such a name in ext4, nothing was done; -E2BIG, -ENOMEM, -EINVAL (a broken ACL).
 */
int st_xattrs_set(struct st_xattrs *, const char *name, const void *value, size_t size);
/* One as on disk.  The value is copied. */
int st_xattrs_add(struct st_xattrs *, uint8_t index, const char *name, size_t name_len,
		  const void *value, size_t size);
void st_xattrs_clear(struct st_xattrs *);

/*
 * Lays them out: what fits into the inode goes there, the rest into block, which *ret_block says is
 * needed.  -E2BIG: they do not fit.
 */
int st_xattrs_build(struct st_xattrs *, struct ext4_inode *inode, uint8_t block[ST_EXT4_BLOCK],
		    bool *ret_block);

/* What one area holds; hostile areas give -EUCLEAN.  ea_inode values: -ENOTSUP. */
typedef int (*st_xattr_raw_cb)(void *arg, uint8_t index, const char *name, size_t name_len,
			       const void *value, size_t size);
int st_xattr_inode_each(const uint8_t *inode, size_t inode_size, st_xattr_raw_cb, void *arg);
int st_xattr_block_each(const uint8_t *block, size_t block_size, st_xattr_raw_cb, void *arg);

/* The full name, at most 256 + 32 bytes; false: no such index. */
bool st_xattr_name(uint8_t index, const char *name, size_t name_len, char *ret, size_t size);
/* An ACL from disk as the kernel shows it; *ret is malloc()ed. */
int st_xattr_acl_show(const void *value, size_t size, void **ret, size_t *ret_size);

#endif
