/* SPDX-License-Identifier: MIT */
/*
 * cowherd-init is started by the launcher in a container that is ready but for its process: it
 * waits at the gate, then becomes the user's program, or makes it its child and stays as PID 1.
 */
#include "stub.h"
#include "../launch/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#if defined(__x86_64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call stub_main\n");
#else
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	mov x0, sp\n"
	"	bl stub_main\n");
#endif

/* The compiler may call these of its own accord. */
void *memset(void *to, int byte, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);

void *memset(void *to, int byte, size_t n)
{
	for (char *p = to; n; n--)
		*p++ = (char)byte;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	const char *f = from;

	for (char *p = to; n; n--)
		*p++ = *f++;
	return to;
}

static _Noreturn void stub_exit(int code)
{
	for (;;)
		(void)sys(exit_group, code);
}

int stub_send(struct stub *s, uint32_t kind, int code, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { &s->report, sizeof(s->report) };
	struct msghdr head = { .msg_iov = &iov, .msg_iovlen = 1 };
	long r;

	s->report.kind = kind;
	s->report.code = code;
	if (fd < 0) /* a user's filter is likelier to allow this */
		return (int)sys(write, s->sock, &s->report, sizeof(s->report));
	*(int *)(void *)CMSG_DATA(&control.head) = fd;
	head.msg_control = &control;
	head.msg_controllen = sizeof(control);
	r = sys(sendmsg, s->sock, &head, MSG_NOSIGNAL);
	return r < 0 ? (int)r : 0;
}

static int stub_map_job(struct stub *s, int fd)
{
	struct stat st;
	long r = sys(fstat, fd, &st);

	if (r < 0)
		return (int)r;
	s->size = (size_t)st.st_size;
	r = sys(mmap, NULL, s->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (r < 0 && r > -4096)
		return (int)r;
	(void)sys(close, fd);
	s->job = (const struct launch_job *)r;
	s->plan = (const struct launch_plan *)(const void *)(s->job + 1);
	return 0;
}

/* Nonzero: opened; 0: whoever launched us is gone, or does not want us any more. */
static int stub_gate(struct stub *s)
{
	struct launch_msg msg;
	long r;

	if (s->job->flags & LAUNCH_JOB_NO_GATE)
		return 1;
	if (stub_step(s, LAUNCH_STEP_GATE, 0) < 0) {
		(void)stub_send(s, LAUNCH_MSG_ERROR, -EIO, -1);
		return 0;
	}
	(void)stub_send(s, LAUNCH_MSG_READY, 0, -1);
	do
		r = sys(read, s->sock, &msg, sizeof(msg));
	while (r == -EINTR);
	return r == sizeof(msg) && msg.kind == LAUNCH_MSG_GO && msg.code == 0;
}

/*
 * The user's process as a child that borrows our memory until it executes, like vfork: so that
 * privileges that it drops, and a filter that it loads, never apply to us.
 */
static _Noreturn void stub_init(struct stub *s)
{
	long child = stub_step(s, LAUNCH_STEP_FORK, 0);

	(void)sys(prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	s->shared = 1;
	if (child == 0)
		child = sys(clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		stub_process(s);
	if (child < 0) {
		(void)stub_send(s, LAUNCH_MSG_ERROR, (int)child, -1);
		stub_exit(127);
	}
	if (s->report.kind == LAUNCH_MSG_ERROR) {
		(void)stub_send(s, LAUNCH_MSG_ERROR, s->report.code, -1);
		stub_exit(127);
	}
	(void)sys(munmap, s->job, s->size);
	stub_pid1(s, (int)child);
}

__attribute__((used)) _Noreturn void stub_main(long *sp)
{
	char **envp = (char **)(sp + 2 + *sp);
	struct stub s;
	int base = 0;

	memset(&s, 0, sizeof(s));
	for (const char *p = *envp ? *envp : ""; *p; p++)
		base = base * 10 + (*p - '0');
	(void)sys(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)sys(prctl, PR_SET_NAME, LAUNCH_STUB_NAME, 0, 0, 0);
	sys_default_signals(); /* the user's process has them from us */
	for (int i = 0; i < 3; i++)
		(void)sys(fcntl, base + i, F_SETFD, FD_CLOEXEC);
	s.sock = base;
	s.status = base + 2;
	if (base < 3 || stub_map_job(&s, base + 1) < 0)
		stub_exit(125);
	if (s.job->proc_fd >= 0)
		(void)sys(fcntl, s.job->proc_fd, F_SETFD, FD_CLOEXEC);
	if (!stub_gate(&s))
		stub_exit(125);
	if (s.job->flags & LAUNCH_JOB_INIT)
		stub_init(&s);
	stub_process(&s);
}
