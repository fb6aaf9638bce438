/* SPDX-License-Identifier: MIT */
/* The supervisor put together and taken down. */
#include "cli/supervise_internal.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/supervise_config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- time: one uv timer drives all deadlines */

static void wake_cb(uv_timer_t *wake)
{
	struct cow_supervisor *s = wake->data;

	cow_timers_advance(&s->timers, uv_now(&s->loop));
}

static void rearm(void *arg, uint64_t due_ms)
{
	struct cow_supervisor *s = arg;
	uint64_t now = uv_now(&s->loop);

	if (due_ms == UINT64_MAX)
		(void)uv_timer_stop(&s->wake);
	else
		(void)uv_timer_start(&s->wake, wake_cb, due_ms > now ? due_ms - now : 0, 0);
}

static uint64_t loop_clock(void *arg)
{
	return uv_now(arg);
}

static int watch_signals(struct cow_supervisor *s)
{
	static const int which[] = { SIGTERM, SIGINT, SIGHUP };
	int r = 0;

	for (size_t i = 0; i < COW_ELEMENTS(which); i++) {
		(void)uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		if (r == 0)
			r = uv_signal_start(&s->signals[i], cow_supervisor_signal, which[i]);
	}
	return r;
}

/* ---- made */

static void add_line(struct cow_strbuf *why, const struct cow_error *err)
{
	cow_strbuf_addf(why, "%s\n", err->message);
}

static int load_config(struct cow_supervisor *s, struct cow_strbuf *why)
{
	struct cow_config_errors errors = { 0 };
	int r;

	if (s->options.config) {
		_cleanup_free_ char *cwd = getcwd(NULL, 0);

		/* Absolute, so that a reload finds it again. */
		s->config_path = cow_fs_absolute(cwd ? cwd : "/", s->options.config);
		if (!s->config_path)
			return -ENOMEM;
	}
	r = cow_config_load(s->config_path, &s->config, &errors);
	if (r < 0 && errors.text.data)
		cow_strbuf_add(why, errors.text.data);
	cow_config_errors_finish(&errors);
	return r;
}

static int make_loop(struct cow_supervisor *s)
{
	int r = uv_loop_init(&s->loop);

	if (r < 0)
		return r;
	(void)uv_timer_init(&s->loop, &s->wake);
	s->wake.data = s;
	s->loop.data = s; /* the loop exists */
	cow_timers_init(&s->timers, uv_now(&s->loop));
	s->timers.rearm = rearm;
	s->timers.rearm_arg = s;
	s->timers.clock = loop_clock;
	s->timers.clock_arg = &s->loop;
	s->ops = cow_ops_create(&s->timers);
	return s->ops ? watch_signals(s) : -ENOMEM;
}

static int load_plugins(struct cow_supervisor *s, struct cow_strbuf *why)
{
	const struct cow_host_setup setup = {
		.loop = &s->loop,
		.timers = &s->timers,
		.ops = s->ops,
		.run_root = s->place.root,
		.state_root = s->place.state,
		.libexec_dir = s->place.libexec,
	};
	struct cow_config_errors errors = { 0 };
	struct cow_error err = { 0 };
	int r = cow_host_create(&setup, &s->host, &err);

	if (r == 0 && cow_host_load_dir(s->host, s->place.plugins) < 0)
		cow_log(.level = COW_LOG_WARN, .event = "plugin.none", .msg = s->place.plugins);
	/* A plugin that fails is logged and listed; the others work. */
	if (r == 0)
		(void)cow_host_init_all(s->host, NULL);
	if (r < 0)
		add_line(why, &err);
	else if (!cow_config_check_plugins(s->config, s->host, &errors) ||
		 cow_config_apply_plugins(s->config, NULL, s->host, &errors) < 0)
		r = -EINVAL;
	if (errors.text.data)
		cow_strbuf_add(why, errors.text.data);
	cow_config_errors_finish(&errors);
	return r;
}

const char *cow_supervise_owner(const struct cow_config *config)
{
	return config->owner ? config->owner : program_invocation_short_name;
}

static int make_engine(struct cow_supervisor *s, struct cow_error *err)
{
	const struct cow_engine_setup setup = {
		.loop = &s->loop,
		.timers = &s->timers,
		.ops = s->ops,
		.host = s->host,
		.run_root = s->place.root,
		.state_root = s->place.state,
		.owner = cow_supervise_owner(s->config),
		.windows_build = s->config->emulate_build,
	};
	struct cow_reconcile_setup reconcile = {
		.timers = &s->timers,
		.parallel = cow_process_parallel(),
		.failed = cow_supervisor_failed,
		.arg = s,
	};
	int r = cow_engine_create(&setup, &s->engine, err);

	reconcile.engine = s->engine;
	return r < 0 ? r : cow_reconcile_create(&reconcile, &s->reconcile, err);
}

static int assemble(struct cow_supervisor *s, struct cow_strbuf *why)
{
	struct cow_error err = { 0 };
	int r = cow_process_prepare(&err);

	if (r < 0) {
		add_line(why, &err);
		return r;
	}
	r = load_config(s, why);
	if (r < 0)
		return r;
	r = cow_supervisor_log_settings(s, s->config, &err);
	if (r == 0)
		r = cow_place_init(&s->place, &s->options, s->config, &err);
	if (r == 0)
		r = cow_place_take(&s->place, &err);
	if (r == 0)
		r = cow_supervisor_log_open(s, &err);
	if (r < 0) {
		add_line(why, &err);
		return r;
	}
	r = make_loop(s);
	if (r < 0)
		(void)cow_error_errno(&err, r, "event loop");
	else if ((r = load_plugins(s, why)) == 0)
		r = make_engine(s, &err);
	if (err.code)
		add_line(why, &err);
	return r;
}

int cow_supervisor_create(const struct cow_supervise_options *options, struct cow_supervisor **ret,
			  struct cow_strbuf *why)
{
	struct cow_supervisor *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		cow_strbuf_add(why, "out of memory\n");
		return -ENOMEM;
	}
	s->options = *options;
	s->log_fd = s->place.lock = -1;
	cow_list_init(&s->stop_waiters);
	r = assemble(s, why);
	if (r < 0) {
		cow_supervisor_destroy(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* ---- taken down */

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void destroy_loop(struct cow_supervisor *s)
{
	if (!s->loop.data)
		return;
	cow_timers_finish(&s->timers);
	uv_close((uv_handle_t *)&s->wake, NULL);
	for (size_t i = 0; i < COW_ELEMENTS(s->signals); i++)
		if (s->signals[i].data)
			uv_close((uv_handle_t *)&s->signals[i], NULL);
	(void)uv_run(&s->loop, UV_RUN_DEFAULT);
	/* A handle that is left is somebody's leak: say so, and end all the same. */
	if (uv_loop_close(&s->loop) == UV_EBUSY) {
		cow_supervisor_log(COW_LOG_WARN, "supervisor.stop",
				   "the loop still has open handles");
		uv_walk(&s->loop, close_handle, NULL);
		(void)uv_run(&s->loop, UV_RUN_DEFAULT);
		(void)uv_loop_close(&s->loop);
	}
}

void cow_supervisor_destroy(struct cow_supervisor *s)
{
	if (!s)
		return;
	cow_engine_destroy(s->engine);
	cow_reconcile_destroy(s->reconcile);
	if (s->host)
		cow_host_destroy(s->host);
	cow_ops_destroy(s->ops);
	destroy_loop(s);
	cow_place_release(&s->place, s->options.remove);
	cow_place_finish(&s->place);
	cow_config_destroy(s->config);
	free(s->config_path);
	if (s->log_fd >= 0) {
		cow_log_setup(STDERR_FILENO, COW_LOG_ERROR, false);
		(void)close(s->log_fd);
	}
	while (!cow_list_empty(&s->stop_waiters)) {
		struct stop_waiter *w =
			cow_container_of(s->stop_waiters.next, struct stop_waiter, link);

		cow_list_del(&w->link);
		free(w);
	}
	free(s);
}
