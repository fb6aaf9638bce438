/* SPDX-License-Identifier: MIT */
/* One entry of the archive becomes an inode and a name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "archive/tar.h"
#include "disk/ext4_writer.h"

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define XATTR "SCHILY.xattr."

/* Seconds since 1970 with two bits more, and nanoseconds above them. */
static void time_set(const struct timespec *t, uint32_t *low, uint32_t *extra)
{
	int64_t first = INT32_MIN, last = (INT64_C(1) << 34) + INT32_MIN - 1;
	int64_t sec = t->tv_sec < first ? first : t->tv_sec > last ? last : t->tv_sec;

	*low = (uint32_t)sec;
	*extra = (uint32_t)((sec - (int32_t)(uint32_t)sec) >> 32 & 3) | (uint32_t)t->tv_nsec << 2;
}

static int inode_fill(const struct st_entry *e, struct ext4_inode *ret)
{
	struct ext4_inode inode = { .mode = (uint16_t)(e->mode & 07777),
				    .links = 1,
				    .extra_isize = 32 };

	if (e->uid > UINT32_MAX - 1 || e->gid > UINT32_MAX - 1)
		return -EOVERFLOW;
	inode.uid_lo = (uint16_t)e->uid;
	inode.uid_hi = (uint16_t)(e->uid >> 16);
	inode.gid_lo = (uint16_t)e->gid;
	inode.gid_hi = (uint16_t)(e->gid >> 16);
	time_set(&e->mtime, &inode.mtime, &inode.mtime_extra);
	time_set(e->has_atime ? &e->atime : &e->mtime, &inode.atime, &inode.atime_extra);
	time_set(e->has_ctime ? &e->ctime : &e->mtime, &inode.ctime, &inode.ctime_extra);
	*ret = inode;
	return 0;
}

static int xattrs_take(struct writer *w, const struct st_entry *e)
{
	int r = 0;

	st_xattrs_clear(&w->xattrs);
	for (size_t i = 0; r >= 0 && i < e->pax_count; i++) {
		const struct st_pax *p = &e->pax[i];

		if (strncmp(p->key, XATTR, sizeof(XATTR) - 1) != 0)
			continue;
		r = st_xattrs_set(&w->xattrs, p->key + sizeof(XATTR) - 1, p->value, p->size);
		w->result.skipped_xattrs += r == 1;
	}
	return r < 0 ? r : 0;
}

int ext4_entry_xattrs(struct writer *w, struct ext4_inode *inode)
{
	uint8_t block[ST_EXT4_BLOCK];
	uint64_t sectors = inode->blocks_lo | (uint64_t)inode->blocks_hi << 32;
	bool needed;
	int r = st_xattrs_build(&w->xattrs, inode, block, &needed);

	if (r < 0 || !needed)
		return r;
	inode->file_acl_lo = (uint32_t)ext4_out_block(&w->out);
	if (sectors == 0)
		inode->version = inode->file_acl_lo;
	sectors += ST_EXT4_BLOCK / 512;
	inode->blocks_lo = (uint32_t)sectors;
	inode->blocks_hi = (uint16_t)(sectors >> 32);
	return ext4_out_put(&w->out, block, sizeof(block));
}

static int data_copy(struct writer *w, struct st_tar *tar, struct writer_file *f, uint64_t size)
{
	const void *data;
	ssize_t n;
	int r;

	while (size) {
		n = st_tar_take(tar, &data);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		if ((uint64_t)n > size)
			return -EBADMSG;
		r = ext4_data_put(w, f, data, (size_t)n);
		if (r < 0)
			return r;
		size -= (uint64_t)n;
	}
	return 0;
}

/* Ranges of a sparse file come back to back from the archive: a piece may reach across two of them. */
static int data_sparse(struct writer *w, struct st_tar *tar, const struct st_entry *e,
		       struct writer_file *f)
{
	uint8_t buffer[16384];
	uint64_t left;
	ssize_t n;
	int r = 0;

	for (size_t i = 0; r == 0 && i < e->extent_count; i++) {
		if (e->extents[i].size)
			r = ext4_data_seek(w, f, e->extents[i].offset);
		for (left = e->extents[i].size; r == 0 && left; left -= (uint64_t)n) {
			n = st_tar_read(tar, buffer, left < sizeof(buffer) ? left : sizeof(buffer));
			if (n <= 0)
				return n < 0 ? (int)n : -EIO;
			r = ext4_data_put(w, f, buffer, (size_t)n);
		}
	}
	return r;
}

/* Up to 60 bytes in the inode, marked by an attribute without a value. */
static int file_inline(struct writer *w, struct st_tar *tar, const struct st_entry *e,
		       struct ext4_inode *inode)
{
	size_t done = 0;
	ssize_t n;

	while (done < e->size) {
		n = st_tar_read(tar, inode->block + done, e->size - done);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	inode->flags |= EXT4_FL_INLINE_DATA;
	return st_xattrs_add(&w->xattrs, EXT4_XATTR_INDEX_SYSTEM, "data", 4, "", 0);
}

static int file_make(struct writer *w, struct st_tar *tar, const struct st_entry *e,
		     struct ext4_inode *inode)
{
	bool sparse = e->extent_count || e->stored != e->size;
	struct writer_file f;
	int r;

	inode->mode |= S_IFREG;
	inode->size_lo = (uint32_t)e->size;
	inode->size_hi = (uint32_t)(e->size >> 32);
	w->result.data_bytes += e->size;
	if (w->options->inline_data && e->size && e->size <= sizeof(inode->block) && !sparse)
		return file_inline(w, tar, e, inode);
	/* The last block's number must have 32 bits. */
	if (e->size >= (uint64_t)UINT32_MAX * ST_EXT4_BLOCK)
		return -EFBIG;
	ext4_data_begin(w, &f);
	r = sparse ? data_sparse(w, tar, e, &f) : data_copy(w, tar, &f, e->size);
	if (r == 0)
		r = ext4_data_end(w, &f, inode);
	inode->version = (uint32_t)f.start_block;
	return r;
}

static int symlink_make(struct writer *w, const struct st_entry *e, struct ext4_inode *inode)
{
	size_t size = strlen(e->link);
	struct writer_file f;
	int r;

	if (size == 0)
		return -EINVAL;
	if (size >= ST_EXT4_BLOCK)
		return -ENAMETOOLONG;
	inode->mode = S_IFLNK | 0777;
	inode->size_lo = (uint32_t)size;
	if (size < sizeof(inode->block)) {
		memcpy(inode->block, e->link, size);
		return 0;
	}
	ext4_data_begin(w, &f);
	r = ext4_data_put(w, &f, e->link, size);
	if (r == 0)
		r = ext4_data_end(w, &f, inode);
	inode->version = (uint32_t)f.start_block;
	return r;
}

static int device_make(const struct st_entry *e, struct ext4_inode *inode)
{
	uint32_t dev;

	if (e->major > 0xfff || e->minor > 0xfffff)
		return -EOVERFLOW;
	inode->mode |= e->type == ST_TAR_CHAR ? S_IFCHR : S_IFBLK;
	if (e->major < 256 && e->minor < 256) {
		dev = e->major << 8 | e->minor;
		memcpy(inode->block, &dev, 4);
	} else {
		dev = (e->minor & 0xff) | e->major << 8 | (e->minor & ~0xffu) << 12;
		memcpy(inode->block + 4, &dev, 4);
	}
	return 0;
}

/* Everything that is neither a directory nor a hard link. */
static int leaf_make(struct writer *w, struct st_tar *tar, const struct st_entry *e,
		     const struct ext4_place *at, struct ext4_inode *inode)
{
	uint32_t ino;
	int r;

	if (at->len == 0)
		return -EISDIR;
	switch (e->type) {
	case ST_TAR_FILE:
		r = file_make(w, tar, e, inode);
		break;
	case ST_TAR_SYMLINK:
		r = symlink_make(w, e, inode);
		break;
	case ST_TAR_CHAR:
	case ST_TAR_BLOCK:
		r = device_make(e, inode);
		break;
	case ST_TAR_FIFO:
		inode->mode |= S_IFIFO;
		r = 0;
		break;
	default:
		return -ENOTSUP;
	}
	if (r == 0)
		r = ext4_entry_xattrs(w, inode);
	if (r == 0)
		r = ext4_inode_new(w, inode, &ino);
	return r < 0 ? r : ext4_name_set(w, at->dir, at->name, at->len, ino, false);
}

static int dir_make(struct writer *w, const struct ext4_place *at, struct ext4_inode *inode)
{
	struct ext4_inode *old;
	uint32_t ino;
	int r;

	inode->mode |= S_IFDIR;
	ext4_dir_init(inode, at->dir);
	/* A whiteout that becomes a directory still hides what is below. */
	ext4_dir(inode)->opaque = at->is_whiteout;
	r = ext4_entry_xattrs(w, inode);
	if (r < 0)
		return r;
	if (!at->ino || !at->is_dir) {
		r = ext4_inode_new(w, inode, &ino);
		return r < 0 ? r : ext4_name_set(w, at->dir, at->name, at->len, ino, false);
	}
	/* It is there: its attributes are these now. */
	r = ext4_inode(w, at->ino, true, &old);
	if (r < 0)
		return r;
	memcpy(inode->block, old->block, sizeof(inode->block));
	if (old->file_acl_lo)
		r = ext4_free_blocks(w, old->file_acl_lo, 1);
	*old = *inode;
	return r;
}

static int hard_link(struct writer *w, const struct st_entry *e, const struct ext4_place *at,
		     const struct ext4_inode *like)
{
	struct ext4_place target;
	struct ext4_inode *inode;
	int r = ext4_place_find(w, e->link, like, &target);

	if (r < 0)
		return r;
	if (!target.ino || target.is_whiteout || at->len == 0)
		return -ENOENT;
	if (target.is_dir)
		return -EPERM;
	if (target.ino == at->ino)
		return 0;
	r = ext4_inode(w, target.ino, true, &inode);
	if (r < 0)
		return r;
	if (inode->links >= EXT4_LINK_MAX)
		return -EMLINK;
	inode->links++;
	return ext4_name_set(w, at->dir, at->name, at->len, target.ino, false);
}

static int dir_hide(struct writer *w, uint32_t ino)
{
	struct ext4_inode *inode;
	int r = ext4_inode(w, ino, true, &inode);

	if (r == 0 && S_ISDIR(inode->mode))
		ext4_dir(inode)->opaque = 1;
	return r < 0 ? r : 1;
}

/* It is about layers below: what this one has under that name stays. */
static int whiteout_make(struct writer *w, uint32_t dir, const char *name, size_t len,
			 struct ext4_inode *inode)
{
	struct writer_node *node;
	uint32_t ino, found;
	int r = ext4_names_find(&w->names, dir, name, len, &found);

	if (r == 0 && found) {
		r = ext4_names_node(&w->names, found, false, &node);
		if (r == 0 && node->ino)
			return dir_hide(w, node->ino);
	}
	inode->mode = S_IFCHR;
	if (r == 0)
		r = ext4_inode_new(w, inode, &ino);
	if (r == 0)
		r = ext4_name_set(w, dir, name, len, ino, true);
	return r < 0 ? r : 1;
}

/* 1: it is one, and done. */
static int whiteout(struct writer *w, const struct ext4_place *at, struct ext4_inode *inode)
{
	size_t prefix = sizeof(WHITEOUT) - 1;
	const char *name = at->name + prefix;

	if (at->len < prefix || memcmp(at->name, WHITEOUT, prefix) != 0)
		return 0;
	if (strcmp(at->name, OPAQUE) == 0)
		return dir_hide(w, at->dir);
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	return whiteout_make(w, at->dir, name, at->len - prefix, inode);
}

int ext4_entry(struct writer *w, struct st_tar *tar, const struct st_entry *e)
{
	struct ext4_inode inode;
	struct ext4_place at;
	int r = inode_fill(e, &inode);

	if (r == 0)
		r = ext4_place_find(w, e->path, &inode, &at);
	if (r == 0 && w->options->whiteouts && at.len)
		r = whiteout(w, &at, &inode);
	if (r != 0)
		return r < 0 ? r : 0;
	if (e->type == ST_TAR_HARD_LINK)
		return hard_link(w, e, &at, &inode);
	r = xattrs_take(w, e);
	if (r < 0)
		return r;
	return e->type == ST_TAR_DIRECTORY ? dir_make(w, &at, &inode)
					   : leaf_make(w, tar, e, &at, &inode);
}
