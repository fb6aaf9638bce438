/* SPDX-License-Identifier: MIT */
/* Callers: each is answered once, on a later turn of the loop. */
#include "engine/container.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const struct cow_error no_memory = { .code = -ENOMEM, .message = "out of memory" };

struct waiter *waiter_new(struct cow_engine *e, enum waiting kind, cow_engine_cb cb, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w) {
		cb(arg, &no_memory, NULL);
		return NULL;
	}
	cow_list_init(&w->link);
	w->engine = e;
	w->kind = kind;
	w->id = ++e->next_wait;
	w->cb = cb;
	w->arg = arg;
	return w;
}

static void waiter_queue(struct waiter *w)
{
	struct cow_engine *e = w->engine;

	cow_list_del(&w->link);
	cow_list_add(&e->replies, &w->link);
	engine_wake(e);
}

void waiter_ok(struct waiter *w, char *result)
{
	w->result = result;
	waiter_queue(w);
}

void waiter_fail(struct waiter *w, const struct cow_error *err)
{
	w->err = malloc(sizeof(*w->err));
	if (w->err)
		*w->err = *err;
	else
		w->err = (struct cow_error *)(uintptr_t)&no_memory;
	waiter_queue(w);
}

void waiter_refuse(struct waiter *w, int code, const char *format, ...)
{
	struct cow_error err = { .code = code };
	va_list args;

	va_start(args, format);
	(void)vsnprintf(err.message, sizeof(err.message), format, args);
	va_end(args);
	waiter_fail(w, &err);
}

static void waiter_free(struct waiter *w)
{
	if (w->err != &no_memory)
		free(w->err);
	free(w->result);
	free(w);
}

void waiters_flush(struct cow_engine *e)
{
	struct cow_list now;

	/* What is queued from inside a callback waits for the next turn. */
	cow_list_init(&now);
	while (!cow_list_empty(&e->replies)) {
		struct cow_list *l = e->replies.next;

		cow_list_del(l);
		cow_list_add(&now, l);
	}
	while (!cow_list_empty(&now)) {
		struct waiter *w = cow_container_of(now.next, struct waiter, link);

		cow_list_del(&w->link);
		w->cb(w->arg, w->err, w->err ? NULL : w->result ? w->result : "{}");
		waiter_free(w);
	}
}

void waiter_answered(void *arg, const struct cow_answer *answer)
{
	struct waiter *w = arg;
	const struct cowherd_answer *payload = answer->payload;
	struct cow_error err = { 0 };

	if (answer->code == 0) {
		waiter_ok(w, payload && payload->result ? strdup(payload->result) : NULL);
		return;
	}
	call_error(answer, &err);
	waiter_fail(w, &err);
}

void waiters_drop(struct cow_list *waiters)
{
	cow_list_for_safe(l, tmp, waiters) {
		struct waiter *w = cow_container_of(l, struct waiter, link);

		cow_list_del(l);
		if (w->drop)
			w->drop(w->arg);
		waiter_free(w);
	}
}

char *result_ids(struct container *c, const char *txn)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_add(&b, "{\"id\":");
	cow_strbuf_json(&b, c->def->id);
	cow_strbuf_add(&b, ",\"name\":");
	cow_strbuf_json(&b, c->def->name);
	if (c->pid > 0)
		cow_strbuf_addf(&b, ",\"pid\":%lld", (long long)c->pid);
	if (*txn)
		cow_strbuf_addf(&b, ",\"txn\":\"%s\"", txn);
	cow_strbuf_add(&b, "}");
	return cow_strbuf_take(&b);
}

char *result_ending(const struct container *c)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	const struct ending *end = &c->ending;

	cow_strbuf_add(&b, "{\"id\":");
	cow_strbuf_json(&b, c->def->id);
	ending_json(end, &b);
	cow_strbuf_addf(&b, ",\"state\":\"%s\"}", cow_state_info(c->state)->name);
	return cow_strbuf_take(&b);
}

void ending_json(const struct ending *end, struct cow_strbuf *b)
{
	if (end->known && end->code >= 0)
		cow_strbuf_addf(b, ",\"exit_code\":%d", end->code);
	else
		cow_strbuf_add(b, ",\"exit_code\":null");
	if (end->signal)
		cow_strbuf_addf(b, ",\"signal\":%d", end->signal);
	if (end->known)
		cow_strbuf_addf(b, ",\"oom\":%s", end->oom ? "true" : "false");
	if (end->reason) {
		cow_strbuf_add(b, ",\"reason\":");
		cow_strbuf_json(b, end->reason);
	}
}

/* How the callers who wait for something fare when a state is entered. */
enum fate { STAY, OK, ENDING, IDS, ERROR, GONE };

static enum fate fate_deleted(enum waiting kind)
{
	switch (kind) {
	case WAIT_CREATE:
		return ERROR;
	case WAIT_DELETE:
	case WAIT_RELEASE:
		return OK;
	case WAIT_FOR_REMOVED:
	case WAIT_FOR_STOPPED:
	case WAIT_STOP:
		return ENDING;
	default:
		return GONE;
	}
}

static enum fate fate_running(enum waiting kind, enum cow_state from)
{
	switch (kind) {
	case WAIT_START:
	case WAIT_RESTART:
	case WAIT_FOR_RUNNING:
		return IDS;
	case WAIT_RESUME:
		return OK;
	case WAIT_PAUSE:
		return from == COW_STATE_PAUSING ? ERROR : STAY;
	default:
		return STAY;
	}
}

static enum fate fate_resting(const struct container *c, enum waiting kind, enum cow_state from)
{
	bool stopped = c->state == COW_STATE_STOPPED;

	switch (kind) {
	case WAIT_STOP:
	case WAIT_FOR_STOPPED:
		return stopped ? ENDING : STAY;
	case WAIT_START:
	case WAIT_RESTART:
	case WAIT_FOR_RUNNING:
		return from == COW_STATE_STARTING ? ERROR : STAY;
	case WAIT_PAUSE:
	case WAIT_RESUME:
		return GONE;
	default: /* those who wait for health: report_act() knows whether there is hope */
		return STAY;
	}
}

static enum fate fate_of(const struct container *c, enum waiting kind, enum cow_state from)
{
	switch (c->state) {
	case COW_STATE_RUNNING:
		return fate_running(kind, from);
	case COW_STATE_CREATED:
		return kind == WAIT_CREATE ? IDS : fate_resting(c, kind, from);
	case COW_STATE_STOPPED:
	case COW_STATE_RESTARTING:
		return fate_resting(c, kind, from);
	case COW_STATE_PAUSED:
		return kind == WAIT_PAUSE ? OK : kind == WAIT_RESUME ? ERROR : STAY;
	case COW_STATE_UNKNOWN:
	case COW_STATE_DEAD:
		/* A plugin that was asked still has to answer: until then its caller must stay in
		 * memory. */
		return kind == WAIT_FOR_REMOVED || kind == WAIT_FOR_STOPPED || kind == WAIT_CALL ?
			       STAY :
			       ERROR;
	case COW_STATE_FAILED:
		return kind == WAIT_CREATE ? ERROR : STAY;
	case COW_STATE_DELETED:
		return fate_deleted(kind);
	default:
		return STAY;
	}
}

static void waiter_settle(struct container *c, struct waiter *w, enum fate fate)
{
	switch (fate) {
	case OK:
		waiter_ok(w, NULL);
		break;
	case ENDING:
		waiter_ok(w, result_ending(c));
		break;
	case IDS:
		waiter_ok(w, result_ids(c, c->txn_id));
		break;
	case ERROR:
		if (c->error)
			waiter_fail(w, c->error);
		else
			waiter_refuse(w, -EIO, "container %s: is %s", c->def->name,
				      cow_state_info(c->state)->name);
		break;
	case GONE:
		waiter_refuse(w, c->state == COW_STATE_DELETED ? -ENOENT : -ESRCH,
			      "container %s: is %s", c->def->name, cow_state_info(c->state)->name);
		break;
	case STAY:
		break;
	}
}

void waiters_settle(struct container *c, enum cow_state from)
{
	cow_list_for_safe(l, tmp, &c->waiters) {
		struct waiter *w = cow_container_of(l, struct waiter, link);

		waiter_settle(c, w, fate_of(c, w->kind, from));
	}
}

void waiters_answer(struct container *c, enum waiting kind, const struct cow_error *err)
{
	cow_list_for_safe(l, tmp, &c->waiters) {
		struct waiter *w = cow_container_of(l, struct waiter, link);

		if (w->kind != kind)
			continue;
		if (err)
			waiter_fail(w, err);
		else
			waiter_ok(w, result_ids(c, ""));
	}
}

/* Is it so already? */
static bool wait_holds(const struct container *c, enum waiting kind)
{
	switch (kind) {
	case WAIT_FOR_STOPPED:
		return c->state == COW_STATE_STOPPED || c->state == COW_STATE_DEAD ||
		       c->state == COW_STATE_FAILED;
	case WAIT_FOR_RUNNING:
		return c->state == COW_STATE_RUNNING;
	case WAIT_FOR_HEALTHY:
		return c->state == COW_STATE_RUNNING && strcmp(health_status(c), "healthy") == 0;
	default:
		return false;
	}
}

void cow_engine_container_wait(struct cow_engine *e, const char *key, enum cow_wait condition,
			       cow_engine_cb cb, void *arg, uint64_t *ret_wait)
{
	static const enum waiting kinds[] = {
		[COW_WAIT_STOPPED] = WAIT_FOR_STOPPED,
		[COW_WAIT_HEALTHY] = WAIT_FOR_HEALTHY,
		[COW_WAIT_RUNNING] = WAIT_FOR_RUNNING,
		[COW_WAIT_REMOVED] = WAIT_FOR_REMOVED,
	};
	struct waiter *w = waiter_new(e, kinds[condition], cb, arg);
	struct cow_error err = { 0 };
	struct container *c;

	if (ret_wait)
		*ret_wait = 0;
	if (!w)
		return;
	c = container_find(e, key, &err);
	if (!c) {
		waiter_fail(w, &err);
	} else if (condition == COW_WAIT_HEALTHY && !c->def->health.test) {
		waiter_refuse(w, -EINVAL, "container %s: has no health check", c->def->name);
	} else if (wait_holds(c, w->kind)) {
		waiter_ok(w, result_ending(c));
	} else {
		if (ret_wait)
			*ret_wait = w->id;
		cow_list_add(&c->waiters, &w->link);
	}
}

static bool wait_cancel_in(struct cow_list *waiters, uint64_t wait)
{
	cow_list_for(l, waiters) {
		struct waiter *w = cow_container_of(l, struct waiter, link);

		if (w->id != wait)
			continue;
		cow_list_del(&w->link);
		waiter_free(w);
		return true;
	}
	return false;
}

void cow_engine_wait_cancel(struct cow_engine *e, uint64_t wait)
{
	if (wait == 0 || wait_cancel_in(&e->replies, wait))
		return;
	cow_list_for(l, &e->containers) {
		struct container *c = cow_container_of(l, struct container, link);

		if (wait_cancel_in(&c->waiters, wait))
			return;
		cow_list_for(p, &c->processes) {
			if (wait_cancel_in(&cow_container_of(p, struct process, link)->waiters,
					   wait))
				return;
		}
	}
}
