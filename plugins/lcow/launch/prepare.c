/* SPDX-License-Identifier: MIT */
/*
 * Everything that a launch needs is opened before the clone: what can fail for want of something,
 * fails here.
 */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

struct launch *parent_new(const struct launch_plan *plan, const struct launch_plan *exec,
			  const struct launch_run_options *options, struct launch_error *err)
{
	struct launch *l = calloc(1, sizeof(*l));
	struct child *c;

	if (!l) {
		(void)parent_fail(err, -ENOMEM, "launch");
		return NULL;
	}
	l->plan = plan;
	l->exec = exec;
	l->options = options;
	l->err = err;
	l->sock = l->status = l->console = l->cgroup_dir = l->join_pid = l->pidfd = -1;
	c = &l->child;
	c->plan = exec ? exec : plan;
	c->exec = exec != NULL;
	c->no_pivot = options->no_pivot;
	c->keyring = options->keyring;
	c->fail_step = options->fail_step;
	c->terminal = c->plan->process.terminal != 0;
	c->sock = c->job = c->stub = c->status = c->proc = c->null = -1;
	c->root_fd = c->container_pidfd = c->root = c->masked_dir = c->node_dir = -1;
	c->size.ws_row = options->stdio.height ? options->stdio.height : c->plan->process.height;
	c->size.ws_col = options->stdio.width ? options->stdio.width : c->plan->process.width;
	c->in = c->terminal ? -1 : options->stdio.in;
	c->out = c->terminal ? -1 : options->stdio.out;
	c->err = c->terminal ? -1 : options->stdio.err;
	c->fds = options->fds;
	c->n_fds = options->n_fds;
	return l;
}

static int prepare_channel(struct launch *l)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return parent_fail(l->err, -errno, "gate");
	l->sock = pair[0];
	l->child.sock = pair[1];
	if (!l->options->init || l->exec)
		return 0;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return parent_fail(l->err, -errno, "status pipe");
	l->status = pair[0];
	l->child.status = pair[1];
	return 0;
}

/* The highest capability the kernel knows, once. */
static uint32_t prepare_last_cap(void)
{
	static _Atomic uint32_t cached;
	char buf[16] = "";
	uint32_t cap = cached;
	int fd;

	if (cap)
		return cap;
	fd = open("/proc/sys/kernel/cap_last_cap", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, buf, sizeof(buf) - 1) > 0)
			cap = (uint32_t)atoi(buf);
		(void)close(fd);
	}
	cached = cap > 0 && cap < 64 ? cap : 40;
	return cached;
}

/* Without root, the group map of a user namespace is written only where setgroups is denied. */
static bool prepare_denies_setgroups(const struct launch *l)
{
	bool user = l->plan->clone_flags & CLONE_NEWUSER;

	for (uint32_t i = 0; i < l->plan->joins.n; i++)
		user |= launch_at(l->plan, l->plan->joins, struct launch_ns_join, i)->type == CLONE_NEWUSER;
	return user && geteuid() != 0;
}

/* The plan as the stub gets it. */
static int prepare_job(struct launch *l)
{
	const struct launch_plan *p = l->child.plan;
	struct launch_job job = {
		.n_fds = l->options->n_fds,
		.fail_step = l->options->fail_step,
		.personality_set = l->plan->personality_set,
		.personality = l->plan->personality,
		.last_cap = prepare_last_cap(),
		.proc_fd = -1,
	};
	struct iovec iov[2] = { { &job, sizeof(job) }, { (void *)(uintptr_t)p, p->size } };
	ssize_t want = (ssize_t)(sizeof(job) + p->size);

	job.flags |= l->options->init && !l->exec ? LAUNCH_JOB_INIT : 0;
	job.flags |= l->exec ? LAUNCH_JOB_NO_GATE : 0;
	job.flags |= l->child.terminal ? LAUNCH_JOB_TERMINAL : 0;
	job.flags |= prepare_denies_setgroups(l) ? LAUNCH_JOB_NO_SETGROUPS : 0;
	l->child.job = memfd_create("plan", MFD_CLOEXEC);
	if (l->child.job < 0)
		return parent_fail(l->err, -errno, "plan");
	if (writev(l->child.job, iov, 2) != want)
		return parent_fail(l->err, errno ? -errno : -EIO, "plan");
	return 0;
}

/*
 * The null device for streams that nobody gave.  Opened through a read-only mount of it alone where
 * that can be had: or the container's root could change the mode of the host's by descriptor.
 */
static int prepare_open_null(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int tree = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), fd = -1;
	char path[32];
	struct stat st;

	if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", tree);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (tree >= 0)
		(void)close(tree);
	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return fd;
	(void)close(fd);
	return -EINVAL;
}

/* A copy of one that is opened once: the child closes or moves what it has. */
static int prepare_null(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int made = -1;
	int fd;

	(void)pthread_mutex_lock(&lock);
	fd = made >= 0 ? made : prepare_open_null();
	if (fd >= 0) {
		made = fd;
		fd = fcntl(made, F_DUPFD_CLOEXEC, 3);
		fd = fd < 0 ? -errno : fd;
	}
	(void)pthread_mutex_unlock(&lock);
	return fd;
}

static int prepare_host_files(struct launch *l)
{
	struct child *c = &l->child;
	struct statfs fs;

	c->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->proc < 0 || fstatfs(c->proc, &fs) < 0)
		return parent_fail(l->err, -errno, "/proc");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return parent_error(l->err, -EINVAL, "/proc: no procfs is mounted there");
	c->null = prepare_null();
	if (c->null < 0)
		return parent_fail(l->err, c->null, "/dev/null");
	c->stub = parent_stub();
	if (c->stub < 0)
		return parent_fail(l->err, c->stub, "cowherd-init");
	/* A copy of the descriptor, because the child closes or moves what it has. */
	c->stub = fcntl(c->stub, F_DUPFD_CLOEXEC, 3);
	return c->stub < 0 ? parent_fail(l->err, -errno, "cowherd-init") : 0;
}

static int prepare_join(struct launch *l, const struct launch_ns_join *j)
{
	const char *path = launch_text(l->plan, j->path);
	struct child *c = &l->child;
	int type, fd;

	if (c->n_joins == CHILD_JOINS_MAX)
		return parent_error(l->err, -E2BIG, "namespaces: too many to join");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return parent_fail(l->err, -errno, "namespace %s", path);
	c->join_fd[c->n_joins] = fd;
	c->join_type[c->n_joins++] = j->type;
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0 || (uint32_t)type != j->type)
		return parent_error(l->err, -EINVAL,
				    "namespace %s: it is not a namespace of that type", path);
	return 0;
}

/* One clone or two?  See child_first_stage(). */
static void prepare_flags(struct launch *l)
{
	struct child *c = &l->child;
	uint64_t fresh = l->plan->clone_flags;
	bool join_user = false, join_pid = false;

	for (uint32_t i = 0; i < c->n_joins; i++) {
		join_user |= c->join_type[i] == CLONE_NEWUSER;
		join_pid |= c->join_type[i] == CLONE_NEWPID;
	}
	c->userns = join_user || fresh & CLONE_NEWUSER;
	c->netns = (fresh & CLONE_NEWNET) != 0;
	/*
	 * Its maps are written by us from outside; an unprivileged writer may not if it is not
	 * dumpable.
	 */
	c->dumpable = c->userns && geteuid() != 0;
	c->two_stage = join_user || (fresh & CLONE_NEWUSER && c->n_joins) || fresh & CLONE_NEWTIME;
	fresh &= ~(uint64_t)CLONE_NEWCGROUP;
	if (c->two_stage) {
		c->clone_flags = fresh & ~(uint64_t)(CLONE_NEWUSER | CLONE_NEWTIME);
		l->first_flags = 0;
		return;
	}
	/*
	 * The network namespace takes as long as all the rest: made here while the child goes on.
	 * It must belong to the container's user namespace where that is another than ours.
	 */
	c->netns_to_come = c->lo_to_come = c->netns && !c->userns;
	if (c->netns_to_come)
		fresh &= ~(uint64_t)CLONE_NEWNET;
	c->clone_flags = l->first_flags = fresh;
	/*
	 * The calling thread makes its next child in that pid namespace: this spares a second
	 * clone.
	 */
	for (uint32_t i = 0; join_pid && i < c->n_joins; i++) {
		if (c->join_type[i] == CLONE_NEWPID)
			l->join_pid = c->join_fd[i];
	}
}

static bool prepare_old_mount_api(void)
{
	static _Atomic int cached; /* 1: new, 2: old */

	if (!cached)
		cached = mount_setattr(-1, "", 0, NULL, 0) < 0 && errno == ENOSYS ? 2 : 1;
	return cached == 2;
}

/* What the kernel would refuse after minutes of mounting. */
static int prepare_mount_count(struct launch *l)
{
	uint32_t n = l->plan->mounts.n;
	unsigned long most;
	char buf[24] = "";
	int fd;

	if (n < 1024)
		return 0;
	fd = open("/proc/sys/fs/mount-max", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	most = read(fd, buf, sizeof(buf) - 1) > 0 ? strtoul(buf, NULL, 10) : 0;
	(void)close(fd);
	if (most == 0 || n < most)
		return 0;
	return parent_error(l->err, -ENOSPC,
			    "mounts: %u of them, and a mount namespace takes fewer than %lu"
			    " (fs.mount-max)",
			    n, most);
}

int parent_prepare(struct launch *l)
{
	struct child *c = &l->child;
	int r;

	if (l->options->n_fds > CHILD_FDS_MAX / 2)
		return parent_error(l->err, -E2BIG, "descriptors: too many to hand over");
	/* As early as can be.  Where the child is to make it itself, see prepare_flags(). */
	if (!l->exec && l->plan->clone_flags & CLONE_NEWNET && l->plan->joins.n == 0 &&
	    !(l->plan->clone_flags & (CLONE_NEWUSER | CLONE_NEWTIME)))
		l->netns_begun = parent_netns_begin();
	r = prepare_channel(l);
	if (r == 0)
		r = prepare_job(l);
	if (r == 0)
		r = prepare_host_files(l);
	c->mount_by_fd = prepare_old_mount_api();
	if (r == 0 && l->options->cgroup)
		r = launch_cgroup_prepare_child(l->options->cgroup, c, &l->cgroup_dir, l->err);
	if (r < 0 || l->exec)
		return r;
	r = prepare_mount_count(l);
	for (uint32_t i = 0; i < l->plan->joins.n && r == 0; i++)
		r = prepare_join(l, launch_at(l->plan, l->plan->joins, struct launch_ns_join, i));
	if (r == 0)
		prepare_flags(l);
	return r;
}

/* The child has its copies: ours go, so that its end of file is seen. */
void parent_close_childs(struct launch *l)
{
	struct child *c = &l->child;

	close_fd(&c->sock);
	close_fd(&c->job);
	close_fd(&c->status);
	close_fd(&c->proc);
	close_fd(&c->null);
	close_fd(&c->stub);
	for (uint32_t i = 0; i < c->n_joins; i++)
		close_fd(&c->join_fd[i]);
	for (uint32_t i = 0; i < c->n_cgroup_fds; i++)
		close_fd(&c->cgroup_fd[i]);
	close_fd(&l->cgroup_dir);
}

void parent_free(struct launch *l)
{
	if (!l)
		return;
	if (l->netns_begun)
		parent_netns_drop();
	parent_close_childs(l);
	close_fd(&l->sock);
	close_fd(&l->status);
	close_fd(&l->console);
	close_fd(&l->pidfd);
	free(l);
}
