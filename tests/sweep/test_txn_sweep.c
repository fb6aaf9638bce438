/* SPDX-License-Identifier: MIT */
/*
 * Sweep of the transaction engine: how each step answers × which fails × how undos answer × what
 * the cancel hook does × cancelled from where and when, each case compared with the oracle: what
 * was called, in which order, at which millisecond, and what the result says.
 */
#include "txn/txn.h"
#include "txn_oracle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static unsigned long cases;
/* One table for all cases: its slots are used again and again, as in a long-lived supervisor. */
static struct cow_timers timers;
static struct cow_ops *ops;

/* ---- the world of one case ---- */

struct world;

/* One call that may be answered later, and by whom. */
struct call {
	struct world *world;
	cow_op op;
	int code;
	unsigned accepted;
	struct cow_timer first, second, hook;
};

struct fake {
	struct world *world;
	unsigned index;
	struct call run, undo;
	struct call *current;
};

struct world {
	const struct scenario *s;
	struct outcome seen;
	struct cow_txn *txn;
	struct fake fakes[STEPS_MAX];
	struct cow_timer cancel;
	unsigned inside; /* hooks on the stack */
	bool starting, done;
	const char *broken;
};

static const char *const step_names[STEPS_MAX] = {
	"step-0", "step-1", "step-2", "step-3", "step-4",
};

static void broken(struct world *w, const char *why)
{
	if (!w->broken)
		w->broken = why;
}

static void answer(struct call *call, int code)
{
	const struct cow_answer a = { .code = code, .message = "fake: answer" };
	int r = cow_ops_answer(ops, call->op, &a);
	if (r == 0)
		call->accepted++;
	else if (r != -ENOENT)
		broken(call->world, "an answer was neither taken nor unknown");
	if (call->accepted > 1)
		broken(call->world, "an operation was answered twice");
}

static void on_answer(struct cow_timer *timer, void *arg)
{
	struct call *call = arg;
	answer(call, timer == &call->hook ? 0 : call->code);
}

static int call_begin(struct fake *f, struct call *call, cow_op op, enum mode mode, int code,
		      uint64_t deadline_ms)
{
	uint64_t after = mode_answers_at(mode, deadline_ms);
	call->op = op;
	call->code = code;
	f->current = call;
	if (mode == MODE_RETURN)
		return code;
	if (mode == MODE_INLINE || mode == MODE_TWICE_INLINE)
		answer(call, code);
	else if (after != UINT64_MAX)
		(void)cow_timer_start(&timers, &call->first, after, on_answer, call);
	if (mode == MODE_TWICE_INLINE) {
		answer(call, FAIL_CODE);
		return FAIL_CODE;
	}
	if (mode == MODE_TWICE_LATER)
		(void)cow_timer_start(&timers, &call->second, after + 1, on_answer, call);
	return COW_LATER;
}

static void enter(struct fake *f, char what, bool nested)
{
	struct world *w = f->world;
	if (w->inside++ > 0 && !nested)
		broken(w, "a hook was called from inside another");
	if (w->done && what != 'X')
		broken(w, "a hook was called after done");
	outcome_add(&w->seen, what, f->index, timers.now_ms);
}

static void maybe_cancel(struct fake *f, enum place place)
{
	struct world *w = f->world;
	if (w->s->cancel == place && w->s->cancel_step == f->index) {
		cow_txn_cancel(w->txn, CANCEL_CODE);
		cow_txn_cancel(w->txn, CANCEL_CODE - 1);
	}
}

static int fake_run(void *arg, cow_op op, struct cow_error *err)
{
	struct fake *f = arg;
	const struct scenario *s = f->world->s;
	(void)err;
	enter(f, 'R', false);
	if (strcmp(cow_txn_step(f->world->txn), step_names[f->index]) != 0)
		broken(f->world, "the step in flight has another name");
	maybe_cancel(f, CANCEL_IN_RUN);
	int code = s->fail == f->index ? FAIL_CODE : 0;
	int r = call_begin(f, &f->run, op, s->run[f->index], code, RUN_MS);
	f->world->inside--;
	return r;
}

static int fake_answered(void *arg, const struct cow_answer *a, struct cow_error *err)
{
	struct fake *f = arg;
	enter(f, 'A', true);
	if (a->code != 0 || strcmp(a->message, "fake: answer") != 0)
		broken(f->world, "another answer arrived");
	maybe_cancel(f, CANCEL_IN_ANSWERED);
	f->world->inside--;
	if (f->world->s->fail_answered != f->index)
		return 0;
	return cow_error_set(err, FAIL_CODE, "fake: payload");
}

static int fake_undo(void *arg, cow_op op, struct cow_error *err)
{
	struct fake *f = arg;
	const struct scenario *s = f->world->s;
	(void)err;
	enter(f, 'U', false);
	maybe_cancel(f, CANCEL_IN_UNDO);
	int code = s->fail_undo == f->index ? FAIL_CODE : 0;
	int r = call_begin(f, &f->undo, op, s->undo[f->index], code, UNDO_MS);
	f->world->inside--;
	return r;
}

static void fake_cancel(void *arg, cow_op op)
{
	struct fake *f = arg;
	enter(f, 'C', false);
	if (op != f->current->op)
		broken(f->world, "cancel of another operation");
	if (f->world->s->hook == HOOK_INLINE)
		answer(f->current, -ECANCELED);
	if (f->world->s->hook == HOOK_LATER)
		(void)cow_timer_start(&timers, &f->current->hook, HOOK_MS, on_answer,
				      f->current);
	f->world->inside--;
}

static void fake_drop(void *arg)
{
	struct fake *f = arg;
	enter(f, 'X', false);
	f->world->inside--;
}

static void on_cancel(struct cow_timer *timer, void *arg)
{
	struct world *w = arg;
	(void)timer;
	if (w->done)
		return;
	cow_txn_cancel(w->txn, CANCEL_CODE);
	cow_txn_cancel(w->txn, CANCEL_CODE - 1);
}

static void on_done(void *arg, const struct cow_txn_result *result)
{
	struct world *w = arg;
	if (w->inside > 0 || w->starting)
		broken(w, "done was called from inside a call");
	if (w->done)
		broken(w, "done was called twice");
	w->done = true;
	outcome_add(&w->seen, 'D', NOBODY, timers.now_ms);
	w->seen.code = result->error.code;
	w->seen.step = NOBODY;
	for (unsigned k = 0; k < w->s->n; k++)
		if (strcmp(result->error.step, step_names[k]) == 0)
			w->seen.step = (uint8_t)k;
	w->seen.undo_failures = result->undo_failures;
	w->seen.abandoned = result->abandoned;
	if ((result->error.code != 0) != (result->error.message[0] != '\0'))
		broken(w, "an error has no text");
	if ((result->undo_failures > 0) != (result->undo_error.code < 0))
		broken(w, "the failing undo is not kept");
}

/* ---- one case ---- */

static void world_build(struct world *w, const struct scenario *s)
{
	memset(w, 0, sizeof(*w));
	w->s = s;
	timers.now_ms = 0;
	w->txn = cow_txn_create(ops, &timers, "7f1b1e5e-0000-4000-8000-000000000000",
				s->keep ? COW_TXN_KEEP_ON_FAILURE : 0);
	for (unsigned k = 0; k < s->n; k++) {
		struct fake *f = &w->fakes[k];
		f->world = f->run.world = f->undo.world = w;
		f->index = k;
		const struct cow_step step = {
			.name = step_names[k],
			.run_ms = s->deadlines >> k & 1 ? RUN_MS : 0,
			.undo_ms = UNDO_MS,
			.partial = s->partial,
			.run = fake_run,
			.undo = fake_undo,
			.answered = fake_answered,
			.cancel = s->hook == HOOK_NONE ? NULL : fake_cancel,
			.drop = fake_drop,
			.arg = f,
		};
		assert_int_equal(cow_txn_add(w->txn, &step), 0);
	}
}

static void world_run(struct world *w)
{
	const struct scenario *s = w->s;
	if (s->cancel == CANCEL_AT_TICK)
		(void)cow_timer_start(&timers, &w->cancel, s->cancel_tick, on_cancel, w);
	if (s->cancel == CANCEL_BEFORE_RUN)
		cow_txn_cancel(w->txn, CANCEL_CODE);
	w->starting = true;
	cow_txn_run(w->txn, on_done, w);
	w->starting = false;
	for (unsigned turns = 0; cow_timers_next(&timers) != UINT64_MAX; turns++) {
		if (turns > 1000) {
			broken(w, "it never ends");
			break;
		}
		cow_timers_advance(&timers, cow_timers_next(&timers));
	}
	if (!w->done)
		broken(w, "done was not called");
	if (cow_ops_count(ops) != 0)
		broken(w, "an operation is still open");
}

static bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
	if (a->events != b->events || a->code != b->code || a->step != b->step ||
	    a->undo_failures != b->undo_failures || a->abandoned != b->abandoned)
		return false;
	for (unsigned i = 0; i < a->events; i++)
		if (a->trace[i].what != b->trace[i].what || a->trace[i].step != b->trace[i].step ||
		    a->trace[i].at_ms != b->trace[i].at_ms)
			return false;
	return true;
}

static void outcome_print(const char *title, const struct outcome *o)
{
	print_error("%s code %d step %u undo_failures %u abandoned %u:", title, o->code, o->step,
		    o->undo_failures, o->abandoned);
	for (unsigned i = 0; i < o->events; i++)
		print_error(" %c%u@%llu", o->trace[i].what, o->trace[i].step,
			    (unsigned long long)o->trace[i].at_ms);
	print_error("\n");
}

static void check(const struct scenario *s)
{
	struct world w;
	struct outcome expected;
	world_build(&w, s);
	world_run(&w);
	oracle(s, &expected);
	cases++;
	if (!w.broken && outcome_equal(&w.seen, &expected))
		return;
	print_error("n %u run", s->n);
	for (unsigned k = 0; k < s->n; k++)
		print_error(" %u", s->run[k]);
	print_error(" undo");
	for (unsigned k = 0; k < s->n; k++)
		print_error(" %u", s->undo[k]);
	print_error(" fail %u answered %u undo %u hook %u partial %d keep %d deadlines %x", s->fail,
		    s->fail_answered, s->fail_undo, s->hook, s->partial, s->keep, s->deadlines);
	print_error(" cancel %u step %u tick %u\n", s->cancel, s->cancel_step, s->cancel_tick);
	outcome_print("expected", &expected);
	outcome_print("seen    ", &w.seen);
	fail_msg("%s", w.broken ? w.broken : "another outcome than the oracle's");
}

/* ---- the sweep ---- */

static bool never_ends(const struct scenario *s)
{
	for (unsigned k = 0; k < s->n; k++)
		if (s->run[k] == MODE_NEVER && !(s->deadlines >> k & 1))
			return true;
	return false;
}

/* The scenario as it is, cancelled from everywhere, and whenever anything happens in it. */
static void check_cancelled(struct scenario s)
{
	struct outcome quiet;
	s.cancel = CANCEL_NOT;
	if (!never_ends(&s))
		check(&s);
	s.cancel = CANCEL_BEFORE_RUN;
	check(&s);
	for (s.cancel_step = 0; s.cancel_step < s.n; s.cancel_step++) {
		for (s.cancel = CANCEL_IN_RUN; s.cancel <= CANCEL_IN_UNDO; s.cancel++)
			if (!never_ends(&s))
				check(&s);
	}
	s.cancel = CANCEL_NOT;
	oracle(&s, &quiet);
	s.cancel = CANCEL_AT_TICK;
	s.cancel_step = 0;
	uint64_t last = UINT64_MAX;
	for (unsigned i = 0; i < quiet.events; i++) {
		if (quiet.trace[i].at_ms == last || quiet.trace[i].at_ms > UINT32_MAX)
			continue;
		last = quiet.trace[i].at_ms;
		s.cancel_tick = (uint32_t)last;
		check(&s);
		s.cancel_tick++;
		check(&s);
	}
}

static const struct scenario plain = {
	.fail = NOBODY, .fail_answered = NOBODY, .fail_undo = NOBODY, .deadlines = 0xff,
};

/* Up to two steps: everything with everything. */
static void test_pairs(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 2; n++)
	for (unsigned modes = 0; modes < (n == 1 ? MODE_COUNT : MODE_COUNT * MODE_COUNT); modes++)
	for (unsigned fail = 0; fail <= n; fail++)
	for (unsigned hook = 0; hook < HOOK_COUNT; hook++)
	for (unsigned undo = 0; undo < MODE_COUNT; undo++) {
		struct scenario s = plain;
		s.n = (uint8_t)n;
		s.run[0] = modes % MODE_COUNT;
		s.run[1] = (uint8_t)(modes / MODE_COUNT);
		s.fail = fail < n ? (uint8_t)fail : NOBODY;
		s.hook = (uint8_t)hook;
		s.undo[0] = (uint8_t)undo;
		s.undo[1] = (uint8_t)((undo + hook) % MODE_COUNT);
		s.partial = (modes + undo + fail) % 2 != 0;
		s.fail_undo = (uint8_t)((modes + hook) % 3);
		check_cancelled(s);
	}
}

/* Three steps in all modes; what else there is takes turns. */
static void test_triples(void **state)
{
	unsigned turn = 0;
	(void)state;
	for (unsigned modes = 0; modes < MODE_COUNT * MODE_COUNT * MODE_COUNT; modes++)
	for (unsigned fail = 0; fail < 7; fail++, turn++) {
		struct scenario s = plain;
		s.n = 3;
		s.run[0] = modes % MODE_COUNT;
		s.run[1] = modes / MODE_COUNT % MODE_COUNT;
		s.run[2] = (uint8_t)(modes / MODE_COUNT / MODE_COUNT);
		s.fail = fail < 3 ? (uint8_t)fail : NOBODY;
		s.fail_answered = fail >= 3 && fail < 6 ? (uint8_t)(fail - 3) : NOBODY;
		s.hook = turn % HOOK_COUNT;
		for (unsigned k = 0; k < 3; k++)
			s.undo[k] = (uint8_t)((turn / (k + 2) + k) % MODE_COUNT);
		s.fail_undo = (uint8_t)(turn % 5);
		s.partial = turn % 2 != 0;
		s.keep = turn % 11 == 0;
		s.deadlines = turn % 3 == 0 ? (uint8_t)(turn % 8) : 0xff;
		check_cancelled(s);
	}
}

/* Longer rows: one special step, and one special undo, anywhere among plain ones. */
static void test_rows(void **state)
{
	unsigned turn = 0;
	(void)state;
	for (unsigned n = 4; n <= STEPS_MAX; n++)
	for (unsigned at = 0; at < n; at++)
	for (unsigned mode = 0; mode < MODE_COUNT; mode++)
	for (unsigned fail = 0; fail <= n; fail++, turn++) {
		struct scenario s = plain;
		s.n = (uint8_t)n;
		for (unsigned k = 0; k < n; k++) {
			s.run[k] = (uint8_t)((turn + k) % 3); /* by return, inline, later */
			s.undo[k] = (uint8_t)((turn + k + 1) % 3);
		}
		s.run[at] = (uint8_t)mode;
		s.undo[turn % n] = turn / n % MODE_COUNT;
		s.fail = fail < n ? (uint8_t)fail : NOBODY;
		s.fail_undo = (uint8_t)(turn % (n + 1));
		s.hook = turn % HOOK_COUNT;
		s.partial = turn % 5 == 0;
		s.keep = turn % 13 == 0;
		check_cancelled(s);
	}
}

static int prepare(void **state)
{
	(void)state;
	cow_timers_init(&timers, 0);
	ops = cow_ops_create(&timers);
	return ops ? 0 : -1;
}

static int report(void **state)
{
	(void)state;
	cow_ops_destroy(ops);
	print_message("%lu cases\n", cases);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_triples),
		cmocka_unit_test(test_rows),
	};
	return cmocka_run_group_tests_name("txn_sweep", tests, prepare, report);
}
