/* SPDX-License-Identifier: MIT */
/* Reads: list and inspect, from memory, at once. */
#include "engine/container.h"

#include "base/fs.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

char *container_rootfs(const struct container *c)
{
	const struct definition *d = c->def;
	struct json_object *spec, *path;
	char *text = NULL;

	if (c->patched) { /* where the allocators have put it */
		spec = json_tokener_parse(c->patched);
		path = json_object_object_get(json_object_object_get(spec, "root"), "path");
		if (path)
			text = cow_fs_join(d->bundle ? d->bundle : c->state_dir,
					   json_object_get_string(path));
		json_object_put(spec);
		if (text)
			return text;
	}
	return d->rootfs ? cow_fs_join(d->bundle ? d->bundle : "/", d->rootfs) : strdup("/");
}

static void add_member(struct cow_strbuf *b, const char *key, const char *value)
{
	cow_strbuf_addf(b, ",\"%s\":", key);
	cow_strbuf_json(b, value);
}

static void add_raw(struct cow_strbuf *b, const char *key, const char *json, const char *absent)
{
	cow_strbuf_addf(b, ",\"%s\":%s", key, json ? json : absent);
}

static void add_command(struct cow_strbuf *b, const struct definition *d)
{
	struct json_object *args = d->args ? json_tokener_parse(d->args) : NULL;
	struct cow_strbuf text = COW_STRBUF_INIT;

	for (size_t i = 0; args && i < json_object_array_length(args); i++) {
		cow_strbuf_add(&text, i ? " " : "");
		cow_strbuf_add(&text, json_object_get_string(json_object_array_get_idx(args, i)));
	}
	add_member(b, "command", text.data ? text.data : "");
	cow_strbuf_finish(&text);
	json_object_put(args);
}

/* Stopped on the way to its next life: whoever looks now is not to take it for the end. */
static const struct cow_state_info *shown_state(const struct container *c)
{
	bool goes_on =
		c->state == COW_STATE_STOPPED && c->wishes & (COW_FACT_RESTART | COW_FACT_RUN);

	return cow_state_info(goes_on ? COW_STATE_RESTARTING : c->state);
}

static void add_common(struct cow_strbuf *b, const struct container *c)
{
	const struct definition *d = c->def;

	cow_strbuf_add(b, "{\"id\":");
	cow_strbuf_json(b, d->id);
	add_member(b, "name", d->name);
	add_member(b, "owner", d->owner);
	add_member(b, "image", d->image);
	add_member(b, "state", shown_state(c)->name);
	add_member(b, "status", shown_state(c)->status);
	add_raw(b, "labels", d->labels, "{}");
	cow_strbuf_addf(b, ",\"pid\":%lld,\"restarts\":%u", (long long)c->pid, c->restarts);
	if (c->ending.known)
		ending_json(&c->ending, b);
}

static bool shown(const struct container *c, bool all)
{
	return all || container_alive(c) || c->state == COW_STATE_RESTARTING;
}

int cow_engine_list(struct cow_engine *e, bool all, struct cow_strbuf *out)
{
	const char *between = "";

	cow_strbuf_add(out, "[");
	cow_list_for(l, &e->containers) {
		const struct container *c = cow_container_of(l, struct container, link);

		if (!shown(c, all))
			continue;
		cow_strbuf_add(out, between);
		add_common(out, c);
		add_command(out, c->def);
		add_member(out, "health", health_status(c));
		add_member(out, "oci", cow_state_info(c->state)->oci);
		cow_strbuf_addf(out,
				",\"created\":%" PRIu64 ",\"started_ns\":%" PRIu64
				",\"finished_ns\":%" PRIu64 "}",
				c->def->created_ns, c->started_ns, c->ending.time_ns);
		between = ",";
	}
	cow_strbuf_add(out, "]");
	return out->error;
}

static void add_ledger(struct cow_strbuf *b, const struct cow_ledger *ledger, const char **between)
{
	const struct cow_ledger_entry *entry = ledger ? cow_ledger_last(ledger) : NULL;

	for (; entry; entry = cow_ledger_before(ledger, entry->seq)) {
		cow_strbuf_addf(b, "%s{\"allocator\":", *between);
		cow_strbuf_json(b, entry->allocator);
		add_member(b, "key", entry->key);
		cow_strbuf_addf(b, ",\"record\":%s,\"durable\":%s}", entry->record,
				entry->durable ? "true" : "false");
		*between = ",";
	}
}

static void add_error(struct cow_strbuf *b, const struct cow_error *err)
{
	cow_strbuf_addf(b, ",\"error\":{\"code\":%d", err->code);
	add_member(b, "step", err->step);
	add_member(b, "message", err->message);
	cow_strbuf_add(b, "}");
}

static void add_restart(struct cow_strbuf *b, const struct container *c)
{
	const struct cow_restart *r = &c->def->restart;

	cow_strbuf_addf(b,
			",\"restart\":{\"policy\":\"%s\",\"max_retries\":%u,\"delay_s\":%g,"
			"\"max_delay_s\":%g,\"reset_after_s\":%g,\"failures\":%u}",
			cow_restart_policy_name(r->policy), r->max_retries, r->delay_ms / 1e3,
			r->max_delay_ms / 1e3, r->reset_after_ms / 1e3, c->failures);
}

static void add_definition(struct cow_strbuf *b, const struct container *c)
{
	const struct definition *d = c->def;
	char *rootfs = container_rootfs(c);

	add_member(b, "bundle", d->bundle ? d->bundle : c->state_dir);
	add_member(b, "rootfs", rootfs ? rootfs : "");
	add_member(b, "backend", c->backend ? c->backend : d->backend);
	add_member(b, "isolation", d->isolation ? d->isolation : "process");
	cow_strbuf_addf(
		b, ",\"schema_version\":\"%u.%u\",\"created_ns\":%" PRIu64 ",\"terminal\":%s",
		d->schema_major, d->schema_minor, d->created_ns, d->terminal ? "true" : "false");
	cow_strbuf_addf(
		b, ",\"open_stdin\":%s,\"auto_remove\":%s,\"stop_signal\":%d,\"stop_timeout_s\":%g",
		d->open_stdin ? "true" : "false", d->auto_remove ? "true" : "false", d->stop_signal,
		d->stop_ms / 1e3);
	add_raw(b, "annotations", d->annotations, "{}");
	add_raw(b, "args", d->args, "[]");
	add_raw(b, "options", d->options, "{}");
	if (d->resolved)
		add_raw(b, "resolved", d->resolved, "{}");
	free(rootfs);
}

int cow_engine_inspect(struct cow_engine *e, const char *key, struct cow_strbuf *out,
		       struct cow_error *err)
{
	struct container *c = container_find(e, key, err);
	const char *between = "";

	if (!c)
		return -ENOENT;
	if (!c->start_time && c->pid > 0 && cow_pid_start_time((pid_t)c->pid, &c->start_time) < 0)
		c->start_time = 0;
	add_common(out, c);
	add_member(out, "oci", cow_state_info(c->state)->oci);
	add_member(out, "txn", c->txn_id);
	add_definition(out, c);
	cow_strbuf_addf(out,
			",\"start_time\":%" PRIu64 ",\"started_ns\":%" PRIu64
			",\"finished_ns\":%" PRIu64 ",\"exit_signal\":%d",
			c->start_time, c->started_ns, c->ending.time_ns, c->ending.signal);
	add_member(out, "exit_reason", c->ending.reason);
	add_restart(out, c);
	cow_strbuf_add(out, ",\"health\":");
	health_inspect(c, out);
	cow_strbuf_addf(out, ",\"log\":{\"path\":");
	cow_strbuf_json(out, c->state_dir);
	cow_strbuf_addf(out, ",\"dropped_bytes\":%" PRIu64 "}", log_dropped(c));
	cow_strbuf_add(out, ",\"ledger\":[");
	add_ledger(out, c->ledger, &between);
	add_ledger(out, c->durable, &between);
	cow_strbuf_add(out, "],\"last_events\":[");
	events_last(e, c->def->id, out);
	cow_strbuf_add(out, "]");
	if (c->error)
		add_error(out, c->error);
	cow_strbuf_addf(out, ",\"spec\":%s}", c->patched ? c->patched : c->def->spec);
	return out->error;
}
