/* SPDX-License-Identifier: MIT */
/* inspect, top, plugins, version: one question, its answer formatted. */
#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/each.h"
#include "cli/format.h"
#include "cli/top_ps.h"
#include "host/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- inspect */

static void keep(void *arg, const char *container, struct json_object *result)
{
	struct json_object *list = arg;

	(void)container;
	(void)json_object_array_add(list, json_object_get(result));
}

static int print_inspected(const struct cow_args *args, struct json_object *list)
{
	const char *format = cow_args_string(args, "format");
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct cow_error err = { 0 };
	int r = 0;

	if (!format || !*format || !strcmp(format, "json")) {
		if (format)
			cow_format_json(&out, list);
		else
			cow_strbuf_add(&out,
				       json_object_to_json_string_ext(
					       list,
					       JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
		cow_strbuf_add(&out, "\n");
	}
	for (size_t i = 0; format && !out.len && !r && i < json_object_array_length(list); i++)
		r = cow_format_value(&out, format, json_object_array_get_idx(list, i), &err);
	if (!r)
		return cow_print(args, &out);
	cow_strbuf_finish(&out);
	return cow_fail(args, &err);
}

int cow_cmd_inspect(const struct cow_args *args)
{
	const char *type = cow_args_string(args, "type");
	struct json_object *list;
	struct cow_each each = { .method = "container.inspect", .on_result = keep };
	struct cow_error err = { 0 };
	struct cow_client *c;
	int status = args->command->failure, printed;

	if (type && strcmp(type, "container") != 0) {
		(void)cow_error_set(&err, -EINVAL, "--type: \"%s\" is not container", type);
		return cow_fail(args, &err);
	}
	each.arg = list = json_object_new_array();
	c = list ? cow_client_open(args) : NULL;

	if (c) {
		status = cow_each_run(args, c, &each);
		printed = print_inspected(args, list);
		status = status ? status : printed;
	}
	cow_client_close(c);
	json_object_put(list);
	return status;
}

/* ---- the others: a call, and rows from its result */

typedef int (*show_rows)(const char *format, struct json_object *result, struct cow_strbuf *out,
			 struct cow_error *err);

static int show(const struct cow_args *args, const char *method, const char *params, show_rows rows)
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct cow_error err = { 0 };
	struct cow_client *c = cow_client_open(args);
	int r;

	if (!c)
		return args->command->failure;
	r = cow_client_call(c, method, params, &m, &err)
		?: rows(cow_args_string(args, "format"), m.value, &out, &err);
	cow_message_finish(&m);
	cow_client_close(c);
	if (!r)
		return cow_print(args, &out);
	cow_strbuf_finish(&out);
	return cow_fail(args, &err);
}

static bool is_array(struct json_object *o)
{
	return o && json_object_is_type(o, json_type_array);
}

static const char *cell(struct json_object *cells, size_t i)
{
	const char *text = json_object_get_string(json_object_array_get_idx(cells, i));

	return text ? text : "";
}

static void top_line(struct cow_strbuf *out, struct json_object *cells)
{
	for (size_t i = 0; i < json_object_array_length(cells); i++)
		cow_strbuf_addf(out, "%s%s", i ? "\t" : "", cell(cells, i));
	cow_strbuf_add(out, "\n");
}

static void top_object(struct cow_strbuf *out, struct json_object *titles,
		       struct json_object *cells)
{
	for (size_t i = 0; i < json_object_array_length(titles); i++) {
		cow_strbuf_add(out, i ? "," : "{");
		cow_strbuf_json(out, cell(titles, i));
		cow_strbuf_add(out, ":");
		cow_strbuf_json(out, cell(cells, i));
	}
	cow_strbuf_add(out, "}\n");
}

/* The titles are the supervisor's: a table of text cells, or one JSON object for each process. */
static int top_rows(const char *format, struct json_object *result, struct cow_strbuf *out,
		    struct cow_error *err)
{
	struct json_object *titles = cow_get(result, "titles"),
			   *processes = cow_get(result, "processes");
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf text = COW_STRBUF_INIT;
	bool json = format && !strcmp(format, "json");

	if (!is_array(titles) || !is_array(processes))
		return cow_error_set(err, -EPROTO, "container.top: no table came");
	if (!json)
		top_line(&text, titles);
	for (size_t i = 0; i < json_object_array_length(processes); i++) {
		struct json_object *cells = json_object_array_get_idx(processes, i);

		if (!is_array(cells))
			return cow_error_set(err, -EPROTO, "container.top: no table came");
		if (json)
			top_object(out, titles, cells);
		else
			top_line(&text, cells);
	}
	if (text.error || out->error)
		return cow_error_errno(err, -ENOMEM, "container.top");
	if (text.data)
		cow_format_align(out, text.data);
	return 0;
}

static int top_with_ps(const struct cow_args *args, const char *params)
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct cow_client *c = cow_client_open(args);
	struct json_object *titles;
	struct cow_error err = { 0 };
	size_t column = 0;
	int r;

	if (!c)
		return args->command->failure;
	r = cow_client_call(c, "container.top", params, &m, &err);
	titles = cow_get(m.value, "titles");
	if (!r && (!is_array(titles) || !is_array(cow_get(m.value, "processes"))))
		r = cow_error_set(&err, -EPROTO, "container.top: no table came");
	while (!r && column < json_object_array_length(titles) &&
	       strcmp(cell(titles, column), "PID") != 0)
		column++;
	if (!r)
		r = cow_top_ps(&out, args->argv + 1, args->argc - 1, cow_get(m.value, "processes"),
			       column, &err);
	cow_message_finish(&m);
	cow_client_close(c);
	if (!r)
		return cow_print(args, &out);
	cow_strbuf_finish(&out);
	return cow_fail(args, &err);
}

int cow_cmd_top(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_add(&b, "{");
	cow_params_string(&b, "container", args->argv[0]);
	cow_strbuf_add(&b, "}");
	return args->argc > 1 ? top_with_ps(args, b.data)
			      : show(args, "container.top", b.data, top_rows);
}

static int plugin_rows(const char *format, struct json_object *result, struct cow_strbuf *out,
		       struct cow_error *err)
{
	static const struct cow_column columns[] = {
		{ "NAME", "name" },
		{ "VERSION", "version" },
		{ "ABI", "abi" },
		{ "STATE", "state" },
		{ "RESOURCES", "resources" },
		{ "DESCRIPTION", "description" },
		{ NULL, NULL },
	};

	if (!is_array(result))
		return cow_error_set(err, -EPROTO, "plugins.list: no list came");
	return cow_format_rows(out, format, columns, result, err);
}

int cow_cmd_plugins(const struct cow_args *args)
{
	return show(args, "plugins.list", NULL, plugin_rows);
}

static int plugin_check(const struct cow_args *args, const char *path)
{
	struct cow_error err = { 0 };
	int r = cow_host_check_plugin(path, &err);

	return r ? cow_fail(args, &err) : 0;
}

static int plugin_unload(const struct cow_args *args, const char *name)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_error err = { 0 };
	struct cow_client *c = cow_client_open(args);
	int r;

	if (!c)
		return args->command->failure;
	cow_strbuf_add(&b, "{");
	cow_params_string(&b, "name", name);
	cow_strbuf_add(&b, "}");
	r = cow_client_call(c, "plugins.unload", b.data, &m, &err);
	cow_message_finish(&m);
	cow_client_close(c);
	if (r)
		return cow_fail(args, &err);
	(void)printf("%s\n", name);
	return 0;
}

int cow_cmd_plugin(const struct cow_args *args)
{
	struct cow_error err = { 0 };

	if (!strcmp(args->argv[0], "check"))
		return plugin_check(args, args->argv[1]);
	if (!strcmp(args->argv[0], "unload"))
		return plugin_unload(args, args->argv[1]);
	(void)cow_error_set(&err, -EINVAL, "plugin: \"%s\" is neither check nor unload",
			    args->argv[0]);
	return cow_fail(args, &err);
}

/* ---- version: works without a supervisor, and then says so by its status, as docker does */

static void client_version(struct cow_strbuf *out, struct json_object *server)
{
	cow_strbuf_add(out, "{");
	cow_params_key(out, "client");
	cow_strbuf_add(out, "{\"version\":\"" COW_VERSION "\",\"api\":\"1.0\"}");
	if (server) {
		cow_params_key(out, "server");
		cow_format_json(out, server);
	}
	cow_strbuf_add(out, "}");
}

static void version_text(struct cow_strbuf *out, struct json_object *server)
{
	static const char *const keys[][2] = {
		{ "version", "Version" }, { "api", "API" },       { "abi", "Plugin ABI" },
		{ "owner", "Owner" },     { "pid", "PID" },       { "kernel", "Kernel" },
		{ "cgroup", "Cgroup" },   { "run_root", "Root" }, { "state_root", "State" },
		{ "uptime_s", "Uptime" },
	};

	cow_strbuf_add(out, "Client:\n  Version:     " COW_VERSION "\n  API:         1.0\n");
	if (!server)
		return;
	cow_strbuf_add(out, "Supervisor:\n");
	for (size_t i = 0; i < COW_ELEMENTS(keys); i++) {
		struct json_object *v = cow_get(server, keys[i][0]);

		if (v)
			cow_strbuf_addf(out, "  %s:%*s%s%s\n", keys[i][1],
					(int)(12 - strlen(keys[i][1])), "",
					json_object_get_string(v),
					strcmp(keys[i][0], "uptime_s") ? "" : " s");
	}
}

static int version_print(const struct cow_args *args, struct json_object *server)
{
	const char *format = cow_args_string(args, "format");
	struct cow_strbuf out = COW_STRBUF_INIT, both = COW_STRBUF_INIT;
	struct json_object *value = NULL;
	struct cow_error err = { 0 };
	int r = 0;

	if (!format || !strcmp(format, "table")) {
		version_text(&out, server);
		return cow_print(args, &out);
	}
	client_version(&both, server);
	if (!strcmp(format, "json")) {
		cow_strbuf_add(&both, "\n");
		return cow_print(args, &both);
	}
	value = both.error ? NULL : json_tokener_parse(both.data);
	cow_strbuf_finish(&both);
	r = value ? cow_format_value(&out, format, value, &err)
		  : cow_error_errno(&err, -ENOMEM, "version");
	json_object_put(value);
	if (!r)
		return cow_print(args, &out);
	cow_strbuf_finish(&out);
	return cow_fail(args, &err);
}

int cow_cmd_version(const struct cow_args *args)
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_error err = { 0 };
	struct cow_client *c = NULL;
	int r = cow_client_connect(cow_client_host(args), &c, &err)
		?: cow_client_call(c, "version", NULL, &m, &err);
	int status = version_print(args, r ? NULL : m.value);

	cow_message_finish(&m);
	cow_client_close(c);
	return r ? cow_fail(args, &err) : status;
}
