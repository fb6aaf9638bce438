/* SPDX-License-Identifier: MIT */
/* Framing, descriptors, limits: what a client can do to a connection. */
#include "tests/unit/server/harness.h"

#include <fcntl.h>

static void test_split_at_every_byte(void **state)
{
	const char *text = CALL(1, "container.start", "{\"container\":\"web\"}");
	size_t len = strlen(text);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		int fd = client();

		assert_int_equal(send(fd, text, cut, 0), cut);
		turn();
		assert_int_equal(send(fd, text + cut, len - cut, 0), len - cut);
		turn();
		answer_pending("start", 0, "{\"pid\":1}");
		assert_string_equal(get(fd),
				    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"pid\":1}}\n");
		hang_up(fd);
	}
}

static void test_many_in_one_write(void **state)
{
	int fd = client();

	(void)state;
	put(fd, "\n" CALL(1, "container.start", "{\"container\":\"a\"}")
			CALL("two", "container.start",
			     "{\"container\":\"b\"}") "\n\n" CALL(3, "container.list", "{}"));
	assert_has(get(fd), "\"id\":3,\"result\":[]");
	/* In any order, matched by id. */
	answer_pending("start", 0, "{\"b\":\n1}");
	answer_pending("start", 0, "{\"a\":1}");
	assert_string_equal(get(fd), "{\"jsonrpc\":\"2.0\",\"id\":\"two\",\"result\":{\"b\": 1}}\n"
				     "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":1}}\n");
	hang_up(fd);
}

static void test_too_long(void **state)
{
	size_t len = 1 << 20;
	char *text = malloc(len);
	int fd = client(), other = client();

	(void)state;
	memset(text, ' ', len);
	for (int i = 0; i < 400 && send(fd, text, len, MSG_NOSIGNAL) >= 0; i++)
		turn();
	assert_has(get(fd), "longer than 16 MiB");
	assert_string_equal(get(fd), "EOF");
	free(text);
	put(other, CALL(1, "container.list", "{}"));
	assert_has(get(other), "\"result\":[]");
	hang_up(fd);
	hang_up(other);
}

/* A message of almost the limit, in pieces: the time is linear and the memory is given back. */
static void test_almost_too_long(void **state)
{
	size_t len = (16u << 20) - 64, sent = 0;
	char *text = malloc(len + 64);
	int fd = client();

	(void)state;
	memset(text, ' ', len);
	len = len + (size_t)sprintf(text + len, "%s", CALL(1, "container.list", "{}")) - 32;
	text[len - 1] = '\n'; /* cut short: no JSON any more, but a line */
	while (sent < len) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		turn();
	}
	await(fd);
	assert_has(get(fd), "-32700");
	put(fd, CALL(1, "container.list", "{}"));
	assert_has(get(fd), "\"result\":[]");
	free(text);
	hang_up(fd);
}

/* A create with a big spec, cut as it comes. */
static char *big_create(int id, size_t pad)
{
	char *text = malloc(pad + 256);
	int n = sprintf(text,
			"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"container.create\","
			"\"params\":{\"x\":\"",
			id);

	memset(text + n, 'x', pad);
	(void)strcpy(text + (size_t)n + pad, "\"}}\n");
	return text;
}

static void put_slowly(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		turn();
	}
}

/* Long lines go by the pool; what follows waits its turn, descriptors stay with their messages. */
static void test_long_lines(void **state)
{
	char *a = big_create(1, 200000), *b = big_create(2, 100000), *all;
	const char *end = CALL(3, "container.exec", "{\"container\":\"a\",\"fds\":[\"stdin\"]}");
	int fd = client(), null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	all = malloc(strlen(a) + strlen(b) + 1);
	(void)strcat(strcpy(all, a), b);
	put_slowly(fd, all);
	put_fds(fd, end, &null, 1);
	(void)close(null);
	for (int i = 0; i < 5000 && !fake_pending("exec"); i++) {
		turn();
		(void)poll(NULL, 0, 1);
	}
	assert_int_equal(fake.count, 3);
	assert_string_equal(fake.calls[0].name, "create");
	assert_string_equal(fake.calls[1].name, "create");
	assert_true(fcntl(fake.exec_fds[0], F_GETFD) >= 0);
	fake_answer_all("{}");
	hang_up(fd);

	/* The client goes away meanwhile. */
	fd = client();
	put_slowly(fd, a);
	(void)close(fd);
	for (int i = 0; i < 5000 && h.server->conn_count + h.server->requests > 0; i++) {
		turn();
		(void)poll(NULL, 0, 1);
		if (fake_pending("create"))
			answer_pending("create", 0, "{}");
	}
	assert_int_equal(h.server->conn_count + h.server->requests, 0);
	free(a);
	free(b);
	free(all);
}

static void test_bad_messages(void **state)
{
	static const struct {
		const char *line, *answer;
	} cases[] = {
		{ "nonsense\n", "\"id\":null,\"error\":{\"code\":-32700" },
		{ "{\"a\":1\n", "-32700" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}\n", "-32700" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"version\"}\n", "-32700" },
		{ "[]\n", "-32600" },
		{ "3\n", "-32600" },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"version\"}\n", "/jsonrpc" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1}\n", "/method" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":3}\n", "/method" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"version\"}\n", "/id" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"version\"}\n", "/id" },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"version\"}\n", "/id" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\",\"more\":1}\n", "-32600" },
		{ CALL(1, "container.fly", "{}"), "\"id\":1,\"error\":{\"code\":-32601" },
		{ CALL(1, "container.start", "[]"), "-32602" },
		{ CALL(1, "container.start", "{}"), "\\\"container\\\" is missing" },
		{ CALL(1, "container.start", "{\"container\":3}"), "/params/container" },
		{ CALL(1, "container.start", "{\"container\":\"a\",\"x/y\":3}"), "/params/x~1y" },
		{ CALL(1, "container.stop", "{\"container\":\"a\",\"timeout_s\":\"9\"}"),
		  "/params/timeout_s" },
		{ CALL(1, "container.stop", "{\"container\":\"a\",\"timeout_s\":-1}"),
		  "/params/timeout_s" },
		{ CALL(1, "container.stop", "{\"container\":\"a\",\"timeout_s\":1e99}"),
		  "/params/timeout_s" },
		{ CALL(1, "container.kill", "{\"container\":\"a\",\"signal\":\"NO\"}"),
		  "/params/signal" },
		{ CALL(1, "container.kill", "{\"container\":\"a\",\"signal\":0}"),
		  "/params/signal" },
		{ CALL(1, "container.kill", "{\"container\":\"a\",\"signal\":[9]}"),
		  "/params/signal" },
		{ CALL(1, "container.wait", "{\"container\":\"a\",\"condition\":\"x\"}"),
		  "/params/condition" },
		{ CALL(1, "container.resize", "{\"container\":\"a\",\"height\":65536}"),
		  "/params/height" },
		{ CALL(1, "container.logs", "{\"container\":\"a\",\"tail\":-4}"), "/params/tail" },
		{ CALL(1, "container.list", "{\"all\":\"yes\"}"), "/params/all" },
		{ CALL(1, "exec.wait", "{\"container\":\"a\"}"), "\\\"exec\\\" is missing" },
		{ CALL(1, "verb.call", "{\"name\":\"v\",\"args\":[1]}"), "/params/args/0" },
		{ CALL(1, "container.exec", "{\"container\":\"a\",\"fds\":[\"stdin\"]}"),
		  "/params/fds" },
		{ CALL(1, "container.exec", "{\"container\":\"a\",\"fds\":[\"x\"]}"),
		  "/params/fds/0" },
		{ CALL(1, "container.exec", "{\"container\":\"a\",\"fds\":{}}"), "/params/fds" },
	};
	int fd = client();

	(void)state;
	for (size_t i = 0; i < COW_ELEMENTS(cases); i++) {
		put(fd, cases[i].line);
		assert_has(get(fd), cases[i].answer);
	}
	assert_int_equal(fake.count, 0);
	hang_up(fd);
}

static void test_id_in_use(void **state)
{
	int fd = client();

	(void)state;
	put(fd, CALL(5, "container.wait", "{\"container\":\"a\"}") CALL(5, "container.list", "{}"));
	assert_has(get(fd), "in use");
	answer_pending("wait", 0, "{}");
	assert_has(get(fd), "\"id\":5,\"result\":{}");
	put(fd, CALL(5, "container.list", "{}"));
	assert_has(get(fd), "\"id\":5,\"result\":[]");
	hang_up(fd);
}

static void test_too_many_in_flight(void **state)
{
	int fd = client();
	char line[128];

	(void)state;
	for (unsigned i = 0; i <= CONN_REQUESTS_MAX; i++) {
		(void)snprintf(line, sizeof(line),
			       "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":"
			       "\"container.wait\",\"params\":{\"container\":\"a\"}}\n",
			       i);
		put(fd, line);
	}
	assert_has(get(fd), "\"id\":1024,\"error\":{\"code\":-16");
	hang_up(fd);
	assert_int_equal(fake.waits_cancelled, CONN_REQUESTS_MAX);
}

static void test_client_goes_away(void **state)
{
	int fd = client();

	(void)state;
	put(fd, CALL(1, "container.wait", "{\"container\":\"a\"}") CALL(
			2, "exec.wait", "{\"container\":\"a\",\"exec\":1}")
			CALL(3, "container.stop", "{\"container\":\"a\"}") CALL(
				4, "events", "{}") CALL(5, "container.stats", "{\"stream\":true}")
				CALL(6, "container.logs", "{\"container\":\"a\",\"follow\":true}"));
	assert_int_equal(fake.subscriptions, 1);
	hang_up(fd);
	assert_int_equal(fake.waits_cancelled, 2);
	assert_int_equal(fake.subscriptions, 0);
	assert_int_equal(fake.follows_closed, 1);
	/* The operation went on; its answer finds nobody. */
	answer_pending("stop", 0, "{}");
	assert_null(fake_pending("wait"));
}

static void test_cancel(void **state)
{
	int fd = client();

	(void)state;
	put(fd, CALL(1, "container.wait", "{\"container\":\"a\"}") CALL(
			"s", "container.stop", "{\"container\":\"a\"}") CALL(3, "events", "{}"));
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":1}}\n");
	assert_has(get(fd), "\"id\":1,\"error\":{\"code\":-125");
	assert_int_equal(fake.waits_cancelled, 1);
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":\"s\"}}\n");
	assert_has(get(fd), "\"id\":\"s\",\"error\":{\"code\":-125");
	answer_pending("stop", 0, "{}");
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":3}}\n");
	assert_has(get(fd), "\"id\":3,\"error\":{\"code\":-125");
	assert_int_equal(fake.subscriptions, 0);
	/* Nothing to cancel is no error. */
	put(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":99}}\n"
		"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":[]}\n"
		"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\"}\n");
	assert_string_equal(get(fd), "");
	hang_up(fd);
}

static void test_fds_passed(void **state)
{
	int fd = client(), pipes[2], before;
	char c = 0;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	before = count_fds();
	put_fds(fd,
		CALL(1, "container.exec",
		     "{\"container\":\"a\",\"args\":[\"x\"],"
		     "\"fds\":[\"stderr\",\"stdin\"]}"),
		(int[]){ pipes[1], pipes[0] }, 2);
	assert_non_null(fake_pending("exec"));
	assert_int_equal(fake.exec_fds[1], -1);
	assert_int_equal(write(fake.exec_fds[2], "x", 1), 1);
	assert_int_equal(read(fake.exec_fds[0], &c, 1), 1);
	assert_true(fcntl(fake.exec_fds[0], F_GETFD) & FD_CLOEXEC);
	answer_pending("exec", 0, "");
	assert_has(get(fd), "{\"exec\":7,\"pid\":4711}");
	assert_int_equal(count_fds(), before);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	hang_up(fd);
}

/* Nobody asked for them: closed with the message they came with, or with the connection. */
static void test_fds_unused(void **state)
{
	int fd = client(), before = count_fds();
	int some[6] = { fd, fd, fd, fd, fd, fd };
	const char *text = CALL(1, "container.list", "{}");

	(void)state;
	put_fds(fd, text, some, 4);
	assert_has(get(fd), "\"result\":[]");
	assert_int_equal(count_fds(), before);

	/* With a message that does not name all that came. */
	put_fds(fd, CALL(1, "container.exec", "{\"container\":\"a\",\"fds\":[\"stdin\"]}"), some,
		4);
	assert_int_equal(count_fds(), before + 1);
	answer_pending("exec", -ENOENT, "container a: no such container");
	assert_has(get(fd), "\"code\":-2");
	assert_int_equal(count_fds(), before);

	/* More than four: the kernel drops the fifth, the rest is as above. */
	put_fds(fd, text, some, 6);
	assert_has(get(fd), "\"result\":[]");
	assert_int_equal(count_fds(), before);

	/* With the first byte of a message whose end never comes. */
	put_fds(fd, "{", some, 4);
	assert_int_equal(count_fds(), before + 4);
	put_fds(fd, "\"", some, 4);
	put_fds(fd, "a", some, 4);
	assert_has(get(fd), "more descriptors than messages");
	assert_string_equal(get(fd), "EOF");
	hang_up(fd);
	assert_int_equal(count_fds(), before - 2);
}

static void test_fds_of_a_bad_message(void **state)
{
	int fd = client(), before = count_fds();

	(void)state;
	put_fds(fd, "nonsense\n" CALL(1, "container.exec", "{\"container\":\"a\",\"fds\":[\"x\"]}"),
		(int[]){ fd, fd }, 2);
	assert_has(get(fd), "-32700");
	assert_int_equal(count_fds(), before);
	put(fd, CALL(1, "container.exec", "{\"container\":\"a\",\"fds\":[\"stdin\"]}"));
	assert_has(get(fd), "fewer descriptors");
	hang_up(fd);
}

/* A message with descriptors whose end arrives glued to the next one's. */
static void test_fds_of_split_messages(void **state)
{
	const char *text = CALL(1, "container.exec", "{\"container\":\"a\",\"fds\":[\"stdin\"]}");
	size_t half = strlen(text) / 2;
	int fd = client(), pipes[2];
	char first[256], c;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	(void)snprintf(first, sizeof(first), "%.*s", (int)half, text);
	put_fds(fd, first, &fd, 1);
	(void)snprintf(first, sizeof(first), "%s%s", text + half,
		       CALL(2, "container.exec", "{\"container\":\"b\",\"fds\":[\"stdin\"]}"));
	put_fds(fd, first, &pipes[0], 1);
	assert_string_equal(fake_pending("exec")->detail, "b");
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(fake.exec_fds[0], &c, 1), 1);
	fake_answer_all("{}");
	assert_has(get(fd), "\"id\":2");
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	hang_up(fd);
}

static void test_client_stops_reading(void **state)
{
	int fd = client(), other = client();
	char *event = malloc(1001);
	unsigned told = 0;

	(void)state;
	memset(event, ' ', 1000);
	memcpy(event, "{}", 2);
	event[1000] = 0;
	put(fd, CALL(1, "events", "{}"));
	while (fake.subscriptions > 0 && told++ < 10000) {
		fake.subscription->cb(fake.subscription->arg, "c1", event);
		turn();
	}
	/* The kernel's buffer and one MiB, no more. */
	assert_in_range(told, 1000, 1500);
	put(other, CALL(1, "container.list", "{}"));
	assert_has(get(other), "\"result\":[]");
	free(event);
	hang_up(fd);
	hang_up(other);
}

/* One answer may be longer than what may wait; it comes whole to a client that reads. */
static void test_long_answer(void **state)
{
	size_t len = 3u << 20, got = 0;
	char *list = malloc(len + 1);
	int fd = client();

	(void)state;
	memset(list, ' ', len);
	list[0] = '[';
	list[len - 1] = ']';
	list[len] = 0;
	fake.list = list;
	put(fd, CALL(1, "container.list", "{}"));
	while (got < len + strlen("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":}\n")) {
		size_t n = strlen(get(fd));

		assert_true(n > 0);
		got += n;
	}
	assert_string_equal(get(fd), "");
	free(list);
	hang_up(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_server, teardown_server)
	const struct CMUnitTest tests[] = {
		TEST(test_split_at_every_byte),
		TEST(test_many_in_one_write),
		TEST(test_too_long),
		TEST(test_almost_too_long),
		TEST(test_long_lines),
		TEST(test_bad_messages),
		TEST(test_id_in_use),
		TEST(test_too_many_in_flight),
		TEST(test_client_goes_away),
		TEST(test_cancel),
		TEST(test_fds_passed),
		TEST(test_fds_unused),
		TEST(test_fds_of_a_bad_message),
		TEST(test_fds_of_split_messages),
		TEST(test_client_stops_reading),
		TEST(test_long_answer),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
