/* SPDX-License-Identifier: MIT */
#include "cli/local.h"
#include "base/cleanup.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/timers.h"
#include "cli/paths.h"
#include "host/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define CANCEL_MS 5000

struct local {
	uv_loop_t loop;
	uv_timer_t wake;
	struct cow_timers timers;
	struct cow_timer deadline;
	struct cow_ops *ops;
	struct cow_host *host;
	uv_signal_t signals[3];
	const struct cow_verb *verb;
	cow_op op;
	int signo; /* that asked this process to end */
	bool answered;
	int *status;
	struct cow_strbuf *out;
	struct cow_error *err;
};

static void wake_cb(uv_timer_t *wake)
{
	struct local *l = wake->data;

	cow_timers_advance(&l->timers, cow_monotonic_ms());
}

static void rearm(void *arg, uint64_t due_ms)
{
	struct local *l = arg;
	uint64_t now = cow_monotonic_ms();

	if (due_ms == UINT64_MAX)
		(void)uv_timer_stop(&l->wake);
	else
		(void)uv_timer_start(&l->wake, wake_cb, due_ms > now ? due_ms - now : 0, 0);
}

static int local_init(struct local *l)
{
	int r = uv_loop_init(&l->loop);

	if (r)
		return r;
	(void)uv_timer_init(&l->loop, &l->wake);
	l->wake.data = l;
	for (size_t i = 0; i < COW_ELEMENTS(l->signals); i++)
		(void)uv_signal_init(&l->loop, &l->signals[i]);
	cow_timers_init(&l->timers, cow_monotonic_ms());
	l->timers.rearm = rearm;
	l->timers.rearm_arg = l;
	l->ops = cow_ops_create(&l->timers);
	return l->ops ? 0 : -ENOMEM;
}

static void local_finish(struct local *l)
{
	if (l->host)
		cow_host_destroy(l->host);
	cow_ops_destroy(l->ops);
	cow_timers_finish(&l->timers);
	uv_close((uv_handle_t *)&l->wake, NULL);
	for (size_t i = 0; i < COW_ELEMENTS(l->signals); i++)
		uv_close((uv_handle_t *)&l->signals[i], NULL);
	(void)uv_run(&l->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&l->loop);
}

static int local_load(struct local *l, const char *plugin_dir, struct cow_error *err)
{
	_cleanup_free_ char *plugins = cow_paths_plugin_dir(plugin_dir),
			    *libexec = cow_paths_libexec_dir();
	struct cow_host_setup setup = { .loop = &l->loop,
					.timers = &l->timers,
					.ops = l->ops,
					.run_root = "/run/cowherd",
					.visitor = true,
					.state_root = "/var/lib/cowherd",
					.libexec_dir = libexec };
	int r;

	if (!plugins || !libexec)
		return cow_error_errno(err, -ENOMEM, "plugins");
	r = cow_host_create(&setup, &l->host, err);
	if (r)
		return r;
	r = cow_host_load_dir(l->host, plugins);
	if (r && r != -ENOENT)
		return cow_error_errno(err, r, "%s", plugins);
	/* One plugin that fails (the host has logged it) does not take the verbs of others away. */
	(void)cow_host_init_all(l->host, NULL);
	return 0;
}

void cow_local_progress(struct json_object *value)
{
	const char *text = json_object_is_type(value, json_type_string)
		? json_object_get_string(value)
		: json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
							    JSON_C_TO_STRING_NOSLASHESCAPE);

	(void)fprintf(stderr, "%s\n", text ? text : "");
}

static int on_progress(void *arg, cow_op op, const char *json)
{
	struct json_object *value = json_tokener_parse(json);
	const struct local *l = arg;

	if (op == l->op)
		cow_local_progress(value);
	json_object_put(value);
	return op == l->op ? 0 : -ENOENT;
}

static void die(int signo)
{
	(void)signal(signo, SIG_DFL);
	(void)raise(signo);
}

static void too_late(struct cow_timer *timer, void *arg)
{
	const struct local *l = arg;

	(void)timer;
	die(l->signo);
}

/* The plugin is asked to finish; a second signal, or five seconds, and nobody waits for it. */
static void on_signal(uv_signal_t *handle, int signo)
{
	struct local *l = handle->data;

	if (l->signo || !l->verb->table.cancel)
		die(signo);
	l->signo = signo;
	if (cow_timer_start(&l->timers, &l->deadline, CANCEL_MS, too_late, l))
		die(signo);
	l->verb->table.cancel(l->verb->arg, l->op);
}

static void watch_signals(struct local *l)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < COW_ELEMENTS(l->signals); i++) {
		struct sigaction now;

		/* What nohup(1) has ignored stays so. */
		if (sigaction(ends[i], NULL, &now) || now.sa_handler == SIG_IGN)
			continue;
		l->signals[i].data = l;
		(void)uv_signal_start(&l->signals[i], on_signal, ends[i]);
	}
}

static void verb_done(void *arg, cow_op op, const struct cow_answer *answer)
{
	const struct cowherd_answer *full = answer->payload;
	struct local *l = arg;

	(void)op;
	l->answered = true;
	if (full)
		*l->status = full->exit_code;
	if (answer->code < 0)
		(void)cow_error_set(
			l->err, answer->code, "%s",
			answer->message ? answer->message : cow_errno_text(answer->code));
	else if (full && full->result)
		cow_strbuf_add(l->out, full->result);
}

static int no_such_verb(const char *verb, struct cow_error *err)
{
	return cow_error_set(err, -ENOPKG,
			     "no such verb: %s (no plugin offers it; see `cowherd help`)", verb);
}

static int local_call(struct local *l, const char *verb, const char *args, const char *cwd)
{
	const struct cow_verb *v = cow_host_verb(l->host, verb);
	struct cowherd_call call = { .size = sizeof(call),
				     .args = args,
				     .cwd = cwd,
				     .in = STDIN_FILENO,
				     .out = STDOUT_FILENO,
				     .err = STDERR_FILENO,
				     .client_uid = getuid() };
	int r;

	if (!v)
		return no_such_verb(verb, l->err);
	r = cow_op_open(l->ops, 0, verb_done, l, &l->op);
	if (r)
		return cow_error_errno(l->err, r, "%s", verb);
	l->verb = v;
	watch_signals(l);
	r = v->table.call(v->arg, l->op, &call);
	if (r != COWHERD_LATER)
		(void)cow_ops_answer(l->ops, l->op, &(const struct cow_answer){ .code = r });
	while (!l->answered && uv_run(&l->loop, UV_RUN_ONCE))
		;
	if (!l->answered)
		return cow_error_set(l->err, -EIO, "%s: the plugin never answered", verb);
	return l->err->code;
}

static int local_start(struct local *l, const char *plugin_dir, struct cow_error *err)
{
	static const struct cow_host_events events = { .progress = on_progress };
	int r = local_init(l);

	if (r)
		return cow_error_errno(err, r, "event loop");
	/* Only what goes wrong: this is a client. */
	cow_log_setup(STDERR_FILENO, COW_LOG_ERROR, false);
	r = local_load(l, plugin_dir, err);
	if (!r)
		cow_host_set_events(l->host, &events, l);
	else
		local_finish(l);
	return r;
}

int cow_local_verb(const char *verb, const char *args, const char *cwd, const char *plugin_dir,
		   struct cow_strbuf *out, int *ret_status, struct cow_error *err)
{
	struct local l = { .out = out, .status = ret_status, .err = err };
	int r = local_start(&l, plugin_dir, err);

	if (r)
		return r;
	r = local_call(&l, verb, args, cwd);
	local_finish(&l);
	if (l.signo)
		die(l.signo);
	return r;
}

int cow_local_describe(const char *verb, const char *plugin_dir, struct json_object **ret,
		       struct cow_error *err)
{
	struct local l = { 0 };
	int r = local_start(&l, plugin_dir, err);
	const struct cow_verb *v;
	struct json_object *o;

	if (r)
		return r;
	v = cow_host_verb(l.host, verb);
	o = v ? json_object_new_object() : NULL;
	if (!v)
		r = no_such_verb(verb, err);
	else if (!o ||
		 json_object_object_add(o, "usage", json_object_new_string(v->table.usage)) ||
		 json_object_object_add(o, "help", json_object_new_string(v->table.help)) ||
		 json_object_object_add(o, "details", json_object_new_string(v->table.details)))
		r = cow_error_errno(err, -ENOMEM, "%s", verb);
	local_finish(&l);
	if (r)
		json_object_put(o);
	else
		*ret = o;
	return r;
}
