/* SPDX-License-Identifier: MIT */
/* An engine on the fake host, turned by hand: set-up, time, verbs in one line, and what must be
 * left. */
#ifndef TESTS_ENGINE_FAKE_H
#define TESTS_ENGINE_FAKE_H

#include "fake_host.h"

#include "base/log.h"

/* ---- driving it */

static void fake_script(void)
{
	memset(fake.how, 0, sizeof(fake.how));
	memset(fake.code, 0, sizeof(fake.code));
	memset(fake.calls, 0, sizeof(fake.calls));
	fake.shutdown_ends = fake.terminate_ends = true;
	fake.fail_after_taking = false;
	fake.adopt_alive = true;
	fake.allocators = 2;
	fake.patch = NULL;
	fake.answer_result = NULL;
	fake.master = false;
	fake.live_max = 0;
	fake.stopped_hooks = fake.deleted_hooks = fake.shutdown_hooks = 0;
	fake.replies = 0;
}

static void fake_tables(void)
{
	static uint32_t *const counters[] = { &fake.stopped_hooks, &fake.deleted_hooks,
					      &fake.shutdown_hooks };

	for (size_t i = 0; i < FAKE_ALLOCATORS; i++) {
		(void)snprintf(fake_names[i], sizeof(fake_names[i]), "alloc%zu", i);
		fake_table[i] = (struct cow_allocator){
			.table = { .size = sizeof(fake_table[i].table),
				   .name = fake_names[i],
				   .phase = COWHERD_PHASE_NETWORK + (uint32_t)i,
				   .acquire_ms = 5000,
				   .release_ms = 5000,
				   .acquire = fake_acquire,
				   .release = fake_release,
				   .flags = i == 1 ? COWHERD_DURABLE : 0 },
			.arg = (void *)(uintptr_t)i,
		};
		fake_list[i] = &fake_table[i];
	}
	fake_backend = (struct cow_backend){
		.table = { .size = sizeof(fake_backend.table),
			   .name = "fake",
			   .create_ms = 5000,
			   .start_ms = 5000,
			   .release_ms = 5000,
			   .supports = backend_supports,
			   .create = backend_create,
			   .start = backend_start,
			   .exec = backend_exec,
			   .signal = backend_signal,
			   .resize = backend_resize,
			   .pause = backend_pause,
			   .resume = backend_resume,
			   .stats = backend_stats,
			   .shutdown = backend_shutdown,
			   .terminate = backend_terminate,
			   .close = backend_close,
			   .adopt = backend_adopt,
			   .release = backend_release },
	};
	for (int i = 0; i < 3; i++) {
		fake_hooks[i] = (struct cow_hook){ .hook = i, .cb = fake_hook, .arg = counters[i] };
		fake_hook_list[i] = &fake_hooks[i];
	}
}

static void fake_engine_open(void)
{
	struct cow_error err = { 0 };
	const struct cow_engine_setup setup = {
		.loop = &fake.loop,
		.timers = &fake.timers,
		.ops = fake.ops,
		.host = (struct cow_host *)&fake,
		.run_root = fake.run,
		.state_root = fake.state,
		.owner = "test",
	};

	if (cow_engine_create(&setup, &fake.engine, &err) < 0)
		fail_msg("%s", err.message);
}

/* Turns of the loop at the present time, until nothing is due and no pool job runs. */
static void fake_turn(void)
{
	for (int i = 0; i < 200; i++) {
		(void)uv_run(&fake.loop, UV_RUN_NOWAIT);
		cow_timers_advance(&fake.timers, fake.timers.now_ms);
		if (i > 3 && cow_timers_next(&fake.timers) > fake.timers.now_ms)
			return;
	}
}

static void fake_advance(uint64_t ms)
{
	uint64_t until = fake.timers.now_ms + ms;

	fake_turn();
	while (cow_timers_next(&fake.timers) <= until) {
		cow_timers_advance(&fake.timers, cow_timers_next(&fake.timers));
		fake_turn();
	}
	cow_timers_advance(&fake.timers, until);
	fake_turn();
}

static void fake_nothing(uv_timer_t *timer)
{
	(void)timer;
}

/* Real events (pipes, pool jobs): until condition holds. */
#define fake_until(condition)                                                              \
	do {                                                                               \
		for (int turns_ = 0; !(condition); turns_++) {                             \
			uv_timer_t guard_;                                                 \
			if (turns_ > 2000)                                                 \
				fail_msg("never: %s", #condition);                         \
			(void)uv_timer_init(&fake.loop, &guard_);                          \
			(void)uv_timer_start(&guard_, fake_nothing, 5, 0);                 \
			(void)uv_run(&fake.loop, UV_RUN_ONCE);                             \
			uv_close((uv_handle_t *)&guard_, NULL);                            \
			(void)uv_run(&fake.loop, UV_RUN_NOWAIT);                           \
			cow_timers_advance(&fake.timers, fake.timers.now_ms);              \
		}                                                                          \
	} while (0)

static void fake_cb(void *arg, const struct cow_error *err, const char *result)
{
	if (arg)
		++*(uint32_t *)arg;
	fake.replies++;
	fake.reply_code = err ? err->code : 0;
	(void)snprintf(fake.reply_message, sizeof(fake.reply_message), "%s",
		       err ? err->message : "");
	(void)snprintf(fake.reply_step, sizeof(fake.reply_step), "%s", err ? err->step : "");
	(void)snprintf(fake.reply_result, sizeof(fake.reply_result), "%s", result ? result : "");
}

static int fake_setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	cow_log_setup(STDERR_FILENO, COW_LOG_ERROR, false);
	(void)snprintf(fake.root, sizeof(fake.root), "%s/cow-engine-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(fake.root));
	(void)snprintf(fake.run, sizeof(fake.run), "%s/run", fake.root);
	(void)snprintf(fake.state, sizeof(fake.state), "%s/state", fake.root);
	assert_int_equal(mkdir(fake.run, 0700), 0);
	assert_int_equal(mkdir(fake.state, 0700), 0);
	assert_int_equal(uv_loop_init(&fake.loop), 0);
	cow_timers_init(&fake.timers, 1000);
	fake.ops = cow_ops_create(&fake.timers);
	assert_non_null(fake.ops);
	fake_script();
	fake_tables();
	fake_engine_open();
	return 0;
}

static void fake_engine_close(void)
{
	cow_engine_destroy(fake.engine);
	fake.engine = NULL;
	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		if (fake.systems[i].used)
			fake_system_streams(&fake.systems[i]);
	while (uv_run(&fake.loop, UV_RUN_NOWAIT))
		;
}

static uint32_t fake_fds(void)
{
	uint32_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Whatever happened: no operation, no handle, no file is left. */
static int fake_teardown(void **state)
{
	(void)state;
	fake_engine_close();
	assert_int_equal(cow_ops_count(fake.ops), 0);
	cow_ops_destroy(fake.ops);
	assert_true(cow_timers_next(&fake.timers) == UINT64_MAX);
	cow_timers_finish(&fake.timers);
	assert_int_equal(uv_loop_close(&fake.loop), 0);
	assert_int_equal(cow_fs_remove_tree(fake.root), 0);
	return 0;
}

/* ---- verbs in one line; each returns the code of its reply, or 1 where there was none */

static int fake_replied(uint32_t before)
{
	return fake.replies == before ? 1 : fake.reply_code;
}

static int fake_create(const char *id, const char *more)
{
	char text[2048];
	struct json_object *params;
	uint32_t before = fake.replies;

	(void)snprintf(text, sizeof(text),
		       "{\"id\":\"%s\",\"spec\":{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":["
		       "\"/bin/x\"],"
		       "\"cwd\":\"/\"},\"root\":{\"path\":\"/nowhere\"}}%s%s}",
		       id, *more ? "," : "", more);
	params = json_tokener_parse(text);
	assert_non_null(params);
	cow_engine_container_create(fake.engine, params, fake_cb, NULL);
	json_object_put(params);
	assert_int_equal(fake.replies, before); /* never from inside */
	fake_turn();
	return fake_replied(before);
}

#define FAKE_VERB(verb, ...)                                                                \
	({                                                                                  \
		uint32_t before_ = fake.replies;                                            \
		cow_engine_container_##verb(fake.engine, __VA_ARGS__, fake_cb, NULL);       \
		assert_int_equal(fake.replies, before_);                                    \
		fake_turn();                                                                \
		fake_replied(before_);                                                      \
	})

static int fake_wait(const char *id, enum cow_wait condition)
{
	uint32_t before = fake.replies;
	uint64_t wait;

	cow_engine_container_wait(fake.engine, id, condition, fake_cb, NULL, &wait);
	fake_turn();
	return fake_replied(before);
}

static const char *fake_state(const char *id)
{
	struct container *c = container_by_id(fake.engine, id);

	return c ? cow_state_info(c->state)->name : "";
}

/* Deleted without a trace. */
static void assert_nothing(const char *id)
{
	char path[256];
	struct stat st;

	assert_null(container_by_id(fake.engine, id));
	assert_int_equal(fake_held_by(id), 0);
	assert_int_equal(cow_ops_count(fake.ops), fake.pending_count);
	(void)snprintf(path, sizeof(path), "%s/containers/%s", fake.run, id);
	assert_int_not_equal(stat(path, &st), 0);
	(void)snprintf(path, sizeof(path), "%s/containers/%s", fake.state, id);
	assert_int_not_equal(stat(path, &st), 0);
}

#endif
