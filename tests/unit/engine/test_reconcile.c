/* SPDX-License-Identifier: MIT */
/*
 * The reconciler against an engine that only remembers: each verb is queued and answered when the
 * test says so, in any order, so that every interleaving can be played.
 */
#include "engine/reconcile.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- the fake engine */

#define FAKES 16

struct fake {
	char name[32], label[32];
	bool exists, ran, running, healthy;
	int exit_code;
};

enum verb { CREATE, START, STOP, KILL, DELETE, WAIT_HEALTHY, WAIT_STOPPED };
static const char *const verb_names[] = { "create", "start", "stop", "kill", "delete", "healthy?", "stopped?" };

struct pending {
	enum verb verb;
	char name[32], label[32];
	cow_engine_cb cb;
	void *arg;
	uint64_t wait;
};

struct cow_engine {
	struct fake containers[FAKES];
	struct pending queue[64];
	size_t queued;
	uint64_t next_wait;
	struct cow_strbuf log;
	char fail[32]; /* "create a": that verb fails */
};

static struct cow_engine engine;
static struct cow_timers timers;
static struct cow_reconcile *reconcile;
static char dir[64];
static char failures[1024];

static struct fake *find(const char *name, bool make)
{
	for (size_t i = 0; i < FAKES; i++)
		if (strcmp(engine.containers[i].name, name) == 0)
			return &engine.containers[i];
	for (size_t i = 0; make && i < FAKES; i++) {
		if (*engine.containers[i].name)
			continue;
		(void)snprintf(engine.containers[i].name, sizeof(engine.containers[i].name), "%s", name);
		return &engine.containers[i];
	}
	return NULL;
}

static struct pending *queue(enum verb verb, const char *name, cow_engine_cb cb, void *arg)
{
	struct pending *p = &engine.queue[engine.queued++];

	assert_true(engine.queued < COW_ELEMENTS(engine.queue));
	*p = (struct pending){ .verb = verb, .cb = cb, .arg = arg };
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	if (verb < WAIT_HEALTHY)
		cow_strbuf_addf(&engine.log, "%s %s; ", verb_names[verb], name);
	return p;
}

void cow_engine_container_create(struct cow_engine *e, struct json_object *params, cow_engine_cb cb, void *arg)
{
	struct json_object *name, *labels, *label;
	struct pending *p;

	(void)e;
	assert_true(json_object_object_get_ex(params, "name", &name));
	assert_true(json_object_object_get_ex(params, "labels", &labels));
	assert_true(json_object_object_get_ex(labels, COW_CONFIG_LABEL, &label));
	p = queue(CREATE, json_object_get_string(name), cb, arg);
	(void)snprintf(p->label, sizeof(p->label), "%s", json_object_get_string(label));
}

void cow_engine_container_start(struct cow_engine *e, const char *name, cow_engine_cb cb, void *arg)
{
	(void)e;
	(void)queue(START, name, cb, arg);
}

void cow_engine_container_stop(struct cow_engine *e, const char *name, int64_t timeout_ms, int signo,
			       cow_engine_cb cb, void *arg)
{
	(void)e;
	(void)timeout_ms;
	(void)signo;
	(void)queue(STOP, name, cb, arg);
}

void cow_engine_container_kill(struct cow_engine *e, const char *name, int signo, bool all, cow_engine_cb cb,
			       void *arg)
{
	(void)e;
	(void)signo;
	(void)all;
	(void)queue(KILL, name, cb, arg);
}

void cow_engine_container_delete(struct cow_engine *e, const char *name, bool force, cow_engine_cb cb, void *arg)
{
	(void)e;
	assert_true(force);
	(void)queue(DELETE, name, cb, arg);
}

void cow_engine_container_wait(struct cow_engine *e, const char *name, enum cow_wait condition, cow_engine_cb cb,
			       void *arg, uint64_t *ret_wait)
{
	struct pending *p = queue(condition == COW_WAIT_HEALTHY ? WAIT_HEALTHY : WAIT_STOPPED, name, cb, arg);

	(void)e;
	p->wait = *ret_wait = ++engine.next_wait;
}

void cow_engine_wait_cancel(struct cow_engine *e, uint64_t wait)
{
	(void)e;
	for (size_t i = 0; i < engine.queued; i++) {
		if (engine.queue[i].wait != wait)
			continue;
		memmove(&engine.queue[i], &engine.queue[i + 1],
			(--engine.queued - i) * sizeof(engine.queue[0]));
		return;
	}
}

int cow_engine_list(struct cow_engine *e, bool all, struct cow_strbuf *out)
{
	const char *comma = "";

	(void)e;
	assert_true(all);
	cow_strbuf_add(out, "[");
	for (size_t i = 0; i < FAKES; i++) {
		const struct fake *f = &engine.containers[i];

		if (!f->exists)
			continue;
		cow_strbuf_addf(out, "%s{\"name\":\"%s\",\"state\":\"%s\",\"labels\":{", comma, f->name,
				f->running ? "running" : f->ran ? "stopped" : "created");
		if (*f->label)
			cow_strbuf_addf(out, "\"%s\":\"%s\"", COW_CONFIG_LABEL, f->label);
		cow_strbuf_add(out, "}}");
		comma = ",";
	}
	cow_strbuf_add(out, "]");
	return 0;
}

/* What a verb does, in the moment of its answer. */
static int effect(const struct pending *p, struct fake *f, char *result, size_t size)
{
	switch (p->verb) {
	case CREATE:
		if (f->exists)
			return -EEXIST;
		f->exists = true;
		f->ran = false;
		(void)strcpy(f->label, p->label);
		return 0;
	case START:
		assert_true(f->exists && !f->running);
		f->running = f->ran = true;
		return 0;
	case STOP:
	case KILL:
		f->running = false;
		return f->exists ? 0 : -ENOENT;
	case DELETE:
		f->running = false;
		if (!f->exists)
			return -ENOENT;
		f->exists = false;
		*f->label = 0;
		return 0;
	case WAIT_HEALTHY:
		return f->healthy ? 0 : -EIO;
	case WAIT_STOPPED:
		f->running = false;
		(void)snprintf(result, size, "{\"exit_code\":%d}", f->exit_code);
		return 0;
	}
	return 0;
}

static void answer_at(size_t i)
{
	struct pending p = engine.queue[i];
	struct cow_error err = { 0 };
	char result[64] = "{}", what[64];

	memmove(&engine.queue[i], &engine.queue[i + 1], (--engine.queued - i) * sizeof(p));
	(void)snprintf(what, sizeof(what), "%s %s", verb_names[p.verb], p.name);
	/* A start that failed leaves a container that has ended. */
	find(p.name, true)->ran |= p.verb == START;
	err.code = strcmp(what, engine.fail) == 0 ? -EIO : effect(&p, find(p.name, true), result, sizeof(result));
	if (err.code)
		(void)snprintf(err.message, sizeof(err.message), "%s failed", what);
	p.cb(p.arg, err.code ? &err : NULL, err.code ? NULL : result);
}

static void answer_named(enum verb verb, const char *name)
{
	for (size_t i = 0; i < engine.queued; i++) {
		if (engine.queue[i].verb == verb && strcmp(engine.queue[i].name, name) == 0) {
			answer_at(i);
			return;
		}
	}
	fail_msg("%s %s is not asked for", verb_names[verb], name);
}

static void turn(void)
{
	cow_timers_advance(&timers, timers.now_ms + 1);
}

/* Answer everything but waits, first come, first served. */
static void run(void)
{
	size_t i;

	do {
		turn();
		for (i = 0; i < engine.queued && engine.queue[i].verb >= WAIT_HEALTHY; i++)
			;
		if (i < engine.queued)
			answer_at(i);
	} while (i < engine.queued);
	turn();
}

static void assert_log(const char *want)
{
	assert_string_equal(engine.log.data ? engine.log.data : "", want);
	cow_strbuf_finish(&engine.log);
	engine.log = (struct cow_strbuf)COW_STRBUF_INIT;
}

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

static int setup(void **state)
{
	const struct cow_reconcile_setup with = { &engine, &timers, failed, NULL };

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
	assert_string_equal(o.result, "{\"added\":[\"a\",\"b\",\"c\"],\"removed\":[],\"changed\":[],\"kept\":[]}");
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
	assert_string_equal(o.result, "{\"added\":[\"y\"],\"removed\":[\"x\"],\"changed\":[\"b\"],\"kept\":[\"a\"]}");
	assert_log("stop b; create y; stop x; delete b; start y; delete x; create b; start b; ");

	apply(A "," B2 ",\"y\":{\"rootfs\":\"/r\"}", &o);
	run();
	assert_string_equal(o.result, "{\"added\":[],\"removed\":[],\"changed\":[],\"kept\":[\"a\",\"b\",\"y\"]}");
	assert_log("");

	/* One that ended by itself stays ended: it did not change. */
	find("a", false)->running = false;
	apply(A "," B2, &o);
	run();
	assert_log("stop y; delete y; ");

	/* Nothing wanted: dependents go first, and what is not ours stays. */
	apply("", &o);
	run();
	assert_string_equal(o.result, "{\"added\":[],\"removed\":[\"a\",\"b\"],\"changed\":[],\"kept\":[]}");
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
	assert_string_equal(o.result, "{\"added\":[],\"removed\":[\"c\"],\"changed\":[\"a\",\"b\"],\"kept\":[]}");
	assert_log("stop c; delete c; stop b; delete b; stop a; delete a; create a; start a; create b; start b; ");
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
	apply(A ",\"b\":{\"rootfs\":\"/new\",\"depends_on\":{\"a\":{\"condition\":\"healthy\"}}}", &o);
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
		assert_non_null(strstr(o.result, i ? ",\"failed\":{\"b\":\"start b failed\",\"c\":\"not started: b failed\"}}" :
						     ",\"failed\":{\"b\":\"create b failed\",\"c\":\"not started: b failed\"}}"));
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

/* Any order of answers, failures anywhere, reloads and a stop at any moment: it always ends, in order. */
static unsigned seed = 1;

static unsigned dice(size_t sides)
{
	return (unsigned)rand_r(&seed) % (unsigned)sides;
}

static void any_interleaving(void **state)
{
	static const char *const configs[] = { A "," B "," C, A "," B_HEALTHY "," C, A2 "," B2, "", A,
					       A "," B_COMPLETED ",\"e\":{\"rootfs\":\"/r\"}", A2 "," B "," C };
	static const char *const fails[] = { "", "", "", "create a", "start b", "delete a", "stop c" };
	for (int round = 0; round < 1500; round++) {
		struct outcome applied[8] = { 0 }, stop = { 0 };
		size_t asked = 0;
		bool stopping = false, smooth = true;

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
		cmocka_unit_test(any_interleaving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
