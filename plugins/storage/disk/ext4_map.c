/* SPDX-License-Identifier: MIT */
/* Where a file's blocks are: extents, the block maps before them, inline data. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/ext4_reader.h"
#include "disk/ext4_xattr.h"

#define EXTENT_DEPTH_MAX 5
#define UNWRITTEN_FLAG 32768u

/* A node of the tree: its header, judged, and its entries. */
struct extent_node {
	struct ext4_extent_header header;
	const uint8_t *entries;
};

static int node_open(const uint8_t *data, size_t size, int depth, struct extent_node *ret)
{
	memcpy(&ret->header, data, sizeof(ret->header));
	ret->entries = data + sizeof(ret->header);
	if (ret->header.magic != EXT4_EXTENT_MAGIC || ret->header.entries > ret->header.max ||
	    ret->header.max > (size - sizeof(ret->header)) / 12)
		return -EUCLEAN;
	if (depth < 0 ? ret->header.depth > EXTENT_DEPTH_MAX : ret->header.depth != depth)
		return -EUCLEAN;
	return 0;
}

/* The last entry that begins at or before `from`, or -1; both kinds begin with their block. */
static int node_find(const struct extent_node *n, uint64_t from, uint64_t *limit)
{
	uint32_t block;
	int i;

	for (i = 0; i < n->header.entries; i++) {
		memcpy(&block, n->entries + (size_t)i * 12, 4);
		if (block > from) {
			*limit = block < *limit ? block : *limit;
			break;
		}
	}
	return i - 1;
}

/* Down to the leaf that would have `from`: its entry, or -1; *limit: where the next one begins. */
static int leaf_find(struct st_ext4 *fs, struct extent_node *n, uint64_t from, uint64_t *limit,
		     int *ret)
{
	struct ext4_extent_index index;
	const uint8_t *data;
	int r;

	for (;;) {
		*ret = node_find(n, from, limit);
		if (*ret < 0 || n->header.depth == 0)
			return 0;
		memcpy(&index, n->entries + (size_t)*ret * 12, sizeof(index));
		r = reader_block(fs, index.leaf_lo | (uint64_t)index.leaf_hi << 32, &data);
		if (r == 0)
			r = node_open(data, fs->block_size, n->header.depth - 1, n);
		if (r < 0)
			return r;
	}
}

static int map_extents(struct st_ext4 *fs, const struct reader_inode *inode, uint64_t from,
		       uint64_t *ret_block, uint64_t *ret_count)
{
	uint64_t limit = UINT64_C(1) << 32, start;
	struct ext4_extent extent;
	struct extent_node n;
	uint32_t len;
	int i, r = node_open(inode->fields.block, sizeof(inode->fields.block), -1, &n);

	if (r == 0)
		r = from < limit ? leaf_find(fs, &n, from, &limit, &i) : -EUCLEAN;
	if (r < 0)
		return r;
	*ret_block = 0;
	*ret_count = limit - from;
	if (i < 0)
		return 0;
	memcpy(&extent, n.entries + (size_t)i * 12, sizeof(extent));
	start = extent.start_lo | (uint64_t)extent.start_hi << 32;
	len = extent.len > UNWRITTEN_FLAG ? extent.len - UNWRITTEN_FLAG : extent.len;
	if (start >= fs->blocks || len > fs->blocks - start || len == 0)
		return -EUCLEAN;
	if (from - extent.block >= len)
		return 0; /* behind it, before the next one */
	if (extent.block + (uint64_t)len < limit)
		*ret_count = extent.block + (uint64_t)len - from;
	if (extent.len <= UNWRITTEN_FLAG)
		*ret_block = start + (from - extent.block);
	return 0;
}

/* ext2's: twelve blocks, then one, two and three levels of blocks of numbers. */
static int map_old(struct st_ext4 *fs, const struct reader_inode *inode, uint64_t from,
		   uint64_t *ret_block, uint64_t *ret_count)
{
	uint64_t per = fs->block_size / 4, slot = from, at = 0;
	uint64_t span = 1; /* blocks below a slot; at: which of them */
	const uint8_t *data = inode->fields.block;
	uint32_t block;
	int levels = 0, r;

	if (from >= 12) {
		at = from - 12;
		for (levels = 1, span = per; at >= span; levels++, span *= per) {
			if (levels == 3)
				return -EUCLEAN;
			at -= span;
		}
		slot = 11 + (uint64_t)levels;
	}
	for (;; levels--) {
		memcpy(&block, data + slot * 4, 4);
		*ret_block = block;
		*ret_count = span - at;
		if (levels == 0 || block == 0)
			return block < fs->blocks ? 0 : -EUCLEAN;
		r = reader_block(fs, block, &data);
		if (r < 0)
			return r;
		span /= per;
		slot = at / span;
		at %= span;
	}
}

int reader_map(struct st_ext4 *fs, const struct reader_inode *inode, uint64_t from,
	       uint64_t *ret_block, uint64_t *ret_count)
{
	if (inode->fields.flags & EXT4_FL_EXTENTS)
		return map_extents(fs, inode, from, ret_block, ret_count);
	return map_old(fs, inode, from, ret_block, ret_count);
}

struct inline_data {
	const void *value;
	size_t size;
};

static int inline_find(void *arg, uint8_t index, const char *name, size_t len, const void *value,
		       size_t size)
{
	struct inline_data *d = arg;

	if (index != EXT4_XATTR_INDEX_SYSTEM || len != 4 || memcmp(name, "data", 4) != 0)
		return 0;
	*d = (struct inline_data){ value, size };
	return 1;
}

int reader_inline(const struct st_ext4 *fs, const struct reader_inode *inode, uint8_t **ret,
		  size_t *ret_size)
{
	struct inline_data d = { NULL, 0 };
	size_t head = sizeof(inode->fields.block);
	uint8_t *data;
	int r = st_xattr_inode_each(inode->raw, fs->inode_size, inline_find, &d);

	if (r < 0)
		return r;
	data = malloc(head + d.size);
	if (!data)
		return -ENOMEM;
	memcpy(data, inode->fields.block, head);
	if (d.size)
		memcpy(data + head, d.value, d.size);
	*ret = data;
	*ret_size = head + d.size;
	return 0;
}

static int content_inline(const struct st_ext4 *fs, const struct reader_inode *inode, void *buf,
			  size_t size, uint64_t offset)
{
	size_t have, n;
	uint8_t *data;
	int r = reader_inline(fs, inode, &data, &have);

	if (r < 0)
		return r;
	/* mke2fs makes a hole of any size such a file: what is not there is zeros, also to the kernel. */
	n = offset >= have ? 0 : size < have - offset ? size : (size_t)(have - offset);
	memcpy(buf, data + (n ? offset : 0), n);
	memset((char *)buf + n, 0, size - n);
	free(data);
	return 0;
}

int reader_content(struct st_ext4 *fs, const struct reader_inode *inode, void *buf, size_t size,
		   uint64_t offset)
{
	uint64_t block, count, in;
	char *to = buf;
	size_t n;
	int r;

	if (inode->fields.flags & EXT4_FL_INLINE_DATA)
		return content_inline(fs, inode, buf, size, offset);
	while (size) {
		r = reader_map(fs, inode, offset / fs->block_size, &block, &count);
		if (r < 0)
			return r;
		in = offset % fs->block_size;
		n = count > (size + in) / fs->block_size ? size
							 : (size_t)(count * fs->block_size - in);
		if (block)
			r = st_source_read(&fs->source, to, n, block * fs->block_size + in);
		else
			memset(to, 0, n);
		if (r < 0)
			return r;
		to += n;
		size -= n;
		offset += n;
	}
	return 0;
}

int reader_link(struct st_ext4 *fs, const struct reader_inode *inode, char buf[4096])
{
	bool in_inode = !(inode->fields.flags & (EXT4_FL_EXTENTS | EXT4_FL_INLINE_DATA)) &&
			inode->size < sizeof(inode->fields.block);
	int r = 0;

	if (!S_ISLNK(inode->fields.mode))
		return -EINVAL;
	if (inode->size == 0 || inode->size > 4095)
		return -EUCLEAN;
	if (in_inode)
		memcpy(buf, inode->fields.block, inode->size);
	else
		r = reader_content(fs, inode, buf, inode->size, 0);
	buf[r < 0 ? 0 : inode->size] = 0;
	return r == 0 && strlen(buf) != inode->size ? -EUCLEAN : r;
}
