/* SPDX-License-Identifier: MIT */
/* The user's process: what is set per process, in the order in which rights go. */
#include "stub.h"
#include "../launch/sys.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <sys/stat.h>

#define IOPRIO_WHO_PROCESS 1

/* A session of its own, and the terminal its controlling one. */
static int process_session(struct stub *s)
{
	long r;

	if (s->job->flags & LAUNCH_JOB_INIT)
		(void)sys(setsid);
	if (!(s->job->flags & LAUNCH_JOB_TERMINAL))
		return 0;
	r = stub_step(s, LAUNCH_STEP_TERMINAL, 0);
	return r < 0 ? (int)r : (int)sys(ioctl, 0, TIOCSCTTY, 0);
}

/* The user may open its own streams again (/dev/stdout): pipes and terminals become the user's. */
static void process_own_streams(const struct launch_process *p)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (sys(fstat, fd, &st) < 0 || st.st_uid == p->uid)
			continue;
		/*
		 * 136 to 143: ends of pseudo terminals; not the null device, which is everybody's.
		 */
		if (S_ISFIFO(st.st_mode) ||
		    (S_ISCHR(st.st_mode) && (st.st_rdev >> 8 & 0xfff) >= 136 &&
		     (st.st_rdev >> 8 & 0xfff) <= 143))
			(void)sys(fchown, fd, p->uid, -1);
	}
}

static int process_rlimits(struct stub *s, const struct launch_process *p)
{
	long r = 0;

	for (uint32_t i = 0; i < p->rlimits.n && r == 0; i++) {
		const struct launch_rlimit *l =
			launch_at(s->plan, p->rlimits, struct launch_rlimit, i);
		uint64_t pair[2] = { l->soft, l->hard };

		r = stub_step(s, LAUNCH_STEP_RLIMIT, i);
		if (r == 0)
			r = sys(prlimit64, 0, l->resource, pair, NULL);
	}
	return (int)r;
}

static int process_scheduling(struct stub *s, const struct launch_process *p)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = p->sched_policy,
		.sched_flags = p->sched_flags,
		.sched_nice = p->sched_nice,
		.sched_priority = p->sched_priority,
		.sched_runtime = p->sched_runtime,
		.sched_deadline = p->sched_deadline,
		.sched_period = p->sched_period,
	};
	long r = 0;

	if (p->scheduler_set) {
		r = stub_step(s, LAUNCH_STEP_SCHEDULER, 0);
		if (r == 0)
			r = sys(sched_setattr, 0, &attr, 0);
	}
	if (r == 0 && p->ioprio_set) {
		r = stub_step(s, LAUNCH_STEP_IOPRIO, 0);
		if (r == 0)
			r = sys(ioprio_set, IOPRIO_WHO_PROCESS, 0, p->ioprio);
	}
	if (r == 0 && s->job->personality_set) {
		r = stub_step(s, LAUNCH_STEP_PERSONALITY, 0);
		if (r == 0)
			r = sys(personality, s->job->personality);
	}
	return r < 0 ? (int)r : 0;
}

/* A directory that only the user, or only root, may enter: tried before and after the change. */
static int process_chdir(struct stub *s, const struct launch_process *p)
{
	const char *cwd = p->cwd ? launch_text(s->plan, p->cwd) : "/";
	long r = stub_step(s, LAUNCH_STEP_CWD, 0);

	return r < 0 ? (int)r : (int)sys(chdir, cwd);
}

/* Inside?  A path through a descriptor that leads out has no name from here. */
static int process_check_cwd(struct stub *s)
{
	long r = stub_step(s, LAUNCH_STEP_CWD, 0);

	if (r == 0)
		r = sys(getcwd, s->path, sizeof(s->path));
	if (r < 0)
		return r == -ENOENT ? -EXDEV : (int)r;
	return s->path[0] == '/' ? 0 : -EXDEV;
}

/* What root's rights are needed for, or do not matter to. */
static int process_settings(struct stub *s, const struct launch_process *p)
{
	int r = process_session(s);

	process_own_streams(p);
	if (r == 0)
		r = process_rlimits(s, p);
	if (r == 0)
		r = process_scheduling(s, p);
	if (r == 0)
		r = stub_label(s);
	(void)sys(umask, p->umask_set ? p->umask : 022);
	return r;
}

/* Into the working directory, and to be the user: in an order that lets both enter. */
static int process_user(struct stub *s, const struct launch_process *p)
{
	int cwd = process_chdir(s, p), r;

	if (cwd < 0 && cwd != -EACCES)
		return cwd;
	r = stub_credentials(s);
	if (r == 0 && cwd < 0)
		r = process_chdir(s, p);
	return r < 0 ? r : process_check_cwd(s);
}

static int process_become(struct stub *s)
{
	const struct launch_process *p = &s->plan->process;
	uint64_t none = 0;
	char **argv = NULL, **envp = NULL;
	const char *path = NULL;
	int r = process_settings(s, p);

	if (r == 0)
		r = process_user(s, p);
	if (r == 0)
		r = stub_program(s, &path, &argv, &envp);
	if (r == 0 && p->no_new_privs)
		r = stub_seccomp(s);
	if (r == 0)
		r = stub_step(s, LAUNCH_STEP_EXEC, 0);
	if (r < 0)
		return r;
	(void)sys(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	return (int)sys(execve, path, argv, envp);
}

_Noreturn void stub_process(struct stub *s)
{
	int r = process_become(s);

	s->report.code = r;
	s->report.kind = LAUNCH_MSG_ERROR;
	if (!s->shared)
		(void)stub_send(s, LAUNCH_MSG_ERROR, r, -1);
	/* A filter may forbid even this: then it ends by a fault, which no filter stops. */
	(void)sys(exit_group, 127);
	__builtin_trap();
}
