/* SPDX-License-Identifier: MIT */
/*
 * A file's content: data blocks as they come, and between them, whenever a block of the extent tree is
 * full, that block.  So the tree is built from the left with one block of memory per level, and all
 * that belongs to the file lies in one piece.
 */
#include <errno.h>
#include <string.h>

#include "disk/ext4_writer.h"

void ext4_data_begin(struct writer *w, struct writer_file *f)
{
	*f = (struct writer_file){ .start_block = ext4_out_block(&w->out) };
	for (int i = 0; i < EXT4_TREE_LEVELS; i++)
		w->level[i].count = 0;
}

static void level_header(struct writer_level *l, unsigned depth)
{
	struct ext4_extent_header header = { .magic = EXT4_EXTENT_MAGIC,
					     .entries = (uint16_t)l->count,
					     .max = EXT4_TREE_ENTRIES,
					     .depth = (uint16_t)depth };

	memcpy(l->block, &header, sizeof(header));
	memset(l->block + sizeof(header) + l->count * 12, 0,
	       ST_EXT4_BLOCK - sizeof(header) - l->count * 12);
}

static void *level_entry(struct writer_level *l, unsigned i)
{
	return l->block + sizeof(struct ext4_extent_header) + (size_t)i * 12;
}

static void level_push(struct writer_level *l, uint32_t logical, const void *entry)
{
	if (l->count == 0)
		l->first = logical;
	memcpy(level_entry(l, l->count++), entry, 12);
}

/* Writes the block of this level and enters it one above, where there is room made first. */
static int level_flush(struct writer *w, struct writer_file *f, unsigned depth)
{
	struct writer_level *l = &w->level[depth];
	struct ext4_extent_index index;
	uint64_t block;
	int r;

	if (depth + 1 == EXT4_TREE_LEVELS)
		return -EFBIG;
	if (w->level[depth + 1].count == EXT4_TREE_ENTRIES) {
		r = level_flush(w, f, depth + 1);
		if (r < 0)
			return r;
	}
	level_header(l, depth);
	block = ext4_out_block(&w->out);
	r = ext4_out_put(&w->out, l->block, ST_EXT4_BLOCK);
	if (r < 0)
		return r;
	index = (struct ext4_extent_index){ .block = l->first, .leaf_lo = (uint32_t)block };
	level_push(&w->level[depth + 1], l->first, &index);
	if (f->levels < depth + 1)
		f->levels = depth + 1;
	l->count = 0;
	return 0;
}

/* The next `count` blocks of output are these logical ones. */
static int data_map(struct writer *w, struct writer_file *f, uint64_t logical, uint64_t count,
		    uint64_t *ret_mapped)
{
	struct writer_level *l = &w->level[0];
	struct ext4_extent extent;
	uint64_t n;
	int r;

	if (logical + count > UINT32_MAX)
		return -EFBIG;
	if (l->count) {
		memcpy(&extent, level_entry(l, l->count - 1), sizeof(extent));
		if (extent.block + extent.len == logical && extent.len < EXT4_EXTENT_INIT_MAX &&
		    extent.start_lo + extent.len == ext4_out_block(&w->out)) {
			n = EXT4_EXTENT_INIT_MAX - extent.len;
			n = count < n ? count : n;
			extent.len = (uint16_t)(extent.len + n);
			memcpy(level_entry(l, l->count - 1), &extent, sizeof(extent));
			*ret_mapped = n;
			return 0;
		}
	}
	if (l->count == EXT4_TREE_ENTRIES) {
		r = level_flush(w, f, 0);
		if (r < 0)
			return r;
	}
	n = count < EXT4_EXTENT_INIT_MAX ? count : EXT4_EXTENT_INIT_MAX;
	extent = (struct ext4_extent){ .block = (uint32_t)logical,
				       .len = (uint16_t)n,
				       .start_lo = (uint32_t)ext4_out_block(&w->out) };
	level_push(l, (uint32_t)logical, &extent);
	*ret_mapped = n;
	return 0;
}

int ext4_data_put(struct writer *w, struct writer_file *f, const void *data, size_t size)
{
	const char *from = data;
	uint64_t blocks;
	size_t n;
	int r;

	while (size) {
		n = (size_t)(-f->pos & (ST_EXT4_BLOCK - 1));
		if (n == 0) {
			r = data_map(w, f, f->pos / ST_EXT4_BLOCK,
				     (size + ST_EXT4_BLOCK - 1) / ST_EXT4_BLOCK, &blocks);
			if (r < 0)
				return r;
			n = (size_t)blocks * ST_EXT4_BLOCK;
		}
		n = n < size ? n : size;
		r = ext4_out_put(&w->out, from, n);
		if (r < 0)
			return r;
		f->pos += n;
		from += n;
		size -= n;
	}
	return 0;
}

int ext4_data_seek(struct writer *w, struct writer_file *f, uint64_t offset)
{
	static const char zeros[ST_EXT4_BLOCK];
	uint64_t block = offset & ~(uint64_t)(ST_EXT4_BLOCK - 1);
	int r;

	if (offset < f->pos)
		return -EINVAL;
	if (f->pos & (ST_EXT4_BLOCK - 1) && block > f->pos) {
		f->pos += -f->pos & (ST_EXT4_BLOCK - 1);
		r = ext4_out_align(&w->out);
		if (r < 0)
			return r;
	}
	if (block > f->pos)
		f->pos = block;
	return ext4_data_put(w, f, zeros, (size_t)(offset - f->pos));
}

int ext4_data_end(struct writer *w, struct writer_file *f, struct ext4_inode *inode)
{
	struct ext4_extent_header header = { .magic = EXT4_EXTENT_MAGIC, .max = 4 };
	unsigned depth = 0;
	uint64_t sectors;
	int r = ext4_out_align(&w->out);

	for (; r == 0 && (depth < f->levels || w->level[depth].count > 4); depth++)
		r = w->level[depth].count ? level_flush(w, f, depth) : 0;
	if (r < 0)
		return r;
	header.depth = (uint16_t)depth;
	header.entries = (uint16_t)w->level[depth].count;
	memset(inode->block, 0, sizeof(inode->block));
	memcpy(inode->block, &header, sizeof(header));
	memcpy(inode->block + sizeof(header), level_entry(&w->level[depth], 0),
	       (size_t)header.entries * 12);
	inode->flags |= EXT4_FL_EXTENTS;
	sectors = (ext4_out_block(&w->out) - f->start_block) * (ST_EXT4_BLOCK / 512);
	inode->blocks_lo = (uint32_t)sectors;
	inode->blocks_hi = (uint16_t)(sectors >> 32);
	return 0;
}
