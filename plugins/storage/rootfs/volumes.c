/* SPDX-License-Identifier: MIT */
/*
 * Anonymous volumes: STATE_DIR/volumes/N, at first what the image has at that place.  The place is
 * looked for inside the root file system (CVE-2022-23648: VOLUME /../../etc is the container's /etc).
 */
#include "rootfs/parts.h"

#include "common/json.h"
#include "rootfs/copy.h"
#include "rootfs/place.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int open_inside(int root, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* Into tmp, which becomes the volume when it is whole. */
static int fill(struct st_part *part, int root, const char *where, const char *tmp)
{
	_cleanup_close_ int to = -1, from = open_inside(root, where);

	if (from == -ENOTDIR)
		return plug_error_set(&part->err, -ENOTDIR,
				      "volume %s: cannot be mounted over a file of the image", where);
	if (from < 0 && from != -ENOENT)
		return plug_error_errno(&part->err, from, "volume %s", where);
	if (mkdir(tmp, 0755) < 0)
		return plug_error_errno(&part->err, -errno, "%s", tmp);
	to = open(tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fchmod(to, 0755) < 0)
		return plug_error_errno(&part->err, -errno, "%s", tmp);
	return from < 0 ? 0 : st_copy_tree(from, to, &part->stop, &part->err);
}

static int make_volume(struct st_part *part, int root, const char *where, const char *dir)
{
	char tmp[4096];
	int r;

	if (access(dir, F_OK) == 0)
		return 0;
	(void)snprintf(tmp, sizeof(tmp), "%s.tmp", dir);
	r = st_place_remove(tmp, &part->err);
	if (r == 0)
		r = fill(part, root, where, tmp);
	if (r == 0 && rename(tmp, dir) < 0)
		r = plug_error_errno(&part->err, -errno, "%s", dir);
	return r;
}

/* ---- the spec's mounts, and these among them */

static char *destination(struct json_object *mounts, size_t i)
{
	const char *text = plug_json_string(json_object_array_get_idx(mounts, i), "destination");

	return st_path_clean(text ? text : "");
}

/* Before the first mount that is below it; -EEXIST: somebody mounts something there himself. */
static int find_place(struct json_object *mounts, const char *where, size_t *ret)
{
	size_t len = strlen(where), n = plug_json_length(mounts);

	*ret = n;
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *other = destination(mounts, i);

		if (!other)
			return -ENOMEM;
		if (strcmp(other, where) == 0)
			return -EEXIST;
		if (*ret == n && strncmp(other, where, len) == 0 && other[len] == '/')
			*ret = i;
	}
	return 0;
}

static int add_mount(struct json_object **mounts, size_t at, const char *where, const char *dir)
{
	struct json_object *old = *mounts, *fresh = json_object_new_array(),
			   *mount = json_object_new_object();
	size_t n = plug_json_length(old);
	int r = st_json_put_string(mount, "destination", where) ?:
			st_json_put_string(mount, "type", "bind") ?:
			st_json_put_string(mount, "source", dir) ?:
			st_json_put(mount, "options", json_tokener_parse("[\"rbind\",\"rprivate\"]"));

	for (size_t i = 0; r == 0 && i <= n; i++) {
		if (i == at)
			r = st_json_append(fresh, json_object_get(mount));
		if (r == 0 && i < n)
			r = st_json_append(fresh, json_object_get(json_object_array_get_idx(old, i)));
	}
	json_object_put(mount);
	if (r < 0) {
		json_object_put(fresh);
		return -ENOMEM;
	}
	json_object_put(old);
	*mounts = fresh;
	return 0;
}

static int take_one(struct st_part *part, int root, const char *base, size_t i)
{
	const char *where = part->plan.volumes[i];
	_cleanup_free_ char *dir = NULL;
	size_t at;
	int r = find_place(part->plan.mounts, where, &at);

	if (r == -EEXIST)
		return 0;
	if (r < 0 || asprintf(&dir, "%s/%zu", base, i) < 0)
		return plug_error_set(&part->err, -ENOMEM, "volumes: out of memory");
	r = make_volume(part, root, where, dir);
	if (r == 0 && add_mount(&part->plan.mounts, at, where, dir) < 0)
		r = plug_error_set(&part->err, -ENOMEM, "volumes: out of memory");
	return r;
}

int st_volumes_take(struct st_part *part)
{
	const struct st_plan *p = &part->plan;
	_cleanup_free_ char *base = st_path_join(p->state_dir, "volumes"),
			    *target = st_path_join(p->run_dir, "rootfs");
	_cleanup_close_ int root = -1;
	int r;

	if (!p->volumes) /* disks only, for their end */
		return 0;
	if (!base || !target)
		return plug_error_set(&part->err, -ENOMEM, "volumes: out of memory");
	r = st_place_make(base, 0700, &part->err);
	if (r < 0)
		return r;
	root = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return plug_error_errno(&part->err, -errno, "%s", target);
	for (size_t i = 0; r == 0 && p->volumes[i]; i++)
		r = atomic_load(&part->stop) ? -ECANCELED : take_one(part, root, base, i);
	if (r < 0)
		return r;
	part->patch = json_object_new_object();
	if (st_json_put(part->patch, "mounts", json_object_get(p->mounts)) < 0)
		return plug_error_set(&part->err, -ENOMEM, "volumes: out of memory");
	return 0;
}

int st_volumes_give(struct json_object *record, struct plug_error *err)
{
	const char *path = plug_json_string(record, "path");
	struct json_object *disks = plug_json_get(record, "disks");
	int r = path ? st_place_remove(path, err) : 0;

	/* Disks that go with their container (automanage-virtual-disk). */
	for (size_t i = 0; r == 0 && i < plug_json_length(disks); i++) {
		const char *disk = json_object_get_string(json_object_array_get_idx(disks, i));

		if (disk && unlink(disk) < 0 && errno != ENOENT && errno != ENOTDIR)
			r = plug_error_errno(err, -errno, "removing %s", disk);
	}
	return r;
}
