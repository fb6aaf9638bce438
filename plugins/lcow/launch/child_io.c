/* SPDX-License-Identifier: MIT */
/* The child's descriptors and its conversation with the parent. */
#include "child.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#define CLOSE_ALL 0xffffffffu

/* The places where the child's descriptors are noted. */
static uint32_t child_fd_slots(struct child *c, int **slots)
{
	uint32_t n = 0;
	int *single[] = {
		&c->sock, &c->job,  &c->stub,	 &c->status,	     &c->in, &c->out, &c->err,
		&c->proc, &c->null, &c->root_fd, &c->container_pidfd
	};

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		slots[n++] = single[i];
	for (uint32_t i = 0; i < c->n_joins; i++)
		slots[n++] = &c->join_fd[i];
	for (uint32_t i = 0; i < c->n_cgroup_fds; i++)
		slots[n++] = &c->cgroup_fd[i];
	return n;
}

/*
 * Close all that was not opened for this child.  First thing after the clone: a copy of some other
 * child's socket must not live on here, nor a client's connection, a log, another container's
 * terminal.
 */
int child_keep_fds(struct child *c)
{
	int *slots[CHILD_FDS_MAX];
	uint32_t n = child_fd_slots(c, slots), n_all = n + c->n_fds;
	unsigned from = 0;
	long r;

	/* From the lowest wanted one to the next: close the gap between. */
	for (uint32_t done = 0; done < n_all; done++) {
		unsigned next = CLOSE_ALL;

		for (uint32_t i = 0; i < n_all; i++) {
			int fd = i < n ? *slots[i] : c->fds[i - n];

			if (fd >= 0 && (unsigned)fd >= from && (unsigned)fd < next)
				next = (unsigned)fd;
		}
		if (next == CLOSE_ALL)
			break;
		if (next > from) {
			r = sys(close_range, from, next - 1, 0);
			if (r < 0)
				return (int)r;
		}
		from = next + 1;
	}
	return (int)sys(close_range, from, CLOSE_ALL, 0);
}

int child_send(struct child *c, uint32_t kind, int code, uint32_t index, int fd)
{
	struct launch_msg msg = { .kind = kind, .code = code, .step = c->step, .index = index };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { &msg, sizeof(msg) };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };
	long r;

	(void)sys_append(msg.text, sizeof(msg.text), 0, c->text);
	msg.text[sizeof(msg.text) - 1] = '\0';
	if (fd >= 0) {
		*(int *)(void *)CMSG_DATA(&control.head) = fd;
		head.msg_control = &control;
		head.msg_controllen = sizeof(control);
	}
	do
		r = sys(sendmsg, c->sock, &head, MSG_NOSIGNAL);
	while (r == -EINTR);
	return r < 0 ? (int)r : 0;
}

int child_wait(struct child *c, int *ret_fd)
{
	struct launch_msg msg;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &msg, sizeof(msg) };
	struct msghdr head = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof(control) };
	long r;

	do
		r = sys(recvmsg, c->sock, &head, MSG_CMSG_CLOEXEC);
	while (r == -EINTR);
	if (r < 0)
		return (int)r;
	if (r != sizeof(msg) || msg.kind != LAUNCH_MSG_GO)
		return -EPIPE; /* the parent is gone, or gave up */
	if (msg.code < 0)
		return msg.code;
	if (ret_fd) {
		*ret_fd = -1;
		if (head.msg_controllen >= CMSG_LEN(sizeof(int)) &&
		    control.head.cmsg_type == SCM_RIGHTS)
			*ret_fd = *(int *)(void *)CMSG_DATA(&control.head);
	}
	return 0;
}

int child_ask(struct child *c, uint32_t kind, uint32_t index, int *ret_fd)
{
	int r = child_take_netns(c);

	if (r == 0)
		r = child_send(c, kind, 0, index, -1);
	return r < 0 ? r : child_wait(c, ret_fd);
}

_Noreturn void child_fail(struct child *c, int code)
{
	(void)child_send(c, LAUNCH_MSG_ERROR, code, c->index, -1);
	for (;;)
		(void)sys(exit_group, 127);
}

/* Out of the way of the places that are to be filled. */
static int child_lift(int *fd, unsigned above)
{
	long moved;

	if (*fd < 0)
		return 0;
	moved = sys(fcntl, *fd, F_DUPFD_CLOEXEC, above);
	if (moved < 0)
		return (int)moved;
	/* Not closed: the caller may have given the same one for several places. */
	(void)sys(fcntl, *fd, F_SETFD, FD_CLOEXEC);
	*fd = (int)moved;
	return 0;
}

static int child_place(int from, int to)
{
	long r = from < 0 ? sys(close, to) : sys(dup3, from, to, 0);

	return r < 0 && from >= 0 ? (int)r : 0;
}

/* 0 to 2, the user's own, then socket, job and status, in the order that struct launch_job says. */
static int child_place_all(struct child *c, uint32_t *ret_base)
{
	int base = (int)(3 + c->n_fds), r = 0, from[CHILD_FDS_MAX];
	uint32_t n = 0, n_places = (uint32_t)base + 3;
	int *moving[] = { &c->stub, &c->proc };

	from[n++] = c->in >= 0 ? c->in : c->null;
	from[n++] = c->out >= 0 ? c->out : c->null;
	from[n++] = c->err >= 0 ? c->err : c->null;
	for (uint32_t i = 0; i < c->n_fds; i++)
		from[n++] = c->fds[i];
	from[n++] = c->sock;
	from[n++] = c->job;
	from[n++] = c->status;
	for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]) && r == 0; i++)
		r = child_lift(moving[i], n_places);
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = child_lift(&from[i], n_places);
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = child_place(from[i], (int)i);
	*ret_base = (uint32_t)base;
	return r;
}

int child_become_stub(struct child *c)
{
	char name[] = LAUNCH_STUB_NAME, base_text[12] = "";
	char *argv[] = { name, NULL }, *envp[] = { base_text, NULL };
	struct launch_job job_head;
	uint32_t base = 0;
	int r = child_step(c, LAUNCH_STEP_FDS, 0);
	long n;

	if (r == 0)
		r = child_place_all(c, &base);
	if (r < 0)
		return r;
	c->sock = (int)base;
	/* The stub sets labels through this one; its number is only known now. */
	if (c->plan->process.apparmor || c->plan->process.selinux) {
		n = sys(pread64, base + 1, &job_head, sizeof(job_head), 0);
		if (n != sizeof(job_head))
			return -EIO;
		job_head.proc_fd = c->proc;
		n = sys(fcntl, c->proc, F_SETFD, 0);
		if (n == 0)
			n = sys(pwrite64, base + 1, &job_head, sizeof(job_head), 0);
		if (n < 0)
			return (int)n;
	}
	r = child_step(c, LAUNCH_STEP_STUB, 0);
	if (r < 0)
		return r;
	(void)sys_append_number(base_text, sizeof(base_text), 0, base);
	return (int)sys(execveat, c->stub, "", argv, envp, AT_EMPTY_PATH);
}
