/* SPDX-License-Identifier: MIT */
/* The machine: facts, one step, the one setter, the step's action. */
#include "engine/container.h"

#include "base/log.h"

#include <errno.h>

bool container_alive(const struct container *c)
{
	return c->started && !c->ended;
}

uint32_t container_facts(const struct container *c)
{
	uint32_t facts = c->wishes;

	facts |= c->busy ? COW_FACT_BUSY : 0;
	facts |= c->failed ? COW_FACT_FAILED : 0;
	facts |= c->expired ? COW_FACT_EXPIRED : 0;
	facts |= container_alive(c) ? COW_FACT_ALIVE : 0;
	facts |= io_open(c) ? COW_FACT_OUTPUT : 0;
	facts |= container_held(c) ? COW_FACT_HELD : 0;
	facts |= c->keep ? COW_FACT_KEEP : 0;
	facts |= c->ran ? COW_FACT_RAN : 0;
	facts |= c->broken ? COW_FACT_BROKEN : 0;
	return facts;
}

static uint64_t deadline_of(const struct container *c, enum cow_state state)
{
	switch (cow_state_info(state)->deadline) {
	case COW_DEADLINE_STOP:
		return c->stop_ms != UINT32_MAX ? c->stop_ms : c->def->stop_ms;
	case COW_DEADLINE_KILL:
		return KILL_MS;
	case COW_DEADLINE_DRAIN:
		return DRAIN_MS;
	case COW_DEADLINE_BACKOFF:
		return c->backoff_ms;
	default: /* kept by the operation itself, or none */
		return UINT64_MAX;
	}
}

static void deadline_passed(struct cow_timer *timer, void *arg)
{
	struct container *c = arg;

	(void)timer;
	c->expired = true;
	container_look(c);
}

/* The one place where a container's state changes. */
static void set_state(struct container *c, const struct cow_move *step)
{
	struct cow_timers *t = c->engine->setup.timers;
	enum cow_state from = c->state;
	bool failed = c->failed;
	uint64_t after;

	c->state = step->to;
	c->wishes &= ~step->clears;
	c->busy = c->failed = c->expired = false;
	if (c->call) {
		call_abandon(c->engine, c->call);
		c->call = 0;
	}
	cow_timer_stop(t, &c->deadline);
	if (!(cow_state_info(step->to)->timers & COW_TIMER_HEALTH))
		health_leave(c);
	if (!(cow_state_info(step->to)->timers & COW_TIMER_STABLE))
		cow_timer_stop(t, &c->stable);
	after = deadline_of(c, step->to);
	if (after != UINT64_MAX)
		(void)cow_timer_start(t, &c->deadline, after, deadline_passed, c);
	cow_log(.level = COW_LOG_DEBUG, .event = "container.state", .container = c->def->id,
		.txn = c->txn_id, .state_from = cow_state_info(from)->name,
		.state_to = cow_state_info(step->to)->name);
	event_state(c, from, step->to, failed);
	if (step->to == COW_STATE_PAUSED || from == COW_STATE_RESUMING)
		(void)record_write_state(c); /* for a successor to know; its loss costs only that */
	if (step->to == COW_STATE_RUNNING) {
		restart_running(c);
		health_running(c);
	}
	waiters_settle(c, from);
}

static void act(struct container *c, enum cow_action action)
{
	switch (action) {
	case COW_ACTION_CANCEL:
		if (c->txn)
			cow_txn_cancel(c->txn, -ECANCELED);
		break;
	case COW_ACTION_START:
		start_act(c);
		break;
	case COW_ACTION_PAUSE:
	case COW_ACTION_RESUME:
	case COW_ACTION_SHUTDOWN:
	case COW_ACTION_TERMINATE:
		stop_act(c, action);
		break;
	case COW_ACTION_REPORT:
		report_act(c);
		break;
	case COW_ACTION_RELEASE:
		release_act(c);
		break;
	case COW_ACTION_DELETE:
		delete_act(c);
		break;
	case COW_ACTION_FORGET:
		container_bury(c);
		break;
	case COW_ACTION_NONE:
	case COW_ACTION_COUNT:
		break;
	}
}

void container_look(struct container *c)
{
	struct cow_move step;

	if (c->looking) {
		c->again = true;
		return;
	}
	c->looking = true;
	do {
		c->again = false;
		step = cow_container_step(c->state, container_facts(c));
		if (step.to != c->state) {
			set_state(c, &step);
			c->again = true;
		}
		act(c, step.action);
	} while (c->again && !cow_state_info(c->state)->final);
	c->looking = false;
	followers_wake(c);
	shutdown_check(c->engine);
}

void container_answered(struct container *c, const struct cow_error *err)
{
	c->busy = false;
	c->failed = err && err->code < 0;
	if (c->failed)
		(void)container_fail(c, err);
	container_look(c);
}
