/* SPDX-License-Identifier: MIT */
/* Verbs that plugins add: called in the supervisor, or, where there is none, in this process. */
#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/format.h"
#include "cli/help.h"
#include "cli/local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct verb {
	const char *name, *cwd, *plugin_dir;
	struct cow_strbuf words; /* a JSON array */
	struct cow_strbuf out;
	int status; /* as the plugin wishes; 0: as usual */
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

/*
 * The streams go to the plugin as they are, and one that is watched there becomes non-blocking: here
 * too, and in the shell that shares it.
 */
static int own_flags[3] = { -1, -1, -1 };

static void restore_flags(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (own_flags[fd] >= 0)
			(void)fcntl(fd, F_SETFL, own_flags[fd]);
}

static void end_cb(int signo)
{
	restore_flags();
	(void)signal(signo, SIG_DFL);
	(void)raise(signo);
}

static void keep_flags(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	for (int fd = 0; fd < 3; fd++)
		own_flags[fd] = fcntl(fd, F_GETFL);
	for (size_t i = 0; i < COW_ELEMENTS(ends); i++)
		if (signal(ends[i], end_cb) == SIG_IGN)
			(void)signal(ends[i], SIG_IGN);
}

/* What comes before the answer: how far it is, and the status to end with. */
static void on_message(struct verb *v, struct cow_message *m)
{
	if (!strcmp(cow_get_string(m->root, "method", ""), "exit"))
		v->status = (int)cow_get_int(cow_get(m->root, "params"), "exit_code", 0);
	else
		cow_local_progress(m->value);
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
		if (m.is_event && m.id == id)
			on_message(v, &m);
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

/* The supervisor's entry of `verbs`, in *ret with its message; -ENOENT: none answers, or not that one. */
static int find_verb(struct cow_client *c, const char *name, struct cow_message *ret,
		     struct json_object **ret_verb)
{
	struct cow_message m = COW_MESSAGE_INIT;
	int r = cow_client_call(c, "verbs", NULL, &m, NULL);

	if (!r && json_object_is_type(m.value, json_type_array))
		for (size_t i = 0; i < json_object_array_length(m.value); i++) {
			struct json_object *one = json_object_array_get_idx(m.value, i);

			if (strcmp(cow_get_string(one, "name", ""), name) != 0)
				continue;
			*ret_verb = one;
			*ret = m;
			return 0;
		}
	cow_message_finish(&m);
	return -ENOENT;
}

/* A supervisor that does not know the verb does not keep us from trying ourselves. */
static int call_somewhere(const char *host, struct verb *v, struct cow_error *err)
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_error why = { 0 };
	struct cow_client *c = NULL;
	struct json_object *known;
	int r = cow_client_connect(host, &c, &why) ?: find_verb(c, v->name, &m, &known);

	cow_message_finish(&m);
	if (!r) {
		keep_flags();
		r = call_server(c, v, err);
		restore_flags();
	} else {
		r = cow_local_verb(v->name, v->words.data, v->cwd, v->plugin_dir, &v->out,
				   &v->status, err);
	}
	cow_client_close(c);
	return r;
}

static int call(const struct cow_args *args, struct verb *v, const char *host, int argc,
		char **argv)
{
	char cwd[PATH_MAX];
	struct cow_error err = { 0 };
	int r;

	v->cwd = getcwd(cwd, sizeof(cwd)) ? cwd : "/";
	cow_strbuf_add(&v->words, "[");
	for (int i = 0; i < argc; i++) {
		cow_strbuf_add(&v->words, i ? "," : "");
		cow_strbuf_json(&v->words, argv[i]);
	}
	cow_strbuf_add(&v->words, "]");
	r = v->words.error ? cow_error_errno(&err, v->words.error, "%s", v->name)
			   : call_somewhere(host, v, &err);
	cow_strbuf_finish(&v->words);
	if (!r && v->out.len && v->out.data[v->out.len - 1] != '\n')
		cow_strbuf_add(&v->out, "\n");
	if (!r)
		return cow_print(args, &v->out) ?: v->status;
	cow_strbuf_finish(&v->out);
	/* With a verb that nobody offers it is our own failure; with one that failed, the plugin's. */
	r = cow_fail(args, &err);
	return v->status ? v->status : err.code == -ENOPKG ? r : 1;
}

int cow_verb_help(const struct cow_args *args, const char *host, const char *verb)
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct json_object *known = NULL, *own = NULL;
	struct cow_error err = { 0 };
	struct cow_client *c = NULL;
	int r = cow_client_connect(host, &c, NULL) ?: find_verb(c, verb, &m, &known);

	if (r) {
		r = cow_local_describe(verb, NULL, &own, &err);
		known = own;
	}
	if (!r)
		cow_help_verb(&out, cow_get_string(known, "usage", verb),
			      cow_get_string(known, "help", ""),
			      cow_get_string(known, "details", ""));
	cow_message_finish(&m);
	json_object_put(own);
	cow_client_close(c);
	return r ? cow_fail(args, &err) : cow_print(args, &out);
}

/* --host before the plugin's own words, as every verb takes it; *ret_host is left alone without. */
static int leading_host(int argc, char **argv, const char **ret_host)
{
	int n = 0;

	for (; n < argc; n++) {
		const char *word = argv[n];

		if (!strncmp(word, "--host=", 7))
			*ret_host = word + 7;
		else if ((!strcmp(word, "--host") || !strcmp(word, "-H")) && n + 1 < argc)
			*ret_host = argv[++n];
		else
			break;
	}
	return n;
}

int cow_cmd_plugin_verb(const struct cow_args *top, const char *verb, int argc, char **argv)
{
	struct verb v = { .name = verb, .words = COW_STRBUF_INIT, .out = COW_STRBUF_INIT };
	const char *host = cow_client_host(top);
	int skip = leading_host(argc, argv, &host);

	argc -= skip;
	argv += skip;
	if (argc == 1 && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")))
		return cow_verb_help(top, host, verb);
	return call(top, &v, host, argc, argv);
}

int cow_cmd_explain(const struct cow_args *args)
{
	struct verb v = { .name = args->command->name,
			  .plugin_dir = cow_args_string(args, "plugin-dir"),
			  .words = COW_STRBUF_INIT,
			  .out = COW_STRBUF_INIT };

	return call(args, &v, cow_client_host(args), args->argc, args->argv);
}
