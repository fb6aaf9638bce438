/* SPDX-License-Identifier: MIT */
/* PID 1: reaps whatever ends, passes signals on, and ends as the user's process did. */
#include "stub.h"
#include "../launch/sys.h"

#include <errno.h>
#include <linux/wait.h>
#include <signal.h>

static _Noreturn void pid1_end(struct stub *s, int status)
{
	int code = status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;

	(void)sys(write, s->status, &status, sizeof(status));
	for (;;)
		(void)sys(exit_group, code);
}

static void pid1_reap(struct stub *s, int child)
{
	int status;
	long pid;

	while ((pid = sys(wait4, -1, &status, WNOHANG | __WALL, NULL)) > 0 || pid == -EINTR) {
		if (pid == child)
			pid1_end(s, status);
	}
}

/*
 * All signals stay blocked and are taken one by one: nothing stops or ends PID 1 but SIGKILL from
 * outside. Those of job control go to the child like any other; on a terminal the kernel sends them
 * there itself, because the child leads the session and we are not in it.
 */
_Noreturn void stub_pid1(struct stub *s, int child)
{
	uint64_t all = ~(uint64_t)0;

	/* Not an end of the user's streams may stay open here. */
	(void)sys(close_range, 0, s->status - 1, 0);
	(void)sys(close_range, s->status + 1, 0xffffffffu, 0);
	(void)sys(chdir, "/");
	for (;;) {
		long signo;

		pid1_reap(s, child);
		signo = sys(rt_sigtimedwait, &all, NULL, NULL, sizeof(all));
		if (signo > 0 && signo != SIGCHLD)
			(void)sys(kill, child, signo);
	}
}
