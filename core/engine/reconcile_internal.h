/* SPDX-License-Identifier: MIT */
/* Between the files of the reconciler. */
#ifndef COW_ENGINE_RECONCILE_INTERNAL_H
#define COW_ENGINE_RECONCILE_INTERNAL_H

#include "base/list.h"
#include "engine/reconcile.h"

enum phase {
	PHASE_STOP,     /* an old container is to be stopped, once its dependents are */
	PHASE_STOPPING,
	PHASE_DELETING,
	PHASE_WAIT,     /* for what it depends on */
	PHASE_CREATING,
	PHASE_STARTING,
	PHASE_UP,       /* was started, or needs no start */
	PHASE_GONE,
	PHASE_FAILED,
};

/* What another's dependency asks of a container beyond having been started. */
enum answer { NOT_ASKED, ASKED, YES, NO };

struct question {
	enum answer answer;
	uint64_t wait; /* the engine's, while ASKED; 0: cannot be cancelled */
};

enum listed { NOT_LISTED, LISTED_RESTING, LISTED_RUNNING, LISTED_BROKEN };

struct item {
	char *name;
	const struct cow_config_container *want; /* NULL: not in the configuration */
	enum phase phase;
	bool exists; /* the engine has the container */
	bool down;   /* what depends on it being stopped may go on */
	struct question healthy, completed;
	size_t *blockers, blocker_count; /* items that must be down before this one is stopped */
	char *message;                   /* why it failed */
};

/* A verb or wait in flight.  The generation tells whether its item is still the one meant. */
enum job_kind { JOB_STOP, JOB_DELETE, JOB_CREATE, JOB_START, JOB_HEALTHY, JOB_COMPLETED };
struct job {
	struct cow_list link;
	struct cow_reconcile *r;
	enum job_kind kind;
	uint32_t generation;
	size_t item;
};

/* An apply that was asked for. */
struct request {
	struct cow_config *config;
	bool start_resting;
	cow_engine_cb done;
	void *arg;
};

struct cow_reconcile {
	struct cow_reconcile_setup setup;
	struct cow_config *config;
	struct item *items;
	size_t count;
	uint32_t generation;
	struct cow_list jobs;
	uint32_t verbs; /* of the jobs, those that are no waits */
	uint32_t starts; /* of these, creates and starts */
	struct cow_timer timer;
	bool looking, again;

	struct request next;    /* config NULL: none */
	struct cow_strbuf result; /* of the apply under way */
	cow_engine_cb done;     /* of the apply or stop under way; NULL: nobody asks */
	void *done_arg;
	bool applying;

	bool stopping, remove, killed;
	int64_t stop_timeout_ms;
};

/* ---- reconcile_plan.c */
/* Compare r->next with what the engine has; makes the items.  Begins the next generation. */
int cow_reconcile_plan(struct cow_reconcile *r);
/* Every item, and every container that is none yet, is to be stopped. */
int cow_reconcile_plan_stop(struct cow_reconcile *r);
/* Is the container at rest, and will stay so? */
bool cow_reconcile_rests(struct cow_reconcile *r, const char *name);
void cow_reconcile_drop_items(struct cow_reconcile *r);

#endif
