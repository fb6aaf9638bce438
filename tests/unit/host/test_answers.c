/* SPDX-License-Identifier: MIT */
/* Every way of answering well and badly, by the fakes that do so. */
#include "world.h"

static void test_twice(void **state)
{
	struct world *w = *state;
	struct outcome o;

	world_start(w, "twice");
	assert_int_equal(world_acquire(w, "twice", "{}", &o, NULL), COW_LATER);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.code, 0);
	assert_true(world_heard(w, "twice.first twice -: 0\ntwice.second twice -: -2\n"));
	world_advance(w, 1000);
	assert_true(world_heard(w, "twice.later twice -: -2\n"));
	assert_int_equal(o.calls, 1);
	assert_int_equal(world_release(w, "twice", "{}", &o, NULL), COW_LATER);
	assert_int_equal(o.calls, 1);
}

static void test_inline(void **state)
{
	struct world *w = *state;
	struct outcome o;

	world_start(w, "inline");
	assert_int_equal(world_acquire(w, "inline", "{\"inline.code\":\"-5\"}", &o, NULL), COW_LATER);
	assert_int_equal(o.code, -EIO);
	assert_string_equal(o.message, "inline: as asked");
	assert_int_equal(world_release(w, "inline", "{}", &o, NULL), COW_LATER);
	assert_int_equal(o.code, 0);
}

static void test_late(void **state)
{
	struct world *w = *state;
	struct outcome o;

	world_start(w, "late");
	assert_int_equal(world_acquire(w, "late", "{}", &o, NULL), COW_LATER);
	world_advance(w, 1000);
	assert_int_equal(o.code, -ETIMEDOUT);
	world_advance(w, 600000);
	assert_true(world_heard(w, "late.answered late -: -2\n"));
	assert_int_equal(o.calls, 1);
}

static void test_never(void **state)
{
	struct world *w = *state;
	const struct cow_allocator *a;
	struct outcome o;
	cow_op op;

	world_start(w, "never");
	assert_int_equal(world_release(w, "never", "{}", &o, &op), COW_LATER);
	a = cow_host_allocator(w->host, "never");
	a->table.cancel(a->arg, op);
	assert_true(world_heard(w, "never.cancel"));
	world_advance(w, 2000);
	assert_int_equal(o.code, -ETIMEDOUT);
}

static int say(void *arg, cow_op op, const char *allocator, const char *key, const char *record)
{
	(void)op;
	(void)allocator;
	(void)key;
	(void)record;
	return *(int *)arg;
}

static void test_good(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *file = cow_asprintf("%s/good-1", w->root);
	_cleanup_free_ char *record = cow_asprintf("{\"path\":\"%s\"}", file);
	struct outcome o;
	int said = 0;

	cow_host_set_events(w->host, &(struct cow_host_events){ .intend = say }, &said);
	world_start(w, "good");
	assert_int_equal(world_acquire(w, "good.file", "{}", &o, NULL), 0);
	assert_int_equal(access(file, F_OK), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(world_release(w, "good.file", record, &o, NULL), 0);
		assert_int_equal(access(file, F_OK), -1);
	}
	record[strlen(record) - 3] = '0';
	assert_int_equal(world_release(w, "good.file", record, &o, NULL), 0);
	/* Nothing is taken that could not be announced. */
	said = -ENOSPC;
	assert_int_equal(world_acquire(w, "good.file", "{}", &o, NULL), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_twice), world_test(test_inline), world_test(test_late),
		world_test(test_never), world_test(test_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
