/* SPDX-License-Identifier: MIT */
/* A new supervisor: what lives is adopted, the rest is released; whatever a record looks like. */
#include "fake.h"

static void dies(void)
{
	cow_engine_destroy(fake.engine);
	while (uv_run(&fake.loop, UV_RUN_NOWAIT))
		;
	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		if (fake.systems[i].used)
			fake_system_streams(&fake.systems[i]);
	fake.pending_count = 0;
}

static void begins(void)
{
	uint32_t before = fake.replies;

	fake_engine_open();
	cow_engine_recover(fake.engine, fake_cb, NULL);
	assert_int_equal(fake.replies, before);
	fake_turn();
}

/* The supervisor dies; another one begins. */
static void reborn(void)
{
	dies();
	begins();
}

static void running(const char *id, const char *more)
{
	assert_int_equal(fake_create(id, more), 0);
	assert_int_equal(FAKE_VERB(start, id), 0);
}

static struct fake_system *only_system(void)
{
	struct fake_system *found = NULL;

	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++) {
		if (!fake.systems[i].used || fake.systems[i].ended)
			continue;
		assert_null(found);
		found = &fake.systems[i];
	}
	return found;
}

static void deleted(const char *id)
{
	(void)FAKE_VERB(delete, id, true);
	fake_until(!container_by_id(fake.engine, id));
	fake_turn();
	assert_nothing(id);
}

static void nothing_there(void **state)
{
	(void)state;
	reborn();
	assert_int_equal(fake.reply_code, 0);
	assert_string_equal(fake.reply_result,
			    "{\"adopted\":0,\"lost\":0,\"released\":0,\"broken\":0}");
}

static void adopted(void **state)
{
	(void)state;
	running("a", "\"name\":\"web\",\"labels\":{\"k\":\"v\"},\"stop_signal\":\"INT\"");
	reborn();
	assert_string_equal(fake_state("a"), "running");
	assert_non_null(strstr(fake.reply_result, "\"adopted\":1"));
	assert_int_equal(fake.calls[OP_CREATE], 1);
	assert_int_equal(fake_held(), 3);
	assert_string_equal(container_by_name(fake.engine, "web")->def->labels, "{\"k\":\"v\"}");
	assert_string_equal(container_by_id(fake.engine, "a")->def->args, "[\"/bin/x\"]");
	fake_exit(only_system()->handle, 5, 0);
	fake_turn();
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":5"));
	assert_int_equal(FAKE_VERB(start, "a"), 0); /* everything is taken anew */
	assert_int_equal(fake_held(), 3);
	assert_int_equal(fake.live_max, 1);
	(void)FAKE_VERB(stop, "a", -1, 0);
	assert_int_equal(fake.last_signal, SIGINT);
	deleted("a");
}

/* The directories are this supervisor's alone: there is nobody else to take up another owner's. */
static void of_another_owner(void **state)
{
	(void)state;
	running("a", "\"owner\":\"somebody\"");
	reborn();
	assert_non_null(strstr(fake.reply_result, "\"adopted\":1"));
	assert_string_equal(fake_state("a"), "running");
	assert_string_equal(container_by_id(fake.engine, "a")->def->owner, "somebody");
	assert_int_equal(fake.calls[OP_CREATE], 1);
	deleted("a");
}

static void lost(void **state)
{
	(void)state;
	running("a", "");
	fake.adopt_alive = false;
	reborn();
	assert_string_equal(fake_state("a"), "stopped");
	assert_non_null(strstr(fake.reply_result, "\"lost\":1"));
	assert_int_equal(fake_held(), 1); /* what is durable */
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":null"));
	assert_non_null(strstr(fake.reply_result, "\"reason\":\"supervisor was not there\""));
	reborn(); /* told once, remembered */
	assert_non_null(strstr(fake.reply_result, "\"lost\":0"));
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	deleted("a");
}

/* After a reboot /run is empty. */
static void host_went_down(void **state)
{
	char path[200];

	(void)state;
	running("a", "");
	(void)FAKE_VERB(stop, "a", -1, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	running("b", "\"restart\":\"always\"");
	dies();
	/* Another boot: nothing is in the volatile directory. */
	(void)snprintf(path, sizeof(path), "%s/containers", fake.run);
	assert_int_equal(cow_fs_remove_tree(path), 0);
	memset(fake.systems, 0, sizeof(fake.systems));
	memset(fake.taken, 0, sizeof(fake.taken));
	begins();
	assert_string_equal(fake_state("a"), "stopped");
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":143"));
	fake_advance(1000);
	assert_string_equal(fake_state("b"), "running"); /* as its policy says */
	deleted("a");
	deleted("b");
}

static void created_only(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	fake.adopt_alive = false; /* what waits at its gate ends with the supervisor */
	reborn();
	assert_string_equal(fake_state("a"), "created");
	assert_int_equal(fake_held(), 1);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	assert_int_equal(fake_held(), 3);
	deleted("a");
}

static void not_sure(void **state)
{
	(void)state;
	running("a", "\"restart\":\"always\"");
	fake.code[OP_ADOPT] = -EIO;
	reborn();
	assert_string_equal(fake_state("a"), "unknown");
	assert_int_equal(FAKE_VERB(start, "a"), -EINVAL);
	fake_advance(100000);
	assert_int_equal(fake.calls[OP_CREATE], 1);
	/* Told to end by its record alone. */
	fake.code[OP_RELEASE] = -EBUSY;
	assert_int_equal(FAKE_VERB(delete, "a", true) < 0, true);
	assert_string_equal(fake_state("a"), "unknown");
	fake.code[OP_RELEASE] = 0;
	deleted("a");
}

static void never_answers(void **state)
{
	(void)state;
	running("a", "");
	assert_int_equal(fake_create("b", ""), 0);
	fake.how[OP_ADOPT] = NEVER;
	reborn();
	assert_string_equal(fake_state("a"), "recovering");
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 1);
	fake_advance(5000);
	assert_string_equal(fake_state("a"), "unknown");
	fake.how[OP_ADOPT] = BY_RETURN;
	deleted("a");
	(void)FAKE_VERB(delete, "b", true);
	fake_advance(20000);
}

static void paused(void **state)
{
	(void)state;
	running("a", "");
	assert_int_equal(FAKE_VERB(pause, "a"), 0);
	reborn();
	assert_string_equal(fake_state("a"), "paused");
	assert_int_equal(FAKE_VERB(resume, "a"), 0);
	reborn();
	assert_string_equal(fake_state("a"), "running");
	deleted("a");
}

static void policies(void **state)
{
	(void)state;
	running("always", "\"restart\":\"always\"");
	running("unless", "\"restart\":\"unless-stopped\"");
	running("user", "\"restart\":\"unless-stopped\"");
	running("no", "");
	running("rm", "\"auto_remove\":true");
	(void)FAKE_VERB(stop, "user", -1, 0);
	fake_until(strcmp(fake_state("user"), "stopped") == 0);
	fake.adopt_alive = false;
	reborn();
	fake_advance(1000);
	assert_string_equal(fake_state("always"), "running");
	assert_string_equal(fake_state("unless"), "running");
	assert_string_equal(fake_state("user"), "stopped");
	assert_string_equal(fake_state("no"), "stopped");
	assert_null(container_by_id(fake.engine, "rm"));
	deleted("always");
	deleted("unless");
}

/* Dead in the middle of a create, at every step: the caller never got an answer, so nothing stays.
 */
static void half_created(void **state)
{
	static const enum fake_op steps[] = { OP_ACQUIRE, OP_ACQUIRE + 1, OP_CREATE };

	(void)state;
	for (size_t k = 0; k < COW_ELEMENTS(steps); k++) {
		char from[200], to[200];

		fake_script();
		fake.how[steps[k]] = NEVER;
		assert_int_equal(fake_create("a", ""), 1);
		assert_true(fake_held() > 0);
		/* A copy of what is on disk at this moment, under a name of its own. */
		for (int i = 0; i < 2; i++) {
			char command[500];
			const char *root = i ? fake.state : fake.run;

			(void)snprintf(from, sizeof(from), "%s/containers/a", root);
			(void)snprintf(to, sizeof(to), "%s/copy", root);
			(void)snprintf(command, sizeof(command), "cp -r %s %s", from, to);
			assert_int_equal(system(command), 0);
		}
		fake_advance(20000); /* the first supervisor gives up */
		assert_null(container_by_id(fake.engine, "a"));
		fake_script();
		cow_engine_destroy(fake.engine);
		for (int i = 0; i < 2; i++) {
			const char *root = i ? fake.state : fake.run;

			(void)snprintf(from, sizeof(from), "%s/copy", root);
			(void)snprintf(to, sizeof(to), "%s/containers/a", root);
			assert_int_equal(rename(from, to), 0);
		}
		fake_take("alloc0", "a"); /* ... while the second finds it still there */
		if (k >= 1)
			fake_take("alloc1", "a");
		fake_engine_open();
		cow_engine_recover(fake.engine, fake_cb, NULL);
		fake_turn();
		assert_nothing("a");
	}
}

static void half_deleted(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	fake.code[OP_GIVE] = -EBUSY; /* it gets as far as the last resource */
	assert_int_equal(FAKE_VERB(delete, "a", false), -EBUSY);
	reborn();
	assert_string_equal(fake_state("a"), "dead"); /* still held: shown, not hidden */
	fake.code[OP_GIVE] = 0;
	reborn();
	assert_nothing("a");
}

static void cut(const char *path, const char *text, size_t len)
{
	assert_int_equal(cow_fs_write_atomic(path, text, len, 0600, 0), 0);
}

static void kept_pieces(void **state)
{
	(void)state;
	fake.code[OP_CREATE] = -EIO;
	assert_int_equal(fake_create("a", "\"keep_on_failure\":true"), -EIO);
	fake.code[OP_CREATE] = 0;
	reborn();
	assert_string_equal(fake_state("a"), "failed");
	assert_int_equal(fake_held(), 2);
	deleted("a");
}

/* A create that failed and could not be undone: the next supervisor still knows what is held. */
static void undo_failed(void **state)
{
	(void)state;
	fake.code[OP_CREATE] = -EIO;
	fake.code[OP_GIVE] = -EBUSY;
	assert_int_equal(fake_create("a", ""), -EIO);
	fake_script();
	reborn();
	assert_string_equal(fake_state("a"), "failed");
	assert_int_equal(fake_held(), 1);
	assert_int_equal(FAKE_VERB(release, "a"), 0);
	assert_int_equal(fake_held(), 0);
	deleted("a");
}

static void damaged_record(void **state)
{
	char path[200], *text;
	size_t len;

	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	(void)snprintf(path, sizeof(path), "%s/containers/a/record", fake.state);
	assert_int_equal(cow_fs_read(path, 1 << 20, &text, &len), 0);
	*strstr(text, "/bin/x") = '!';
	dies();
	cut(path, text, len);
	begins();
	free(text);
	assert_string_equal(fake_state("a"), "dead");
	assert_non_null(strstr(container_by_id(fake.engine, "a")->error->message, "checksum"));
	deleted("a");
}

static void orphan_directories(void **state)
{
	char path[200];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/containers/x/y/z", fake.run);
	assert_int_equal(cow_fs_mkdirs(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/containers/v/y", fake.state);
	assert_int_equal(cow_fs_mkdirs(path, 0700), 0);
	reborn();
	assert_nothing("x");
	assert_nothing("v");
}

/* The record cut off at every byte: one container is concerned, and it can always be deleted. */
static void torn_records(void **state)
{
	char path[200], *text;
	size_t len, definition;

	(void)state;
	running("a", "");
	assert_int_equal(fake_create("b", ""), 0);
	(void)snprintf(path, sizeof(path), "%s/containers/a/record", fake.state);
	assert_int_equal(cow_fs_read(path, 1 << 20, &text, &len), 0);
	definition = (size_t)(strstr(text, "\ncowherd-state") - text);
	for (size_t n = 0; n < len; n++) {
		dies();
		cut(path, text, n);
		begins();
		assert_int_equal(fake.reply_code, 0);
		assert_string_equal(fake_state("a"), n < definition ? "dead" : "running");
		assert_int_equal(FAKE_VERB(start, "a"), n < definition ? -EINVAL : 0);
		assert_non_null(container_by_id(fake.engine, "b"));
	}
	free(text);
	deleted("a");
}

/* States are appended; in the end the file is written anew. */
static void long_lives(void **state)
{
	char path[200];
	struct stat st;

	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	(void)snprintf(path, sizeof(path), "%s/containers/a/record", fake.state);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(FAKE_VERB(start, "a"), 0);
		fake_exit(only_system()->handle, i, 0);
		fake_until(strcmp(fake_state("a"), "stopped") == 0);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size < 24000);
	}
	reborn();
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":99"));
	deleted("a");
}

/* The ledger, too: what it still says is released, and never is there a second copy. */
static void torn_ledgers(void **state)
{
	char path[200], *text;
	size_t len;

	(void)state;
	running("a", "");
	(void)snprintf(path, sizeof(path), "%s/containers/a/ledger", fake.run);
	assert_int_equal(cow_fs_read(path, 1 << 20, &text, &len), 0);
	for (size_t n = len; n-- > 0;) {
		dies();
		cut(path, text, n);
		begins();
		assert_int_equal(fake.reply_code, 0);
		assert_true(strcmp(fake_state("a"), "running") == 0 ||
			    strcmp(fake_state("a"), "stopped") == 0);
	}
	free(text);
	(void)FAKE_VERB(delete, "a", true);
	fake_turn();
	assert_null(container_by_id(fake.engine, "a"));
	memset(fake.taken, 0, sizeof(fake.taken)); /* what the cut lines named is nobody's now */
}

static void broken_can_be_deleted(void **state)
{
	char path[200];

	(void)state;
	running("a", "");
	(void)snprintf(path, sizeof(path), "%s/containers/a/record", fake.state);
	cut(path, "rubbish", 7);
	reborn();
	assert_string_equal(fake_state("a"), "dead");
	assert_non_null(container_by_id(fake.engine, "a")->error);
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
	assert_null(only_system());
}

static void plugin_is_gone(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	fake.allocators = 1; /* alloc1 is not loaded any more */
	fake.adopt_alive = false;
	reborn();
	assert_string_equal(fake_state("a"), "created");
	assert_int_equal(fake_held(), 1);
	assert_int_equal(FAKE_VERB(start, "a"), -ENOENT);
	assert_int_equal(FAKE_VERB(delete, "a", false), -ENOENT);
	assert_string_equal(fake_state("a"), "dead");
	assert_int_equal(FAKE_VERB(delete, "a", true), 0); /* force: nobody can release it */
	assert_null(container_by_id(fake.engine, "a"));
	memset(fake.taken, 0, sizeof(fake.taken));
	assert_nothing("a");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_there),
		TEST(adopted), TEST(of_another_owner),
		TEST(lost),
		TEST(host_went_down),
		TEST(created_only),
		TEST(not_sure),
		TEST(never_answers),
		TEST(paused),
		TEST(policies),
		TEST(half_created),
		TEST(half_deleted),
		TEST(kept_pieces),
		TEST(undo_failed), TEST(damaged_record),
		TEST(orphan_directories),
		TEST(torn_records),
		TEST(torn_ledgers),
		TEST(long_lives),
		TEST(broken_can_be_deleted),
		TEST(plugin_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
