/* SPDX-License-Identifier: MIT */
#include "cli/supervise_internal.h"

#include "base/cleanup.h"
#include "cli/supervise_config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SHUTDOWN_MS 10000

/* ---- stop: containers, engine, socket */

static void answer_stop(struct cow_supervisor *s)
{
	while (!cow_list_empty(&s->stop_waiters)) {
		struct stop_waiter *w =
			cow_container_of(s->stop_waiters.next, struct stop_waiter, link);

		cow_list_del(&w->link);
		w->done(w->arg, NULL, "{}");
		free(w);
	}
}

static void server_closed(void *arg)
{
	struct cow_supervisor *s = arg;

	s->server = NULL;
	s->stage = STAGE_END;
	uv_stop(&s->loop);
}

static void engine_stopped(void *arg, const struct cow_error *err, const char *result)
{
	struct cow_supervisor *s = arg;

	(void)result;
	if (err)
		cow_supervisor_log(COW_LOG_ERROR, "supervisor.stop", err->message);
	answer_stop(s);
	s->stage = STAGE_CLOSE;
	if (s->server)
		cow_server_close(s->server, server_closed, s);
	else
		server_closed(s);
}

static void hurried(void *arg, const struct cow_error *err, const char *result)
{
	(void)arg;
	(void)err;
	(void)result;
}

static void containers_stopped(void *arg, const struct cow_error *err, const char *result)
{
	struct cow_supervisor *s = arg;

	(void)err;
	(void)result;
	s->stage = STAGE_DRAIN;
	if (s->options.stopped && !s->kill_wanted)
		s->options.stopped(s->options.arg);
	else
		cow_supervisor_proceed(s);
}

void cow_supervisor_proceed(struct cow_supervisor *s)
{
	if (s->stage != STAGE_DRAIN)
		return;
	s->stage = STAGE_SHUTDOWN;
	cow_engine_shutdown(s->engine, SHUTDOWN_MS, s->kill_wanted, engine_stopped, s);
}

static void begin_stop(struct cow_supervisor *s)
{
	s->stage = STAGE_STOP;
	cow_process_notify("STOPPING=1");
	cow_supervisor_log(COW_LOG_INFO, "supervisor.stop",
			   s->kill_wanted ? "killing" : "stopping");
	cow_reconcile_stop(s->reconcile, s->stop_timeout_ms, s->options.remove, containers_stopped,
			   s);
	if (s->kill_wanted)
		cow_reconcile_kill(s->reconcile);
}

static void hurry_stop(struct cow_supervisor *s)
{
	if (s->stage == STAGE_STOP)
		cow_reconcile_kill(s->reconcile);
	else if (s->stage == STAGE_DRAIN)
		cow_supervisor_proceed(s);
	else if (s->stage == STAGE_SHUTDOWN)
		cow_engine_shutdown(s->engine, 0, true, hurried, NULL);
}

void cow_supervisor_stop(struct cow_supervisor *s, int64_t timeout_ms, bool kill,
			 cow_engine_cb done, void *arg)
{
	struct stop_waiter *w = done ? calloc(1, sizeof(*w)) : NULL;
	bool first = !s->stop_wanted, hurry = kill && !s->kill_wanted;

	if (w) {
		*w = (struct stop_waiter){ .done = done, .arg = arg };
		cow_list_add(&s->stop_waiters, &w->link);
	} else if (done) {
		const struct cow_error err = { .code = -ENOMEM, .message = "out of memory" };

		done(arg, &err, NULL);
	}
	s->kill_wanted |= kill;
	if (first) {
		s->stop_wanted = true;
		s->stop_timeout_ms = timeout_ms < 0 ? s->options.stop_timeout_ms : timeout_ms;
	}
	if ((first || hurry) && s->options.stopping)
		s->options.stopping(s->options.arg, s->kill_wanted);
	if (first && s->stage == STAGE_RUN)
		begin_stop(s);
	else if (hurry)
		hurry_stop(s);
}

/* ---- reload */

static void warn_setting(const char *name, const char *old, const char *new)
{
	_cleanup_free_ char *text = NULL;

	if (strcmp(old ? old : "", new ? new : "") == 0)
		return;
	text = cow_asprintf("%s: the new value counts from the next start on", name);
	cow_supervisor_log(COW_LOG_WARN, "supervisor.reload", text ? text : name);
}

static void warn_settings(const struct cow_config *old, const struct cow_config *new)
{
	warn_setting("root", old->root, new->root);
	warn_setting("state", old->state, new->state);
	warn_setting("host", old->host, new->host);
	warn_setting("owner", old->owner, new->owner);
	warn_setting("plugins_dir", old->plugins_dir, new->plugins_dir);
	if (old->emulate_build != new->emulate_build)
		warn_setting("emulate", "old", "new");
}

static void reload_logged(void *arg, const struct cow_error *err, const char *result)
{
	struct cow_supervisor *s = arg;

	cow_supervisor_log(err ? COW_LOG_ERROR : COW_LOG_INFO, "supervisor.reload",
			   err ? err->message : result);
	if (s->options.applied)
		s->options.applied(s->options.arg);
}

/* All mistakes, in the one line that an error is. */
static void tell_mistakes(const struct cow_config_errors *errors, struct cow_error *err)
{
	struct cow_strbuf line = { 0 };
	size_t n;

	for (const char *at = errors->text.data; at && *at; at += n + (at[n] == '\n')) {
		n = strcspn(at, "\n");
		(void)cow_strbuf_addf(&line, "%s%.*s", line.len ? "; " : "", (int)n, at);
	}
	(void)cow_error_set(err, -EINVAL, "nothing is changed: %s", line.data ? line.data : "out of memory");
	cow_strbuf_finish(&line);
}

/* A configuration with a mistake changes nothing. */
static void reload(void *arg, cow_engine_cb done, void *done_arg)
{
	struct cow_supervisor *s = arg;
	struct cow_config_errors errors = { 0 };
	const struct cow_config *old = cow_reconcile_config(s->reconcile);
	struct cow_config *config = NULL;
	struct cow_error err = { 0 };

	if (cow_config_load(s->config_path, &config, &errors) == 0 &&
	    cow_config_check_plugins(config, s->host, &errors) &&
	    cow_supervisor_log_settings(s, config, &err) == 0) {
		(void)cow_config_apply_plugins(config, old, s->host, &errors);
		if (old)
			warn_settings(old, config);
		(void)cow_supervisor_log_open(s, NULL);
		cow_reconcile_apply(s->reconcile, config, false, done, done_arg);
	} else {
		cow_config_destroy(config);
		tell_mistakes(&errors, &err);
		done(done_arg, &err, NULL);
	}
	if (errors.count)
		cow_supervisor_log_lines(COW_LOG_ERROR, "supervisor.reload", errors.text.data);
	cow_config_errors_finish(&errors);
}

/* ---- signals */

void cow_supervisor_signal(uv_signal_t *handle, int signo)
{
	struct cow_supervisor *s = handle->data;

	if (signo == SIGHUP) {
		if (s->stage == STAGE_RUN)
			reload(s, reload_logged, s);
		return;
	}
	/* The second one kills. */
	cow_supervisor_stop(s, -1, s->stop_wanted, NULL, NULL);
}

/* ---- start: what a predecessor left, the socket, the configuration */

void cow_supervisor_failed(void *arg, const char *container, const char *message)
{
	struct cow_supervisor *s = arg;

	if (s->options.failed)
		s->options.failed(s->options.arg, container, message);
	else
		cow_log(.level = COW_LOG_ERROR, .event = "container.failed", .msg = message,
			.container = container);
}

static void stop_request(void *arg, int64_t timeout_ms, bool kill, cow_engine_cb done,
			 void *done_arg)
{
	struct cow_supervisor *s = arg;

	cow_supervisor_stop(s, timeout_ms, kill, done, done_arg);
}

static int open_server(struct cow_supervisor *s)
{
	const struct cow_server_setup setup = {
		.loop = &s->loop,
		.timers = &s->timers,
		.ops = s->ops,
		.engine = s->engine,
		.host = s->host,
		.socket_path = s->place.socket,
		.owner = cow_supervise_owner(s->config),
		.run_root = s->place.root,
		.state_root = s->place.state,
		.callbacks = { .reload = reload, .shutdown = stop_request, .arg = s },
	};

	return cow_server_create(&setup, &s->server, &s->error);
}

static void fail_start(struct cow_supervisor *s)
{
	cow_supervisor_log(COW_LOG_ERROR, "supervisor.start", s->error.message);
	s->stage = STAGE_END;
	uv_stop(&s->loop);
}

static void recovered(void *arg, const struct cow_error *err, const char *result)
{
	struct cow_supervisor *s = arg;
	struct cow_config *config;

	(void)result;
	/*
	 * What could not be recovered concerns single containers; the supervisor is for the others.
	 */
	if (err)
		cow_supervisor_log(COW_LOG_ERROR, "supervisor.recover", err->message);
	if (open_server(s) < 0) {
		fail_start(s);
		return;
	}
	s->stage = STAGE_RUN;
	cow_supervisor_log(COW_LOG_INFO, "supervisor.ready", s->place.socket);
	cow_process_notify("READY=1");
	if (s->options.ready)
		s->options.ready(s->options.arg, s);
	if (s->stop_wanted) {
		begin_stop(s);
		return;
	}
	config = cow_take_ptr(s->config);
	cow_reconcile_apply(s->reconcile, config, !s->place.crashed, reload_logged, s);
}

int cow_supervisor_run(struct cow_supervisor *s, struct cow_strbuf *why)
{
	cow_engine_recover(s->engine, recovered, s);
	while (s->stage != STAGE_END)
		(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	if (s->error.code)
		cow_strbuf_addf(why, "%s\n", s->error.message);
	return s->error.code;
}

const struct cow_config *cow_supervisor_config(struct cow_supervisor *s)
{
	return s->config ? s->config : cow_reconcile_config(s->reconcile);
}

uv_loop_t *cow_supervisor_loop(struct cow_supervisor *s)
{
	return &s->loop;
}

struct cow_timers *cow_supervisor_timers(struct cow_supervisor *s)
{
	return &s->timers;
}

struct cow_engine *cow_supervisor_engine(struct cow_supervisor *s)
{
	return s->engine;
}

struct cow_reconcile *cow_supervisor_reconcile(struct cow_supervisor *s)
{
	return s->reconcile;
}
