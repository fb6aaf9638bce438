/* SPDX-License-Identifier: MIT */
/* A cgroup with all that is below it: a container may have made cgroups of its own. */
#include "cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TREE_DEPTH_MAX 64

static int tree_add(pid_t pid, pid_t **pids, size_t *n, size_t *cap)
{
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		pid_t *grown = realloc(*pids, more * sizeof(**pids));

		if (!grown)
			return -ENOMEM;
		*pids = grown;
		*cap = more;
	}
	(*pids)[(*n)++] = pid;
	return 0;
}

static int tree_own_pids(const char *dir, pid_t **pids, size_t *n, size_t *cap)
{
	char path[PATH_MAX], line[32];
	int r = 0;
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (r == 0 && fgets(line, sizeof(line), f)) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);

		if (pid > 0) /* 0: in a pid namespace that we do not see */
			r = tree_add(pid, pids, n, cap);
	}
	/*
	 * ENODEV: removed while we read; ENOTSUP: a threaded cgroup, whose processes its root lists
	 */
	(void)fclose(f);
	return r;
}

/* Call each() for every directory below dir, then for dir: deepest first. */
static int tree_walk(const char *dir, int depth, int (*each)(const char *dir, void *arg), void *arg)
{
	int r = 0;
	struct dirent *e;
	DIR *d;

	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	d = opendir(dir);
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		char path[PATH_MAX];

		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= (int)sizeof(path))
			r = -ENAMETOOLONG;
		else
			r = tree_walk(path, depth + 1, each, arg);
		r = r == -ENOENT ? 0 : r;
	}
	(void)closedir(d);
	return r < 0 ? r : each(dir, arg);
}

struct tree_pids {
	pid_t **pids;
	size_t *n, *cap;
};

static int tree_pids_of(const char *dir, void *arg)
{
	struct tree_pids *t = arg;
	int r = tree_own_pids(dir, t->pids, t->n, t->cap);

	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

int cgroup_tree_pids(const char *dir, pid_t **pids, size_t *n, size_t *cap)
{
	return tree_walk(dir, 0, tree_pids_of, &(struct tree_pids){ pids, n, cap });
}

static int tree_rmdir(const char *dir, void *arg)
{
	(void)arg;
	return rmdir(dir) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_tree_remove(const char *dir)
{
	int r;

	/* Most have nothing below. */
	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	r = tree_walk(dir, 0, tree_rmdir, NULL);
	return r == -ENOENT ? 0 : r;
}
