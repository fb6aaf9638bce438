/* SPDX-License-Identifier: MIT */
/* Operations asked of plugins, and what plugins tell while they work on them. */
#include "engine/container.h"
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

void call_enter(struct container *c, struct call *call, cow_op op, const char *who, uint32_t flags)
{
	call->op = op;
	call->container = c;
	call->who = who;
	call->flags = flags;
	hash_add(&c->engine->calls, &call->node, hash_number(op));
}

void call_leave(struct cow_engine *e, struct call *call)
{
	hash_del(&e->calls, &call->node);
	call->op = 0;
}

static struct call *call_find(struct cow_engine *e, cow_op op)
{
	for (struct hash_node *n = hash_first(&e->calls, hash_number(op)); n; n = hash_next(n)) {
		struct call *call = cow_container_of(n, struct call, node);

		if (call->op == op)
			return call;
	}
	return NULL;
}

static void call_free(struct cow_engine *e, struct call *call)
{
	call_leave(e, call);
	cow_list_del(&call->link);
	free(call);
}

static void call_done(void *arg, cow_op op, const struct cow_answer *answer)
{
	struct call *call = arg;
	struct container *c = call->container;
	void (*cb)(void *, const struct cow_answer *) = call->cb;
	void *cb_arg = call->arg;

	(void)op;
	call_free(c->engine, call);
	cb(cb_arg, answer);
}

int call_open(struct container *c, const char *who, uint32_t ms,
	      void (*cb)(void *arg, const struct cow_answer *answer), void *arg, cow_op *ret)
{
	struct call *call = calloc(1, sizeof(*call));
	cow_op op;
	int rc;

	if (!call)
		return -ENOMEM;
	call->cb = cb;
	call->arg = arg;
	rc = cow_op_open(c->engine->setup.ops, ms ? ms : CALL_MS, call_done, call, &op);
	if (rc < 0) {
		free(call);
		return rc;
	}
	call_enter(c, call, op, who, 0);
	cow_list_add(&c->calls, &call->link);
	*ret = op;
	return 0;
}

void call_returned(struct cow_engine *e, cow_op op, int rc)
{
	/* An operation that was answered already is not found: harmless. */
	if (rc != COW_LATER)
		(void)cow_ops_answer(e->setup.ops, op,
				     &(struct cow_answer){ .code = rc > 0 ? -EPROTO : rc });
}

void call_abandon(struct cow_engine *e, cow_op op)
{
	struct call *call = call_find(e, op);

	cow_op_abandon(e->setup.ops, op);
	if (call)
		call_free(e, call);
}

void calls_abandon(struct container *c)
{
	while (!cow_list_empty(&c->calls)) {
		struct call *call = cow_container_of(c->calls.next, struct call, link);

		cow_op_abandon(c->engine->setup.ops, call->op);
		call_free(c->engine, call);
	}
}

void call_ignored(void *arg, const struct cow_answer *answer)
{
	(void)arg;
	(void)answer;
}

void call_error(const struct cow_answer *answer, struct cow_error *err)
{
	if (answer->message)
		(void)cow_error_set(err, answer->code, "%s", answer->message);
	else
		(void)cow_error_errno(err, answer->code, "plugin");
}

/* ---- the container behind an operation, for the host */

/* NULL where nobody waits for op: what it would announce is nobody's. */
static struct container *container_behind(struct cow_engine *e, cow_op op, struct call **ret)
{
	struct call *call = cow_op_arg(e->setup.ops, op) ? call_find(e, op) : NULL;

	if (!call)
		return NULL;
	*ret = call;
	return call->container;
}

static int durable_ledger(struct container *c)
{
	_cleanup_free_ char *path = NULL;

	if (c->durable)
		return 0;
	path = cow_asprintf("%s/ledger", c->state_dir);
	return path ? cow_ledger_open(path, &c->durable, NULL) : -ENOMEM;
}

static int on_intend(void *arg, cow_op op, const char *allocator, const char *key,
		     const char *record)
{
	struct call *call;
	struct container *c = container_behind(arg, op, &call);
	uint64_t seq;
	int rc;

	if (!c || strcmp(call->who, allocator) != 0)
		return -ENOENT;
	if (!(call->flags & COWHERD_DURABLE))
		return cow_ledger_intend(c->ledger, allocator, key, record, false, &seq);
	rc = durable_ledger(c);
	if (rc < 0 || !(call->flags & COWHERD_LAZY))
		return rc < 0 ? rc :
				cow_ledger_intend(c->durable, allocator, key, record, true, &seq);
	rc = cow_ledger_intend_lazily(c->durable, allocator, key, record, &seq);
	if (rc == 0)
		record_dirty(c);
	return rc;
}

static int on_forget(void *arg, cow_op op, const char *allocator, const char *key)
{
	struct call *call;
	struct container *c = container_behind(arg, op, &call);
	struct cow_ledger *ledger = !c	? NULL :
				    call->flags & COWHERD_DURABLE ? c->durable : c->ledger;
	const struct cow_ledger_entry *entry;

	entry = ledger ? cow_ledger_find(ledger, allocator, key) : NULL;
	return entry ? cow_ledger_release(ledger, entry->seq) : -ENOENT;
}

int container_tree(struct container *c)
{
	const char *spec = c->patched ? c->patched : c->def->spec;

	return c->tree ? 0 : cow_json_parse("spec", spec, strlen(spec), &c->tree, NULL);
}

static int on_patch_spec(void *arg, cow_op op, const char *patch)
{
	struct call *call;
	struct container *c = container_behind(arg, op, &call);
	struct json_object *change = NULL;
	int rc;

	if (!c || !c->parts)
		return -ENOENT;
	rc = container_tree(c);
	if (rc < 0)
		return rc;
	rc = cow_json_parse("patch", patch, strlen(patch), &change, NULL);
	if (rc < 0)
		return rc;
	if (!json_object_is_type(change, json_type_object))
		rc = -EINVAL;
	else
		rc = cow_json_merge_patch(c->tree, change);
	c->tree_changed = true;
	json_object_put(change);
	return rc;
}

static int on_progress(void *arg, cow_op op, const char *json)
{
	struct cow_engine *e = arg;

	return e->progress ? e->progress(e->progress_arg, op, json) : -ENOENT;
}

static struct container *container_of_system(struct cow_engine *e, const char *backend,
					     uint64_t system)
{
	for (struct hash_node *n = hash_first(&e->systems, hash_number(system)); n;
	     n = hash_next(n)) {
		struct container *c = cow_container_of(n, struct container, system_node);

		if (c->system == system && strcmp(c->backend, backend) == 0)
			return c;
	}
	return NULL;
}

int ending_set(struct ending *end, const struct cowherd_exit *status)
{
	char *reason = status->reason ? strdup(status->reason) : NULL;

	if (status->reason && !reason)
		return -ENOMEM;
	free(end->reason);
	*end = (struct ending){ .known = true, .code = status->code, .signal = status->signal,
				.oom = status->oom != 0, .reason = reason,
				.time_ns = status->time_ns ? status->time_ns : cow_realtime_ns() };
	return 0;
}

static void on_exited(void *arg, const char *backend, uint64_t system, uint64_t process,
		      const struct cowherd_exit *status)
{
	struct container *c = container_of_system(arg, backend, system);

	if (!c)
		return;
	if (process) {
		process_exited(c, process, status);
		return;
	}
	if (c->ended)
		return;
	c->ended = true;
	if (c->started || c->state == COW_STATE_STARTING)
		(void)ending_set(&c->ending, status);
	processes_end(c, "the container has ended");
	container_look(c);
}

static void on_notice(void *arg, const char *backend, uint64_t system, const char *event,
		      const char *detail)
{
	struct container *c = container_of_system(arg, backend, system);
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	if (!c)
		return;
	if (detail)
		cow_strbuf_addf(&b, "\"detail\":%s", detail);
	event_tell(arg, c, event, b.error ? NULL : b.data);
}

static uint32_t held_in(const struct cow_ledger *ledger, const char *allocator)
{
	const struct cow_ledger_entry *entry = ledger ? cow_ledger_last(ledger) : NULL;
	uint32_t n = 0;

	for (; entry; entry = cow_ledger_before(ledger, entry->seq))
		n += strcmp(entry->allocator, allocator) == 0;
	return n;
}

static uint32_t on_held(void *arg, const char *allocator, struct cow_strbuf *out)
{
	struct cow_engine *e = arg;
	uint32_t all = 0;

	cow_list_for(l, &e->containers) {
		struct container *c = cow_container_of(l, struct container, link);
		uint32_t n = held_in(c->ledger, allocator) + held_in(c->durable, allocator);

		if (n)
			cow_strbuf_addf(out, "%scontainer %s: %u", all ? ", " : "", c->def->name,
					n);
		all += n;
	}
	return all;
}

/* ---- what plugins are asked with */

void container_request(struct container *c, struct cowherd_request *ret)
{
	if (c->tree_changed) {
		const char *text = json_object_to_json_string_ext(
			c->tree, JSON_PLAIN);
		char *copy = text ? strdup(text) : NULL;

		if (copy) {
			free(c->patched);
			c->patched = copy;
			c->tree_changed = false;
		}
	}
	*ret = (struct cowherd_request){
		.size = sizeof(*ret),
		.container = c->def->id,
		.name = c->def->name,
		.owner = c->def->owner,
		.txn = c->txn_id,
		.bundle = c->def->bundle ? c->def->bundle : c->state_dir,
		.spec = c->patched ? c->patched : c->def->spec,
		.options = c->joined_options	     ? c->joined_options :
			   c->def->request_options ? c->def->request_options :
						     c->def->options,
		.run_dir = c->run_dir,
		.state_dir = c->state_dir,
	};
}

static int on_find(void *arg, const char *ref, struct cowherd_request *ret, int64_t *ret_pid)
{
	struct cow_error err = { 0 };
	struct container *c = container_find(arg, ref, &err);

	if (!c)
		return err.code;
	container_request(c, ret);
	ret->spec = c->def->spec; /* as the first allocator sees it */
	*ret_pid = c->pid;
	return 0;
}

const struct cow_host_events engine_host_events = {
	.intend = on_intend,
	.forget = on_forget,
	.patch_spec = on_patch_spec,
	.progress = on_progress,
	.exited = on_exited,
	.notice = on_notice,
	.held = on_held,
	.find = on_find,
};

void container_take_system(struct container *c, uint64_t system, int64_t pid)
{
	c->system = system;
	c->pid = pid;
	c->started = c->ended = false;
	c->start_time = 0; /* looked up when somebody asks */
	hash_add(&c->engine->systems, &c->system_node, hash_number(system));
}

void container_drop_system(struct container *c)
{
	const struct cow_backend *backend = container_backend(c);

	if (!c->system)
		return;
	hash_del(&c->engine->systems, &c->system_node);
	if (backend)
		backend->table.close(backend->arg, c->system);
	c->system = 0;
	c->pid = 0;
	c->start_time = 0;
	c->started = c->ended = false;
}
