/* SPDX-License-Identifier: MIT */
/* Which cgroups a container gets, and the record of them. */
#include "cgroup_internal.h"
#include "json_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CGROUP_FILE_MAX 256 /* what comes behind the directory: "/memory.limit_in_bytes" */

static int new_add(struct launch_cgroup *cg, const struct cgroup_hierarchy *h)
{
	struct cgroup_dir *d = &cg->dirs[cg->n];

	for (unsigned i = 0; i < cg->n; i++) {
		if (cg->dirs[i].hierarchy == h)
			return 0;
	}
	if (cg->n == CGROUP_HIERARCHIES_MAX)
		return -E2BIG;
	if (strlen(h->mount) + strlen(cg->path) + CGROUP_FILE_MAX >= PATH_MAX)
		return -ENAMETOOLONG;
	if (asprintf(&d->dir, "%s%s", h->mount, cg->path) < 0) {
		d->dir = NULL;
		return -ENOMEM;
	}
	d->controllers = strdup(h->controllers);
	d->hierarchy = h;
	d->unified = h->unified;
	cg->n++;
	return d->controllers ? 0 : -ENOMEM;
}

/* The one that says who belongs to the container. */
static int new_tracking(struct launch_cgroup *cg, const struct cgroup_host *host)
{
	const struct cgroup_hierarchy *h = NULL;

	for (unsigned i = 0; i < host->n && !h; i++)
		h = host->hierarchies[i].unified ? &host->hierarchies[i] : NULL;
	if (!h)
		h = cgroup_host_find(host, "freezer");
	return new_add(cg, h ? h : &host->hierarchies[0]);
}

static int new_settings(struct launch_cgroup *cg, const struct cgroup_host *host,
			const struct launch_plan *plan, struct launch_error *err)
{
	for (uint32_t i = 0; i < plan->cgroup.n; i++) {
		const struct launch_cgroup_setting *s =
			launch_at(plan, plan->cgroup, struct launch_cgroup_setting, i);
		const char *name = s->controller ? launch_text(plan, s->controller) : "";
		const struct cgroup_hierarchy *h;
		int r;

		if (!s->v1_file)
			return parent_error(err, -ENOTSUP, "%s: the controllers of this host are v1's",
					    s->what ? launch_text(plan, s->what) : "unified");
		h = cgroup_host_find(host, name);
		if (!h && s->optional)
			continue;
		if (!h)
			return parent_error(err, -ENOTSUP,
					    "%s: this host has no cgroup controller %s",
					    s->what ? launch_text(plan, s->what) : name, name);
		r = new_add(cg, h);
		if (r < 0)
			return parent_fail(err, r, "cgroup %s", cg->path);
	}
	if (!cgroup_devices_wanted(plan))
		return 0;
	if (!cgroup_host_find(host, "devices"))
		return parent_error(
			err, -ENOTSUP,
			"/linux/resources/devices: this host has no cgroup controller devices");
	return new_add(cg, cgroup_host_find(host, "devices"));
}

static int new_flags(struct launch_cgroup *cg, const struct cgroup_host *host, unsigned flags)
{
	static const struct {
		unsigned flag;
		const char *controller;
	} map[] = { { LAUNCH_CGROUP_MEMORY, "memory" }, { LAUNCH_CGROUP_CPU, "cpuacct" },
		    { LAUNCH_CGROUP_CPU, "cpu" },	{ LAUNCH_CGROUP_PIDS, "pids" },
		    { LAUNCH_CGROUP_IO, "blkio" },	{ LAUNCH_CGROUP_FREEZER, "freezer" } };
	int r = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]) && r == 0; i++) {
		const struct cgroup_hierarchy *h = cgroup_host_find(host, map[i].controller);

		if (flags & map[i].flag && h)
			r = new_add(cg, h);
	}
	for (unsigned i = 0; flags & LAUNCH_CGROUP_ALL && i < host->n && r == 0; i++)
		r = new_add(cg, &host->hierarchies[i]);
	return r;
}

/* How many of the last components of dir are missing; 0: it is there. */
static unsigned new_missing(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;
	unsigned n = 0;
	char *slash;

	(void)snprintf(path, sizeof(path), "%s", dir);
	while (path[0] && stat(path, &st) < 0 && errno == ENOENT) {
		n++;
		slash = strrchr(path, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return n;
}

static int new_look(struct launch_cgroup *cg, struct launch_error *err)
{
	for (unsigned i = 0; i < cg->n; i++) {
		cg->dirs[i].missing = new_missing(cg->dirs[i].dir);
		if (cg->dirs[i].missing == 0)
			return parent_error(err, -EEXIST,
					    "cgroup %s: it exists already, and is not ours",
					    cg->dirs[i].dir);
	}
	return 0;
}

/* "/a/b", whatever slashes were given; NULL with errno for what would lead elsewhere. */
static char *new_path(const char *given)
{
	char *out = calloc(1, strlen(given) + 2), *save = NULL, *copy = strdup(given);

	errno = ENOMEM;
	for (char *word = copy && out ? strtok_r(copy, "/", &save) : NULL; word && out;
	     word = strtok_r(NULL, "/", &save)) {
		if (strcmp(word, ".") == 0)
			continue;
		if (strcmp(word, "..") == 0) {
			free(out);
			out = NULL;
			errno = EINVAL;
			break;
		}
		(void)strcat(strcat(out, "/"), word);
	}
	free(copy);
	if (out && !out[0]) {
		free(out);
		out = NULL;
		errno = EINVAL;
	}
	return out;
}

int launch_cgroup_new(const struct launch_plan *plan, const char *path, unsigned flags,
		      struct launch_cgroup **ret, struct launch_error *err)
{
	const struct cgroup_host *host = cgroup_host();
	struct launch_cgroup *cg;
	int r = 0;

	if (host->mode == LAUNCH_CGROUP_NONE)
		return parent_error(err, -ENOTSUP, "cgroup: this host mounts no cgroup hierarchy");
	cg = calloc(1, sizeof(*cg));
	if (!cg)
		return parent_fail(err, -ENOMEM, "cgroup");
	if (plan->cgroup_path)
		path = launch_text(plan, plan->cgroup_path);
	cg->own_above = !plan->cgroup_path && !(flags & LAUNCH_CGROUP_KEEP_PARENT);
	cg->mode = host->mode;
	cg->path = new_path(path);
	if (!cg->path)
		r = parent_fail(err, -errno, "cgroup \"%s\"", path);
	if (r == 0)
		r = new_tracking(cg, host);
	if (r == 0 && host->mode != LAUNCH_CGROUP_V2)
		r = new_settings(cg, host, plan, err);
	if (r == 0)
		r = new_flags(cg, host, flags);
	if (r == 0)
		r = new_look(cg, err);
	if (r < 0) {
		if (err && !err->code)
			(void)parent_fail(err, r, "cgroup %s", path);
		launch_cgroup_free(cg);
		return r;
	}
	cg->flags = flags;
	*ret = cg;
	return 0;
}

/* How many directories upwards are this cgroup's to remove. */
static unsigned record_made(const struct launch_cgroup *cg, const struct cgroup_dir *d)
{
	unsigned depth = 0;

	for (const char *p = cg->path; *p; p++)
		depth += *p == '/';
	if (cg->own_above)
		return depth;
	return cg->flags & LAUNCH_CGROUP_KEEP_PARENT ? 1 : d->missing;
}

/* One more directory at the end of *text, which is replaced. */
static int record_add(const struct launch_cgroup *cg, const struct cgroup_dir *d, char **text)
{
	char *dir = launch_json_text(d->dir), *controllers = launch_json_text(d->controllers);
	char *longer = NULL;

	if (dir && controllers &&
	    asprintf(&longer,
		     "%s%s{\"dir\":%s,\"controllers\":%s,\"unified\":%s,\"made\":%u}", *text,
		     d == cg->dirs ? "" : ",", dir, controllers, d->unified ? "true" : "false",
		     record_made(cg, d)) < 0)
		longer = NULL;
	free(dir);
	free(controllers);
	if (!longer)
		return -ENOMEM;
	free(*text);
	*text = longer;
	return 0;
}

/*
 * {"mode", "path", "dirs": [{"dir", "controllers", "unified", "made"}]}; made: how many directories
 * upwards.
 */
int launch_cgroup_record(const struct launch_cgroup *cg, char **ret)
{
	char *path = launch_json_text(cg->path), *text = NULL, *whole = NULL;
	int r = 0;

	if (!path ||
	    asprintf(&text, "{\"mode\":%d,\"path\":%s,\"dirs\":[", (int)cg->mode, path) < 0) {
		text = NULL;
		r = -ENOMEM;
	}
	for (unsigned i = 0; i < cg->n && r == 0; i++)
		r = record_add(cg, &cg->dirs[i], &text);
	if (r == 0 && asprintf(&whole, "%s]}", text) < 0)
		r = -ENOMEM;
	free(path);
	free(text);
	if (r == 0)
		*ret = whole;
	return r;
}

const char *launch_cgroup_path(const struct launch_cgroup *cg)
{
	return cg->dirs[0].dir;
}

const char *cgroup_dir_of(const struct launch_cgroup *cg, const char *controller)
{
	for (unsigned i = 0; i < cg->n; i++) {
		if (cgroup_list_has(cg->dirs[i].controllers, controller))
			return cg->dirs[i].dir;
	}
	return cg->mode == LAUNCH_CGROUP_V2 ? cg->dirs[0].dir : NULL;
}

void launch_cgroup_free(struct launch_cgroup *cg)
{
	if (!cg)
		return;
	for (unsigned i = 0; i < cg->n; i++) {
		free(cg->dirs[i].dir);
		free(cg->dirs[i].controllers);
	}
	free(cg->path);
	free(cg);
}
