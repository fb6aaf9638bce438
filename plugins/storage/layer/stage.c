/* SPDX-License-Identifier: MIT */
#include "layer/stage.h"

#include "archive/unpack.h"
#include "layer/layer.h"
#include "layer/tree.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define TRIES 16

static int names_make(const char *path, struct st_stage *stage, struct plug_error *err)
{
	const char *base;
	int r = st_layer_split(path, &stage->parent, &base, err);

	if (r < 0)
		return r;
	stage->path = strdup(path);
	if (!stage->path)
		return plug_error_errno(err, -ENOMEM, "layer %.300s", path);
	stage->base = stage->path + (base - path);
	(void)snprintf(stage->making, sizeof(stage->making), ".%s-importing", base);
	(void)snprintf(stage->removing, sizeof(stage->removing), "%s-removing", base);
	return 0;
}

static void stage_free(struct st_stage *stage)
{
	plug_closep(&stage->fd);
	plug_closep(&stage->parent);
	free(stage->path);
	*stage = (struct st_stage){ .parent = -1, .fd = -1 };
}

/* A layer that nothing was imported into: empty, or with no more than what creating it made. */
static bool replaceable(int parent, const char *base)
{
	static const char *const allowed[] = { "fs", "layer.json", "layerchain.json" };
	_cleanup_close_ int fd = st_tree_open(parent, base, O_RDONLY | O_DIRECTORY);
	struct st_names names = { 0 }, inner = { 0 };
	bool good = fd >= 0 && st_tree_list(fd, "", &names) == 0;

	for (size_t i = 0; good && i < names.count; i++) {
		good = false;
		for (size_t j = 0; j < PLUG_ELEMENTS(allowed); j++)
			good |= !strcmp(names.name[i], allowed[j]);
	}
	if (good && st_names_have(&names, "fs"))
		good = st_tree_list(fd, "fs", &inner) == 0 && !inner.count;
	st_names_finish(&names);
	st_names_finish(&inner);
	return good;
}

/* Ours alone: locked, and still what the name means. */
static int making_open(struct st_stage *stage)
{
	struct stat own, named;
	int fd = openat(stage->parent, stage->making,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		return -EBUSY;
	}
	if (fstat(fd, &own) < 0 ||
	    fstatat(stage->parent, stage->making, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
	    own.st_ino != named.st_ino) {
		(void)close(fd);
		return -ENOENT;
	}
	return fd;
}

/* What is left of a dead one goes first. */
static int making_make(struct st_stage *stage)
{
	for (int i = 0; i < TRIES; i++) {
		bool made = !mkdirat(stage->parent, stage->making, 0700);
		int fd, r;

		if (!made && errno != EEXIST)
			return -errno;
		fd = making_open(stage);
		if (fd == -ENOENT)
			continue;
		if (fd < 0 || made)
			return fd;
		r = st_remove_tree(stage->parent, stage->making);
		(void)close(fd);
		if (r < 0)
			return r;
	}
	return -EBUSY;
}

int st_stage_begin(const char *path, struct st_stage *ret, struct plug_error *err)
{
	struct st_stage stage = { .parent = -1, .fd = -1 };
	struct stat st;
	int r = names_make(path, &stage, err);

	if (r == 0 && fstatat(stage.parent, stage.base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !replaceable(stage.parent, stage.base))
		r = plug_error_set(err, -EEXIST, "layer %.300s: is there already", path);
	if (r == 0) {
		stage.fd = making_make(&stage);
		if (stage.fd == -EBUSY)
			r = plug_error_set(err, -EBUSY, "layer %.300s: an import is under way", path);
		else if (stage.fd < 0)
			r = plug_error_errno(err, stage.fd, "layer %.300s", path);
	}
	if (r < 0) {
		stage_free(&stage);
		return r;
	}
	*ret = stage;
	return 0;
}

int st_stage_commit(struct st_stage *stage, struct plug_error *err)
{
	int r = 0;

	if (renameat2(stage->parent, stage->making, stage->parent, stage->base,
		      RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r == -EEXIST && replaceable(stage->parent, stage->base)) {
		r = renameat2(stage->parent, stage->making, stage->parent, stage->base,
			      RENAME_EXCHANGE) < 0
			    ? -errno
			    : 0;
		if (r == 0)
			(void)st_remove_tree(stage->parent, stage->making);
	}
	if (r == 0 && fsync(stage->parent) < 0)
		r = -errno;
	if (r < 0)
		return plug_error_errno(err, r, "layer %.300s", stage->path);
	stage_free(stage);
	return 0;
}

void st_stage_abort(struct st_stage *stage)
{
	if (stage->fd >= 0)
		(void)st_remove_tree(stage->parent, stage->making);
	stage_free(stage);
}

int st_layer_destroy(const char *path, struct plug_error *err)
{
	struct st_stage stage = { .parent = -1, .fd = -1 };
	int r = names_make(path, &stage, err);

	if (r < 0) {
		stage_free(&stage);
		return r == -ENOENT ? err->code = 0, 0 : r;
	}
	/* One that was interrupted goes first: its name is needed. */
	r = st_remove_tree(stage.parent, stage.removing);
	if (r == 0 || r == -ENOENT)
		r = renameat(stage.parent, stage.base, stage.parent, stage.removing) < 0 &&
				    errno != ENOENT
			    ? -errno
			    : 0;
	/* Gone for good before anything in it goes: a power cut brings no part of it back. */
	if (r == 0 && fsync(stage.parent) < 0)
		r = -errno;
	if (r == 0)
		r = st_remove_tree(stage.parent, stage.removing);
	if (r == 0 || r == -ENOENT) {
		r = 0;
		stage.fd = making_open(&stage);
		if (stage.fd >= 0)
			r = st_remove_tree(stage.parent, stage.making);
	}
	if (r < 0)
		r = plug_error_errno(err, r, "removing layer %.300s", path);
	stage_free(&stage);
	return r;
}
