/* SPDX-License-Identifier: MIT */
/*
 * The state machines of containers and processes, as data.
 *
 * Facts in, one step out: cow_container_step() looks at what is the case and moves at most one
 * state. Events carry nothing; they only say "look again", so a lost or doubled one is harmless.
 * Pure: no clock, no memory, no side effect.  docs/states.md is generated from the tables below.
 */
#ifndef COW_MODEL_STATE_H
#define COW_MODEL_STATE_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

enum cow_state {
	COW_STATE_CREATING,
	COW_STATE_RECOVERING, /* found by a new supervisor, not yet judged */
	COW_STATE_CREATED,
	COW_STATE_STARTING,
	COW_STATE_RUNNING,
	COW_STATE_PAUSING,
	COW_STATE_PAUSED,
	COW_STATE_RESUMING,
	COW_STATE_STOPPING,   /* asked to end */
	COW_STATE_KILLING,    /* told to end */
	COW_STATE_UNKNOWN,    /* told to end, and its death is not proved */
	COW_STATE_DRAINING,   /* init has ended, output is still on its way */
	COW_STATE_STOPPED,
	COW_STATE_RESTARTING, /* waits for its restart delay */
	COW_STATE_DELETING,
	COW_STATE_DELETED,
	COW_STATE_FAILED,     /* create failed, its pieces are kept */
	COW_STATE_DEAD,       /* record unreadable, or what it holds cannot be released */
	COW_STATE_COUNT,
};

/* What is the case.  The ASKED ones are wishes: a transition that grants or voids one clears it. */
enum cow_fact {
	COW_FACT_BUSY = 1u << 0,     /* the operation of this state is in flight */
	COW_FACT_FAILED = 1u << 1,   /* the operation of this state failed */
	COW_FACT_EXPIRED = 1u << 2,  /* the deadline of this state has passed */
	COW_FACT_ALIVE = 1u << 3,    /* init was let go, and its end is not proved */
	COW_FACT_OUTPUT = 1u << 4,   /* a stream has not reached its end */
	COW_FACT_HELD = 1u << 5,     /* the ledger holds something */
	COW_FACT_KEEP = 1u << 6,     /* keep the pieces of a failed create */
	COW_FACT_RAN = 1u << 7,      /* it was started at least once */
	COW_FACT_BROKEN = 1u << 8,   /* its record does not read back */
	COW_FACT_RUN = 1u << 9,      /* asked: run */
	COW_FACT_STOP = 1u << 10,    /* asked: end, with the stop signal first */
	COW_FACT_KILL = 1u << 11,    /* asked: end, now */
	COW_FACT_PAUSE = 1u << 12,   /* asked: be paused */
	COW_FACT_DELETE = 1u << 13,  /* asked: be gone */
	COW_FACT_RESTART = 1u << 14, /* the restart policy wants it started again */
};
#define COW_FACT_COUNT 15
#define COW_FACTS_ASKED                                                                    \
	(COW_FACT_RUN | COW_FACT_STOP | COW_FACT_KILL | COW_FACT_PAUSE | COW_FACT_DELETE | \
	 COW_FACT_RESTART)

/* What to do on the way; the engine does it after the state is set. */
enum cow_action {
	COW_ACTION_NONE,
	COW_ACTION_CANCEL,    /* the transaction in flight (idempotent) */
	COW_ACTION_START,     /* transaction: what compute is missing, then let init go */
	COW_ACTION_PAUSE,
	COW_ACTION_RESUME,
	COW_ACTION_SHUTDOWN,  /* send the stop signal */
	COW_ACTION_TERMINATE, /* end every process */
	COW_ACTION_REPORT,    /* record and tell the exit, then release the compute system */
	COW_ACTION_RELEASE,   /* release the compute system */
	COW_ACTION_DELETE,    /* release everything, remove the record */
	COW_ACTION_FORGET,    /* drop it from memory */
	COW_ACTION_COUNT,
};

enum cow_deadline {
	COW_DEADLINE_NONE,    /* rests until asked */
	COW_DEADLINE_STEPS,   /* each step of the transaction has its own */
	COW_DEADLINE_CALL,    /* the backend's answer */
	COW_DEADLINE_STOP,    /* the container's stop timeout */
	COW_DEADLINE_KILL,    /* proof of death after terminate */
	COW_DEADLINE_DRAIN,   /* end of output after init's end */
	COW_DEADLINE_BACKOFF, /* the restart delay */
	COW_DEADLINE_COUNT,
};

/* Timers a state may own; the setter drops the others. */
enum cow_state_timer {
	COW_TIMER_DEADLINE = 1u << 0,
	COW_TIMER_HEALTH = 1u << 1, /* the next health probe */
	COW_TIMER_STABLE = 1u << 2, /* it ran long enough: the restart delay starts afresh */
};

struct cow_state_info {
	const char *name;   /* fine: in logs, events, inspect */
	const char *status; /* coarse: docker's word */
	const char *oci;    /* coarse: the runtime specification's word */
	enum cow_deadline deadline;
	uint32_t timers;    /* enum cow_state_timer */
	bool final;
	const char *what;   /* for the documentation */
};

struct cow_move {
	enum cow_state to; /* may be where it is */
	enum cow_action action;
	uint32_t clears;   /* wishes granted or void */
};

const struct cow_state_info *cow_state_info(enum cow_state state);
const char *cow_action_name(enum cow_action action);
struct cow_move cow_container_step(enum cow_state state, uint32_t facts);

/* An exec'd process: the same idea, smaller. */
enum cow_process_state {
	COW_PROCESS_STARTING,
	COW_PROCESS_RUNNING,
	COW_PROCESS_EXITED,
	COW_PROCESS_FAILED,
	COW_PROCESS_COUNT,
};
const char *cow_process_state_name(enum cow_process_state state);
bool cow_process_state_final(enum cow_process_state state);
/* Facts BUSY, FAILED and ALIVE count. */
enum cow_process_state cow_process_step(enum cow_process_state state, uint32_t facts);

/* docs/states.md. */
void cow_model_document(struct cow_strbuf *out);

#endif
