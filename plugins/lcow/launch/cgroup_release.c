/* SPDX-License-Identifier: MIT */
/* From the record alone: take up, or end and remove. */
#include "cgroup_internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RELEASE_MS 10000

static int record_dir(struct json_object *o, struct launch_cgroup *cg)
{
	struct json_object *dir, *controllers, *unified, *made;
	struct cgroup_dir *d = &cg->dirs[cg->n];
	const char *text;

	if (cg->n == CGROUP_HIERARCHIES_MAX || !json_object_object_get_ex(o, "dir", &dir) ||
	    !json_object_object_get_ex(o, "controllers", &controllers) ||
	    !json_object_object_get_ex(o, "unified", &unified) ||
	    !json_object_object_get_ex(o, "made", &made))
		return -EINVAL;
	text = json_object_get_string(dir);
	/* A record that is not ours, or was damaged, must not make us remove what it names. */
	if (!text || text[0] != '/' || strstr(text, "/../") || strlen(text) >= PATH_MAX)
		return -EINVAL;
	d->dir = strdup(text);
	d->controllers = strdup(json_object_get_string(controllers));
	d->unified = json_object_get_boolean(unified);
	d->missing = (unsigned)json_object_get_int(made);
	cg->n++;
	return d->dir && d->controllers ? 0 : -ENOMEM;
}

static int record_parse(const char *record, struct launch_cgroup **ret)
{
	struct json_object *root = json_tokener_parse(record), *dirs, *path, *mode;
	struct launch_cgroup *cg = calloc(1, sizeof(*cg));
	int r = cg ? 0 : -ENOMEM;

	if (r == 0 &&
	    (!root || !json_object_object_get_ex(root, "dirs", &dirs) ||
	     !json_object_object_get_ex(root, "path", &path) ||
	     !json_object_object_get_ex(root, "mode", &mode) ||
	     !json_object_is_type(dirs, json_type_array) || json_object_array_length(dirs) == 0))
		r = -EINVAL;
	if (r == 0) {
		cg->mode = (enum launch_cgroup_mode)json_object_get_int(mode);
		cg->path = strdup(json_object_get_string(path));
		r = cg->path ? 0 : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < json_object_array_length(dirs); i++)
		r = record_dir(json_object_array_get_idx(dirs, i), cg);
	json_object_put(root);
	if (r < 0) {
		launch_cgroup_free(cg);
		return r;
	}
	*ret = cg;
	return 0;
}

/* The hierarchies, for those who go on working with it. */
static void record_find_hierarchies(struct launch_cgroup *cg)
{
	const struct cgroup_host *host = cgroup_host();

	for (unsigned i = 0; i < cg->n; i++) {
		for (unsigned k = 0; k < host->n; k++) {
			size_t len = strlen(host->hierarchies[k].mount);

			if (strncmp(cg->dirs[i].dir, host->hierarchies[k].mount, len) == 0 &&
			    strcmp(cg->dirs[i].dir + len, cg->path) == 0)
				cg->dirs[i].hierarchy = &host->hierarchies[k];
		}
	}
}

int launch_cgroup_open(const char *record, struct launch_cgroup **ret, struct launch_error *err)
{
	struct launch_cgroup *cg;
	int r = record_parse(record, &cg);

	if (r < 0)
		return parent_fail(err, r, "cgroup record");
	if (access(cgroup_tracking(cg)->dir, F_OK) < 0) {
		r = parent_fail(err, -errno, "cgroup %s", cgroup_tracking(cg)->dir);
		launch_cgroup_free(cg);
		return r;
	}
	record_find_hierarchies(cg);
	*ret = cg;
	return 0;
}

static void release_pause(unsigned round)
{
	struct timespec pause = { .tv_nsec = round < 10 ? 200000 : 5000000 };

	(void)nanosleep(&pause, NULL);
}

static bool release_late(const struct timespec *start)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000 >
	       RELEASE_MS;
}

/* EBUSY: something still dies in it.  Kill again, wait a little. */
static int release_dir(const struct cgroup_dir *d, const struct timespec *start)
{
	int r = cgroup_tree_remove(d->dir);

	for (unsigned round = 0; r == -EBUSY && !release_late(start); round++) {
		bool populated = false;

		if (cgroup_dir_populated(d, &populated) == 0 && populated)
			(void)cgroup_dir_kill(d);
		release_pause(round);
		r = cgroup_tree_remove(d->dir);
	}
	return r;
}

/* Those above it that came with it, as far as nobody else is in them. */
static void release_above(const struct cgroup_dir *d)
{
	char path[PATH_MAX];
	char *slash;

	(void)strcpy(path, d->dir);
	for (unsigned up = d->missing; up > 1; up--) {
		slash = strrchr(path, '/');
		*slash = '\0';
		if (!path[0] || rmdir(path) < 0)
			break;
	}
}

int launch_cgroup_release(const char *record, struct launch_error *err)
{
	struct launch_cgroup *cg;
	struct timespec start;
	int first = 0, r = record_parse(record, &cg);

	if (err)
		err->code = 0;
	if (r < 0)
		return parent_fail(err, r, "cgroup record");
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned i = 0; i < cg->n; i++) {
		r = release_dir(&cg->dirs[i], &start);
		if (r == 0)
			release_above(&cg->dirs[i]);
		else if (first == 0)
			first = parent_fail(err, r, "cgroup %s", cg->dirs[i].dir);
	}
	launch_cgroup_free(cg);
	return first;
}

int launch_cgroup_release_path(const char *path, bool look_only, struct launch_error *err)
{
	const struct cgroup_host *host = cgroup_host();
	struct timespec start;
	int found = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned i = 0; i < host->n; i++) {
		const struct cgroup_hierarchy *h = &host->hierarchies[i];
		char dir[PATH_MAX];
		const struct cgroup_dir d = { .hierarchy = h, .dir = dir, .unified = h->unified,
					      .controllers = h->controllers };
		int r;

		if (snprintf(dir, sizeof(dir), "%s/%s", h->mount, path) >= (int)sizeof(dir) ||
		    access(dir, F_OK) < 0)
			continue;
		found = 1;
		r = look_only ? 0 : release_dir(&d, &start);
		if (r < 0)
			return parent_fail(err, r, "cgroup %s", dir);
	}
	return found;
}

void launch_cgroup_remove_parent(const char *path)
{
	const struct cgroup_host *host = cgroup_host();

	for (unsigned i = 0; i < host->n; i++) {
		char dir[PATH_MAX];

		if (snprintf(dir, sizeof(dir), "%s/%s", host->hierarchies[i].mount, path) < PATH_MAX)
			(void)rmdir(dir);
	}
}
