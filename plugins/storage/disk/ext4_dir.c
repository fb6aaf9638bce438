/* SPDX-License-Identifier: MIT */
/* Directories: their entries, paths, and all files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/ext4_reader.h"

#define DEPTH_MAX 512 /* a level takes some kilobytes of stack */
#define PATH_BYTES_MAX 65536
#define SYMLINKS_MAX 40

/* One entry that is in use, but for "." and ".."; a name with what a name cannot have ends it. */
static int entry_tell(const struct st_ext4 *fs, const struct ext4_dir_entry *e, const uint8_t *text,
		      st_ext4_entry_cb cb, void *arg)
{
	char name[EXT4_NAME_MAX + 1];

	memcpy(name, text, e->name_len);
	name[e->name_len] = 0;
	if (strlen(name) != e->name_len || strchr(name, '/') || e->inode > fs->inodes)
		return -EUCLEAN;
	return strcmp(name, ".") && strcmp(name, "..") ? cb(arg, name, e->inode) : 0;
}

static int entries_each(const struct st_ext4 *fs, const uint8_t *data, size_t size,
			st_ext4_entry_cb cb, void *arg)
{
	struct ext4_dir_entry e;
	size_t at = 0, len;
	int r = 0;

	for (; r == 0 && size - at >= sizeof(e); at += len) {
		memcpy(&e, data + at, sizeof(e));
		len = e.rec_len;
		if (fs->block_size == 65536 && (len == 65535 || len == 0))
			len = 65536;
		if (len < sizeof(e) || len % 4 || len > size - at || e.name_len > len - sizeof(e))
			return -EUCLEAN;
		if (e.inode && e.name_len)
			r = entry_tell(fs, &e, data + at + sizeof(e), cb, arg);
	}
	return r;
}

/* The first four bytes are the parent; then entries, in the inode and behind its fields. */
static int inline_each(const struct st_ext4 *fs, const struct reader_inode *inode,
		       st_ext4_entry_cb cb, void *arg)
{
	size_t head = sizeof(inode->fields.block), size;
	uint8_t *data;
	int r = reader_inline(fs, inode, &data, &size);

	if (r < 0)
		return r;
	size = inode->size < size ? (size_t)inode->size : size;
	r = size < head ? -EUCLEAN : entries_each(fs, data + 4, head - 4, cb, arg);
	if (r == 0)
		r = entries_each(fs, data + head, size - head, cb, arg);
	free(data);
	return r;
}

static int dir_each(struct st_ext4 *fs, const struct reader_inode *inode, st_ext4_entry_cb cb,
		    void *arg)
{
	uint8_t *block;
	int r = 0;

	if (!S_ISDIR(inode->fields.mode))
		return -ENOTDIR;
	if (inode->fields.flags & EXT4_FL_INLINE_DATA)
		return inline_each(fs, inode, cb, arg);
	if (inode->size % fs->block_size || inode->size / fs->block_size > fs->blocks)
		return -EUCLEAN;
	block = malloc(fs->block_size);
	if (!block)
		return -ENOMEM;
	for (uint64_t at = 0; r == 0 && at < inode->size; at += fs->block_size) {
		uint64_t place, count;

		r = reader_map(fs, inode, at / fs->block_size, &place, &count);
		if (r == 0 && !place)
			r = -EUCLEAN; /* directories have no holes */
		if (r == 0)
			r = st_source_read(&fs->source, block, fs->block_size,
					   place * fs->block_size);
		if (r == 0)
			r = entries_each(fs, block, fs->block_size, cb, arg);
	}
	free(block);
	return r;
}

int st_ext4_readdir(struct st_ext4 *fs, uint32_t ino, st_ext4_entry_cb cb, void *arg)
{
	struct reader_inode inode;
	int r = reader_inode(fs, ino, &inode);

	return r < 0 ? r : dir_each(fs, &inode, cb, arg);
}

struct wanted {
	const char *name;
	size_t len;
	uint32_t ino;
};

static int wanted_cb(void *arg, const char *name, uint32_t ino)
{
	struct wanted *w = arg;

	if (strlen(name) != w->len || memcmp(name, w->name, w->len) != 0)
		return 0;
	w->ino = ino;
	return 1;
}

/* The way from the root, so that ".." needs nothing from the image. */
struct trail {
	uint32_t ino[DEPTH_MAX];
	unsigned depth;
};

static int trail_enter(struct st_ext4 *fs, struct trail *t, const char *name, size_t len,
		       struct reader_inode *ret)
{
	struct wanted w = { name, len, 0 };
	struct reader_inode dir;
	int r;

	if (len == 2 && memcmp(name, "..", 2) == 0) {
		t->depth -= t->depth > 1;
		return reader_inode(fs, t->ino[t->depth - 1], ret);
	}
	if (t->depth == DEPTH_MAX)
		return -ELOOP;
	r = reader_inode(fs, t->ino[t->depth - 1], &dir);
	if (r == 0)
		r = dir_each(fs, &dir, wanted_cb, &w);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = reader_inode(fs, w.ino, ret);
	if (r == 0)
		t->ino[t->depth++] = w.ino;
	return r;
}

/* A link that is not last: its target, and then the rest. */
static int trail_link(struct st_ext4 *fs, struct trail *t, const struct reader_inode *inode,
		      char **text, char **rest)
{
	char target[4096], *joined;
	int r = reader_link(fs, inode, target);

	if (r < 0)
		return r;
	t->depth = target[0] == '/' ? 1 : t->depth - 1;
	if (asprintf(&joined, "%s/%s", target, *rest) < 0)
		return -ENOMEM;
	free(*text);
	*text = *rest = joined;
	return strlen(joined) > PATH_BYTES_MAX ? -ENAMETOOLONG : 0;
}

int st_ext4_lookup(struct st_ext4 *fs, const char *path, uint32_t *ret_ino)
{
	struct trail t = { .ino = { EXT4_ROOT_INO }, .depth = 1 };
	char *text = strdup(path), *rest = text, *name;
	struct reader_inode inode;
	unsigned links = 0;
	size_t len;
	int r = text ? 0 : -ENOMEM;

	while (r == 0) {
		rest += strspn(rest, "/");
		name = rest;
		len = strcspn(rest, "/");
		if (!len)
			break;
		rest += len;
		if (len == 1 && *name == '.')
			continue;
		r = trail_enter(fs, &t, name, len, &inode);
		if (r == 0 && S_ISLNK(inode.fields.mode) && rest[strspn(rest, "/")])
			r = ++links > SYMLINKS_MAX ? -ELOOP
						   : trail_link(fs, &t, &inode, &text, &rest);
	}
	free(text);
	if (r == 0)
		*ret_ino = t.ino[t.depth - 1];
	return r;
}

/* Walking: names of one directory are read before the next is entered, in batches that end. */

struct walk {
	struct st_ext4 *fs;
	st_ext4_walk_cb cb;
	void *arg;
	uint8_t *seen; /* directories, a bit each */
	char *path;
	size_t len;
	unsigned depth;
};

static int walk_dir(struct walk *w, uint32_t ino);

static int walk_entry(void *arg, const char *name, uint32_t ino)
{
	struct walk *w = arg;
	size_t before = w->len, len = strlen(name);
	struct st_ext4_stat st;
	int r = st_ext4_stat(w->fs, ino, &st);

	if (r < 0)
		return r;
	if (before + len + 2 > PATH_BYTES_MAX)
		return -ENAMETOOLONG;
	if (before)
		w->path[w->len++] = '/';
	memcpy(w->path + w->len, name, len + 1);
	w->len += len;
	r = w->cb(w->arg, w->path, &st);
	if (r == 0 && S_ISDIR(st.mode))
		r = walk_dir(w, ino);
	w->len = before;
	w->path[before] = 0;
	return r;
}

static int walk_dir(struct walk *w, uint32_t ino)
{
	uint8_t bit = (uint8_t)(1u << ino % 8);
	int r;

	if (w->seen[ino / 8] & bit || ++w->depth > DEPTH_MAX)
		return -ELOOP;
	w->seen[ino / 8] |= bit;
	r = st_ext4_readdir(w->fs, ino, walk_entry, w);
	w->depth--;
	return r;
}

int st_ext4_walk(struct st_ext4 *fs, st_ext4_walk_cb cb, void *arg)
{
	struct walk w = { .fs = fs, .cb = cb, .arg = arg };
	struct st_ext4_stat st;
	int r = -ENOMEM;

	w.seen = calloc(1, fs->inodes / 8 + 1);
	w.path = calloc(1, PATH_BYTES_MAX);
	if (w.seen && w.path) {
		r = st_ext4_stat(fs, EXT4_ROOT_INO, &st);
		if (r == 0 && !S_ISDIR(st.mode))
			r = -EUCLEAN;
		if (r == 0)
			r = cb(arg, "", &st);
		if (r == 0)
			r = walk_dir(&w, EXT4_ROOT_INO);
	}
	free(w.seen);
	free(w.path);
	return r;
}
