/* SPDX-License-Identifier: MIT */
/*
 * Giving back what the ledger names, newest first, from the records alone.
 *
 * A compute system that cannot be released stops the run: what lies below it may be in use by
 * living processes.  Any other failure is kept (the first one) and the rest goes on.
 */
#include "engine/container.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

struct release {
	struct container *container;
	char *only; /* NULL: all */
	unsigned flags;
	release_done done;
	void *arg;
	struct cow_ledger *ledger; /* where entry seq is */
	uint64_t seq;              /* of the entry under way; all newer ones are done with */
	cow_op op;                 /* 0: none in flight */
	bool asking;               /* inside the plugin's function: the loop below goes on */
	bool compute;              /* the entry is a backend's */
	bool stop;
	struct cow_error error;
};

static void release_go(struct release *r);

uint32_t container_held(const struct container *c)
{
	return (c->ledger ? cow_ledger_count(c->ledger) : 0) +
	       (c->durable ? cow_ledger_count(c->durable) : 0);
}

static const struct cow_ledger_entry *entry_matching(const struct release *r,
						     const struct cow_ledger_entry *entry)
{
	while (entry && r->only && strcmp(entry->allocator, r->only) != 0)
		entry = cow_ledger_before(r->ledger, entry->seq);
	return entry;
}

/* The volatile ledger first: mounts before the files they show. */
static const struct cow_ledger_entry *entry_next(struct release *r)
{
	struct container *c = r->container;
	const struct cow_ledger_entry *entry = NULL;

	if (!r->ledger) {
		r->ledger = c->ledger;
		if (r->ledger)
			entry = entry_matching(r, cow_ledger_last(r->ledger));
	} else {
		entry = entry_matching(r, cow_ledger_before(r->ledger, r->seq));
	}
	if (!entry && r->ledger != c->durable && c->durable && !(r->flags & RELEASE_VOLATILE)) {
		r->ledger = c->durable;
		entry = entry_matching(r, cow_ledger_last(r->ledger));
	}
	return entry;
}

static void release_failed(struct release *r, int code, const char *who, const char *why)
{
	struct container *c = r->container;

	cow_log(.level = COW_LOG_WARN, .event = "release.failed", .msg = why,
		.container = c->def->id, .txn = c->txn_id, .step = who, .code = code,
		.has_code = true);
	if (r->error.code == 0)
		(void)snprintf(r->error.step, sizeof(r->error.step), "%s", who);
	(void)cow_error_set(&r->error, code, "%s", why);
	r->stop = r->stop || r->compute;
}

static void release_answered(void *arg, const struct cow_answer *answer)
{
	struct release *r = arg;
	const struct cow_ledger_entry *entry = NULL;

	r->op = 0;
	for (const struct cow_ledger_entry *l = cow_ledger_last(r->ledger); l && !entry;
	     l = cow_ledger_before(r->ledger, l->seq))
		entry = l->seq == r->seq ? l : NULL;
	if (answer->code < 0)
		release_failed(r, answer->code, entry ? entry->allocator : "release",
			       answer->message ? answer->message : cow_errno_text(answer->code));
	else if (entry)
		(void)cow_ledger_release(r->ledger, r->seq);
	if (!r->asking)
		release_go(r);
}

static int release_ask(struct release *r, const struct cow_ledger_entry *entry, cow_op *ret_op)
{
	struct container *c = r->container;
	struct cow_host *host = c->engine->setup.host;
	const struct cow_backend *backend = cow_host_backend(host, entry->allocator);
	const struct cow_allocator *allocator =
		backend ? NULL : cow_host_allocator(host, entry->allocator);
	struct cowherd_record record = { .size = sizeof(record),
					 .container = c->def->id,
					 .key = entry->key,
					 .record = entry->record,
					 .other_boot = entry->other_boot };
	uint32_t ms = backend   ? backend->table.release_ms :
		      allocator ? allocator->table.release_ms :
				  0;
	int rc;

	r->compute = backend != NULL;
	if (!backend && !allocator)
		return -ENOENT;
	rc = call_open(c, backend ? backend->table.name : allocator->table.name, ms,
		       release_answered, r, ret_op);
	if (rc < 0)
		return rc;
	r->op = *ret_op;
	if (backend)
		return backend->table.release(backend->arg, *ret_op, &record);
	return allocator->table.release(allocator->arg, *ret_op, &record);
}

static void release_one(struct release *r, const struct cow_ledger_entry *entry)
{
	cow_op op = 0;
	char who[COW_STEP_MAX];
	int rc;

	r->seq = entry->seq;
	(void)snprintf(who, sizeof(who), "%s", entry->allocator);
	r->asking = true;
	rc = release_ask(r, entry, &op);
	if (op) {
		call_returned(r->container->engine, op, rc);
	} else if (rc == -ENOENT && r->flags & RELEASE_FORCE) {
		cow_log(.level = COW_LOG_WARN, .event = "release.dropped", .step = who,
			.container = r->container->def->id,
			.msg = "no loaded plugin can release this");
		(void)cow_ledger_release(r->ledger, r->seq);
	} else {
		release_failed(r, rc, who, rc == -ENOENT ? "no loaded plugin can release this" :
							   cow_errno_text(rc));
	}
	r->asking = false;
}

static void release_go(struct release *r)
{
	struct container *c = r->container;

	while (!r->op && !r->stop) {
		const struct cow_ledger_entry *entry = entry_next(r);

		if (!entry)
			break;
		release_one(r, entry);
	}
	if (r->op)
		return;
	c->release = NULL;
	r->done(r->arg, r->error.code < 0 ? &r->error : NULL);
	free(r->only);
	free(r);
}

void release_start(struct container *c, const char *only, unsigned flags, release_done done,
		   void *arg)
{
	struct release *r = calloc(1, sizeof(*r));
	struct cow_error err = { .code = -ENOMEM, .message = "release: out of memory" };

	if (r && only) {
		r->only = strdup(only);
		if (!r->only) {
			free(r);
			r = NULL;
		}
	}
	if (!r) {
		done(arg, &err);
		return;
	}
	r->container = c;
	r->flags = flags;
	r->done = done;
	r->arg = arg;
	c->release = r;
	release_go(r);
}

void release_abandon(struct container *c)
{
	struct release *r = c->release;

	if (!r)
		return;
	c->release = NULL;
	if (r->op)
		call_abandon(c->engine, r->op);
	free(r->only);
	free(r);
}
