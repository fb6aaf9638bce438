/* SPDX-License-Identifier: MIT */
#include "engine/reconcile_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void look(struct cow_reconcile *r);

/* ---- jobs */

static void job_free(struct job *job)
{
	cow_list_del(&job->link);
	free(job);
}

static bool is_verb(enum job_kind kind)
{
	return kind != JOB_HEALTHY && kind != JOB_COMPLETED;
}

static bool is_start(enum job_kind kind)
{
	return kind == JOB_CREATE || kind == JOB_START;
}

static struct job *job_new(struct cow_reconcile *r, enum job_kind kind, size_t item)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->r = r;
	job->kind = kind;
	job->generation = r->generation;
	job->item = item;
	cow_list_add(&r->jobs, &job->link);
	r->verbs += is_verb(kind);
	r->starts += is_start(kind);
	return job;
}

static void item_fail(struct cow_reconcile *r, struct item *item, const char *message)
{
	item->phase = PHASE_FAILED;
	item->down = true;
	free(item->message);
	item->message = strdup(message);
	if (r->setup.failed)
		r->setup.failed(r->setup.arg, item->name, message);
}

static void begin(struct cow_reconcile *r, struct item *item, enum job_kind kind);

static void stop_done(struct cow_reconcile *r, struct item *item)
{
	item->down = true;
	item->phase = PHASE_GONE;
	if (r->stopping && !r->remove)
		return;
	/*
	 * One that would not stop is deleted by force, which says what is wrong where that fails
	 * too.
	 */
	item->phase = PHASE_DELETING;
	begin(r, item, JOB_DELETE);
}

static void verb_done(struct cow_reconcile *r, struct item *item, enum job_kind kind,
		      const struct cow_error *err)
{
	if (kind == JOB_CREATE)
		item->exists = !err;
	if (kind == JOB_DELETE)
		item->exists = err && err->code != -ENOENT;
	if (kind == JOB_STOP) {
		stop_done(r, item);
	} else if (kind == JOB_DELETE && !item->exists) {
		item->phase = item->want && !r->stopping ? PHASE_WAIT : PHASE_GONE;
	} else if (r->stopping && kind != JOB_DELETE) {
		/* Whatever came of it: what exists goes the way of the others. */
		item->phase = item->exists ? PHASE_STOP : PHASE_GONE;
		item->down = !item->exists;
	} else if (err) {
		item_fail(r, item, err->message);
	} else if (kind == JOB_CREATE) {
		item->phase = PHASE_STARTING;
		begin(r, item, JOB_START);
	} else {
		item->phase = PHASE_UP;
	}
}

static bool succeeded(const char *result)
{
	struct json_object *o = json_tokener_parse(result), *code = NULL;
	bool zero = json_object_object_get_ex(o, "exit_code", &code) && code &&
		    json_object_get_int(code) == 0;

	json_object_put(o);
	return zero;
}

static void question_done(struct cow_reconcile *r, struct item *item, enum job_kind kind,
			  const struct cow_error *err, const char *result)
{
	struct question *q = kind == JOB_HEALTHY ? &item->healthy : &item->completed;

	q->wait = 0;
	q->answer = err ? NO : YES;
	/* Completed means with success; a failure counts once no restart follows it. */
	if (!err && kind == JOB_COMPLETED && !succeeded(result))
		q->answer = cow_reconcile_rests(r, item->name) ? NO : NOT_ASKED;
}

static void job_done(void *arg, const struct cow_error *err, const char *result)
{
	struct job *job = arg;
	struct cow_reconcile *r = job->r;
	struct item *item = job->generation == r->generation ? &r->items[job->item] : NULL;

	r->verbs -= is_verb(job->kind);
	r->starts -= is_start(job->kind);
	if (item && is_verb(job->kind))
		verb_done(r, item, job->kind, err);
	else if (item)
		question_done(r, item, job->kind, err, result);
	job_free(job);
	look(r);
}

static void begin(struct cow_reconcile *r, struct item *item, enum job_kind kind)
{
	struct job *job = job_new(r, kind, (size_t)(item - r->items));
	struct cow_engine *e = r->setup.engine;

	if (!job) {
		item_fail(r, item, "out of memory");
		return;
	}
	switch (kind) {
	case JOB_STOP:
		cow_engine_container_stop(e, item->name, r->stopping ? r->stop_timeout_ms : -1, 0,
					  job_done, job);
		break;
	case JOB_DELETE:
		cow_engine_container_delete(e, item->name, true, job_done, job);
		break;
	case JOB_CREATE:
		cow_engine_container_create(e, item->want->params, job_done, job);
		break;
	case JOB_START:
		cow_engine_container_start(e, item->name, job_done, job);
		break;
	case JOB_HEALTHY:
		cow_engine_container_wait(e, item->name, COW_WAIT_HEALTHY, job_done, job,
					  &item->healthy.wait);
		break;
	case JOB_COMPLETED:
		cow_engine_container_wait(e, item->name, COW_WAIT_STOPPED, job_done, job,
					  &item->completed.wait);
		break;
	}
}

/* Nobody asks any more.  A wait whose answer is under way already finds another generation. */
static void cancel_waits(struct cow_reconcile *r)
{
	cow_list_for_safe(l, tmp, &r->jobs) {
		struct job *job = cow_container_of(l, struct job, link);
		struct question *q;

		if (is_verb(job->kind) || job->generation != r->generation)
			continue;
		q = job->kind == JOB_HEALTHY ? &r->items[job->item].healthy
					     : &r->items[job->item].completed;
		if (!q->wait)
			continue;
		cow_engine_wait_cancel(r->setup.engine, q->wait);
		q->wait = 0;
		job_free(job);
	}
}

/* ---- the items */

static bool blocked(const struct cow_reconcile *r, const struct item *item)
{
	for (size_t i = 0; i < item->blocker_count; i++)
		if (!r->items[item->blockers[i]].down)
			return true;
	return false;
}

static enum answer ask(struct cow_reconcile *r, struct item *item, struct question *q,
		       enum job_kind kind)
{
	if (q->answer == NOT_ASKED) {
		q->answer = ASKED;
		begin(r, item, kind);
	}
	return q->answer;
}

/* May it be started?  NO: what it waits for will never be. */
static enum answer dependencies_met(struct cow_reconcile *r, struct item *item,
				    struct item **ret_which)
{
	enum answer all = YES;

	for (size_t i = 0; i < item->want->dependency_count; i++) {
		const struct cow_config_dependency *d = &item->want->dependencies[i];
		struct item *on = &r->items[d->index];
		enum answer one = on->phase == PHASE_UP	      ? YES
				  : on->phase == PHASE_FAILED ? NO
							      : ASKED;

		if (one == YES && d->condition == COW_CONDITION_HEALTHY)
			one = ask(r, on, &on->healthy, JOB_HEALTHY);
		else if (one == YES && d->condition == COW_CONDITION_COMPLETED)
			one = ask(r, on, &on->completed, JOB_COMPLETED);
		if (one == NO) {
			*ret_which = on;
			return NO;
		}
		if (one != YES)
			all = ASKED;
	}
	return all;
}

static bool look_wait(struct cow_reconcile *r, struct item *item)
{
	_cleanup_free_ char *message = NULL;
	struct item *which = NULL;

	/* Many at once would only take turns, and short descriptors or memory from each other. */
	if (r->setup.parallel && r->starts >= r->setup.parallel)
		return false;
	switch (dependencies_met(r, item, &which)) {
	case YES:
		item->phase = item->exists ? PHASE_STARTING : PHASE_CREATING;
		begin(r, item, item->exists ? JOB_START : JOB_CREATE);
		return true;
	case NO:
		message = cow_asprintf("not started: %s %s", which->name,
				       which->phase == PHASE_FAILED ? "failed" :
				       which->healthy.answer == NO  ? "did not get healthy" :
								      "did not complete");
		item_fail(r, item, message ? message : "not started");
		return true;
	default:
		return false;
	}
}

/* One step of one item; true where it moved. */
static bool look_item(struct cow_reconcile *r, struct item *item)
{
	enum phase before = item->phase;

	switch (item->phase) {
	case PHASE_STOP:
		if (!r->killed && blocked(r, item))
			return false;
		item->phase = PHASE_STOPPING;
		begin(r, item, JOB_STOP);
		break;
	case PHASE_WAIT:
		return look_wait(r, item);
	default:
		return false;
	}
	return item->phase != before;
}

/* ---- an apply from its request to its answer */

static void answer(cow_engine_cb done, void *arg, const struct cow_error *err, const char *result)
{
	if (done)
		done(arg, err, result);
}

static void answer_code(const struct request *request, int code, const char *message)
{
	struct cow_error err = { 0 };

	(void)cow_error_set(&err, code, "%s", message);
	answer(request->done, request->arg, &err, NULL);
}

static void start_next(struct cow_reconcile *r)
{
	struct request request = r->next;
	int code;

	cancel_waits(r);
	code = cow_reconcile_plan(r);
	r->next = (struct request){ 0 };
	if (code < 0) {
		cow_config_destroy(request.config);
		answer_code(&request, code, "reload: out of memory");
		return;
	}
	r->applying = true;
	r->done = request.done;
	r->done_arg = request.arg;
}

static void add_failures(struct cow_reconcile *r)
{
	bool any = false;

	for (size_t i = 0; i < r->count; i++) {
		if (r->items[i].phase != PHASE_FAILED)
			continue;
		cow_strbuf_add(&r->result, any ? "," : ",\"failed\":{");
		cow_strbuf_json(&r->result, r->items[i].name);
		cow_strbuf_add(&r->result, ":");
		cow_strbuf_json(&r->result, r->items[i].message);
		any = true;
	}
	cow_strbuf_add(&r->result, any ? "}}" : "}");
}

static bool all_gone(const struct cow_reconcile *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].phase != PHASE_GONE && r->items[i].phase != PHASE_FAILED)
			return false;
	return true;
}

/* No verb is in flight: what was asked for is done, as far as it can be at once. */
static void settled(struct cow_reconcile *r)
{
	cow_engine_cb done = r->done;
	struct cow_error err = { 0 };
	char *result;

	if (r->stopping) {
		if (!all_gone(r))
			return;
		r->done = NULL;
		answer(done, r->done_arg, NULL, "{}");
		return;
	}
	if (r->applying) {
		r->applying = false;
		r->done = NULL;
		add_failures(r);
		result = cow_strbuf_take(&r->result);
		if (!result)
			(void)cow_error_errno(&err, -ENOMEM, "reload");
		answer(done, r->done_arg, result ? NULL : &err, result);
		free(result);
	}
	if (r->next.config) {
		start_next(r);
		r->again = true;
	}
}

static void look(struct cow_reconcile *r)
{
	r->again = true;
	if (r->looking)
		return;
	r->looking = true;
	while (r->again) {
		r->again = false;
		for (size_t i = 0; i < r->count; i++)
			r->again |= look_item(r, &r->items[i]);
		if (!r->again && r->verbs == 0)
			settled(r);
	}
	r->looking = false;
}

static void look_later(struct cow_timer *timer, void *arg)
{
	(void)timer;
	look(arg);
}

/* ---- for the caller */

int cow_reconcile_create(const struct cow_reconcile_setup *setup, struct cow_reconcile **ret,
			 struct cow_error *err)
{
	struct cow_reconcile *r = calloc(1, sizeof(*r));

	if (!r)
		return cow_error_errno(err, -ENOMEM, "reconcile");
	r->setup = *setup;
	cow_list_init(&r->jobs);
	*ret = r;
	return 0;
}

void cow_reconcile_apply(struct cow_reconcile *r, struct cow_config *config, bool start_resting,
			 cow_engine_cb done, void *arg)
{
	struct request request = { config, start_resting, done, arg };
	struct request old = r->stopping ? request : r->next;

	if (!r->stopping) {
		request.start_resting |= r->next.start_resting;
		r->next = request;
		(void)cow_timer_start(r->setup.timers, &r->timer, 0, look_later, r);
	}
	if (!old.config)
		return;
	cow_config_destroy(old.config);
	answer_code(&old, -ECANCELED, r->stopping ? "the supervisor is shutting down" :
						   "superseded by a newer reload");
}

void cow_reconcile_stop(struct cow_reconcile *r, int64_t timeout_ms, bool remove,
			cow_engine_cb done, void *arg)
{
	struct request old = r->next;
	struct request applying = { NULL, false, r->done, r->done_arg };

	r->next = (struct request){ 0 };
	r->stopping = true;
	r->remove = remove;
	r->stop_timeout_ms = timeout_ms;
	r->done = done;
	r->done_arg = arg;
	cancel_waits(r);
	if (r->applying)
		answer_code(&applying, -ECANCELED, "the supervisor is shutting down");
	if (old.config) {
		cow_config_destroy(old.config);
		answer_code(&old, -ECANCELED, "the supervisor is shutting down");
	}
	r->applying = false;
	if (cow_reconcile_plan_stop(r) < 0)
		for (size_t i = 0; i < r->count; i++)
			r->items[i].blocker_count =
				0; /* without memory for the order, without order */
	(void)cow_timer_start(r->setup.timers, &r->timer, 0, look_later, r);
}

static void ignore(void *arg, const struct cow_error *err, const char *result)
{
	(void)arg;
	(void)err;
	(void)result;
}

void cow_reconcile_kill(struct cow_reconcile *r)
{
	r->killed = true;
	r->stop_timeout_ms = 0;
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].phase == PHASE_STOPPING)
			cow_engine_container_kill(r->setup.engine, r->items[i].name, SIGKILL, true,
						  ignore, NULL);
	(void)cow_timer_start(r->setup.timers, &r->timer, 0, look_later, r);
}

const struct cow_config *cow_reconcile_config(const struct cow_reconcile *r)
{
	return r->next.config ? r->next.config : r->config;
}

bool cow_reconcile_waiting(const struct cow_reconcile *r)
{
	if (r->next.config || r->verbs)
		return true;
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].phase == PHASE_WAIT)
			return true;
	return false;
}

void cow_reconcile_destroy(struct cow_reconcile *r)
{
	if (!r)
		return;
	cow_timer_stop(r->setup.timers, &r->timer);
	cow_list_for_safe(l, tmp, &r->jobs) {
		job_free(cow_container_of(l, struct job, link));
	}
	cow_reconcile_drop_items(r);
	cow_strbuf_finish(&r->result);
	cow_config_destroy(r->config);
	cow_config_destroy(r->next.config);
	free(r);
}
