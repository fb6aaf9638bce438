/* SPDX-License-Identifier: MIT */
/* The reader's own: see ext4.h.  Nothing an image says is used before it was compared with its size. */
#ifndef ST_DISK_EXT4_READER_H
#define ST_DISK_EXT4_READER_H

#include <stdbool.h>

#include "disk/ext4.h"
#include "disk/ext4_format.h"

#define READER_FRAMES 16
#define READER_INODE_MAX 4096

struct reader_frame {
	uint64_t block, used;
	uint8_t *data;
};

struct st_ext4 {
	struct st_source source;
	uint32_t block_size, inode_size, desc_size;
	uint32_t blocks_per_group, inodes_per_group, inodes, first_data_block, first_meta_bg;
	uint64_t blocks, groups, tick;
	uint32_t incompat, ro_compat, compat;
	uint32_t backup_groups[2];
	struct reader_frame frames[READER_FRAMES];
};

/* An inode with whatever follows it in its slot. */
struct reader_inode {
	uint32_t ino;
	uint64_t size;
	union {
		struct ext4_inode fields;
		uint8_t raw[READER_INODE_MAX];
	};
};

/* ext4_open.c.  A block, good until READER_FRAMES / 2 others were asked for. */
int reader_block(struct st_ext4 *fs, uint64_t block, const uint8_t **ret);
int reader_inode(struct st_ext4 *fs, uint32_t ino, struct reader_inode *ret);

/* ext4_map.c: logical blocks [from, from + *ret_count) lie at *ret_block, or are a hole (0). */
int reader_map(struct st_ext4 *fs, const struct reader_inode *inode, uint64_t from,
	       uint64_t *ret_block, uint64_t *ret_count);
/* Inline data: *ret is malloc()ed, at most what an inode holds. */
int reader_inline(const struct st_ext4 *fs, const struct reader_inode *inode, uint8_t **ret,
		  size_t *ret_size);
/* Content; offset + size is within the file. */
int reader_content(struct st_ext4 *fs, const struct reader_inode *inode, void *buf, size_t size,
		   uint64_t offset);
int reader_link(struct st_ext4 *fs, const struct reader_inode *inode, char buf[4096]);

#endif
