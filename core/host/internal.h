/* SPDX-License-Identifier: MIT */
/* What the files of host/ share.  Loop thread only, unless a line says otherwise. */
#ifndef COW_HOST_INTERNAL_H
#define COW_HOST_INTERNAL_H

#include "base/list.h"
#include "host/host.h"
#include "host/map.h"

#include <pthread.h>
#include <stdatomic.h>

enum plugin_state {
	PLUGIN_LOADED,       /* file mapped, table good; init not called yet */
	PLUGIN_INITIALISING, /* inside its init() */
	PLUGIN_ACTIVE,
	PLUGIN_FINISHING, /* no new work; inside its fini(), or about to be */
	PLUGIN_UNLOADED,  /* still mapped: the file is closed at shutdown only */
	PLUGIN_FAILED,    /* reason says why */
	PLUGIN_STATE_COUNT,
};

struct cow_plugin {
	struct cow_list node; /* host->plugins, in order of loading */
	struct cow_host *host;
	enum plugin_state state;
	uint32_t rank;  /* of its init, from 1; finished in reverse */
	uint32_t depth; /* calls into the plugin that are on the stack now */
	char *path, *name, *reason;
	void *handle; /* of dlopen, or NULL */
	int fd;       /* the file it was loaded from, where its path could not be trusted; or -1 */
	struct cowherd_plugin table; /* normalised copy */
	struct cow_list offers, timers, watches, jobs;
	struct cow_map systems; /* handle -> the backend's cow_offer */
	struct cow_list uses;   /* services of others it looked up */
	atomic_bool stray;      /* a host function was called on another thread */
	bool stray_told;
};

enum offer_kind {
	OFFER_ALLOCATOR,
	OFFER_BACKEND,
	OFFER_HOOK,
	OFFER_VERB,
	OFFER_CONFIG,
	OFFER_SERVICE,
	OFFER_IMAGE_SOURCE,
	OFFER_KIND_COUNT,
};

struct cow_service {
	const void *table;
	uint32_t version;
};

/* One registration.  `shown` is what the core sees: its functions are the guards of guard.c. */
struct cow_offer {
	struct cow_list node; /* plugin->offers; once undone, host->undone */
	struct cow_plugin *plugin;
	enum offer_kind kind;
	bool undone;
	const char *name; /* the plugin's; "" for a hook */
	void *arg;        /* the plugin's */
	uint64_t order;   /* of registration */
	union {
		struct cow_allocator allocator;
		struct cow_backend backend;
		struct cow_hook hook;
		struct cow_verb verb;
		struct cow_service service;
		struct cow_image_source image_source;
	} shown;
	union {
		struct cowherd_allocator allocator;
		struct cowherd_backend backend;
		struct cowherd_verb verb;
		struct cowherd_config_section config;
		struct cowherd_image_source image_source;
		cowherd_hook_cb hook;
	} theirs;
};

struct cow_use {
	struct cow_list node; /* user->uses */
	const struct cow_offer *service;
};

/* Pointers to the `shown` of one kind of offer, sorted: what the registry hands out. */
struct offer_list {
	const void **items;
	uint32_t count, cap;
};

struct cow_host {
	struct cow_host_setup setup; /* its strings are the host's own copies */
	struct cow_host_events events;
	void *events_arg;
	struct cowherd_host table; /* what plugins call */
	pthread_t thread;          /* the loop's */
	struct cow_list plugins;
	struct offer_list offers[OFFER_KIND_COUNT];
	struct cow_list undone; /* offers that a transaction may still point to; they only refuse */
	struct cow_map calls;   /* operation -> the cow_offer that is to answer it; tag: enum guard_call */
	struct cow_map timers;  /* id -> struct plugin_timer */
	struct cow_map watches; /* id -> struct plugin_watch */
	uint64_t next_id, next_order;
	uint32_t next_rank;
	uint32_t open_handles; /* uv handles and requests not yet given back by libuv */
	uv_async_t *stray;     /* woken by a stray thread; its close callback frees it */
};

/* Which operation a plugin was asked for; what is checked in its answer depends on it. */
enum guard_call {
	CALL_ACQUIRE,
	CALL_RELEASE,
	CALL_CREATE,
	CALL_ADOPT,
	CALL_EXEC,
	CALL_STATS,
	CALL_PLAIN, /* a backend's other operations */
	CALL_HOOK,
	CALL_VERB,
	CALL_RESOLVE,
};

/* tables.c: size-first structs read and judged. */
/* Copy what both sides know, the rest is zero.  -EINVAL: src is NULL or does not even hold its size. */
int table_copy(void *dst, size_t dst_size, const void *src);
/* [a-z][a-z0-9-]*, with `dots` also more of these joined by single dots; at most 64 bytes. */
bool table_name_valid(const char *name, bool dots);
int table_read_plugin(struct cowherd_plugin *ret, const struct cowherd_plugin *theirs,
		      struct cow_error *err);
/* 0; -EINVAL: a required member is absent or has no valid value. */
int table_read_allocator(struct cowherd_allocator *ret, const struct cowherd_allocator *theirs);
int table_read_backend(struct cowherd_backend *ret, const struct cowherd_backend *theirs);
int table_read_verb(struct cowherd_verb *ret, const struct cowherd_verb *theirs);
int table_read_config(struct cowherd_config_section *ret, const struct cowherd_config_section *theirs);
int table_read_image_source(struct cowherd_image_source *ret,
			    const struct cowherd_image_source *theirs);
/* Valid JSON text; with `object`, an object.  0 or -EBADMSG, -EINVAL for NULL. */
int table_json(const char *text, bool object);

/* open.c: a file that may be trusted, mapped. */
/* On success *ret is the dlopen handle and *ret_fd a descriptor to keep as long as it, or -1. */
int plugin_file_open(const char *path, void **ret, int *ret_fd, struct cow_error *err);

/* crash.c: which plugin was being started when the process died. */
void crash_report_last(struct cow_host *host);
/* From here on a crash names the plugin on stderr, and the next start finds its name. */
void crash_guard_enter(struct cow_host *host, const char *plugin, const char *what);
void crash_guard_leave(struct cow_host *host);

/* guard.c: between the core and what a plugin registered. */
void guard_allocator(struct cow_offer *offer);
void guard_backend(struct cow_offer *offer);
void guard_hook(struct cow_offer *offer, int hook);
void guard_verb(struct cow_offer *offer);
void guard_image_source(struct cow_offer *offer);
/* Operations of the plugin that somebody still waits for. */
uint32_t guard_in_flight(struct cow_plugin *plugin);
void guard_forget(struct cow_plugin *plugin);
/* Begin and end of any call into the plugin. */
void guard_enter(struct cow_plugin *plugin);
void guard_leave(struct cow_plugin *plugin);

/* registry.c */
int offer_register(struct cow_plugin *plugin, struct cow_offer *offer); /* takes over offer, always */
struct cow_offer *offer_find(struct cow_host *host, enum offer_kind kind, const char *name);
void offer_undo_all(struct cow_plugin *plugin);
void offer_free_undone(struct cow_host *host);
/* The plugin that uses a service of this one, or NULL; *ret_service its name. */
const struct cow_plugin *offer_user(const struct cow_plugin *plugin, const char **ret_service);

/* calls*.c: the host function table. */
void calls_fill(struct cowherd_host *table);
/* The plugin behind self, on the right thread and in its right life; else NULL and *ret_rc says why. */
struct cow_plugin *calls_enter(struct cowherd_self *self, bool adding, int *ret_rc);
void calls_stray_cb(uv_async_t *async);
int calls_register_allocator(struct cowherd_self *, const struct cowherd_allocator *, void *);
int calls_register_backend(struct cowherd_self *, const struct cowherd_backend *, void *);
int calls_register_hook(struct cowherd_self *, int, cowherd_hook_cb, void *);
int calls_register_verb(struct cowherd_self *, const struct cowherd_verb *, void *);
int calls_register_config(struct cowherd_self *, const struct cowherd_config_section *, void *);
int calls_register_image_source(struct cowherd_self *, const struct cowherd_image_source *, void *);
int calls_provide(struct cowherd_self *, const char *, uint32_t, const void *);
const void *calls_lookup(struct cowherd_self *, const char *, uint32_t);
int calls_answer(struct cowherd_self *, cowherd_op, const struct cowherd_answer *);
int calls_timer_start(struct cowherd_self *, uint64_t, uint64_t, cowherd_timer_cb, void *, uint64_t *);
void calls_timer_stop(struct cowherd_self *, uint64_t);
int calls_watch_fd(struct cowherd_self *, int, uint32_t, cowherd_fd_cb, void *, uint64_t *);
void calls_unwatch_fd(struct cowherd_self *, uint64_t);
int calls_offload(struct cowherd_self *, cowherd_work_cb, cowherd_work_done_cb, void *);

/* sources.c: timers, watches, jobs. */
void sources_stop(struct cow_plugin *plugin); /* timers and watches; jobs not begun are cancelled */

/* load.c */
/* Ledger entries of its allocators and backends; appends which they are. */
uint32_t plugin_resources(struct cow_plugin *plugin, struct cow_strbuf *which);
/* Its fini; -EBUSY: it objects, err says why. */
int plugin_finish(struct cow_plugin *plugin, struct cow_error *err);
/* Everything it registered, started or watches. */
void plugin_undo(struct cow_plugin *plugin);

/* check.c */
void check_describe(const struct cow_plugin *plugin, struct cow_strbuf *out);

/* host.c */
void host_log(const struct cow_plugin *plugin, int level, const char *event, const char *msg);

#endif
