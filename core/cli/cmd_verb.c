/* SPDX-License-Identifier: MIT */
/* Verbs that plugins add: called in the supervisor, or, where there is none, in this process. */
#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/local.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct verb {
	const char *name, *cwd, *plugin_dir;
	struct cow_strbuf words; /* a JSON array */
	struct cow_strbuf out;
};

static void print_result(struct cow_strbuf *out, struct json_object *value)
{
	if (!value ||
	    (json_object_is_type(value, json_type_object) && !json_object_object_length(value)))
		return;
	if (json_object_is_type(value, json_type_string))
		cow_strbuf_add(out, json_object_get_string(value));
	else
		cow_format_json(out, value);
}

static int call_server(struct cow_client *c, struct verb *v, struct cow_error *err)
{
	static const int own[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	uint64_t id;
	int r;

	cow_strbuf_add(&b, "{");
	cow_params_string(&b, "name", v->name);
	cow_params_string(&b, "cwd", v->cwd);
	cow_params_key(&b, "args");
	cow_strbuf_add(&b, v->words.data);
	cow_strbuf_add(&b, ",\"fds\":[\"stdin\",\"stdout\",\"stderr\"]}");
	if (b.error)
		return cow_error_errno(err, b.error, "%s", v->name);
	r = cow_client_send(c, "verb.call", b.data, own, 3, &id, err);
	while (!r) {
		r = cow_client_receive(c, true, &m, err);
		if (r < 0)
			return r;
		r = m.id == id && !m.is_event;
		if (r)
			break;
		/* How far it is, for people who wait. */
		if (m.is_event && m.id == id && m.value)
			(void)fprintf(stderr, "%s\n", json_object_to_json_string(m.value));
		cow_message_finish(&m);
	}
	if (r < 0)
		return r;
	r = m.error.code;
	if (r)
		*err = m.error;
	else
		print_result(&v->out, m.value);
	cow_message_finish(&m);
	return r;
}

/* A supervisor that does not know the verb does not keep us from trying ourselves. */
static int call_somewhere(const struct cow_args *args, struct verb *v, struct cow_error *err)
{
	struct cow_error why = { 0 };
	struct cow_client *c = NULL;
	int r = cow_client_connect(cow_client_host(args), &c, &why);

	if (!r) {
		struct cow_message m = COW_MESSAGE_INIT;

		r = cow_client_call(c, "verbs", NULL, &m, &why);
		for (size_t i = 0; !r && m.value && i < json_object_array_length(m.value); i++) {
			struct json_object *one = json_object_array_get_idx(m.value, i);

			if (!strcmp(cow_get_string(one, "name", ""), v->name)) {
				cow_message_finish(&m);
				r = call_server(c, v, err);
				cow_client_close(c);
				return r;
			}
		}
		cow_message_finish(&m);
		cow_client_close(c);
	}
	return cow_local_verb(v->name, v->words.data, v->cwd, v->plugin_dir, &v->out, err);
}

static int call(const struct cow_args *args, const char *name, int argc, char **argv,
		const char *plugin_dir)
{
	char cwd[PATH_MAX];
	struct verb v = { .name = name,
			  .plugin_dir = plugin_dir,
			  .words = COW_STRBUF_INIT,
			  .out = COW_STRBUF_INIT };
	struct cow_error err = { 0 };
	int r;

	v.cwd = getcwd(cwd, sizeof(cwd)) ? cwd : "/";
	cow_strbuf_add(&v.words, "[");
	for (int i = 0; i < argc; i++) {
		cow_strbuf_add(&v.words, i ? "," : "");
		cow_strbuf_json(&v.words, argv[i]);
	}
	cow_strbuf_add(&v.words, "]");
	r = v.words.error ? cow_error_errno(&err, v.words.error, "%s", name)
			  : call_somewhere(args, &v, &err);
	cow_strbuf_finish(&v.words);
	if (!r && v.out.len && v.out.data[v.out.len - 1] != '\n')
		cow_strbuf_add(&v.out, "\n");
	if (!r)
		return cow_print(args, &v.out);
	cow_strbuf_finish(&v.out);
	return cow_fail(args, &err);
}

int cow_cmd_plugin_verb(const struct cow_args *top, const char *verb, int argc, char **argv)
{
	return call(top, verb, argc, argv, NULL);
}

int cow_cmd_explain(const struct cow_args *args)
{
	return call(args, args->command->name, args->argc, args->argv,
		    cow_args_string(args, "plugin-dir"));
}
