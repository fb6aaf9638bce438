/* SPDX-License-Identifier: MIT */
/*
 * What a transaction must do in a scenario, worked out by arithmetic on the timeline: no events, no
 * callbacks, nothing in common with the engine but the contract.
 */
#ifndef COW_SWEEP_TXN_ORACLE_H
#define COW_SWEEP_TXN_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define STEPS_MAX 5
#define TRACE_MAX 64

/* How a step answers, to run or to undo. */
enum mode {
	MODE_RETURN,
	MODE_INLINE,
	MODE_LATER,
	MODE_NEVER,
	MODE_TWICE_INLINE, /* answers twice from inside the call, then returns an error */
	MODE_TWICE_LATER,
	MODE_IN_GRACE,     /* after the deadline, but soon enough after being asked to finish */
	MODE_LATE,         /* after it was abandoned */
	MODE_COUNT,
};

/* What the cancel hook does. */
enum hook { HOOK_NONE, HOOK_IGNORES, HOOK_INLINE, HOOK_LATER, HOOK_COUNT };

/* Where the transaction is cancelled from. */
enum place {
	CANCEL_NOT,
	CANCEL_BEFORE_RUN,
	CANCEL_IN_RUN,
	CANCEL_IN_ANSWERED,
	CANCEL_IN_UNDO,
	CANCEL_AT_TICK,
};

enum { RUN_MS = 10, UNDO_MS = 7, LATER_MS = 2, HOOK_MS = 3, LATE_MS = 20000 };
enum { FAIL_CODE = -5, CANCEL_CODE = -125 };

#define NOBODY 255 /* no such step */

struct scenario {
	uint8_t n;
	uint8_t run[STEPS_MAX], undo[STEPS_MAX]; /* enum mode */
	uint8_t fail;          /* the step whose run fails */
	uint8_t fail_answered; /* the step whose answered hook fails */
	uint8_t fail_undo;     /* the step whose undo fails */
	uint8_t hook;
	bool partial, keep;
	uint8_t deadlines; /* bit k: the run of step k has one */
	uint8_t cancel; /* enum place */
	uint8_t cancel_step;
	uint32_t cancel_tick;
};

struct event {
	char what; /* R run, A answered, C cancel, U undo, D done, X drop */
	uint8_t step;
	uint64_t at_ms;
};

struct outcome {
	struct event trace[TRACE_MAX];
	unsigned events;
	int code;
	uint8_t step; /* where it failed; NOBODY: nowhere */
	uint32_t undo_failures, abandoned;
};

void outcome_add(struct outcome *o, char what, unsigned step, uint64_t at_ms);
/* When a step answers that is called at 0; UINT64_MAX: not at all. */
uint64_t mode_answers_at(enum mode mode, uint64_t deadline_ms);
void oracle(const struct scenario *s, struct outcome *ret);

#endif
