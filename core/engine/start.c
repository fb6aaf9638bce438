/* SPDX-License-Identifier: MIT */
/* Start: make what compute is missing, then let init go.  And what follows an end. */
#include "engine/container.h"

#include "base/log.h"

#include <errno.h>

static void start_done(void *arg, const struct cow_txn_result *result)
{
	struct container *c = arg;
	bool failed = result->error.code < 0;

	c->txn = NULL;
	parts_forget(c);
	json_object_put(c->tree);
	c->tree = NULL;
	if (!failed)
		c->made = true;
	else if (c->taking)
		c->made = false;
	c->started = !failed;
	if (failed && c->automatic && restart_wanted(c, true))
		c->wishes |= COW_FACT_RESTART;
	container_answered(c, failed ? &result->error : NULL);
}

void start_act(struct container *c)
{
	struct cow_error err = { 0 };
	unsigned which = PARTS_START;

	c->automatic = !(c->wishes & COW_FACT_RUN);
	cow_uuid_v4(c->txn_id);
	c->start_order = ++c->engine->next_start;
	/* Never a second copy: what an earlier life left is proved gone first, or the start fails.
	 */
	if (c->system ? c->ended : container_held(c) > 0)
		which |= PARTS_STALE | PARTS_MAKE;
	if (!c->system)
		which |= PARTS_MAKE;
	c->taking = !c->made;
	if (c->taking)
		which |= PARTS_TAKE | PARTS_RECORD; /* where things are may be new */
	if (parts_run(c, which, 0, start_done, &err) < 0)
		container_answered(c, &err);
}

static const char *start_refused(const struct container *c)
{
	switch (c->state) {
	case COW_STATE_CREATING:
	case COW_STATE_CREATED:
	case COW_STATE_STARTING:
	case COW_STATE_STOPPING:
	case COW_STATE_KILLING:
	case COW_STATE_DRAINING:
	case COW_STATE_STOPPED:
	case COW_STATE_RESTARTING:
	case COW_STATE_RECOVERING:
		return NULL;
	default:
		return cow_state_info(c->state)->name;
	}
}

void cow_engine_container_start(struct cow_engine *e, const char *key, cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_START, cb, arg);
	struct cow_error err = { 0 };
	struct container *c;

	if (!w)
		return;
	c = container_find(e, key, &err);
	if (!c) {
		waiter_fail(w, &err);
	} else if (e->closing) {
		waiter_refuse(w, -ESHUTDOWN, "the supervisor is shutting down");
	} else if (c->state == COW_STATE_RUNNING) {
		waiter_ok(w, result_ids(c, c->txn_id));
	} else if (start_refused(c)) {
		waiter_refuse(w, -EINVAL,
			      "container %s: cannot start a container in the '%s' state",
			      c->def->name, start_refused(c));
	} else {
		cow_list_add(&c->waiters, &w->link);
		c->wishes |= COW_FACT_RUN;
		c->stopped_by_user = false;
		c->failures = 0;
		container_look(c);
	}
}

/* ---- the end of a life */

static void compute_released(void *arg, const struct cow_error *err)
{
	container_answered(arg, err);
}

void release_act(struct container *c)
{
	c->busy = true;
	io_close(c);
	container_drop_system(c);
	if (c->backend)
		release_start(c, c->backend, 0, compute_released, c);
	else
		container_answered(c, NULL);
}

void report_act(struct container *c)
{
	const struct cow_error hopeless = { .code = -ESRCH,
					    .message = "it ended before it was healthy" };
	struct cow_engine *e = c->engine;

	if (record_write_state(c) < 0)
		cow_log(.level = COW_LOG_WARN, .event = "record.failed", .container = c->def->id,
			.txn = c->txn_id, .msg = "the state record could not be written");
	if (restart_wanted(c, false))
		c->wishes |= COW_FACT_RESTART;
	else
		waiters_answer(c, WAIT_FOR_HEALTHY, &hopeless);
	if (c->def->auto_remove && !(c->wishes & (COW_FACT_RESTART | COW_FACT_RUN)))
		c->wishes |= COW_FACT_DELETE;
	hooks_run(e, COWHERD_HOOK_CONTAINER_STOPPED, c->def->id, NULL, NULL);
	release_act(c);
}
