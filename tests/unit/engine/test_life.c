/* SPDX-License-Identifier: MIT */
/* Create, start, the end, delete: each success, and the failure of each step in each manner. */
#include "fake.h"

static void whole_life(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", "\"name\":\"web\""), 0);
	assert_non_null(strstr(fake.reply_result, "\"name\":\"web\""));
	assert_string_equal(fake_state("a"), "created");
	assert_int_equal(fake_held(), 3);
	assert_int_equal(FAKE_VERB(start, "web"), 0);
	assert_string_equal(fake_state("a"), "running");
	fake_exit(1, 7, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":7"));
	assert_int_equal(fake_held(), 2); /* the compute system is released at its end */
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
	assert_int_equal(fake.stopped_hooks, 1);
	assert_int_equal(fake.deleted_hooks, 1);
}

static void defaults(void **state)
{
	struct json_object *params = json_tokener_parse("{\"spec\":{\"root\":{\"path\":\"/x\"}}}");
	struct json_object *result, *id;

	(void)state;
	cow_engine_container_create(fake.engine, params, fake_cb, NULL);
	json_object_put(params);
	fake_turn();
	assert_int_equal(fake.reply_code, 0);
	result = json_tokener_parse(fake.reply_result);
	id = json_object_object_get(result, "id");
	assert_int_equal(strlen(json_object_get_string(id)), 36);
	assert_string_equal(container_by_id(fake.engine, json_object_get_string(id))->def->owner,
			    "test");
	assert_int_equal(
		container_by_id(fake.engine, json_object_get_string(id))->def->schema_major, 2);
	json_object_put(result);
}

static int create_text(const char *text)
{
	struct json_object *params = json_tokener_parse(text);
	uint32_t before = fake.replies;

	assert_non_null(params);
	cow_engine_container_create(fake.engine, params, fake_cb, NULL);
	json_object_put(params);
	fake_turn();
	return fake_replied(before);
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(create_text("{}"), -EINVAL);
	assert_non_null(strstr(fake.reply_message, "spec must be supplied"));
	assert_int_equal(create_text("{\"id\":\"a/b\",\"spec\":{}}"), -EINVAL);
	assert_int_equal(create_text("{\"bundle\":\"/nonexistent\"}"), -ENOENT);
	assert_int_equal(create_text("{\"spec\":{\"annotations\":"
				     "{\"io.kubernetes.cri.container-type\":\"pod\"}}}"), -EINVAL);
	assert_non_null(
		strstr(fake.reply_message, "invalid 'io.kubernetes.cri.container-type': 'pod'"));
	assert_int_equal(create_text("{\"spec\":{\"annotations\":"
				     "{\"io.kubernetes.cri.container-type\":\"sandbox\"}}}"),
			 -EINVAL);
	assert_non_null(strstr(fake.reply_message, "without 'io.kubernetes.cri.sandbox-id'"));
	assert_int_equal(fake_create("a", "\"name\":\"n\""), 0);
	assert_int_equal(fake_create("a", ""), -EEXIST);
	assert_string_equal(fake.reply_message, "container a already exists");
	assert_int_equal(fake_create("b", "\"name\":\"n\""), -EEXIST);
	assert_string_equal(fake.reply_message, "container n already exists");
	assert_int_equal(fake_create("n", ""), -EEXIST);
	assert_int_equal(fake_create("b", "\"name\":\"a\""), -EEXIST);
	assert_string_equal(fake.reply_message, "container a already exists");
	assert_int_equal(FAKE_VERB(start, "nobody"), -ENOENT);
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
}

/* The emulated Windows build decides the schema version. */
static void schema_versions(void **state)
{
	(void)state;
	fake.engine->setup.windows_build = 14393;
	assert_int_equal(create_text("{\"id\":\"l\",\"spec\":{\"linux\":{}}}"), -ENOTSUP);
	assert_string_equal(fake.reply_message, "LCOW v1 not supported");
	assert_int_equal(create_text("{\"id\":\"w\",\"schema_version\":\"2.1\",\"spec\":{}}"), 0);
	assert_int_equal(container_by_id(fake.engine, "w")->def->schema_major, 1);
	fake.engine->setup.windows_build = 17763;
	assert_int_equal(
		create_text("{\"id\":\"x\",\"schema_version\":\"1.0\",\"spec\":{\"linux\":{}}}"),
		-ENOTSUP);
	assert_string_equal(fake.reply_message, "LCOW v1 not supported");
	assert_int_equal(create_text("{\"id\":\"y\",\"schema_version\":\"1.0\",\"spec\":{}}"), 0);
	assert_int_equal(container_by_id(fake.engine, "y")->def->schema_major, 1);
	assert_int_equal(
		create_text("{\"id\":\"x\",\"schema_version\":\"3.1\",\"spec\":{\"linux\":{}}}"),
		0);
	assert_int_equal(container_by_id(fake.engine, "x")->def->schema_major, 2);
	assert_int_equal(container_by_id(fake.engine, "x")->def->schema_minor, 1);
}

static void found_by_prefix(void **state)
{
	struct cow_error err = { 0 };

	(void)state;
	assert_int_equal(fake_create("abc1", "\"name\":\"one\""), 0);
	assert_int_equal(fake_create("abd2", "\"name\":\"two\""), 0);
	assert_non_null(container_find(fake.engine, "abc", NULL));
	assert_non_null(container_find(fake.engine, "two", NULL));
	assert_null(container_find(fake.engine, "ab", &err));
	assert_int_equal(err.code, -EINVAL);
	assert_null(container_find(fake.engine, "", NULL));
}

/* Let an operation that was answered LATER, or never, come to its end. */
static void finish(enum fake_op op)
{
	for (uint32_t i = 0; i < OP_COUNT; i++)
		while (fake_answer((enum fake_op)i))
			fake_turn();
	if (fake.how[op] == NEVER)
		fake_advance(30000);
	fake_turn();
}

static void create_fails_at_each_step(void **state)
{
	static const enum fake_op steps[] = { OP_ACQUIRE, OP_ACQUIRE + 1, OP_CREATE };

	(void)state;
	for (size_t k = 0; k < COW_ELEMENTS(steps); k++) {
		for (unsigned how = BY_RETURN; how <= NEVER; how++) {
			for (unsigned taking = 0; taking < 2; taking++) {
				fake_script();
				fake.how[steps[k]] = (enum fake_how)how;
				fake.code[steps[k]] = how == NEVER ? 0 : -EIO;
				fake.fail_after_taking = taking;
				(void)fake_create("a", "");
				finish(steps[k]);
				if (fake.replies != 1)
					fail_msg("step %zu, manner %u, taking %u: %s", k, how,
						 taking, fake_state("a"));
				assert_int_equal(fake.reply_code, how == NEVER ? -ETIMEDOUT : -EIO);
				assert_true(*fake.reply_step);
				assert_nothing("a");
			}
		}
	}
}

static void record_cannot_be_written(void **state)
{
	char path[200];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/containers/a/record/x", fake.state);
	assert_int_equal(cow_fs_mkdirs(path, 0700), 0);
	assert_int_equal(fake_create("a", "") < 0, true);
	assert_string_equal(fake.reply_step, "record");
	assert_nothing("a");
}

static void undo_fails(void **state)
{
	(void)state;
	fake.code[OP_CREATE] = -EIO;
	fake.code[OP_GIVE] = -EBUSY;
	assert_int_equal(fake_create("a", ""), -EIO); /* the first failure is the one told */
	assert_string_equal(fake_state("a"), "failed");
	assert_int_equal(fake_held(), 1);
	assert_int_equal(FAKE_VERB(delete, "a", true), -EBUSY);
	assert_string_equal(fake_state("a"), "dead");
	assert_int_equal(FAKE_VERB(start, "a"), -EINVAL);
	fake.code[OP_GIVE] = 0;
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
}

/* What lies below a compute system that cannot be released may be in use: it stays. */
static void compute_cannot_be_released(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	fake.code[OP_RELEASE] = -EBUSY;
	assert_int_equal(FAKE_VERB(delete, "a", true), -EBUSY);
	assert_int_equal(fake.calls[OP_GIVE] + fake.calls[OP_GIVE + 1], 0);
	assert_int_equal(fake_held(), 3);
	fake.code[OP_RELEASE] = 0;
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
}

/* An operation announces what its own plugin takes, and nobody else's. */
static void announces_for_others(void **state)
{
	(void)state;
	fake.how[OP_ACQUIRE] = LATER;
	assert_int_equal(fake_create("a", ""), 1);
	assert_int_equal(fake.events->intend(fake.events_arg, fake.pending[0].handle, "alloc1", "k",
					     "{}"),
			 -ENOENT);
	assert_int_equal(fake.events->intend(fake.events_arg, fake.pending[0].handle, "alloc0", "k",
					     "{}"),
			 0);
	assert_int_equal(
		fake.events->forget(fake.events_arg, fake.pending[0].handle, "alloc0", "k"), 0);
	assert_int_equal(
		fake.events->forget(fake.events_arg, fake.pending[0].handle, "alloc0", "k"),
		-ENOENT);
	assert_true(fake_answer(OP_ACQUIRE));
	fake_turn();
	assert_int_equal(fake.reply_code, 0);
}

static void keep_on_failure(void **state)
{
	(void)state;
	fake.code[OP_CREATE] = -EIO;
	fake.fail_after_taking = true;
	assert_int_equal(fake_create("a", "\"keep_on_failure\":true"), -EIO);
	assert_string_equal(fake_state("a"), "failed");
	assert_int_equal(fake_held(), 3);
	assert_int_equal(FAKE_VERB(release, "a"), 0);
	assert_int_equal(fake_held(), 0);
	assert_string_equal(fake_state("a"), "failed");
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
}

static void deleted_while_created(void **state)
{
	(void)state;
	for (unsigned how = LATER; how <= NEVER; how++) {
		fake_script();
		fake.how[OP_ACQUIRE + 1] = (enum fake_how)how;
		assert_int_equal(fake_create("a", ""), 1);
		cow_engine_container_delete(fake.engine, "a", true, fake_cb, NULL);
		fake_turn();
		finish(OP_ACQUIRE + 1);
		fake_advance(20000);
		assert_int_equal(fake.replies, 2); /* both are told, once */
		assert_nothing("a");
	}
}

static void start_fails(void **state)
{
	(void)state;
	for (unsigned how = BY_RETURN; how <= NEVER; how++) {
		fake_script();
		assert_int_equal(fake_create("a", ""), 0);
		fake.how[OP_START] = (enum fake_how)how;
		fake.code[OP_START] = how == NEVER ? 0 : -ENOENT;
		(void)FAKE_VERB(start, "a");
		finish(OP_START);
		assert_int_equal(fake.reply_code, how == NEVER ? -ETIMEDOUT : -ENOENT);
		assert_int_equal(fake.replies, 2);
		assert_string_equal(fake.reply_step, "start");
		assert_string_equal(fake_state("a"), "stopped"); /* init may have been let go */
		assert_int_equal(fake_held(), 2);
		fake_script();
		assert_int_equal(FAKE_VERB(start, "a"), 0); /* with a new compute system */
		assert_string_equal(fake_state("a"), "running");
		assert_true(fake.live_max <= 1);
		assert_int_equal(FAKE_VERB(delete, "a", true), 0);
		fake_until(!container_by_id(fake.engine, "a"));
		assert_nothing("a");
	}
}

/* The second life: the first one's compute system must be gone, or nothing is started. */
static void never_a_second_copy(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	fake.code[OP_RELEASE] = -EBUSY;
	fake_exit(1, 0, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	assert_int_equal(FAKE_VERB(start, "a"), -EBUSY);
	assert_string_equal(fake_state("a"), "stopped");
	assert_int_equal(fake.calls[OP_CREATE], 1);
	fake.code[OP_RELEASE] = 0;
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	assert_int_equal(fake.calls[OP_CREATE], 2);
	assert_int_equal(fake.calls[OP_ACQUIRE], 1); /* what is held is held */
	assert_int_equal(fake.live_max, 1);
}

/* The end may come at any moment: before start is asked, inside it, before its answer, after. */
static void ends_at_every_moment(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	fake_exit(1, 9, 0); /* before start: there was no life yet */
	fake_turn();
	assert_string_equal(fake_state("a"), "created");
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	assert_int_equal(fake.calls[OP_CREATE], 2);

	fake.how[OP_START] = LATER;
	assert_int_equal(fake_create("b", ""), 0);
	assert_int_equal(FAKE_VERB(start, "b"), 1);
	fake_exit(fake.next_handle, 3, 0); /* told before start was answered */
	fake_turn();
	assert_string_equal(fake_state("b"), "starting");
	assert_true(fake_answer(OP_START));
	fake_until(strcmp(fake_state("b"), "stopped") == 0);
	assert_int_equal(fake.reply_code, 0);
	assert_int_equal(fake_wait("b", COW_WAIT_STOPPED), 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":3"));
}

static void patched_spec(void **state)
{
	(void)state;
	fake.patch = "{\"hostname\":\"patched\",\"process\":{\"cwd\":null}}";
	assert_int_equal(fake_create("a", ""), 0);
	assert_non_null(strstr(fake.last_spec, "\"hostname\":\"patched\""));
	assert_null(strstr(fake.last_spec, "cwd"));
	assert_non_null(strstr(fake.last_spec, "/bin/x"));
}

static void auto_remove(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", "\"auto_remove\":true"), 0);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 1);
	fake_exit(1, 4, 0);
	fake_until(!container_by_id(fake.engine, "a"));
	fake_turn();
	assert_int_equal(fake.reply_code, 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":4"));
	assert_nothing("a");
}

static void waits(void **state)
{
	uint64_t wait;

	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	cow_engine_container_wait(fake.engine, "a", COW_WAIT_RUNNING, fake_cb, NULL, &wait);
	assert_true(wait != 0);
	cow_engine_wait_cancel(fake.engine, wait);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	assert_int_equal(fake.replies, 2); /* not the cancelled one */
	assert_int_equal(fake_wait("a", COW_WAIT_RUNNING), 0);
	assert_int_equal(fake_wait("a", COW_WAIT_HEALTHY), -EINVAL); /* it has no check */
	assert_int_equal(fake_wait("a", COW_WAIT_REMOVED), 1);
	assert_int_equal(FAKE_VERB(delete, "a", false), -EBUSY);
	assert_string_equal(fake.reply_message,
			    "cannot delete container a that is not stopped: running");
	(void)FAKE_VERB(delete, "a", true);
	fake_until(!container_by_id(fake.engine, "a"));
	fake_turn();
	assert_int_equal(fake.replies, 7);
	assert_nothing("a");
}

static void reads(void **state)
{
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct json_object *o;

	(void)state;
	assert_int_equal(fake_create("a", "\"labels\":{\"k\":\"v\"}"), 0);
	assert_int_equal(cow_engine_list(fake.engine, false, &out), 0);
	assert_string_equal(out.data, "[]");
	cow_strbuf_finish(&out);
	assert_int_equal(cow_engine_list(fake.engine, true, &out), 0);
	o = json_tokener_parse(out.data);
	assert_int_equal(json_object_array_length(o), 1);
	json_object_put(o);
	cow_strbuf_finish(&out);
	/* Also while an operation is in flight. */
	fake.how[OP_START] = NEVER;
	assert_int_equal(FAKE_VERB(start, "a"), 1);
	assert_int_equal(cow_engine_inspect(fake.engine, "a", &out, NULL), 0);
	o = json_tokener_parse(out.data);
	assert_non_null(o);
	assert_string_equal(json_object_get_string(json_object_object_get(o, "state")), "starting");
	assert_int_equal(json_object_array_length(json_object_object_get(o, "ledger")), 3);
	assert_true(json_object_array_length(json_object_object_get(o, "last_events")) >= 2);
	json_object_put(o);
	cow_strbuf_finish(&out);
	fake_advance(60000); /* the start is given up */
}

static void note_event(void *arg, const char *container, const char *json)
{
	struct cow_strbuf *b = arg;
	struct json_object *o = json_tokener_parse(json);

	assert_non_null(o);
	assert_string_equal(container, "a");
	cow_strbuf_addf(b, "%s ", json_object_get_string(json_object_object_get(o, "event")));
	json_object_put(o);
}

static void events(void **state)
{
	struct cow_strbuf seen = COW_STRBUF_INIT, later = COW_STRBUF_INIT;
	struct cow_subscription *s = cow_engine_subscribe(fake.engine, 0, note_event, &seen);

	(void)state;
	assert_int_equal(fake_create("a", ""), 0);
	assert_int_equal(FAKE_VERB(start, "a"), 0);
	fake_exit(1, 0, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	cow_engine_unsubscribe(s);
	assert_string_equal(seen.data, "create state start state die state destroy ");
	s = cow_engine_subscribe(fake.engine, 1, note_event, &later);
	assert_string_equal(seen.data, later.data);
	cow_engine_unsubscribe(s);
	cow_strbuf_finish(&seen);
	cow_strbuf_finish(&later);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_life),
		TEST(defaults),
		TEST(refused),
		TEST(schema_versions),
		TEST(found_by_prefix),
		TEST(create_fails_at_each_step),
		TEST(record_cannot_be_written),
		TEST(undo_fails),
		TEST(compute_cannot_be_released),
		TEST(announces_for_others), TEST(keep_on_failure),
		TEST(deleted_while_created),
		TEST(start_fails),
		TEST(never_a_second_copy),
		TEST(ends_at_every_moment),
		TEST(patched_spec),
		TEST(auto_remove),
		TEST(waits),
		TEST(reads),
		TEST(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
