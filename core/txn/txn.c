/* SPDX-License-Identifier: MIT */
/*
 * One loop (txn_go) calls step after step, forwards and then, after a failure, backwards.  It
 * leaves when a step answers later and is entered again by the answer or by the timer: the
 * transaction's one timer is the deadline of the step in flight, then its grace, and at last the
 * turn on which done is called.
 */
#include "base/cleanup.h"
#include "base/ids.h"
#include "txn/ops.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum txn_state { TXN_NEW, TXN_RUNNING, TXN_UNDOING, TXN_DONE };

struct txn_step {
	struct cow_step step;
	bool held; /* there may be something to undo */
};

struct cow_txn {
	struct cow_ops *ops;
	struct cow_timers *timers;
	char id[COW_UUID_LEN];
	unsigned flags;
	enum txn_state state;
	struct txn_step *steps;
	uint32_t count, entered; /* steps[entered - 1] is the current one */

	/* of the call in flight */
	cow_op op;
	bool inside;   /* a hook is on the stack */
	bool asked;    /* to finish */
	bool answered; /* from inside a hook; answer is its code */
	int answer;
	struct cow_timer timer;

	struct cow_txn_result result;
	cow_txn_done_cb done;
	void *done_arg;
};

static const char *const phase_names[COW_PHASE_COUNT] = {
	[COW_PHASE_IDENTITY] = "identity", [COW_PHASE_NETWORK] = "network",
	[COW_PHASE_STORAGE] = "storage",   [COW_PHASE_MOUNTS] = "mounts",
	[COW_PHASE_DOCUMENT] = "document", [COW_PHASE_COMPUTE] = "compute",
};

const char *cow_phase_name(enum cow_phase phase)
{
	return (unsigned)phase < COW_PHASE_COUNT ? phase_names[phase] : "?";
}

struct cow_txn *cow_txn_create(struct cow_ops *ops, struct cow_timers *timers, const char *id,
			       unsigned flags)
{
	struct cow_txn *txn = calloc(1, sizeof(*txn));
	if (!txn || cow_ops_reserve(ops) < 0) {
		free(txn);
		return NULL;
	}
	txn->ops = ops;
	txn->timers = timers;
	txn->flags = flags;
	(void)snprintf(txn->id, sizeof(txn->id), "%s", id);
	return txn;
}

const char *cow_txn_id(const struct cow_txn *txn)
{
	return txn->id;
}

static int txn_insert(struct cow_txn *txn, const struct cow_step *step)
{
	if (txn->state != TXN_NEW)
		return -EBUSY;
	struct txn_step *steps = reallocarray(txn->steps, txn->count + 1, sizeof(*steps));
	if (!steps)
		return -ENOMEM;
	txn->steps = steps;
	uint32_t at = txn->count++;
	for (; at > 0 && steps[at - 1].step.phase > step->phase; at--)
		steps[at] = steps[at - 1];
	steps[at] = (struct txn_step){ .step = *step };
	return 0;
}

int cow_txn_add(struct cow_txn *txn, const struct cow_step *step)
{
	int r = txn_insert(txn, step);
	if (r < 0 && step->drop)
		step->drop(step->arg);
	return r;
}

static void txn_free(struct cow_txn *txn)
{
	for (uint32_t i = 0; i < txn->count; i++)
		if (txn->steps[i].step.drop)
			txn->steps[i].step.drop(txn->steps[i].step.arg);
	cow_ops_unreserve(txn->ops);
	free(txn->steps);
	free(txn);
}

void cow_txn_destroy(struct cow_txn *txn)
{
	if (!txn)
		return;
	assert(!txn->inside);
	if (txn->op)
		cow_op_abandon(txn->ops, txn->op);
	cow_timer_stop(txn->timers, &txn->timer);
	txn_free(txn);
}

static struct txn_step *txn_current(const struct cow_txn *txn)
{
	return txn->entered > 0 ? &txn->steps[txn->entered - 1] : NULL;
}

const char *cow_txn_step(const struct cow_txn *txn)
{
	bool moving = txn->state == TXN_RUNNING || txn->state == TXN_UNDOING;
	return moving && txn->entered > 0 ? txn_current(txn)->step.name : "";
}

/* Keep the first failure of the way forwards, and that of the way back. */
static void txn_fail(struct cow_txn *txn, int code, const char *message)
{
	struct cow_error *err =
		txn->state == TXN_UNDOING ? &txn->result.undo_error : &txn->result.error;
	if (err->code != 0)
		return;
	(void)snprintf(err->step, sizeof(err->step), "%s", cow_txn_step(txn));
	(void)cow_error_set(err, code, "%s",
			    message && message[0] ? message : cow_errno_text(code));
}

/* What a hook returned or answered, as a result: there is no success but 0. */
static int txn_code(int code)
{
	return code > 0 ? -EPROTO : code;
}

static void txn_finished(struct cow_timer *timer, void *arg)
{
	struct cow_txn *txn = arg;
	(void)timer;
	txn->done(txn->done_arg, &txn->result);
	txn_free(txn);
}

static void txn_go(struct cow_txn *txn);
static void txn_expired(struct cow_timer *timer, void *arg);

/* The call in flight ended with code; failures are recorded already.  Which step is next? */
static void txn_settle(struct cow_txn *txn, int code)
{
	txn->asked = txn->answered = false;
	if (txn->state == TXN_UNDOING) {
		txn->result.undo_failures += code < 0;
		txn->entered--;
		return;
	}
	if (txn->result.error.code == 0)
		return;
	txn->state = TXN_UNDOING;
	if (txn->flags & COW_TXN_KEEP_ON_FAILURE)
		txn->entered = 0;
}

static int txn_take_answer(struct cow_txn *txn, const struct cow_answer *answer)
{
	struct txn_step *current = txn_current(txn);
	int code = txn_code(answer->code);
	if (code < 0) {
		txn_fail(txn, code, answer->message);
		return code;
	}
	if (txn->state == TXN_UNDOING)
		return 0;
	current->held = true;
	if (!current->step.answered)
		return 0;
	struct cow_error err = { 0 };
	bool nested = txn->inside;
	txn->inside = true;
	code = txn_code(current->step.answered(current->step.arg, answer, &err));
	txn->inside = nested;
	if (code < 0)
		txn_fail(txn, code, err.message);
	return code;
}

static void txn_op_answered(void *arg, cow_op op, const struct cow_answer *answer)
{
	struct cow_txn *txn = arg;
	(void)op;
	txn->op = 0;
	cow_timer_stop(txn->timers, &txn->timer);
	txn->answer = txn_take_answer(txn, answer);
	txn->answered = true;
	if (txn->inside)
		return; /* whoever called the hook looks at `answered` */
	txn_settle(txn, txn->answer);
	txn_go(txn);
}

/* Ask the step in flight to finish, and give it time.  True: it answered from inside the hook. */
static bool txn_ask(struct cow_txn *txn)
{
	const struct cow_step *step = &txn_current(txn)->step;
	txn->asked = true;
	(void)cow_timer_start(txn->timers, &txn->timer, COW_TXN_GRACE_MS, txn_expired, txn);
	if (step->cancel) {
		txn->inside = true;
		step->cancel(step->arg, txn->op);
		txn->inside = false;
	}
	return txn->answered;
}

static void txn_expired(struct cow_timer *timer, void *arg)
{
	struct cow_txn *txn = arg;
	struct txn_step *current = txn_current(txn);
	const char *why = "no answer by its deadline"; /* the code's text is of connections */
	int code = -ETIMEDOUT;
	(void)timer;
	/* A run that is late has failed, whatever it answers; an undo may succeed in its grace. */
	if (txn->state == TXN_RUNNING)
		txn_fail(txn, code, why);
	if (!txn->asked && current->step.cancel) {
		if (!txn_ask(txn))
			return;
		code = txn->answer;
	} else {
		cow_op_abandon(txn->ops, txn->op);
		txn->op = 0;
		txn->result.abandoned++;
		current->held = true;
		txn_fail(txn, code, why);
	}
	txn_settle(txn, code);
	txn_go(txn);
}

/* Call the current step's run or undo.  COW_LATER: it is in flight; else how it ended. */
static int txn_call(struct cow_txn *txn)
{
	struct txn_step *current = txn_current(txn);
	const struct cow_step *step = &current->step;
	bool undoing = txn->state == TXN_UNDOING;
	struct cow_error err = { 0 };
	txn->op = cow_op_open_reserved(txn->ops, txn_op_answered, txn);
	txn->inside = true;
	current->held = !undoing && step->partial;
	int code = (undoing ? step->undo : step->run)(step->arg, txn->op, &err);
	txn->inside = false;
	if (txn->answered)
		return txn->answer;
	if (code == COW_LATER) {
		uint32_t deadline_ms = undoing ? step->undo_ms : step->run_ms;
		if (!undoing && txn->result.error.code != 0) /* cancelled from inside */
			return txn_ask(txn) ? txn->answer : COW_LATER;
		if (deadline_ms > 0)
			(void)cow_timer_start(txn->timers, &txn->timer, deadline_ms, txn_expired,
					      txn);
		return COW_LATER;
	}
	cow_op_abandon(txn->ops, txn->op);
	txn->op = 0;
	code = txn_code(code);
	if (code < 0)
		txn_fail(txn, code, err.message);
	else if (!undoing)
		current->held = true;
	return code;
}

/* Make the next step the current one; false: there is none. */
static bool txn_next(struct cow_txn *txn)
{
	if (txn->state == TXN_RUNNING) {
		if (txn->entered == txn->count)
			return false;
		txn->entered++;
		return true;
	}
	for (; txn->entered > 0; txn->entered--)
		if (txn_current(txn)->held && txn_current(txn)->step.undo)
			return true;
	return false;
}

static void txn_go(struct cow_txn *txn)
{
	while (txn_next(txn)) {
		int code = txn_call(txn);
		if (code == COW_LATER)
			return;
		txn_settle(txn, code);
	}
	txn->state = TXN_DONE;
	(void)cow_timer_start(txn->timers, &txn->timer, 0, txn_finished, txn);
}

void cow_txn_run(struct cow_txn *txn, cow_txn_done_cb done, void *arg)
{
	assert(txn->state == TXN_NEW);
	txn->done = done;
	txn->done_arg = arg;
	txn->state = txn->result.error.code == 0 ? TXN_RUNNING : TXN_UNDOING;
	txn_go(txn);
}

void cow_txn_cancel(struct cow_txn *txn, int code)
{
	if (txn->state > TXN_RUNNING || txn->result.error.code != 0)
		return;
	txn_fail(txn, code < 0 ? code : -ECANCELED, NULL);
	if (txn->op == 0 || txn->inside || !txn_ask(txn))
		return;
	txn_settle(txn, txn->answer);
	txn_go(txn);
}
