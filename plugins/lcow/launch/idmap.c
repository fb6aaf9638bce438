/* SPDX-License-Identifier: MIT */
/* Id maps: of user namespaces, and of mounts (whose maps are those of a user namespace, too). */
#include "parent.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP_LINE_MAX 36 /* three numbers of ten digits */

static int idmap_write(const struct launch_plan *plan, pid_t pid, const char *file,
		       const struct launch_vec *maps, struct launch_error *err)
{
	size_t size = (size_t)maps->n * MAP_LINE_MAX + 1, n = 0;
	char *text = malloc(size);
	int r;

	if (!text)
		return parent_fail(err, -ENOMEM, "%s", file);
	for (uint32_t i = 0; i < maps->n; i++) {
		const struct launch_idmap *m = launch_at(plan, *maps, struct launch_idmap, i);

		n += (size_t)snprintf(text + n, size - n, "%u %u %u\n", m->inside, m->outside,
				      m->count);
	}
	/* All lines must be given in one write. */
	r = n ? parent_write_proc(pid, file, text) : 0;
	free(text);
	return r < 0 ? parent_fail(err, r, "%s of process %d (%u lines)", file, pid, maps->n) : 0;
}

int parent_write_maps(const struct launch_plan *plan, pid_t pid, const struct launch_vec *uid,
		      const struct launch_vec *gid, struct launch_error *err)
{
	int r = idmap_write(plan, pid, "uid_map", uid, err);

	if (r == 0 && gid->n && geteuid() != 0) {
		/*
		 * Without privileges, a group map is only taken from who cannot drop groups any
		 * more.
		 */
		r = parent_write_proc(pid, "setgroups", "deny");
		if (r < 0)
			return parent_fail(err, r, "setgroups");
	}
	return r < 0 ? r : idmap_write(plan, pid, "gid_map", gid, err);
}

/* In the helper: wait until the other end is closed.  Raw calls only, see clone.c. */
__attribute__((noreturn, no_sanitize("address", "undefined"))) static void idmap_helper(int gate)
{
	char byte;

	if (gate > 0)
		(void)sys(close_range, 0, gate - 1, 0);
	(void)sys(close_range, gate + 1, 0xffffffffu, 0);
	(void)sys(read, gate, &byte, 1);
	for (;;)
		(void)sys(exit_group, 0);
}

/*
 * A user namespace with a mount's own maps: made by a helper that lives until it has a descriptor.
 */
static int idmap_make_userns(const struct launch_plan *plan, const struct launch_mount *m,
			     struct launch_error *err)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	char path[48];
	int pair[2], fd, r;
	siginfo_t info;
	long pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return parent_fail(err, -errno, "id map");
	parent_copy_lock();
	pid = sys(clone3, &args, sizeof(args));
	if (pid == 0)
		idmap_helper(pair[1]);
	parent_copy_unlock();
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return parent_fail(err, (int)pid, "id map");
	}
	r = parent_write_maps(plan, (pid_t)pid, &m->uid_maps, &m->gid_maps, err);
	fd = r;
	if (r == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%ld/ns/user", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fd = parent_fail(err, -errno, "id map");
	}
	(void)close(pair[0]);
	(void)waitid(P_PID, (id_t)pid, &info, WEXITED);
	return fd;
}

static int idmap_userns(struct launch *l, const struct launch_mount *m)
{
	char path[48];
	int fd;

	if (m->uid_maps.n || m->gid_maps.n)
		return idmap_make_userns(l->plan, m, l->err);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", l->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? parent_fail(l->err, -errno, "%s", path) : fd;
}

static int idmap_apply(struct launch *l, const struct launch_mount *m, int tree)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	unsigned flags = AT_EMPTY_PATH | (m->opts & LAUNCH_MOUNT_IDMAP_REC ? AT_RECURSIVE : 0);
	int r = 0, userns = idmap_userns(l, m);

	if (userns < 0)
		return userns;
	attr.userns_fd = (uint64_t)(unsigned)userns;
	if (mount_setattr(tree, "", flags, &attr, sizeof(attr)) < 0)
		r = -errno;
	(void)close(userns);
	return r;
}

int parent_open_mount(struct launch *l, uint32_t i)
{
	static const struct launch_mount rootfs = { .opts = LAUNCH_MOUNT_REC };
	const struct launch_mount *m =
		i == LAUNCH_MOUNT_ROOTFS
			? &rootfs
			: launch_at(l->plan, l->plan->mounts, struct launch_mount, i);
	launch_str source = i == LAUNCH_MOUNT_ROOTFS ? l->plan->rootfs : m->source;
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	int fd, r;

	flags |= m->opts & LAUNCH_MOUNT_REC ? AT_RECURSIVE : 0;
	flags |= m->opts & LAUNCH_MOUNT_NOFOLLOW_SRC ? AT_SYMLINK_NOFOLLOW : 0;
	fd = open_tree(AT_FDCWD, launch_text(l->plan, source), flags);
	if (fd < 0)
		return -errno;
	r = m->opts & LAUNCH_MOUNT_IDMAP ? idmap_apply(l, m, fd) : 0;
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}
