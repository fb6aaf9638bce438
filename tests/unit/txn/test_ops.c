/* SPDX-License-Identifier: MIT */
#include "tests/alloc_fail.h"
#include "txn/ops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static struct cow_timers timers;
static struct cow_ops *ops;
static unsigned called;
static int last_code;
static cow_op last_op;

static int fresh(void **state)
{
	(void)state;
	cow_timers_init(&timers, 0);
	ops = cow_ops_create(&timers);
	called = 0;
	return ops ? 0 : -1;
}

static int gone(void **state)
{
	(void)state;
	cow_ops_destroy(ops);
	return cow_timers_next(&timers) == UINT64_MAX ? 0 : -1;
}

static void on_answer(void *arg, cow_op op, const struct cow_answer *answer)
{
	assert_ptr_equal(arg, &called);
	assert_null(cow_op_arg(ops, op)); /* closed by now */
	assert_int_equal(cow_ops_answer(ops, op, answer), -ENOENT);
	called++;
	last_op = op;
	last_code = answer->code;
}

static cow_op open_op(uint32_t deadline_ms)
{
	cow_op op = 0;
	assert_int_equal(cow_op_open(ops, deadline_ms, on_answer, &called, &op), 0);
	assert_true(op != 0);
	assert_ptr_equal(cow_op_arg(ops, op), &called);
	return op;
}

static const struct cow_answer good = { .code = 0 },
			       bad = { .code = -EIO, .message = "disk: broken" };

static void test_answered_once(void **state)
{
	(void)state;
	cow_op op = open_op(10);
	assert_int_equal(cow_ops_count(ops), 1);
	assert_int_equal(cow_ops_answer(ops, op, &bad), 0);
	assert_int_equal(called, 1);
	assert_int_equal(last_code, -EIO);
	assert_true(last_op == op);
	assert_int_equal(cow_ops_count(ops), 0);
	assert_int_equal(cow_ops_answer(ops, op, &good), -ENOENT);
	cow_timers_advance(&timers, 1000);
	assert_int_equal(called, 1);
}

static void test_deadline(void **state)
{
	(void)state;
	cow_op op = open_op(10);
	cow_timers_advance(&timers, 9);
	assert_int_equal(called, 0);
	cow_timers_advance(&timers, 10);
	assert_int_equal(called, 1);
	assert_int_equal(last_code, -ETIMEDOUT);
	assert_int_equal(cow_ops_answer(ops, op, &good), -ENOENT);
	op = open_op(0);
	cow_timers_advance(&timers, UINT64_MAX - 1);
	assert_int_equal(called, 1);
	cow_op_abandon(ops, op);
}

static void test_abandoned(void **state)
{
	(void)state;
	cow_op op = open_op(10);
	cow_op_abandon(ops, op);
	cow_op_abandon(ops, op);
	cow_timers_advance(&timers, 1000);
	assert_int_equal(cow_ops_answer(ops, op, &good), -ENOENT);
	assert_int_equal(called, 0);
	assert_int_equal(cow_ops_count(ops), 0);
}

static void test_never_known(void **state)
{
	static const cow_op strange[] = { 0,          1,          31,         32,
					  1ull << 32, UINT32_MAX, UINT64_MAX, 1ull << 33 };
	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
			assert_int_equal(cow_ops_answer(ops, strange[i], &good), -ENOENT);
			assert_null(cow_op_arg(ops, strange[i]));
			cow_op_abandon(ops, strange[i]);
		}
		cow_op_abandon(ops, open_op(0)); /* the second time, slots are there */
	}
}

/* A slot is used again at once, and still the old handle finds nothing. */
static void test_generations(void **state)
{
	(void)state;
	cow_op old = open_op(0);
	cow_op_abandon(ops, old);
	for (int i = 0; i < 1000; i++) {
		cow_op now = open_op(0);
		assert_int_equal((uint32_t)now, (uint32_t)old);
		assert_int_equal(cow_ops_answer(ops, old, &good), -ENOENT);
		assert_int_equal(cow_ops_answer(ops, now, &good), 0);
		old = now;
	}
}

static void test_many(void **state)
{
	cow_op all[500];
	(void)state;
	for (unsigned i = 0; i < 500; i++)
		all[i] = open_op(1 + i % 100);
	assert_int_equal(cow_ops_count(ops), 500);
	for (unsigned i = 0; i < 500; i += 2)
		assert_int_equal(cow_ops_answer(ops, all[i], &good), 0);
	cow_timers_advance(&timers, 100);
	assert_int_equal(called, 500);
	assert_int_equal(cow_ops_count(ops), 0);
}

static void test_destroyed_with_open_ones(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		(void)open_op(i);
	/* gone() looks whether their deadlines are, too */
}

static void test_reserved_cannot_fail(void **state)
{
	cow_op mine[64];
	(void)state;
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(cow_ops_reserve(ops), 0);
	/* Others take what they can get, until memory is out. */
	cow_op op;
	unsigned others = 0;
	do {
		alloc_fail_arm(1);
		if (cow_op_open(ops, 0, on_answer, &called, &op) == 0)
			others++;
	} while (!alloc_fail_stop());
	assert_int_equal(others, 2 * 32 - 40);
	for (unsigned round = 0; round < 3; round++) {
		alloc_fail_arm(1);
		for (unsigned i = 0; i < 40; i++)
			mine[i] = cow_op_open_reserved(ops, on_answer, &called);
		assert_false(alloc_fail_stop());
		for (unsigned i = 0; i < 40; i++)
			assert_int_equal(cow_ops_answer(ops, mine[i], &good), 0);
	}
	for (unsigned i = 0; i < 40; i++)
		cow_ops_unreserve(ops);
	alloc_fail_arm(1);
	(void)open_op(0);
	assert_false(alloc_fail_stop());
}

static void test_out_of_memory(void **state)
{
	(void)state;
	alloc_fail_each(n) {
		struct cow_ops *mine = cow_ops_create(&timers);
		cow_op op = 42;
		int r = mine ? cow_op_open(mine, 5, on_answer, &called, &op) : -ENOMEM;
		assert_int_equal(alloc_fail_stop(), r == -ENOMEM);
		assert_int_equal(r < 0, op == 42);
		cow_ops_destroy(mine);
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fresh, gone)
	const struct CMUnitTest tests[] = {
		TEST(test_answered_once),
		TEST(test_deadline),
		TEST(test_abandoned),
		TEST(test_never_known),
		TEST(test_generations),
		TEST(test_many),
		TEST(test_destroyed_with_open_ones),
		TEST(test_reserved_cannot_fail),
		TEST(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
