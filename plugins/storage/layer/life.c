/* SPDX-License-Identifier: MIT */
#include "layer/life.h"

#include "layer/layer.h"
#include "layer/stage.h"
#include "layer/tree.h"
#include "rootfs/parts.h"
#include "rootfs/place.h"
#include "rootfs/scratch.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>

#define TARGETS "targets"
#define TARGETS_MAX (1u << 20)

/* As Windows has it: one PrepareLayer at a time in a process. */
static pthread_mutex_t prepare_mutex = PTHREAD_MUTEX_INITIALIZER;

/* A layer that is locked, and the places below it. */
struct life {
	struct st_layer_at at;
	char *mnt, *lower, *volume, *links;
};

static void life_close(struct life *l)
{
	free(l->mnt);
	free(l->lower);
	free(l->volume);
	free(l->links);
	st_layer_leave(&l->at);
}

static int life_open(const char *path, struct life *ret, struct plug_error *err)
{
	struct life l = { .at = { .fd = -1 } };
	int r = st_layer_find(path, &l.at, err);

	if (r < 0)
		return r;
	l.mnt = st_path_join(l.at.path, "mnt");
	l.lower = st_path_join(l.at.path, "lower");
	l.volume = st_path_join(l.at.path, "volume");
	l.links = st_path_join(l.at.path, "links");
	if (!l.mnt || !l.lower || !l.volume || !l.links)
		r = plug_error_errno(err, -ENOMEM, "layer %.300s", path);
	/* Waits for who is at it; a process that dies gives it back. */
	if (r == 0 && l.at.fd >= 0 && flock(l.at.fd, LOCK_EX) < 0)
		r = plug_error_errno(err, -errno, "layer %.300s", path);
	if (r < 0)
		life_close(&l);
	else
		*ret = l;
	return r;
}

int st_life_create(const char *path, const struct st_chain *parents, uint64_t bytes,
		   struct plug_error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct st_stage stage;
	int r = 0;

	if (!parents->count)
		return plug_error_set(err, -EINVAL, "at least one read-only layer must be specified");
	for (size_t i = 0; r == 0 && i < parents->count; i++) {
		struct st_layer_at at;

		r = st_layer_find(parents->path[i], &at, err);
		if (r < 0)
			return r;
		if (at.form == ST_FORM_SCRATCH)
			r = plug_error_set(err, -EINVAL, "layer %.300s: is not read-only", at.path);
		st_layer_leave(&at);
	}
	if (r == 0)
		r = st_stage_begin(path, &stage, err);
	if (r < 0)
		return r;
	if (asprintf(&dir, "%.*s%s", (int)(stage.base - stage.path), stage.path, stage.making) < 0) {
		dir = NULL;
		r = plug_error_errno(err, -ENOMEM, "layer %.300s", path);
	}
	if (r == 0)
		r = st_scratch_make(dir, bytes, err);
	if (r == 0)
		r = st_chain_write(stage.fd, parents, err);
	if (r == 0)
		r = st_layer_mark(stage.fd, &(struct st_layer_mark){ .kind = "scratch" }, err);
	if (r == 0)
		r = st_stage_commit(&stage, err);
	st_stage_abort(&stage);
	return r;
}

/* ---- steps on a layer that is open */

static int activate(struct life *l, struct st_scratch *ret, struct plug_error *err)
{
	if (st_place_mounted(l->volume))
		return st_scratch_in(l->volume, ret, err);
	return st_scratch_open(l->at.path, l->volume, ret, err);
}

struct lowers {
	char *path[ST_CHAIN_MAX + 2]; /* and the layer itself, and nothing below it */
	size_t count;
};

/* A directory of the parent; its image is mounted at LAYER/lower/N. */
static int lower_add(struct life *l, struct lowers *lowers, const char *parent,
		     enum st_verify how, struct plug_error *err)
{
	struct st_layer_at at;
	char number[24];
	char *path = NULL;
	int r = st_layer_find(parent, &at, err);

	if (r < 0)
		return r;
	if (at.form != ST_FORM_PACKED) {
		path = strdup(at.content);
	} else {
		(void)snprintf(number, sizeof(number), "%zu", lowers->count);
		path = st_path_join(l->lower, number);
		r = path ? st_place_make(l->lower, 0700, err) : 0;
		if (r == 0 && path)
			r = st_place_make(path, 0700, err);
		/* What somebody who died has mounted there may not have been verified. */
		if (r == 0 && path && st_place_mounted(path) && how != ST_VERIFY_NONE)
			r = st_place_clear(path, err) ?: st_place_make(path, 0700, err);
		if (r == 0 && path && !st_place_mounted(path))
			r = st_disk_mount_layer(at.content, how, path, err);
	}
	st_layer_leave(&at);
	if (!path)
		return plug_error_errno(err, -ENOMEM, "layer %.300s", parent);
	lowers->path[lowers->count++] = path;
	return r;
}

/* Below a layer that is alone: overlayfs wants two, where nothing can be written. */
static int lower_none(struct life *l, struct lowers *lowers, struct plug_error *err)
{
	char *path = st_path_join(l->lower, "none");
	int r = path ? st_place_make(l->lower, 0700, err) : -ENOMEM;

	if (r == 0)
		r = st_place_make(path, 0755, err);
	if (r < 0)
		free(path);
	else
		lowers->path[lowers->count++] = path;
	return r;
}

/* All that is seen: the layer itself where it is read-only, and its parents. */
static int lowers_collect(struct life *l, const struct st_chain *parents, enum st_verify how,
			  struct lowers *lowers, struct plug_error *err)
{
	bool scratch = l->at.form == ST_FORM_SCRATCH;
	int r = scratch ? 0 : lower_add(l, lowers, l->at.path, how, err);

	for (size_t i = 0; r == 0 && i < parents->count; i++)
		r = lower_add(l, lowers, parents->path[i], how, err);
	if (r == 0 && !scratch && lowers->count == 1)
		r = lower_none(l, lowers, err);
	return r;
}

/* -EINVAL: there is nothing to mount it at, or on. */
static int preparable(const struct life *l, const struct st_chain *parents, struct plug_error *err)
{
	if (l->at.fd < 0)
		return plug_error_set(err, -EINVAL,
				      "layer %.300s: an image has no place for a mount: move it to a "
				      "directory, as layer.vhd",
				      l->at.path);
	if (l->at.form == ST_FORM_PLAIN)
		return plug_error_set(err, -EINVAL,
				      "layer %.300s: a plain directory is seen where it is: there is "
				      "nothing to mount",
				      l->at.path);
	if (l->at.form == ST_FORM_SCRATCH && !parents->count)
		return plug_error_set(err, -EINVAL, "at least one read-only layer must be specified");
	return 0;
}

static int prepare(struct life *l, const struct st_chain *parents, enum st_verify how,
		   struct plug_error *err)
{
	struct lowers lowers = { .count = 0 };
	struct st_scratch scratch = { 0 };
	int r = preparable(l, parents, err);

	if (r < 0 || st_place_mounted(l->mnt))
		return r;
	if (l->at.form == ST_FORM_SCRATCH)
		r = activate(l, &scratch, err);
	if (r == 0)
		r = lowers_collect(l, parents, how, &lowers, err);
	if (r == 0)
		r = st_place_make(l->mnt, 0755, err);
	if (r == 0) {
		const struct st_overlay overlay = {
			.lower = (const char *const *)lowers.path,
			.lower_count = lowers.count,
			.upper = scratch.upper,
			.work = scratch.work,
			.links = l->links,
		};

		r = st_overlay_mount(&overlay, l->mnt, err);
	}
	for (size_t i = 0; i < lowers.count; i++)
		free(lowers.path[i]);
	st_scratch_finish(&scratch);
	return r;
}

/* What is mounted at the layer's place, and what of its parents was for it. */
static int unprepare(struct life *l, struct plug_error *err)
{
	int r, rc;

	if (l->at.fd < 0 || l->at.form == ST_FORM_PLAIN)
		return 0;
	r = st_place_clear(l->mnt, err);
	rc = st_place_clear_all(l->lower, err);
	r = r < 0 ? r : rc;
	rc = st_place_remove(l->links, err);
	return r < 0 ? r : rc;
}

static int deactivate(struct life *l, struct plug_error *err)
{
	return l->at.form == ST_FORM_SCRATCH ? st_place_clear(l->volume, err) : 0;
}

/* ---- targets: paths, each with a NUL behind it */

struct targets {
	char *text;
	size_t size;
};

static int targets_read(struct life *l, struct targets *ret, struct plug_error *err)
{
	int r = st_tree_read_file(l->at.fd, TARGETS, TARGETS_MAX, &ret->text, &ret->size);

	if (r == -ENOENT) {
		*ret = (struct targets){ 0 };
		return 0;
	}
	return r < 0 ? plug_error_errno(err, r, "layer %.300s: %s", l->at.path, TARGETS) : 0;
}

static int targets_write(struct life *l, const struct targets *t, struct plug_error *err)
{
	int r;

	if (!t->size)
		r = unlinkat(l->at.fd, TARGETS, 0) < 0 && errno != ENOENT ? -errno : 0;
	else
		r = st_tree_write_file(l->at.fd, TARGETS, 0600, t->text, t->size);
	return r < 0 ? plug_error_errno(err, r, "layer %.300s: %s", l->at.path, TARGETS) : 0;
}

static char *targets_find(const struct targets *t, const char *target)
{
	for (char *p = t->text; p && p < t->text + t->size; p += strlen(p) + 1)
		if (!strcmp(p, target))
			return p;
	return NULL;
}

static int target_add(struct life *l, const char *target, struct plug_error *err)
{
	struct targets t;
	size_t n = strlen(target) + 1;
	char *more;
	int r = targets_read(l, &t, err);

	if (r == 0 && !targets_find(&t, target)) {
		more = realloc(t.text, t.size + n);
		if (more) {
			memcpy(more + t.size, target, n);
			t.text = more;
			t.size += n;
			r = targets_write(l, &t, err);
		} else {
			r = plug_error_errno(err, -ENOMEM, "%.300s", target);
		}
	}
	free(t.text);
	return r;
}

/* Only what shows this layer is taken away; the directory stays. */
static int target_clear(struct life *l, const char *target, struct plug_error *err)
{
	struct stat own, there;

	if (!st_place_mounted(target))
		return 0;
	if (st_place_mounted(l->mnt) && (stat(l->mnt, &own) < 0 || stat(target, &there) < 0 ||
					 own.st_dev != there.st_dev))
		return 0; /* something else, over it or in its place */
	if (umount2(target, UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno == EBUSY && umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) == 0)
		return 0;
	return plug_error_errno(err, -errno, "unmounting %.300s", target);
}

/* target NULL: all of them.  *left: some stay. */
static int targets_remove(struct life *l, const char *target, bool *left, struct plug_error *err)
{
	struct targets t, stay = { 0 };
	int r = targets_read(l, &t, err);

	if (r < 0)
		return r;
	stay.text = t.text;
	for (char *p = t.text; r == 0 && p && p < t.text + t.size;) {
		size_t n = strlen(p) + 1;

		if (!target || !strcmp(p, target)) {
			r = target_clear(l, p, err);
		} else {
			memmove(stay.text + stay.size, p, n);
			stay.size += n;
		}
		p += n;
	}
	if (r == 0 && stay.size != t.size)
		r = targets_write(l, &stay, err);
	*left = stay.size > 0;
	free(t.text);
	return r;
}

/* ---- the calls */

/* Undoing goes on after a failure and keeps the first. */
static int take_down(struct life *l, struct plug_error *err)
{
	struct plug_error later = { 0 };
	int r = unprepare(l, err), rc = deactivate(l, r < 0 ? &later : err);

	return r < 0 ? r : rc;
}

int st_life_activate(const char *path, struct plug_error *err)
{
	struct st_scratch scratch = { 0 };
	struct life l;
	int r = life_open(path, &l, err);

	if (r < 0)
		return r;
	if (l.at.form == ST_FORM_SCRATCH)
		r = activate(&l, &scratch, err);
	st_scratch_finish(&scratch);
	life_close(&l);
	return r;
}

int st_life_prepare(const char *path, const struct st_chain *parents, enum st_verify how,
		    struct plug_error *err)
{
	struct plug_error ignored = { 0 };
	struct life l;
	int r = life_open(path, &l, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&prepare_mutex);
	r = prepare(&l, parents, how, err);
	if (r < 0)
		(void)unprepare(&l, &ignored);
	(void)pthread_mutex_unlock(&prepare_mutex);
	life_close(&l);
	return r;
}

int st_life_path(const char *path, char **ret, struct plug_error *err)
{
	struct life l;
	int r = life_open(path, &l, err);

	if (r < 0)
		return r;
	if (l.at.form != ST_FORM_SCRATCH && (l.at.form != ST_FORM_PACKED || !st_place_mounted(l.mnt)))
		*ret = strdup(l.at.content);
	else if (st_place_mounted(l.mnt))
		*ret = strdup(l.mnt);
	else
		r = plug_error_set(err, -ENOTCONN, "layer %.300s: is not prepared", path);
	if (r == 0 && !*ret)
		r = plug_error_errno(err, -ENOMEM, "layer %.300s", path);
	life_close(&l);
	return r;
}

int st_life_unprepare(const char *path, struct plug_error *err)
{
	struct life l;
	int r = life_open(path, &l, err);

	if (r < 0)
		return r;
	r = unprepare(&l, err);
	life_close(&l);
	return r;
}

int st_life_deactivate(const char *path, struct plug_error *err)
{
	struct life l;
	int r = life_open(path, &l, err);

	if (r < 0)
		return r;
	r = deactivate(&l, err);
	life_close(&l);
	return r;
}

static int mount_target(struct life *l, const char *target, struct plug_error *err)
{
	int r = target_add(l, target, err);

	if (r == 0 && !st_place_mounted(target))
		r = st_bind_mount(l->mnt, target, false, false, err);
	else if (r == 0)
		r = plug_error_set(err, -EBUSY, "%.300s: something is mounted there", target);
	return r;
}

int st_life_mount(const char *path, const struct st_chain *parents, enum st_verify how,
		  const char *target, char **ret, struct plug_error *err)
{
	struct plug_error ignored = { 0 };
	struct life l;
	bool before, left;
	int r = life_open(path, &l, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&prepare_mutex);
	before = st_place_mounted(l.mnt);
	r = prepare(&l, parents, how, err);
	(void)pthread_mutex_unlock(&prepare_mutex);
	if (r == 0 && target) {
		r = mount_target(&l, target, err);
		if (r < 0 && r != -EBUSY)
			(void)targets_remove(&l, target, &left, &ignored);
	}
	if (r == 0) {
		*ret = strdup(target ? target : l.mnt);
		r = *ret ? 0 : plug_error_errno(err, -ENOMEM, "layer %.300s", path);
	}
	if (r < 0 && !before)
		(void)take_down(&l, &ignored);
	life_close(&l);
	return r;
}

int st_life_unmount(const char *path, const char *target, struct plug_error *err)
{
	struct life l;
	bool left = false;
	int r = life_open(path, &l, err);

	if (r < 0)
		return r;
	if (l.at.fd >= 0)
		r = targets_remove(&l, target, &left, err);
	if (r == 0 && !left)
		r = take_down(&l, err);
	life_close(&l);
	return r;
}

int st_life_remove(const char *path, struct plug_error *err)
{
	_cleanup_free_ char *seal = NULL;
	struct plug_error ignored = { 0 };
	struct stat st;
	bool there = stat(path, &st) == 0;
	int r;

	/* What cannot be unmounted stops the deletion: it does not enter mounts. */
	if (there && S_ISDIR(st.st_mode))
		(void)st_life_unmount(path, NULL, &ignored);
	r = st_layer_destroy(path, err);
	if (r < 0 || !there || !S_ISREG(st.st_mode))
		return r;
	/* An image of that name that comes later is another one. */
	if (asprintf(&seal, "%s.json", path) < 0) {
		seal = NULL;
		return plug_error_errno(err, -ENOMEM, "layer %.300s", path);
	}
	return unlink(seal) < 0 && errno != ENOENT ? plug_error_errno(err, -errno, "%.300s", seal) : 0;
}
