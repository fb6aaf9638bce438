/* SPDX-License-Identifier: MIT */
/*
 * Plugins: loading, the registry of what they offer, and the host function table they call.  The
 * only dlopen, and the only code that knows both cowherd/plugin.h and the core.
 */
#ifndef COW_HOST_HOST_H
#define COW_HOST_HOST_H

#include "base/error.h"
#include "base/strbuf.h"
#include "base/timers.h"
#include "cowherd/plugin.h"
#include "txn/txn.h"

#include <stdbool.h>
#include <uv.h>

struct cow_host;
struct cow_plugin;

/* What the host asks of the engine on a plugin's behalf; any member may be NULL (a fake host). */
struct cow_host_events {
	/* Write to the ledger of the container behind op. */
	int (*intend)(void *arg, cow_op op, const char *allocator, const char *key, const char *record);
	int (*forget)(void *arg, cow_op op, const char *allocator, const char *key);
	int (*patch_spec)(void *arg, cow_op op, const char *patch);
	int (*progress)(void *arg, cow_op op, const char *json);
	void (*exited)(void *arg, const char *backend, uint64_t system, uint64_t process,
		       const struct cowherd_exit *status);
	void (*notice)(void *arg, const char *backend, uint64_t system, const char *event,
		       const char *detail);
	/* How many ledger entries name this allocator or backend; appends which to out. */
	uint32_t (*held)(void *arg, const char *allocator, struct cow_strbuf *out);
	/* A container as clients name it, and its init or 0. */
	int (*find)(void *arg, const char *ref, struct cowherd_request *ret, int64_t *ret_pid);
	/* A plugin answers, by return or otherwise, whether anyone waits for that or not. */
	void (*answers)(void *arg, cow_op op);
};

struct cow_host_setup {
	uv_loop_t *loop;
	struct cow_timers *timers;
	struct cow_ops *ops;
	const char *run_root, *state_root, *libexec_dir;
	bool visitor; /* a client with a verb: it has no next start to tell of a plugin's crash */
};

/* Loop and timers belong to the calling thread, on which plugins may call back; ops outlives the host. */
int cow_host_create(const struct cow_host_setup *setup, struct cow_host **ret, struct cow_error *err);
void cow_host_set_events(struct cow_host *host, const struct cow_host_events *events, void *arg);
/* Load one plugin file; checks owner and mode of the file, ABI, sizes, name; its init runs later, in
 * cow_host_init_all().  A failure is logged, kept for `plugins` and returned. */
int cow_host_load(struct cow_host *host, const char *path, struct cow_error *err);
/* Every *.so of a directory, in order of name; failures are kept and logged, the rest loads. */
int cow_host_load_dir(struct cow_host *host, const char *dir);
/* Call init of every plugin loaded so far, providers before those who require them.  One that fails
 * is undone; the others go on.  The first failure is returned. */
int cow_host_init_all(struct cow_host *host, struct cow_error *err);
/* -EBUSY where resources live (err says which) or its fini objects. */
int cow_host_unload(struct cow_host *host, const char *name, struct cow_error *err);
/* Unloads all, in reverse order of init, whatever they say.  Turns the loop until work of plugins on
 * the thread pool has ended and their handles are closed: not to be called from inside a callback. */
void cow_host_destroy(struct cow_host *host);

/*
 * Answers of plugins arrive at the callback of cow_op_open() with a struct cowherd_answer as payload,
 * always of full size.  A descriptor in it is closed unless the callback takes it with this: now the
 * caller's, or -1.  An operation that a plugin answered by return has no payload; create, adopt and
 * exec never succeed that way.
 */
int cow_host_take_fd(const struct cow_answer *answer);

/*
 * The registry.  Functions in these tables are the host's guards: call them with `arg` of the same
 * struct, only.  They return 0, a negative errno or COW_LATER, whatever the plugin returns; COW_LATER
 * also where it has answered already.  Pointers stay good when their plugin is unloaded, and give
 * -ENODEV from then on.  Deadlines are never 0.  Members a plugin left out are NULL.
 */
struct cow_allocator {
	const struct cow_plugin *plugin;
	struct cowherd_allocator table; /* normalised copy: absent members are zero */
	void *arg;
};
struct cow_backend {
	const struct cow_plugin *plugin;
	struct cowherd_backend table;
	void *arg;
};
struct cow_hook {
	const struct cow_plugin *plugin;
	int hook;
	cowherd_hook_cb cb;
	void *arg;
};
struct cow_verb {
	const struct cow_plugin *plugin;
	struct cowherd_verb table;
	void *arg;
};
struct cow_image_source {
	const struct cow_plugin *plugin;
	struct cowherd_image_source table;
	void *arg;
};
const char *cow_plugin_name(const struct cow_plugin *plugin);
/* Sorted by phase, then by order of registration; valid until a plugin is loaded or unloaded. */
uint32_t cow_host_allocators(struct cow_host *host, const struct cow_allocator *const **ret);
const struct cow_allocator *cow_host_allocator(struct cow_host *host, const char *name);
const struct cow_backend *cow_host_backend(struct cow_host *host, const char *name);
/* The backend that likes the request best, or NULL. */
const struct cow_backend *cow_host_choose_backend(struct cow_host *host,
						  const struct cowherd_request *request);
uint32_t cow_host_hooks(struct cow_host *host, const struct cow_hook *const **ret);
uint32_t cow_host_verbs(struct cow_host *host, const struct cow_verb *const **ret);
const struct cow_verb *cow_host_verb(struct cow_host *host, const char *name);
uint32_t cow_host_image_sources(struct cow_host *host, const struct cow_image_source *const **ret);
/* plugins.<name> of the configuration: check touches nothing; unknown section: -ENOENT. */
int cow_host_config_check(struct cow_host *host, const char *section, const char *json,
			  struct cow_error *err);
int cow_host_config_apply(struct cow_host *host, const char *section, const char *json,
			  struct cow_error *err);
/* The JSON array of `plugins.list`. */
int cow_host_list(struct cow_host *host, struct cow_strbuf *out);

/* `cowherd plugin check FILE.so`: load against a fake host, run the allocators through the sweep; prints
 * to stdout what it did.  0 or negative errno. */
int cow_host_check_plugin(const char *path, struct cow_error *err);

#endif
