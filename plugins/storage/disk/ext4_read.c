/* SPDX-License-Identifier: MIT */
/* Attributes and content of one file. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "disk/ext4_reader.h"
#include "disk/ext4_xattr.h"

static struct timespec time_get(const struct st_ext4 *fs, const struct ext4_inode *f, uint32_t low,
				uint32_t extra, size_t end)
{
	struct timespec t = { .tv_sec = (int32_t)low };

	if (fs->inode_size > EXT4_GOOD_OLD_SIZE && f->extra_isize >= end - EXT4_GOOD_OLD_SIZE) {
		t.tv_sec += (int64_t)(extra & 3) << 32;
		t.tv_nsec = extra >> 2 < 1000000000 ? (long)(extra >> 2) : 0;
	}
	return t;
}

#define TIME(fs, f, which)                                       \
	time_get(fs, f, (f)->which, (f)->which##_extra,          \
		 offsetof(struct ext4_inode, which##_extra) + 4)

static void device_get(const struct ext4_inode *f, uint32_t *major_, uint32_t *minor_)
{
	uint32_t dev[2];

	memcpy(dev, f->block, sizeof(dev));
	if (dev[0]) {
		*major_ = dev[0] >> 8 & 0xff;
		*minor_ = dev[0] & 0xff;
	} else {
		*major_ = dev[1] >> 8 & 0xfff;
		*minor_ = (dev[1] & 0xff) | (dev[1] >> 12 & 0xfff00);
	}
}

static void inode_stat(const struct st_ext4 *fs, const struct reader_inode *inode,
		       struct st_ext4_stat *ret)
{
	const struct ext4_inode *f = &inode->fields;

	*ret = (struct st_ext4_stat){ .ino = inode->ino,
				      .mode = f->mode,
				      .uid = f->uid_lo | (uint32_t)f->uid_hi << 16,
				      .gid = f->gid_lo | (uint32_t)f->gid_hi << 16,
				      .nlink = f->links,
				      .size = inode->size,
				      .blocks_512 = f->blocks_lo | (uint64_t)f->blocks_hi << 32,
				      .mtime = TIME(fs, f, mtime),
				      .atime = TIME(fs, f, atime),
				      .ctime = TIME(fs, f, ctime) };
	if (f->flags & EXT4_FL_HUGE_FILE)
		ret->blocks_512 *= fs->block_size / 512;
	if (S_ISCHR(f->mode) || S_ISBLK(f->mode))
		device_get(f, &ret->major, &ret->minor);
}

int st_ext4_stat(struct st_ext4 *fs, uint32_t ino, struct st_ext4_stat *ret)
{
	struct reader_inode inode;
	int r = reader_inode(fs, ino, &inode);

	if (r == 0)
		inode_stat(fs, &inode, ret);
	return r;
}

static int file_open(struct st_ext4 *fs, uint32_t ino, struct reader_inode *ret)
{
	int r = reader_inode(fs, ino, ret);

	return r == 0 && !S_ISREG(ret->fields.mode) ? -EINVAL : r;
}

ssize_t st_ext4_read(struct st_ext4 *fs, uint32_t ino, void *buf, size_t size, uint64_t offset)
{
	struct reader_inode inode;
	int r = file_open(fs, ino, &inode);

	if (r < 0)
		return r;
	if (offset >= inode.size)
		return 0;
	size = size < inode.size - offset ? size : (size_t)(inode.size - offset);
	size = size < SSIZE_MAX ? size : SSIZE_MAX;
	r = reader_content(fs, &inode, buf, size, offset);
	return r < 0 ? r : (ssize_t)size;
}

int st_ext4_next_data(struct st_ext4 *fs, uint32_t ino, uint64_t offset, uint64_t *ret_start,
		      uint64_t *ret_end)
{
	uint64_t at, end = 0, block, count, last;
	struct reader_inode inode;
	int r = file_open(fs, ino, &inode);

	if (r < 0 || offset >= inode.size)
		return r;
	if (inode.fields.flags & EXT4_FL_INLINE_DATA) {
		*ret_start = offset;
		*ret_end = inode.size;
		return 1;
	}
	last = (inode.size - 1) / fs->block_size + 1;
	for (at = offset / fs->block_size; at < last; at += count) {
		r = reader_map(fs, &inode, at, &block, &count);
		if (r < 0)
			return r;
		if (!block && end)
			break;
		if (block && !end)
			*ret_start = at * fs->block_size > offset ? at * fs->block_size : offset;
		if (block)
			end = (at + count) * fs->block_size;
	}
	*ret_end = end < inode.size ? end : inode.size;
	return end ? 1 : 0;
}

int st_ext4_readlink(struct st_ext4 *fs, uint32_t ino, char buf[4096])
{
	struct reader_inode inode;
	int r = reader_inode(fs, ino, &inode);

	return r < 0 ? r : reader_link(fs, &inode, buf);
}

struct shown {
	st_ext4_xattr_cb cb;
	void *arg;
};

static int xattr_show(void *arg, uint8_t index, const char *name, size_t len, const void *value,
		      size_t size)
{
	const struct shown *s = arg;
	char text[320];
	void *acl;
	int r;

	if (index == EXT4_XATTR_INDEX_SYSTEM || memchr(name, 0, len) ||
	    !st_xattr_name(index, name, len, text, sizeof(text)))
		return 0; /* the file system's own, or nothing that the kernel would show */
	if (index != 2 && index != 3)
		return s->cb(s->arg, text, value, size);
	r = st_xattr_acl_show(value, size, &acl, &size);
	if (r == 0) {
		r = s->cb(s->arg, text, acl, size);
		free(acl);
	}
	return r;
}

int st_ext4_xattrs(struct st_ext4 *fs, uint32_t ino, st_ext4_xattr_cb cb, void *arg)
{
	struct shown s = { cb, arg };
	struct reader_inode inode;
	const uint8_t *data;
	uint64_t block;
	uint8_t *copy;
	int r = reader_inode(fs, ino, &inode);

	if (r == 0)
		r = st_xattr_inode_each(inode.raw, fs->inode_size, xattr_show, &s);
	block = inode.fields.file_acl_lo | (uint64_t)inode.fields.file_acl_hi << 32;
	if (r != 0 || block == 0)
		return r;
	r = reader_block(fs, block, &data);
	if (r < 0)
		return r;
	/* The callback may read on, and the frame be used for something else. */
	copy = malloc(fs->block_size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, fs->block_size);
	r = st_xattr_block_each(copy, fs->block_size, xattr_show, &s);
	free(copy);
	return r;
}
