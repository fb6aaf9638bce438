/* SPDX-License-Identifier: MIT */
/* What a container uses: the backend's figures, and the share of processors since the last look. */
#include "engine/container.h"

#include <errno.h>

static double cpu_percent(struct container *c, uint64_t cpu_ns)
{
	uint64_t now = cow_realtime_ns();
	uint64_t since = c->sample.time_ns > c->started_ns ? c->sample.time_ns : c->started_ns;
	uint64_t before = c->sample.time_ns > c->started_ns ? c->sample.cpu_ns : 0;
	double percent = 0;

	if (now > since && cpu_ns > before)
		percent = (double)(cpu_ns - before) / (double)(now - since) * 100;
	c->sample = (struct sample){ cpu_ns, now };
	return percent;
}

static char *stats_result(struct container *c, const char *figures)
{
	struct json_object *o = figures ? json_tokener_parse(figures) : NULL;
	struct cow_strbuf b = COW_STRBUF_INIT;
	uint64_t cpu_ns;

	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return NULL;
	}
	cpu_ns = (uint64_t)json_object_get_int64(json_object_object_get(o, "cpu_ns"));
	cow_strbuf_add(&b, "{\"id\":");
	cow_strbuf_json(&b, c->def->id);
	cow_strbuf_add(&b, ",\"name\":");
	cow_strbuf_json(&b, c->def->name);
	cow_strbuf_addf(&b, ",\"cpu_percent\":%.2f", cpu_percent(c, cpu_ns));
	json_object_object_foreach(o, key, value) {
		cow_strbuf_add(&b, ",");
		cow_strbuf_json(&b, key);
		cow_strbuf_addf(&b, ":%s", json_object_to_json_string_ext(value, JSON_PLAIN));
	}
	cow_strbuf_add(&b, "}");
	json_object_put(o);
	return cow_strbuf_take(&b);
}

static void stats_answered(void *arg, const struct cow_answer *answer)
{
	struct waiter *w = arg;
	const struct cowherd_answer *payload = answer->payload;
	char *result =
		answer->code == 0 && payload ? stats_result(w->container, payload->result) : NULL;
	struct cow_error err = { 0 };

	if (result) {
		waiter_ok(w, result);
	} else {
		if (answer->code < 0)
			call_error(answer, &err);
		else
			(void)cow_error_set(&err, -EPROTO,
					    "backend: its statistics are no JSON object");
		waiter_fail(w, &err);
	}
}

static int stats_ask(struct container *c, struct waiter *w)
{
	const struct cow_backend *backend = container_backend(c);
	cow_op op;
	int rc;

	if (!container_alive(c) || !backend)
		return -ESRCH;
	if (!backend->table.stats)
		return -ENOTSUP;
	rc = call_open(c, backend->table.name, 0, stats_answered, w, &op);
	if (rc < 0)
		return rc;
	w->container = c;
	cow_list_add(&c->waiters, &w->link);
	call_returned(c->engine, op, backend->table.stats(backend->arg, op, c->system));
	return 0;
}

void cow_engine_container_stats(struct cow_engine *e, const char *key, cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, cb, arg);
	struct cow_error err = { 0 };
	struct container *c;
	int rc;

	if (!w)
		return;
	c = container_find(e, key, &err);
	if (!c) {
		waiter_fail(w, &err);
		return;
	}
	rc = stats_ask(c, w);
	if (rc == -ESRCH)
		waiter_refuse(w, rc, "container %s: is not running", c->def->name);
	else if (rc < 0)
		waiter_refuse(w, rc, "container %s: %s", c->def->name, cow_errno_text(rc));
}
