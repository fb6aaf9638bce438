/* SPDX-License-Identifier: MIT */
/*
 * Desired state: brings the engine's containers to what the configuration says, in the order of
 * dependencies, and applies only the difference when the configuration changes.  Containers that
 * the configuration made are told by their label; all others are left alone.
 *
 * Like the engine's own machine: callbacks only note what has happened, then every item is looked
 * at again.  Loop thread only.
 */
#ifndef COW_ENGINE_RECONCILE_H
#define COW_ENGINE_RECONCILE_H

#include "engine/engine.h"
#include "spec/config.h"

struct cow_reconcile;

struct cow_reconcile_setup {
	struct cow_engine *engine;
	struct cow_timers *timers;
	uint32_t parallel; /* how many are created or started at a time; 0: no bound */
	/* A container could not be brought to its state: for the log.  May be NULL. */
	void (*failed)(void *arg, const char *container, const char *message);
	void *arg;
};

int cow_reconcile_create(const struct cow_reconcile_setup *setup, struct cow_reconcile **ret,
			 struct cow_error *err);

/*
 * Take over config and apply it.  start_resting: containers that match and do not run are started
 * (a fresh start of the machine or of the supervisor); otherwise what matches is left as it is.
 *
 * done is called once, on a later turn, when all that can be done at once is done: containers that
 * wait for another's health or end go on in the background.  The result is that of `reload`, with
 * "failed":{NAME: message} where some failed.  Called again before that, the newest configuration
 * wins, and those in between are answered -ECANCELED; so is, at once, what comes after a stop. done
 * may be NULL.
 */
void cow_reconcile_apply(struct cow_reconcile *r, struct cow_config *config, bool start_resting,
			 cow_engine_cb done, void *arg);

/*
 * Stop all containers, dependents first, and those that are not of the configuration with them;
 * with remove they are deleted, too.  timeout_ms < 0: as each container says.  done once, on a
 * later turn; nothing is applied any more.
 */
void cow_reconcile_stop(struct cow_reconcile *r, int64_t timeout_ms, bool remove,
			cow_engine_cb done, void *arg);
/* Hurry a stop under way: everything gets SIGKILL, in no order. */
void cow_reconcile_kill(struct cow_reconcile *r);

/* The newest configuration given; NULL: none yet. */
const struct cow_config *cow_reconcile_config(const struct cow_reconcile *r);
/* Will this container be started yet, once what it waits for has come? */
bool cow_reconcile_waiting(const struct cow_reconcile *r);

/* After the engine is gone, so that none of its callbacks can come; NULL is fine. */
void cow_reconcile_destroy(struct cow_reconcile *r);

#endif
