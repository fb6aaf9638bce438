/* SPDX-License-Identifier: MIT */
/* Exec, health checks, statistics. */
#include "fake.h"

static struct {
	uint32_t replies;
	int code;
	char message[1100];
	uint64_t exec;
} last;

static void exec_cb(void *arg, const struct cow_error *err, uint64_t exec, int64_t pid, int fd)
{
	(void)arg;
	(void)pid;
	last.replies++;
	last.code = err ? err->code : 0;
	(void)snprintf(last.message, sizeof(last.message), "%s", err ? err->message : "");
	last.exec = exec;
	assert_int_equal(fd, -1);
}

static int exec(const char *id, const char *text)
{
	struct json_object *params = json_tokener_parse(text);
	uint32_t before = last.replies;

	assert_non_null(params);
	cow_engine_exec(fake.engine, id, params, -1, -1, -1, exec_cb, NULL);
	json_object_put(params);
	assert_int_equal(last.replies, before);
	fake_turn();
	return last.replies == before ? 1 : last.code;
}

static void running(const char *id, const char *more)
{
	assert_int_equal(fake_create(id, more), 0);
	assert_int_equal(FAKE_VERB(start, id), 0);
}

static void process_end(const char *id, uint64_t process, int code)
{
	const struct cowherd_exit end = { .size = sizeof(end), .code = code };

	fake.events->exited(fake.events_arg, "fake", container_by_id(fake.engine, id)->system,
			    process, &end);
	fake_turn();
}

static int exec_wait(const char *id, uint64_t number)
{
	uint32_t before = fake.replies;

	cow_engine_exec_wait(fake.engine, id, number, fake_cb, NULL, NULL);
	fake_turn();
	return fake_replied(before);
}

static void executes(void **state)
{
	(void)state;
	running("a", "");
	assert_int_equal(exec("a", "{\"args\":[\"/bin/y\",\"z\"],\"env\":[\"A=b\"]}"), 0);
	assert_non_null(strstr(fake.last_process, "\"/bin/y\""));
	assert_non_null(strstr(fake.last_process, "A=b"));
	assert_int_equal(exec_wait("a", last.exec), 1);
	process_end("a", fake.next_handle, 42);
	assert_int_equal(fake.reply_code, 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":42"));
	assert_int_equal(exec_wait("a", last.exec), 0); /* asked again */
	fake_advance(61000);
	assert_int_equal(exec_wait("a", last.exec), -ENOENT); /* forgotten in the end */
	process_end("a", 4711, 1); /* unknown: nothing happens */
}

static void exec_refused(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	assert_int_equal(exec("a", "{\"args\":[\"x\"]}"), -ESRCH);
	assert_int_equal(exec("b", "{\"args\":[\"x\"]}"), -ENOENT);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	assert_int_equal(exec("a", "{}"), -EINVAL);
	for (unsigned how = BY_RETURN; how < NEVER; how++) {
		fake.how[OP_EXEC] = (enum fake_how)how;
		fake.code[OP_EXEC] = -ENOENT;
		(void)exec("a", "{\"args\":[\"x\"]}");
		(void)fake_answer(OP_EXEC);
		fake_turn();
		assert_int_equal(last.code, -ENOENT);
	}
	fake.how[OP_EXEC] = NEVER;
	assert_int_equal(exec("a", "{\"args\":[\"x\"]}"), 1);
	fake_advance(60000);
	assert_int_equal(last.code, -ETIMEDOUT);
}

static void container_ends_first(void **state)
{
	(void)state;
	running("a", "");
	assert_int_equal(exec("a", "{\"args\":[\"x\"]}"), 0);
	assert_int_equal(exec_wait("a", last.exec), 1);
	fake.how[OP_EXEC] = LATER;
	assert_int_equal(exec("a", "{\"args\":[\"y\"]}"), 1);
	fake_exit(1, 0, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	fake_turn();
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":null"));
	(void)FAKE_VERB(delete, "a", false);
	fake_turn();
	assert_int_equal(last.replies > 0, true);
	assert_true(last.code < 0); /* the one that was never answered */
	fake.pending_count = 0;
	assert_nothing("a");
}

static void exec_signal(void **state)
{
	(void)state;
	running("a", "");
	assert_int_equal(exec("a", "{\"args\":[\"x\"]}"), 0);
	cow_engine_exec_kill(fake.engine, "a", last.exec, SIGINT, fake_cb, NULL);
	fake_turn();
	assert_int_equal(fake.reply_code, 0);
	assert_int_equal(fake.last_signal, SIGINT);
	assert_int_equal(FAKE_VERB(resize, "a", last.exec, 24, 80), 0);
	assert_int_equal(FAKE_VERB(resize, "a", 99, 24, 80), -ENOENT);
	process_end("a", fake.next_handle, 0);
	cow_engine_exec_kill(fake.engine, "a", last.exec, SIGINT, fake_cb, NULL);
	fake_turn();
	assert_int_equal(fake.reply_code, -ESRCH);
}

static void statistics(void **state)
{
	(void)state;
	running("a", "");
	fake.how[OP_STATS] = INLINE;
	fake.answer_result = "{\"cpu_ns\":5,\"memory_bytes\":7}";
	assert_int_equal(FAKE_VERB(stats, "a"), 0);
	assert_non_null(strstr(fake.reply_result, "\"memory_bytes\":7"));
	assert_non_null(strstr(fake.reply_result, "\"cpu_percent\":"));
	fake.how[OP_STATS] = LATER;
	assert_int_equal(FAKE_VERB(stats, "a"), 1);
	assert_int_equal(FAKE_VERB(delete, "a", true) <= 1, true);
	fake_until(!container_by_id(fake.engine, "a"));
	fake_turn();
	fake.pending_count = 0;
	assert_nothing("a"); /* and the caller of stats was told, see the reply count */
	assert_int_equal(fake.replies, 5);
}

#define CHECK "\"health\":{\"test\":[\"probe\"],\"interval_s\":10,\"timeout_s\":2,\"retries\":2,"

static const char *health(const char *id)
{
	return health_status(container_by_id(fake.engine, id));
}

static void probe_ends(const char *id, int code)
{
	process_end(id, fake.next_handle, code);
}

static void becomes_healthy(void **state)
{
	(void)state;
	running("a", CHECK "\"on_unhealthy\":\"none\"}");
	assert_string_equal(health("a"), "starting");
	assert_int_equal(fake_wait("a", COW_WAIT_HEALTHY), 1);
	fake_advance(200);
	assert_string_equal(fake.last_process, "{\"args\":[\"probe\"]}");
	probe_ends("a", 0);
	assert_string_equal(health("a"), "healthy");
	assert_int_equal(fake.reply_code, 0);
	assert_int_equal(fake_wait("a", COW_WAIT_HEALTHY), 0);
	fake_advance(10000);
	probe_ends("a", 1);
	assert_string_equal(health("a"), "healthy"); /* one more to go */
	fake_advance(10000);
	probe_ends("a", 1);
	assert_string_equal(health("a"), "unhealthy");
	fake_advance(10000);
	probe_ends("a", 0);
	assert_string_equal(health("a"), "healthy");
}

static void probe_hangs(void **state)
{
	(void)state;
	running("a", CHECK "\"on_unhealthy\":\"stop\"}");
	for (int i = 0; i < 2; i++) {
		fake_advance(10000);
		fake_advance(2000);
		assert_int_equal(fake.last_signal, SIGKILL);
		probe_ends("a", 137);
	}
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	fake_advance(100000);
	assert_string_equal(fake_state("a"), "stopped");
}

static void unhealthy_restarts(void **state)
{
	(void)state;
	running("a", CHECK "\"on_unhealthy\":\"restart\"}");
	fake.code[OP_EXEC] = -EIO; /* a probe that cannot be made has failed */
	fake_advance(200);
	fake_advance(10000);
	fake_until(fake.calls[OP_START] == 2);
	fake_turn();
	assert_string_equal(fake_state("a"), "running");
	assert_string_equal(health("a"), "starting");
	assert_int_equal(fake.live_max, 1);
}

/* It may print what it likes: the beginning is shown, and nothing holds it up. */
static void probe_prints(void **state)
{
	struct cow_strbuf out = COW_STRBUF_INIT;
	char text[8192];
	size_t sent = 0;

	(void)state;
	memset(text, 'p', sizeof(text));
	running("a", CHECK "\"on_unhealthy\":\"none\"}");
	fake.keep_out = true;
	fake_advance(200);
	assert_true(fake.last_out >= 0);
	(void)fcntl(fake.last_out, F_SETFL, O_NONBLOCK);
	while (sent < 200000) {
		ssize_t n = write(fake.last_out, text, sizeof(text));

		sent += n > 0 ? (size_t)n : 0;
		fake_turn();
	}
	(void)close(fake.last_out);
	fake.last_out = -1;
	probe_ends("a", 0);
	health_inspect(container_by_id(fake.engine, "a"), &out);
	assert_non_null(strstr(out.data, "pppp"));
	assert_true(out.len > 4096 && out.len < 4500);
	cow_strbuf_finish(&out);
}

/* Its output is the backend's until the backend has answered. */
static void probe_output_stays_open(void **state)
{
	(void)state;
	running("a", CHECK "\"on_unhealthy\":\"none\"}");
	fake.how[OP_EXEC] = LATER;
	fake_advance(200);
	assert_int_equal(write(fake.last_exec_out, "later", 5), 5);
	assert_true(fake_answer(OP_EXEC));
	assert_int_equal(fcntl(fake.last_exec_out, F_GETFD), -1); /* and no longer */
	probe_ends("a", 0);
	assert_string_equal(health("a"), "healthy");
}

static void start_period(void **state)
{
	(void)state;
	running("a", CHECK "\"start_period_s\":60}");
	fake.code[OP_EXEC] = -EIO;
	fake_advance(50000);
	assert_string_equal(health("a"), "starting");
	fake_advance(30000);
	assert_string_equal(health("a"), "unhealthy");
}

static void ends_inside_a_probe(void **state)
{
	(void)state;
	running("a", CHECK "\"on_unhealthy\":\"none\"}");
	assert_int_equal(fake_wait("a", COW_WAIT_HEALTHY), 1);
	fake.how[OP_EXEC] = LATER;
	fake_advance(200);
	fake_exit(1, 0, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	fake_turn();
	assert_int_equal(fake.reply_code, -ESRCH); /* no hope any more */
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	fake.how[OP_EXEC] = INLINE;
	fake_advance(200);
	probe_ends("a", 0);
	assert_string_equal(health("a"), "healthy");
	fake.pending_count = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(executes),
		TEST(exec_refused),
		TEST(container_ends_first),
		TEST(exec_signal),
		TEST(statistics),
		TEST(becomes_healthy),
		TEST(probe_hangs),
		TEST(unhealthy_restarts),
		TEST(probe_prints), TEST(probe_output_stays_open), TEST(start_period),
		TEST(ends_inside_a_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
