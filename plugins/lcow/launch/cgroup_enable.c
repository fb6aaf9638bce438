/* SPDX-License-Identifier: MIT */
/*
 * v2: a controller is there when every directory above passes it on (cgroup.subtree_control). Where
 * one cannot, the error says which one, and why.
 */
#include "cgroup_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool enable_has(const char *dir, const char *file, const char *controller)
{
	char text[512], *save = NULL;

	if (cgroup_read(dir, file, text, sizeof(text)) < 0)
		return false;
	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (strcmp(word, controller) == 0)
			return true;
	}
	return false;
}

static int enable_explain(const char *dir, const char *controller, int code,
			  struct launch_error *err)
{
	char procs[64];

	if (!enable_has(dir, "cgroup.controllers", controller))
		return parent_error(err, -ENOTSUP,
				    "cgroup controller %s: %s/cgroup.controllers does not have it",
				    controller, dir);
	if (code == -EBUSY && cgroup_read(dir, "cgroup.procs", procs, sizeof(procs)) > 0)
		return parent_error(err, code,
				    "cgroup controller %s: %s/cgroup.subtree_control refuses it, "
				    "because processes live in %s itself (%.*s among them)",
				    controller, dir, dir, (int)strcspn(procs, "\n"), procs);
	return parent_fail(err, code, "cgroup controller %s: %s/cgroup.subtree_control", controller,
			   dir);
}

/* In every directory from the root to the one above ours. */
static int enable_one(const struct cgroup_dir *d, const char *controller, struct launch_error *err)
{
	char path[PATH_MAX], word[64];
	size_t at = strlen(d->hierarchy->mount);

	(void)snprintf(path, sizeof(path), "%s", d->dir);
	(void)snprintf(word, sizeof(word), "+%s", controller);
	while (path[at]) {
		int r;

		path[at] = '\0';
		r = enable_has(path, "cgroup.subtree_control", controller)
			    ? 0
			    : cgroup_write(path, "cgroup.subtree_control", word);
		if (r < 0)
			return enable_explain(path, controller, r, err);
		path[at] = '/';
		at += 1 + strcspn(path + at + 1, "/");
	}
	return 0;
}

int cgroup_enable(const struct launch_cgroup *cg, const struct launch_plan *plan, unsigned flags,
		  struct launch_error *err)
{
	static const struct {
		unsigned flag;
		const char *controller;
	} map[] = { { LAUNCH_CGROUP_MEMORY, "memory" },
		    { LAUNCH_CGROUP_CPU, "cpu" },
		    { LAUNCH_CGROUP_PIDS, "pids" },
		    { LAUNCH_CGROUP_IO, "io" } };
	const struct cgroup_dir *d = cgroup_tracking(cg);
	int r = 0;

	for (uint32_t i = 0; i < plan->cgroup.n && r == 0; i++) {
		const struct launch_cgroup_setting *s =
			launch_at(plan, plan->cgroup, struct launch_cgroup_setting, i);

		if (!s->v2_file || !s->v2_controller)
			continue;
		r = enable_one(d, launch_text(plan, s->v2_controller), err);
		if (r < 0 && s->optional)
			r = 0;
	}
	/* What is only for looking at is taken where it can be had. */
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]) && r == 0; i++) {
		if (flags & (map[i].flag | LAUNCH_CGROUP_ALL))
			(void)enable_one(d, map[i].controller, NULL);
	}
	return r;
}
