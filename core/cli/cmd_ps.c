/* SPDX-License-Identifier: MIT */
/* ps and stats: tables of containers. */
#include "base/cleanup.h"
#include "base/ids.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/filter.h"
#include "cli/row.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct cow_filter_key ps_keys[] = {
	{ "id", "id", COW_FILTER_PREFIX },        { "name", "name", COW_FILTER_PART },
	{ "status", "status", COW_FILTER_EQUAL }, { "health", "health", COW_FILTER_EQUAL },
	{ "label", "labels", COW_FILTER_LABEL },  { "exited", "exit_code", COW_FILTER_EQUAL },
	{ "owner", "owner", COW_FILTER_EQUAL },   { NULL, NULL, COW_FILTER_EQUAL },
};

/* The newest first, as many as were asked for. */
static int ps_rows(const struct cow_args *args, struct json_object *list, int64_t most,
		   struct json_object *rows)
{
	bool no_trunc = cow_args_flag(args, "no-trunc", false);
	uint64_t now = cow_realtime_ns();
	int64_t left = most < 0 ? INT64_MAX : most;

	for (size_t i = json_object_array_length(list); i > 0 && left > 0; i--) {
		struct json_object *c = json_object_array_get_idx(list, i - 1), *row;

		if (!cow_filter_holds(args, ps_keys, c))
			continue;
		row = cow_ps_row(c, now, no_trunc);
		if (!row || json_object_array_add(rows, row)) {
			json_object_put(row);
			return -ENOMEM;
		}
		left--;
	}
	return 0;
}

static int ps_print(const struct cow_args *args, struct json_object *list, int64_t most,
		    struct cow_strbuf *out, struct cow_error *err)
{
	const char *format =
		cow_args_flag(args, "quiet", false) ? "{{.ID}}" : cow_args_string(args, "format");
	struct json_object *rows = json_object_new_array();
	int r = rows && list && json_object_is_type(list, json_type_array)
		? ps_rows(args, list, most, rows)
		: -EPROTO;

	if (r)
		(void)cow_error_errno(err, r, "container.list");
	else
		r = cow_format_rows(out, format,
				    cow_args_flag(args, "size", false) ? cow_ps_size_columns
								       : cow_ps_columns,
				    rows, err);
	json_object_put(rows);
	return r;
}

int cow_cmd_ps(const struct cow_args *args)
{
	int64_t most = cow_args_flag(args, "latest", false) ? 1 : cow_args_int(args, "last", -1);
	bool all = cow_args_flag(args, "all", false) || most >= 0 ||
		cow_filter_has(args, "status") || cow_filter_has(args, "exited");
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct cow_error err = { 0 };
	struct cow_client *c;
	int r = cow_filter_check(args, ps_keys, &err);

	if (r)
		return cow_fail(args, &err);
	c = cow_client_open(args);
	if (!c)
		return args->command->failure;
	r = cow_client_call(c, "container.list", all ? "{\"all\":true}" : "{}", &m, &err)
		?: ps_print(args, m.value, most, &out, &err);
	cow_message_finish(&m);
	cow_client_close(c);
	if (!r)
		return cow_print(args, &out);
	cow_strbuf_finish(&out);
	return cow_fail(args, &err);
}

/* ---- stats */

static int stats_print(const struct cow_args *args, struct json_object *samples, bool refresh,
		       struct cow_error *err)
{
	bool no_trunc = cow_args_flag(args, "no-trunc", false);
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct json_object *rows = json_object_new_array();
	struct cow_strbuf out = COW_STRBUF_INIT;
	int r = rows ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < json_object_array_length(samples); i++) {
		struct json_object *row =
			cow_stats_row(json_object_array_get_idx(samples, i), memory, no_trunc);

		if (!row || json_object_array_add(rows, row)) {
			json_object_put(row);
			r = -ENOMEM;
		}
	}
	if (refresh)
		cow_strbuf_add(&out, "\033[H\033[2J");
	if (r)
		(void)cow_error_errno(err, r, "stats");
	else
		r = cow_format_rows(&out, cow_args_string(args, "format"), cow_stats_columns, rows,
				    err);
	json_object_put(rows);
	if (!r)
		return cow_print(args, &out) ? -EIO : 0;
	cow_strbuf_finish(&out);
	return r;
}

static bool named(const struct cow_args *args, struct json_object *sample)
{
	const char *id = cow_get_string(sample, "id", ""),
		   *name = cow_get_string(sample, "name", "");

	for (int i = 0; i < args->argc; i++)
		if (!strcmp(args->argv[i], name) ||
		    !strncmp(args->argv[i], id, strlen(args->argv[i])))
			return true;
	return !args->argc;
}

struct stats {
	const struct cow_args *args;
	struct cow_error *err;
	bool refresh;
};

static int on_samples(void *arg, struct json_object *event)
{
	const struct stats *s = arg;
	struct json_object *wanted;
	int r = 0;

	if (!event || !json_object_is_type(event, json_type_array))
		return cow_error_set(s->err, -EPROTO, "stats: not an array");
	wanted = json_object_new_array();
	for (size_t i = 0; wanted && i < json_object_array_length(event); i++) {
		struct json_object *sample = json_object_array_get_idx(event, i);

		if (named(s->args, sample))
			(void)json_object_array_add(wanted, json_object_get(sample));
	}
	r = wanted ? stats_print(s->args, wanted, s->refresh, s->err) : -ENOMEM;
	json_object_put(wanted);
	return r;
}

/* One container is asked for by name, so that a wrong name is an error; several are picked from all. */
int cow_cmd_stats(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	bool stream = !cow_args_flag(args, "no-stream", false);
	struct cow_error err = { 0 };
	struct stats s = { .args = args,
			   .err = &err,
			   .refresh = stream && !cow_args_has(args, "format") &&
				   isatty(STDOUT_FILENO) };
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_client *c = cow_client_open(args);
	int r;

	if (!c)
		return args->command->failure;
	cow_strbuf_add(&b, "{");
	if (args->argc == 1)
		cow_params_string(&b, "container", args->argv[0]);
	cow_params_bool(&b, "stream", stream);
	cow_strbuf_add(&b, "}");
	if (b.error)
		r = cow_error_errno(&err, b.error, "stats");
	else if (stream)
		r = cow_client_stream(c, "container.stats", b.data, on_samples, &s, &err);
	else
		r = cow_client_call(c, "container.stats", b.data, &m, &err)
			?: on_samples(&s, m.value);
	cow_message_finish(&m);
	cow_client_close(c);
	return r ? cow_fail(args, &err) : 0;
}
