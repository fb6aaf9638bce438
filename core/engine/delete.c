/* SPDX-License-Identifier: MIT */
/*
 * Delete: the definition goes first, which commits it; then what is held, newest first; then the
 * rest.
 */
#include "engine/container.h"

#include "base/log.h"

#include <errno.h>

static void delete_told(void *arg)
{
	container_answered(arg, NULL);
}

static void delete_released(void *arg, const struct cow_error *err)
{
	struct container *c = arg;
	struct cow_error why = { 0 };

	if (err) {
		container_answered(c, err);
		return;
	}
	c->made = false;
	log_drop(c);
	cow_ledger_close(c->ledger);
	c->ledger = NULL;
	cow_ledger_close(c->durable);
	c->durable = NULL;
	(void)dirs_drop(c, &why);
	if (why.code < 0) {
		container_answered(c, &why);
		return;
	}
	/* Waited for: what a hook still finds of it must be gone before its name is free again. */
	hooks_run(c->engine, COWHERD_HOOK_CONTAINER_DELETED, c->def->id, delete_told, c);
}

void delete_act(struct container *c)
{
	c->busy = true;
	cow_uuid_v4(c->txn_id);
	(void)record_remove_definition(c);
	io_close(c);
	container_drop_system(c);
	release_start(c, NULL, c->forced ? RELEASE_FORCE : 0, delete_released, c);
}

static bool needs_force(const struct container *c)
{
	switch (c->state) {
	case COW_STATE_CREATED:
	case COW_STATE_STOPPED:
	case COW_STATE_DELETING:
	case COW_STATE_DELETED:
	case COW_STATE_FAILED:
	case COW_STATE_DEAD:
		return false;
	default:
		return true;
	}
}

void cow_engine_container_delete(struct cow_engine *e, const char *key, bool force,
				 cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_DELETE, cb, arg);
	struct cow_error err = { 0 };
	struct container *c;

	if (!w)
		return;
	c = container_find(e, key, &err);
	if (!c) {
		waiter_fail(w, &err);
		return;
	}
	if (!force && needs_force(c)) {
		waiter_refuse(w, -EBUSY, "cannot delete container %s that is not stopped: %s",
			      c->def->name, cow_state_info(c->state)->name);
		return;
	}
	cow_list_add(&c->waiters, &w->link);
	c->forced = force;
	c->stopped_by_user = true;
	c->wishes |= COW_FACT_DELETE | (needs_force(c) ? COW_FACT_KILL : 0);
	c->wishes &= ~(uint32_t)(COW_FACT_RUN | COW_FACT_RESTART);
	container_look(c);
}
