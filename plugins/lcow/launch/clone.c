/* SPDX-License-Identifier: MIT */
/*
 * The clone.  A plain copy of the caller, not one that shares memory: what shares memory with the
 * supervisor must not be in a container's namespaces.  This file and the child's are built without
 * sanitizers, whose runtime does not expect to wake up in such a copy.
 */
#include "parent.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static long clone_call(struct launch *l, uint64_t flags)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid;

	if (flags & CLONE_INTO_CGROUP)
		args.cgroup = (uint64_t)(unsigned)l->cgroup_dir;
	pid = sys(clone3, &args, sizeof(args));
	if (pid == 0)
		child_main(&l->child);
	if (pid > 0)
		l->pidfd = pidfd;
	return pid;
}

/*
 * Some kernels and some cgroups (threaded, frozen) refuse to be cloned into: then it joins by file.
 */
static long clone_into_cgroup(struct launch *l)
{
	uint64_t flags = l->first_flags;
	long pid;

	if (l->cgroup_dir < 0)
		return clone_call(l, flags);
	pid = clone_call(l, flags | CLONE_INTO_CGROUP);
	if (pid != -EOPNOTSUPP && pid != -EBUSY && pid != -EACCES)
		return pid;
	if (launch_cgroup_join_by_file(&l->child, l->cgroup_dir) < 0)
		return pid;
	return clone_call(l, flags);
}

/*
 * With a pid namespace to join, this thread's next child is born there.  Only this thread is
 * concerned, and only between the two calls; the way back to its own namespace is always open.
 */
static long clone_in_pid_ns(struct launch *l)
{
	int own = open("/proc/thread-self/ns/pid_for_children", O_RDONLY | O_CLOEXEC);
	long pid;

	if (own < 0)
		return -errno;
	pid = sys(setns, l->join_pid, l->exec ? CLONE_NEWPID : 0);
	if (pid == 0) {
		pid = clone_into_cgroup(l);
		if (sys(setns, own, CLONE_NEWPID) < 0)
			abort(); /* every later child would be the container's */
	}
	(void)close(own);
	return pid;
}

/* Like clone_in_pid_ns(): this thread is in the new one for a moment, and nobody else is. */
int parent_make_netns(void)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd = -1, r = 0;

	if (own < 0)
		return -errno;
	r = (int)sys(unshare, CLONE_NEWNET);
	if (r == 0) {
		fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : fd;
		if (sys(setns, own, CLONE_NEWNET) < 0)
			abort(); /* this thread's sockets would be the container's */
	}
	(void)close(own);
	return r;
}

int parent_clone(struct launch *l)
{
	sigset_t all, old;
	long pid;

	/*
	 * The child inherits the mask: a signal to the process group must not reach it half-made.
	 */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = l->join_pid >= 0 ? clone_in_pid_ns(l) : clone_into_cgroup(l);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return parent_fail(l->err, (int)pid, "clone");
	l->pid = (pid_t)pid;
	parent_close_childs(l);
	return 0;
}
