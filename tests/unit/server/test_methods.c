/* SPDX-License-Identifier: MIT */
/* From params to the engine and back; streams; verbs of plugins. */
#include "tests/unit/server/harness.h"

#include "base/ids.h"

#include <fcntl.h>
#include <signal.h>

static void test_decoding(void **state)
{
	static const struct {
		const char *line, *call, *detail;
	} cases[] = {
		{ CALL(1, "container.create", "{\"rootfs\":\"/r\"}"), "create",
		  "{ \"rootfs\": \"\\/r\" }" },
		{ CALL(1, "container.start", "{\"container\":\"a\"}"), "start", "a" },
		{ CALL(1, "container.stop", "{\"container\":\"a\"}"), "stop", "a -1 0" },
		{ CALL(1, "container.stop",
		       "{\"container\":\"a\",\"timeout_s\":1.5,\"signal\":\"SIGINT\"}"),
		  "stop", "a 1500 2" },
		{ CALL(1, "container.stop", "{\"container\":\"a\",\"timeout_s\":0}"), "stop",
		  "a 0 0" },
		{ CALL(1, "container.restart", "{\"container\":\"a\",\"timeout_s\":2}"), "restart",
		  "a 2000" },
		{ CALL(1, "container.kill", "{\"container\":\"a\"}"), "kill", "a 9 0" },
		{ CALL(1, "container.kill", "{\"container\":\"a\",\"signal\":10,\"all\":true}"),
		  "kill", "a 10 1" },
		{ CALL(1, "container.delete", "{\"container\":\"a\"}"), "delete", "a" },
		{ CALL(1, "container.delete", "{\"container\":\"a\",\"force\":true}"),
		  "delete force", "a" },
		{ CALL(1, "container.release", "{\"container\":\"a\"}"), "release", "a" },
		{ CALL(1, "container.pause", "{\"container\":\"a\"}"), "pause", "a" },
		{ CALL(1, "container.resume", "{\"container\":\"a\"}"), "resume", "a" },
		{ CALL(1, "container.wait", "{\"container\":\"a\",\"condition\":\"removed\"}"),
		  "wait", "a" },
		{ CALL(1, "container.top", "{\"container\":\"a\"}"), "top", "a" },
		{ CALL(1, "container.resize",
		       "{\"container\":\"a\",\"exec\":3,\"height\":24,\"width\":80}"),
		  "resize", "a 3 24 80" },
		{ CALL(1, "container.exec", "{\"container\":\"a\",\"args\":[\"x\"]}"), "exec",
		  "a" },
		{ CALL(1, "exec.wait", "{\"container\":\"a\",\"exec\":3}"), "exec wait", "a" },
		{ CALL(1, "exec.kill", "{\"container\":\"a\",\"exec\":3,\"signal\":\"TERM\"}"),
		  "exec kill", "a 3 15" },
	};
	int fd = client();

	(void)state;
	for (size_t i = 0; i < COW_ELEMENTS(cases); i++) {
		struct fake_call *c;

		put(fd, cases[i].line);
		c = fake_pending(cases[i].call);
		if (!c)
			fail_msg("%s gave: %s", cases[i].line, get(fd));
		assert_string_equal(c->detail, cases[i].detail);
		fake_answer(c, -EBUSY, "container a: busy");
		assert_string_equal(
			get(fd),
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-16,\"message\":"
			"\"container a: "
			"busy\",\"data\":{\"name\":\"EBUSY\",\"step\":\"\",\"txn\":\"\"}}}\n");
	}
	hang_up(fd);
}

static void test_reads(void **state)
{
	int fd = client();

	(void)state;
	put(fd, CALL(1, "container.inspect", "{\"container\":\"a\"}"));
	assert_has(get(fd), "\"result\":{\"id\":\"c1\"");
	put(fd, CALL(2, "plugins.list", "{}") CALL(3, "verbs", "{}"));
	assert_has(get(fd), "\"id\":2,\"result\":[]}\n");
	fake.fail_reads = true;
	put(fd, CALL(1, "container.inspect", "{\"container\":\"a\"}"));
	assert_has(get(fd), "\"code\":-2");
	put(fd, CALL(1, "container.list", "{}"));
	assert_has(get(fd), "\"code\":-12");
	put(fd, CALL(1, "plugins.list", "{}"));
	assert_has(get(fd), "\"code\":-12");
	put(fd, CALL(1, "plugins.unload", "{\"name\":\"busy\"}"));
	assert_has(get(fd), "container c1 holds net0");
	put(fd, CALL(1, "plugins.unload", "{\"name\":\"idle\"}"));
	assert_has(get(fd), "\"result\":{}");
	put(fd, CALL(1, "reload", "{}"));
	assert_has(get(fd), "ENOSYS");
	put(fd, CALL(1, "shutdown", "{}"));
	assert_has(get(fd), "ENOSYS");
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"}\n");
	assert_has(get(fd), "\"api\":\"1.0\",\"abi\":\"1.2\",\"owner\":\"tester\"");
	hang_up(fd);
}

static struct {
	cow_engine_cb done;
	void *arg;
	int64_t timeout_ms;
	bool kill;
} asked;

static void on_reload(void *arg, cow_engine_cb done, void *done_arg)
{
	(void)arg;
	done(done_arg, NULL, "{\"added\":[]}");
}

static void on_shutdown(void *arg, int64_t timeout_ms, bool kill, cow_engine_cb done,
			void *done_arg)
{
	(void)arg;
	asked.done = done;
	asked.arg = done_arg;
	asked.timeout_ms = timeout_ms;
	asked.kill = kill;
}

static void test_program(void **state)
{
	int fd = client();

	(void)state;
	h.server->callbacks =
		(struct cow_server_callbacks){ .reload = on_reload, .shutdown = on_shutdown };
	put(fd, CALL(1, "reload", "{}"));
	assert_has(get(fd), "\"result\":{\"added\":[]}");
	put(fd, CALL(1, "shutdown", "{\"timeout_s\":3,\"kill\":true}"));
	assert_int_equal(asked.timeout_ms, 3000);
	assert_true(asked.kill);
	assert_string_equal(get(fd), "");
	/* The answer is on its way before the program closes the server. */
	asked.done(asked.arg, NULL, NULL);
	assert_has(get(fd), "\"result\":{}");
	hang_up(fd);
}

static void tell(const char *container, const char *json)
{
	fake.subscription->cb(fake.subscription->arg, container, json);
}

static void test_events(void **state)
{
	int fd = client();

	(void)state;
	put(fd, CALL(1, "events", "{}"));
	tell("c1", "{\"event\":\"x\",\n\"time_ns\":7}");
	assert_string_equal(get(fd),
			    "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"id\":1,"
			    "\"event\":{\"event\":\"x\", \"time_ns\":7}}}\n");
	hang_up(fd);
	assert_int_equal(fake.subscriptions, 0);

	/* By id, by the beginning of an id, by name. */
	fd = client();
	put(fd, CALL(1, "events", "{\"container\":\"c1\"}"));
	tell("c2", "{\"event\":\"a\",\"name\":\"web\"}");
	tell(NULL, "{\"event\":\"b\"}");
	tell("c2", "broken");
	assert_string_equal(get(fd), "");
	tell("c11", "{\"event\":\"c\",\"name\":\"web\"}");
	assert_has(get(fd), "\"event\":\"c\"");
	tell("x", "{\"event\":\"d\",\"name\":\"c1\"}");
	assert_has(get(fd), "\"event\":\"d\"");
	hang_up(fd);
}

static void test_events_end(void **state)
{
	int fd = client();
	char line[256];

	(void)state;
	put(fd, CALL(1, "events", "{\"since_ns\":1,\"follow\":false}"));
	assert_has(get(fd), "\"event\":\"replayed\",\"name\":\"web\"}}}\n"
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
	put(fd, CALL(1, "events", "{\"since_ns\":1,\"until_ns\":4}"));
	pass_ms(1);
	assert_string_equal(get(fd), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
	assert_int_equal(fake.subscriptions, 0);
	(void)snprintf(line, sizeof(line),
		       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events\",\"params\":"
		       "{\"until_ns\":%llu}}\n",
		       (unsigned long long)cow_realtime_ns() + 60000000000ULL);
	put(fd, line);
	pass_ms(59000);
	assert_int_equal(fake.subscriptions, 1);
	pass_ms(1002);
	assert_int_equal(fake.subscriptions, 0);
	assert_has(get(fd), "\"result\":{}");
	hang_up(fd);
}

static void test_stats(void **state)
{
	int fd = client();

	(void)state;
	put(fd, CALL(1, "container.stats", "{\"container\":\"a\"}"));
	answer_pending("stats", 0, "{\"pids\":1}");
	assert_has(get(fd), "\"result\":[{\"pids\":1}]");
	put(fd, CALL(1, "container.stats", "{\"container\":\"a\"}"));
	answer_pending("stats", -ENOENT, "container a: no such container");
	assert_has(get(fd), "\"code\":-2");
	put(fd, CALL(1, "container.stats", "{}"));
	assert_has(get(fd), "\"result\":[]");

	/* Of all that run, one that ends meanwhile is left out. */
	fake.list = "[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"}]";
	put(fd, CALL(1, "container.stats", "{}"));
	answer_pending("stats", 0, "{\"id\":\"c\"}");
	answer_pending("stats", -ESRCH, "container b: is stopped");
	answer_pending("stats", 0, "{\"id\":\"a\"}");
	assert_has(get(fd), "\"result\":[{\"id\":\"c\"},{\"id\":\"a\"}]");
	fake.fail_reads = true;
	put(fd, CALL(1, "container.stats", "{}"));
	assert_has(get(fd), "\"code\":-12");
	hang_up(fd);
}

static void test_stats_stream(void **state)
{
	int fd = client();

	(void)state;
	put(fd, CALL(1, "container.stats", "{\"container\":\"a\",\"stream\":true}"));
	for (int i = 0; i < 3; i++) {
		answer_pending("stats", 0, "{\"pids\":1}");
		assert_has(get(fd), "\"id\":1,\"event\":[{\"pids\":1}]");
		pass_ms(999);
		assert_null(fake_pending("stats"));
		pass_ms(1);
	}
	answer_pending("stats", -ESRCH, "container a: is stopped");
	assert_has(get(fd), "\"error\"");
	/* The client leaves while an answer is on its way, or between two. */
	put(fd, CALL(1, "container.stats", "{\"container\":\"a\",\"stream\":true}"));
	hang_up(fd);
	answer_pending("stats", 0, "{}");
	pass_ms(1000);
	assert_null(fake_pending("stats"));
	fd = client();
	put(fd, CALL(1, "container.stats", "{\"container\":\"a\",\"stream\":true}"));
	answer_pending("stats", 0, "{}");
	hang_up(fd);
	pass_ms(1000);
	assert_null(fake_pending("stats"));
}

static void test_logs(void **state)
{
	int fd = client(), fds[2], before = count_fds();
	char buf[8];

	(void)state;
	put(fd, CALL(1, "container.logs",
		     "{\"container\":\"a\",\"tail\":3,\"stderr\":false,\"follow\":true}"));
	assert_has(get_fds(fd, fds, 2), "\"id\":1,\"result\":{\"fds\":[\"stdout\",\"stderr\"]}");
	assert_int_equal(fake.follow->options.tail, 3);
	assert_true(fake.follow->options.out && !fake.follow->options.err &&
		    fake.follow->options.follow);
	/* Ours does not block, the client's does; both close on exec. */
	assert_true(fcntl(fake.follow->out, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fake.follow->out, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fake.follow->out, "hello", 5), 5);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 5);
	/* The id is free again, though the follow goes on. */
	put(fd, CALL(1, "container.list", "{}"));
	assert_has(get(fd), "\"id\":1,\"result\":[]");
	(void)close(fake.follow->out);
	(void)close(fake.follow->err);
	fake.follow->done(fake.follow->arg, 0);
	free(fake.follow);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_int_equal(count_fds(), before);

	put(fd, CALL(2, "container.logs", "{\"container\":\"a\"}"));
	(void)get_fds(fd, fds, 2);
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":2}}\n");
	assert_int_equal(fake.follows_closed, 1);
	assert_string_equal(get(fd), "");
	(void)close(fds[0]);
	(void)close(fds[1]);
	fake.fail_reads = true;
	put(fd, CALL(2, "container.logs", "{\"container\":\"a\"}"));
	assert_has(get(fd), "no such container");
	assert_int_equal(count_fds(), before);
	hang_up(fd);
}

static void test_attach(void **state)
{
	int fd = client(), fds[3], before = count_fds();
	char c = 0;

	(void)state;
	fake.inspect = "{\"terminal\":true}";
	put(fd, CALL(1, "container.attach", "{\"container\":\"a\",\"stdin\":true}"));
	assert_has(get_fds(fd, fds, 3),
		   "{\"fds\":[\"stdin\",\"stdout\",\"stderr\"],\"terminal\":true}");
	assert_int_equal(fake.follow->options.tail, 0);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(fake.stdin_fd, &c, 1), 1);
	assert_true(fcntl(fake.stdin_fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(write(fake.follow->out, "y", 1), 1);
	assert_int_equal(read(fds[1], &c, 1), 1);
	assert_int_equal(c, 'y');
	for (int i = 0; i < 3; i++)
		(void)close(fds[i]);
	(void)close(fake.stdin_fd);
	put(fd, CALL(2, "container.attach", "{\"container\":\"a\",\"logs\":true}"));
	assert_has(get_fds(fd, fds, 2), "{\"fds\":[\"stdout\",\"stderr\"],");
	assert_int_equal(fake.follow->options.tail, -1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	put(fd, CALL(3, "container.attach", "{\"container\":\"closed\",\"stdin\":true}"));
	assert_has(get(fd), "stdin is not open");
	fake.fail_reads = true;
	put(fd, CALL(3, "container.attach", "{\"container\":\"a\"}"));
	assert_has(get(fd), "no such container");
	hang_up(fd);
	assert_int_equal(count_fds(), before - 2);
}

static void test_exec_terminal(void **state)
{
	int fd = client(), got = -1, pipes[2], before;
	struct fake_call *c;

	(void)state;
	before = count_fds();
	put(fd, CALL(1, "container.exec", "{\"container\":\"a\",\"terminal\":true}"));
	c = fake_pending("exec");
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	c->over = true;
	c->exec_cb(c->arg, NULL, 9, 10, pipes[0]);
	assert_has(get_fds(fd, &got, 1), "{\"exec\":9,\"pid\":10,\"fds\":[\"terminal\"]}");
	(void)close(got);
	/* The client is gone: the terminal is closed, not leaked. */
	put(fd, CALL(1, "container.exec", "{\"container\":\"a\",\"terminal\":true}"));
	c = fake_pending("exec");
	hang_up(fd);
	c->over = true;
	c->exec_cb(c->arg, NULL, 9, 10, dup(pipes[1]));
	(void)close(pipes[1]);
	assert_int_equal(count_fds(), before - 2);
}

/* Verbs. */

static struct {
	cowherd_op op;
	int returns, exit_code;
	bool inline_answer;
	unsigned cancelled;
	char args[64], cwd[64];
	int in;
} verb;

static int verb_answer(const char *result)
{
	struct cowherd_answer full = {
		.size = sizeof(full), .result = result, .fd = -1, .exit_code = verb.exit_code
	};

	return cow_ops_answer(h.ops, verb.op, &(struct cow_answer){ .payload = &full });
}

static int on_verb(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	(void)arg;
	verb.op = op;
	verb.in = call->in;
	(void)snprintf(verb.args, sizeof(verb.args), "%s", call->args);
	(void)snprintf(verb.cwd, sizeof(verb.cwd), "%s", call->cwd);
	if (verb.inline_answer)
		assert_int_equal(verb_answer("{\"inline\":1}"), 0);
	return verb.returns;
}

static void on_verb_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	assert_int_equal(op, verb.op);
	verb.cancelled++;
}

static void offer_verb(int returns)
{
	memset(&verb, 0, sizeof(verb));
	verb.returns = returns;
	fake.verb.table = (struct cowherd_verb){ .size = sizeof(fake.verb.table),
						 .name = "image",
						 .usage = "image ls",
						 .help = "Images.",
						 .call = on_verb,
						 .cancel = on_verb_cancel };
}

#define VERB CALL(1, "verb.call", "{\"name\":\"image\",\"args\":[\"a\",\"b\"],\"cwd\":\"/w\"}")

static void test_verb(void **state)
{
	int fd = client();

	(void)state;
	put(fd, VERB);
	assert_has(get(fd), "no plugin offers it");
	offer_verb(COWHERD_LATER);
	put(fd, CALL(1, "verbs", "{}"));
	assert_has(get(fd), "[{\"name\":\"image\",\"usage\":\"image "
			    "ls\",\"help\":\"Images.\",\"details\":\"\",\"plugin\":\"fake\"}]");
	put(fd, VERB);
	assert_string_equal(verb.args, "[\"a\",\"b\"]");
	assert_string_equal(verb.cwd, "/w");
	assert_int_equal(verb.in, -1);
	assert_int_equal(fake.progress(fake.progress_arg, verb.op, "{\"percent\":50}"), 0);
	assert_has(get(fd), "\"id\":1,\"event\":{\"percent\":50}");
	assert_int_equal(fake.progress(fake.progress_arg, verb.op + 1, "{}"), -ENOENT);
	verb.exit_code = 7;
	assert_int_equal(verb_answer("two\nlines"), 0);
	assert_has(get(fd), "\"method\":\"exit\",\"params\":{\"id\":1,\"exit_code\":7}}\n"
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"two\\nlines\"");
	verb.exit_code = 0;
	assert_int_equal(verb_answer("again"), -ENOENT);
	put(fd, VERB);
	assert_int_equal(verb_answer("[1,\n2]"), 0);
	assert_has(get(fd), "\"result\":[1, 2]");
	offer_verb(-EINVAL);
	put(fd, VERB);
	assert_has(get(fd), "\"code\":-22,\"message\":\"Invalid argument\"");
	offer_verb(0);
	put(fd, VERB);
	assert_has(get(fd), "\"result\":{}");
	offer_verb(COWHERD_LATER);
	verb.inline_answer = true;
	put(fd, VERB);
	assert_has(get(fd), "\"result\":{\"inline\":1}");
	hang_up(fd);
}

static void test_verb_cancelled(void **state)
{
	int before = count_fds(), fd = client(), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	offer_verb(COWHERD_LATER);
	put_fds(fd, CALL(1, "verb.call", "{\"name\":\"image\",\"fds\":[\"stdin\"]}"), &null, 1);
	(void)close(null);
	assert_string_equal(verb.args, "[]");
	assert_string_equal(verb.cwd, "/");
	hang_up(fd);
	assert_int_equal(verb.cancelled, 1);
	assert_int_equal(fake.progress(fake.progress_arg, verb.op, "{}"), -ENOENT);
	/* Until the plugin is done, the descriptors it was given are there. */
	assert_true(fcntl(verb.in, F_GETFD) >= 0);
	assert_int_equal(verb_answer(NULL), 0);
	assert_int_equal(count_fds(), before);
	/* One that never answers is abandoned when the server goes. */
	fd = client();
	put(fd, VERB);
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":1}}\n");
	assert_int_equal(verb.cancelled, 2);
	assert_has(get(fd), "\"code\":-125");
	put(fd, VERB);
	(void)close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_server, teardown_server)
	const struct CMUnitTest tests[] = {
		TEST(test_decoding), TEST(test_reads),        TEST(test_program),
		TEST(test_events),   TEST(test_events_end),   TEST(test_stats),
		TEST(test_logs),     TEST(test_attach),       TEST(test_exec_terminal),
		TEST(test_verb),     TEST(test_stats_stream), TEST(test_verb_cancelled),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
