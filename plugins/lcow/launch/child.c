/* SPDX-License-Identifier: MIT */
/*
 * From clone3 to cowherd-init: executes the plan in a copy of the caller's process, with nothing
 * but raw system calls.  See docs in run.h; the steps are in internal.h.
 */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <linux/sched.h>

static int child_session(struct child *c)
{
	long r = child_step(c, LAUNCH_STEP_SESSION, 0);

	if (r == 0)
		r = sys(setsid);
	if (r < 0 && r != -EPERM) /* EPERM: it leads one already */
		return (int)r;
	(void)sys(umask, 0);
	if (!c->keyring)
		return 0;
	r = child_step(c, LAUNCH_STEP_KEYRING, 0);
	if (r == 0)
		r = sys(keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
	return r < 0 && r != -ENOSYS ? (int)r : 0;
}

/* The container's first process, in its new namespaces. */
static int child_create(struct child *c)
{
	long r = child_session(c);

	if (r == 0)
		r = child_join_cgroups(c);
	if (r == 0)
		r = child_identity(c);
	/* Only now: a cgroup namespace's root is where its maker is. */
	if (r == 0 && c->plan->clone_flags & CLONE_NEWCGROUP) {
		r = child_step(c, LAUNCH_STEP_CGROUP_NS, 0);
		if (r == 0)
			r = sys(unshare, CLONE_NEWCGROUP);
	}
	return r < 0 ? (int)r : child_rootfs(c);
}

/*
 * What the second child must be born into: joined namespaces where the user or the pid namespace is
 * one of them, a new user namespace after joining others, a time namespace (whose offsets must be
 * set before anything lives in it).
 */
static int child_first_stage(struct child *c)
{
	uint64_t fresh = c->plan->clone_flags & (CLONE_NEWUSER | CLONE_NEWTIME);
	long r = child_join(c);

	if (c->exec) {
		r = child_step(c, LAUNCH_STEP_JOIN, 0);
		if (r == 0)
			r = sys(setns, c->container_pidfd, c->setns_flags);
		c->setns_flags = 0;
		return (int)r;
	}

	if (r == 0 && fresh & CLONE_NEWUSER) {
		r = child_step(c, LAUNCH_STEP_UNSHARE, CLONE_NEWUSER);
		if (r == 0)
			r = sys(unshare, CLONE_NEWUSER);
		if (r == 0)
			r = child_step(c, LAUNCH_STEP_USER_MAP, 0);
		if (r == 0)
			r = child_ask(c, LAUNCH_MSG_MAP, 0, NULL);
	}
	if (r == 0)
		r = child_identity(c);
	if (r == 0 && fresh & CLONE_NEWTIME) {
		r = child_step(c, LAUNCH_STEP_UNSHARE, CLONE_NEWTIME);
		if (r == 0)
			r = sys(unshare, CLONE_NEWTIME);
		if (r == 0)
			r = child_step(c, LAUNCH_STEP_TIME_OFFSETS, 0);
		if (r == 0)
			r = child_ask(c, LAUNCH_MSG_OFFSETS, 0, NULL);
	}
	return (int)r;
}

/* Make the real child, a sibling: the caller stays the parent of what it launched. */
static void child_second_clone(struct child *c)
{
	struct clone_args args = { .flags = c->clone_flags | CLONE_PARENT };
	long pid = child_step(c, LAUNCH_STEP_CLONE, 0);

	if (pid == 0)
		pid = sys(clone3, &args, sizeof(args));
	else
		pid = pid < 0 ? pid : -EIO;
	if (pid < 0)
		child_fail(c, (int)pid);
	if (pid > 0) {
		c->step = LAUNCH_STEP_CLONE;
		(void)child_send(c, LAUNCH_MSG_PID, (int)pid, 0, -1);
		for (;;)
			(void)sys(exit_group, 0);
	}
}

static int child_exec(struct child *c)
{
	long r = child_session(c);

	if (r == 0)
		r = child_join_cgroups(c);
	if (r == 0 && c->setns_flags) {
		r = child_step(c, LAUNCH_STEP_JOIN, 0);
		if (r == 0)
			r = sys(setns, c->container_pidfd, c->setns_flags);
	}
	if (r == 0)
		r = child_identity(c);
	if (r == 0 && c->root_fd >= 0) {
		r = child_step(c, LAUNCH_STEP_PIVOT, 0);
		if (r == 0)
			r = sys(fchdir, c->root_fd);
		if (r == 0)
			r = sys(chroot, ".");
	}
	if (r == 0 && c->terminal) {
		c->root = (int)sys(openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = c->root < 0 ? c->root : child_console(c);
	}
	return (int)r;
}

_Noreturn void child_main(struct child *c)
{
	long r;

	/*
	 * Nobody in a joined namespace may look into this copy of the caller's memory.  (An
	 * unprivileged caller must be able to write our id maps first; execve of the stub ends it
	 * then.)
	 */
	if (!c->dumpable)
		(void)sys(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)child_step(c, LAUNCH_STEP_FDS, 0);
	r = child_keep_fds(c);
	if (r == 0)
		r = child_wait(c, NULL);
	if (r == 0 && c->two_stage) {
		r = child_first_stage(c);
		if (r < 0)
			child_fail(c, (int)r);
		child_second_clone(c);
		r = child_wait(c, NULL);
	} else if (r == 0) {
		r = child_join(c);
	}
	if (r == 0 && c->dumpable)
		(void)sys(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r == 0)
		r = c->exec ? child_exec(c) : child_create(c);
	if (r == 0)
		r = child_become_stub(c);
	child_fail(c, (int)r);
}
