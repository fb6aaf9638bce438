/* SPDX-License-Identifier: MIT */
/*
 * Executing a launch plan: clone3 with pidfd, then a tiny interpreter that uses raw system calls only
 * -- no allocation, no locale, no stdio -- up to execve.  A library: no core, no event loop.  All calls
 * block; a supervisor makes them on a pool thread.  The guest agent and Windows emulation link it too.
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
	const char *id;             /* of the container, for hooks' state and errors */
	const char *bundle;         /* for hooks' state */
	struct launch_stdio stdio;
	struct launch_cgroup *cgroup; /* made before; may be NULL */
	int init_fd;                /* cowherd-init, opened O_PATH|O_CLOEXEC: PID 1 that reaps; -1: none */
	bool no_pivot;
	/*
	 * Called once the process exists, on the calling thread, before it does anything: the caller writes
	 * its identity to the ledger.  Nonzero: the launch is undone and fails with that code.
	 */
	int (*born)(void *arg, pid_t pid, uint64_t start_time);
	void *born_arg;
};

/* A launched init process.  Owned by the caller; launch_close() closes what is open. */
struct launch_child {
	pid_t pid;           /* in the caller's pid namespace */
	int pidfd;
	uint64_t start_time; /* proc(5) stat field 22 */
	int gate;            /* write end of the gate before the user's process; closing it ends the child */
	int status;          /* read end: with an init stub, the int wait status of the user's process; else -1 */
	int console;         /* pty master, or -1 */
	int ns_fds[8];       /* mnt, pid, net, ipc, uts, user, cgroup, time of the container; -1: not taken */
	int root_fd;         /* O_PATH of the container's root */
};

/* Everything up to the gate: namespaces, mounts, pivot_root, limits.  Undoes itself on failure. */
int launch_create(const struct launch_plan *plan, const struct launch_run_options *options,
		  struct launch_child *ret, struct launch_error *err);
/* Open the gate; returns once the user's program is executing, or why it is not (-ENOENT: not found). */
int launch_start(const struct launch_plan *plan, struct launch_child *child, struct launch_error *err);
/* Into a running container, by its namespace descriptors.  exec_plan from launch_compile_exec(). */
int launch_exec(const struct launch_plan *exec_plan, const struct launch_plan *base,
		const struct launch_child *container, const struct launch_run_options *options,
		struct launch_child *ret, struct launch_error *err);
/* The namespaces and the root of a container that another process launched (adoption). */
int launch_open(pid_t pid, uint64_t start_time, struct launch_child *ret, struct launch_error *err);
/* Run the hooks of one point of the life cycle, with the container's state on stdin. */
int launch_hooks(const struct launch_plan *plan, enum launch_hook_point point,
		 const struct launch_run_options *options, pid_t pid, const char *status,
		 struct launch_error *err);
void launch_close(struct launch_child *child);

#endif
