/* SPDX-License-Identifier: MIT */
#include "base/list.h"
#include "base/timers.h"

#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char seen[64];
static struct cow_timers queue;

struct named {
	struct cow_timer timer;
	char name;
	struct named *other; /* what its callback plays with */
	uint64_t after_ms;
};

static int fresh(void **state)
{
	(void)state;
	cow_timers_init(&queue, 1000);
	memset(seen, 0, sizeof(seen));
	return 0;
}

static void on_named(struct cow_timer *timer, void *arg)
{
	struct named *n = arg;
	assert_ptr_equal(timer, &n->timer);
	assert_false(cow_timer_active(timer));
	seen[strlen(seen)] = n->name;
}

static void start(struct named *n, uint64_t after_ms)
{
	assert_int_equal(cow_timer_start(&queue, &n->timer, after_ms, on_named, n), 0);
}

static void test_order(void **state)
{
	struct named a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' },
		     d = { .name = 'd' };
	(void)state;
	start(&a, 20);
	start(&b, 10);
	start(&c, 10);
	start(&d, 0);
	assert_true(cow_timers_next(&queue) == 1000);
	assert_string_equal(seen, ""); /* not even those that are due */
	cow_timers_advance(&queue, 1000);
	assert_string_equal(seen, "d");
	cow_timers_advance(&queue, 1009);
	assert_string_equal(seen, "d");
	cow_timers_advance(&queue, 1020);
	assert_string_equal(seen, "dbca");
	assert_true(cow_timers_next(&queue) == UINT64_MAX);
}

static void test_restart_and_stop(void **state)
{
	struct named a = { .name = 'a' }, b = { .name = 'b' };
	(void)state;
	start(&a, 10);
	start(&b, 10);
	start(&a, 10); /* now behind b */
	cow_timer_stop(&queue, &b.timer);
	cow_timer_stop(&queue, &b.timer);
	assert_false(cow_timer_active(&b.timer));
	start(&b, 10);
	cow_timers_advance(&queue, 1010);
	assert_string_equal(seen, "ab");
}

static void test_time_never_runs_backwards(void **state)
{
	struct named a = { .name = 'a' };
	(void)state;
	cow_timers_advance(&queue, 5000);
	cow_timers_advance(&queue, 10);
	assert_true(queue.now_ms == 5000);
	start(&a, UINT64_MAX); /* for ever is still a time, and not "none" */
	assert_true(cow_timers_next(&queue) == UINT64_MAX - 1);
	cow_timer_stop(&queue, &a.timer);
}

static void on_restart(struct cow_timer *timer, void *arg)
{
	struct named *n = arg;
	on_named(timer, arg);
	assert_int_equal(cow_timer_start(&queue, timer, n->after_ms, on_restart, n), 0);
}

static void test_started_meanwhile_wait_a_turn(void **state)
{
	struct named a = { .name = 'a', .after_ms = 0 }, b = { .name = 'b' };
	(void)state;
	assert_int_equal(cow_timer_start(&queue, &a.timer, 0, on_restart, &a), 0);
	start(&b, 0);
	cow_timers_advance(&queue, 1000);
	assert_string_equal(seen, "ab");
	cow_timers_advance(&queue, 1000);
	assert_string_equal(seen, "aba");
	cow_timer_stop(&queue, &a.timer);
}

static void on_stop_other(struct cow_timer *timer, void *arg)
{
	struct named *n = arg;
	on_named(timer, arg);
	cow_timer_stop(&queue, &n->other->timer);
}

static void test_stop_another_that_is_due(void **state)
{
	struct named b = { .name = 'b' }, a = { .name = 'a', .other = &b }, c = { .name = 'c' };
	(void)state;
	assert_int_equal(cow_timer_start(&queue, &a.timer, 5, on_stop_other, &a), 0);
	start(&b, 5);
	start(&c, 5);
	cow_timers_advance(&queue, 1005);
	assert_string_equal(seen, "ac");
}

static void on_free_itself(struct cow_timer *timer, void *arg)
{
	on_named(timer, arg);
	free(arg);
}

static void test_owner_goes_in_callback(void **state)
{
	struct named *a = calloc(1, sizeof(*a)), b = { .name = 'b' };
	(void)state;
	assert_non_null(a);
	a->name = 'a';
	assert_int_equal(cow_timer_start(&queue, &a->timer, 1, on_free_itself, a), 0);
	start(&b, 1);
	cow_timers_advance(&queue, 1001);
	assert_string_equal(seen, "ab");
}

static void on_advance(struct cow_timer *timer, void *arg)
{
	on_named(timer, arg);
	cow_timers_advance(&queue, 1050);
}

static void test_nested_advance(void **state)
{
	struct named a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' };
	(void)state;
	assert_int_equal(cow_timer_start(&queue, &a.timer, 1, on_advance, &a), 0);
	start(&b, 1);
	start(&c, 40);
	cow_timers_advance(&queue, 1001);
	assert_string_equal(seen, "abc");
}

static uint64_t armed;
static unsigned rearms;

static void on_rearm(void *arg, uint64_t due_ms)
{
	(void)arg;
	armed = due_ms;
	rearms++;
}

static void test_rearm(void **state)
{
	struct named a = { .name = 'a' }, b = { .name = 'b' };
	(void)state;
	queue.rearm = on_rearm;
	armed = rearms = 0;
	start(&a, 20);
	assert_true(armed == 1020);
	start(&b, 30);
	assert_int_equal(rearms, 1); /* not the earliest */
	start(&b, 10);
	assert_true(armed == 1010);
	cow_timer_stop(&queue, &b.timer);
	assert_true(armed == 1020);
	cow_timer_stop(&queue, &a.timer);
	assert_true(armed == UINT64_MAX);
	/* One that restarts itself for the same instant must be armed again. */
	assert_int_equal(cow_timer_start(&queue, &a.timer, 0, on_restart, &a), 0);
	rearms = 0;
	cow_timers_advance(&queue, 1000);
	assert_true(rearms > 0 && armed == 1000);
	cow_timer_stop(&queue, &a.timer);
}

static void test_finish_stops_all(void **state)
{
	struct named timers[10] = { 0 };
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		start(&timers[i], i * 7 % 10);
	cow_timers_finish(&queue);
	for (unsigned i = 0; i < 10; i++)
		assert_false(cow_timer_active(&timers[i].timer));
}

/* 300 timers, 20,000 random operations, against a plain array. */
static struct cow_timer many[300];
static uint64_t due[300], order[300], next_order, fired_due, fired_order, fired;

static void on_random(struct cow_timer *timer, void *arg)
{
	size_t i = (size_t)(timer - many);
	(void)arg;
	assert_true(due[i] <= queue.now_ms);
	assert_true(due[i] > fired_due || (due[i] == fired_due && order[i] > fired_order));
	fired_due = due[i];
	fired_order = order[i];
	due[i] = UINT64_MAX;
	fired++;
}

static void test_random(void **state)
{
	unsigned seed = 1;
	(void)state;
	for (size_t i = 0; i < 300; i++)
		due[i] = UINT64_MAX;
	for (int n = 0; n < 20000; n++) {
		size_t i = (size_t)rand_r(&seed) % 300;
		switch (rand_r(&seed) % 4) {
		case 0:
			cow_timer_stop(&queue, &many[i]);
			due[i] = UINT64_MAX;
			break;
		case 1:
			fired_due = fired_order = 0;
			cow_timers_advance(&queue, queue.now_ms + (uint64_t)rand_r(&seed) % 8);
			break;
		default:
			due[i] = queue.now_ms + (uint64_t)rand_r(&seed) % 100;
			order[i] = ++next_order;
			assert_int_equal(cow_timer_start(&queue, &many[i], due[i] - queue.now_ms,
							 on_random, NULL),
					 0);
		}
		uint64_t earliest = UINT64_MAX;
		for (size_t k = 0; k < 300; k++) {
			assert_int_equal(cow_timer_active(&many[k]), due[k] != UINT64_MAX);
			earliest = due[k] < earliest ? due[k] : earliest;
		}
		assert_true(cow_timers_next(&queue) == earliest);
	}
	assert_true(fired > 1000);
	cow_timers_finish(&queue);
}

static void test_list(void **state)
{
	struct element {
		struct cow_list node;
		int value;
	} e[4] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };
	struct cow_list head;
	int sum = 0;
	(void)state;
	cow_list_init(&head);
	assert_true(cow_list_empty(&head));
	for (size_t i = 0; i < 4; i++)
		cow_list_add(&head, &e[i].node);
	cow_list_for_safe(pos, next, &head) {
		struct element *it = cow_container_of(pos, struct element, node);
		sum = sum * 10 + it->value;
		if (it->value % 2 == 0)
			cow_list_del(pos);
	}
	assert_int_equal(sum, 1234);
	cow_list_del(&e[1].node); /* a second time: harmless */
	sum = 0;
	cow_list_for(pos, &head)
		sum = sum * 10 + cow_container_of(pos, struct element, node)->value;
	assert_int_equal(sum, 13);
}

static uint64_t clock_now(void *arg)
{
	return *(uint64_t *)arg;
}

/* Started by something else than a deadline, long after the last advance. */
static void test_clock(void **state)
{
	struct named a = { .name = 'a' };
	uint64_t now = 5000;
	(void)state;
	queue.clock = clock_now;
	queue.clock_arg = &now;
	start(&a, 10);
	assert_true(cow_timers_next(&queue) == 5010);
	cow_timers_advance(&queue, 5009);
	assert_string_equal(seen, "");
	now = 4000; /* never backwards */
	start(&a, 10);
	assert_true(cow_timers_next(&queue) == 5019);
	cow_timer_stop(&queue, &a.timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_clock, fresh),
		cmocka_unit_test_setup(test_order, fresh),
		cmocka_unit_test_setup(test_restart_and_stop, fresh),
		cmocka_unit_test_setup(test_time_never_runs_backwards, fresh),
		cmocka_unit_test_setup(test_started_meanwhile_wait_a_turn, fresh),
		cmocka_unit_test_setup(test_stop_another_that_is_due, fresh),
		cmocka_unit_test_setup(test_owner_goes_in_callback, fresh),
		cmocka_unit_test_setup(test_nested_advance, fresh),
		cmocka_unit_test_setup(test_rearm, fresh),
		cmocka_unit_test_setup(test_finish_stops_all, fresh),
		cmocka_unit_test_setup(test_random, fresh),
		cmocka_unit_test(test_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
