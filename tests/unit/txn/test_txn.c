/* SPDX-License-Identifier: MIT */
/* What the sweep does not ask: phases, ownership, texts, memory, transactions in transactions. */
#include "tests/alloc_fail.h"
#include "txn/txn.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define ID "0f0e1d2c-0000-4000-8000-0123456789ab"

static struct cow_timers timers;
static struct cow_ops *ops;
static char seen[256];
static unsigned drops, dones;
static struct cow_txn_result last;

static int fresh(void **state)
{
	(void)state;
	cow_timers_init(&timers, 0);
	ops = cow_ops_create(&timers);
	memset(seen, 0, sizeof(seen));
	memset(&last, 0, sizeof(last));
	drops = dones = 0;
	return ops ? 0 : -1;
}

static int gone(void **state)
{
	(void)state;
	bool open = cow_ops_count(ops) > 0 || cow_timers_next(&timers) != UINT64_MAX;
	cow_ops_destroy(ops);
	return open ? -1 : 0;
}

static void turn(void)
{
	for (int i = 0; i < 100 && cow_timers_next(&timers) != UINT64_MAX; i++)
		cow_timers_advance(&timers, cow_timers_next(&timers));
}

static void see(const char *what)
{
	strncat(seen, what, sizeof(seen) - strlen(seen) - 1);
}

static int run_see(void *arg, cow_op op, struct cow_error *err)
{
	(void)op;
	(void)err;
	see(arg);
	return 0;
}

static int undo_see(void *arg, cow_op op, struct cow_error *err)
{
	(void)op;
	(void)err;
	see("-");
	see(arg);
	return 0;
}

static void drop_count(void *arg)
{
	(void)arg;
	drops++;
}

static void on_done(void *arg, const struct cow_txn_result *result)
{
	(void)arg;
	dones++;
	last = *result;
}

static int add(struct cow_txn *txn, const char *name, enum cow_phase phase,
	       int (*run)(void *, cow_op, struct cow_error *))
{
	const struct cow_step step = {
		.name = name,
		.phase = phase,
		.run = run,
		.undo = undo_see,
		.drop = drop_count,
		.arg = (void *)(uintptr_t)name,
	};
	return cow_txn_add(txn, &step);
}

static struct cow_txn *create(unsigned flags)
{
	struct cow_txn *txn = cow_txn_create(ops, &timers, ID, flags);
	assert_non_null(txn);
	assert_string_equal(cow_txn_id(txn), ID);
	return txn;
}

static void test_phases(void **state)
{
	struct cow_txn *txn = create(0);
	(void)state;
	assert_int_equal(add(txn, "f", COW_PHASE_COMPUTE, run_see), 0);
	assert_int_equal(add(txn, "a", COW_PHASE_IDENTITY, run_see), 0);
	assert_int_equal(add(txn, "d", COW_PHASE_MOUNTS, run_see), 0);
	assert_int_equal(add(txn, "b", COW_PHASE_IDENTITY, run_see), 0);
	assert_int_equal(add(txn, "e", COW_PHASE_MOUNTS, run_see), 0);
	assert_int_equal(add(txn, "c", COW_PHASE_NETWORK, run_see), 0);
	assert_string_equal(cow_txn_step(txn), "");
	cow_txn_run(txn, on_done, NULL);
	assert_int_equal(dones, 0);
	turn();
	assert_string_equal(seen, "abcdef");
	assert_int_equal(dones, 1);
	assert_int_equal(last.error.code, 0);
	assert_int_equal(drops, 6);
}

static void test_phase_names(void **state)
{
	(void)state;
	assert_string_equal(cow_phase_name(COW_PHASE_IDENTITY), "identity");
	assert_string_equal(cow_phase_name(COW_PHASE_COMPUTE), "compute");
	assert_string_equal(cow_phase_name(COW_PHASE_COUNT), "?");
}

static void test_no_steps(void **state)
{
	(void)state;
	cow_txn_run(create(0), on_done, NULL);
	turn();
	assert_int_equal(dones, 1);
	assert_int_equal(last.error.code, 0);
}

static void test_destroyed_before_run(void **state)
{
	struct cow_txn *txn = create(0);
	(void)state;
	assert_int_equal(add(txn, "a", COW_PHASE_IDENTITY, run_see), 0);
	cow_txn_destroy(txn);
	assert_int_equal(drops, 1);
	assert_string_equal(seen, "");
	cow_txn_destroy(NULL);
}

static int run_fail(void *arg, cow_op op, struct cow_error *err)
{
	(void)op;
	see(arg);
	return cow_error_set(err, -EBUSY, "disk: in use");
}

static int run_fail_silently(void *arg, cow_op op, struct cow_error *err)
{
	(void)op;
	(void)err;
	see(arg);
	return -EBUSY;
}

static int run_positive(void *arg, cow_op op, struct cow_error *err)
{
	(void)arg;
	(void)op;
	(void)err;
	return 17;
}

static void failing_is(int (*run)(void *, cow_op, struct cow_error *), int code,
		       const char *message)
{
	struct cow_txn *txn = create(0);
	assert_int_equal(add(txn, "a", COW_PHASE_IDENTITY, run_see), 0);
	assert_int_equal(add(txn, "b", COW_PHASE_IDENTITY, run), 0);
	assert_int_equal(add(txn, "c", COW_PHASE_IDENTITY, run_see), 0);
	cow_txn_run(txn, on_done, NULL);
	turn();
	assert_int_equal(last.error.code, code);
	assert_string_equal(last.error.step, "b");
	assert_string_equal(last.error.message, message);
	assert_int_equal(last.undo_failures, 0);
}

static void test_error_texts(void **state)
{
	(void)state;
	failing_is(run_fail, -EBUSY, "disk: in use");
	assert_string_equal(seen, "ab-a");
	failing_is(run_fail_silently, -EBUSY, "Device or resource busy");
	failing_is(run_positive, -EPROTO,
		   "Protocol error"); /* neither done, nor failed, nor later */
}

static struct cow_txn *adding;

static int run_add(void *arg, cow_op op, struct cow_error *err)
{
	(void)arg;
	(void)op;
	(void)err;
	return add(adding, "x", COW_PHASE_COMPUTE, run_see);
}

static void test_no_steps_once_it_runs(void **state)
{
	(void)state;
	adding = create(0);
	assert_int_equal(add(adding, "a", COW_PHASE_IDENTITY, run_add), 0);
	cow_txn_run(adding, on_done, NULL);
	turn();
	assert_int_equal(last.error.code, -EBUSY);
	assert_int_equal(drops, 2); /* that of the refused step, too */
}

static int run_later(void *arg, cow_op op, struct cow_error *err)
{
	(void)err;
	*(cow_op *)arg = op;
	return COW_LATER;
}

static void test_step_in_flight_has_a_name(void **state)
{
	struct cow_txn *txn = create(0);
	cow_op op = 0;
	const struct cow_step step = { .name = "wait", .run = run_later, .arg = &op };
	(void)state;
	assert_int_equal(cow_txn_add(txn, &step), 0);
	cow_txn_run(txn, on_done, NULL);
	assert_string_equal(cow_txn_step(txn), "wait");
	const struct cow_answer answer = { .code = -EIO };
	assert_int_equal(cow_ops_answer(ops, op, &answer), 0);
	assert_string_equal(cow_txn_step(txn), "");
	assert_int_equal(dones, 0);
	turn();
	assert_string_equal(last.error.message, "Input/output error");
}

/* Nothing comes of it any more: no deadline, no undo, no done; and an answer finds nothing. */
static void test_dropped_where_it_stands(void **state)
{
	struct cow_txn *txn = create(0);
	cow_op op = 0;
	const struct cow_step step = { .name = "wait", .run = run_later, .run_ms = 10, .arg = &op };
	const struct cow_answer answer = { .code = 0 };
	(void)state;
	assert_int_equal(add(txn, "a", COW_PHASE_IDENTITY, run_see), 0);
	assert_int_equal(cow_txn_add(txn, &step), 0);
	cow_txn_run(txn, on_done, NULL);
	cow_txn_destroy(txn);
	assert_int_equal(drops, 1);
	assert_int_equal(cow_ops_answer(ops, op, &answer), -ENOENT);
	turn();
	assert_string_equal(seen, "a");
	assert_int_equal(dones, 0);
	txn = create(0); /* and one that only waits to say so */
	cow_txn_run(txn, on_done, NULL);
	cow_txn_destroy(txn);
	turn();
	assert_int_equal(dones, 0);
}

static void test_cancel_code(void **state)
{
	struct cow_txn *txn = create(0);
	(void)state;
	cow_txn_cancel(txn, 0); /* no error is no reason */
	cow_txn_run(txn, on_done, NULL);
	turn();
	assert_int_equal(last.error.code, -ECANCELED);
	assert_string_equal(last.error.step, "");
}

/* A step that runs, cancels and destroys other transactions; done that starts the next one. */
static struct cow_txn *never_run, *cancelled;

static int run_meddle(void *arg, cow_op op, struct cow_error *err)
{
	struct cow_txn *inner = create(0);
	(void)arg;
	(void)op;
	(void)err;
	cow_txn_destroy(never_run);
	cow_txn_cancel(cancelled, -EINTR);
	assert_int_equal(add(inner, "i", COW_PHASE_IDENTITY, run_see), 0);
	cow_txn_run(inner, on_done, NULL);
	see("m");
	return 0;
}

static void on_done_next(void *arg, const struct cow_txn_result *result)
{
	struct cow_txn *next = create(0);
	(void)arg;
	(void)result;
	see("d");
	assert_int_equal(add(next, "n", COW_PHASE_IDENTITY, run_see), 0);
	cow_txn_run(next, on_done, NULL);
}

static void test_transactions_among_each_other(void **state)
{
	cow_op op = 0;
	const struct cow_step wait = { .name = "wait", .run = run_later, .arg = &op };
	(void)state;
	never_run = create(0);
	cancelled = create(0);
	struct cow_txn *outer = create(0);
	assert_int_equal(cow_txn_add(cancelled, &wait), 0);
	cow_txn_run(cancelled, on_done, NULL);
	assert_int_equal(add(outer, "meddle", COW_PHASE_IDENTITY, run_meddle), 0);
	assert_int_equal(add(outer, "o", COW_PHASE_COMPUTE, run_see), 0);
	cow_txn_run(outer, on_done_next, NULL);
	const struct cow_answer answer = { .code = 0 };
	assert_int_equal(cow_ops_answer(ops, op, &answer), 0);
	turn();
	assert_string_equal(seen, "imodn");
	assert_int_equal(dones, 3);
}

/* Building can fail for want of memory; once it runs, nothing but its steps needs any. */
static void test_out_of_memory(void **state)
{
	bool failed = true;
	(void)state;
	for (unsigned n = 1; failed; n++) {
		unsigned added = 0;
		drops = dones = 0;
		alloc_fail_arm(n);
		struct cow_txn *txn = cow_txn_create(ops, &timers, ID, 0);
		for (int i = 0; txn && i < 10; i++)
			added +=
				add(txn, "s", COW_PHASE_IDENTITY, i == 9 ? run_fail : run_see) == 0;
		failed = alloc_fail_stop();
		assert_int_equal(failed, added < 10);
		if (!txn)
			continue;
		assert_int_equal(drops, 10 - added);
		alloc_fail_arm(1);
		cow_txn_run(txn, on_done, NULL);
		turn();
		assert_false(alloc_fail_stop());
		assert_int_equal(dones, 1);
		assert_int_equal(drops, 10);
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fresh, gone)
	const struct CMUnitTest tests[] = {
		TEST(test_phases),
		TEST(test_phase_names),
		TEST(test_no_steps),
		TEST(test_destroyed_before_run),
		TEST(test_error_texts),
		TEST(test_no_steps_once_it_runs),
		TEST(test_cancel_code),
		TEST(test_step_in_flight_has_a_name),
		TEST(test_dropped_where_it_stands),
		TEST(test_transactions_among_each_other),
		TEST(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
