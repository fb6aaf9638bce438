/* SPDX-License-Identifier: MIT */
/*
 * Shutdown: stop in reverse order of start, one after the other, until the deadline; then kill the
 * rest.
 */
#include "engine/container.h"

#include <errno.h>
#include <stdlib.h>

struct shutdown {
	struct cow_engine *engine;
	struct waiter *waiter;
	struct cow_timer deadline;
	const struct container *asked; /* to stop; the one everybody waits for */
	bool kill, hooked, done, checking;
};

static bool lives(const struct container *c)
{
	switch (c->state) {
	case COW_STATE_CREATED:
	case COW_STATE_STOPPED:
	case COW_STATE_FAILED:
	case COW_STATE_DEAD:
		return c->busy && !c->let_go;
	case COW_STATE_DELETED:
	case COW_STATE_UNKNOWN: /* asked in vain already */
		return false;
	default:
		return true;
	}
}

static void ask(struct shutdown *s, struct container *c)
{
	c->wishes &= ~(uint32_t)(COW_FACT_RUN | COW_FACT_RESTART);
	c->wishes |= s->kill ? COW_FACT_KILL : COW_FACT_STOP;
	c->stop_ms = UINT32_MAX;
	c->stop_signal = 0;
	container_look(c);
}

static struct container *newest(struct cow_engine *e)
{
	struct container *best = NULL;

	cow_list_for(l, &e->containers) {
		struct container *c = cow_container_of(l, struct container, link);

		if (lives(c) && (!best || c->start_order > best->start_order))
			best = c;
	}
	return best;
}

/* Mounts and the like, which nobody needs before the next start: nothing is left behind a shutdown. */
static void let_go_done(void *arg, const struct cow_error *err)
{
	struct container *c = arg;

	(void)err; /* told already; the next supervisor finds it in the ledger */
	c->made = false;
	c->busy = false;
	engine_wake(c->engine);
}

static bool let_go(struct cow_engine *e)
{
	bool waiting = false;

	cow_list_for_safe(l, tmp, &e->containers) {
		struct container *c = cow_container_of(l, struct container, link);

		bool rests = c->state == COW_STATE_STOPPED || c->state == COW_STATE_CREATED;

		if (!c->let_go && rests && !c->busy && c->ledger &&
		    cow_ledger_count(c->ledger)) {
			c->let_go = c->busy = true;
			io_close(c); /* what waits at its gate ends with the supervisor */
			container_drop_system(c);
			release_start(c, NULL, RELEASE_VOLATILE, let_go_done, c);
		}
		waiting = waiting || (c->let_go && c->busy);
	}
	return waiting;
}

static void hooks_done(void *arg)
{
	struct shutdown *s = arg;

	s->done = true;
	engine_wake(s->engine);
}

/* Called whenever something changed; nothing is remembered but how far it is. */
void shutdown_check(struct cow_engine *e)
{
	struct shutdown *s = e->shutdown;
	struct container *c;

	if (!s || s->checking)
		return;
	s->checking = true;
	c = newest(e);
	if (c && !s->kill && c != s->asked) {
		s->asked = c;
		ask(s, c);
	}
	if (!c && !let_go(e) && !s->hooked) {
		s->hooked = true;
		hooks_run(e, COWHERD_HOOK_SUPERVISOR_SHUTDOWN, NULL, hooks_done, s);
	}
	s->checking = false;
	if (s->done && cow_list_empty(&e->graves)) {
		cow_timer_stop(e->setup.timers, &s->deadline);
		e->shutdown = NULL;
		waiter_ok(s->waiter, NULL);
		free(s);
	}
}

static void kill_all(struct shutdown *s)
{
	s->kill = true;
	cow_list_for_safe(l, tmp, &s->engine->containers) {
		struct container *c = cow_container_of(l, struct container, link);

		if (lives(c))
			ask(s, c);
	}
}

static void too_late(struct cow_timer *timer, void *arg)
{
	(void)timer;
	kill_all(arg);
}

static bool shutdown_again(struct cow_engine *e, uint32_t timeout_ms, bool kill, struct waiter *w)
{
	struct shutdown *s = e->shutdown;

	if (!s)
		return false;
	/* The second Ctrl-C: the first caller is answered with the second. */
	waiter_refuse(w, -EALREADY, "the supervisor is shutting down");
	if (kill)
		kill_all(s);
	else
		(void)cow_timer_start(e->setup.timers, &s->deadline, timeout_ms, too_late, s);
	return true;
}

void cow_engine_shutdown(struct cow_engine *e, uint32_t timeout_ms, bool kill, cow_engine_cb done,
			 void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, done, arg);
	struct shutdown *s;

	if (!w || shutdown_again(e, timeout_ms, kill, w))
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		waiter_refuse(w, -ENOMEM, "shutdown: out of memory");
		return;
	}
	e->closing = true;
	e->shutdown = s;
	s->engine = e;
	s->waiter = w;
	if (kill)
		kill_all(s);
	else
		(void)cow_timer_start(e->setup.timers, &s->deadline, timeout_ms, too_late, s);
	engine_wake(e);
}

void shutdown_abandon(struct cow_engine *e)
{
	struct shutdown *s = e->shutdown;

	if (!s)
		return;
	cow_timer_stop(e->setup.timers, &s->deadline);
	e->shutdown = NULL;
	waiter_refuse(s->waiter, -ECANCELED, "the engine is gone");
	free(s);
}
