/* SPDX-License-Identifier: MIT */
/*
 * Output and input: byte-exact through pump, log and followers; slow readers, rotation, a full
 * disk.
 */
#include "fake.h"

#include "engine/log.h"

#include <sys/resource.h>

#define TOTAL (24u << 20)

static unsigned char pattern(uint64_t i)
{
	return (unsigned char)(i * 2654435761u >> 13 ^ i);
}

static void start(const char *more)
{
	assert_int_equal(fake_create("a", more), 0);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
}

/* The container's end of its streams. */
static struct fake_system *system_a(void)
{
	return fake_system(container_by_id(fake.engine, "a")->system);
}

static void print(const char *text)
{
	assert_int_equal(write(system_a()->out, text, strlen(text)), strlen(text));
}

static void end(void)
{
	fake_exit(system_a()->handle, 0, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	fake_turn();
}

/* ---- a follower, and what it brought */

struct reader {
	int fd[2];
	struct cow_strbuf text[2];
	struct cow_follow *follow;
	bool done;
	int code;
};

static void reader_done(void *arg, int code)
{
	struct reader *r = arg;

	assert_false(r->done);
	r->done = true;
	r->code = code;
}

static void reader_open(struct reader *r, struct cow_follow_options options)
{
	int out[2], err[2];
	struct cow_error why = { 0 };

	memset(r, 0, sizeof(*r));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	r->fd[0] = out[0];
	r->fd[1] = err[0];
	assert_int_equal(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(err[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(cow_engine_follow(fake.engine, "a", &options, out[1], err[1], reader_done,
					   r, &r->follow, &why),
			 0);
}

static bool reader_read(struct reader *r)
{
	char buffer[65536];
	ssize_t n;

	for (int i = 0; i < 2; i++)
		while (r->fd[i] >= 0 && (n = read(r->fd[i], buffer, sizeof(buffer))) > 0)
			cow_strbuf_addn(&r->text[i], buffer, (size_t)n);
	return r->done;
}

static void reader_close(struct reader *r)
{
	for (int i = 0; i < 2; i++) {
		if (r->fd[i] >= 0)
			(void)close(r->fd[i]);
		r->fd[i] = -1;
		cow_strbuf_finish(&r->text[i]);
	}
}

#define ALL { .follow = true, .out = true, .err = true, .tail = -1 }

/* What `logs` with these options says. */
static void assert_logs(struct cow_follow_options options, const char *out, const char *err)
{
	struct reader r;

	reader_open(&r, options);
	fake_until(reader_read(&r));
	(void)reader_read(&r);
	assert_int_equal(r.code, 0);
	assert_string_equal(r.text[0].data ? r.text[0].data : "", out);
	assert_string_equal(r.text[1].data ? r.text[1].data : "", err);
	reader_close(&r);
}

static void small_output(void **state)
{
	struct reader r;

	(void)state;
	start("");
	reader_open(&r, (struct cow_follow_options)ALL);
	print("hello\n");
	assert_int_equal(write(system_a()->err, "oops\n", 5), 5);
	fake_until((reader_read(&r), r.text[0].len == 6 && r.text[1].len == 5));
	assert_false(r.done);
	end();
	fake_until(reader_read(&r));
	assert_int_equal(r.code, 0);
	assert_string_equal(r.text[0].data, "hello\n");
	assert_string_equal(r.text[1].data, "oops\n");
	reader_close(&r);
	/* And once more, of what has ended. */
	assert_logs((struct cow_follow_options)ALL, "hello\n", "oops\n");
	assert_logs((struct cow_follow_options){ .out = true, .tail = -1 }, "hello\n", "");
}

static void attached_before_start(void **state)
{
	struct reader r;

	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	reader_open(&r, (struct cow_follow_options){ .follow = true, .out = true, .err = true });
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	print("first\n");
	end();
	fake_until(reader_read(&r));
	assert_string_equal(r.text[0].data, "first\n");
	reader_close(&r);
	/* The next life, without the first one's output. */
	reader_open(&r, (struct cow_follow_options){ .follow = true, .out = true, .err = true,
						     .await_start = true });
	fake_turn();
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	print("second\n");
	end();
	fake_until(reader_read(&r));
	assert_string_equal(r.text[0].data, "second\n");
	reader_close(&r);
}

/* Whoever comes between the request and the start does not wait for yet another life. */
static void attached_while_starting(void **state)
{
	struct reader r;
	uint32_t before;

	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	before = fake.replies;
	cow_engine_container_start(fake.engine, "a", fake_cb, NULL);
	assert_int_equal(fake.replies, before);
	reader_open(&r, (struct cow_follow_options){ .follow = true, .out = true, .err = true,
						     .await_start = true });
	fake_turn();
	assert_int_equal(fake_replied(before), 0);
	print("first\n");
	end();
	fake_until(reader_read(&r));
	assert_string_equal(r.text[0].data, "first\n");
	reader_close(&r);
}

/* The writer goes its own pace whatever the reader does; the reader gets every byte in the end. */
static void big_output_slow_reader(void **state)
{
	struct reader r;
	uint64_t written = 0;
	char buffer[65536];

	(void)state;
	start("\"log\":{\"max_bytes\":0}");
	reader_open(&r, (struct cow_follow_options)ALL);
	(void)fcntl(system_a()->out, F_SETFL, O_NONBLOCK);
	while (written < TOTAL) { /* nobody reads from r meanwhile */
		size_t n = TOTAL - written < sizeof(buffer) ? TOTAL - written : sizeof(buffer);
		ssize_t put;

		for (size_t i = 0; i < n; i++)
			buffer[i] = (char)pattern(written + i);
		put = write(system_a()->out, buffer, n);
		if (put > 0)
			written += (uint64_t)put;
		else
			fake_until(write(system_a()->out, buffer, 1) == 1 ? ++written : false);
	}
	end();
	assert_false(r.done);
	fake_until(reader_read(&r));
	(void)reader_read(&r);
	assert_int_equal(r.text[0].len, TOTAL);
	for (uint64_t i = 0; i < TOTAL; i++)
		if ((unsigned char)r.text[0].data[i] != pattern(i))
			fail_msg("byte %llu differs", (unsigned long long)i);
	reader_close(&r);
}

static void reader_leaves(void **state)
{
	struct reader r, idle, closed;

	(void)state;
	start("");
	reader_open(&r, (struct cow_follow_options)ALL);
	reader_open(&idle, (struct cow_follow_options)ALL);
	reader_open(&closed, (struct cow_follow_options)ALL);
	fake_turn();
	cow_follow_close(closed.follow);
	reader_close(&closed);
	reader_close(&idle); /* seen without any output */
	fake_until(idle.done);
	assert_int_equal(idle.code, -EPIPE);
	(void)close(r.fd[0]);
	r.fd[0] = -1;
	print("nobody reads this\n");
	assert_int_equal(write(system_a()->err, "but this\n", 9), 9);
	end();
	fake_until(reader_read(&r));
	assert_string_equal(r.text[1].data, "but this\n");
	assert_false(closed.done);
	reader_close(&r);
}

static void tails(void **state)
{
	(void)state;
	start("");
	print("one\ntwo\n");
	fake_until(container_by_id(fake.engine, "a")->log->size > 0);
	print("three\nfo");
	fake_turn();
	print("ur\nfive");
	end();
	assert_logs((struct cow_follow_options){ .out = true, .err = true, .tail = 2 },
		    "four\nfive", "");
	assert_logs((struct cow_follow_options){ .out = true, .err = true, .tail = 1 }, "five", "");
	assert_logs((struct cow_follow_options){ .out = true, .err = true, .tail = 99 },
		    "one\ntwo\nthree\nfour\nfive", "");
	assert_logs((struct cow_follow_options){ .out = true, .err = true, .tail = 0 }, "", "");
	assert_logs(
		(struct cow_follow_options){ .out = true, .err = true, .tail = -1, .until_ns = 1 },
		"", "");
	assert_logs((struct cow_follow_options){ .out = true, .err = true, .tail = -1,
						 .since_ns = UINT64_MAX }, "", "");
}

static void timestamps(void **state)
{
	struct reader r;

	(void)state;
	start("");
	print("one\ntwo\n");
	end();
	reader_open(&r, (struct cow_follow_options){
				.out = true, .err = true, .tail = -1, .timestamps = true });
	fake_until(reader_read(&r));
	(void)reader_read(&r);
	assert_int_equal(r.text[0].len, 2 * (31 + 4));
	assert_memory_equal(r.text[0].data + 29, "Z one\n", 6);
	assert_memory_equal(r.text[0].data + 35 + 29, "Z two\n", 6);
	reader_close(&r);
}

static void rotation(void **state)
{
	char line[101], path[200];
	struct reader r;
	struct stat st;

	(void)state;
	start("\"log\":{\"max_bytes\":4096,\"files\":2}");
	for (int i = 0; i < 200; i++) {
		uint64_t before = container_by_id(fake.engine, "a")->log ?
					  container_by_id(fake.engine, "a")->log->size : 0;

		(void)snprintf(line, sizeof(line), "%099d\n", i);
		print(line);
		fake_until(container_by_id(fake.engine, "a")->log->size != before);
	}
	end();
	(void)snprintf(path, sizeof(path), "%s/containers/a/log.1", fake.state);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= 4096);
	(void)snprintf(path, sizeof(path), "%s/containers/a/log.2", fake.state);
	assert_int_not_equal(stat(path, &st), 0);
	/* What is left is the newest, whole, in order. */
	reader_open(&r, (struct cow_follow_options)ALL);
	fake_until(reader_read(&r));
	(void)reader_read(&r);
	assert_true(r.text[0].len >= 4000 && r.text[0].len % 100 == 0);
	for (size_t i = 0; i < r.text[0].len / 100; i++)
		assert_int_equal(strtol(r.text[0].data + i * 100, NULL, 10),
				 200 - (long)(r.text[0].len / 100) + (long)i);
	reader_close(&r);
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
}

/* A log that cannot be written never holds the container up. */
static void disk_full(void **state)
{
	static const struct log_frame fake_chunk = { .stream = 1 };
	struct rlimit old, small = { .rlim_cur = 8192 };
	char buffer[65536] = "";
	size_t sent = 0;
	struct reader r;

	(void)state;
	start("\"log\":{\"max_bytes\":0}");
	(void)getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	/* Were half a chunk left in the file, a reader would take this for chunks. */
	for (size_t i = 0; i + sizeof(fake_chunk) <= sizeof(buffer); i += sizeof(fake_chunk))
		memcpy(buffer + i, &fake_chunk, sizeof(fake_chunk));
	print("kept\n");
	fake_until(container_by_id(fake.engine, "a")->log->size > 0);
	(void)fcntl(system_a()->out, F_SETFL, O_NONBLOCK);
	while (sent < 1u << 20) {
		ssize_t n = write(system_a()->out, buffer, sizeof(buffer));

		if (n > 0)
			sent += (size_t)n;
		else
			fake_turn();
	}
	/* A small piece may still have found room. */
	fake_until(log_dropped(container_by_id(fake.engine, "a")) > sent - small.rlim_cur);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	print("again\n");
	end();
	reader_open(&r, (struct cow_follow_options)ALL);
	fake_until(reader_read(&r));
	(void)reader_read(&r);
	assert_memory_equal(r.text[0].data, "kept\n", 5);
	assert_memory_equal(r.text[0].data + r.text[0].len - 6, "again\n", 6);
	assert_int_equal(r.text[0].len + log_dropped(container_by_id(fake.engine, "a")), sent + 11);
	reader_close(&r);
}

/* A grandchild keeps the pipe: two seconds, then the end is told. */
static void drain_deadline(void **state)
{
	int kept;

	(void)state;
	start("");
	kept = fcntl(system_a()->out, F_DUPFD_CLOEXEC, 3);
	print("last words\n");
	fake_exit(1, 0, 0);
	fake_turn();
	assert_string_equal(fake_state("a"), "draining");
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 1);
	fake_until(container_by_id(fake.engine, "a")->log->size > 0);
	fake_advance(2000);
	assert_string_equal(fake_state("a"), "stopped");
	assert_int_equal(fake.reply_code, 0);
	(void)close(kept);
	assert_logs((struct cow_follow_options)ALL, "last words\n", "");
}

static void input(void **state)
{
	char buffer[64] = "";
	int fds[2], again[2];
	struct cow_error err = { 0 };
	ssize_t n = 0;

	(void)state;
	start("\"open_stdin\":true");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pipe2(again, O_CLOEXEC), 0);
	assert_int_equal(cow_engine_attach_stdin(fake.engine, "a", fds[0], &err), 0);
	assert_int_equal(cow_engine_attach_stdin(fake.engine, "a", again[0], &err), -EBUSY);
	(void)close(again[1]);
	assert_int_equal(write(fds[1], "typed", 5), 5);
	(void)fcntl(system_a()->in, F_SETFL, O_NONBLOCK);
	fake_until((n = read(system_a()->in, buffer, sizeof(buffer))) > 0);
	assert_int_equal(n, 5);
	assert_memory_equal(buffer, "typed", 5);
	(void)close(fds[1]);
	fake_until(read(system_a()->in, buffer, sizeof(buffer)) == 0); /* its end is passed on */
	end();
}

/*
 * The container does not read: the sender waits, nothing is lost, and an end in between is no
 * trouble.
 */
static void input_blocked(void **state)
{
	char buffer[65536] = "";
	size_t sent = 0, got = 0;
	int fds[2];
	ssize_t n;

	(void)state;
	start("\"open_stdin\":true");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(cow_engine_attach_stdin(fake.engine, "a", fds[0], NULL), 0);
	(void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(system_a()->in, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 64; i++) {
		n = write(fds[1], buffer, 4096);
		sent += n > 0 ? (size_t)n : 0;
		fake_turn();
	}
	assert_true(sent < 64 * 4096);
	fake_until((n = read(system_a()->in, buffer, sizeof(buffer)), got += n > 0 ? (size_t)n : 0,
		    got == sent));
	(void)write(fds[1], buffer, 4096);
	fake_exit(1, 0, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	(void)close(fds[1]);
}

static void no_input(void **state)
{
	int fds[2];
	struct cow_error err = { 0 };

	(void)state;
	start("");
	assert_int_equal(system_a()->in, -1);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(cow_engine_attach_stdin(fake.engine, "a", fds[0], &err), -ENXIO);
	(void)close(fds[1]);
	end();
}

static void terminal(void **state)
{
	(void)state;
	fake.master = true;
	assert_int_equal(fake_create("a", "\"terminal\":true"), 0);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	print("to the terminal\r\n");
	end();
	assert_logs((struct cow_follow_options)ALL, "to the terminal\r\n", "");
}

/* A predecessor died inside a write. */
static void torn_log(void **state)
{
	char path[200];
	int fd;

	(void)state;
	start("");
	print("whole\n");
	end();
	(void)snprintf(path, sizeof(path), "%s/containers/a/log", fake.state);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "\100\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0half", 20), 20);
	(void)close(fd);
	assert_logs((struct cow_follow_options)ALL, "whole\n", "");
	log_rest(container_by_id(fake.engine, "a")->log);
	container_by_id(fake.engine, "a")->log->size = 0;
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	print("again\n");
	end();
	assert_logs((struct cow_follow_options)ALL, "whole\nagain\n", "");
}

static void deleted_under_readers(void **state)
{
	struct reader r;

	(void)state;
	start("");
	print("x\n");
	reader_open(&r, (struct cow_follow_options)ALL);
	(void)FAKE_VERB(delete, "a", true);
	fake_until(reader_read(&r));
	(void)reader_read(&r);
	reader_close(&r);
	fake_until(!container_by_id(fake.engine, "a"));
	assert_nothing("a");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_output),
		TEST(attached_before_start), TEST(attached_while_starting),
		TEST(big_output_slow_reader),
		TEST(reader_leaves),
		TEST(tails),
		TEST(timestamps),
		TEST(rotation),
		TEST(disk_full),
		TEST(drain_deadline),
		TEST(input),
		TEST(input_blocked),
		TEST(no_input),
		TEST(terminal),
		TEST(torn_log),
		TEST(deleted_under_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
