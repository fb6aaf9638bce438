/* SPDX-License-Identifier: MIT */
/*
 * Executing a launch plan: clone3 with pidfd, a tiny interpreter that uses raw system calls only --
 * no allocation, no locale, no stdio -- then cowherd-init, and execve.  A library: no core, no
 * event loop. All calls block; a supervisor makes them on a pool thread.  The guest agent and
 * Windows emulation link it too.
 *
 * cowherd-init is embedded in the library and always run from a sealed memfd: it makes the last
 * steps before the user's program (so that nothing of the caller's memory or binary is within the
 * container's reach), and with `init` it stays as PID 1.
 */
#ifndef LAUNCH_RUN_H
#define LAUNCH_RUN_H

#include "plan.h"

#include <sys/types.h>

struct launch_cgroup; /* cgroup.h: the container's cgroups on this host */

struct launch_stdio {
	int in, out, err; /* dup'ed into the process; -1: /dev/null.  Ignored with a terminal. */
	uint16_t height, width; /* of the terminal; 0: as the plan says */
};

struct launch_run_options {
	const char *id;     /* of the container, for hooks' state */
	const char *bundle; /* for hooks' state; may be NULL */
	struct launch_stdio stdio;
	struct launch_cgroup *cgroup; /* made before; may be NULL */
	bool init;                    /* cowherd-init stays as PID 1: reaps, forwards signals */
	bool no_pivot;                /* MS_MOVE and chroot, where the root is the initramfs */
	bool keyring;                 /* a session keyring of its own */
	const int *fds;               /* become 3, 4, ... of the process; stay the caller's */
	unsigned n_fds;
	/*
	 * Called once the process exists, on the calling thread, before it does anything: the
	 * caller writes its identity to the ledger.  Nonzero: the launch is undone and fails with
	 * that code.  May be NULL.
	 */
	int (*born)(void *arg, pid_t pid, uint64_t start_time);
	void *born_arg;
	/*
	 * create only, may be NULL: what must be done before the gate, and before the hooks, but need
	 * not keep the child waiting: it is on its way.  A negative result undoes the launch.
	 */
	int (*meanwhile)(void *arg, struct launch_error *err);
	void *meanwhile_arg;
	bool spare_netns;   /* keep the next network namespace ready for a moment (one second) */
	unsigned fail_step; /* for tests: this enum launch_step fails with EIO; 0: none */
};

/*
 * A launched process.  Owned by the caller: it waits for it (waitid(P_PIDFD)), then launch_close().
 * The process is a child of the calling process, also when it is in other pid namespaces.
 */
struct launch_child {
	pid_t pid; /* in the caller's pid namespace */
	int pidfd;
	uint64_t start_time; /* proc(5) stat field 22 */
	int gate;    /* before the user's process; closing it ends the child.  -1: passed */
	int status;  /* read end: with init, the int wait status of the user's process; else -1 */
	int console; /* pty master, or -1 */
	int root_fd; /* the container's root where its mount namespace does not say, or -1 */
};

/*
 * Everything up to the gate: namespaces, mounts, pivot_root; runs the prestart, createRuntime and
 * createContainer hooks.  Undoes itself on failure; *ret is untouched then.
 */
int launch_create(const struct launch_plan *plan, const struct launch_run_options *options,
		  struct launch_child *ret, struct launch_error *err);
/*
 * Run the startContainer hooks and open the gate; returns once the user's program is executing, or
 * why it is not (-ENOENT: not found, -EACCES).  On failure the child is gone but for being waited
 * for.
 */
int launch_start(const struct launch_plan *plan, const struct launch_run_options *options,
		 struct launch_child *child, struct launch_error *err);

/*
 * Both in two halves, for who has better to do than to wait for the child.  begin does what does not depend
 * on it; *ret is then given to end or drop, and borrows all that begin was given.  Once launch_fd() is
 * readable (who watches it may make it non-blocking) and launch_settled(), end does not wait; else it may.
 * A plan with startContainer hooks cannot be started like this: -EINVAL.
 */
struct launch;
int launch_create_begin(const struct launch_plan *plan, const struct launch_run_options *options,
			struct launch **ret, struct launch_error *err);
int launch_create_end(struct launch *l, struct launch_child *ret);
void launch_create_drop(struct launch *l); /* undone */
int launch_start_begin(const struct launch_plan *plan, const struct launch_run_options *options,
		       struct launch_child *child, struct launch **ret, struct launch_error *err);
int launch_start_end(struct launch *l);
void launch_start_drop(struct launch *l); /* how it went is not to be known */
int launch_fd(const struct launch *l);
bool launch_settled(const struct launch *l);
/* The network namespace that spare_netns keeps goes now. */
void launch_netns_spare_drop(void);
/*
 * Run another process in a container; returns once its program is executing, or why it is not.
 * exec_plan from launch_compile_exec(), base is the container's plan.  options->init is ignored.
 */
int launch_exec(const struct launch_plan *exec_plan, const struct launch_plan *base,
		const struct launch_child *container, const struct launch_run_options *options,
		struct launch_child *ret, struct launch_error *err);
/*
 * A container that another process launched (adoption).  -ESRCH: pid is not that process any more.
 */
int launch_open(pid_t pid, uint64_t start_time, struct launch_child *ret, struct launch_error *err);
/*
 * Run the hooks of one point of the life cycle, with the container's state on stdin, in the
 * caller's namespaces.  For the points that create and start do not run: poststart and poststop.
 * The first failure is returned; with poststart and poststop the rest run all the same.
 */
int launch_hooks(const struct launch_plan *plan, enum launch_hook_point point,
		 const struct launch_run_options *options, pid_t pid, const char *status,
		 struct launch_error *err);
/*
 * Close what is open.  A child that has not passed the gate ends by it (and is to be waited for).
 */
void launch_close(struct launch_child *child);

#endif
