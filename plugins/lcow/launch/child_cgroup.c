/* SPDX-License-Identifier: MIT */
/*
 * The cgroup mount: the container's own directories by bind mount, which shows the same as a mount
 * inside the cgroup namespace would, and never a hierarchy in which the container has no directory
 * of its own.
 */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>

/* Like the others on a v1 host: a small tmpfs, to hold one directory per hierarchy. */
static int child_cgroup_tmpfs(void)
{
	long fs = sys(fsopen, "tmpfs", FSOPEN_CLOEXEC), fd;

	if (fs < 0)
		return (int)fs;
	fd = sys(fsconfig, fs, FSCONFIG_SET_STRING, "mode", "755", 0);
	if (fd == 0)
		fd = sys(fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (fd == 0)
		fd = sys(fsmount, fs, FSMOUNT_CLOEXEC,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	(void)sys(close, fs);
	return (int)fd;
}

/* A tree of the host onto target, with the mount's attributes. */
static int child_cgroup_bind(struct child *c, const struct launch_mount *m, const char *from,
			     int target, uint64_t more, bool recursive)
{
	int tree = child_clone_tree(AT_FDCWD, from, recursive ? AT_RECURSIVE : 0);
	int r = tree;

	if (tree < 0)
		return tree;
	if (!c->mount_by_fd)
		r = child_set_attr(c, tree, m->attr_set | more, m->attr_clear, recursive);
	if (r >= 0)
		r = child_attach(tree, target);
	if (r == 0 && c->mount_by_fd)
		r = child_set_attr(c, tree, m->attr_set | more, m->attr_clear, recursive);
	(void)sys(close, tree);
	return r;
}

/* "cpu" and "cpuacct" beside "cpu,cpuacct". */
static int child_cgroup_aliases(struct child *c, int dir, const struct child_cgroup *g)
{
	const char *alias = g->alias;
	long r = 0;

	while (alias && *alias && r == 0) {
		size_t n = 0;

		for (; *alias && *alias != ',' && n + 1 < sizeof(c->buf); alias++)
			c->buf[n++] = *alias;
		c->buf[n] = '\0';
		if (*alias == ',')
			alias++;
		r = sys(symlinkat, g->name, dir, c->buf);
	}
	return (int)r;
}

static int child_cgroup_one(struct child *c, const struct launch_mount *m, int dir,
			    const struct child_cgroup *g)
{
	long r = sys(mkdirat, dir, g->name, 0755);
	int target;

	if (r < 0)
		return (int)r;
	target = (int)sys(openat, dir, g->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return target;
	r = child_cgroup_bind(c, m, g->dir, target, 0, false);
	(void)sys(close, target);
	return r < 0 ? (int)r : child_cgroup_aliases(c, dir, g);
}

static int child_cgroup_many(struct child *c, const struct launch_mount *m, int target)
{
	int dir = child_cgroup_tmpfs();
	int r = dir < 0 ? dir : child_attach(dir, target);

	for (uint32_t i = 0; i < c->n_cgroups && r == 0; i++)
		r = child_cgroup_one(c, m, dir, &c->cgroup[i]);
	if (r == 0)
		r = child_set_attr(c, dir, m->attr_set, m->attr_clear, false);
	if (dir >= 0)
		(void)sys(close, dir);
	return r;
}

int child_mount_cgroup(struct child *c, const struct launch_mount *m)
{
	int target = resolve(c->root, launch_text(c->plan, m->target), RESOLVE_MAKE_DIR);
	int r;

	if (target < 0)
		return target;
	if (c->n_cgroups == 0) /* it has none: the host's, to look at */
		r = child_cgroup_bind(c, m, "/sys/fs/cgroup", target, MOUNT_ATTR_RDONLY, true);
	else if (!c->cgroup[0].name[0])
		r = child_cgroup_bind(c, m, c->cgroup[0].dir, target, 0, false);
	else
		r = child_cgroup_many(c, m, target);
	(void)sys(close, target);
	return r;
}
