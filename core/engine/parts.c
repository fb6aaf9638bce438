/* SPDX-License-Identifier: MIT */
/*
 * The steps that create and start are made of: release what an earlier life left, every allocator
 * in its phase, the backend's create, the record, the backend's start.  Which of them run is the
 * caller's choice; each undoes itself by releasing what the ledger has under its name.
 */
#include "engine/container.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* One step of a transaction, as its arg. */
struct part {
	struct container *container;
	const struct cow_allocator *allocator; /* of an allocator's step */
	struct call call;
	cow_op undo;
};

struct parts {
	uint32_t count;
	struct part part[];
};

void parts_forget(struct container *c)
{
	struct parts *parts = c->parts;

	if (!parts)
		return;
	for (uint32_t i = 0; i < parts->count; i++)
		call_leave(c->engine, &parts->part[i].call);
	free(parts);
	c->parts = NULL;
}

/* ---- undo: by the records */

static void part_released(void *arg, const struct cow_error *err)
{
	struct part *p = arg;

	(void)cow_ops_answer(p->container->engine->setup.ops, p->undo,
			     &(struct cow_answer){ .code = err ? err->code : 0,
						   .message = err ? err->message : NULL });
}

static int undo_take(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;

	(void)err;
	call_leave(p->container->engine, &p->call);
	/* A start that fails does not cost a container its files. */
	if (p->container->recorded && p->allocator->table.flags & COWHERD_DURABLE)
		return 0;
	p->undo = op;
	release_start(p->container, p->allocator->table.name, 0, part_released, p);
	return COW_LATER;
}

static int undo_make(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;
	struct container *c = p->container;

	(void)err;
	call_leave(c->engine, &p->call);
	io_close(c);
	container_drop_system(c);
	if (!c->backend)
		return 0;
	p->undo = op;
	release_start(c, c->backend, 0, part_released, p);
	return COW_LATER;
}

/* ---- allocators */

static int run_take(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;
	const struct cow_allocator *a = p->allocator;
	struct cowherd_request request;

	(void)err;
	container_request(p->container, &request);
	call_enter(p->container, &p->call, op, a->table.name, a->table.flags);
	return a->table.acquire(a->arg, op, &request);
}

static int answered_take(void *arg, const struct cow_answer *answer, struct cow_error *err)
{
	struct part *p = arg;

	(void)answer;
	(void)err;
	call_leave(p->container->engine, &p->call);
	return 0;
}

static void cancel_take(void *arg, cow_op op)
{
	struct part *p = arg;

	if (p->allocator->table.cancel)
		p->allocator->table.cancel(p->allocator->arg, op);
}

/* ---- the backend */

static int run_make(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;
	struct container *c = p->container;
	struct cowherd_stdio stdio;
	struct cowherd_request request;
	const struct cow_backend *backend = container_backend(c);
	int rc;

	if (!backend)
		return cow_error_set(err, -ENOENT, "backend %s: not loaded", c->backend);
	container_request(c, &request);
	rc = io_prepare(c, &stdio, err);
	if (rc < 0)
		return rc;
	call_enter(c, &p->call, op, backend->table.name, 0);
	rc = backend->table.create(backend->arg, op, &request, &stdio);
	return rc ? rc :
		    cow_error_set(err, -EPROTO, "backend %s: returned without a compute system",
				  c->backend);
}

static int answered_make(void *arg, const struct cow_answer *answer, struct cow_error *err)
{
	struct part *p = arg;
	struct container *c = p->container;
	const struct cowherd_answer *payload = answer->payload;
	int master = cow_host_take_fd(answer);
	int rc;

	call_leave(c->engine, &p->call);
	if (!payload || !payload->handle) {
		if (master >= 0)
			(void)close(master);
		return cow_error_set(err, -EPROTO, "backend %s: answered without a compute system",
				     c->backend);
	}
	container_take_system(c, payload->handle, payload->pid);
	rc = io_made(c, master);
	return rc < 0 ? cow_error_errno(err, rc, "stdio") : 0;
}

static void cancel_backend(void *arg, cow_op op)
{
	struct part *p = arg;
	const struct cow_backend *backend = container_backend(p->container);

	if (backend && backend->table.cancel)
		backend->table.cancel(backend->arg, op);
}

static int run_stale(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;

	(void)err;
	io_close(p->container);
	container_drop_system(p->container);
	p->undo = op;
	release_start(p->container, p->container->made ? p->container->backend : NULL,
		      RELEASE_VOLATILE, part_released, p);
	return COW_LATER;
}

static int run_start(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;
	struct container *c = p->container;
	const struct cow_backend *backend = container_backend(c);
	int rc;

	if (!backend)
		return cow_error_set(err, -ENOENT, "backend %s: not loaded", c->backend);
	if (c->ended)
		return cow_error_set(err, -ESRCH, "container %s: ended before it was started",
				     c->def->name);
	c->started_ns = cow_realtime_ns();
	c->ran = true;
	ending_finish(&c->ending);
	rc = record_write_state(c); /* before it runs: a successor must know that it may have */
	if (rc < 0)
		return cow_error_errno(err, rc, "state record");
	hooks_run(c->engine, COWHERD_HOOK_CONTAINER_START, c->def->id, NULL, NULL);
	call_enter(c, &p->call, op, backend->table.name, 0);
	return backend->table.start(backend->arg, op, c->system);
}

static int run_settle(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;

	(void)op;
	return image_settle(p->container, err);
}

static int run_record(void *arg, cow_op op, struct cow_error *err)
{
	struct part *p = arg;

	(void)op;
	return record_write_definition(p->container, err);
}

/* ---- the row */

/* Before anything is taken: a spec that nobody can run costs nothing. */
static int choose_backend(struct container *c, struct cow_error *err)
{
	struct cow_host *host = c->engine->setup.host;
	const struct cow_backend *backend;
	struct cowherd_request request;

	if (c->backend)
		return container_backend(c) ?
			       0 :
			       cow_error_set(err, -ENOENT, "backend %s: not loaded", c->backend);
	container_request(c, &request);
	if (c->def->backend) {
		backend = cow_host_backend(host, c->def->backend);
		if (!backend)
			return cow_error_set(err, -ENOENT, "backend %s: no such backend",
					     c->def->backend);
		if (backend->table.supports(backend->arg, &request) <= 0)
			return cow_error_set(err, -ENOTSUP, "backend %s: cannot run this spec",
					     c->def->backend);
	} else {
		backend = cow_host_choose_backend(host, &request);
		if (!backend)
			return cow_error_set(err, -ENOTSUP,
					     "container %s: no backend can run this spec",
					     c->def->name);
	}
	c->backend = strdup(backend->table.name);
	return c->backend ? 0 : cow_error_set(err, -ENOMEM, "backend: out of memory");
}

static int parts_add(struct container *c, const struct cow_step *proto,
		     const struct cow_allocator *a)
{
	struct part *p = &c->parts->part[c->parts->count++];
	struct cow_step step = *proto;

	p->container = c;
	p->allocator = a;
	step.arg = p;
	return cow_txn_add(c->txn, &step);
}

static int parts_allocators(struct container *c)
{
	const struct cow_allocator *const *all;
	uint32_t n = cow_host_allocators(c->engine->setup.host, &all);
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct cowherd_allocator *t = &all[i]->table;
		struct cow_step step = {
			.name = t->name,
			.phase = (enum cow_phase)t->phase,
			.run_ms = t->acquire_ms ? t->acquire_ms : CALL_MS,
			.partial = true,
			.run = run_take,
			.undo = undo_take,
			.answered = answered_take,
			.cancel = cancel_take,
		};

		rc = parts_add(c, &step, all[i]);
	}
	return rc;
}

static uint32_t backend_ms(struct container *c, size_t member)
{
	const struct cow_backend *backend = container_backend(c);
	uint32_t ms = 0;

	if (backend)
		memcpy(&ms, (const char *)&backend->table + member, sizeof(ms));
	return ms ? ms : CALL_MS;
}

static int parts_fill(struct container *c, unsigned which)
{
	const struct cow_step stale = { .name = "release",
					.phase = COW_PHASE_IDENTITY,
					.run = run_stale };
	const struct cow_step make = {
		.name = "create",
		.phase = COW_PHASE_COMPUTE,
		.run_ms = backend_ms(c, offsetof(struct cowherd_backend, create_ms)),
		.partial = true,
		.run = run_make,
		.undo = undo_make,
		.answered = answered_make,
		.cancel = cancel_backend,
	};
	const struct cow_step settle = { .name = "user",
					 .phase = COW_PHASE_DOCUMENT,
					 .run = run_settle };
	const struct cow_step record = { .name = "record",
					 .phase = COW_PHASE_COMPUTE,
					 .run = run_record };
	const struct cow_step start = {
		.name = "start",
		.phase = COW_PHASE_COMPUTE,
		.run_ms = backend_ms(c, offsetof(struct cowherd_backend, start_ms)),
		.run = run_start,
		.cancel = cancel_backend,
	};
	int rc = 0;

	if (which & PARTS_STALE)
		rc = parts_add(c, &stale, NULL);
	if (rc == 0 && which & PARTS_TAKE && c->def->from_image)
		rc = parts_add(c, &settle, NULL);
	if (rc == 0 && which & PARTS_TAKE)
		rc = parts_allocators(c);
	if (rc == 0 && which & PARTS_MAKE)
		rc = parts_add(c, &make, NULL);
	if (rc == 0 && which & PARTS_RECORD)
		rc = parts_add(c, &record, NULL);
	if (rc == 0 && which & PARTS_START)
		rc = parts_add(c, &start, NULL);
	return rc;
}

/* A container is not run without the files that somebody who is not loaded keeps for it. */
static int check_durable(struct container *c, struct cow_error *err)
{
	const struct cow_ledger_entry *entry = c->durable ? cow_ledger_last(c->durable) : NULL;

	for (; entry; entry = cow_ledger_before(c->durable, entry->seq))
		if (!cow_host_allocator(c->engine->setup.host, entry->allocator))
			return cow_error_set(err, -ENOENT, "allocator %s: not loaded",
					     entry->allocator);
	return 0;
}

int parts_run(struct container *c, unsigned which, unsigned txn_flags, cow_txn_done_cb done,
	      struct cow_error *err)
{
	const struct cow_allocator *const *all;
	uint32_t n = cow_host_allocators(c->engine->setup.host, &all);
	int rc;

	if (which & PARTS_TAKE) { /* the spec is patched anew, from its beginning */
		free(c->patched);
		c->patched = NULL;
		c->tree_changed = false;
	}
	rc = which & PARTS_TAKE ? check_durable(c, err) : 0;
	if (rc == 0 && which & PARTS_MAKE)
		rc = network_begin(c, err);
	if (rc == 0)
		rc = choose_backend(c, err);
	if (rc < 0)
		return rc;
	c->txn =
		cow_txn_create(c->engine->setup.ops, c->engine->setup.timers, c->txn_id, txn_flags);
	c->parts = calloc(1, sizeof(*c->parts) + (n + 5) * sizeof(struct part));
	if (!c->txn || !c->parts || parts_fill(c, which) < 0) {
		cow_txn_destroy(c->txn);
		c->txn = NULL;
		parts_forget(c);
		return cow_error_set(err, -ENOMEM, "container: out of memory");
	}
	c->busy = true;
	cow_txn_run(c->txn, done, c);
	return 0;
}
