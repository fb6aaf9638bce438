/* SPDX-License-Identifier: MIT */
/* The writer's own: see ext4.h for what it does, and each file for its part. */
#ifndef ST_DISK_EXT4_WRITER_H
#define ST_DISK_EXT4_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/error.h"
#include "disk/ext4.h"
#include "disk/ext4_format.h"
#include "disk/ext4_xattr.h"
#include "disk/spill.h"

#define EXT4_TREE_LEVELS 5
#define EXT4_TREE_ENTRIES ((ST_EXT4_BLOCK - sizeof(struct ext4_extent_header)) / 12)

struct writer_out {
	int fd;
	uint8_t *buffer;
	uint64_t start; /* where the buffer's first byte goes */
	size_t used;
	uint64_t max; /* bytes */
};

struct writer_level {
	unsigned count;
	uint32_t first; /* logical block of the first entry */
	uint8_t block[ST_EXT4_BLOCK];
};

/* A file's content as it is written; see ext4_data.c. */
struct writer_file {
	uint64_t pos;         /* bytes of the file so far */
	uint64_t start_block; /* where its blocks begin: all of them follow one another */
	unsigned levels;      /* in use */
};

struct writer_names {
	struct st_spill *nodes, *heap, *buckets;
	uint32_t node_count; /* used ones; node 0 is none */
	uint64_t heap_used;
	uint64_t bucket_base; /* first page of the table in use */
	uint32_t bucket_count;
};

/* A name in a directory. */
struct writer_node {
	uint32_t parent, ino; /* ino 0: the name is gone */
	uint32_t chain, next; /* in its bucket; in its directory */
	uint64_t name;        /* in the heap */
	uint32_t hash;
	uint8_t name_len, type; /* type as in directory entries */
	uint8_t whiteout, reserved;
};
_Static_assert(ST_SPILL_PAGE % sizeof(struct writer_node) == 0, "nodes do not cross pages");

/* What the block map of a directory's inode holds until the directory is written. */
struct writer_dir {
	uint32_t first, last; /* nodes */
	uint32_t parent;
	uint32_t opaque;
	uint32_t pending; /* the next directory to be taken down */
};
_Static_assert(sizeof(struct writer_dir) <= 60, "it fits");

struct writer {
	const struct st_ext4_options *options;
	struct st_message message;
	struct writer_out out;
	struct writer_level *level; /* EXT4_TREE_LEVELS of them */
	struct writer_names names;
	struct st_spill *inodes; /* as they will be on disk, but for directories' block maps */
	struct st_spill *freed;  /* one bit per block that is not in use any more */
	uint32_t inode_count;    /* given out, the reserved ones included */
	uint32_t gdt_blocks;     /* set aside for group descriptors, from block 1 on */
	struct st_xattrs xattrs; /* of the entry at hand */
	struct st_ext4_result result;
};

/* ext4_out.c: everything is appended. */
int ext4_out_open(struct writer_out *out, int fd, uint64_t max);
int ext4_out_put(struct writer_out *out, const void *data, size_t size);
int ext4_out_zeros(struct writer_out *out, size_t size);
/* Zeros up to the next block. */
int ext4_out_align(struct writer_out *out);
static inline uint64_t ext4_out_offset(const struct writer_out *out)
{
	return out->start + out->used;
}
static inline uint64_t ext4_out_block(const struct writer_out *out)
{
	return ext4_out_offset(out) / ST_EXT4_BLOCK;
}
int ext4_out_flush(struct writer_out *out);
/* Leave a gap; only forward, and at most to the limit. */
int ext4_out_skip(struct writer_out *out, uint64_t offset);
/* A block written before. */
int ext4_out_read(struct writer_out *out, uint64_t block, uint8_t ret[ST_EXT4_BLOCK]);
int ext4_out_place(int fd, const void *data, size_t size, uint64_t offset);
void ext4_out_close(struct writer_out *out);

/* ext4_data.c */
void ext4_data_begin(struct writer *w, struct writer_file *f);
/* What lies between is a hole, as far as whole blocks go. */
int ext4_data_seek(struct writer *w, struct writer_file *f, uint64_t offset);
int ext4_data_put(struct writer *w, struct writer_file *f, const void *data, size_t size);
/* Writes what is left of the extent tree, and its root, flags and blocks into the inode. */
int ext4_data_end(struct writer *w, struct writer_file *f, struct ext4_inode *inode);

/* ext4_names.c */
int ext4_names_open(struct writer_names *n, int dirfd);
void ext4_names_close(struct writer_names *n);
int ext4_names_node(struct writer_names *n, uint32_t node, bool write, struct writer_node **ret);
int ext4_names_name(struct writer_names *n, const struct writer_node *node, const char **ret);
/* 0 and *ret 0: no such name. */
int ext4_names_find(struct writer_names *n, uint32_t parent, const char *name, size_t len,
		    uint32_t *ret);
int ext4_names_add(struct writer_names *n, uint32_t parent, const char *name, size_t len,
		   uint32_t *ret);

/* ext4_tree.c: inodes and names. */
int ext4_inode(struct writer *w, uint32_t ino, bool write, struct ext4_inode **ret);
int ext4_inode_new(struct writer *w, const struct ext4_inode *inode, uint32_t *ret_ino);
static inline struct writer_dir *ext4_dir(struct ext4_inode *inode)
{
	return (struct writer_dir *)(void *)inode->block;
}
/* Makes a directory's inode out of one that has its attributes only. */
void ext4_dir_init(struct ext4_inode *inode, uint32_t parent);
/* Blocks [first, first + count) are free. */
int ext4_free_blocks(struct writer *w, uint64_t first, uint64_t count);
/* The name is ino's from now on; what it was before loses a link.  -EMLINK is the caller's to judge. */
int ext4_name_set(struct writer *w, uint32_t dir, const char *name, size_t len, uint32_t ino,
		  bool whiteout);

struct ext4_place {
	uint32_t dir;
	char name[EXT4_NAME_MAX + 1];
	size_t len;    /* 0: the root itself */
	uint32_t node; /* 0: not there */
	uint32_t ino;
	bool is_dir, is_whiteout;
};
/* Where a path of the archive leads; parents that are not there are made, with `like`'s times. */
int ext4_place_find(struct writer *w, const char *path, const struct ext4_inode *like,
		    struct ext4_place *ret);

/* ext4_entry.c */
struct st_entry;
struct st_tar;
int ext4_entry(struct writer *w, struct st_tar *tar, const struct st_entry *entry);
/* Lays out w->xattrs; a block is appended where one is needed. */
int ext4_entry_xattrs(struct writer *w, struct ext4_inode *inode);

/* ext4_finish.c: directories, inode tables, bitmaps, descriptors, superblock. */
int ext4_finish(struct writer *w);

#endif
