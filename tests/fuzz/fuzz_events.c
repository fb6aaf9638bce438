/* SPDX-License-Identifier: MIT */
/*
 * What may happen to containers, in any order: verbs, answers early, late, never or with an error,
 * ends of processes, deadlines, and new supervisors.  Never two lives of one container at a time,
 * never a second answer; and once everything obeys again, every caller has been answered and
 * nothing is held.
 *
 * The input is a row of commands, a letter and what it is about (see command()); containers are 0,
 * 1 and 2.
 */
#include "tests/unit/engine/fake.h"

#include "base/log.h"

#include <stdlib.h>

#define IDS 3u
#define CALLS 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const ids[IDS] = { "a", "b", "c" };

static struct {
	uint32_t answered[CALLS]; /* how often */
	unsigned calls,
		forgotten; /* those before the last death of a supervisor wait for nothing */
	uint64_t wait, exec;
	uint32_t *waiting; /* whose wait is */
} f;

static uint32_t *caller(void)
{
	assert_true(f.calls < CALLS);
	return &f.answered[f.calls++];
}

static void exec_cb(void *arg, const struct cow_error *err, uint64_t exec, int64_t pid, int fd)
{
	(void)pid;
	++*(uint32_t *)arg;
	if (!err)
		f.exec = exec;
	if (fd >= 0)
		(void)close(fd);
}

static void create(const char *id, unsigned kind)
{
	static const char *const more[] = {
		"",
		",\"restart\":\"always\"",
		",\"keep_on_failure\":true",
		",\"auto_remove\":true",
		",\"restart\":\"on-failure:2\",\"stop_timeout_s\":0.5",
		",\"health\":{\"test\":[\"x\"],\"interval_s\":1,\"on_unhealthy\":\"restart\"}",
	};
	_cleanup_free_ char *text = NULL;
	struct json_object *params;

	text = cow_asprintf(
		"{\"id\":\"%s\",\"spec\":{\"process\":{\"args\":[\"/x\"],\"cwd\":\"/\"},"
		"\"root\":{\"path\":\"/nowhere\"}}%s}",
		id, more[kind % COW_ELEMENTS(more)]);
	assert_non_null(text);
	params = json_tokener_parse(text);
	assert_non_null(params);
	cow_engine_container_create(fake.engine, params, fake_cb, caller());
	json_object_put(params);
}

static void exec(const char *id)
{
	struct json_object *params = json_tokener_parse("{\"args\":[\"x\"]}");

	assert_non_null(params);
	cow_engine_exec(fake.engine, id, params, -1, -1, -1, exec_cb, caller());
	json_object_put(params);
}

static void reads(const char *id)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct json_object *value;

	assert_int_equal(cow_engine_list(fake.engine, true, &b), 0);
	value = json_tokener_parse(b.data);
	assert_non_null(value);
	json_object_put(value);
	cow_strbuf_finish(&b);
	b = (struct cow_strbuf)COW_STRBUF_INIT;
	(void)cow_engine_inspect(fake.engine, id, &b, NULL);
	cow_engine_container_stats(fake.engine, id, fake_cb, caller());
}

/* The supervisor is killed, and the next one begins. */
static void reborn(void)
{
	cow_engine_destroy(fake.engine);
	while (uv_run(&fake.loop, UV_RUN_NOWAIT))
		;
	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		if (fake.systems[i].used)
			fake_system_streams(&fake.systems[i]);
	fake.pending_count = 0;
	f.forgotten = f.calls;
	f.wait = 0;
	fake_engine_open();
	cow_engine_recover(fake.engine, fake_cb, caller());
}

/* A backend tells of no end before it has handed the system over. */
static bool handed_over(const struct fake_system *s)
{
	for (uint32_t i = 0; i < fake.pending_count; i++)
		if (fake.pending[i].op == OP_CREATE && fake.pending[i].system == s->handle)
			return false;
	return true;
}

static void ended(const char *id, int code)
{
	struct fake_system *s = fake_system_of(id);

	if (s && handed_over(s))
		fake_exit(s->handle, code & 0x7f, 0);
}

/* Verbs; true: the letter is one. */
static bool verb(char letter, const char *id, unsigned n)
{
	struct cow_engine *e = fake.engine;

	switch (letter) {
	case 'c':
		create(id, n);
		return true;
	case 's':
		cow_engine_container_start(e, id, fake_cb, caller());
		return true;
	case 't':
		cow_engine_container_stop(e, id, (int64_t)n * 500 - 500, 0, fake_cb, caller());
		return true;
	case 'k':
		cow_engine_container_kill(e, id, n ? 15 : 9, n > 1, fake_cb, caller());
		return true;
	case 'd':
		cow_engine_container_delete(e, id, n != 0, fake_cb, caller());
		return true;
	case 'p':
		cow_engine_container_pause(e, id, fake_cb, caller());
		return true;
	case 'r':
		cow_engine_container_resume(e, id, fake_cb, caller());
		return true;
	case 'R':
		cow_engine_container_restart(e, id, 1000, fake_cb, caller());
		return true;
	case 'f':
		cow_engine_container_release(e, id, fake_cb, caller());
		return true;
	case 'w':
		f.waiting = caller();
		cow_engine_container_wait(e, id, (enum cow_wait)(n % 4), fake_cb, f.waiting,
					  &f.wait);
		return true;
	default:
		return false;
	}
}

static bool other_verb(char letter, const char *id)
{
	struct cow_engine *e = fake.engine;
	uint64_t wait;

	switch (letter) {
	case 'x':
		exec(id);
		return true;
	case 'X':
		cow_engine_exec_kill(e, id, f.exec, 9, fake_cb, caller());
		return true;
	case 'W':
		cow_engine_exec_wait(e, id, f.exec, fake_cb, caller(), &wait);
		return true;
	case 'l':
		reads(id);
		return true;
	default:
		return false;
	}
}

/* The last that waits does not any more: it is as good as answered, and an answer would be one too
 * many. */
static void give_up(void)
{
	if (!f.wait || *f.waiting)
		return;
	cow_engine_wait_cancel(fake.engine, f.wait);
	++*f.waiting;
}

/* What is not asked for: n is an operation, a code, or a time. */
static void event(char letter, const char *id, unsigned n)
{
	static const uint32_t times_ms[] = { 1, 100, 1000, 6000, 15000, 61000 };
	enum fake_op op = n % OP_COUNT;

	switch (letter) {
	case 'E':
		ended(id, (int)n);
		break;
	case 'D': /* doubled, late, or about nobody */
		fake.events->exited(fake.events_arg, "fake", n, n % 3,
				    &(struct cowherd_exit){ .size = sizeof(struct cowherd_exit) });
		break;
	case 'A':
		(void)fake_answer(op);
		break;
	case 'Q': /* its manner from now on: the next one */
		if (op != OP_ADOPT)
			fake.how[op] = (fake.how[op] + 1) % (NEVER + 1);
		break;
	case 'F': /* from now on it fails, or works again: what was done by the old rule is told by
		     it */
		while (fake_answer(op))
			;
		if (op != OP_ADOPT)
			fake.code[op] = fake.code[op] ? 0 : -EIO;
		break;
	case 'T':
		fake_advance(times_ms[n % COW_ELEMENTS(times_ms)]);
		break;
	case 'O':
		fake.shutdown_ends ^= (n & 1) != 0;
		fake.terminate_ends ^= (n & 2) != 0;
		fake.fail_after_taking ^= (n & 4) != 0;
		break;
	case 'C':
		give_up();
		break;
	case 'K':
		reborn();
		break;
	default:
		break;
	}
}

/* Room in the fake's books for whatever one command may bring. */
static bool has_room(void)
{
	unsigned used = 0;

	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		used += fake.systems[i].used;
	while (fake.pending_count > 32)
		(void)fake_answer(fake.pending[0].op);
	return used < 32 && fake_held() < 128 && f.calls < CALLS - 16;
}

static void invariants(void)
{
	assert_true(fake.live_max <= 1);
	for (unsigned i = 0; i < f.calls; i++)
		assert_true(f.answered[i] <= 1);
}

/* Each command is a letter, a container and a number: "c00", "E07"; a byte that begins none is
 * passed over. */
static void run(const uint8_t *data, size_t size)
{
	while (size >= 3 && has_room()) {
		const char *id = ids[data[1] % IDS];
		unsigned n = data[2] >= '0' ? data[2] - '0' : data[2];
		char letter = (char)data[0];

		if (!verb(letter, id, n) && !other_verb(letter, id))
			event(letter, id, n);
		fake_turn();
		invariants();
		data += 3;
		size -= 3;
	}
}

static void obey(void)
{
	while (fake.pending_count > 0)
		(void)fake_answer(fake.pending[0].op);
	memset(fake.how, 0, sizeof(fake.how));
	memset(fake.code, 0, sizeof(fake.code));
	fake.fail_after_taking = false;
	fake.shutdown_ends = fake.terminate_ends = true;
	fake_turn();
}

static bool all_answered(void)
{
	for (unsigned i = f.forgotten; i < f.calls; i++)
		if (!f.answered[i])
			return false;
	return true;
}

/* All obey, every deadline passes, everything is deleted. */
static void settle(void)
{
	obey();
	fake_advance(120000);
	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		if (fake.systems[i].used)
			fake_exit(fake.systems[i].handle, 0, 0);
	fake_advance(120000);
	for (unsigned i = 0; i < IDS; i++) {
		if (!container_by_id(fake.engine, ids[i]))
			continue;
		cow_engine_container_delete(fake.engine, ids[i], true, fake_cb, caller());
		fake_advance(60000);
		fake_until(!container_by_id(fake.engine, ids[i]));
	}
	fake_until(all_answered());
	invariants();
	for (unsigned i = 0; i < IDS; i++)
		assert_nothing(ids[i]);
	assert_int_equal(fake_held(), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)setenv("CMOCKA_TEST_ABORT", "1", 1);
	cow_log_setup(STDERR_FILENO, COW_LOG_ERROR, false);
	memset(&f, 0, sizeof(f));
	(void)fake_setup(NULL);
	run(data, size);
	settle();
	(void)fake_teardown(NULL);
	return 0;
}
