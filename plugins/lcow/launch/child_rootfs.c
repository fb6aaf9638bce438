/* SPDX-License-Identifier: MIT */
/* The container's root: mounted, furnished, closed in, and made the root. */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/stat.h>

#define UMOUNT_DETACH 2 /* MNT_DETACH, which only <sys/mount.h> has */

/* The root of the mount that path is in: up, until ".." would leave it. */
static int child_mount_above(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_NO_XDEV };
	int fd = (int)sys(openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0) {
		int up = (int)sys(openat2, fd, "..", &how, sizeof(how));
		struct stat a, b;

		if (up == -EXDEV)
			return fd;
		if (up < 0 || sys(fstat, fd, &a) < 0 || sys(fstat, up, &b) < 0) {
			(void)sys(close, fd);
			return up < 0 ? up : -EIO;
		}
		(void)sys(close, fd);
		fd = up;
		if (a.st_ino == b.st_ino && a.st_dev == b.st_dev)
			return fd; /* "/" is its own parent */
	}
	return fd;
}

/*
 * The mounts are as shared with the host as the spec says; by default what the host mounts later is
 * seen, and nothing goes the other way.  What is mounted in the rootfs stays in the container in
 * any case: pivot_root, too, wants no shared mount around it.  What is unbindable could not be a
 * source: that is for the container's own root, at the end.
 */
static int child_propagation(struct child *c)
{
	const char *rootfs = launch_text(c->plan, c->plan->rootfs);
	uint32_t flags = c->plan->rootfs_propagation;
	long r = child_step(c, LAUNCH_STEP_PROPAGATION, 0);
	int fd;

	if (flags & MS_UNBINDABLE)
		flags = MS_PRIVATE | MS_REC;
	if (r == 0)
		r = sys(mount, NULL, "/", NULL, flags ? flags : MS_SLAVE | MS_REC, NULL);
	if (r < 0 || !flags || flags == (MS_SLAVE | MS_REC) || flags == (MS_PRIVATE | MS_REC))
		return (int)r;
	r = child_step(c, LAUNCH_STEP_ROOTFS, 0);
	fd = r < 0 ? (int)r : child_mount_above(rootfs);
	if (fd < 0)
		return fd;
	r = child_propagate(c, fd, MS_PRIVATE);
	(void)sys(close, fd);
	return (int)r;
}

static int child_mount_root(struct child *c)
{
	const char *rootfs = launch_text(c->plan, c->plan->rootfs);
	int r = child_propagation(c);
	struct stat st;

	if (r == 0)
		r = child_step(c, LAUNCH_STEP_ROOTFS, 0);
	if (r < 0)
		return r;
	c->root = child_clone_tree(AT_FDCWD, rootfs, AT_RECURSIVE);
	if (c->root == -EACCES && c->userns) {
		/* A user namespace's root need not be able to reach it; then any place will do. */
		r = child_ask(c, LAUNCH_MSG_MOUNT, LAUNCH_MOUNT_ROOTFS, &c->root);
		rootfs = "/";
	}
	if (r < 0 || c->root < 0)
		return r < 0 ? r : c->root;
	r = (int)sys(fstat, c->root, &st);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r < 0 ? r : -ENOTDIR;
	return (int)sys(move_mount, c->root, "", AT_FDCWD, rootfs,
			MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
}

/*
 * The directory the process starts in is made where it is missing, as others do; its absence shows
 * later.
 */
static int child_make_cwd(struct child *c)
{
	const char *cwd = launch_text(c->plan, c->plan->process.cwd);
	int fd, r = child_step(c, LAUNCH_STEP_CWD_MAKE, 0);

	if (r < 0 || !cwd)
		return r;
	fd = resolve(c->root, cwd, RESOLVE_MAKE_DIR);
	if (fd >= 0)
		(void)sys(close, fd);
	return 0;
}

/* Over a file: the host's /dev/null, and nothing else; read-only, or its mode could be changed. */
static int child_mask_file(struct child *c, int target)
{
	struct stat st;
	int tree = child_clone_tree(AT_FDCWD, "/dev/null", 0);
	long r = tree;

	if (tree < 0)
		return tree;
	r = sys(fstat, tree, &st);
	if (r == 0 && (!S_ISCHR(st.st_mode) || st.st_rdev != sys_makedev(1, 3)))
		r = -EINVAL;
	if (r == 0 && !c->mount_by_fd)
		r = child_set_attr(c, tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, false);
	if (r == 0)
		r = child_attach(tree, target);
	if (r == 0 && c->mount_by_fd)
		r = child_set_attr(c, tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, false);
	(void)sys(close, tree);
	return (int)r;
}

/* Over a directory: an empty tmpfs; one serves all. */
static int child_mask_dir(struct child *c, int target)
{
	long fs, fd, r;

	if (c->masked_dir >= 0) {
		fd = child_clone_tree(c->masked_dir, "", AT_EMPTY_PATH);
		if (fd < 0)
			return (int)fd;
		r = child_attach((int)fd, target);
		(void)sys(close, fd);
		return (int)r;
	}
	fs = sys(fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return (int)fs;
	r = sys(fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0);
	if (r == 0)
		r = sys(fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0);
	if (r == 0)
		r = sys(fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	fd = r < 0 ? r
		   : sys(fsmount, fs, FSMOUNT_CLOEXEC,
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				 MOUNT_ATTR_NOEXEC);
	(void)sys(close, fs);
	if (fd < 0)
		return (int)fd;
	c->masked_dir = (int)fd;
	return child_attach((int)fd, target);
}

int child_mask(struct child *c)
{
	const struct launch_plan *p = c->plan;
	long r = 0;

	for (uint32_t i = 0; i < p->masked.n && r == 0; i++) {
		const char *path = launch_text(p, *launch_at(p, p->masked, launch_str, i));
		struct stat st;
		int fd;

		r = child_step(c, LAUNCH_STEP_MASKED, i);
		fd = r < 0 ? (int)r : resolve(c->root, path, RESOLVE_MUST_EXIST);
		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		r = fd < 0 ? fd : sys(fstat, fd, &st);
		if (r == 0)
			r = S_ISDIR(st.st_mode) ? child_mask_dir(c, fd) : child_mask_file(c, fd);
		if (fd >= 0)
			(void)sys(close, fd);
	}
	return (int)r;
}

/* The same tree again on top of itself, read-only. */
static int child_readonly_path(struct child *c, int target)
{
	int tree = child_clone_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE);
	int r;

	if (tree < 0)
		return tree;
	r = c->mount_by_fd ? 0 : child_set_attr(c, tree, MOUNT_ATTR_RDONLY, 0, false);
	if (r == 0)
		r = child_attach(tree, target);
	if (r == 0 && c->mount_by_fd)
		r = child_set_attr(c, tree, MOUNT_ATTR_RDONLY, 0, false);
	(void)sys(close, tree);
	return r;
}

int child_readonly(struct child *c)
{
	const struct launch_plan *p = c->plan;
	int r = 0;

	for (uint32_t i = 0; i < c->n_late && r == 0; i++) {
		r = child_step(c, LAUNCH_STEP_MOUNT_OPTIONS, c->late[i].mount);
		if (r == 0)
			r = child_set_attr(c, c->late[i].fd, MOUNT_ATTR_RDONLY, 0, false);
	}
	for (uint32_t i = 0; i < p->readonly.n && r == 0; i++) {
		const char *path = launch_text(p, *launch_at(p, p->readonly, launch_str, i));
		int fd;

		r = child_step(c, LAUNCH_STEP_READONLY, i);
		fd = r < 0 ? r : resolve(c->root, path, RESOLVE_MUST_EXIST);
		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		r = fd < 0 ? fd : child_readonly_path(c, fd);
		if (fd >= 0)
			(void)sys(close, fd);
	}
	if (r == 0 && p->rootfs_readonly) {
		r = child_step(c, LAUNCH_STEP_ROOT_READONLY, 0);
		if (r == 0)
			r = child_set_attr(c, c->root, MOUNT_ATTR_RDONLY, 0, false);
	}
	return r;
}

/* On an initramfs, which cannot be pivoted away from: move the root over /, and chroot. */
static long child_move_root(struct child *c)
{
	long r = sys(move_mount, c->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);

	return r < 0 ? r : sys(chroot, ".");
}

/* The old root then lies on top of the new one; unmounting it must not be told to the host. */
static long child_pivot(void)
{
	int old = (int)sys(openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	long r = old < 0 ? old : sys(pivot_root, ".", ".");

	if (r == 0)
		r = sys(fchdir, old);
	if (r == 0)
		r = sys(mount, NULL, ".", NULL, MS_SLAVE | MS_REC, NULL);
	if (r == 0)
		r = sys(umount2, ".", UMOUNT_DETACH);
	if (old >= 0)
		(void)sys(close, old);
	return r;
}

static int child_enter_root(struct child *c)
{
	uint32_t flags = c->plan->rootfs_propagation;
	long r = child_step(c, LAUNCH_STEP_PIVOT, 0);

	if (r == 0)
		r = sys(fchdir, c->root);
	if (r == 0)
		r = c->no_pivot ? child_move_root(c) : child_pivot();
	if (r == 0)
		r = sys(chdir, "/");
	if (r == 0 && flags) {
		r = child_step(c, LAUNCH_STEP_PROPAGATION, 1);
		if (r == 0)
			r = sys(mount, NULL, "/", NULL, flags, NULL);
	}
	return (int)r;
}

static bool child_wants_hooks(const struct launch_plan *p)
{
	return p->hooks[LAUNCH_HOOK_PRESTART].n || p->hooks[LAUNCH_HOOK_CREATE_RUNTIME].n ||
	       p->hooks[LAUNCH_HOOK_CREATE_CONTAINER].n;
}

int child_rootfs(struct child *c)
{
	int r = child_mount_root(c);

	for (uint32_t i = 0; i < c->plan->mounts.n && r == 0; i++)
		r = child_mount(c, i);
	if (r == 0)
		r = child_devices(c);
	if (r == 0)
		r = child_console(c);
	if (r == 0)
		r = child_make_cwd(c);
	if (r == 0)
		r = child_kernel_settings(c);
	if (r == 0 && child_wants_hooks(c->plan)) {
		r = child_step(c, LAUNCH_STEP_HOOKS, 0);
		if (r == 0)
			r = child_ask(c, LAUNCH_MSG_HOOKS, 0, NULL);
	}
	if (r == 0)
		r = child_mask(c);
	if (r == 0)
		r = child_readonly(c);
	return r < 0 ? r : child_enter_root(c);
}
