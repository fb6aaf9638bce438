/* SPDX-License-Identifier: MIT */
/* Device nodes, their symlinks, and the console. */
#include "child.h"
#include "sys.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Is fd the very device that was asked for?  Whatever a path said, this is what gets mounted. */
static int child_check_device(int fd, uint32_t type, unsigned long rdev)
{
	struct stat st;
	long r = sys(fstat, fd, &st);

	if (r < 0)
		return (int)r;
	if ((st.st_mode & S_IFMT) != type)
		return -EINVAL;
	return type == S_IFIFO || st.st_rdev == rdev ? 0 : -EINVAL;
}

/* Where mknod is not allowed: the host's node of that name, by bind mount. */
static int child_bind_device(struct child *c, const struct launch_device *d, unsigned long rdev)
{
	const char *path = launch_text(c->plan, d->path);
	int tree, target, r;

	tree = child_clone_tree(AT_FDCWD, path, 0);
	if (tree < 0)
		return tree;
	r = child_check_device(tree, d->type, rdev);
	if (r == 0) {
		target = resolve(c->root, path, RESOLVE_MAKE_FILE | RESOLVE_NOFOLLOW);
		r = target < 0 ? target : child_attach(tree, target);
		if (target >= 0)
			(void)sys(close, target);
	}
	(void)sys(close, tree);
	return r;
}

/* Something of that name is there: fine if it is that device. */
static int child_existing_device(int dir, const char *name, const struct launch_device *d,
				 unsigned long rdev)
{
	long fd = sys(openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return (int)fd;
	r = child_check_device((int)fd, d->type, rdev);
	(void)sys(close, fd);
	return r < 0 ? -EEXIST : 0;
}

/*
 * The directory for a node, and its name in c->buf.  They nearly always share one, so the last is
 * kept; what a path leads to does not change between two of them, because nothing is mounted there
 * in between.
 */
static int child_node_dir(struct child *c, const char *path)
{
	size_t at = sys_strlen(path);
	bool same = c->node_dir >= 0;

	while (at && path[at - 1] != '/')
		at--;
	for (size_t i = 0; same && i < at; i++)
		same = path[i] == c->node_path[i];
	if (same && !c->node_path[at] && path[at] && path[at] != '.') {
		(void)sys_append(c->buf, sizeof(c->buf), 0, path + at);
		return c->node_dir;
	}
	if (c->node_dir >= 0)
		(void)sys(close, c->node_dir);
	c->node_dir = resolve_parent(c->root, path, c->buf);
	c->node_path[0] = '\0';
	for (size_t i = 0; i < at && at < sizeof(c->node_path); i++) {
		c->node_path[i] = path[i];
		c->node_path[i + 1] = '\0';
	}
	return c->node_dir;
}

static int child_device(struct child *c, const struct launch_device *d)
{
	unsigned long rdev = sys_makedev(d->major, d->minor);
	int dir = child_node_dir(c, launch_text(c->plan, d->path));
	long r;

	if (dir < 0)
		return dir;
	if (c->userns && d->type != S_IFIFO)
		r = -EPERM;
	else
		r = sys(mknodat, dir, c->buf, d->type | (d->mode & 07777), rdev);
	if (r == 0 && (d->uid || d->gid))
		r = sys(fchownat, dir, c->buf, d->uid, d->gid, AT_SYMLINK_NOFOLLOW);
	else if (r == -EEXIST)
		r = child_existing_device(dir, c->buf, d, rdev);
	else if (r == -EPERM)
		r = child_bind_device(c, d, rdev);
	return (int)r;
}

static int child_symlink(struct child *c, const struct launch_symlink *s)
{
	int dir = child_node_dir(c, launch_text(c->plan, s->path));
	long r;

	if (dir < 0)
		return dir;
	r = sys(symlinkat, launch_text(c->plan, s->target), dir, c->buf);
	return r == -EEXIST ? 0 : (int)r;
}

int child_devices(struct child *c)
{
	const struct launch_plan *p = c->plan;
	int r = 0;

	for (uint32_t i = 0; i < p->devices.n && r == 0; i++) {
		r = child_step(c, LAUNCH_STEP_DEVICE, i);
		if (r == 0)
			r = child_device(c, launch_at(p, p->devices, struct launch_device, i));
	}
	for (uint32_t i = 0; i < p->symlinks.n && r == 0; i++) {
		r = child_step(c, LAUNCH_STEP_SYMLINK, i);
		if (r == 0)
			r = child_symlink(c, launch_at(p, p->symlinks, struct launch_symlink, i));
	}
	if (c->node_dir >= 0)
		(void)sys(close, c->node_dir);
	return r;
}

/*
 * The other end of the terminal over /dev/console, by descriptor: no path of the container's is
 * trusted.
 */
static int child_bind_console(struct child *c, int slave)
{
	int tree = child_clone_tree(slave, "", AT_EMPTY_PATH);
	int target =
		tree < 0 ? tree
			 : resolve(c->root, "/dev/console", RESOLVE_MAKE_FILE | RESOLVE_NOFOLLOW);
	int r = target < 0 ? target : child_attach(tree, target);

	if (target >= 0)
		(void)sys(close, target);
	if (tree >= 0)
		(void)sys(close, tree);
	return r;
}

static int child_open_ptmx(struct child *c)
{
	struct statfs st;
	int path = resolve(c->root, "/dev/pts/ptmx", RESOLVE_NOFOLLOW);
	size_t pos = sys_append(c->buf, sizeof(c->buf), 0, "self/fd/");
	long r, fd;

	if (path < 0)
		return path;
	r = sys(fstatfs, path, &st);
	if (r == 0 && st.f_type != DEVPTS_SUPER_MAGIC)
		r = -ENODEV;
	if (r == 0)
		r = child_check_device(path, S_IFCHR, sys_makedev(5, 2));
	/* Reopened for use through the host's procfs: it is this very inode. */
	(void)sys_append_number(c->buf, sizeof(c->buf), pos, (unsigned long)path);
	fd = r < 0 ? r : sys(openat, c->proc, c->buf, O_RDWR | O_NOCTTY | O_CLOEXEC);
	(void)sys(close, path);
	return (int)fd;
}

/*
 * A pty of the container's own devpts; its master goes to the parent, its slave becomes 0, 1 and 2.
 */
int child_console(struct child *c)
{
	long r = child_step(c, LAUNCH_STEP_CONSOLE, 0);
	int unlock = 0, master, slave = -1;

	if (!c->terminal || r < 0)
		return (int)r;
	master = child_open_ptmx(c);
	r = master < 0 ? master : sys(ioctl, master, TIOCSPTLCK, &unlock);
	if (r == 0) {
		slave = (int)sys(ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		r = slave < 0 ? slave : 0;
	}
	/* Here and not by the parent, which an exec does not wait for: the program finds its size. */
	if (r == 0 && c->size.ws_row && c->size.ws_col)
		(void)sys(ioctl, master, TIOCSWINSZ, &c->size);
	if (r == 0 && !c->exec)
		r = child_bind_console(c, slave);
	if (r == 0)
		r = child_send(c, LAUNCH_MSG_CONSOLE, 0, 0, master);
	if (r == 0)
		c->in = c->out = c->err = slave;
	if (master >= 0)
		(void)sys(close, master);
	return (int)r;
}
