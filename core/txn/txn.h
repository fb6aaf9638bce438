/* SPDX-License-Identifier: MIT */
/*
 * A transaction: a row of steps, run in order of phase, undone in reverse when one fails.
 *
 * Time comes from a cow_timers queue, so the whole runs on virtual time in tests.  A step answers
 * inline, by return or later; an answer is addressed to a cow_op (index and generation), so that
 * one that comes twice, late or after an abandonment finds nothing.
 */
#ifndef COW_TXN_TXN_H
#define COW_TXN_TXN_H

#include "base/error.h"
#include "base/timers.h"

#include <stdbool.h>
#include <stdint.h>

#define COW_LATER 1 /* same value as COWHERD_LATER */

typedef uint64_t cow_op; /* 0: none */

enum cow_phase {
	COW_PHASE_IDENTITY,
	COW_PHASE_NETWORK,
	COW_PHASE_STORAGE,
	COW_PHASE_MOUNTS,
	COW_PHASE_DOCUMENT,
	COW_PHASE_COMPUTE,
	COW_PHASE_COUNT,
};
const char *cow_phase_name(enum cow_phase phase);

/*
 * Operations in flight: the table that answers are addressed to.  One per supervisor; transactions
 * and every other host->plugin operation use it.
 */
struct cow_ops;
struct cow_answer {
	int code;            /* 0 or negative errno */
	const char *message; /* "object: cause" or NULL; borrowed */
	const void *payload; /* what the asker and the answerer agreed on (struct cowherd_answer) */
};
typedef void (*cow_op_cb)(void *arg, cow_op op, const struct cow_answer *answer);
struct cow_ops *cow_ops_create(struct cow_timers *timers);
void cow_ops_destroy(struct cow_ops *ops); /* NULL is fine */
/* Operations open now. */
uint32_t cow_ops_count(const struct cow_ops *ops);
/*
 * Open an operation: cb is called once, by answer or, with -ETIMEDOUT, after deadline_ms (0:
 * never).  It is called from inside cow_ops_answer().
 */
int cow_op_open(struct cow_ops *ops, uint32_t deadline_ms, cow_op_cb cb, void *arg, cow_op *ret);
/*
 * -ENOENT: answered, abandoned or never known.  The callback runs before this returns; the
 * operation is closed by then.
 */
int cow_ops_answer(struct cow_ops *ops, cow_op op, const struct cow_answer *answer);
/* Wait no more: the callback is not called, a later answer finds nothing. */
void cow_op_abandon(struct cow_ops *ops, cow_op op);
/* The arg given at open, or NULL: who is behind this handle. */
void *cow_op_arg(const struct cow_ops *ops, cow_op op);

/*
 * A step's hooks are never called from inside one another, but for `answered`, which is called
 * from inside cow_ops_answer().
 *
 * Once a step is not to go on (its deadline passed, or the transaction is cancelled) it is asked to
 * finish: cancel is called, and it has COW_TXN_GRACE_MS from then.  One that does not answer in
 * that time is abandoned: a later answer finds nothing.  A deadline that passes without a cancel
 * hook to ask by abandons at once.
 *
 * What is undone, last first: each step that succeeded, each that was abandoned (nobody knows how
 * far it got), and one that failed if it is `partial`.  Any other step that fails has taken
 * nothing, or given it back itself.
 */
#define COW_TXN_GRACE_MS 5000

struct cow_step {
	const char *name; /* borrowed; outlives the transaction */
	enum cow_phase phase;
	uint32_t run_ms, undo_ms; /* deadlines; 0: none */
	bool partial;             /* run may fail with something taken: undo it then, too */
	/*
	 * 0: done; negative errno: failed; COW_LATER: answered through cow_ops_answer(op), which
	 * may be before this returns.  Where both are given, the answer counts.
	 */
	int (*run)(void *arg, cow_op op, struct cow_error *err);
	int (*undo)(void *arg, cow_op op, struct cow_error *err);  /* may be NULL */
	/*
	 * Given the successful answer of run (not where it returned 0) before the next step starts,
	 * and also before an undo.  May be NULL; <0: the step failed, but is undone.
	 */
	int (*answered)(void *arg, const struct cow_answer *answer, struct cow_error *err);
	void (*cancel)(void *arg, cow_op op);    /* please finish soon: run, or undo; may be NULL */
	void (*drop)(void *arg);                 /* the transaction is over; may be NULL */
	void *arg;
};

struct cow_txn;
struct cow_txn_result {
	struct cow_error error;      /* the first failure; code 0: success */
	struct cow_error undo_error; /* the first failing undo */
	uint32_t undo_failures;      /* counted, never stop the rest */
	uint32_t abandoned;          /* runs and undos that never answered */
};
typedef void (*cow_txn_done_cb)(void *arg, const struct cow_txn_result *result);

#define COW_TXN_KEEP_ON_FAILURE 0x1u /* do not undo: the caller wants to look at the pieces */

/* id: a uuid; copied.  NULL: out of memory. */
struct cow_txn *cow_txn_create(struct cow_ops *ops, struct cow_timers *timers, const char *id,
			       unsigned flags);
const char *cow_txn_id(const struct cow_txn *txn);
/*
 * Steps of one phase run in the order they were added.  Takes over step->arg (drop) even on error:
 * -ENOMEM, or -EBUSY once it runs.
 */
int cow_txn_add(struct cow_txn *txn, const struct cow_step *step);
/*
 * Starts with the first step at once; from here on nothing can fail for want of memory but the
 * steps themselves.  done is called exactly once, on a later turn of the loop; then the steps are
 * dropped and the transaction frees itself.
 */
void cow_txn_run(struct cow_txn *txn, cow_txn_done_cb done, void *arg);
/*
 * Stop at the step in flight and undo; code is what the result says (-ECANCELED).  Too late, and
 * without effect, once something failed or the last step succeeded.  Idempotent.
 */
void cow_txn_cancel(struct cow_txn *txn, int code);
/*
 * One that was never run; or, from outside its hooks, one that runs: it is dropped where it stands,
 * nothing is
 * undone, done is not called.  NULL is fine.
 */
void cow_txn_destroy(struct cow_txn *txn);
/* Name of the step in flight, or "". */
const char *cow_txn_step(const struct cow_txn *txn);

#endif
