/* SPDX-License-Identifier: MIT */
#include "layer/compare.h"

#include "layer/chain.h"
#include "layer/pack.h"
#include "layer/tree.h"
#include "common/util.h"

#include <errno.h>
#include <string.h>

/* Which of the layers below have a directory. */
struct below {
	uint8_t layer[ST_CHAIN_MAX];
	size_t count;
};

struct compare {
	int upper;
	bool whole;
	const int *lower;
	struct st_changes changes;
	struct plug_error *err;
};

static int failed(struct compare *c, const char *path, int r)
{
	return c->err->code ? c->err->code
			    : plug_error_errno(c->err, r, "%.300s", *path ? path : ".");
}

static int change_add(struct compare *c, char kind, const char *path)
{
	struct st_changes *all = &c->changes;

	if (all->count % 256 == 0) {
		struct st_change *more =
			realloc(all->change, (all->count + 256) * sizeof(*more));

		if (!more)
			return failed(c, path, -ENOMEM);
		all->change = more;
	}
	all->change[all->count].kind = kind;
	all->change[all->count].path = strdup(path);
	if (!all->change[all->count].path)
		return failed(c, path, -ENOMEM);
	all->count++;
	return 0;
}

/*
 * What the layers below show at path: 1 with *st, *which and, of a directory, who else has it; 0:
 * nothing; or a negative errno.
 */
static int below_find(struct compare *c, const struct below *in, const char *path, struct stat *st,
		      int *which, struct below *ret)
{
	int found = 0;

	ret->count = 0;
	for (size_t i = 0; i < in->count; i++) {
		int fd = c->lower[in->layer[i]], r;
		struct stat own;

		r = st_tree_stat(fd, path, &own);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return failed(c, path, r);
		if (st_tree_is_whiteout(&own) || (found && !S_ISDIR(own.st_mode)))
			break;
		if (!found) {
			*st = own;
			*which = fd;
			found = 1;
		}
		if (!S_ISDIR(own.st_mode))
			break;
		ret->layer[ret->count++] = in->layer[i];
		if (st_tree_is_opaque(fd, path))
			break;
	}
	return found;
}

static bool same(struct compare *c, const char *path, const struct stat *a, int lower,
		 const struct stat *b)
{
	if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid ||
	    a->st_rdev != b->st_rdev)
		return false;
	if (!S_ISDIR(a->st_mode) &&
	    (a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	     a->st_mtim.tv_nsec != b->st_mtim.tv_nsec))
		return false;
	return st_pack_same_attributes(c->upper, lower, path);
}

static int walk(struct compare *c, const char *dir, const struct below *below, bool opaque);

/* A name in the upper tree. */
static int walk_one(struct compare *c, const char *path, const struct below *in, bool opaque)
{
	struct below below = { .count = 0 };
	struct stat st, old;
	size_t before = c->changes.count;
	int r = st_tree_stat(c->upper, path, &st), was, which = -1;

	if (r < 0)
		return failed(c, path, r);
	was = below_find(c, in, path, &old, &which, &below);
	if (was < 0)
		return was;
	if (!c->whole && st_tree_is_whiteout(&st))
		return was ? change_add(c, 'D', path) : 0;
	if (S_ISDIR(st.st_mode)) {
		/* Where a file was, and below what is hidden, nothing of the layers below is left. */
		if (was && !S_ISDIR(old.st_mode))
			below.count = 0;
		r = walk(c, path, &below, opaque || (!c->whole && st_tree_is_opaque(c->upper, path)));
	}
	if (r < 0)
		return r;
	if (!was)
		return change_add(c, 'A', path);
	if (c->changes.count != before || !same(c, path, &st, which, &old))
		return change_add(c, 'C', path);
	return 0;
}

/* What was in a directory and is not in names. */
static int walk_deleted(struct compare *c, const char *dir, const struct below *below,
			const struct st_names *names)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < below->count; i++) {
		struct st_names old = { 0 };

		r = st_tree_list(c->lower[below->layer[i]], dir, &old);
		if (r < 0)
			return failed(c, dir, r);
		for (size_t j = 0; r == 0 && j < old.count; j++) {
			_cleanup_free_ char *path = NULL;
			struct below ignored;
			struct stat st;
			int which = -1;

			if (st_names_have(names, old.name[j]))
				continue;
			path = st_tree_join(dir, old.name[j]);
			r = path ? below_find(c, below, path, &st, &which, &ignored)
				 : failed(c, dir, -ENOMEM);
			/* Once: by the layer that shows it. */
			if (r == 1)
				r = which == c->lower[below->layer[i]] ? change_add(c, 'D', path)
								       : 0;
		}
		st_names_finish(&old);
	}
	return r;
}

static int walk(struct compare *c, const char *dir, const struct below *below, bool opaque)
{
	struct st_names names = { 0 };
	int r = st_tree_list(c->upper, dir, &names);

	if (r < 0)
		return failed(c, dir, r);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		_cleanup_free_ char *path = st_tree_join(dir, names.name[i]);

		r = path ? walk_one(c, path, below, opaque) : failed(c, dir, -ENOMEM);
	}
	if (r == 0 && (c->whole || opaque))
		r = walk_deleted(c, dir, below, &names);
	st_names_finish(&names);
	return r;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct st_change *)a)->path, ((const struct st_change *)b)->path);
}

struct inode {
	dev_t dev;
	ino_t ino;
	uint64_t size;
};

static int by_inode(const void *a, const void *b)
{
	const struct inode *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int bytes_count(struct compare *c)
{
	_cleanup_free_ struct inode *files = calloc(c->changes.count + 1, sizeof(*files));
	size_t n = 0;

	if (!files)
		return failed(c, "", -ENOMEM);
	for (size_t i = 0; i < c->changes.count; i++) {
		struct stat st;

		if (c->changes.change[i].kind != 'D' &&
		    st_tree_stat(c->upper, c->changes.change[i].path, &st) == 0 &&
		    S_ISREG(st.st_mode))
			files[n++] = (struct inode){ st.st_dev, st.st_ino, (uint64_t)st.st_size };
	}
	qsort(files, n, sizeof(*files), by_inode);
	for (size_t i = 0; i < n; i++)
		if (!i || by_inode(&files[i - 1], &files[i]) != 0)
			c->changes.bytes += files[i].size;
	return 0;
}

int st_compare(int upper, bool whole, const int *lower, size_t lower_count, struct st_changes *ret,
	       struct plug_error *err)
{
	struct compare c = { .upper = upper, .whole = whole, .lower = lower, .err = err };
	struct below all = { .count = lower_count };
	int r;

	if (lower_count > ST_CHAIN_MAX)
		return plug_error_set(err, -E2BIG, "layers: more than %d", ST_CHAIN_MAX);
	for (size_t i = 0; i < lower_count; i++)
		all.layer[i] = (uint8_t)i;
	r = walk(&c, "", &all, false);
	if (c.changes.count)
		qsort(c.changes.change, c.changes.count, sizeof(*c.changes.change), by_path);
	if (r == 0)
		r = bytes_count(&c);
	if (r < 0)
		st_changes_finish(&c.changes);
	else
		*ret = c.changes;
	return r;
}

void st_changes_finish(struct st_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		free(changes->change[i].path);
	free(changes->change);
	*changes = (struct st_changes){ 0 };
}
