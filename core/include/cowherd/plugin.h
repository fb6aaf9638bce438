/* SPDX-License-Identifier: MIT */
/*
 * cowherd plugin ABI 1.2.
 *
 * A plugin is a shared object with one exported function, cowherd_plugin_entry().  Host and plugin
 * talk through two tables of functions: the host's (struct cowherd_host) and the plugin's own.
 *
 * Guarantee: a plugin built against 1.N loads in every 1.M with M >= N.  Structs only grow, at the
 * end; each begins with its own size, set by whoever fills it.  A reader copies what both sides
 * know and takes the rest as zero: never read a member beyond `size`.  `reserved` members are zero;
 * they are where a struct would end in padding that a later member could be mistaken for.
 *
 * Rules of conduct
 *  - Every callback runs on the supervisor's one event loop thread, except the `work` function given
 *    to offload().  No callback may block for more than a millisecond: use offload().  Host functions
 *    are called on the loop thread only; on any other they do nothing and return -EPERM (or NULL).
 *  - Pointers that a table asks for are there, others may be NULL.  Members that this header does not
 *    call optional are required; a registration without them is -EINVAL.
 *  - Strings are NUL-terminated UTF-8.  A string or struct passed in is valid until the call
 *    returns; copy what you keep.  Structured data is JSON text.
 *  - Errors are 0 or a negative errno.  An operation (`cowherd_op`) is answered exactly once: by
 *    returning 0 or a negative errno, or by returning COWHERD_LATER and calling host->answer() --
 *    before returning (inline) or later.  When a result is to be handed over (a record, a handle, a
 *    descriptor), use answer().  A late or second answer finds nothing and gets -ENOENT: harmless.
 *  - Whatever a plugin takes from the machine it announces first with host->intend(), so that
 *    release() can give it back from the record alone, in a new process, any number of times;
 *    "already gone" is success.
 *
 * docs/plugin-abi.md tells the same at length, with a first plugin step by step.
 */
#ifndef COWHERD_PLUGIN_H
#define COWHERD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COWHERD_ABI_MAJOR 1
#define COWHERD_ABI_MINOR 2

#if defined(__GNUC__)
#define COWHERD_EXPORT __attribute__((visibility("default")))
#else
#define COWHERD_EXPORT
#endif

/* Returned by an operation that will be answered through host->answer(). */
#define COWHERD_LATER 1

/* An operation in flight: an index and a generation, so that a stale one finds nothing.  0: none. */
typedef uint64_t cowherd_op;

/* What identifies one loaded plugin to the host; passed back as first argument of each host call. */
struct cowherd_self;

enum cowherd_log_level {
	COWHERD_LOG_ERROR = 0,
	COWHERD_LOG_WARN = 1,
	COWHERD_LOG_INFO = 2,
	COWHERD_LOG_DEBUG = 3,
};

/* The row of phases a container is created through; undone and released in reverse. */
enum cowherd_phase {
	COWHERD_PHASE_IDENTITY = 0,
	COWHERD_PHASE_NETWORK = 1,
	COWHERD_PHASE_STORAGE = 2,
	COWHERD_PHASE_MOUNTS = 3,
	COWHERD_PHASE_DOCUMENT = 4,
	COWHERD_PHASE_COMPUTE = 5,
};

/*
 * The outcome of an operation.  All pointers are borrowed for the call to answer(); `fd` changes
 * owner: the host closes it (also when answer() fails).  Members that do not matter are zero.
 */
struct cowherd_answer {
	size_t size;
	int code;            /* 0 or negative errno */
	const char *message; /* on error: "object: cause"; NULL: the text of code */
	const char *result;  /* JSON for the caller (stats, verbs); NULL: none */
	uint64_t handle;     /* create, adopt: the compute system; exec: the process; never 0 there */
	int64_t pid;         /* create, adopt, exec: the process id as the host sees it; 0: none */
	int fd;              /* create, exec with a terminal: the pty master; else 0 or -1 */
	uint32_t reserved;
	/* since 1.1 */
	int exit_code; /* verbs: the client's status, 0 to 255; with an error, 0 means 1 */
	uint32_t reserved_1_1;
};

/* What a container's resources are asked for with. */
struct cowherd_request {
	size_t size;
	const char *container; /* id */
	const char *name;      /* as people call it; may equal the id */
	const char *owner;
	const char *txn;       /* uuid of the transaction, for log lines */
	const char *bundle;    /* absolute directory of the OCI bundle */
	const char *spec;      /* OCI runtime spec, JSON, as patched by the phases so far */
	const char *options;   /* cowherd's own create options, JSON object */
	const char *run_dir;   /* volatile directory of this container, exists, 0700 */
	const char *state_dir; /* durable directory of this container, exists, 0700 */
};

/* One entry of the ledger, as intend() wrote it. */
struct cowherd_record {
	size_t size;
	const char *container;
	const char *key;
	const char *record; /* JSON */
	int other_boot;     /* 1: written before the last reboot; kernel objects in it are gone */
	uint32_t reserved;
};

/* Takes and releases one kind of resource.  Tables and their strings must outlive the plugin's fini. */
struct cowherd_allocator {
	size_t size;
	const char *name;    /* "net.endpoint": unique among allocators and backends */
	uint32_t phase;      /* enum cowherd_phase */
	uint32_t flags;      /* COWHERD_DURABLE: records outlive a reboot (files on disk); COWHERD_LAZY */
	uint32_t acquire_ms; /* deadlines; 0: the host's default (60 s) */
	uint32_t release_ms;
	/* Take what the request needs; nothing to take is success.  Before each resource: intend(). */
	int (*acquire)(void *arg, cowherd_op op, const struct cowherd_request *request);
	/*
	 * Give back what one record names.  Must work in a process that never saw the acquire; and in
	 * one where the acquire is still under way, given up by the host: then end that first.
	 */
	int (*release)(void *arg, cowherd_op op, const struct cowherd_record *record);
	/* The host no longer wants the result: answer soon, any way.  May be NULL. */
	void (*cancel)(void *arg, cowherd_op op);
};
#define COWHERD_DURABLE 0x1u
/*
 * With COWHERD_DURABLE: whatever the records name is in the container's state_dir, or found without
 * them.  Nobody waits until they are on the disk: they follow in a moment, with the container's own.
 * A host that does not know this flag waits.
 */
#define COWHERD_LAZY 0x2u

/* How a process is connected.  Descriptors stay the caller's; valid until the operation is answered. */
struct cowherd_stdio {
	size_t size;
	int in, out, err;        /* -1: /dev/null; ignored with a terminal */
	int terminal;            /* 1: the backend makes a pty and answers with its master */
	uint16_t height, width;  /* of the terminal; 0: as the spec says */
	uint32_t reserved;
};

/* How a process ended.  Exact, or lost with a reason; never invented. */
struct cowherd_exit {
	size_t size;
	int code;             /* 0..255; 128+signal where a signal ended it; -1: lost */
	int signal;           /* the signal, or 0 */
	int oom;              /* 1: the kernel killed a process of the container for memory */
	const char *reason;   /* with code -1: why it is not known; else NULL */
	uint64_t time_ns;     /* CLOCK_REALTIME when the end was seen */
};

#define COWHERD_SIGNAL_ALL 0x1u /* to every process of the compute system */

/*
 * Runs compute systems (a process-isolated container, a utility VM, a container in a utility VM).
 * `system` and `process` are the handles that create/adopt/exec answered with; process 0 is init.
 * Handles of systems are the plugin's to choose, unique among all its backends, until close().
 * The end of a process is told by host->exited(), once per process, after the answer that made it.
 * Optional: exec, resize, pause, resume, stats, shutdown, adopt, cancel.
 */
struct cowherd_backend {
	size_t size;
	const char *name; /* "lcow" */
	uint32_t create_ms, start_ms, release_ms; /* deadlines; 0: the host's default */
	/* 0: not for me; otherwise a preference: the largest wins.  Must not take anything. */
	int (*supports)(void *arg, const struct cowherd_request *request);
	/* Make the compute system up to, not including, the first instruction of the user's process. */
	int (*create)(void *arg, cowherd_op op, const struct cowherd_request *request,
		      const struct cowherd_stdio *stdio);
	int (*start)(void *arg, cowherd_op op, uint64_t system);
	/* `process` is an OCI process object, JSON. */
	int (*exec)(void *arg, cowherd_op op, uint64_t system, const char *process,
		    const struct cowherd_stdio *stdio);
	int (*signal)(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo,
		      uint32_t flags);
	int (*resize)(void *arg, cowherd_op op, uint64_t system, uint64_t process, uint16_t height,
		      uint16_t width);
	int (*pause)(void *arg, cowherd_op op, uint64_t system);
	int (*resume)(void *arg, cowherd_op op, uint64_t system);
	/* Answers with a JSON object; its shape stands in docs/plugin-abi.md. */
	int (*stats)(void *arg, cowherd_op op, uint64_t system);
	/* Ask it to end (the spec's stop signal); answered when asked, not when ended. */
	int (*shutdown)(void *arg, cowherd_op op, uint64_t system, int signo);
	/* End every process of it; answered when asked.  exited() follows when it is proved. */
	int (*terminate)(void *arg, cowherd_op op, uint64_t system);
	/* Forget the handle, free its memory.  The compute system itself may live on (adoption). */
	void (*close)(void *arg, uint64_t system);
	/* Take up a compute system that outlived its supervisor.  -ESRCH: it does not live any more. */
	int (*adopt)(void *arg, cowherd_op op, const struct cowherd_record *record);
	/* End and remove whatever one record of create() names. */
	int (*release)(void *arg, cowherd_op op, const struct cowherd_record *record);
	void (*cancel)(void *arg, cowherd_op op);
};

enum cowherd_hook {
	COWHERD_HOOK_CONTAINER_STOPPED = 0,
	COWHERD_HOOK_CONTAINER_DELETED = 1,
	COWHERD_HOOK_SUPERVISOR_SHUTDOWN = 2,
	COWHERD_HOOK_CONTAINER_START = 3, /* since 1.2: about to run, at each start and restart */
};

/* Called with the container's id, or NULL at shutdown.  An operation like any other. */
typedef int (*cowherd_hook_cb)(void *arg, cowherd_op op, const char *container);

/* One call of a client verb.  Descriptors belong to the host and live until the answer. */
struct cowherd_call {
	size_t size;
	const char *args; /* JSON array of strings: the words after the verb */
	const char *cwd;  /* the client's working directory */
	int in, out, err; /* the client's streams, or -1 */
	uint32_t client_uid;
};

/* A verb a plugin adds to the client: `cowherd NAME ...`.  answer.result is printed (text or JSON). */
struct cowherd_verb {
	size_t size;
	const char *name;  /* "image" */
	const char *usage; /* "image load|ls|rm [OPTIONS]" */
	const char *help;  /* one line */
	int (*call)(void *arg, cowherd_op op, const struct cowherd_call *call);
	void (*cancel)(void *arg, cowherd_op op); /* the client went away; may be NULL */
	/* since 1.1 */
	const char *details; /* what `cowherd help NAME` says below help: options, examples; may be NULL */
};

/* A section "plugins": {NAME: {...}} of the configuration. */
struct cowherd_config_section {
	size_t size;
	const char *name;
	/*
	 * Judge the section without touching anything.  On error write "/json/pointer: cause" to
	 * message (at most message_size bytes, NUL included); the host adds file and line.  May be NULL.
	 */
	int (*check)(void *arg, const char *json, char *message, size_t message_size);
	/* Take it into use, after check; also called at reload, with the new text. */
	int (*apply)(void *arg, const char *json);
};

/*
 * Since 1.1.  Knows images by name, for `cowherd run IMAGE` and "image" of the create parameters.
 * Sources are asked in order of registration until one answers with anything but -ENOENT.
 */
struct cowherd_image_source {
	size_t size;
	const char *name;    /* "storage": unique among image sources */
	uint32_t resolve_ms; /* deadline; 0: the host's default (60 s) */
	uint32_t reserved;
	/*
	 * Find what is here already; nothing is fetched.  reference: as the user wrote it.  platform:
	 * "os/arch[/variant]", or NULL: the machine's own.  answer.result is {"digest": of the image,
	 * "name": in full, "config": the OCI image configuration}.  -ENOENT with a message where there
	 * is none of that name.  The image may be removed at any time after the answer: an allocator
	 * that needs it looks again, by digest, and holds it (docs/plugin-abi.md, "Images").
	 */
	int (*resolve)(void *arg, cowherd_op op, const char *reference, const char *platform);
	void (*cancel)(void *arg, cowherd_op op); /* the client went away; may be NULL */
};

#define COWHERD_FD_READ 0x1u
#define COWHERD_FD_WRITE 0x2u
#define COWHERD_FD_HANGUP 0x4u

typedef void (*cowherd_timer_cb)(void *arg);
typedef void (*cowherd_fd_cb)(void *arg, int fd, uint32_t events);
typedef int (*cowherd_work_cb)(void *arg); /* on a pool thread: no host calls here */
/* On the loop; result is what work returned, or -ECANCELED where it was not run. */
typedef void (*cowherd_work_done_cb)(void *arg, int result);

/* What the host offers.  Valid until the plugin's fini has returned. */
struct cowherd_host {
	size_t size;
	uint32_t abi_major, abi_minor;
	const char *version; /* of the host program, for people */

	/* One log line.  container may be NULL; event is a short word, msg prose. */
	void (*log)(struct cowherd_self *self, int level, const char *container, const char *event,
		    const char *msg);

	/*
	 * Registrations: allowed from init() on; the host undoes all of them at unload, and when init()
	 * fails.  -EEXIST: the name is taken; -EINVAL: something required is missing; -ESHUTDOWN: the
	 * plugin is on its way out.
	 */
	int (*register_allocator)(struct cowherd_self *self, const struct cowherd_allocator *allocator,
				  void *arg);
	int (*register_backend)(struct cowherd_self *self, const struct cowherd_backend *backend,
				void *arg);
	int (*register_hook)(struct cowherd_self *self, int hook, cowherd_hook_cb cb, void *arg);
	int (*register_verb)(struct cowherd_self *self, const struct cowherd_verb *verb, void *arg);
	int (*register_config)(struct cowherd_self *self, const struct cowherd_config_section *section,
			       void *arg);

	/*
	 * Services: what one plugin offers another, a table known by name and version.  lookup gives
	 * the table, or NULL (absent, or older than asked); it keeps the provider loaded.
	 */
	int (*provide)(struct cowherd_self *self, const char *name, uint32_t version,
		       const void *table);
	const void *(*lookup)(struct cowherd_self *self, const char *name, uint32_t min_version);

	/* Answer an operation.  -ENOENT: it is not waited for any more. */
	int (*answer)(struct cowherd_self *self, cowherd_op op, const struct cowherd_answer *answer);
	/*
	 * Write to the container's ledger what is about to be taken, before taking it.  One operation
	 * may announce several resources, told apart by key; the same key again replaces the record
	 * (once more is known, e.g. the number of a loop device).  Returns when it is written; where it
	 * fails, take nothing.  key: 1 to 255 bytes.  -EBADMSG: the record is not JSON.
	 */
	int (*intend)(struct cowherd_self *self, cowherd_op op, const char *key, const char *record);
	/* Take back an announcement whose resource was not taken, or was given back already. */
	int (*forget)(struct cowherd_self *self, cowherd_op op, const char *key);
	/* Change the spec for the phases that follow: an RFC 7396 merge patch, a JSON object. */
	int (*patch_spec)(struct cowherd_self *self, cowherd_op op, const char *patch);
	/* Tell the client of a verb how far it is; JSON. */
	int (*progress)(struct cowherd_self *self, cowherd_op op, const char *json);

	/*
	 * Timers and descriptors; ids are never 0 and never used again.  A timer fires once, or after
	 * after_ms and then each repeat_ms.  A watched descriptor becomes non-blocking; it stays the
	 * plugin's: end its watch before closing it.  -EEXIST: it is watched already; -EPERM: it is of a
	 * kind that is always ready (a regular file).  HANGUP is also how errors are told.
	 */
	int (*timer_start)(struct cowherd_self *self, uint64_t after_ms, uint64_t repeat_ms,
			   cowherd_timer_cb cb, void *arg, uint64_t *ret_id);
	void (*timer_stop)(struct cowherd_self *self, uint64_t id);
	int (*watch_fd)(struct cowherd_self *self, int fd, uint32_t events, cowherd_fd_cb cb, void *arg,
			uint64_t *ret_id);
	void (*unwatch_fd)(struct cowherd_self *self, uint64_t id);
	/*
	 * Run work on the thread pool, then done (which may be NULL) on the loop.  Every accepted call
	 * gets its done, also at the supervisor's end.
	 */
	int (*offload)(struct cowherd_self *self, cowherd_work_cb work, cowherd_work_done_cb done,
		       void *arg);

	/* Facts from a backend.  process 0: init, and with it the compute system, is gone. */
	void (*exited)(struct cowherd_self *self, uint64_t system, uint64_t process,
		       const struct cowherd_exit *status);
	/* Another fact worth an event of its own: "oom", "paused", ...; detail is JSON or NULL. */
	void (*notice)(struct cowherd_self *self, uint64_t system, const char *event,
		       const char *detail);
	/* Where the host keeps volatile and durable state, for what belongs to no container. */
	const char *run_dir, *state_dir;
	/* Directory of the host's helper programs (cowherd-init). */
	const char *libexec_dir;

	/* Since 1.1. */
	int (*register_image_source)(struct cowherd_self *self,
				     const struct cowherd_image_source *source, void *arg);

	/*
	 * Since 1.2.  A container as clients name it: by name, id, or the beginning of an id that no
	 * other has.  The caller sets ret->size; what ret points to is good until the callback returns.
	 * Its spec is as the first allocator is asked with it.
	 * *ret_pid (may be NULL): its init, 0 where nothing runs.  -ENOENT, -ENOTUNIQ; -ENOTSUP: there
	 * are no containers here, in a client without a supervisor.
	 */
	int (*find_container)(struct cowherd_self *self, const char *ref, struct cowherd_request *ret,
			      int64_t *ret_pid);
};

/* What a plugin is. */
struct cowherd_plugin {
	size_t size;
	uint32_t abi_major, abi_minor; /* COWHERD_ABI_MAJOR, COWHERD_ABI_MINOR */
	const char *name;              /* "lcow": [a-z][a-z0-9-]*, unique */
	const char *version;
	const char *description;       /* one line */
	const char *const *provides;   /* capabilities, NULL-terminated; may be NULL */
	const char *const *requires_;  /* capabilities that others must provide; may be NULL */
	/* Called once, after the plugins that provide what is required. */
	int (*init)(const struct cowherd_host *host, struct cowherd_self *self);
	/*
	 * Called before unload, when no resource of the plugin lives.  May return -EBUSY and say why in
	 * message; the host then keeps the plugin.  May be NULL.
	 */
	int (*fini)(char *message, size_t message_size);
};

/*
 * The one exported function.  host_major, host_minor: what the host speaks.  Returns the plugin's
 * table, or NULL where it cannot work with that host.
 */
COWHERD_EXPORT const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major,
								 uint32_t host_minor);

/*
 * Service "cowherd.launcher", version 1, provided by lcow: runs an OCI spec as a process-isolated
 * container for another plugin.  Same rules as a backend; answers and ends come by callback, on the
 * loop, never from inside the call that asked.
 */
#define COWHERD_SERVICE_LAUNCHER "cowherd.launcher"
typedef void (*cowherd_launcher_cb)(void *arg, const struct cowherd_answer *answer);
/*
 * What is about to be taken: the caller puts it into the ledger, with intend() on its own operation,
 * before it returns 0; each call replaces the record of the one before.
 */
typedef int (*cowherd_launcher_intend_cb)(void *arg, const char *record);
typedef void (*cowherd_launcher_exit_cb)(void *arg, uint64_t system, uint64_t process,
					 const struct cowherd_exit *status);
struct cowherd_launcher {
	size_t size;
	/* Up to the gate before the user's process.  exit_cb is called for init and each exec. */
	int (*create)(const struct cowherd_request *request, const struct cowherd_stdio *stdio,
		      cowherd_launcher_intend_cb intend, cowherd_launcher_cb cb,
		      cowherd_launcher_exit_cb exit_cb, void *arg);
	int (*start)(uint64_t system, cowherd_launcher_cb cb, void *arg);
	int (*exec)(uint64_t system, const char *process, const struct cowherd_stdio *stdio,
		    cowherd_launcher_cb cb, void *arg);
	int (*signal)(uint64_t system, uint64_t process, int signo, uint32_t flags);
	int (*resize)(uint64_t system, uint64_t process, uint16_t height, uint16_t width);
	int (*stats)(uint64_t system, cowherd_launcher_cb cb, void *arg);
	int (*terminate)(uint64_t system, cowherd_launcher_cb cb, void *arg);
	void (*close)(uint64_t system);
	/* By a record that intend was given, in any process: see struct cowherd_backend. */
	int (*adopt)(const struct cowherd_record *record, cowherd_launcher_cb cb,
		     cowherd_launcher_exit_cb exit_cb, void *arg);
	int (*release)(const struct cowherd_record *record, cowherd_launcher_cb cb, void *arg);
};

#ifdef __cplusplus
}
#endif

#endif
