/* SPDX-License-Identifier: MIT */
/*
 * What the files of engine/ share: the engine, a container, and who does what.  Loop thread only.
 *
 * A container is moved by look(): it gathers the facts, asks the model for one step, sets the state
 * with the one setter, and does the step's action; until nothing moves.  Verbs only wish (`wishes`)
 * and wait; answers, exits, ends of output and timers only change facts and look again.
 */
#ifndef COW_ENGINE_CONTAINER_H
#define COW_ENGINE_CONTAINER_H

#include "base/error.h"
#include "base/ids.h"
#include "base/list.h"
#include "base/strbuf.h"
#include "base/timers.h"
#include "engine/engine.h"
#include "engine/hash.h"
#include "host/host.h"
#include "model/state.h"
#include "spec/create.h"
#include "txn/ledger.h"
#include "txn/txn.h"

#define CALL_MS 60000u  /* a plugin's answer, where its table says nothing */
#define KILL_MS 10000u  /* proof of death after terminate */
#define DRAIN_MS 2000u  /* end of output after init's end */
#define EVENT_RING 1024u
#define JSON_PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
#define EVENTS_SHOWN 16u   /* by inspect */

struct container;
struct io;
struct log;
struct health;

struct event;
enum dir_kind { DIR_RUN, DIR_STATE, DIR_KINDS };
#define SPARES_MAX 32u

struct cow_engine {
	struct cow_engine_setup setup; /* strings are the engine's own */
	struct cow_list containers;    /* in order of creation */
	struct hash ids, names, systems, calls;
	struct cow_list replies;       /* struct waiter, to be answered on the next turn */
	struct cow_list graves;        /* containers to be freed on the next turn */
	struct cow_list dirty;         /* sync.c */
	struct cow_timer reply_timer, sync_timer, trim_timer;
	uint64_t next_wait, next_exec, next_start;
	uint32_t spares[DIR_KINDS];    /* dirs.c */
	struct cow_timer spare_timer;
	/* events.c */
	struct event *ring;            /* EVENT_RING of them */
	uint64_t events; /* so many were told; the newest is (events - 1) % EVENT_RING */
	struct cow_list subscriptions;
	uint32_t telling;              /* events being told now: subscriptions stay in memory */
	unsigned chance;               /* restart.c */
	/* io.c */
	struct cow_list buffers;       /* bulk buffers not in use */
	struct cow_list follows;
	struct cow_specs_kept specs;
	struct cow_list images;        /* image.c: being asked for */
	uint32_t jobs; /* pool jobs and closing handles that still need the engine */
	struct cow_timer buffer_timer;
	/* recover.c, shutdown.c */
	struct recovery *recovery;     /* under way */
	struct shutdown *shutdown;     /* under way */
	bool closing;                  /* nothing new is taken on */
	cow_engine_progress_cb progress;
	void *progress_arg;
};

/* What a container is, as its creator said.  Written once, read often. */
struct definition {
	char *id, *name, *owner, *image;
	char *bundle, *rootfs, *backend, *isolation; /* each may be NULL */
	char *labels, *annotations, *args;           /* JSON */
	char *network_of; /* the container whose network namespace it joins; NULL: none */
	char *options; /* the create parameters without the spec, JSON */
	char *resolved;         /* of an image: {"digest","name","config"}, JSON; else NULL */
	char *request_options;  /* options with "resolved" in them; NULL: options are all */
	char *spec;                                  /* OCI runtime spec, JSON */
	uint64_t created_ns;
	uint32_t schema_major, schema_minor;
	bool from_image;
	bool network_plugin; /* it asks for a network that a plugin has to make */
	bool terminal, open_stdin, keep_on_failure, auto_remove, has_linux;
	int stop_signal;
	uint32_t stop_ms;
	struct cow_restart restart;
	struct cow_health health; /* test is the definition's own */
	uint64_t log_max_bytes;
	uint32_t log_files;
};

/* How the last life ended: one record, complete or absent. */
struct ending {
	bool known;      /* there is an ending at all */
	int code;        /* -1: lost, reason says why */
	int signal;
	bool oom;
	char *reason;
	uint64_t time_ns;
};

/* A caller who is to be answered once, on a later turn. */
enum waiting {
	WAIT_CREATE,
	WAIT_START,
	WAIT_STOP,
	WAIT_RESTART,
	WAIT_PAUSE,
	WAIT_RESUME,
	WAIT_DELETE,
	WAIT_RELEASE,
	WAIT_CALL, /* a plugin's answer: answered by whoever asked */
	WAIT_FOR_STOPPED,
	WAIT_FOR_HEALTHY,
	WAIT_FOR_RUNNING,
	WAIT_FOR_REMOVED,
};
struct waiter {
	struct cow_list link; /* container->waiters or process->waiters, then engine->replies */
	struct cow_engine *engine;
	struct container *container; /* of a call that wants to know */
	enum waiting kind;
	uint64_t id;
	char txn[COW_UUID_LEN];
	cow_engine_cb cb;
	void (*drop)(void *arg); /* instead of cb, where nobody is left to be told; may be NULL */
	void *arg;
	struct cow_error *err; /* NULL: success */
	char *result;
};

/* One operation asked of a plugin: intend() and the like find their container through it. */
struct call {
	struct hash_node node;
	struct cow_list link; /* container->calls */
	cow_op op;
	struct container *container;
	const char *who;      /* allocator or backend */
	uint32_t flags;       /* of an allocator: COWHERD_DURABLE, COWHERD_LAZY */
	void (*cb)(void *arg, const struct cow_answer *answer);
	void *arg;
};

/* A process that exec made. */
struct process {
	struct cow_list link; /* container->processes */
	struct container *container;
	uint64_t id;          /* ours */
	uint64_t handle;      /* the backend's */
	int64_t pid;
	enum cow_process_state state;
	bool busy, failed, alive, internal; /* internal: a health probe */
	struct ending ending;
	struct cow_list waiters;
	struct cow_timer linger; /* how long an unasked exit code is kept */
	void (*ended)(void *arg, struct process *process);
	void *arg;
};

struct container {
	struct cow_engine *engine;
	struct cow_list link;
	struct hash_node id_node, name_node, system_node;
	struct definition *def;
	char *run_dir, *state_dir;
	struct cow_ledger *ledger, *durable; /* durable: NULL until something durable is taken */
	uint32_t states_bytes;           /* record.c: appended to its record */

	/* the machine */
	enum cow_state state;
	uint32_t wishes;
	bool busy, failed, expired;      /* of the state; unset by the setter */
	bool broken, ran, keep, recorded;
	bool looking, again;
	bool let_go; /* shutdown.c: asked to give back what a restart does not keep */
	uint32_t kill_after_ms, stop_ms; /* of the stop under way; UINT32_MAX: as defined */
	int stop_signal;
	struct cow_timer deadline;
	struct cow_list waiters, calls, processes;
	cow_op call;                     /* the backend's answer this state waits for; 0: none */
	struct cow_txn *txn;             /* the transaction under way */
	char txn_id[COW_UUID_LEN];       /* of the last operation */
	struct cow_error *error;         /* of the last operation that failed, or NULL */
	struct parts *parts;             /* of the transaction under way */
	struct release *release;         /* under way */
	struct judgement *judgement;     /* recover.c: not judged yet */

	/* the compute system */
	char *backend;                   /* name; NULL: none was chosen */
	uint64_t system;                 /* 0: none */
	int64_t pid;
	uint64_t start_time;
	bool made;                       /* the allocators' resources are held */
	bool started, ended; /* of this compute system: init was let go; its end is proved */
	char *joined_options;            /* options with "joined" in them: network.c; or NULL */
	char *patched;                   /* the spec as the phases changed it; NULL: as defined */
	struct json_object *tree;        /* while it is being changed */
	bool tree_changed;

	/* this life and the last */
	uint64_t started_ns, start_order;
	struct ending ending;
	bool stopped_by_user, paused_before;
	struct cow_list dirty;           /* engine->dirty: written, not yet on the medium */

	/* restart.c, health.c */
	uint32_t restarts, failures;
	bool automatic;                  /* the start under way is the restart policy's */
	bool taking;                     /* ... and asks the allocators */
	bool forced;                     /* the delete under way was forced */
	uint64_t backoff_ms;
	struct cow_timer stable;
	struct health *health;

	struct io *io;
	struct log *log;
	struct sample { uint64_t cpu_ns, time_ns; } sample;
};

/* ---- engine.c: the registry */
struct container *container_find(struct cow_engine *e, const char *key, struct cow_error *err);
struct container *container_by_id(struct cow_engine *e, const char *id);
struct container *container_by_name(struct cow_engine *e, const char *name);
/* Takes over def, also on failure.  Makes no directory. */
int container_new(struct cow_engine *e, struct definition *def, struct container **ret,
		  struct cow_error *err);
int container_dirs(struct container *c, struct cow_error *err);
void container_bury(struct container *c); /* unlinked now, freed on a later turn */
const struct cow_backend *container_backend(struct container *c);
struct cow_error *container_fail(struct container *c, const struct cow_error *err);
void engine_wake(struct cow_engine *e); /* replies and graves want a turn */

/* ---- wait.c: callers */
/* NULL: out of memory, and cb was called with that. */
struct waiter *waiter_new(struct cow_engine *e, enum waiting kind, cow_engine_cb cb, void *arg);
void waiter_ok(struct waiter *w, char *result); /* takes over result; NULL: "{}" */
void waiter_fail(struct waiter *w, const struct cow_error *err);
void waiter_refuse(struct waiter *w, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* For call_open(): a plugin's answer is the caller's. */
void waiter_answered(void *waiter, const struct cow_answer *answer);
void waiters_flush(struct cow_engine *e);
/* A state was entered: answer those who waited for that, or wait in vain now. */
void waiters_settle(struct container *c, enum cow_state from);
void waiters_answer(struct container *c, enum waiting kind, const struct cow_error *err);
void waiters_drop(struct cow_list *waiters);
void ending_json(const struct ending *end, struct cow_strbuf *out);
char *result_ids(struct container *c, const char *txn);
char *result_ending(const struct container *c);

/* ---- look.c: the machine */
uint32_t container_facts(const struct container *c);
void container_look(struct container *c);
bool container_alive(const struct container *c);
/* The operation of the state is answered; err NULL: it succeeded. */
void container_answered(struct container *c, const struct cow_error *err);

/* ---- call.c: plugins */
extern const struct cow_host_events engine_host_events;
int call_open(struct container *c, const char *who, uint32_t ms,
	      void (*cb)(void *arg, const struct cow_answer *answer), void *arg, cow_op *ret);
/* What the plugin's function returned; the answer may have come from inside it. */
void call_returned(struct cow_engine *e, cow_op op, int rc);
void call_enter(struct container *c, struct call *call, cow_op op, const char *who, uint32_t flags);
void call_leave(struct cow_engine *e, struct call *call);
void call_abandon(struct cow_engine *e, cow_op op);
void calls_abandon(struct container *c);
void call_ignored(void *arg, const struct cow_answer *answer);
void call_error(const struct cow_answer *answer, struct cow_error *err);
void container_request(struct container *c, struct cowherd_request *ret);
void container_drop_system(struct container *c);
void container_take_system(struct container *c, uint64_t system, int64_t pid);
int container_tree(struct container *c); /* c->tree is there to be changed */
void hooks_run(struct cow_engine *e, int hook, const char *container, void (*done)(void *),
	       void *arg);

/* ---- image.c */
/* Asks the image sources; done, maybe before this returns, with err->code 0 when create has it. */
void image_resolve(struct cow_engine *e, struct cow_create *create,
		   void (*done)(void *arg, struct cow_error *err), void *arg);
void images_abandon(struct cow_engine *e);
/* The user's numbers and HOME, from the root file system that is mounted now. */
int image_settle(struct container *c, struct cow_error *err);

/* ---- parts.c: the steps of create and start */
#define PARTS_STALE 0x1u  /* release the compute system of an earlier life */
#define PARTS_TAKE 0x2u   /* the allocators */
#define PARTS_MAKE 0x4u   /* the backend's create */
#define PARTS_RECORD 0x8u /* the definition */
#define PARTS_START 0x10u
int parts_run(struct container *c, unsigned which, unsigned txn_flags, cow_txn_done_cb done,
	      struct cow_error *err);
void parts_forget(struct container *c);

/* ---- release.c: give back what the ledger names, newest first */
typedef void (*release_done)(void *arg, const struct cow_error *err);
#define RELEASE_FORCE 0x1u /* entries that no loaded plugin can release are dropped */
#define RELEASE_VOLATILE 0x2u /* what is durable stays the container's until it is deleted */
/* only: one allocator's or backend's; NULL: all.  done may be called before this returns. */
void release_start(struct container *c, const char *only, unsigned flags, release_done done,
		   void *arg);
void release_abandon(struct container *c);
uint32_t container_held(const struct container *c);

/* ---- dirs.c */
int dirs_make(struct container *c, struct cow_error *err);
int dirs_drop(struct container *c, struct cow_error *err);
/* The spare ones; all: also those of a predecessor. */
void dirs_sweep(struct cow_engine *e, bool all);

/* ---- record.c, sync.c: on disk */
#define RECORD_TEMPORARY ".record.tmp"
int definition_make(struct cow_create *create, struct json_object *params, uint32_t windows_build,
		    struct definition **ret, struct cow_error *err);
void definition_destroy(struct definition *def); /* NULL is fine */
int record_write_definition(struct container *c, struct cow_error *err);
int record_remove_definition(struct container *c);
int record_write_state(struct container *c);
struct state_record {
	bool started, paused, by_user;
	char boot[COW_UUID_LEN];
	uint64_t started_ns;
	uint32_t restarts;
	struct ending ending;
};
struct opened_record {
	struct definition *def;
	char *backend, *patched; /* may be NULL */
	bool failed;
	struct state_record state; /* filled in in any case; its ending is the caller's */
};
/* -ENOENT: there is none.  What it opened is the caller's, also what it got on failure. */
int record_open(const char *state_dir, struct opened_record *ret, struct cow_error *err);
void ending_finish(struct ending *ending);
int ending_set(struct ending *ending, const struct cowherd_exit *status);
void record_dirty(struct container *c); /* to disk soon, off the loop */
void sync_stop(struct cow_engine *e);

/* ---- create.c, start.c, stop.c, delete.c, exec.c: actions */
void start_act(struct container *c);
void stop_act(struct container *c, enum cow_action action);
void report_act(struct container *c);
void release_act(struct container *c);
void delete_act(struct container *c);
void processes_end(struct container *c, const char *why);
void process_exited(struct container *c, uint64_t handle, const struct cowherd_exit *status);
int exec_internal(struct container *c, const char *process, int out,
		  void (*cb)(void *arg, const struct cow_answer *answer), void *arg,
		  struct process **ret);
/* In that callback: *ret lives now, or failed; ended is told of its end, and forgets it. */
void process_take(struct process *p, const struct cow_answer *answer,
		  void (*ended)(void *arg, struct process *process), void *arg);
void processes_free(struct container *c);
/* ---- network.c */

/* Before each start: joins another container's namespace; -ENOTSUP: nobody makes what it asks for. */
int network_begin(struct container *c, struct cow_error *err);

char *container_rootfs(const struct container *c); /* absolute, to be freed */
void process_forget(struct process *p);
struct process *process_find(struct container *c, uint64_t id);
void container_cycle(struct container *c, int64_t timeout_ms); /* end, if it lives, and run again */

/* ---- events.c */
void event_state(struct container *c, enum cow_state from, enum cow_state to, bool failed);
/* detail: JSON members to add, "\"key\":value,...", or NULL. */
void event_tell(struct cow_engine *e, const struct container *c, const char *event,
		const char *detail);
void events_finish(struct cow_engine *e);
void events_last(struct cow_engine *e, const char *container, struct cow_strbuf *out);

/* ---- recover.c, shutdown.c */
void recover_forget(struct container *c);
void recover_abandon(struct cow_engine *e);
void shutdown_check(struct cow_engine *e);
void shutdown_abandon(struct cow_engine *e);

/* ---- restart.c, health.c */
bool restart_wanted(struct container *c, bool failed_start);
void restart_running(struct container *c);
void health_running(struct container *c);
void health_leave(struct container *c);
const char *health_status(const struct container *c);
void health_inspect(const struct container *c, struct cow_strbuf *out);
void health_destroy(struct container *c);

/* ---- io.c, stdin.c, log.c, follow.c: output and input */
int io_prepare(struct container *c, struct cowherd_stdio *ret, struct cow_error *err);
/* The backend has its ends.  Takes over master, the terminal's, or -1. */
int io_made(struct container *c, int master);
bool io_open(const struct container *c);
void io_close(struct container *c);
uint64_t log_dropped(const struct container *c);
void log_detach(struct container *c);
void log_drop(struct container *c); /* and its files */
void followers_wake(struct container *c);
void follows_close(struct cow_engine *e);
void *buffer_get(struct cow_engine *e);
void buffer_put(struct cow_engine *e, void *buffer);
void buffers_finish(struct cow_engine *e);

#endif
