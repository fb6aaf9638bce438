/* SPDX-License-Identifier: MIT */
/* What comes behind the data: directories, inode tables, bitmaps; then descriptors and superblock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/ext4_writer.h"

#define BITS_PER_BLOCK (ST_EXT4_BLOCK * 8)
#define INODES_PER_BLOCK (ST_EXT4_BLOCK / EXT4_INODE_SIZE)
#define RESERVED_INODES (EXT4_FIRST_INO - 1)

/* Directories. */

struct dir_block {
	uint8_t data[ST_EXT4_BLOCK];
	size_t used, last; /* last: where the last entry begins */
};

static int dir_block_end(struct writer *w, struct writer_file *f, struct dir_block *b)
{
	struct ext4_dir_entry *last = (void *)(b->data + b->last);
	int r;

	last->rec_len = (uint16_t)(ST_EXT4_BLOCK - b->last);
	memset(b->data + b->used, 0, ST_EXT4_BLOCK - b->used);
	r = ext4_data_put(w, f, b->data, ST_EXT4_BLOCK);
	b->used = b->last = 0;
	return r;
}

static int dir_block_add(struct writer *w, struct writer_file *f, struct dir_block *b, uint32_t ino,
			 uint8_t type, const char *name, size_t len)
{
	size_t size = (sizeof(struct ext4_dir_entry) + len + 3) & ~(size_t)3;
	struct ext4_dir_entry *e;
	int r;

	if (b->used + size > ST_EXT4_BLOCK) {
		r = dir_block_end(w, f, b);
		if (r < 0)
			return r;
	}
	e = (void *)(b->data + b->used);
	memset(e, 0, size);
	e->inode = ino;
	e->rec_len = (uint16_t)size;
	e->name_len = (uint8_t)len;
	e->file_type = type;
	memcpy(e->name, name, len);
	b->last = b->used;
	b->used += size;
	return 0;
}

static int dir_entries(struct writer *w, struct writer_file *f, uint32_t first, struct dir_block *b,
		       uint32_t *ret_dirs)
{
	struct writer_node node, *at;
	const char *name;
	int r = 0;

	for (uint32_t i = first; r == 0 && i; i = node.next) {
		r = ext4_names_node(&w->names, i, false, &at);
		if (r < 0)
			break;
		node = *at;
		if (!node.ino)
			continue;
		*ret_dirs += node.type == 2;
		r = ext4_names_name(&w->names, &node, &name);
		if (r == 0)
			r = dir_block_add(w, f, b, node.ino, node.type, name, node.name_len);
	}
	return r;
}

static int xattr_collect(void *arg, uint8_t index, const char *name, size_t len, const void *value,
			 size_t size)
{
	return st_xattrs_add(arg, index, name, len, value, size);
}

/* Adds trusted.overlay.opaque to what the directory has. */
static int dir_opaque(struct writer *w, struct ext4_inode *inode)
{
	struct ext4_inode old = *inode;
	uint8_t block[ST_EXT4_BLOCK];
	int r;

	st_xattrs_clear(&w->xattrs);
	r = st_xattr_inode_each((const uint8_t *)&old, sizeof(old), xattr_collect, &w->xattrs);
	if (r == 0 && old.file_acl_lo) {
		r = ext4_out_read(&w->out, old.file_acl_lo, block);
		if (r == 0)
			r = st_xattr_block_each(block, sizeof(block), xattr_collect, &w->xattrs);
		if (r == 0)
			r = ext4_free_blocks(w, old.file_acl_lo, 1);
		inode->file_acl_lo = 0;
		inode->blocks_lo = 0;
	}
	if (r == 0)
		r = st_xattrs_set(&w->xattrs, "trusted.overlay.opaque", "y", 1);
	return r < 0 ? r : ext4_entry_xattrs(w, inode);
}

static int dir_write(struct writer *w, uint32_t ino)
{
	struct dir_block b = { .used = 0 };
	struct ext4_inode inode, *to;
	struct writer_dir dir;
	struct writer_file f;
	uint32_t acl_sectors, dirs = 0;
	int r = ext4_inode(w, ino, false, &to);

	if (r < 0)
		return r;
	inode = *to;
	dir = *ext4_dir(&inode);
	if (dir.opaque && w->options->whiteouts)
		r = dir_opaque(w, &inode);
	acl_sectors = inode.blocks_lo;
	ext4_data_begin(w, &f);
	if (r == 0)
		r = dir_block_add(w, &f, &b, ino, 2, ".", 1);
	if (r == 0)
		r = dir_block_add(w, &f, &b, dir.parent, 2, "..", 2);
	if (r == 0)
		r = dir_entries(w, &f, dir.first, &b, &dirs);
	if (r == 0)
		r = dir_block_end(w, &f, &b);
	if (r == 0)
		r = ext4_data_end(w, &f, &inode);
	if (r == 0)
		r = ext4_inode(w, ino, true, &to);
	if (r < 0)
		return r;
	inode.size_lo = (uint32_t)f.pos;
	inode.size_hi = (uint32_t)(f.pos >> 32);
	inode.blocks_lo += acl_sectors;
	inode.links = dirs + 2 > EXT4_LINK_MAX ? 1 : (uint16_t)(dirs + 2);
	*to = inode;
	return 0;
}

static int dirs_write(struct writer *w)
{
	struct ext4_inode *inode;
	int r = 0;

	for (uint32_t ino = EXT4_ROOT_INO; r == 0 && ino <= w->inode_count; ino++) {
		r = ext4_inode(w, ino, false, &inode);
		if (r == 0 && S_ISDIR(inode->mode))
			r = dir_write(w, ino);
	}
	return r;
}

/* Groups. */

struct layout {
	uint64_t blocks; /* of the file system */
	uint64_t groups, blocks_per_group, inodes_per_group;
	uint64_t table, inode_bitmaps, block_bitmaps, end; /* first blocks */
	uint64_t gdt_used;
	uint64_t free_blocks, free_inodes;
	struct ext4_group *group;
};

static uint64_t divide_up(uint64_t n, uint64_t by)
{
	return (n + by - 1) / by;
}

static int layout_make(struct writer *w, struct layout *l)
{
	uint64_t data = ext4_out_block(&w->out), groups, inodes = w->inode_count;

	groups = divide_up(inodes, BITS_PER_BLOCK);
	for (;; groups = divide_up(l->end, BITS_PER_BLOCK)) {
		l->inodes_per_group = divide_up(divide_up(inodes, groups), INODES_PER_BLOCK) *
				      INODES_PER_BLOCK;
		l->table = data;
		l->inode_bitmaps = data + groups * l->inodes_per_group / INODES_PER_BLOCK;
		l->block_bitmaps = l->inode_bitmaps + groups;
		l->end = l->block_bitmaps + groups;
		if (divide_up(l->end, BITS_PER_BLOCK) <= groups)
			break;
	}
	/* Many small files need more groups than their blocks would: smaller ones. */
	l->groups = groups;
	l->blocks_per_group = BITS_PER_BLOCK;
	if (divide_up(l->end, BITS_PER_BLOCK) < groups)
		l->blocks_per_group = divide_up(divide_up(l->end, groups), 8) * 8;
	l->blocks = l->end;
	if (l->blocks <= (groups - 1) * l->blocks_per_group)
		l->blocks = (groups - 1) * l->blocks_per_group + 1;
	l->gdt_used = divide_up(groups * 32, ST_EXT4_BLOCK);
	if (l->gdt_used > w->gdt_blocks || l->blocks * ST_EXT4_BLOCK > w->out.max)
		return -EFBIG;
	l->group = calloc(l->gdt_used, ST_EXT4_BLOCK);
	return l->group ? 0 : -ENOMEM;
}

/* The tables of all groups follow one another: they are one array. */
static int tables_write(struct writer *w, struct layout *l)
{
	uint64_t blocks = l->groups * l->inodes_per_group / INODES_PER_BLOCK;
	struct ext4_inode block[INODES_PER_BLOCK];
	void *page;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < blocks; i++) {
		r = st_spill_page(w->inodes, i, 0, &page);
		if (r < 0)
			break;
		memcpy(block, page, sizeof(block));
		for (unsigned k = 0; k < INODES_PER_BLOCK; k++) {
			uint64_t n = i * INODES_PER_BLOCK + k;
			struct ext4_group *g = &l->group[n / l->inodes_per_group];

			block[k].version = 0;
			if (S_ISDIR(block[k].mode))
				g->used_dirs_count_lo++;
			if (block[k].links || n < RESERVED_INODES)
				continue;
			g->free_inodes_count_lo++;
			l->free_inodes++;
		}
		r = ext4_out_put(&w->out, block, sizeof(block));
	}
	return r;
}

static int inode_bitmap_write(struct writer *w, const struct layout *l, uint64_t group)
{
	uint8_t bits[ST_EXT4_BLOCK];
	struct ext4_inode *inode;
	int r;

	memset(bits, 0xff, sizeof(bits));
	for (uint64_t i = 0; i < l->inodes_per_group; i++) {
		uint64_t n = group * l->inodes_per_group + i;

		if (n >= w->inode_count) {
			bits[i / 8] &= (uint8_t)~(1u << i % 8);
			continue;
		}
		r = ext4_inode(w, (uint32_t)n + 1, false, &inode);
		if (r < 0)
			return r;
		if (!inode->links && n >= RESERVED_INODES)
			bits[i / 8] &= (uint8_t)~(1u << i % 8);
	}
	return ext4_out_put(&w->out, bits, sizeof(bits));
}

/* A group has a multiple of 8 blocks: its bits are whole bytes of the whole. */
static int block_bitmap_write(struct writer *w, struct layout *l, uint64_t group)
{
	uint64_t first = group * l->blocks_per_group;
	uint8_t bits[ST_EXT4_BLOCK], *freed;
	unsigned free_count = 0;
	void *page;
	int r;

	memset(bits, 0xff, sizeof(bits));
	for (uint64_t i = 0; i < l->blocks_per_group / 8; i++) {
		uint64_t at = first / 8 + i;

		if (at * 8 >= l->blocks)
			break;
		r = st_spill_page(w->freed, at / ST_SPILL_PAGE, 0, &page);
		if (r < 0)
			return r;
		freed = page;
		bits[i] = (uint8_t)~freed[at % ST_SPILL_PAGE];
		free_count += (unsigned)__builtin_popcount(freed[at % ST_SPILL_PAGE]);
	}
	l->group[group].free_blocks_count_lo = (uint16_t)free_count;
	l->free_blocks += free_count;
	return ext4_out_put(&w->out, bits, sizeof(bits));
}

static int bitmaps_write(struct writer *w, struct layout *l)
{
	int r = ext4_free_blocks(w, 1 + l->gdt_used, w->gdt_blocks - l->gdt_used);

	if (r == 0)
		r = ext4_free_blocks(w, l->end, l->blocks - l->end);
	for (uint64_t g = 0; r == 0 && g < l->groups; g++)
		r = inode_bitmap_write(w, l, g);
	for (uint64_t g = 0; r == 0 && g < l->groups; g++)
		r = block_bitmap_write(w, l, g);
	for (uint64_t g = 0; g < l->groups; g++) {
		l->group[g].block_bitmap_lo = (uint32_t)(l->block_bitmaps + g);
		l->group[g].inode_bitmap_lo = (uint32_t)(l->inode_bitmaps + g);
		l->group[g].inode_table_lo =
			(uint32_t)(l->table + g * l->inodes_per_group / INODES_PER_BLOCK);
	}
	return r;
}

static int super_write(struct writer *w, const struct layout *l)
{
	struct ext4_super s = {
		.inodes_count = (uint32_t)(l->groups * l->inodes_per_group),
		.blocks_count_lo = (uint32_t)l->blocks,
		.free_blocks_count_lo = (uint32_t)l->free_blocks,
		.free_inodes_count = (uint32_t)l->free_inodes,
		.log_block_size = 2,
		.log_cluster_size = 2,
		.blocks_per_group = (uint32_t)l->blocks_per_group,
		.clusters_per_group = (uint32_t)l->blocks_per_group,
		.inodes_per_group = (uint32_t)l->inodes_per_group,
		.max_mnt_count = 0xffff,
		.magic = EXT4_SUPER_MAGIC,
		.state = 1,
		.errors = 1,
		.rev_level = 1,
		.first_ino = EXT4_FIRST_INO,
		.inode_size = EXT4_INODE_SIZE,
		.feature_compat = EXT4_COMPAT_EXT_ATTR | EXT4_COMPAT_SPARSE_SUPER2,
		.feature_incompat = EXT4_INCOMPAT_FILETYPE | EXT4_INCOMPAT_EXTENTS |
				    EXT4_INCOMPAT_FLEX_BG,
		.feature_ro_compat = EXT4_RO_COMPAT_LARGE_FILE | EXT4_RO_COMPAT_HUGE_FILE |
				     EXT4_RO_COMPAT_DIR_NLINK | EXT4_RO_COMPAT_EXTRA_ISIZE |
				     EXT4_RO_COMPAT_READONLY,
		.min_extra_isize = 32,
		.want_extra_isize = 32,
		.log_groups_per_flex = 31, /* bitmaps and tables may lie anywhere */
		.default_mount_opts = 0xc, /* user attributes, ACLs */
	};

	if (w->options->inline_data)
		s.feature_incompat |= EXT4_INCOMPAT_INLINE_DATA;
	memcpy(s.uuid, w->options->uuid, sizeof(s.uuid));
	memcpy(s.volume_name, w->options->label, sizeof(s.volume_name));
	return ext4_out_place(w->out.fd, &s, sizeof(s), EXT4_SUPER_OFFSET);
}

int ext4_finish(struct writer *w)
{
	struct layout l = { 0 };
	static const uint8_t zero;
	int r = dirs_write(w);

	if (r == 0)
		r = layout_make(w, &l);
	if (r == 0)
		r = tables_write(w, &l);
	if (r == 0)
		r = bitmaps_write(w, &l);
	if (r == 0)
		r = ext4_out_flush(&w->out);
	/* The last byte, so that the file is as long as the file system. */
	if (r == 0 && l.blocks > l.end)
		r = ext4_out_place(w->out.fd, &zero, 1, l.blocks * ST_EXT4_BLOCK - 1);
	if (r == 0)
		r = ext4_out_place(w->out.fd, l.group, l.gdt_used * ST_EXT4_BLOCK, ST_EXT4_BLOCK);
	if (r == 0)
		r = super_write(w, &l);
	w->result.bytes = l.blocks * ST_EXT4_BLOCK;
	free(l.group);
	return r;
}
