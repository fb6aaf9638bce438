/* SPDX-License-Identifier: MIT */
/* Making the directories; on v2, passing controllers down to them. */
#include "cgroup_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAKE_TRIES 16 /* another container's release may remove a common parent meanwhile */

/* A v1 cpuset without cpus and memory nodes takes no process: as its parent has them. */
static int make_cpuset(const char *dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char above[PATH_MAX], value[4096];
	ssize_t n;
	int r = 0;

	(void)snprintf(above, sizeof(above), "%s", dir);
	*strrchr(above, '/') = '\0';
	for (int i = 0; i < 2 && r == 0; i++) {
		n = cgroup_read(dir, files[i], value, sizeof(value));
		if (n < 0)
			return (int)n;
		if (n > 1)
			continue;
		n = cgroup_read(above, files[i], value, sizeof(value));
		r = n < 0 ? (int)n : cgroup_write(dir, files[i], value);
	}
	return r;
}

/* Every missing directory of d->dir below the hierarchy's root. */
static int make_try(const struct cgroup_dir *d)
{
	bool cpuset = cgroup_list_has(d->controllers, "cpuset");
	char path[PATH_MAX];
	size_t at = strlen(d->hierarchy->mount);
	int r = 0;

	if (snprintf(path, sizeof(path), "%s", d->dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	/* Most often only the last one is missing. */
	if (!cpuset && mkdir(path, 0755) == 0)
		return 0;
	while (path[at] && r == 0) {
		char kept;

		at += 1 + strcspn(path + at + 1, "/");
		kept = path[at];
		path[at] = '\0';
		if (mkdir(path, 0755) < 0) {
			if (errno != EEXIST)
				return -errno;
			if (!kept)
				return -EEXIST; /* somebody else's since we looked */
		}
		r = cpuset ? make_cpuset(path) : 0;
		path[at] = kept;
	}
	return r;
}

static int make_dir(const struct cgroup_dir *d, struct launch_error *err)
{
	int r, tries = MAKE_TRIES;

	do
		r = make_try(d);
	while (r == -ENOENT && --tries);
	return r < 0 ? parent_fail(err, r, "cgroup %s", d->dir) : 0;
}

static void make_undo(const struct launch_cgroup *cg, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char path[PATH_MAX];
		unsigned up = cg->own_above ? UINT_MAX : cg->dirs[i].missing;

		if (cg->flags & LAUNCH_CGROUP_KEEP_PARENT)
			up = 1;
		(void)snprintf(path, sizeof(path), "%s", cg->dirs[i].dir);
		while (up-- && strlen(path) > strlen(cg->dirs[i].hierarchy->mount) &&
		       rmdir(path) == 0)
			*strrchr(path, '/') = '\0';
	}
}

int launch_cgroup_make(struct launch_cgroup *cg, const struct launch_plan *plan,
		       struct launch_error *err)
{
	unsigned made = 0;
	int r = 0;

	if (err)
		err->code = 0;
	while (made < cg->n && r == 0) {
		r = make_dir(&cg->dirs[made], err);
		made += r == 0;
	}
	if (r == 0 && cg->mode == LAUNCH_CGROUP_V2)
		r = cgroup_enable(cg, plan, cg->flags, err);
	if (r == 0)
		r = cgroup_apply(cg, plan, false, err);
	if (r == 0)
		r = cgroup_devices(cg, plan, err);
	if (r < 0)
		make_undo(cg, made);
	return r;
}
