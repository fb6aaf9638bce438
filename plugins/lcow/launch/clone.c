/* SPDX-License-Identifier: MIT */
/*
 * The clone.  A copy of the caller, not one that shares memory: what shares memory with the
 * supervisor must not be in a container's namespaces.  A copy of little (copy.c): all that the
 * child works from is put beside its stack before.  This file and the child's are built without
 * sanitizers, whose runtime does not expect to wake up in such a copy.
 */
#include "parent.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IMAGE_ROOM (16 << 10) /* more than that gets a mapping of its own */

/* All that the child works from.  Behind it: the plan, the names of the cgroups. */
struct image {
	struct child child;
	int fds[CHILD_FDS_MAX];
	_Alignas(16) char more[];
};

static size_t image_size(const struct child *c)
{
	size_t size = sizeof(struct image) + c->plan->size;

	for (uint32_t i = 0; i < c->n_cgroups; i++) {
		const struct child_cgroup *g = &c->cgroup[i];

		size += strlen(g->name) + strlen(g->dir) + 3;
		size += g->alias ? strlen(g->alias) : 0;
	}
	return size;
}

static const char *image_text(char **at, const char *text)
{
	char *copy = *at;
	size_t len = text ? strlen(text) + 1 : 0;

	if (!text)
		return NULL;
	memcpy(copy, text, len);
	*at += len;
	return copy;
}

static void image_fill(struct image *image, const struct child *c)
{
	char *at = image->more;

	memcpy(&image->child, c, offsetof(struct child, buf)); /* behind it: room */
	memcpy(at, c->plan, c->plan->size);
	image->child.plan = (const struct launch_plan *)(void *)at;
	at += c->plan->size;
	for (uint32_t i = 0; i < c->n_fds; i++)
		image->fds[i] = c->fds[i];
	image->child.fds = image->fds;
	for (uint32_t i = 0; i < c->n_cgroups; i++) {
		struct child_cgroup *g = &image->child.cgroup[i];

		g->name = image_text(&at, g->name);
		g->alias = image_text(&at, g->alias);
		g->dir = image_text(&at, g->dir);
	}
}

static long clone_image(struct launch *l, uint64_t flags, struct image *image, size_t size)
{
	struct parent_left left;
	int pidfd = -1;
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid;

	if (flags & CLONE_INTO_CGROUP)
		args.cgroup = (uint64_t)(unsigned)l->cgroup_dir;
	image_fill(image, &l->child);
	parent_copy_begin(image, size, &left);
	pid = sys(clone3, &args, sizeof(args));
	if (pid == 0)
		child_main(&image->child);
	parent_copy_end(&left);
	if (pid > 0)
		l->pidfd = pidfd;
	return pid;
}

static long clone_call(struct launch *l, uint64_t flags)
{
	_Alignas(struct image) char room[IMAGE_ROOM];
	size_t size = image_size(&l->child);
	void *map;
	long pid;

	if (size <= sizeof(room))
		return clone_image(l, flags, (struct image *)(void *)room, 0);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	pid = clone_image(l, flags, map, size);
	(void)munmap(map, size);
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
int parent_in_new_netns(int (*work)(void *arg, int netns), void *arg)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd = -1, r = 0;

	if (own < 0)
		return -errno;
	r = (int)sys(unshare, CLONE_NEWNET);
	if (r == 0) {
		fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : work(arg, fd);
		if (sys(setns, own, CLONE_NEWNET) < 0)
			abort(); /* this thread's sockets would be the container's */
	}
	if (fd >= 0)
		(void)close(fd);
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
