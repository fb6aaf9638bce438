/* SPDX-License-Identifier: MIT */
/* Stop, kill, pause, resume, restart, resize: wishes, and what they ask of the backend. */
#include "engine/container.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>

static void stop_answered(void *arg, const struct cow_answer *answer)
{
	struct container *c = arg;
	struct cow_error err = { 0 };

	c->call = 0;
	if (answer->code < 0)
		call_error(answer, &err);
	if (answer->code < 0 && c->state == COW_STATE_RESUMING)
		c->wishes |= COW_FACT_PAUSE; /* it stays as it is */
	container_answered(c, &err);
}

static int stop_call(struct container *c, const struct cow_backend *b, enum cow_action action,
		     cow_op op)
{
	const struct cowherd_backend *t = &b->table;
	int signo = c->stop_signal ? c->stop_signal : c->def->stop_signal;

	switch (action) {
	case COW_ACTION_PAUSE:
		return t->pause ? t->pause(b->arg, op, c->system) : -ENOTSUP;
	case COW_ACTION_RESUME:
		return t->resume ? t->resume(b->arg, op, c->system) : -ENOTSUP;
	case COW_ACTION_SHUTDOWN:
		if (t->shutdown)
			return t->shutdown(b->arg, op, c->system, signo);
		return t->signal(b->arg, op, c->system, 0, signo, 0);
	default:
		return t->terminate(b->arg, op, c->system);
	}
}

/* Of what could not be adopted only the record is known: releasing that ends it, and proves it. */
static void unknown_released(void *arg, const struct cow_error *err)
{
	const struct cowherd_exit lost = { .size = sizeof(lost),
					   .code = -1,
					   .reason = "its end was not seen" };
	struct container *c = arg;

	if (!err) {
		c->ended = true;
		(void)ending_set(&c->ending, &lost);
	}
	container_answered(c, err);
}

void stop_act(struct container *c, enum cow_action action)
{
	const struct cow_backend *backend = container_backend(c);
	struct cow_error err = { 0 };
	cow_op op;
	int rc = backend ? 0 : -ENOENT;

	c->busy = true;
	if (!c->system && rc == 0) {
		if (!c->release) /* else it is asked already */
			release_start(c, c->backend, 0, unknown_released, c);
		return;
	}
	if (rc == 0)
		rc = call_open(c, backend->table.name, 0, stop_answered, c, &op);
	if (rc < 0) {
		(void)cow_error_errno(&err, rc, "backend %s", c->backend ? c->backend : "?");
		container_answered(c, &err);
		return;
	}
	c->call = op;
	call_returned(c->engine, op, stop_call(c, backend, action, op));
}

/* ---- verbs */

static struct container *verb_container(struct cow_engine *e, const char *key, struct waiter *w)
{
	struct cow_error err = { 0 };
	struct container *c = container_find(e, key, &err);

	if (!c)
		waiter_fail(w, &err);
	return c;
}

/* A verb without a transaction has a name of its own too, unless one is under way. */
static void operation_begin(struct container *c)
{
	if (!c->txn)
		cow_uuid_v4(c->txn_id);
}

static bool is_alive_or_to_be(const struct container *c)
{
	return container_alive(c) || c->state == COW_STATE_STARTING ||
	       c->state == COW_STATE_RESTARTING || c->state == COW_STATE_DRAINING ||
	       c->state == COW_STATE_RECOVERING;
}

void cow_engine_container_stop(struct cow_engine *e, const char *key, int64_t timeout_ms, int signo,
			       cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_STOP, cb, arg);
	struct container *c = w ? verb_container(e, key, w) : NULL;

	if (!c)
		return;
	if (!is_alive_or_to_be(c)) {
		if (c->state == COW_STATE_CREATING)
			waiter_refuse(w, -EBUSY, "container %s: is being created", c->def->name);
		else
			waiter_ok(w, result_ending(c));
		return;
	}
	operation_begin(c);
	cow_list_add(&c->waiters, &w->link);
	c->stopped_by_user = true;
	c->stop_signal = signo;
	c->stop_ms = timeout_ms < 0 || timeout_ms >= UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms;
	c->wishes |= timeout_ms == 0 ? COW_FACT_KILL : COW_FACT_STOP;
	c->wishes &= ~(uint32_t)(COW_FACT_RUN | COW_FACT_RESTART);
	container_look(c);
}

void cow_engine_container_restart(struct cow_engine *e, const char *key, int64_t timeout_ms,
				  cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_RESTART, cb, arg);
	struct container *c = w ? verb_container(e, key, w) : NULL;

	if (!c)
		return;
	if (e->closing) {
		waiter_refuse(w, -ESHUTDOWN, "the supervisor is shutting down");
		return;
	}
	switch (c->state) {
	case COW_STATE_DELETING:
	case COW_STATE_DELETED:
	case COW_STATE_FAILED:
	case COW_STATE_DEAD:
	case COW_STATE_UNKNOWN:
		waiter_refuse(w, -EINVAL,
			      "container %s: cannot start a container in the '%s' state",
			      c->def->name, cow_state_info(c->state)->name);
		return;
	default:
		break;
	}
	operation_begin(c);
	cow_list_add(&c->waiters, &w->link);
	container_cycle(c, timeout_ms);
}

/* End, if it lives, and run again. */
void container_cycle(struct container *c, int64_t timeout_ms)
{
	c->stopped_by_user = false;
	c->stop_signal = 0;
	c->stop_ms = timeout_ms < 0 || timeout_ms >= UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms;
	if (container_alive(c))
		c->wishes |= timeout_ms == 0 ? COW_FACT_KILL : COW_FACT_STOP;
	c->wishes |= COW_FACT_RUN;
	container_look(c);
}

/* The backend's answer is the caller's. */
static int verb_call(struct container *c, struct waiter *w, cow_op *ret_op)
{
	const struct cow_backend *backend = container_backend(c);
	int rc;

	if (!c->system || !backend) {
		waiter_refuse(w, -ESRCH, "container %s: is not running", c->def->name);
		return -ESRCH;
	}
	rc = call_open(c, backend->table.name, 0, waiter_answered, w, ret_op);
	if (rc < 0) {
		waiter_refuse(w, rc, "container %s: %s", c->def->name, cow_errno_text(rc));
		return rc;
	}
	cow_list_add(&c->waiters, &w->link);
	return 0;
}

void cow_engine_container_kill(struct cow_engine *e, const char *key, int signo, bool all,
			       cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, cb, arg);
	struct container *c = w ? verb_container(e, key, w) : NULL;
	const struct cow_backend *backend = c ? container_backend(c) : NULL;
	cow_op op;

	if (!c)
		return;
	if (signo == 0)
		signo = SIGKILL;
	if (signo == SIGKILL && (container_alive(c) || c->state == COW_STATE_RESTARTING)) {
		/* Not only a signal: also for what is frozen, and until its death is proved. */
		operation_begin(c);
		c->stopped_by_user = true;
		c->wishes |= COW_FACT_KILL;
		c->wishes &= ~(uint32_t)(COW_FACT_RUN | COW_FACT_RESTART);
		waiter_ok(w, NULL);
		container_look(c);
		return;
	}
	if (!container_alive(c)) {
		waiter_refuse(w, -ESRCH, "container %s: is not running", c->def->name);
		return;
	}
	if (signo == c->def->stop_signal)
		c->stopped_by_user = true;
	if (verb_call(c, w, &op) == 0)
		call_returned(e, op, backend->table.signal(backend->arg, op, c->system, 0, signo,
							   all ? COWHERD_SIGNAL_ALL : 0));
}

void cow_engine_container_pause(struct cow_engine *e, const char *key, cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_PAUSE, cb, arg);
	struct container *c = w ? verb_container(e, key, w) : NULL;

	if (!c)
		return;
	if (c->state != COW_STATE_RUNNING && c->state != COW_STATE_PAUSING) {
		waiter_refuse(w, c->state == COW_STATE_PAUSED ? -EALREADY : -ESRCH,
			      "container %s: is %s", c->def->name, cow_state_info(c->state)->name);
		return;
	}
	operation_begin(c);
	cow_list_add(&c->waiters, &w->link);
	c->wishes |= COW_FACT_PAUSE;
	container_look(c);
}

void cow_engine_container_resume(struct cow_engine *e, const char *key, cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_RESUME, cb, arg);
	struct container *c = w ? verb_container(e, key, w) : NULL;

	if (!c)
		return;
	if (c->state != COW_STATE_PAUSED && c->state != COW_STATE_RESUMING) {
		waiter_refuse(w, -EINVAL, "container %s: is not paused", c->def->name);
		return;
	}
	operation_begin(c);
	cow_list_add(&c->waiters, &w->link);
	c->wishes &= ~(uint32_t)COW_FACT_PAUSE;
	container_look(c);
}

void cow_engine_container_resize(struct cow_engine *e, const char *key, uint64_t exec,
				 uint16_t height, uint16_t width, cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, cb, arg);
	struct container *c = w ? verb_container(e, key, w) : NULL;
	const struct cow_backend *backend = c ? container_backend(c) : NULL;
	struct process *p = c && exec ? process_find(c, exec) : NULL;
	cow_op op;

	if (!c)
		return;
	if (exec && !p)
		waiter_refuse(w, -ENOENT, "container %s: no such exec", c->def->name);
	else if (backend && !backend->table.resize)
		waiter_refuse(w, -ENOTSUP, "container %s: its backend has no terminals",
			      c->def->name);
	else if (verb_call(c, w, &op) == 0)
		call_returned(e, op, backend->table.resize(backend->arg, op, c->system,
							   p ? p->handle : 0, height, width));
}
