/* SPDX-License-Identifier: MIT */
/* What a child needs to get into its cgroups, and to mount them. */
#include "cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A v1 hierarchy: the child writes itself into `tasks`. */
static int join_tasks(struct child *c, const char *dir)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/tasks", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	c->cgroup_fd[c->n_cgroup_fds++] = fd;
	return 0;
}

static void join_describe(struct child *c, const struct cgroup_dir *d, bool v2)
{
	struct child_cgroup *g = &c->cgroup[c->n_cgroups++];

	g->dir = d->dir;
	g->name = v2 ? "" : strrchr(d->hierarchy->mount, '/') + 1;
	/* Only co-mounted ones have other names than the directory's. */
	g->alias = strchr(d->controllers, ',') && strcmp(d->controllers, g->name) == 0
			   ? d->controllers
			   : NULL;
}

int launch_cgroup_prepare_child(const struct launch_cgroup *cg, struct child *c, int *ret_dir,
				struct launch_error *err)
{
	for (unsigned i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];
		int r = 0;

		if (!d->hierarchy)
			continue; /* adopted, and not mounted here any more */
		if (d->unified) {
			*ret_dir = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			r = *ret_dir < 0 ? -errno : 0;
		} else {
			r = join_tasks(c, d->dir);
		}
		if (r < 0)
			return parent_fail(err, r, "cgroup %s", d->dir);
		join_describe(c, d, cg->mode == LAUNCH_CGROUP_V2);
	}
	return 0;
}

int launch_cgroup_join_by_file(struct child *c, int dir)
{
	int fd;

	if (c->n_cgroup_fds == CHILD_CGROUPS_MAX)
		return -E2BIG;
	fd = openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	c->cgroup_fd[c->n_cgroup_fds++] = fd;
	return 0;
}
