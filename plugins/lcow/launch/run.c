/* SPDX-License-Identifier: MIT */
/* Launching: create up to the gate, start, take up again, close.  The contract is in run.h. */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static int run_check(const struct launch_plan *plan, struct launch_error *err)
{
	bool mount_ns = (plan->clone_flags & CLONE_NEWNS) != 0;

	if (err)
		err->code = 0;
	if (plan->magic != LAUNCH_PLAN_MAGIC || plan->version != LAUNCH_PLAN_VERSION)
		return parent_error(err, -EINVAL, "plan: not one of this version");
	if (!plan->has_process || !plan->process.args.n)
		return parent_error(err, -EINVAL, "plan: no process to run");
	for (uint32_t i = 0; i < plan->joins.n; i++)
		mount_ns |=
			launch_at(plan, plan->joins, struct launch_ns_join, i)->type == CLONE_NEWNS;
	/* Without one, all mounts would be the host's. */
	if (!mount_ns)
		return parent_error(
			err, -ENOTSUP,
			"/linux/namespaces: a mount namespace is needed to change the root");
	return 0;
}

void parent_hand_over(struct launch *l, struct launch_child *ret)
{
	*ret = (struct launch_child){
		.pid = l->pid,
		.pidfd = take_fd(&l->pidfd),
		.start_time = l->start_time,
		.gate = l->exec ? -1 : take_fd(&l->sock),
		.status = take_fd(&l->status),
		.console = take_fd(&l->console),
		.root_fd = -1,
	};
}

/* A root that was chroot'ed to is not what the mount namespace says: keep hold of it for exec. */
static int run_open_root(pid_t pid, int *ret, struct launch_error *err)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/root", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return parent_fail(err, -errno, "%s", path);
	*ret = fd;
	return 0;
}

int launch_fd(const struct launch *l)
{
	return l->sock;
}

bool launch_settled(const struct launch *l)
{
	struct launch_msg msg;
	ssize_t n = recv(l->sock, &msg, sizeof(msg), MSG_PEEK | MSG_DONTWAIT);

	return l->ready ? n == 0 : n == sizeof(msg) && msg.kind == LAUNCH_MSG_READY;
}

/* Who watched it made it non-blocking. */
static void run_block(const struct launch *l)
{
	(void)fcntl(l->sock, F_SETFL, 0);
}

static void create_undo(struct launch *l)
{
	parent_undo(l);
	parent_free(l);
}

int launch_create_begin(const struct launch_plan *plan, const struct launch_run_options *options,
			struct launch **ret, struct launch_error *err)
{
	int r = run_check(plan, err);
	struct launch *l = r < 0 ? NULL : parent_new(plan, NULL, options, err);

	if (!l)
		return r < 0 ? r : -ENOMEM;
	r = parent_prepare(l);
	if (r == 0)
		r = parent_clone(l);
	if (r == 0)
		r = parent_first_go(l);
	if (r == 0 && options->meanwhile)
		r = options->meanwhile(options->meanwhile_arg, err);
	if (r < 0)
		create_undo(l);
	else
		*ret = l;
	return r;
}

int launch_create_end(struct launch *l, struct launch_child *ret)
{
	int root = -1, r;

	run_block(l);
	r = parent_serve(l);
	if (r == 0 && l->options->no_pivot)
		r = run_open_root(l->pid, &root, l->err);
	if (r < 0) {
		create_undo(l);
		return r;
	}
	parent_hand_over(l, ret);
	ret->root_fd = root;
	parent_free(l);
	return 0;
}

void launch_create_drop(struct launch *l)
{
	create_undo(l);
}

int launch_create(const struct launch_plan *plan, const struct launch_run_options *options,
		  struct launch_child *ret, struct launch_error *err)
{
	struct launch *l;
	int r = launch_create_begin(plan, options, &l, err);

	return r < 0 ? r : launch_create_end(l, ret);
}

static int start_new(const struct launch_plan *plan, const struct launch_run_options *options,
		     struct launch_child *child, struct launch **ret, struct launch_error *err)
{
	struct launch *l;

	if (err)
		err->code = 0;
	if (child->gate < 0)
		return parent_error(err, -EINVAL, "gate: it is not closed");
	l = parent_new(plan, NULL, options, err);
	if (!l)
		return -ENOMEM;
	l->pid = child->pid;
	l->pidfd = child->pidfd;
	l->start_time = child->start_time;
	l->sock = take_fd(&child->gate);
	l->ready = true;
	*ret = l;
	return 0;
}

static int start_free(struct launch *l, int r)
{
	l->pidfd = -1; /* the caller's still */
	parent_free(l);
	return r;
}

static int start_open(struct launch *l)
{
	int r = parent_send_go(l->sock, 0, -1);

	return r < 0 ? parent_fail(l->err, r, "gate") : 0;
}

int launch_start_begin(const struct launch_plan *plan, const struct launch_run_options *options,
		       struct launch_child *child, struct launch **ret, struct launch_error *err)
{
	struct launch *l;
	int r = plan->hooks[LAUNCH_HOOK_START_CONTAINER].n > 0
			? parent_error(err, -EINVAL, "hooks: they want to be waited for")
			: start_new(plan, options, child, &l, err);

	if (r < 0)
		return r;
	r = start_open(l);
	if (r < 0)
		return start_free(l, r);
	*ret = l;
	return 0;
}

int launch_start_end(struct launch *l)
{
	run_block(l);
	return start_free(l, parent_serve(l));
}

void launch_start_drop(struct launch *l)
{
	(void)start_free(l, 0);
}

int launch_start(const struct launch_plan *plan, const struct launch_run_options *options,
		 struct launch_child *child, struct launch_error *err)
{
	struct launch *l;
	int r = start_new(plan, options, child, &l, err);

	if (r < 0)
		return r;
	r = parent_hooks(plan, LAUNCH_HOOK_START_CONTAINER, options, child->pid, child->pidfd,
			 child->root_fd, "created", err);
	if (r == 0)
		r = start_open(l);
	return r < 0 ? start_free(l, r) : launch_start_end(l);
}

int launch_open(pid_t pid, uint64_t start_time, struct launch_child *ret, struct launch_error *err)
{
	struct launch_child c = {
		.pid = pid, .pidfd = -1, .gate = -1, .status = -1, .console = -1, .root_fd = -1
	};
	int r;

	c.pidfd = pidfd_open(pid, 0);
	if (c.pidfd < 0)
		return parent_fail(err, -errno, "process %d", pid);
	/* Asked after the descriptor was opened: so it is this process's, or nobody's. */
	r = parent_start_time(pid, &c.start_time);
	if (r == 0 && c.start_time != start_time)
		r = -ESRCH;
	if (r < 0)
		(void)parent_fail(err, r, "process %d", pid);
	if (r == 0)
		r = run_open_root(pid, &c.root_fd, err);
	if (r < 0) {
		launch_close(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void launch_close(struct launch_child *child)
{
	int *fds[] = { &child->gate, &child->pidfd, &child->status, &child->console,
		       &child->root_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}
