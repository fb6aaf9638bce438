/* SPDX-License-Identifier: MIT */
/*
 * Inside the backend.  The loop thread owns everything; a job works on the pool with what it was
 * given, and its system does not go away before it.
 *
 * A compute system ends when its first process is dead and reaped and no process is left in its
 * cgroup; that is what exited() tells.
 */
#ifndef LCOW_H
#define LCOW_H

#include "cowherd/plugin.h"
#include "launch/cgroup.h"
#include "launch/plan.h"
#include "launch/run.h"

#include <json-c/json.h>
#include <stdbool.h>

#define LCOW_RECORD_KEY "system"

struct lcow_config {
	char cgroup_parent[256];
	bool init; /* cowherd-init where the container does not say */
	bool no_pivot;
	bool accounting; /* memory, cpu, pids and io controllers for every container */
};

struct system;
struct start;
struct lcow {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct lcow_config config;
	uint64_t caps_possible;
	struct system **slots; /* handles: generation and index */
	uint32_t slot_count;
	uint32_t generation;
	struct system *all; /* closed ones too, while they have something to wait for */
};
extern struct lcow lcow;

/* Who is to be told how an operation went: the host, or a plugin that uses the launcher. */
struct reply {
	cowherd_op op;
	cowherd_launcher_cb cb;
	void *arg;
};
/* -ENOENT: nobody waits any more. */
int reply_answer(const struct reply *reply, const struct cowherd_answer *answer);
/* Of an operation without result; message may be NULL or empty. */
int reply_code(const struct reply *reply, int code, const char *message);

/*
 * plans.c: compiled plans, shared by equal specs and kept for restarts.  Loop thread, but for
 * compile and save.
 */
struct plan {
	unsigned refs;
	uint64_t hash[2];
	size_t spec_len;
	struct launch_plan *launch;
};
/* A new reference, or NULL. */
struct plan *plan_find(const char *spec, size_t len, const char *bundle);
int plan_compile(const char *spec, size_t len, const char *bundle, struct plan **ret,
		 struct launch_error *err);
void plan_keep(struct plan *plan);
void plan_unref(struct plan *plan);
/* A line of the log for each thing that the plan leaves out. */
void plan_warn(const struct launch_plan *plan, const char *container);
void plans_drop(void);
/* What an adopting supervisor needs of it, as a file. */
int plan_save(const struct plan *plan, const char *path);
int plan_load(const char *path, struct plan **ret);

/* A process that exec made. */
struct process {
	struct process *next;
	struct system *system;
	uint64_t id;
	struct launch_child child;
	uint64_t watch;
};

struct system {
	struct system *next; /* of lcow.all */
	uint64_t handle;
	char *container, *bundle, *plan_path;
	struct plan *plan;
	struct launch_cgroup *cgroup; /* NULL: none */
	struct launch_child child;
	uint64_t watch, timer;
	uint64_t oom_base; /* of the counter, when we took it up */
	unsigned jobs;     /* on the pool: nothing of this struct is freed or closed meanwhile */
	bool init;         /* the stub is PID 1 */
	bool own;          /* our child: we can and must wait for it */
	bool busy;         /* start is under way: its end is looked at afterwards */
	bool dead;         /* the first process is; what else lives in the cgroup is being ended */
	bool closed;
	unsigned tries;
	struct start *starting;
	struct cowherd_exit exit;
	struct process *processes;
	uint64_t next_process;
	cowherd_launcher_exit_cb exit_cb; /* launcher: instead of host->exited() */
	void *exit_arg;
};

/* system.c */
struct system *system_new(const char *container, const char *bundle);
struct system *system_find(uint64_t handle);
/* Give it its handle and watch it: from then on it is closed, not freed. */
int system_publish(struct system *s);
void system_close(struct system *s);
void system_free(struct system *s); /* one that was never published */
void system_job_done(struct system *s);
void system_look(struct system *s); /* has it ended? */
int process_publish(struct process *p);
struct process *process_find(struct system *s, uint64_t id);
void systems_drop(void);
void system_options(const struct system *s, struct launch_run_options *ret);
/* End and reap a child that nobody watches. */
void child_end(struct launch_child *child);
void stdio_for_launch(const struct cowherd_stdio *stdio, struct launch_stdio *ret);

/* create.c */
int lcow_create(const struct cowherd_request *request, const struct cowherd_stdio *stdio,
		const struct reply *reply, cowherd_launcher_intend_cb intend,
		cowherd_launcher_exit_cb exit_cb, void *arg);
int lcow_start(uint64_t system, const struct reply *reply);
void start_drop(struct start *start); /* NULL is fine */
void create_cancel(cowherd_op op);
void creates_drop(void); /* at the plugin's end: those that wait for their child */
/* A create of that container is under way: give it up, and call over when it has ended. */
bool create_wait(const char *container, void (*over)(void *arg), void *arg);
/* The master for the caller; a duplicate stays with child, for resize. */
int console_share(struct launch_child *child);

/* exec.c */
int lcow_exec(uint64_t system, const char *process, const struct cowherd_stdio *stdio,
	      const struct reply *reply);

/* control.c */
int lcow_signal(uint64_t system, uint64_t process, int signo, uint32_t flags,
		const struct reply *reply);
int lcow_resize(uint64_t system, uint64_t process, uint16_t height, uint16_t width);
int lcow_freeze(uint64_t system, bool frozen, const struct reply *reply);
int lcow_stats(uint64_t system, const struct reply *reply);
int lcow_terminate(uint64_t system, const struct reply *reply);

/* record.c: what the ledger keeps of a system. */
char *record_make(const struct system *s); /* JSON, to be freed; NULL: out of memory */
/* A new life of it: its ledger will name other things. */
void record_begun(const char *container);
int lcow_adopt(const struct cowherd_record *record, const struct reply *reply,
	       cowherd_launcher_exit_cb exit_cb, void *arg);
int lcow_release(const struct cowherd_record *record, const struct reply *reply);

/* Was its record released just now, in full?  Asked once. */
bool gone_forget(const char *container);

/* leftover.c: what to do without a record.  Notes are written and removed on the pool. */
/* Before the cgroup is made; err gets a text. */
int leftover_note(const struct system *s, struct launch_error *err);
void leftover_forget(const char *container);
/* The hook COWHERD_HOOK_CONTAINER_DELETED. */
int lcow_deleted(void *arg, cowherd_op op, const char *container);

/* supports.c */
/* Has a Linux section and is not to be a virtual machine. */
bool spec_is_for_us(const char *spec, const char *options);

/* explain.c, launcher_service.c */
extern const struct cowherd_verb lcow_explain_verb;
extern const struct cowherd_launcher lcow_launcher;

#endif
