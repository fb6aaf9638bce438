/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: loop, timers, plugins, engine, socket and reconciler put together, from the first
 * look at the configuration to the last directory removed.  `daemon` and `up` are made of it.
 */
#ifndef COW_CLI_SUPERVISE_H
#define COW_CLI_SUPERVISE_H

#include "base/strbuf.h"
#include "engine/engine.h"
#include "engine/reconcile.h"
#include "host/host.h"

struct cow_supervisor;

struct cow_supervise_options {
	const char *config; /* NULL: the default one, if it is there */
	/* From the command line, before the configuration's and the defaults; may be NULL. */
	const char *root, *state, *host, *plugin_dir, *log_level, *log_format;
	int log_fd;         /* stays the caller's; -1: cowherd.log in the state directory */
	enum cow_log_level log_default;
	/* In the end containers are deleted, and directories too, where they are empty then. */
	bool remove;
	int64_t stop_timeout_ms; /* < 0: as each container says */

	/* The socket answers.  The configuration is applied after this. */
	void (*ready)(void *arg, struct cow_supervisor *supervisor);
	/* A configuration has been brought about, as far as it can be at once. */
	void (*applied)(void *arg);
	/* A container of the configuration could not be brought up.  NULL: it is logged. */
	void (*failed)(void *arg, const char *container, const char *message);
	/* A stop began; killing: it is hurried. */
	void (*stopping)(void *arg, bool killing);
	/* All containers have stopped; goes on with cow_supervisor_proceed(), or when hurried. */
	void (*stopped)(void *arg);
	void *arg;
};

/*
 * Everything up to the first turn of the loop.  On failure why gets lines for people; nothing is
 * left then.
 */
int cow_supervisor_create(const struct cow_supervise_options *options, struct cow_supervisor **ret,
			  struct cow_strbuf *why);
/*
 * Until it was stopped, by a signal, a client or cow_supervisor_stop().  0, or what kept it from
 * starting.
 */
int cow_supervisor_run(struct cow_supervisor *supervisor, struct cow_strbuf *why);
void cow_supervisor_destroy(struct cow_supervisor *supervisor); /* NULL is fine */

/*
 * Begin to stop (timeout_ms < 0: as the options say); again with kill: hurry.  done (may be NULL)
 * comes when all has stopped.
 */
void cow_supervisor_stop(struct cow_supervisor *supervisor, int64_t timeout_ms, bool kill,
			 cow_engine_cb done, void *arg);

/* After options.stopped; at another time it does nothing. */
void cow_supervisor_proceed(struct cow_supervisor *supervisor);

const struct cow_config *cow_supervisor_config(struct cow_supervisor *supervisor);
uv_loop_t *cow_supervisor_loop(struct cow_supervisor *supervisor);
struct cow_timers *cow_supervisor_timers(struct cow_supervisor *supervisor);
struct cow_engine *cow_supervisor_engine(struct cow_supervisor *supervisor);
struct cow_reconcile *cow_supervisor_reconcile(struct cow_supervisor *supervisor);

#endif
