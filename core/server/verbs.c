/* SPDX-License-Identifier: MIT */
/* Plugins, and the verbs they add to the client. */
#include "server/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* A call a plugin has not answered yet.  The request's handle is the operation. */
struct verb_state {
	struct cowherd_verb table; /* a copy: the registry may move its own */
	void *arg;
};

void plugin_list(struct request *r, const struct args *a, struct json_object *params)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	int e;

	(void)a;
	(void)params;
	e = cow_host_list(r->server->host, &b);
	if (e == 0)
		e = b.error;
	if (e < 0)
		request_fail(r, e, "plugins: %s", cow_errno_text(e));
	else
		request_finish(r, NULL, b.data ? b.data : "[]");
}

void plugin_unload(struct request *r, const struct args *a, struct json_object *params)
{
	struct cow_error err = { 0 };
	int e;

	(void)params;
	e = cow_host_unload(r->server->host, a->name, &err);
	request_finish(r, e < 0 ? &err : NULL, "{}");
}

void verb_list(struct request *r, const struct args *a, struct json_object *params)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	const struct cow_verb *const *verbs;
	uint32_t n = cow_host_verbs(r->server->host, &verbs);

	(void)a;
	(void)params;
	cow_strbuf_add(&b, "[");
	for (uint32_t i = 0; i < n; i++) {
		cow_strbuf_add(&b, i ? ",{\"name\":" : "{\"name\":");
		cow_strbuf_json(&b, verbs[i]->table.name);
		cow_strbuf_add(&b, ",\"usage\":");
		cow_strbuf_json(&b, verbs[i]->table.usage);
		cow_strbuf_add(&b, ",\"help\":");
		cow_strbuf_json(&b, verbs[i]->table.help);
		cow_strbuf_add(&b, ",\"details\":");
		cow_strbuf_json(&b, verbs[i]->table.details ? verbs[i]->table.details : "");
		cow_strbuf_add(&b, ",\"plugin\":");
		cow_strbuf_json(&b, cow_plugin_name(verbs[i]->plugin));
		cow_strbuf_add(&b, "}");
	}
	cow_strbuf_add(&b, "]");
	if (b.error)
		request_fail(r, b.error, "verbs: %s", cow_errno_text(b.error));
	else
		request_finish(r, NULL, b.data);
}

/* What a plugin says is JSON, or text for people. */
static void verb_finish(struct request *r, const char *result)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct json_object *value = NULL;

	if (!result) {
		request_finish(r, NULL, "{}");
		return;
	}
	if (cow_json_parse("result", result, strlen(result), &value, NULL) == 0) {
		json_object_put(value);
		request_finish(r, NULL, result);
		return;
	}
	cow_strbuf_json(&b, result);
	if (b.error)
		request_fail(r, b.error, "verb: %s", cow_errno_text(b.error));
	else
		request_finish(r, NULL, b.data);
}

/* Also from inside table.call(), for a plugin that answers inline. */
static void verb_done(void *arg, cow_op op, const struct cow_answer *answer)
{
	const struct cowherd_answer *full = answer->payload;
	struct request *r = arg;

	(void)op;
	if (full && full->exit_code)
		request_exit(r, full->exit_code);
	if (answer->code < 0) {
		request_fail(r, answer->code, "%s",
			     answer->message ? answer->message : cow_errno_text(answer->code));
		return;
	}
	verb_finish(r, full ? full->result : NULL);
}

/* The plugin is asked to finish; until it has, the descriptors must stay. */
static void verb_give_up(struct request *r)
{
	const struct verb_state *v = r->state;

	cow_list_add(&r->server->orphans, &r->node);
	if (v->table.cancel)
		v->table.cancel(v->arg, r->handle);
}

void verb_abandon_orphans(struct cow_server *s)
{
	while (!cow_list_empty(&s->orphans)) {
		struct request *r = cow_container_of(s->orphans.next, struct request, node);

		cow_op_abandon(s->ops, r->handle);
		request_free(r);
	}
}

void verb_call(struct request *r, const struct args *a, struct json_object *params)
{
	const struct cow_verb *verb = cow_host_verb(r->server->host, a->name);
	struct cow_ops *ops = r->server->ops;
	struct cowherd_call call = { .size = sizeof(call),
				     .args = "[]",
				     .cwd = a->cwd ? a->cwd : "/",
				     .in = r->fds[0],
				     .out = r->fds[1],
				     .err = r->fds[2],
				     .client_uid = conn_uid(r->conn) };
	struct verb_state *v;
	cow_op op;
	int e;

	(void)params;
	if (!verb) {
		request_fail(r, -ENOENT, "verb %s: no plugin offers it", a->name);
		return;
	}
	v = malloc(sizeof(*v));
	if (!v || cow_op_open(ops, 0, verb_done, r, &op) < 0) {
		free(v);
		request_fail(r, -ENOMEM, "verb %s: %s", a->name, cow_errno_text(-ENOMEM));
		return;
	}
	*v = (struct verb_state){ .table = verb->table, .arg = verb->arg };
	r->state = v;
	r->handle = op;
	r->give_up = verb_give_up;
	if (a->words)
		call.args = json_object_to_json_string_ext(a->words, JSON_C_TO_STRING_PLAIN);
	e = v->table.call(v->arg, op, &call);
	/* An answer given inline has freed the request: only the operation is known to be gone. */
	if (e != COW_LATER)
		(void)cow_ops_answer(ops, op, &(struct cow_answer){ .code = e < 0 ? e : 0 });
}

int verb_progress(void *arg, cow_op op, const char *json)
{
	struct cow_server *s = arg;

	cow_list_for(e, &s->conns) {
		cow_list_for(n, conn_requests((struct conn *)e)) {
			struct request *r = cow_container_of(n, struct request, node);

			if (r->method->call != verb_call || r->handle != op)
				continue;
			request_event(r, json);
			return 0;
		}
	}
	return -ENOENT;
}
