/* SPDX-License-Identifier: MIT */
/* The reconciler against an engine that only remembers. */
#include "reconcile_fake.h"

#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct cow_reconcile *reconcile;
static char dir[64];
static char failures[1024];

/* ---- the test's side */

struct outcome {
	int calls, code;
	char result[1024];
};

static void done(void *arg, const struct cow_error *err, const char *result)
{
	struct outcome *o = arg;

	o->calls++;
	o->code = err ? err->code : 0;
	(void)snprintf(o->result, sizeof(o->result), "%s", err ? err->message : result);
}

static void failed(void *arg, const char *container, const char *message)
{
	size_t n = strlen(failures);

	(void)arg;
	(void)snprintf(failures + n, sizeof(failures) - n, "%s: %s; ", container, message);
}

static struct cow_config *config(const char *containers)
{
	_cleanup_free_ char *text = cow_asprintf("{\"containers\":{%s}}", containers);
	char path[128];
	struct cow_config_errors errors = { 0 };
	struct cow_config *c = NULL;

	(void)snprintf(path, sizeof(path), "%s/c.json", dir);
	assert_int_equal(cow_fs_write_atomic(path, text, strlen(text), 0600, 0), 0);
	if (cow_config_load(path, &c, &errors) < 0)
		fail_msg("%s", errors.text.data);
	return c;
}

static void apply(const char *containers, struct outcome *o)
{
	*o = (struct outcome){ 0 };
	cow_reconcile_apply(reconcile, config(containers), false, done, o);
}

static uint32_t parallel;

static int setup(void **state)
{
	const struct cow_reconcile_setup with = {
		.engine = &engine,
		.timers = &timers,
		.parallel = parallel,
		.failed = failed,
	};

	(void)state;
	memset(&engine, 0, sizeof(engine));
	*failures = 0;
	(void)strcpy(dir, "/tmp/cow-test-reconcile-XXXXXX");
	assert_non_null(mkdtemp(dir));
	cow_timers_init(&timers, 0);
	assert_int_equal(cow_reconcile_create(&with, &reconcile, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cow_reconcile_destroy(reconcile);
	cow_timers_finish(&timers);
	cow_strbuf_finish(&engine.log);
	return cow_fs_remove_tree(dir);
}

#define A "\"a\":{\"rootfs\":\"/r\",\"health\":{\"test\":\"x\"}}"
#define A2 "\"a\":{\"rootfs\":\"/r2\",\"health\":{\"test\":\"x\"}}"
#define B "\"b\":{\"rootfs\":\"/r\",\"depends_on\":[\"a\"]}"
#define B2 "\"b\":{\"rootfs\":\"/r2\",\"depends_on\":[\"a\"]}"
#define C "\"c\":{\"rootfs\":\"/r\",\"depends_on\":[\"b\"]}"
#define B_HEALTHY "\"b\":{\"rootfs\":\"/r\",\"depends_on\":{\"a\":{\"condition\":\"healthy\"}}}"
#define B_COMPLETED "\"b\":{\"rootfs\":\"/r\",\"depends_on\":{\"a\":{\"condition\":\"completed\"}}}"

static void starts_in_order(void **state)
{
	struct outcome o;

	(void)state;
	apply(C "," B "," A, &o);
	run();
	assert_int_equal(o.calls, 1);
	assert_string_equal(
		o.result,
		"{\"added\":[\"a\",\"b\",\"c\"],\"removed\":[],\"changed\":[],\"kept\":[]}");
	assert_log("create a; start a; create b; start b; create c; start c; ");
	assert_false(cow_reconcile_waiting(reconcile));
}

static void applies_the_difference_only(void **state)
{
	struct outcome o;

	(void)state;
	(void)strcpy(find("mine", true)->label, "");
	find("mine", true)->exists = true;
	apply(A "," B ",\"x\":{\"rootfs\":\"/r\"}", &o);
	run();
	assert_log("create a; create x; start a; start x; create b; start b; ");

	apply(A "," B2 ",\"y\":{\"rootfs\":\"/r\"}", &o);
	run();
	assert_string_equal(
		o.result,
		"{\"added\":[\"y\"],\"removed\":[\"x\"],\"changed\":[\"b\"],\"kept\":[\"a\"]}");
	assert_log("stop b; create y; stop x; delete b; start y; delete x; create b; start b; ");

	apply(A "," B2 ",\"y\":{\"rootfs\":\"/r\"}", &o);
	run();
	assert_string_equal(
		o.result,
		"{\"added\":[],\"removed\":[],\"changed\":[],\"kept\":[\"a\",\"b\",\"y\"]}");
	assert_log("");

	/* One that ended by itself stays ended: it did not change. */
	find("a", false)->running = false;
	apply(A "," B2, &o);
	run();
	assert_log("stop y; delete y; ");

	/* Nothing wanted: dependents go first, and what is not ours stays. */
	apply("", &o);
	run();
	assert_string_equal(o.result,
			    "{\"added\":[],\"removed\":[\"a\",\"b\"],\"changed\":[],\"kept\":[]}");
	assert_log("stop b; delete b; stop a; delete a; ");
	assert_true(find("mine", false)->exists);
}

static void changed_ones_go_and_come_in_order(void **state)
{
	struct outcome o;

	(void)state;
	apply(A "," B "," C, &o);
	run();
	assert_log("create a; start a; create b; start b; create c; start c; ");
	apply(A2 "," B2, &o);
	run();
	assert_string_equal(
		o.result,
		"{\"added\":[],\"removed\":[\"c\"],\"changed\":[\"a\",\"b\"],\"kept\":[]}");
	assert_log(
		"stop c; delete c; stop b; delete b; stop a; delete a; "
		   "create a; start a; create b; start b; ");
}

static void waits_for_health(void **state)
{
	struct outcome o;

	(void)state;
	find("a", true)->healthy = true;
	apply(A "," B_HEALTHY, &o);
	run();
	/* Answered although b waits: that may take as long as it likes. */
	assert_int_equal(o.calls, 1);
	assert_true(cow_reconcile_waiting(reconcile));
	assert_log("create a; start a; ");
	answer_named(WAIT_HEALTHY, "a");
	run();
	assert_log("create b; start b; ");
	assert_false(cow_reconcile_waiting(reconcile));

	/* With a kept, its health is asked anew. */
	apply(A ",\"b\":{\"rootfs\":\"/new\",\"depends_on\":{\"a\":{\"condition\":\"healthy\"}}}",
	      &o);
	run();
	assert_log("stop b; delete b; ");
	find("a", true)->healthy = false;
	answer_named(WAIT_HEALTHY, "a");
	run();
	assert_log("");
	assert_string_equal(failures, "b: not started: a did not get healthy; ");
}

static void waits_for_completion(void **state)
{
	struct outcome o;

	(void)state;
	for (int code = 0; code < 2; code++) {
		apply("\"a\":{\"rootfs\":\"/r\"}," B_COMPLETED, &o);
		run();
		assert_log("create a; start a; ");
		find("a", false)->exit_code = code;
		answer_named(WAIT_STOPPED, "a");
		run();
		assert_log(code ? "" : "create b; start b; ");
		assert_string_equal(failures, code ? "b: not started: a did not complete; " : "");
		apply("", &o);
		run();
		cow_strbuf_finish(&engine.log);
	}
}

static void a_failure_stays_local(void **state)
{
	static const char *const verbs[] = { "create b", "start b" };
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < COW_ELEMENTS(verbs); i++) {
		(void)strcpy(engine.fail, verbs[i]);
		*failures = 0;
		apply(A "," B "," C ",\"d\":{\"rootfs\":\"/r\"}", &o);
		run();
		assert_int_equal(o.code, 0);
		assert_non_null(strstr(
			o.result,
			i ? ",\"failed\":{\"b\":\"start b failed\",\"c\":\"not started: b failed\"}}"
			  : ",\"failed\":{\"b\":\"create b failed\",\"c\":\"not started: b failed\"}}"));
		assert_true(find("d", false)->running);
		assert_true(strncmp(failures, "b: ", 3) == 0);
		/* The next reload tries again. */
		*engine.fail = 0;
		apply(A "," B "," C ",\"d\":{\"rootfs\":\"/r\"}", &o);
		run();
		assert_true(find("b", false)->running && find("c", false)->running);
		apply("", &o);
		run();
	}
	cow_strbuf_finish(&engine.log);
}

static void starts_what_rests_when_asked(void **state)
{
	struct outcome o = { 0 };

	(void)state;
	apply(A "," B, &o);
	run();
	find("a", false)->running = find("b", false)->running = false;
	cow_strbuf_finish(&engine.log);
	cow_reconcile_apply(reconcile, config(A "," B), true, done, &o);
	run();
	assert_log("start a; start b; ");
}

static void the_newest_reload_wins(void **state)
{
	struct outcome first, second, third;

	(void)state;
	apply(A, &first);
	turn();
	apply(A "," B, &second);
	apply(A ",\"z\":{\"rootfs\":\"/r\"}", &third);
	assert_int_equal(second.calls, 1);
	assert_int_equal(second.code, -ECANCELED);
	run();
	assert_int_equal(first.calls, 1);
	assert_int_equal(first.code, 0);
	assert_int_equal(third.calls, 1);
	assert_log("create a; start a; create z; start z; ");

	/* A reload while one waits for health: the wait is given up. */
	apply(A "," B_HEALTHY, &first);
	run();
	assert_int_equal(engine.queued, 1);
	apply(A, &second);
	run();
	assert_int_equal(engine.queued, 0);
	assert_log("stop z; delete z; ");
}

static void stops_dependents_first(void **state)
{
	struct outcome o, stop = { 0 };

	(void)state;
	apply(A "," B "," C ",\"d\":{\"rootfs\":\"/r\"}", &o);
	run();
	find("mine", true)->exists = find("mine", true)->running = true;
	cow_strbuf_finish(&engine.log);
	cow_reconcile_stop(reconcile, -1, false, done, &stop);
	run();
	assert_int_equal(stop.calls, 1);
	assert_log("stop c; stop d; stop mine; stop b; stop a; ");
	assert_true(find("a", false)->exists);
	/* Too late for a reload. */
	apply(A, &o);
	run();
	assert_int_equal(o.code, -ECANCELED);
}

static void removes_when_asked(void **state)
{
	struct outcome o, stop = { 0 };

	(void)state;
	apply(A "," B_HEALTHY, &o);
	run();
	cow_strbuf_finish(&engine.log);
	cow_reconcile_stop(reconcile, -1, true, done, &stop);
	run();
	assert_int_equal(stop.calls, 1);
	assert_log("stop a; delete a; ");
	assert_int_equal(engine.queued, 0);
}

static void kill_waits_for_nobody(void **state)
{
	struct outcome o, stop = { 0 };

	(void)state;
	apply(A "," B "," C, &o);
	run();
	cow_strbuf_finish(&engine.log);
	cow_reconcile_stop(reconcile, -1, false, done, &stop);
	turn();
	assert_log("stop c; ");
	cow_reconcile_kill(reconcile);
	turn();
	assert_log("kill c; stop a; stop b; ");
	run();
	assert_int_equal(stop.calls, 1);
}

static int setup_parallel(void **state)
{
	parallel = 2;
	return setup(state);
}

static void few_are_started_at_a_time(void **state)
{
	struct outcome o;
	char text[512] = "";

	(void)state;
	parallel = 0;
	for (int i = 0; i < 6; i++)
		(void)sprintf(text + strlen(text), "%s\"c%d\":{\"rootfs\":\"/r\"}", i ? "," : "", i);
	apply(text, &o);
	turn();
	for (int i = 0; i < 12; i++) {
		assert_int_equal(engine.queued, i < 11 ? 2 : 1);
		answer_at(0);
	}
	assert_int_equal(engine.queued, 0);
	turn();
	assert_int_equal(o.calls, 1);
	for (int i = 0; i < 6; i++)
		assert_true(engine.containers[i].running);
}

/*
 * Any order of answers, failures anywhere, reloads and a stop at any moment: it always ends, in
 * order.
 */
static unsigned seed = 1;

static unsigned dice(size_t sides)
{
	return (unsigned)rand_r(&seed) % (unsigned)sides;
}

static void any_interleaving(void **state)
{
	static const char *const configs[] = { A "," B "," C,
					       A "," B_HEALTHY "," C,
					       A2 "," B2,
					       "",
					       A,
					       A "," B_COMPLETED ",\"e\":{\"rootfs\":\"/r\"}",
					       A2 "," B "," C };
	static const char *const fails[] = {
		"", "", "", "create a", "start b", "delete a", "stop c"
	};
	for (int round = 0; round < 1500; round++) {
		struct outcome applied[8] = { 0 }, stop = { 0 };
		size_t asked = 0;
		bool stopping = false, smooth = true;

		parallel = dice(3);
		(void)setup(state);
		find("a", true)->healthy = dice(2);
		find("a", true)->exit_code = (int)dice(2);
		while (!stopping || engine.queued) {
			unsigned what = dice(8);

			if (what == 0 && asked < COW_ELEMENTS(applied)) {
				(void)strcpy(engine.fail, fails[dice(COW_ELEMENTS(fails))]);
				smooth &= !*engine.fail;
				apply(configs[dice(COW_ELEMENTS(configs))], &applied[asked]);
				asked++;
			} else if (what == 1 && asked > 2 && !stopping) {
				stopping = true;
				cow_reconcile_stop(reconcile, 0, dice(2), done, &stop);
			} else if (what == 2 && stopping && dice(4) == 0) {
				cow_reconcile_kill(reconcile);
			} else if (engine.queued && what > 3) {
				answer_at(dice(engine.queued));
			}
			turn();
			/* A dependent never runs while what it depends on was not even made. */
			if (find("c", true)->running && !stopping && smooth)
				assert_true(find("b", true)->exists);
		}
		for (int i = 0; i < 4; i++)
			turn();
		assert_int_equal(engine.queued, 0);
		assert_int_equal(stop.calls, 1);
		for (size_t i = 0; i < asked; i++)
			assert_int_equal(applied[i].calls, 1);
		for (size_t i = 0; i < FAKES; i++)
			assert_true(!engine.containers[i].running || !smooth);
		(void)teardown(state);
	}
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(starts_in_order),
		test(applies_the_difference_only),
		test(changed_ones_go_and_come_in_order),
		test(waits_for_health),
		test(waits_for_completion),
		test(a_failure_stays_local),
		test(starts_what_rests_when_asked),
		test(the_newest_reload_wins),
		test(stops_dependents_first),
		test(removes_when_asked),
		test(kill_waits_for_nobody),
		cmocka_unit_test_setup_teardown(few_are_started_at_a_time, setup_parallel, teardown),
		cmocka_unit_test(any_interleaving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
