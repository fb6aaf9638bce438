/* SPDX-License-Identifier: MIT */
/* Layers below, scratch above, one overlay of them at RUN_DIR/rootfs. */
#include "rootfs/parts.h"

#include "common/json.h"
#include "rootfs/cache.h"
#include "rootfs/place.h"
#include "rootfs/ready.h"
#include "rootfs/scratch.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FAILED "failed to mount container storage: "

/* Directories for overlayfs, top first. */
struct lowers {
	char *path[ST_LAYERS_MAX];
	size_t count;
};

static void lowers_finish(struct lowers *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->path[i]);
	l->count = 0;
}

static int lowers_add(struct lowers *l, char *path, struct plug_error *err)
{
	if (!path)
		return plug_error_set(err, -ENOMEM, "layers: out of memory");
	if (l->count == ST_LAYERS_MAX) {
		free(path);
		return plug_error_set(err, -E2BIG, "layers: more than %d", ST_LAYERS_MAX);
	}
	l->path[l->count++] = path;
	return 0;
}

/* A packed one, mounted at RUN_DIR/layers/N. */
static int add_packed(struct st_part *part, struct lowers *l, const char *image)
{
	_cleanup_free_ char *dir = NULL;
	char number[24];
	char *place;
	int r;

	if (!part->plan.run_dir) /* made ahead: nowhere to mount it */
		return -EOPNOTSUPP;
	dir = st_path_join(part->plan.run_dir, "layers");
	(void)snprintf(number, sizeof(number), "%zu", l->count);
	place = dir ? st_path_join(dir, number) : NULL;
	r = lowers_add(l, place, &part->err);
	if (r == 0)
		r = st_place_make(dir, 0700, &part->err);
	if (r == 0)
		r = st_place_make(place, 0700, &part->err);
	if (r < 0)
		return r;
	return st_disk_mount_layer(image, part->verify, place, &part->err);
}

/* ---- an image of the store */

static int add_layers(struct st_part *part, const struct st_image *image, struct lowers *l)
{
	int r = 0;

	for (size_t i = image->layer_count; r == 0 && i-- > 0;) {
		const struct st_layer *layer = &image->layers[i];

		if (atomic_load(&part->stop))
			r = -ECANCELED;
		else if (layer->kind == ST_LAYER_DIR)
			r = lowers_add(l, strdup(layer->path), &part->err);
		else
			r = add_packed(part, l, layer->path);
	}
	return r;
}

static int add_image(struct st_part *part, struct lowers *l)
{
	const struct st_image *image;
	int r = st_cache_image(part->store_dir, part->plan.digest, &image, &part->err);

	if (r < 0)
		return r;
	r = add_layers(part, image, l);
	st_cache_put(image);
	return r;
}

/* ---- windows.layerFolders */

/* layer.vhd; or the directory fs of a layer of the store; or the directory itself. */
static int add_folder(struct st_part *part, struct lowers *l, const char *folder)
{
	_cleanup_free_ char *vhd = st_path_join(folder, "layer.vhd"), *fs = st_path_join(folder, "fs"),
			    *json = st_path_join(folder, "layer.json");
	struct stat st;

	if (!vhd || !fs || !json)
		return plug_error_set(&part->err, -ENOMEM, "layers: out of memory");
	if (access(vhd, F_OK) == 0)
		return add_packed(part, l, vhd);
	if (access(json, F_OK) == 0 && access(fs, F_OK) == 0)
		return lowers_add(l, strdup(fs), &part->err);
	if (stat(folder, &st) < 0)
		return plug_error_errno(&part->err, -errno, "%s", folder);
	if (!S_ISDIR(st.st_mode))
		return plug_error_errno(&part->err, -ENOTDIR, "%s", folder);
	return lowers_add(l, strdup(folder), &part->err);
}

static int wrap(struct st_part *part, int r, const char *how)
{
	char cause[sizeof(part->err.text)];

	if (r >= 0 || r == -ECANCELED)
		return r;
	(void)snprintf(cause, sizeof(cause), "%.400s", part->err.text);
	return plug_error_set(&part->err, r, FAILED "%s: %s", how, cause);
}

static int add_folders(struct st_part *part, struct lowers *l)
{
	const struct st_plan *p = &part->plan;
	int r = 0;

	if (p->folder_count < 2)
		return plug_error_set(&part->err, -EINVAL,
				      FAILED "at least two layers are required: one, and scratch");
	for (size_t i = 0; r == 0 && i + 1 < p->folder_count; i++)
		r = atomic_load(&part->stop) ? -ECANCELED : add_folder(part, l, p->folders[i]);
	return wrap(part, r, "failed to add LCOW layer");
}

/*
 * The last folder: sandbox.vhdx in it, a disk that several containers of a pod may share, each with
 * a directory of its own; or the directory, where it is this container's alone.
 */
static int open_folder_scratch(struct st_part *part, const char *place, struct st_scratch *ret)
{
	const struct st_plan *p = &part->plan;
	const char *folder = p->folders[p->folder_count - 1];
	_cleanup_free_ char *disk = st_path_join(folder, "sandbox.vhdx"), *owner = NULL, *own = NULL;
	unsigned refs = 0;
	int r;

	if (!disk || asprintf(&owner, "%s/base/scratch", p->container) < 0)
		return plug_error_set(&part->err, -ENOMEM, "scratch: out of memory");
	if (access(folder, F_OK) < 0) {
		r = -errno;
		return plug_error_errno(&part->err, r,
					"failed to get scratch VHD path in layer folders: %s", folder);
	}
	if (access(disk, F_OK) < 0) {
		r = st_scratch_make(folder, p->scratch_bytes, &part->err);
		return r < 0 ? r : st_scratch_open(folder, place, ret, &part->err);
	}
	r = st_place_make(place, 0700, &part->err);
	if (r == 0)
		r = st_disk_mount(part->disk_dir, owner, disk, false, place, &refs, &part->err);
	if (r == 0 && asprintf(&own, "%s/container_%s", place, p->container) < 0)
		r = plug_error_set(&part->err, -ENOMEM, "scratch: out of memory");
	if (r == 0)
		r = st_place_make(own, 0755, &part->err);
	return r < 0 ? r : st_scratch_in(own, ret, &part->err);
}

static int open_scratch(struct st_part *part, struct st_scratch *ret)
{
	const struct st_plan *p = &part->plan;
	_cleanup_free_ char *place = st_path_join(p->run_dir, "scratch"),
			    *dir = st_path_join(p->state_dir, "scratch");
	int r;

	if (!place || !dir)
		return plug_error_set(&part->err, -ENOMEM, "scratch: out of memory");
	if (p->root == ST_ROOT_LAYERS)
		return wrap(part, open_folder_scratch(part, place, ret),
			    "failed to add SCSI scratch VHD");
	r = p->scratch_bytes ? 0 : st_scratch_make(dir, 0, &part->err);
	return r < 0 ? r : st_scratch_open(dir, place, ret, &part->err);
}

/* ---- together */

/* overlayfs wants something below. */
static int add_nothing(struct st_part *part, struct lowers *l)
{
	char *empty = st_path_join(part->plan.run_dir, "empty");
	int r = lowers_add(l, empty, &part->err);

	return r < 0 ? r : st_place_make(empty, 0755, &part->err);
}

static int mount_layers(struct st_part *part, struct lowers *l, const char *target)
{
	_cleanup_free_ char *links = st_path_join(part->plan.run_dir, "links");
	struct st_scratch scratch = { 0 };
	struct st_overlay overlay = { 0 };
	int r = part->plan.root == ST_ROOT_IMAGE ? add_image(part, l) : add_folders(part, l);

	if (r == 0 && l->count == 0)
		r = add_nothing(part, l);
	if (r == 0)
		r = open_scratch(part, &scratch);
	if (r == 0 && atomic_load(&part->stop))
		r = -ECANCELED;
	overlay = (struct st_overlay){ .lower = (const char *const *)l->path,
				       .lower_count = l->count,
				       .upper = scratch.upper,
				       .work = scratch.work,
				       .links = links };
	if (r == 0)
		r = st_overlay_mount(&overlay, target, &part->err);
	st_scratch_finish(&scratch);
	return r;
}

int st_base_tree(struct st_part *part, const char *dir, int *ret)
{
	struct st_scratch scratch = { 0 };
	struct lowers l = { 0 };
	int r = add_image(part, &l);

	if (r == 0)
		r = l.count ? st_scratch_in(dir, &scratch, &part->err) : -EOPNOTSUPP;
	if (r == 0) {
		const struct st_overlay overlay = { .lower = (const char *const *)l.path,
						    .lower_count = l.count,
						    .upper = scratch.upper,
						    .work = scratch.work };

		r = st_overlay_tree(&overlay, dir, ret, &part->err);
	}
	st_scratch_finish(&scratch);
	lowers_finish(&l);
	return r;
}

static int mount_share(struct st_part *part, const char *target)
{
	const struct st_plan *p = &part->plan;
	_cleanup_free_ char *path =
		*p->share == '/' ? strdup(p->share) : st_path_join(p->bundle, p->share);
	char cause[sizeof(part->err.text)];
	int r = path ? st_bind_mount(path, target, p->share_read_only, true, &part->err) :
		       plug_error_set(&part->err, -ENOMEM, "out of memory");

	if (r == 0)
		return 0;
	(void)snprintf(cause, sizeof(cause), "%.400s", part->err.text);
	return plug_error_set(&part->err, r, "adding plan9 root: %s", cause);
}

static int patch_root(struct st_part *part, const char *target)
{
	struct json_object *root = json_object_new_object();
	int r = st_json_put_string(root, "path", target);

	json_object_put(part->patch);
	part->patch = json_object_new_object();
	r = st_json_put(part->patch, "root", root) ?: r;
	if (r == 0)
		return 0;
	return plug_error_set(&part->err, -ENOMEM, "root: out of memory");
}

int st_base_take(struct st_part *part)
{
	_cleanup_free_ char *target = st_path_join(part->plan.run_dir, "rootfs");
	struct lowers l = { 0 };
	int r = target ? st_place_make(target, 0755, &part->err) :
			 plug_error_set(&part->err, -ENOMEM, "root: out of memory");

	if (r == 0 && part->plan.root == ST_ROOT_SHARE)
		r = mount_share(part, target);
	else if (r == 0)
		r = mount_layers(part, &l, target);
	lowers_finish(&l);
	return r < 0 ? r : patch_root(part, target);
}

bool st_base_take_now(struct st_part *part)
{
	const struct st_plan *p = &part->plan;
	_cleanup_free_ char *target = NULL, *scratch = NULL;

	if (p->root != ST_ROOT_IMAGE || p->scratch_bytes)
		return false;
	target = st_path_join(p->run_dir, "rootfs");
	scratch = st_path_join(p->state_dir, "scratch");
	/* The patch before the mount: without one there is nothing to go back from. */
	return target && scratch && st_place_make(target, 0755, &part->err) == 0 &&
	       patch_root(part, target) == 0 && st_ready_take(part, scratch, target);
}

/* The other way round. */
int st_base_give(struct json_object *record, struct plug_error *err)
{
	const char *run_dir = plug_json_string(record, "run_dir");
	const char *disks = plug_json_string(record, "disks"), *owner = plug_json_string(record, "owner");
	static const char *const places[] = { "rootfs", "links", "scratch", "layers", "empty" };
	int r = 0;

	for (size_t i = 0; r == 0 && run_dir && i < PLUG_ELEMENTS(places); i++) {
		_cleanup_free_ char *path = st_path_join(run_dir, places[i]);
		bool many = i == 1 || i == 3;

		if (!path)
			r = plug_error_set(err, -ENOMEM, "out of memory");
		else
			r = many ? st_place_clear_all(path, err) : st_place_clear(path, err);
	}
	if (r < 0 || !disks || !owner)
		return r;
	return st_disk_release(disks, owner, err);
}

/* ---- what stays */

bool st_scratch_take_now(struct st_part *part)
{
	const struct st_plan *p = &part->plan;
	const struct st_image *image = p->scratch_bytes ? NULL : st_cache_known(p->digest);
	struct st_store *store;
	int r;

	if (!image)
		return false;
	r = st_cache_store(part->store_dir, &store, NULL);
	if (r == 0)
		r = st_store_use(store, p->container, p->state_dir, image, true);
	st_cache_put(image);
	return r == 0;
}

int st_scratch_take(struct st_part *part)
{
	const struct st_plan *p = &part->plan;
	_cleanup_free_ char *dir = st_path_join(p->state_dir, "scratch");
	const struct st_image *image;
	struct st_store *store;
	int r = st_cache_image(part->store_dir, p->digest, &image, &part->err);

	if (r == 0) {
		r = st_cache_store(part->store_dir, &store, &part->err);
		if (r == 0 && st_store_use(store, p->container, p->state_dir, image, false) < 0)
			r = st_store_ref(store, p->container, image, &part->err);
		st_cache_put(image);
	}
	if (r == 0 && !dir)
		r = plug_error_set(&part->err, -ENOMEM, "scratch: out of memory");
	return r < 0 ? r : st_scratch_make(dir, p->scratch_bytes, &part->err);
}

int st_scratch_give(struct json_object *record, struct plug_error *err)
{
	const char *path = plug_json_string(record, "path"), *dir = plug_json_string(record, "store");
	const char *owner = plug_json_string(record, "owner");
	struct st_store *store;
	int r = path ? st_place_remove(path, err) : 0;

	if (r < 0 || !dir || !owner)
		return r;
	if (access(dir, F_OK) < 0)
		return errno == ENOENT ? 0 : plug_error_errno(err, -errno, "%s", dir);
	r = st_cache_store(dir, &store, err);
	return r < 0 ? r : st_store_unref(store, owner, err);
}
