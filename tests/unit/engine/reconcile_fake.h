/* SPDX-License-Identifier: MIT */
/*
 * An engine that only remembers: each verb is queued and answered when the test says so, in any
 * order, so that every interleaving can be played.
 */
#ifndef TESTS_RECONCILE_FAKE_H
#define TESTS_RECONCILE_FAKE_H

#include "base/cleanup.h"
#include "engine/reconcile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FAKES 16

struct fake {
	char name[32], label[32];
	bool exists, ran, running, healthy;
	int exit_code;
};

enum verb { CREATE, START, STOP, KILL, DELETE, WAIT_HEALTHY, WAIT_STOPPED };
static const char *const verb_names[] = { "create", "start",	"stop",	   "kill",
					  "delete", "healthy?", "stopped?" };

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

static struct fake *find(const char *name, bool make)
{
	for (size_t i = 0; i < FAKES; i++)
		if (strcmp(engine.containers[i].name, name) == 0)
			return &engine.containers[i];
	for (size_t i = 0; make && i < FAKES; i++) {
		if (*engine.containers[i].name)
			continue;
		(void)snprintf(engine.containers[i].name, sizeof(engine.containers[i].name), "%s",
			       name);
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

void cow_engine_container_create(struct cow_engine *e, struct json_object *params, cow_engine_cb cb,
				 void *arg)
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

void cow_engine_container_stop(struct cow_engine *e, const char *name, int64_t timeout_ms,
			       int signo, cow_engine_cb cb, void *arg)
{
	(void)e;
	(void)timeout_ms;
	(void)signo;
	(void)queue(STOP, name, cb, arg);
}

void cow_engine_container_kill(struct cow_engine *e, const char *name, int signo, bool all,
			       cow_engine_cb cb, void *arg)
{
	(void)e;
	(void)signo;
	(void)all;
	(void)queue(KILL, name, cb, arg);
}

void cow_engine_container_delete(struct cow_engine *e, const char *name, bool force,
				 cow_engine_cb cb, void *arg)
{
	(void)e;
	assert_true(force);
	(void)queue(DELETE, name, cb, arg);
}

void cow_engine_container_wait(struct cow_engine *e, const char *name, enum cow_wait condition,
			       cow_engine_cb cb, void *arg, uint64_t *ret_wait)
{
	struct pending *p =
		queue(condition == COW_WAIT_HEALTHY ? WAIT_HEALTHY : WAIT_STOPPED, name, cb, arg);

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
		cow_strbuf_addf(out, "%s{\"name\":\"%s\",\"state\":\"%s\",\"labels\":{", comma,
				f->name,
				f->running ? "running"
				: f->ran   ? "stopped"
					   : "created");
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
	err.code = strcmp(what, engine.fail) == 0
			   ? -EIO
			   : effect(&p, find(p.name, true), result, sizeof(result));
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

#endif
