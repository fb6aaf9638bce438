/* SPDX-License-Identifier: MIT */
/* The launching side: opens, clones, answers the child's requests, and undoes. */
#ifndef LAUNCH_PARENT_H
#define LAUNCH_PARENT_H

#include "cgroup.h"
#include "child.h"
#include "run.h"

/* One launch in the making. */
struct launch {
	const struct launch_plan *plan; /* the container's */
	const struct launch_plan *exec; /* the process's, with exec; else NULL */
	const struct launch_run_options *options;
	struct launch_error *err;
	struct child child;
	int sock; /* the parent's end */
	int status, console;
	int cgroup_dir;	      /* what to clone into, or -1 */
	uint64_t first_flags; /* of the first clone */
	int join_pid;	      /* pid namespace that the calling thread's children go to, or -1 */
	pid_t pid;
	int pidfd;
	uint64_t start_time;
	bool ready; /* the stub is at the gate */
	bool netns_begun; /* the network namespace is being made, and ours to take or to drop */
};

/*
 * Set *err to code and "format: text of code" (parent_fail) or just the text (parent_error); code.
 */
int parent_fail(struct launch_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int parent_error(struct launch_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "no such file or directory": errno's text, as the end of a sentence. */
const char *parent_errno(int code, char *buf, size_t size);

/* failure.c: the child's report in words. */
int parent_report(const struct launch *l, const struct launch_msg *msg);

/* prepare.c: everything that is opened before the clone. */
struct launch *parent_new(const struct launch_plan *plan, const struct launch_plan *exec,
			  const struct launch_run_options *options, struct launch_error *err);
int parent_prepare(struct launch *l);
void parent_close_childs(struct launch *l);
void parent_free(struct launch *l);

/* clone.c: the first clone; the child never returns from it. */
int parent_clone(struct launch *l);
/* Make a network namespace; what work says, which is called inside and must not stay there. */
int parent_in_new_netns(int (*work)(void *arg, int netns), void *arg);

/* netns.c: make one on another thread; true: to be taken or dropped by the caller, once. */
bool parent_netns_begin(void);
/*
 * Wait for it: a descriptor, with in *ret_lo 0 or why lo is not up in it; or a negative errno.  spare: make
 * the next one now.
 */
int parent_netns_take(bool spare, int *ret_lo);
bool parent_netns_spare(void); /* for tests: the next one is there */
void parent_netns_drop(void);
/* Of the calling thread's namespace. */
int parent_lo_up(void);

/*
 * copy.c: from "begin" to "end" (which wants what the first returned), copies of this process are
 * without nearly all that the child does not need, and nobody makes other ones.  Beside its stack,
 * the child needs size bytes at needed (NULL: none).
 */
struct parent_range {
	uintptr_t from, to;
};
#define PARENT_LEFT_MAX 16
struct parent_left {
	size_t n;
	struct parent_range range[PARENT_LEFT_MAX];
};
void parent_copy_begin(const void *needed, size_t size, struct parent_left *ret);
void parent_copy_end(const struct parent_left *left);
/* What of all lies in none of the n ranges in keep, which may overlap and be empty. */
void parent_copy_gaps(struct parent_range all, const struct parent_range *keep, size_t n,
		      struct parent_left *ret);
/* Around the clone of a child that uses more. */
void parent_copy_lock(void);
void parent_copy_unlock(void);

/* serve.c: answer the child until it is ready (or, after the gate, until it executes). */
int parent_serve(struct launch *l);
/* Right after the first clone: born, ids, limits, go. */
int parent_first_go(struct launch *l);
/* End and reap what the launch made. */
void parent_undo(struct launch *l);
/* Success: what the caller gets. */
void parent_hand_over(struct launch *l, struct launch_child *ret);
int parent_send_go(int sock, int code, int fd);
int parent_receive(int sock, struct launch_msg *ret, int *ret_fd);

/* idmap.c */
int parent_write_maps(const struct launch_plan *plan, pid_t pid, const struct launch_vec *uid,
		      const struct launch_vec *gid, struct launch_error *err);
/* A mount's source, with the parent's rights and perhaps ids mapped; a descriptor. */
int parent_open_mount(struct launch *l, uint32_t i);

/* proc.c: small files of a process. */
int parent_start_time(pid_t pid, uint64_t *ret);
int parent_write_proc(pid_t pid, const char *file, const char *text);

/* stub.c: cowherd-init in a sealed memory file, the library's own for ever. */
int parent_stub(void);

/* listener.c: hand the seccomp listener to whom the plan names. */
int parent_send_listener(const struct launch *l, int fd);

/* hooks.c: with pidfd >= 0, in that process's namespaces. */
int parent_hooks(const struct launch_plan *plan, enum launch_hook_point point,
		 const struct launch_run_options *options, pid_t pid, int pidfd, int root_fd,
		 const char *status, struct launch_error *err);
/* The container's state as OCI has it, to be freed; NULL: out of memory. */
char *parent_state(const struct launch_plan *plan, const struct launch_run_options *options,
		   pid_t pid, const char *status);
/* The namespaces that a process of this plan has for itself, as setns(2) flags. */
uint64_t parent_ns_flags(const struct launch_plan *plan);

/* cgroup_join.c: what a child needs of its cgroups. */
int launch_cgroup_prepare_child(const struct launch_cgroup *cg, struct child *c, int *ret_dir,
				struct launch_error *err);
/* Where cloning into the directory is refused: join by its cgroup.procs, too. */
int launch_cgroup_join_by_file(struct child *c, int dir);

#endif
