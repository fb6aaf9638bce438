/* SPDX-License-Identifier: MIT */
/* Inodes, and where the names of the archive lead. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/ext4_writer.h"

#define INODES_PER_PAGE (ST_SPILL_PAGE / EXT4_INODE_SIZE)
#define SYMLINKS_MAX 40

int ext4_inode(struct writer *w, uint32_t ino, bool write, struct ext4_inode **ret)
{
	void *page;
	int r = st_spill_page(w->inodes, (ino - 1) / INODES_PER_PAGE, write, &page);

	if (r == 0)
		*ret = (struct ext4_inode *)page + (ino - 1) % INODES_PER_PAGE;
	return r;
}

int ext4_inode_new(struct writer *w, const struct ext4_inode *inode, uint32_t *ret_ino)
{
	struct ext4_inode *to;
	int r;

	if (w->inode_count == UINT32_MAX - ST_EXT4_BLOCK)
		return -EFBIG;
	r = ext4_inode(w, w->inode_count + 1, true, &to);
	if (r < 0)
		return r;
	*to = *inode;
	*ret_ino = ++w->inode_count;
	return 0;
}

void ext4_dir_init(struct ext4_inode *inode, uint32_t parent)
{
	memset(inode->block, 0, sizeof(inode->block));
	ext4_dir(inode)->parent = parent;
	inode->links = 1;
}

int ext4_free_blocks(struct writer *w, uint64_t first, uint64_t count)
{
	uint8_t *bits;
	void *page;
	int r;

	for (uint64_t b = first; b < first + count; b++) {
		r = st_spill_page(w->freed, b / 8 / ST_SPILL_PAGE, 1, &page);
		if (r < 0)
			return r;
		bits = page;
		bits[b / 8 % ST_SPILL_PAGE] |= (uint8_t)(1u << b % 8);
	}
	return 0;
}

/* An inode without links: nothing but zeros, its blocks free.  version: see struct writer_file. */
static int inode_free(struct writer *w, struct ext4_inode *inode)
{
	uint64_t blocks = (inode->blocks_lo | (uint64_t)inode->blocks_hi << 32) / 8;
	uint64_t first = S_ISDIR(inode->mode) ? inode->file_acl_lo : inode->version;

	memset(inode, 0, sizeof(*inode));
	return blocks ? ext4_free_blocks(w, first, blocks) : 0;
}

/* Takes down all that is below a directory, and it; directories below it wait in a list. */
static int dir_free(struct writer *w, uint32_t ino)
{
	uint32_t pending = ino, child, next;
	struct ext4_inode *inode;
	struct writer_node *node;
	int r;

	while (pending) {
		r = ext4_inode(w, pending, true, &inode);
		if (r < 0)
			return r;
		child = ext4_dir(inode)->first;
		pending = ext4_dir(inode)->pending;
		r = inode_free(w, inode);
		for (; r == 0 && child; child = next) {
			r = ext4_names_node(&w->names, child, true, &node);
			if (r < 0)
				break;
			next = node->next;
			ino = node->ino;
			node->ino = 0;
			if (!ino)
				continue;
			r = ext4_inode(w, ino, true, &inode);
			if (r < 0)
				break;
			if (S_ISDIR(inode->mode)) {
				ext4_dir(inode)->pending = pending;
				pending = ino;
			} else if (--inode->links == 0) {
				r = inode_free(w, inode);
			}
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int inode_unlink(struct writer *w, uint32_t ino)
{
	struct ext4_inode *inode;
	int r = ext4_inode(w, ino, true, &inode);

	if (r < 0)
		return r;
	if (S_ISDIR(inode->mode))
		return dir_free(w, ino);
	return --inode->links ? 0 : inode_free(w, inode);
}

/* As directory entries have it. */
static uint8_t entry_type(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return 1;
	case S_IFDIR: return 2;
	case S_IFCHR: return 3;
	case S_IFBLK: return 4;
	case S_IFIFO: return 5;
	case S_IFSOCK: return 6;
	default: return 7;
	}
}

/* A new name at the end of its directory. */
static int dir_append(struct writer *w, uint32_t dir, const char *name, size_t len, uint32_t *ret)
{
	struct ext4_inode *inode;
	struct writer_node *last;
	uint32_t node;
	int r = ext4_names_add(&w->names, dir, name, len, &node);

	if (r == 0)
		r = ext4_inode(w, dir, true, &inode);
	if (r < 0)
		return r;
	if (ext4_dir(inode)->last) {
		r = ext4_names_node(&w->names, ext4_dir(inode)->last, true, &last);
		if (r < 0)
			return r;
		last->next = node;
	} else {
		ext4_dir(inode)->first = node;
	}
	ext4_dir(inode)->last = node;
	*ret = node;
	return 0;
}

int ext4_name_set(struct writer *w, uint32_t dir, const char *name, size_t len, uint32_t ino,
		  bool whiteout)
{
	struct ext4_inode *inode;
	struct writer_node *entry;
	uint32_t node, old = 0;
	uint8_t type;
	int r = ext4_inode(w, ino, false, &inode);

	if (r < 0)
		return r;
	type = entry_type(inode->mode);
	r = ext4_names_find(&w->names, dir, name, len, &node);
	if (r == 0 && !node)
		r = dir_append(w, dir, name, len, &node);
	if (r == 0)
		r = ext4_names_node(&w->names, node, true, &entry);
	if (r < 0)
		return r;
	old = entry->ino;
	entry->ino = ino;
	entry->type = type;
	entry->whiteout = whiteout;
	return old ? inode_unlink(w, old) : 0;
}

/* A symbolic link's target, from the inode or from its block. */
static int link_read(struct writer *w, const struct ext4_inode *inode, char ret[ST_EXT4_BLOCK])
{
	uint32_t size = inode->size_lo;
	int r;

	if (size < sizeof(inode->block)) {
		memcpy(ret, inode->block, size);
	} else {
		r = ext4_out_read(&w->out, inode->version, (uint8_t *)ret);
		if (r < 0)
			return r;
	}
	ret[size] = 0;
	return 0;
}

/* The path being walked: what is left of it, and where it has led. */
struct walk {
	char *text, *rest;
	uint32_t dir;
	unsigned links;
};

/* The next component, without "." and empty ones; 0: there is none; *ret_last: nothing behind it. */
static size_t walk_next(struct walk *p, const char **ret, bool *ret_last)
{
	char *from = p->rest;
	size_t len, skip;

	do {
		from += strspn(from, "/");
		len = strcspn(from, "/");
		p->rest = from + len;
		*ret = from;
	} while (len == 1 && *from == '.' && (from = p->rest));
	skip = strspn(p->rest, "/");
	while (p->rest[skip] == '.' && (p->rest[skip + 1] == '/' || !p->rest[skip + 1]))
		skip += 1 + strspn(p->rest + skip + 1, "/");
	*ret_last = !p->rest[skip];
	return len;
}

static int walk_link(struct writer *w, struct walk *p, const struct ext4_inode *inode)
{
	char target[ST_EXT4_BLOCK], *text;
	int r = ++p->links > SYMLINKS_MAX ? -ELOOP : link_read(w, inode, target);

	if (r < 0)
		return r;
	if (asprintf(&text, "%s/%s", target, p->rest) < 0)
		return -ENOMEM;
	if (target[0] == '/')
		p->dir = EXT4_ROOT_INO;
	free(p->text);
	p->text = p->rest = text;
	return 0;
}

static int walk_mkdir(struct writer *w, struct walk *p, const char *name, size_t len,
		      const struct ext4_inode *like)
{
	struct ext4_inode inode = { .mode = S_IFDIR | 0755,
				    .extra_isize = 32,
				    .mtime = like->mtime,
				    .mtime_extra = like->mtime_extra,
				    .ctime = like->mtime,
				    .ctime_extra = like->mtime_extra,
				    .atime = like->mtime,
				    .atime_extra = like->mtime_extra };
	uint32_t ino;
	int r;

	ext4_dir_init(&inode, p->dir);
	r = ext4_inode_new(w, &inode, &ino);
	if (r == 0)
		r = ext4_name_set(w, p->dir, name, len, ino, false);
	if (r == 0)
		p->dir = ino;
	return r;
}

static int walk_up(struct writer *w, struct walk *p)
{
	struct ext4_inode *inode;
	int r = ext4_inode(w, p->dir, false, &inode);

	if (r == 0)
		p->dir = ext4_dir(inode)->parent;
	return r;
}

/* One component that is not the last. */
static int walk_enter(struct writer *w, struct walk *p, const char *name, size_t len,
		      const struct ext4_inode *like)
{
	struct ext4_inode *inode;
	struct writer_node *node;
	uint32_t found;
	int r;

	if (len == 2 && memcmp(name, "..", 2) == 0)
		return walk_up(w, p);
	r = ext4_names_find(&w->names, p->dir, name, len, &found);
	if (r < 0)
		return r;
	if (!found)
		return walk_mkdir(w, p, name, len, like);
	r = ext4_names_node(&w->names, found, false, &node);
	if (r < 0)
		return r;
	if (!node->ino || node->whiteout)
		return walk_mkdir(w, p, name, len, like);
	r = ext4_inode(w, node->ino, false, &inode);
	if (r < 0)
		return r;
	if (S_ISLNK(inode->mode))
		return walk_link(w, p, inode);
	if (!S_ISDIR(inode->mode))
		return -ENOTDIR;
	p->dir = node->ino;
	return 0;
}

static bool leads_out(const char *path)
{
	for (size_t len; *path; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 2 && memcmp(path, "..", 2) == 0)
			return true;
	}
	return false;
}

static int place_fill(struct writer *w, uint32_t dir, const char *name, size_t len,
		      struct ext4_place *ret)
{
	struct ext4_inode *inode;
	struct writer_node *node;
	int r;

	*ret = (struct ext4_place){ .dir = dir, .len = len };
	memcpy(ret->name, name, len);
	r = ext4_names_find(&w->names, dir, name, len, &ret->node);
	if (r < 0 || !ret->node)
		return r;
	r = ext4_names_node(&w->names, ret->node, false, &node);
	if (r < 0)
		return r;
	ret->ino = node->ino;
	ret->is_whiteout = node->whiteout;
	r = ret->ino ? ext4_inode(w, ret->ino, false, &inode) : 0;
	if (r == 0 && ret->ino)
		ret->is_dir = S_ISDIR(inode->mode);
	return r;
}

int ext4_place_find(struct writer *w, const char *path, const struct ext4_inode *like,
		    struct ext4_place *ret)
{
	struct walk p = { .text = strdup(path), .dir = EXT4_ROOT_INO };
	const char *name;
	bool last;
	size_t len;
	int r = p.text ? 0 : -ENOMEM;

	if (leads_out(path))
		r = -EINVAL;
	p.rest = p.text;
	while (r == 0) {
		len = walk_next(&p, &name, &last);
		if (len > EXT4_NAME_MAX)
			r = -ENAMETOOLONG;
		else if (len == 0) {
			*ret = (struct ext4_place){ .dir = p.dir, .ino = p.dir, .is_dir = true };
			break;
		} else if (last && !(len == 2 && memcmp(name, "..", 2) == 0)) {
			r = place_fill(w, p.dir, name, len, ret);
			break;
		} else {
			r = walk_enter(w, &p, name, len, like);
		}
	}
	free(p.text);
	return r;
}
