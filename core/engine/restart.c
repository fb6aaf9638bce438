/* SPDX-License-Identifier: MIT */
/* Restart policies: whether to run again, and after which delay. */
#include "engine/container.h"

#include <stdlib.h>

/* The delay doubles with each failure in a row; a quarter of it is chance, against herds. */
static uint64_t delay_of(const struct container *c)
{
	const struct cow_restart *r = &c->def->restart;
	uint64_t delay = r->delay_ms;

	for (uint32_t i = 1; i < c->failures && delay < r->max_delay_ms; i++)
		delay *= 2;
	if (r->max_delay_ms && delay > r->max_delay_ms)
		delay = r->max_delay_ms;
	return delay - (delay / 4) * ((uint64_t)rand_r(&c->engine->chance) % 1000) / 1000;
}

static bool policy_wants(const struct container *c, bool failed_start)
{
	switch (c->def->restart.policy) {
	case COW_RESTART_ON_FAILURE:
		return failed_start || c->ending.code != 0;
	case COW_RESTART_ALWAYS:
	case COW_RESTART_UNLESS_STOPPED:
		return true;
	case COW_RESTART_NO:
		break;
	}
	return false;
}

bool restart_wanted(struct container *c, bool failed_start)
{
	const struct cow_restart *r = &c->def->restart;

	if (c->engine->closing || c->stopped_by_user ||
	    c->wishes & (COW_FACT_DELETE | COW_FACT_RUN) || !policy_wants(c, failed_start) ||
	    (r->max_retries && c->failures >= r->max_retries))
		return false;
	c->failures++;
	c->restarts++;
	c->backoff_ms = delay_of(c);
	return true;
}

static void ran_long_enough(struct cow_timer *timer, void *arg)
{
	struct container *c = arg;

	(void)timer;
	c->failures = 0;
}

void restart_running(struct container *c)
{
	const struct cow_restart *r = &c->def->restart;

	if (r->policy != COW_RESTART_NO && r->reset_after_ms && !cow_timer_active(&c->stable))
		(void)cow_timer_start(c->engine->setup.timers, &c->stable, r->reset_after_ms,
				      ran_long_enough, c);
}
