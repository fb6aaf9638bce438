/* SPDX-License-Identifier: MIT */
#include "cli/row.h"
#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define NS_PER_S 1000000000ull
#define SHORT_ID 12
#define SHORT_COMMAND 20

const struct cow_column cow_ps_columns[] = {
	{ "CONTAINER ID", "ID" },    { "IMAGE", "Image" },   { "COMMAND", "Command" },
	{ "CREATED", "RunningFor" }, { "STATUS", "Status" }, { "PORTS", "Ports" },
	{ "NAMES", "Names" },        { NULL, NULL },
};

const struct cow_column cow_ps_size_columns[] = {
	{ "CONTAINER ID", "ID" },    { "IMAGE", "Image" },   { "COMMAND", "Command" },
	{ "CREATED", "RunningFor" }, { "STATUS", "Status" }, { "PORTS", "Ports" },
	{ "NAMES", "Names" },        { "SIZE", "Size" },     { NULL, NULL },
};

const struct cow_column cow_stats_columns[] = {
	{ "CONTAINER ID", "ID" },
	{ "NAME", "Name" },
	{ "CPU %", "CPUPerc" },
	{ "MEM USAGE / LIMIT", "MemUsage" },
	{ "MEM %", "MemPerc" },
	{ "NET I/O", "NetIO" },
	{ "BLOCK I/O", "BlockIO" },
	{ "PIDS", "PIDs" },
	{ NULL, NULL },
};

/* Adds what was written to b as a string member, and empties b. */
static int put(struct json_object *row, const char *key, struct cow_strbuf *b)
{
	struct json_object *v = b->error ? NULL : json_object_new_string(b->data ? b->data : "");

	cow_strbuf_finish(b);
	*b = (struct cow_strbuf)COW_STRBUF_INIT;
	if (v && !json_object_object_add(row, key, v))
		return 0;
	json_object_put(v);
	return -ENOMEM;
}

static int put_string(struct json_object *row, const char *key, const char *value)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_add(&b, value);
	return put(row, key, &b);
}

static int put_id(struct json_object *row, struct json_object *from, bool no_trunc)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	const char *id = cow_get_string(from, "id", "");

	cow_strbuf_addn(&b, id, no_trunc ? strlen(id) : strnlen(id, SHORT_ID));
	return put(row, "ID", &b);
}

static void since(struct cow_strbuf *out, uint64_t then_ns, uint64_t now_ns, const char *after)
{
	char text[64];

	if (!then_ns)
		return;
	cow_text_ago(now_ns > then_ns ? (now_ns - then_ns) / NS_PER_S : 0, text, sizeof(text));
	cow_strbuf_addf(out, " %s%s", text, after);
}

static const char *health_of(struct json_object *c)
{
	struct json_object *h = cow_get(c, "health");

	return h && json_object_is_type(h, json_type_object) ? cow_get_string(h, "status", "")
							     : cow_get_string(c, "health", "");
}

static void up(struct cow_strbuf *out, struct json_object *c, uint64_t now_ns, bool paused)
{
	const char *health = health_of(c);

	cow_strbuf_add(out, "Up");
	since(out, (uint64_t)cow_get_int(c, "started_ns", 0), now_ns, "");
	if (paused)
		cow_strbuf_add(out, " (Paused)");
	else if (!strcmp(health, "starting"))
		cow_strbuf_add(out, " (health: starting)");
	else if (*health && strcmp(health, "none"))
		cow_strbuf_addf(out, " (%s)", health);
}

void cow_ps_status(struct cow_strbuf *out, struct json_object *c, uint64_t now_ns)
{
	const char *status = cow_get_string(c, "status", cow_get_string(c, "state", "unknown"));
	int64_t code = cow_get_int(c, "exit_code", -1);
	bool exited = !strcmp(status, "exited"), restarting = !strcmp(status, "restarting");

	if (!strcmp(status, "running") || !strcmp(status, "paused")) {
		up(out, c, now_ns, *status == 'p');
		return;
	}
	cow_strbuf_addf(out, "%c%s", toupper((unsigned char)status[0]), *status ? status + 1 : "");
	if (!exited && !restarting)
		return;
	if (code >= 0)
		cow_strbuf_addf(out, " (%lld)", (long long)code);
	else
		cow_strbuf_add(out, " (lost)");
	since(out, (uint64_t)cow_get_int(c, "finished_ns", 0), now_ns, " ago");
}

static void command(struct cow_strbuf *out, struct json_object *c, bool no_trunc)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct json_object *v = cow_get(c, "command");

	if (v && json_object_is_type(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v); i++) {
			cow_strbuf_add(&b, i ? " " : "");
			cow_strbuf_add(&b, json_object_get_string(json_object_array_get_idx(v, i)));
		}
	} else {
		cow_strbuf_add(&b, cow_get_string(c, "command", ""));
	}
	/* A table has one line for a row, whatever the command line holds. */
	for (size_t i = 0; i < b.len; i++)
		if (iscntrl((unsigned char)b.data[i]))
			b.data[i] = ' ';
	cow_strbuf_add(out, "\"");
	if (b.data && no_trunc)
		cow_strbuf_add(out, b.data);
	else if (b.data)
		cow_text_cut(out, b.data, SHORT_COMMAND);
	cow_strbuf_add(out, "\"");
}

static void labels(struct cow_strbuf *out, struct json_object *c)
{
	struct json_object *o = cow_get(c, "labels");

	if (!o || !json_object_is_type(o, json_type_object))
		return;
	json_object_object_foreach(o, key, value)
		cow_strbuf_addf(out, "%s%s=%s", out->len ? "," : "", key,
				json_object_get_string(value));
}

static int ps_times(struct json_object *row, struct json_object *c, uint64_t now_ns)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	uint64_t created = (uint64_t)cow_get_int(c, "created", 0);
	char text[64] = "";

	if (created)
		cow_text_rfc3339(created, false, text, sizeof(text));
	since(&b, created, now_ns, " ago");
	/* since() begins with a space. */
	if (b.len)
		memmove(b.data, b.data + 1, b.len--);
	return put(row, "RunningFor", &b) ?: put_string(row, "CreatedAt", text);
}

/* What takes more than copying. */
static int ps_made(struct json_object *row, struct json_object *c, uint64_t now_ns, bool no_trunc)
{
	struct cow_strbuf text = COW_STRBUF_INIT, status = COW_STRBUF_INIT, pairs = COW_STRBUF_INIT;
	int r;

	command(&text, c, no_trunc);
	cow_ps_status(&status, c, now_ns);
	labels(&pairs, c);
	r = put(row, "Command", &text);
	r = put(row, "Status", &status) ?: r;
	r = put(row, "Labels", &pairs) ?: r;
	return r ?: ps_times(row, c, now_ns);
}

static int ps_copied(struct json_object *row, struct json_object *c)
{
	const struct {
		const char *key, *value;
	} members[] = {
		{ "Image", cow_get_string(c, "image", "") },
		{ "Names", cow_get_string(c, "name", "") },
		{ "State", cow_get_string(c, "status", cow_get_string(c, "state", "")) },
		{ "Health", health_of(c) },
		{ "Owner", cow_get_string(c, "owner", "") },
		/* Docker's rows have them. */
		{ "Ports", "" },
		{ "Networks", "" },
		{ "Mounts", "" },
		{ "Size", "0B" },
	};
	int r = 0;

	for (size_t i = 0; !r && i < COW_ELEMENTS(members); i++)
		r = put_string(row, members[i].key, members[i].value);
	return r;
}

struct json_object *cow_ps_row(struct json_object *c, uint64_t now_ns, bool no_trunc)
{
	struct json_object *row = json_object_new_object();
	int r = row ? put_id(row, c, no_trunc) : -ENOMEM;

	r = r ?: ps_made(row, c, now_ns, no_trunc) ?: ps_copied(row, c);
	if (!r)
		return row;
	json_object_put(row);
	return NULL;
}

static int put_pair(struct json_object *row, const char *key, uint64_t a, uint64_t b, bool binary)
{
	struct cow_strbuf text = COW_STRBUF_INIT;
	char left[32], right[32];

	cow_text_bytes(a, binary, left, sizeof(left));
	cow_text_bytes(b, binary, right, sizeof(right));
	cow_strbuf_addf(&text, "%s / %s", left, right);
	return put(row, key, &text);
}

static uint64_t amount(struct json_object *s, const char *key)
{
	int64_t n = cow_get_int(s, key, 0);

	return n > 0 ? (uint64_t)n : 0;
}

static int put_percent(struct json_object *row, const char *key, double percent)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_addf(&b, "%.2f%%", percent);
	return put(row, key, &b);
}

struct json_object *cow_stats_row(struct json_object *s, uint64_t memory_bytes, bool no_trunc)
{
	struct json_object *row = json_object_new_object();
	struct cow_strbuf b = COW_STRBUF_INIT;
	uint64_t used = amount(s, "memory_bytes"), limit = amount(s, "memory_limit_bytes");
	int r = row ? put_id(row, s, no_trunc) : -ENOMEM;

	if (!limit || (memory_bytes && limit > memory_bytes))
		limit = memory_bytes;
	if (!r) {
		cow_strbuf_addf(&b, "%llu", (unsigned long long)amount(s, "pids"));
		r = put(row, "PIDs", &b);
	}
	r = r ?: put_string(row, "Name", cow_get_string(s, "name", ""))
		?: put_string(row, "Container", cow_get_string(s, "name", ""))
		?: put_percent(row, "CPUPerc", cow_get_double(s, "cpu_percent", 0))
		?: put_pair(row, "MemUsage", used, limit, true)
		?: put_percent(row, "MemPerc", limit ? (double)used / (double)limit * 100 : 0)
		?: put_pair(row, "NetIO", amount(s, "net_rx_bytes"), amount(s, "net_tx_bytes"), false)
		?: put_pair(row, "BlockIO", amount(s, "block_read_bytes"),
			    amount(s, "block_write_bytes"), false);
	if (!r)
		return row;
	json_object_put(row);
	return NULL;
}
