/* SPDX-License-Identifier: MIT */
#include "cli/local.h"
#include "base/cleanup.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/timers.h"
#include "cli/paths.h"
#include "host/host.h"

#include <errno.h>
#include <unistd.h>

struct local {
	uv_loop_t loop;
	uv_timer_t wake;
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_host *host;
	bool answered;
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

static void verb_done(void *arg, cow_op op, const struct cow_answer *answer)
{
	const struct cowherd_answer *full = answer->payload;
	struct local *l = arg;

	(void)op;
	l->answered = true;
	if (answer->code < 0)
		(void)cow_error_set(
			l->err, answer->code, "%s",
			answer->message ? answer->message : cow_errno_text(answer->code));
	else if (full && full->result)
		cow_strbuf_add(l->out, full->result);
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
	cow_op op;
	int r;

	if (!v)
		return cow_error_set(l->err, -ENOENT,
				     "no such verb: %s (no plugin offers it; see `cowherd help`)",
				     verb);
	r = cow_op_open(l->ops, 0, verb_done, l, &op);
	if (r)
		return cow_error_errno(l->err, r, "%s", verb);
	r = v->table.call(v->arg, op, &call);
	if (r != COWHERD_LATER)
		(void)cow_ops_answer(l->ops, op, &(const struct cow_answer){ .code = r });
	while (!l->answered && uv_run(&l->loop, UV_RUN_ONCE))
		;
	if (!l->answered)
		return cow_error_set(l->err, -EIO, "%s: the plugin never answered", verb);
	return l->err->code;
}

int cow_local_verb(const char *verb, const char *args, const char *cwd, const char *plugin_dir,
		   struct cow_strbuf *out, struct cow_error *err)
{
	struct local l = { .out = out, .err = err };
	int r = local_init(&l);

	if (r)
		return cow_error_errno(err, r, "event loop");
	/* Only what goes wrong: this is a client. */
	cow_log_setup(STDERR_FILENO, COW_LOG_ERROR, false);
	r = local_load(&l, plugin_dir, err) ?: local_call(&l, verb, args, cwd);
	local_finish(&l);
	return r;
}
