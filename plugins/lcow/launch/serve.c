/* SPDX-License-Identifier: MIT */
/* The parent's half of the conversation: what the child may not do itself, and what it reports. */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int parent_send_go(int sock, int code, int fd)
{
	struct launch_msg msg = { .kind = LAUNCH_MSG_GO, .code = code };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { &msg, sizeof(msg) };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		head.msg_control = &control;
		head.msg_controllen = sizeof(control);
	}
	do
		n = sendmsg(sock, &head, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* 1: a message; 0: end of file. */
int parent_receive(int sock, struct launch_msg *ret, int *ret_fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr head = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg;
	ssize_t n;

	*ret_fd = -1;
	/*
	 * ECONNRESET, told once: it went without reading what we said; its last words come after.
	 */
	do
		n = recvmsg(sock, &head, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return n < 0 ? -errno : 0;
	cmsg = CMSG_FIRSTHDR(&head);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(*ret_fd));
	ret->text[sizeof(ret->text) - 1] = '\0';
	return n == sizeof(*ret) ? 1 : -EPROTO;
}

static int serve_maps(struct launch *l)
{
	return parent_write_maps(l->plan, l->pid, &l->plan->uid_maps, &l->plan->gid_maps, l->err);
}

static int serve_offsets(struct launch *l)
{
	const struct launch_plan *p = l->plan;
	char text[160];
	int r;

	if (!p->timens_set)
		return 0;
	(void)snprintf(text, sizeof(text), "monotonic %lld %u\nboottime %lld %u\n",
		       (long long)p->time_monotonic_s, p->time_monotonic_ns,
		       (long long)p->time_boottime_s, p->time_boottime_ns);
	r = parent_write_proc(l->pid, "timens_offsets", text);
	return r < 0 ? parent_fail(l->err, r, "timens_offsets") : 0;
}

/* Only the host's root may raise a hard limit: here.  The exact values are set by the stub. */
static int serve_rlimits(struct launch *l)
{
	const struct launch_plan *p = l->exec ? l->exec : l->plan;

	for (uint32_t i = 0; i < p->process.rlimits.n; i++) {
		const struct launch_rlimit *want =
			launch_at(p, p->process.rlimits, struct launch_rlimit, i);
		struct rlimit limit;
		__rlimit_resource_t resource = (__rlimit_resource_t)want->resource;
		struct launch_msg msg = { .step = LAUNCH_STEP_RLIMIT, .index = i };

		if (prlimit(l->pid, resource, NULL, &limit) == 0 && limit.rlim_max >= want->hard)
			continue;
		limit.rlim_max = want->hard;
		if (prlimit(l->pid, resource, &limit, NULL) == 0)
			continue;
		msg.code = -errno;
		return parent_report(l, &msg);
	}
	return 0;
}

static int serve_oom_score(struct launch *l)
{
	const struct launch_plan *p = l->exec ? l->exec : l->plan;
	char text[16];
	int r;

	if (!p->process.oom_score_adj_set)
		return 0;
	(void)snprintf(text, sizeof(text), "%d", p->process.oom_score_adj);
	r = parent_write_proc(l->pid, "oom_score_adj", text);
	return r < 0 ? parent_fail(l->err, r, "oom_score_adj %s", text) : 0;
}

/*
 * The process that will be the user's exists: tell the caller, give it what only we can give, go.
 */
static int serve_born(struct launch *l)
{
	const struct launch_run_options *o = l->options;
	int r = parent_start_time(l->pid, &l->start_time);

	if (r < 0)
		return parent_fail(l->err, r, "process %d", l->pid);
	if (o->born) {
		r = o->born(o->born_arg, l->pid, l->start_time);
		if (r)
			return parent_fail(l->err, r < 0 ? r : -ECANCELED, "record of process %d",
					   l->pid);
	}
	r = serve_oom_score(l);
	if (r == 0)
		r = serve_rlimits(l);
	if (r == 0)
		r = parent_send_go(l->sock, 0, -1);
	return r;
}

static int serve_give_netns(struct launch *l, int netns)
{
	int r = parent_send_go(l->sock, 0, netns);

	/* The child may have failed meanwhile; its report is to be read: 1. */
	if (r == -EPIPE || r == -ECONNRESET)
		return 1;
	return r < 0 ? parent_fail(l->err, r, "gate") : 0;
}

static int serve_lo(struct launch *l, int code)
{
	struct launch_msg msg = { .step = LAUNCH_STEP_LOOPBACK, .code = code };

	return code < 0 ? parent_report(l, &msg) : 0;
}

/* The child goes on with it at once; bringing lo up takes a while. */
static int serve_in_netns(void *arg, int netns)
{
	struct launch *l = arg;
	int r = serve_give_netns(l, netns);

	return r ? (r < 0 ? r : 0) : serve_lo(l, parent_lo_up());
}

/* The one that was made meanwhile. */
static int serve_netns_taken(struct launch *l)
{
	int lo = 0, fd, r;

	l->netns_begun = false;
	fd = parent_netns_take(l->options->spare_netns, &lo);
	if (fd < 0)
		return fd;
	r = serve_give_netns(l, fd);
	(void)close(fd);
	return r ? (r < 0 ? r : 0) : serve_lo(l, lo);
}

static int serve_netns(struct launch *l)
{
	int r = l->netns_begun ? serve_netns_taken(l) : parent_in_new_netns(serve_in_netns, l);

	if (r < 0 && l->err && !l->err->code)
		(void)parent_fail(l->err, r, "network namespace");
	return r;
}

int parent_first_go(struct launch *l)
{
	int r;

	if (l->child.two_stage)
		return parent_send_go(l->sock, 0, -1);
	r = l->first_flags & CLONE_NEWUSER ? serve_maps(l) : 0;
	if (r == 0)
		r = serve_born(l);
	if (r == 0 && l->child.netns_to_come)
		r = serve_netns(l);
	return r;
}

/* The first child made the second, which is ours too, and is gone. */
static int serve_second(struct launch *l, pid_t pid)
{
	siginfo_t info;
	int r, fd = pidfd_open(pid, 0);

	if (fd < 0) {
		r = -errno;
		(void)close(l->sock); /* which ends it */
		l->sock = -1;
		(void)waitid(P_PID, (id_t)pid, &info, WEXITED);
		return parent_fail(l->err, r, "process %d", pid);
	}
	(void)waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED);
	(void)close(l->pidfd);
	l->pidfd = fd;
	l->pid = pid;
	return serve_born(l);
}

static int serve_console(struct launch *l, int fd)
{
	if (fd < 0 || l->console >= 0)
		return parent_error(l->err, -EPROTO, "console: the child sent none");
	l->console = fd;
	return 0;
}

static int serve_hooks(struct launch *l)
{
	int r = parent_hooks(l->plan, LAUNCH_HOOK_PRESTART, l->options, l->pid, -1, -1, "creating",
			     l->err);

	if (r == 0)
		r = parent_hooks(l->plan, LAUNCH_HOOK_CREATE_RUNTIME, l->options, l->pid, -1, -1,
				 "creating", l->err);
	if (r == 0)
		r = parent_hooks(l->plan, LAUNCH_HOOK_CREATE_CONTAINER, l->options, l->pid,
				 l->pidfd, -1, "creating", l->err);
	return r;
}

static int serve_mount(struct launch *l, uint32_t index)
{
	int r, fd;

	if (index >= l->plan->mounts.n && index != LAUNCH_MOUNT_ROOTFS)
		return -EPROTO;
	fd = parent_open_mount(l, index);
	r = parent_send_go(l->sock, fd < 0 ? fd : 0, fd);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int serve_listener(struct launch *l, int fd)
{
	int r = fd < 0 ? -EPROTO : parent_send_listener(l, fd);

	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* One message that wants an answer or is news. */
static int serve_one(struct launch *l, const struct launch_msg *msg, int fd)
{
	int r;

	switch (msg->kind) {
	case LAUNCH_MSG_MAP:
		r = serve_maps(l);
		break;
	case LAUNCH_MSG_OFFSETS:
		r = serve_offsets(l);
		break;
	case LAUNCH_MSG_HOOKS:
		r = serve_hooks(l);
		break;
	case LAUNCH_MSG_PID:
		return serve_second(l, msg->code);
	case LAUNCH_MSG_MOUNT:
		return serve_mount(l, msg->index);
	case LAUNCH_MSG_CONSOLE:
		return serve_console(l, fd);
	case LAUNCH_MSG_LISTENER:
		return serve_listener(l, fd);
	case LAUNCH_MSG_READY:
		l->ready = true;
		return 0;
	case LAUNCH_MSG_ERROR:
		return parent_report(l, msg);
	default:
		return parent_error(l->err, -EPROTO, "launch: a message is not understood");
	}
	return r < 0 ? r : parent_send_go(l->sock, 0, -1);
}

static bool serve_memory_is_limited(const struct launch_plan *p)
{
	for (uint32_t i = 0; i < p->cgroup.n; i++) {
		const struct launch_cgroup_setting *s =
			launch_at(p, p->cgroup, struct launch_cgroup_setting, i);

		if (s->what && !strcmp(launch_text(p, s->what), "/linux/resources/memory/limit"))
			return true;
	}
	return false;
}

/*
 * It went without a word: say how, if it can be told (it stays a zombie, for whoever waits for it).
 * Its end of the socket closes a moment before it is one.
 */
static int serve_silent_end(struct launch *l)
{
	struct pollfd ended = { .fd = l->pidfd, .events = POLLIN };
	siginfo_t info = { 0 };

	(void)poll(&ended, 1, 1000);
	if (waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid && info.si_code != CLD_EXITED)
		return parent_error(
			l->err, -ECHILD,
			"launch: the process was killed by signal %d while it was set up%s",
			info.si_status,
			info.si_status == SIGKILL && serve_memory_is_limited(l->plan)
				? "; /linux/resources/memory/limit may be too low"
				: "");
	return parent_error(l->err, -ECHILD, "launch: the process ended while it was set up");
}

/*
 * With two stages, a first child that is killed leaves a second that waits: no end of file tells
 * us.
 */
static int serve_wait(struct launch *l)
{
	struct pollfd fds[2] = { { .fd = l->sock, .events = POLLIN },
				 { .fd = l->pidfd, .events = POLLIN } };

	if (!l->child.two_stage || l->start_time)
		return 0;
	while (poll(fds, 2, -1) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return fds[0].revents ? 0 : -ECHILD;
}

int parent_serve(struct launch *l)
{
	bool was_ready = l->ready;

	for (;;) {
		struct launch_msg msg;
		int fd, r = serve_wait(l);

		if (r == 0)
			r = parent_receive(l->sock, &msg, &fd);

		if (r == 0) /* closed by execve: that is what is wanted after the gate */
			return was_ready || l->exec ? 0 : serve_silent_end(l);
		if (r < 0)
			return parent_fail(l->err, r, "gate");
		r = serve_one(l, &msg, fd);
		if (r < 0) {
			if (l->err && !l->err->code)
				(void)parent_fail(l->err, r, "launch");
			return r;
		}
		if (l->ready && !was_ready && !l->exec)
			return 0;
	}
}

void parent_undo(struct launch *l)
{
	siginfo_t info;

	if (l->pidfd < 0)
		return;
	/* First the socket: a second child of which we have not heard yet sees it, and ends. */
	if (l->sock >= 0)
		(void)close(l->sock);
	l->sock = -1;
	(void)pidfd_send_signal(l->pidfd, SIGKILL, NULL, 0);
	(void)waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED);
}
