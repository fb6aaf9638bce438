/* SPDX-License-Identifier: MIT */
/* ext4 on disk: Documentation/filesystems/ext4 of the kernel.  Little-endian, as all hosts here are. */
#ifndef ST_DISK_EXT4_FORMAT_H
#define ST_DISK_EXT4_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the structures are used in place"
#endif

#define EXT4_SUPER_OFFSET 1024u
#define EXT4_SUPER_MAGIC 0xef53u
#define EXT4_INODE_SIZE 256u
#define EXT4_GOOD_OLD_SIZE 128u
#define EXT4_ROOT_INO 2u
#define EXT4_FIRST_INO 11u
#define EXT4_NAME_MAX 255u
#define EXT4_LINK_MAX 65000u

#define EXT4_COMPAT_EXT_ATTR 0x8u
#define EXT4_COMPAT_SPARSE_SUPER2 0x200u

#define EXT4_INCOMPAT_COMPRESSION 0x1u
#define EXT4_INCOMPAT_FILETYPE 0x2u
#define EXT4_INCOMPAT_RECOVER 0x4u
#define EXT4_INCOMPAT_JOURNAL_DEV 0x8u
#define EXT4_INCOMPAT_META_BG 0x10u
#define EXT4_INCOMPAT_EXTENTS 0x40u
#define EXT4_INCOMPAT_64BIT 0x80u
#define EXT4_INCOMPAT_MMP 0x100u
#define EXT4_INCOMPAT_FLEX_BG 0x200u
#define EXT4_INCOMPAT_EA_INODE 0x400u
#define EXT4_INCOMPAT_CSUM_SEED 0x2000u
#define EXT4_INCOMPAT_LARGEDIR 0x4000u
#define EXT4_INCOMPAT_INLINE_DATA 0x8000u
#define EXT4_INCOMPAT_ENCRYPT 0x10000u
#define EXT4_INCOMPAT_CASEFOLD 0x20000u

#define EXT4_RO_COMPAT_SPARSE_SUPER 0x1u
#define EXT4_RO_COMPAT_LARGE_FILE 0x2u
#define EXT4_RO_COMPAT_HUGE_FILE 0x8u
#define EXT4_RO_COMPAT_DIR_NLINK 0x20u
#define EXT4_RO_COMPAT_EXTRA_ISIZE 0x40u
#define EXT4_RO_COMPAT_BIGALLOC 0x200u
#define EXT4_RO_COMPAT_READONLY 0x1000u

#define EXT4_FL_HUGE_FILE 0x40000u
#define EXT4_FL_EXTENTS 0x80000u
#define EXT4_FL_INLINE_DATA 0x10000000u

struct ext4_super {
	uint32_t inodes_count, blocks_count_lo, r_blocks_count_lo, free_blocks_count_lo;
	uint32_t free_inodes_count, first_data_block, log_block_size, log_cluster_size;
	uint32_t blocks_per_group, clusters_per_group, inodes_per_group, mtime;
	uint32_t wtime;
	uint16_t mnt_count, max_mnt_count, magic, state, errors, minor_rev_level;
	uint32_t lastcheck, checkinterval, creator_os, rev_level;
	uint16_t def_resuid, def_resgid;
	uint32_t first_ino;
	uint16_t inode_size, block_group_nr;
	uint32_t feature_compat, feature_incompat, feature_ro_compat;
	uint8_t uuid[16];
	char volume_name[16], last_mounted[64];
	uint32_t algorithm_usage_bitmap;
	uint8_t prealloc_blocks, prealloc_dir_blocks;
	uint16_t reserved_gdt_blocks;
	uint8_t journal_uuid[16];
	uint32_t journal_inum, journal_dev, last_orphan, hash_seed[4];
	uint8_t def_hash_version, jnl_backup_type;
	uint16_t desc_size;
	uint32_t default_mount_opts, first_meta_bg, mkfs_time, jnl_blocks[17];
	uint32_t blocks_count_hi, r_blocks_count_hi, free_blocks_count_hi;
	uint16_t min_extra_isize, want_extra_isize;
	uint32_t flags;
	uint16_t raid_stride, mmp_interval;
	uint64_t mmp_block;
	uint32_t raid_stripe_width;
	uint8_t log_groups_per_flex, checksum_type;
	uint16_t reserved_pad;
	uint8_t rest[1024 - 0x178];
} __attribute__((packed));
_Static_assert(sizeof(struct ext4_super) == 1024, "superblock");
_Static_assert(offsetof(struct ext4_super, hash_seed) == 0xec, "superblock");

struct ext4_group {
	uint32_t block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
	uint16_t free_blocks_count_lo, free_inodes_count_lo, used_dirs_count_lo, flags;
	uint32_t exclude_bitmap_lo;
	uint16_t block_bitmap_csum_lo, inode_bitmap_csum_lo, itable_unused_lo, checksum;
} __attribute__((packed));
_Static_assert(sizeof(struct ext4_group) == 32, "group descriptor");
/* With 64BIT it goes on. */
struct ext4_group_long {
	struct ext4_group low;
	uint32_t block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
} __attribute__((packed));

struct ext4_inode {
	uint16_t mode, uid_lo;
	uint32_t size_lo, atime, ctime, mtime, dtime;
	uint16_t gid_lo, links;
	uint32_t blocks_lo, flags, version;
	uint8_t block[60];
	uint32_t generation, file_acl_lo, size_hi, obso_faddr;
	uint16_t blocks_hi, file_acl_hi, uid_hi, gid_hi, checksum_lo, reserved;
	uint16_t extra_isize, checksum_hi;
	uint32_t ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra, version_hi, projid;
	uint8_t attributes[256 - 160];
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct ext4_inode) == EXT4_INODE_SIZE, "inode");
_Static_assert(offsetof(struct ext4_inode, extra_isize) == 0x80, "inode");

#define EXT4_EXTENT_MAGIC 0xf30au
struct ext4_extent_header {
	uint16_t magic, entries, max, depth;
	uint32_t generation;
} __attribute__((packed));
struct ext4_extent {
	uint32_t block;
	uint16_t len, start_hi;
	uint32_t start_lo;
} __attribute__((packed));
struct ext4_extent_index {
	uint32_t block, leaf_lo;
	uint16_t leaf_hi, unused;
} __attribute__((packed));
#define EXT4_EXTENT_INIT_MAX 32768u

struct ext4_dir_entry {
	uint32_t inode;
	uint16_t rec_len;
	uint8_t name_len, file_type;
	char name[];
} __attribute__((packed));

#define EXT4_XATTR_MAGIC 0xea020000u
struct ext4_xattr_header {
	uint32_t magic, refcount, blocks, hash, checksum, reserved[3];
} __attribute__((packed));
struct ext4_xattr_entry {
	uint8_t name_len, name_index;
	uint16_t value_offs;
	uint32_t value_inum, value_size, hash;
	char name[];
} __attribute__((packed, aligned(4)));

#endif
