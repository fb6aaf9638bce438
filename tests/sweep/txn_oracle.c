/* SPDX-License-Identifier: MIT */
#include "txn_oracle.h"
#include "txn/txn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct timeline {
	const struct scenario *s;
	struct outcome *o;
	uint64_t now;
};

/* How one call of a step ends. */
struct ending {
	bool abandoned;
	bool by_return;
	int code;
};

void outcome_add(struct outcome *o, char what, unsigned step, uint64_t at_ms)
{
	assert(o->events < TRACE_MAX);
	o->trace[o->events++] = (struct event){ what, (uint8_t)step, at_ms };
}

uint64_t mode_answers_at(enum mode mode, uint64_t deadline_ms)
{
	switch (mode) {
	case MODE_LATER:
	case MODE_TWICE_LATER:
		return LATER_MS;
	case MODE_NEVER:
		return UINT64_MAX;
	case MODE_IN_GRACE:
		return deadline_ms + LATER_MS;
	case MODE_LATE:
		return LATE_MS;
	default:
		return 0;
	}
}

static void fail(struct timeline *t, unsigned step, int code)
{
	if (t->o->code != 0)
		return;
	t->o->code = code;
	t->o->step = (uint8_t)step;
}

/*
 * The step is asked to finish at `ask`.  Which comes first: its own answer at `answer`, that of its
 * cancel hook, or the end of the grace?
 */
static struct ending ask(struct timeline *t, unsigned step, uint64_t at, uint64_t answer, int code,
			 bool deadline)
{
	uint8_t hook = t->s->hook;
	t->now = at;
	if (hook == HOOK_NONE && deadline)
		return (struct ending){ .abandoned = true };
	if (hook != HOOK_NONE)
		outcome_add(t->o, 'C', step, at);
	if (hook == HOOK_INLINE)
		return (struct ending){ .code = -ECANCELED };
	if (hook == HOOK_LATER && at + HOOK_MS < answer) {
		t->now = at + HOOK_MS;
		return (struct ending){ .code = 0 };
	}
	if (answer <= at + COW_TXN_GRACE_MS) {
		t->now = answer;
		return (struct ending){ .code = code };
	}
	t->now = at + COW_TXN_GRACE_MS;
	return (struct ending){ .abandoned = true };
}

static struct ending run_step(struct timeline *t, unsigned k)
{
	const struct scenario *s = t->s;
	enum mode mode = s->run[k];
	int code = s->fail == k ? FAIL_CODE : 0;
	uint64_t start = t->now;
	outcome_add(t->o, 'R', k, start);
	bool cancelled = s->cancel == CANCEL_IN_RUN && s->cancel_step == k;
	if (cancelled)
		fail(t, k, CANCEL_CODE);
	if (mode == MODE_RETURN)
		return (struct ending){ .code = code, .by_return = true };
	if (mode == MODE_INLINE || mode == MODE_TWICE_INLINE)
		return (struct ending){ .code = code };

	uint64_t delay = mode_answers_at(mode, RUN_MS);
	uint64_t answer = delay == UINT64_MAX ? delay : start + delay;
	uint64_t deadline = s->deadlines >> k & 1 ? start + RUN_MS : UINT64_MAX;
	uint64_t cancel = UINT64_MAX;
	if (cancelled)
		cancel = start;
	/* The cancelling timer is the oldest: at the same tick it comes first, but only once. */
	if (s->cancel == CANCEL_AT_TICK && s->cancel_tick >= start)
		cancel = s->cancel_tick;
	if (cancel == start && !cancelled && start > 0)
		cancel = UINT64_MAX; /* this step was started behind it, in the same tick */

	uint64_t at = cancel <= deadline ? cancel : deadline;
	if (answer < at || (answer == at && at == deadline && at != cancel)) {
		t->now = answer;
		return (struct ending){ .code = code };
	}
	fail(t, k, cancel <= deadline ? CANCEL_CODE : -ETIMEDOUT);
	return ask(t, k, at, answer, code, cancel > deadline);
}

static void undo_step(struct timeline *t, unsigned k)
{
	const struct scenario *s = t->s;
	enum mode mode = s->undo[k];
	int code = s->fail_undo == k ? FAIL_CODE : 0;
	struct ending end = { .code = code };
	outcome_add(t->o, 'U', k, t->now);
	if (mode != MODE_RETURN && mode != MODE_INLINE && mode != MODE_TWICE_INLINE) {
		uint64_t delay = mode_answers_at(mode, UNDO_MS);
		uint64_t answer = delay == UINT64_MAX ? delay : t->now + delay;
		uint64_t deadline = t->now + UNDO_MS;
		if (answer <= deadline)
			t->now = answer;
		else
			end = ask(t, k, deadline, answer, code, true);
	}
	t->o->abandoned += end.abandoned;
	t->o->undo_failures += end.abandoned || end.code != 0;
}

void oracle(const struct scenario *s, struct outcome *ret)
{
	struct timeline t = { .s = s, .o = ret };
	bool held[STEPS_MAX] = { false };
	unsigned entered = 0;
	memset(ret, 0, sizeof(*ret));
	ret->step = NOBODY;
	if (s->cancel == CANCEL_BEFORE_RUN)
		fail(&t, NOBODY, CANCEL_CODE);

	while (ret->code == 0 && entered < s->n) {
		unsigned k = entered++;
		struct ending end = run_step(&t, k);
		held[k] = end.abandoned || end.code == 0 || s->partial;
		ret->abandoned += end.abandoned;
		if (end.abandoned)
			continue;
		if (end.code < 0) {
			fail(&t, k, end.code);
			continue;
		}
		if (end.by_return)
			continue;
		outcome_add(ret, 'A', k, t.now);
		if (s->cancel == CANCEL_IN_ANSWERED && s->cancel_step == k)
			fail(&t, k, CANCEL_CODE);
		if (s->fail_answered == k)
			fail(&t, k, FAIL_CODE);
	}
	if (ret->code != 0 && !s->keep)
		while (entered-- > 0)
			if (held[entered])
				undo_step(&t, entered);
	outcome_add(ret, 'D', NOBODY, t.now);
	for (unsigned k = 0; k < s->n; k++)
		outcome_add(ret, 'X', k, t.now);
}
