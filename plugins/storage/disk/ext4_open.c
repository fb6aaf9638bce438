/* SPDX-License-Identifier: MIT */
/* The superblock is judged, groups and inodes are found. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/error.h"
#include "disk/ext4_reader.h"

#define INCOMPAT_KNOWN                                                                          \
	(EXT4_INCOMPAT_FILETYPE | EXT4_INCOMPAT_META_BG | EXT4_INCOMPAT_EXTENTS |               \
	 EXT4_INCOMPAT_64BIT | EXT4_INCOMPAT_MMP | EXT4_INCOMPAT_FLEX_BG |                      \
	 EXT4_INCOMPAT_EA_INODE | EXT4_INCOMPAT_CSUM_SEED | EXT4_INCOMPAT_LARGEDIR |            \
	 EXT4_INCOMPAT_INLINE_DATA)

static int super_features(const struct ext4_super *s, const struct st_message *m)
{
	if (s->feature_incompat & EXT4_INCOMPAT_RECOVER)
		return st_fail(m, -EUCLEAN, "ext4: its journal has to be replayed first");
	if (s->feature_incompat & ~INCOMPAT_KNOWN)
		return st_fail(m, -ENOTSUP, "ext4: features 0x%x are not supported",
			       s->feature_incompat & ~INCOMPAT_KNOWN);
	return 0;
}

static bool power_between(uint32_t n, uint32_t least, uint32_t most)
{
	return n >= least && n <= most && (n & (n - 1)) == 0;
}

static bool sizes_sane(const struct ext4_super *s, const struct st_ext4 *fs)
{
	uint32_t bits = fs->block_size * 8;
	uint32_t inode_max = fs->block_size < READER_INODE_MAX ? fs->block_size : READER_INODE_MAX;
	bool clusters = s->feature_ro_compat & EXT4_RO_COMPAT_BIGALLOC;

	if (!power_between(fs->inode_size, EXT4_GOOD_OLD_SIZE, inode_max) ||
	    !power_between(fs->desc_size, 32, 1024))
		return false;
	/* With clusters a group's bits stand for more blocks. */
	if (!fs->blocks_per_group || (!clusters && fs->blocks_per_group > bits))
		return false;
	if (!fs->inodes_per_group || fs->inodes_per_group > bits)
		return false;
	return fs->first_data_block == (fs->block_size == 1024) &&
	       fs->blocks > fs->first_data_block &&
	       fs->blocks <= fs->source.size / fs->block_size;
}

/* Numbers that all others are computed from. */
static int super_sizes(const struct ext4_super *s, struct st_ext4 *fs)
{
	if (s->log_block_size > 6)
		return -EUCLEAN;
	fs->block_size = 1024u << s->log_block_size;
	fs->inode_size = s->rev_level == 0 ? EXT4_GOOD_OLD_SIZE : s->inode_size;
	fs->desc_size = s->feature_incompat & EXT4_INCOMPAT_64BIT ? s->desc_size : 32;
	fs->blocks_per_group = s->blocks_per_group;
	fs->inodes_per_group = s->inodes_per_group;
	fs->first_data_block = s->first_data_block;
	fs->inodes = s->inodes_count;
	fs->blocks = s->blocks_count_lo;
	if (s->feature_incompat & EXT4_INCOMPAT_64BIT)
		fs->blocks |= (uint64_t)s->blocks_count_hi << 32;
	if (!sizes_sane(s, fs))
		return -EUCLEAN;
	fs->groups = (fs->blocks - fs->first_data_block + fs->blocks_per_group - 1) /
		     fs->blocks_per_group;
	return fs->groups * fs->inodes_per_group == fs->inodes ? 0 : -EUCLEAN;
}

int st_ext4_open(const struct st_source *source, struct st_ext4 **ret, char *error,
		 size_t error_size)
{
	struct st_message m = { error, error_size };
	struct ext4_super super;
	struct st_ext4 *fs;
	int r = st_source_read(source, &super, sizeof(super), EXT4_SUPER_OFFSET);

	if (r < 0 || super.magic != EXT4_SUPER_MAGIC)
		return st_fail(&m, r < 0 && r != -EIO ? r : -EUCLEAN, "ext4: there is no superblock");
	r = super_features(&super, &m);
	if (r < 0)
		return r;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->source = *source;
	fs->compat = super.feature_compat;
	fs->incompat = super.feature_incompat;
	fs->ro_compat = super.feature_ro_compat;
	fs->first_meta_bg = super.first_meta_bg;
	/* s_backup_bgs */
	memcpy(fs->backup_groups, (const char *)&super + 0x24c, sizeof(fs->backup_groups));
	r = super_sizes(&super, fs);
	if (r < 0) {
		free(fs);
		return st_fail(&m, r, "ext4: the superblock contradicts itself or the image's size");
	}
	*ret = fs;
	return 0;
}

void st_ext4_close(struct st_ext4 *fs)
{
	if (!fs)
		return;
	for (int i = 0; i < READER_FRAMES; i++)
		free(fs->frames[i].data);
	free(fs);
}

uint64_t st_ext4_size(const struct st_ext4 *fs)
{
	return fs->blocks * fs->block_size;
}

int reader_block(struct st_ext4 *fs, uint64_t block, const uint8_t **ret)
{
	struct reader_frame *f = &fs->frames[0];
	int r;

	if (block >= fs->blocks)
		return -EUCLEAN;
	for (int i = 0; i < READER_FRAMES; i++) {
		if (fs->frames[i].used && fs->frames[i].block == block) {
			f = &fs->frames[i];
			break;
		}
		if (fs->frames[i].used < f->used)
			f = &fs->frames[i];
	}
	if (!f->used || f->block != block) {
		if (!f->data)
			f->data = malloc(fs->block_size);
		if (!f->data)
			return -ENOMEM;
		f->used = 0;
		r = st_source_read(&fs->source, f->data, fs->block_size, block * fs->block_size);
		if (r < 0)
			return r;
		f->block = block;
	}
	f->used = ++fs->tick;
	*ret = f->data;
	return 0;
}

static bool is_power(uint64_t n, uint64_t of)
{
	while (n % of == 0)
		n /= of;
	return n == 1;
}

/* Does the group begin with a copy of the superblock? */
static bool has_super(const struct st_ext4 *fs, uint64_t group)
{
	if (group == 0)
		return true;
	if (fs->compat & EXT4_COMPAT_SPARSE_SUPER2)
		return group == fs->backup_groups[0] || group == fs->backup_groups[1];
	if (group == 1 || !(fs->ro_compat & EXT4_RO_COMPAT_SPARSE_SUPER))
		return true;
	return is_power(group, 3) || is_power(group, 5) || is_power(group, 7);
}

static int inode_table(struct st_ext4 *fs, uint64_t group, uint64_t *ret)
{
	uint32_t per_block = fs->block_size / fs->desc_size;
	uint64_t meta = group / per_block, block = fs->first_data_block + 1 + meta;
	struct ext4_group_long g = { 0 };
	const uint8_t *data;
	int r;

	if (fs->incompat & EXT4_INCOMPAT_META_BG && meta >= fs->first_meta_bg)
		block = fs->first_data_block + meta * per_block * fs->blocks_per_group +
			has_super(fs, meta * per_block);
	r = reader_block(fs, block, &data);
	if (r < 0)
		return r;
	memcpy(&g, data + group % per_block * fs->desc_size,
	       fs->desc_size < sizeof(g) ? fs->desc_size : sizeof(g));
	*ret = g.low.inode_table_lo | (uint64_t)g.inode_table_hi << 32;
	return 0;
}

int reader_inode(struct st_ext4 *fs, uint32_t ino, struct reader_inode *ret)
{
	uint64_t table, at;
	const uint8_t *data;
	int r;

	if (ino == 0 || ino > fs->inodes)
		return -EUCLEAN;
	r = inode_table(fs, (ino - 1) / fs->inodes_per_group, &table);
	if (r < 0)
		return r;
	at = (uint64_t)((ino - 1) % fs->inodes_per_group) * fs->inode_size;
	if (table >= fs->blocks)
		return -EUCLEAN;
	r = reader_block(fs, table + at / fs->block_size, &data);
	if (r < 0)
		return r;
	memset(&ret->fields, 0, sizeof(ret->fields));
	memcpy(ret->raw, data + at % fs->block_size, fs->inode_size);
	ret->ino = ino;
	ret->size = ret->fields.size_lo | (uint64_t)ret->fields.size_hi << 32;
	return ret->size > INT64_MAX ? -EUCLEAN : 0;
}
