/* SPDX-License-Identifier: MIT */
/* logs and events. */
#include "base/cleanup.h"
#include "base/ids.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/filter.h"
#include "cli/format.h"
#include "cli/pump.h"
#include "cli/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int time_param(const struct cow_args *args, const char *option, const char *key,
		      struct cow_strbuf *b, struct cow_error *err)
{
	const char *text = cow_args_string(args, option);
	uint64_t ns;

	if (!text)
		return 0;
	if (cow_text_time_ns(text, cow_realtime_ns(), &ns) || ns > INT64_MAX)
		return cow_error_set(err, -EINVAL,
				     "--%s: \"%s\" is not a time like 2024-05-01T10:11:12Z or 10m",
				     option, text);
	cow_params_int(b, key, (int64_t)ns);
	return 0;
}

/* ---- logs */

static int logs_params(const struct cow_args *args, struct cow_strbuf *b, struct cow_error *err)
{
	const char *tail = cow_args_string(args, "tail");
	int64_t lines;
	int r;

	cow_strbuf_add(b, "{");
	cow_params_string(b, "container", args->argv[0]);
	cow_params_bool(b, "follow", cow_args_flag(args, "follow", false));
	cow_params_bool(b, "timestamps", cow_args_flag(args, "timestamps", false));
	if (tail && strcmp(tail, "all")) {
		if (cow_text_int(tail, &lines))
			return cow_error_set(err, -EINVAL,
					     "--tail: \"%s\" is neither a number nor all", tail);
		/* Docker takes a negative number for all. */
		if (lines >= 0)
			cow_params_int(b, "tail", lines);
	}
	r = time_param(args, "since", "since_ns", b, err)
		?: time_param(args, "until", "until_ns", b, err);
	cow_strbuf_add(b, "}");
	return r ?: b->error ? cow_error_errno(err, b->error, "logs") : 0;
}

/* Both streams until both end; a reader that goes away ends us as it would end any filter. */
static int relay(struct cow_message *m, struct cow_error *err)
{
	struct cow_pump pumps[2] = { COW_PUMP_INIT, COW_PUMP_INIT };
	struct pollfd p[2];
	int r = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 0; !r && i < 2; i++)
		r = cow_pump_out(&pumps[i], cow_take_fd(&m->fds[i]), true, i + 1);
	if (r)
		(void)cow_error_errno(err, r, "standard streams");
	while (!r && !(cow_pump_done(&pumps[0]) && cow_pump_done(&pumps[1]))) {
		for (int i = 0; i < 2; i++)
			cow_pump_poll(&pumps[i], &p[i]);
		(void)poll(p, 2, -1);
		for (int i = 0; i < 2; i++)
			cow_pump_run(&pumps[i], &p[i]);
		if (pumps[0].broken || pumps[1].broken)
			r = -EPIPE;
	}
	for (int i = 0; i < 2; i++) {
		if (!r && pumps[i].error)
			r = cow_error_errno(err, pumps[i].error, "standard %s",
					    i ? "error" : "output");
		cow_pump_finish(&pumps[i]);
	}
	return r;
}

int cow_cmd_logs(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_error err = { 0 };
	struct cow_client *c;
	int r = logs_params(args, &b, &err);

	if (r)
		return cow_fail(args, &err);
	c = cow_client_open(args);
	if (!c)
		return args->command->failure;
	r = cow_client_call(c, "container.logs", b.data, &m, &err) ?: relay(&m, &err);
	cow_message_finish(&m);
	cow_client_close(c);
	return r ? cow_fail(args, &err) : 0;
}

/* ---- events */

static const struct cow_filter_key event_keys[] = {
	{ "container", "name", COW_FILTER_OBJECT },
	{ "event", "event", COW_FILTER_EQUAL },
	{ "label", "labels", COW_FILTER_LABEL },
	{ "type", "type", COW_FILTER_EQUAL },
	{ NULL, NULL, COW_FILTER_EQUAL },
};

struct events {
	const struct cow_args *args;
	struct cow_error *err;
};

/* What a person wants to read first, then the rest as KEY=VALUE. */
static void event_text(struct cow_strbuf *out, struct json_object *event)
{
	char when[64];

	cow_text_rfc3339((uint64_t)cow_get_int(event, "time_ns", 0), true, when, sizeof(when));
	cow_strbuf_addf(out, "%s %s", when, cow_get_string(event, "event", ""));
	json_object_object_foreach(event, key, value) {
		if (!strcmp(key, "time_ns") || !strcmp(key, "event") ||
		    !strcmp(key, "type") || !value)
			continue;
		cow_strbuf_addf(out, " %s=", key);
		if (json_object_is_type(value, json_type_string))
			cow_text_quote(out, json_object_get_string(value));
		else
			cow_format_json(out, value);
	}
	cow_strbuf_add(out, "\n");
}

static int on_event(void *arg, struct json_object *event)
{
	const struct events *e = arg;
	const char *format = cow_args_string(e->args, "format");
	struct cow_strbuf out = COW_STRBUF_INIT;
	int r = 0;

	if (!event || !json_object_is_type(event, json_type_object))
		return 0;
	/* As docker has it, where there are also events of images, networks and volumes. */
	(void)json_object_object_add(event, "type", json_object_new_string("container"));
	if (!cow_filter_holds(e->args, event_keys, event))
		return 0;
	if (!format || !*format || !strcmp(format, "table")) {
		event_text(&out, event);
	} else if (!strcmp(format, "json")) {
		cow_format_json(&out, event);
		cow_strbuf_add(&out, "\n");
	} else {
		r = cow_format_value(&out, format, event, e->err);
	}
	if (!r)
		return cow_print(e->args, &out) ? -EPIPE : 0;
	cow_strbuf_finish(&out);
	return r;
}

int cow_cmd_events(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_error err = { 0 };
	struct events e = { args, &err };
	struct cow_client *c;
	int r = cow_filter_check(args, event_keys, &err);

	cow_strbuf_add(&b, "{");
	r = r ?: time_param(args, "since", "since_ns", &b, &err)
		?: time_param(args, "until", "until_ns", &b, &err);
	cow_strbuf_add(&b, "}");
	if (r)
		return cow_fail(args, &err);
	c = cow_client_open(args);
	if (!c)
		return args->command->failure;
	r = b.error ? cow_error_errno(&err, b.error, "events")
		    : cow_client_stream(c, "events", b.data, on_event, &e, &err);
	cow_client_close(c);
	return r ? cow_fail(args, &err) : 0;
}
