/* SPDX-License-Identifier: MIT */
#include "server/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *rpc_code_name(int code)
{
	switch (code) {
	case RPC_PARSE:
		return "PARSE_ERROR";
	case RPC_INVALID_REQUEST:
		return "INVALID_REQUEST";
	case RPC_NO_METHOD:
		return "METHOD_NOT_FOUND";
	case RPC_INVALID_PARAMS:
		return "INVALID_PARAMS";
	default:
		return cow_errno_name(code);
	}
}

/* JSON text may hold newlines between its tokens, a line may not. */
static void add_json(struct cow_strbuf *b, const char *json)
{
	size_t start = b->len;

	cow_strbuf_add(b, json ? json : "{}");
	for (size_t i = start; !b->error && i < b->len; i++) {
		if (b->data[i] == '\n')
			b->data[i] = ' ';
	}
}

static void send_line(struct conn *c, struct cow_strbuf *b, const int *fds, uint32_t n)
{
	size_t len = b->len;
	char *line = cow_strbuf_take(b);

	if (line) {
		conn_send(c, line, len, fds, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		(void)close(fds[i]);
	conn_doom(c);
}

static void send_error(struct conn *c, const char *id, int code, const struct cow_error *err)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_addf(
		&b, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,\"message\":", id, code);
	cow_strbuf_json(&b, err->message);
	cow_strbuf_addf(&b, ",\"data\":{\"name\":\"%s\",\"step\":", rpc_code_name(code));
	cow_strbuf_json(&b, err->step);
	cow_strbuf_add(&b, ",\"txn\":\"\"}}}\n");
	send_line(c, &b, NULL, 0);
}

/* The request has its answer: nobody waits any more. */
static struct conn *request_detach(struct request *r)
{
	struct conn *c = r->conn;

	cow_list_del(&r->node);
	r->conn = NULL;
	return c;
}

void request_answer_fds(struct request *r, const char *result, const int *fds, uint32_t n)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	if (!r->conn || r->answered) {
		for (uint32_t i = 0; i < n; i++)
			(void)close(fds[i]);
		return;
	}
	r->answered = true;
	cow_strbuf_addf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":", r->id);
	add_json(&b, result);
	cow_strbuf_add(&b, "}\n");
	send_line(r->conn, &b, fds, n);
}

void request_answer(struct request *r, const struct cow_error *err, const char *result)
{
	if (!err) {
		request_answer_fds(r, result, NULL, 0);
		return;
	}
	if (!r->conn || r->answered)
		return;
	r->answered = true;
	send_error(r->conn, r->id, err->code ? err->code : -EIO, err);
}

void request_event(struct request *r, const char *event)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	if (!r->conn || r->answered)
		return;
	cow_strbuf_addf(
		&b, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"id\":%s,\"event\":",
		r->id);
	add_json(&b, event);
	cow_strbuf_add(&b, "}}\n");
	send_line(r->conn, &b, NULL, 0);
}

void request_exit(struct request *r, int code)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	if (!r->conn || r->answered)
		return;
	cow_strbuf_addf(&b,
			"{\"jsonrpc\":\"2.0\",\"method\":\"exit\",\"params\":{\"id\":%s,"
			"\"exit_code\":%d}}\n",
			r->id, code);
	send_line(r->conn, &b, NULL, 0);
}

void request_free(struct request *r)
{
	struct cow_server *s = r->server;

	cow_list_del(&r->node);
	for (uint32_t i = 0; i < CONN_FDS; i++) {
		if (r->fds[i] >= 0)
			(void)close(r->fds[i]);
	}
	json_object_put(r->message);
	free(r->state);
	free(r);
	s->requests--;
	server_free_if_unused(s);
}

void request_finish(struct request *r, const struct cow_error *err, const char *result)
{
	request_answer(r, err, result);
	request_free(r);
}

void request_engine_done(void *arg, const struct cow_error *err, const char *result)
{
	request_finish(arg, err, result);
}

void request_fail(struct request *r, int code, const char *format, ...)
{
	struct cow_error err = { .code = code };
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(err.message, sizeof(err.message), format, ap);
	va_end(ap);
	request_finish(r, &err, NULL);
}

void request_orphan_all(struct conn *c)
{
	struct cow_list *list = conn_requests(c);

	while (!cow_list_empty(list)) {
		struct request *r = cow_container_of(list->next, struct request, node);

		(void)request_detach(r);
		if (r->give_up)
			r->give_up(r);
	}
}

/* Numbers and strings, as JSON-RPC has them; -EINVAL for everything else. */
static int request_id(struct json_object *value, char out[REQUEST_ID_MAX])
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	if (json_object_is_type(value, json_type_int))
		cow_strbuf_addf(&b, "%lld", (long long)json_object_get_int64(value));
	else if (json_object_is_type(value, json_type_string))
		cow_strbuf_json(&b, json_object_get_string(value));
	else
		return -EINVAL;
	if (b.error || b.len >= REQUEST_ID_MAX)
		return -EINVAL;
	memcpy(out, b.data, b.len + 1);
	return 0;
}

/* One that waits for its answer; or one that is answered, but goes on. */
static struct request *request_find(struct conn *c, const char *id, bool answered)
{
	cow_list_for(e, conn_requests(c)) {
		struct request *r = cow_container_of(e, struct request, node);

		if (r->answered == answered && strcmp(r->id, id) == 0)
			return r;
	}
	return NULL;
}

/* An unknown id is no error: the answer may be on its way already. */
static void request_cancel(struct conn *c, struct json_object *params)
{
	static const struct cow_error canceled = { .code = -ECANCELED,
						   .message = "request: cancelled by the client" };
	struct json_object *value;
	char id[REQUEST_ID_MAX];
	struct request *r;

	if (!json_object_is_type(params, json_type_object) ||
	    !json_object_object_get_ex(params, "id", &value) || request_id(value, id) < 0)
		return;
	r = request_find(c, id, false);
	if (!r)
		r = request_find(c, id, true);
	if (!r)
		return;
	request_answer(r, &canceled, NULL);
	(void)request_detach(r);
	if (r->give_up)
		r->give_up(r);
}

/* "fds":["stdin","stdout","stderr"], any of them: which of the descriptors that came is which. */
static int request_fds(struct request *r, const struct cow_json *params, struct cow_error *err)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	int fds[CONN_FDS], where[CONN_FDS];
	struct cow_json list, item;
	uint32_t n;

	if (!cow_json_member(params, "fds", &list))
		return 0;
	if (cow_json_is_array(&list, err) < 0)
		return -EINVAL;
	for (n = 0; cow_json_element(&list, n, &item); n++) {
		const char *text = json_object_is_type(item.value, json_type_string)
					   ? json_object_get_string(item.value)
					   : "";
		int i = 0;

		while (i < 3 && strcmp(names[i], text) != 0)
			i++;
		if (n == 3 || i == 3)
			return cow_json_fail(&item, err, -EINVAL, "not stdin, stdout or stderr");
		where[n] = i;
	}
	if (conn_take_fds(r->conn, n, fds) < 0)
		return cow_json_fail(&list, err, -EINVAL,
				     "fewer descriptors came with the message");
	for (uint32_t i = 0; i < n; i++) {
		if (r->fds[where[i]] >= 0)
			(void)close(r->fds[where[i]]);
		r->fds[where[i]] = fds[i];
	}
	return 0;
}

static void request_dispatch(struct request *r)
{
	struct cow_json root = { .value = r->message }, params;
	struct cow_error err = { 0 };
	struct args args;
	int e = 0;

	if (!json_object_object_get(r->message, "params"))
		e = json_object_object_add(r->message, "params", json_object_new_object());
	if (e < 0 || !cow_json_member(&root, "params", &params))
		e = cow_error_errno(&err, -ENOMEM, "request");
	else
		e = args_decode(r->method, &params, &args, &err);
	if (e == 0 && (r->method->flags & METHOD_FDS))
		e = request_fds(r, &params, &err);
	if (e < 0) {
		err.code = RPC_INVALID_PARAMS;
		request_finish(r, &err, NULL);
		return;
	}
	r->method->call(r, &args, params.value);
}

static void refuse(struct conn *c, const char *id, int code, const char *message)
{
	struct cow_error err = { .code = code };

	(void)snprintf(err.message, sizeof(err.message), "%s", message);
	send_error(c, id, code, &err);
}

static struct request *request_new(struct conn *c, const char *id, const struct method *method,
				   struct json_object *message)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->server = conn_server(c);
	r->conn = c;
	r->method = method;
	r->message = json_object_get(message);
	(void)snprintf(r->id, sizeof(r->id), "%s", id);
	for (uint32_t i = 0; i < CONN_FDS; i++)
		r->fds[i] = -1;
	cow_list_add(conn_requests(c), &r->node);
	r->server->requests++;
	return r;
}

/* A message of its own right: what is wrong with it, or NULL. */
static const char *envelope_flaw(const struct cow_json *root, const char **ret_method)
{
	static const char *const keys[] = { "jsonrpc", "id", "method", "params", NULL };
	const char *version = "";

	if (!json_object_is_type(root->value, json_type_object))
		return "request: not an object";
	if (cow_json_known(root, keys, NULL) < 0)
		return "request: a member that is not jsonrpc, id, method or params";
	if (cow_json_get_string(root, "jsonrpc", &version, NULL) < 0 || strcmp(version, "2.0") != 0)
		return "request: /jsonrpc: not \"2.0\"";
	if (cow_json_get_string(root, "method", ret_method, NULL) < 0 || !*ret_method)
		return "request: /method: not a string";
	return NULL;
}

static uint32_t request_count(struct conn *c)
{
	uint32_t n = 0;

	cow_list_for(e, conn_requests(c))
		n++;
	return n;
}

static void request_message(struct conn *c, struct json_object *message)
{
	struct cow_json root = { .value = message };
	const char *method = NULL, *flaw = envelope_flaw(&root, &method);
	char id[REQUEST_ID_MAX] = "null";
	struct json_object *value;
	const struct method *m;
	struct request *r;

	if (!flaw && strcmp(method, "cancel") == 0) {
		request_cancel(c, json_object_object_get(message, "params"));
		return;
	}
	if (json_object_is_type(message, json_type_object) &&
	    (!json_object_object_get_ex(message, "id", &value) || request_id(value, id) < 0))
		flaw = flaw ? flaw
			    : "request: /id: neither a number nor a string of at most 128 bytes";
	if (flaw) {
		refuse(c, id, RPC_INVALID_REQUEST, flaw);
		return;
	}
	m = method_find(method);
	if (!m) {
		refuse(c, id, RPC_NO_METHOD, "request: /method: no such method");
	} else if (request_find(c, id, false)) {
		refuse(c, id, RPC_INVALID_REQUEST, "request: /id: in use by a request in flight");
	} else if (request_count(c) >= CONN_REQUESTS_MAX) {
		refuse(c, id, -EBUSY, "request: too many in flight on this connection");
	} else {
		r = request_new(c, id, m, message);
		if (r)
			request_dispatch(r);
		else
			refuse(c, id, -ENOMEM, "request: out of memory");
	}
}

void request_parsed(struct conn *c, struct json_object *message, const struct cow_error *err)
{
	if (err->code < 0)
		send_error(c, "null", RPC_PARSE, err);
	else
		request_message(c, message);
}
