/* SPDX-License-Identifier: MIT */
/* The plugin built from 1.0's header, in today's host. */
#include "tests/unit/host/world.h"

static unsigned exits, notices, intends;

static int on_intend(void *arg, cow_op op, const char *allocator, const char *key, const char *record)
{
	(void)arg;
	(void)op;
	(void)key;
	(void)record;
	intends += strcmp(allocator, "abi.thing") == 0;
	return 0;
}

static void on_exited(void *arg, const char *backend, uint64_t system, uint64_t process,
		      const struct cowherd_exit *status)
{
	(void)arg;
	exits += strcmp(backend, "abi") == 0 && system == 10 && process == 0 && status->code == 5;
}

static void on_notice(void *arg, const char *backend, uint64_t system, const char *event,
		      const char *detail)
{
	(void)arg;
	notices += strcmp(backend, "abi") == 0 && system == 10 && strcmp(event, "abi") == 0 && detail;
}

static void start(struct world *w)
{
	static const struct cow_host_events events = {
		.intend = on_intend, .exited = on_exited, .notice = on_notice,
	};

	(void)strcpy(strrchr(w->plugins, '/'), "/abi");
	cow_host_set_events(w->host, &events, NULL);
	exits = notices = intends = 0;
	world_start(w, "plugin_1_0");
}

static void test_allocator(void **state)
{
	struct world *w = *state;
	const struct cow_allocator *a;
	struct outcome o;

	start(w);
	a = cow_host_allocator(w->host, "abi.thing");
	assert_int_equal(a->table.flags, COWHERD_DURABLE);
	assert_int_equal(world_acquire(w, "abi.thing", "{}", &o, NULL), 0);
	assert_int_equal(intends, 2);
	assert_int_equal(world_release(w, "abi.thing", "{\"taken\":true}", &o, NULL), COW_LATER);
	assert_int_equal(o.code, 0);
	a->table.cancel(a->arg, 1);
	while (cow_timers_next(&w->timers) != UINT64_MAX)
		world_advance(w, 10);
}

static void test_backend(void **state)
{
	struct world *w = *state;
	const struct cowherd_stdio stdio = { .size = sizeof(stdio), .in = -1, .out = -1, .err = -1 };
	const struct cowherd_request request = {
		.size = sizeof(request), .container = "c", .name = "c", .owner = "o", .txn = "t",
		.bundle = "/", .spec = "{}", .options = "{}", .run_dir = "/", .state_dir = "/",
	};
	const struct cow_backend *b;
	struct outcome o;
	cow_op op;

	start(w);
	b = cow_host_choose_backend(w->host, &request);
	assert_non_null(b);
	assert_int_equal(b->table.start_ms, 2);
	op = world_op(w, 0, &o);
	assert_int_equal(world_settle(w, op, b->table.create(b->arg, op, &request, &stdio)), COW_LATER);
	assert_int_equal(o.handle, 10);
	op = world_op(w, 0, &o);
	assert_int_equal(world_settle(w, op, b->table.start(b->arg, op, 10)), 0);
	assert_int_equal(exits, 1);
	assert_int_equal(notices, 1);
	op = world_op(w, 0, &o);
	assert_int_equal(world_settle(w, op, b->table.resize(b->arg, op, 10, 0, 24, 80)), 0);
	op = world_op(w, 0, &o);
	assert_int_equal(world_settle(w, op, b->table.signal(b->arg, op, 10, 0, 9, 1)), 0);
	op = world_op(w, 0, &o);
	assert_int_equal(world_settle(w, op, b->table.stats(b->arg, op, 10)), COW_LATER);
	assert_string_equal(o.result, "{\"pids\":1}");
	b->table.close(b->arg, 10);
}

static void test_rest(void **state)
{
	struct world *w = *state;
	const struct cowherd_call call = { .size = sizeof(call), .args = "[]", .cwd = "/", .in = -1,
					   .out = -1, .err = -1 };
	const struct cow_hook *const *hooks;
	const struct cow_verb *verb;
	struct outcome o;
	cow_op op;

	start(w);
	assert_int_equal(cow_host_config_check(w->host, "abi", "{}", NULL), 0);
	assert_int_equal(cow_host_config_check(w->host, "abi", "[]", NULL), -EINVAL);
	assert_int_equal(cow_host_hooks(w->host, &hooks), 1);
	assert_int_equal(hooks[0]->hook, COWHERD_HOOK_CONTAINER_DELETED);
	assert_int_equal(hooks[0]->cb(hooks[0]->arg, 0, "c"), 0);
	assert_true(world_heard(w, "abi.hook abi10 c: 1.0"));
	world_advance(w, 10);
	verb = cow_host_verb(w->host, "abi");
	do {
		(void)uv_run(&w->loop, UV_RUN_ONCE);
		op = world_op(w, 0, &o);
		assert_int_equal(verb->table.call(verb->arg, op, &call), COW_LATER);
	} while (strcmp(o.result, "1 timers, 1 watches, 1 jobs") != 0);
	assert_int_equal(cow_host_unload(w->host, "abi10", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_allocator),
		world_test(test_backend),
		world_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
