/* SPDX-License-Identifier: MIT */
/* Stop, kill, pause, resume, restart, restart policies, shutdown: on virtual time. */
#include "fake.h"

static void running(const char *id, const char *more)
{
	assert_int_equal(fake_create(id, more), 0);
	assert_int_equal(FAKE_VERB(start, id), 0);
	assert_string_equal(fake_state(id), "running");
}

static void until(const char *id, const char *state)
{
	fake_until(strcmp(fake_state(id), state) == 0);
	fake_turn();
}

static void stop_gracefully(void **state)
{
	(void)state;
	running("a", "\"stop_signal\":\"USR1\"");
	(void)FAKE_VERB(stop, "a", -1, 0);
	until("a", "stopped");
	assert_int_equal(fake.last_signal, SIGUSR1);
	assert_int_equal(fake.calls[OP_TERMINATE], 0);
	assert_int_equal(fake.reply_code, 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":138"));
	assert_int_equal(FAKE_VERB(stop, "a", -1, 0), 0); /* nothing to do */
	running("b", "");
	(void)FAKE_VERB(stop, "b", 500, SIGINT);
	until("b", "stopped");
	assert_int_equal(fake.last_signal, SIGINT);
}

static void stop_stubborn(void **state)
{
	(void)state;
	fake.shutdown_ends = false;
	running("a", "\"stop_timeout_s\":3");
	assert_int_equal(FAKE_VERB(stop, "a", -1, 0), 1);
	assert_string_equal(fake_state("a"), "stopping");
	fake_advance(2999);
	assert_string_equal(fake_state("a"), "stopping");
	fake_advance(1);
	until("a", "stopped");
	assert_int_equal(fake.calls[OP_TERMINATE], 1);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":137"));

	running("b", "");
	(void)FAKE_VERB(stop, "b", 0, 0); /* at once */
	until("b", "stopped");
	assert_int_equal(fake.calls[OP_SHUTDOWN], 1);
}

static void shutdown_refused(void **state)
{
	(void)state;
	fake.shutdown_ends = false;
	fake.code[OP_SHUTDOWN] = -EIO;
	running("a", "");
	(void)FAKE_VERB(stop, "a", -1, 0);
	until("a", "stopped"); /* it could not be asked, so it is told */
	assert_int_equal(fake.calls[OP_TERMINATE], 1);
}

/* It does not die: its state says so, nothing is started, and it can be told again. */
static void death_not_proved(void **state)
{
	(void)state;
	fake.terminate_ends = false;
	running("a", "");
	assert_int_equal(FAKE_VERB(stop, "a", 0, 0), 1);
	fake_advance(10000);
	assert_string_equal(fake_state("a"), "unknown");
	assert_true(fake.reply_code < 0);
	assert_int_equal(FAKE_VERB(start, "a"), -EINVAL);
	assert_int_equal(FAKE_VERB(delete, "a", false), -EBUSY);
	fake.terminate_ends = true;
	(void)FAKE_VERB(delete, "a", true);
	fake_until(!container_by_id(fake.engine, "a"));
	assert_nothing("a");
	assert_int_equal(fake.live_max, 1);
}

static void kills(void **state)
{
	(void)state;
	running("a", "");
	assert_int_equal(FAKE_VERB(kill, "a", SIGHUP, false), 0);
	assert_int_equal(fake.last_signal, SIGHUP);
	assert_string_equal(fake_state("a"), "running");
	fake.code[OP_SIGNAL] = -EPERM;
	assert_int_equal(FAKE_VERB(kill, "a", SIGHUP, true), -EPERM);
	assert_int_equal(FAKE_VERB(kill, "a", SIGKILL, false), 0);
	until("a", "stopped");
	assert_int_equal(FAKE_VERB(kill, "a", SIGKILL, false), -ESRCH);
}

static void pauses(void **state)
{
	(void)state;
	running("a", "");
	fake.how[OP_PAUSE] = LATER;
	assert_int_equal(FAKE_VERB(pause, "a"), 1);
	assert_string_equal(fake_state("a"), "pausing");
	assert_true(fake_answer(OP_PAUSE));
	fake_turn();
	assert_string_equal(fake_state("a"), "paused");
	assert_int_equal(fake.reply_code, 0);
	assert_int_equal(FAKE_VERB(pause, "a"), -EALREADY);
	fake.code[OP_RESUME] = -EIO;
	assert_int_equal(FAKE_VERB(resume, "a"), -EIO);
	assert_string_equal(fake_state("a"), "paused");
	fake.code[OP_RESUME] = 0;
	assert_int_equal(FAKE_VERB(resume, "a"), 0);
	assert_string_equal(fake_state("a"), "running");
	assert_int_equal(FAKE_VERB(resume, "a"), -EINVAL);
	fake.code[OP_PAUSE] = -ENOTSUP;
	fake.how[OP_PAUSE] = INLINE;
	assert_int_equal(FAKE_VERB(pause, "a"), -ENOTSUP);
	assert_string_equal(fake_state("a"), "running");
	fake.how[OP_PAUSE] = NEVER;
	assert_int_equal(FAKE_VERB(pause, "a"), 1);
	fake_advance(60000);
	assert_int_equal(fake.reply_code, -ETIMEDOUT);
	assert_string_equal(fake_state("a"), "running");
}

/* What a state waited for is not waited for any more when it is left. */
static void killed_while_pausing(void **state)
{
	(void)state;
	running("a", "");
	fake.how[OP_PAUSE] = LATER;
	assert_int_equal(FAKE_VERB(pause, "a"), 1);
	(void)FAKE_VERB(kill, "a", SIGKILL, false);
	until("a", "stopped");
	assert_int_equal(cow_ops_count(fake.ops), 0);
	assert_true(fake_answer(OP_PAUSE)); /* finds nothing */
	fake_turn();
	assert_string_equal(fake_state("a"), "stopped");
}

static void stop_what_is_paused(void **state)
{
	(void)state;
	running("a", "");
	assert_int_equal(FAKE_VERB(pause, "a"), 0);
	(void)FAKE_VERB(stop, "a", -1, 0);
	until("a", "stopped");
	assert_int_equal(fake.calls[OP_RESUME], 1); /* what is frozen sees no signal */
	running("b", "");
	assert_int_equal(FAKE_VERB(pause, "b"), 0);
	fake.code[OP_RESUME] = -EIO;
	(void)FAKE_VERB(stop, "b", -1, 0);
	until("b", "stopped");
	assert_int_equal(fake.calls[OP_TERMINATE], 1);
}

static void dies_while_paused(void **state)
{
	(void)state;
	running("a", "");
	fake.how[OP_PAUSE] = NEVER;
	assert_int_equal(FAKE_VERB(pause, "a"), 1);
	fake_exit(1, 1, 0);
	until("a", "stopped");
	assert_int_equal(fake.reply_code, -ESRCH);
}

static void restarts(void **state)
{
	(void)state;
	running("a", "");
	(void)FAKE_VERB(restart, "a", -1);
	fake_until(fake.calls[OP_START] == 2);
	fake_turn();
	assert_string_equal(fake_state("a"), "running");
	assert_int_equal(fake.reply_code, 0);
	assert_int_equal(fake.live_max, 1);
	/* A stopped one is started. */
	(void)FAKE_VERB(stop, "a", -1, 0);
	until("a", "stopped");
	assert_int_equal(FAKE_VERB(restart, "a", -1), 0);
	assert_string_equal(fake_state("a"), "running");
	/* Started while it is being stopped: it runs in the end. */
	fake.shutdown_ends = false;
	assert_int_equal(FAKE_VERB(stop, "a", 1000, 0), 1);
	assert_int_equal(FAKE_VERB(start, "a"), 1);
	fake_advance(1000);
	fake_until(fake.calls[OP_START] == 4);
	fake_turn();
	assert_string_equal(fake_state("a"), "running");
	assert_int_equal(fake.live_max, 1);
}

static uint64_t handle_of(const char *id)
{
	return container_by_id(fake.engine, id)->system;
}

static void end_and_settle(const char *id, int code)
{
	uint32_t starts = fake.calls[OP_START];

	fake_exit(handle_of(id), code, 0);
	fake_until(strcmp(fake_state(id), "draining") != 0);
	fake_turn();
	assert_int_equal(fake.calls[OP_START], starts);
}

static void policy_backoff(void **state)
{
	uint64_t delay = 1000;

	(void)state;
	running("a", "\"restart\":{\"policy\":\"always\",\"delay_s\":1,\"max_delay_s\":4,\"reset_"
		     "after_s\":10}");
	for (int i = 0; i < 4; i++) {
		end_and_settle("a", i & 1);
		assert_string_equal(fake_state("a"), "restarting");
		assert_true(container_by_id(fake.engine, "a")->backoff_ms <= delay);
		assert_true(container_by_id(fake.engine, "a")->backoff_ms >= delay - delay / 4);
		fake_advance(delay);
		assert_string_equal(fake_state("a"), "running");
		delay = delay * 2 > 4000 ? 4000 : delay * 2;
	}
	assert_int_equal(container_by_id(fake.engine, "a")->restarts, 4);
	fake_advance(10000); /* long enough: the next failure is the first again */
	end_and_settle("a", 1);
	assert_true(container_by_id(fake.engine, "a")->backoff_ms <= 1000);
	/* Stopped while it waits. */
	assert_int_equal(FAKE_VERB(stop, "a", -1, 0), 0);
	assert_string_equal(fake_state("a"), "stopped");
	fake_advance(100000);
	assert_string_equal(fake_state("a"), "stopped");
}

static void policy_on_failure(void **state)
{
	(void)state;
	running("a", "\"restart\":\"on-failure:2\"");
	for (int i = 0; i < 2; i++) {
		end_and_settle("a", 1);
		assert_string_equal(fake_state("a"), "restarting");
		fake_advance(1000);
		assert_string_equal(fake_state("a"), "running");
	}
	end_and_settle("a", 1);
	assert_string_equal(fake_state("a"), "stopped");
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	end_and_settle("a", 0); /* no failure */
	assert_string_equal(fake_state("a"), "stopped");
}

static void policy_respects_the_user(void **state)
{
	(void)state;
	running("a", "\"restart\":\"always\"");
	(void)FAKE_VERB(stop, "a", -1, 0);
	until("a", "stopped");
	fake_advance(100000);
	assert_string_equal(fake_state("a"), "stopped");
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	end_and_settle("a", 0);
	assert_int_equal(FAKE_VERB(delete, "a", true), 0); /* while it waits for its delay */
	assert_nothing("a");
}

static void policy_and_failing_start(void **state)
{
	(void)state;
	running("a", "\"restart\":\"always\"");
	fake.code[OP_CREATE] = -EIO;
	end_and_settle("a", 1);
	fake_advance(200);
	assert_string_equal(fake_state("a"), "restarting");
	fake_advance(2000);
	assert_true(fake.calls[OP_CREATE] >= 4);
	fake.code[OP_CREATE] = 0;
	fake_advance(60000);
	assert_string_equal(fake_state("a"), "running");
	assert_int_equal(fake.live_max, 1);
}

static void stopped_in_order(void **state)
{
	(void)state;
	fake.shutdown_ends = false;
	running("a", "");
	running("b", "\"restart\":\"always\"");
	assert_int_equal(fake_create("c", ""), 0);
	fake.replies = 0;
	cow_engine_shutdown(fake.engine, 5000, false, fake_cb, NULL);
	fake_turn();
	assert_string_equal(fake_state("b"), "stopping");
	assert_string_equal(fake_state("a"), "running");
	fake_exit(handle_of("b"), 0, 0);
	until("b", "stopped");
	assert_string_equal(fake_state("a"), "stopping");
	assert_int_equal(FAKE_VERB(start, "b"), -ESHUTDOWN);
	fake_advance(5000); /* the rest is killed */
	until("a", "stopped");
	fake_turn();
	assert_int_equal(fake.replies, 2);
	assert_int_equal(fake.reply_code, 0);
	assert_int_equal(fake.shutdown_hooks, 1);
	assert_string_equal(fake_state("c"), "created");
}

static void second_shutdown_kills(void **state)
{
	(void)state;
	fake.shutdown_ends = false;
	running("a", "");
	running("b", "");
	fake.replies = 0;
	cow_engine_shutdown(fake.engine, 60000, false, fake_cb, NULL);
	fake_turn();
	cow_engine_shutdown(fake.engine, 0, true, fake_cb, NULL);
	until("a", "stopped");
	until("b", "stopped");
	fake_turn();
	assert_int_equal(fake.replies, 2);
	assert_int_equal(fake.calls[OP_TERMINATE], 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stop_gracefully),
		TEST(stop_stubborn),
		TEST(shutdown_refused),
		TEST(death_not_proved),
		TEST(kills),
		TEST(pauses),
		TEST(killed_while_pausing), TEST(stop_what_is_paused),
		TEST(dies_while_paused),
		TEST(restarts),
		TEST(policy_backoff),
		TEST(policy_on_failure),
		TEST(policy_respects_the_user),
		TEST(policy_and_failing_start),
		TEST(stopped_in_order),
		TEST(second_shutdown_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
