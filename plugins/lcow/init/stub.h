/* SPDX-License-Identifier: MIT */
/* cowherd-init: the last steps before the user's program, and PID 1 while it runs.  No libc. */
#ifndef INIT_STUB_H
#define INIT_STUB_H

#include "../launch/internal.h"

#include <linux/limits.h>

struct stub {
	const struct launch_job *job; /* mapped; gone once the user's process runs */
	const struct launch_plan *plan;
	size_t size;
	int sock, status;
	int shared; /* the user's process has our memory until it executes: we report for it */
	struct launch_msg report;
	char path[PATH_MAX];
};

static inline int stub_step(struct stub *s, enum launch_step step, uint32_t index)
{
	s->report.step = step;
	s->report.index = index;
	return s->job->fail_step == (uint32_t)step ? -5 /* EIO */ : 0;
}

int stub_send(struct stub *s, uint32_t kind, int code, int fd);

/* process.c: become the user's program. */
_Noreturn void stub_process(struct stub *s);
/* credentials.c: groups, ids, capabilities, no_new_privs; seccomp where it belongs. */
int stub_credentials(struct stub *s);
int stub_label(struct stub *s);
int stub_seccomp(struct stub *s);
/* program.c: which file, with which arguments and environment. */
int stub_program(struct stub *s, const char **ret_path, char ***ret_argv, char ***ret_envp);
/* pid1.c: reap and forward until the user's process ends. */
_Noreturn void stub_pid1(struct stub *s, int child);

#endif
