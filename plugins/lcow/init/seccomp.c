/* SPDX-License-Identifier: MIT */
/* The user's system call filter. */
#include "stub.h"
#include "../launch/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#define LISTENER_STACK 8192

/* What the helper needs, on its own stack. */
struct listener {
	struct stub *stub;
	int fd;
	volatile int sent;
	char stack[LISTENER_STACK] __attribute__((aligned(16)));
};

/* clone(2) of a thread that calls run(arg) on a stack of its own; run does not return. */
long listener_clone(unsigned long flags, void *stack, void (*run)(void *), void *arg);
#if defined(__x86_64__)
__asm__("listener_clone:\n"
	"	mov %rdx, -8(%rsi)\n"
	"	mov %rcx, -16(%rsi)\n"
	"	sub $16, %rsi\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	mov $56, %eax\n" /* clone */
	"	xor %r8d, %r8d\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	xor %ebp, %ebp\n"
	"	pop %rdi\n"
	"	pop %rax\n"
	"	call *%rax\n");
#else
__asm__("listener_clone:\n"
	"	stp x2, x3, [x1, #-16]!\n"
	"	mov x2, #0\n"
	"	mov x3, #0\n"
	"	mov x4, #0\n"
	"	mov x8, #220\n" /* clone */
	"	svc #0\n"
	"	cbz x0, 1f\n"
	"	ret\n"
	"1:	ldp x1, x0, [sp], #16\n"
	"	blr x1\n");
#endif

static void listener_helper(void *arg)
{
	struct listener *l = arg;

	while (sys(fcntl, l->fd, F_GETFD) == -EBADF)
		(void)sys(sched_yield);
	(void)stub_send(l->stub, LAUNCH_MSG_LISTENER, 0, l->fd);
	l->sent = 1;
	for (;;)
		(void)sys(exit, 0);
}

/* The number that the next descriptor will get. */
static int listener_number(void)
{
	long fd = sys(fcntl, 0, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		(void)sys(close, fd);
	return (int)fd;
}

/*
 * The filter may forbid all that would send its listener away.  So a thread that shares our
 * descriptors but not the filter waits for the descriptor to appear, and sends it; we wait for that
 * without a system call.
 */
static long seccomp_with_listener(struct stub *s, const struct sock_fprog *program, uint32_t flags)
{
	struct listener *l;
	long r = sys(mmap, NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);

	if (r < 0 && r > -4096)
		return r;
	l = (struct listener *)r;
	l->stub = s;
	l->fd = listener_number();
	r = listener_clone(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD,
			   l->stack + sizeof(l->stack), listener_helper, l);
	if (r < 0)
		return r;
	r = sys(seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
	while (r >= 0 && !l->sent)
		;
	return r; /* where it failed, the end of this process ends the thread */
}

int stub_seccomp(struct stub *s)
{
	const struct launch_seccomp *sc = &s->plan->seccomp;
	struct sock_fprog program = { .len = (unsigned short)sc->filter.n };
	long r;

	if (!sc->filter.n)
		return 0;
	r = stub_step(s, LAUNCH_STEP_SECCOMP, 0);
	if (r < 0)
		return (int)r;
	program.filter = (struct sock_filter *)(uintptr_t)launch_at(s->plan, sc->filter,
								    struct sock_filter, 0);
	if (sc->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		r = seccomp_with_listener(s, &program, sc->flags);
	else
		r = sys(seccomp, SECCOMP_SET_MODE_FILTER, sc->flags, &program);
	return r < 0 ? (int)r : 0;
}
