/* SPDX-License-Identifier: MIT */
/* `cowherd up`: a supervisor in the foreground, the output of its containers side by side. */
#include "base/cleanup.h"
#include "base/ids.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/supervise_place.h"
#include "cli/up_stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SILENT_MS 10000 /* after the end, how long to wait for output that does not come */
#define HURRY_MS 2000   /* and for anything, where somebody asked us to end */

/* What is known of a container of the configuration; it outlives the container. */
struct up_container {
	struct cow_list link;
	char *name;
	uint64_t died_ns; /* the last time; 0: not yet */
	int exit_code;    /* then; -1: lost */
	bool created, started; /* since it was looked at last */
};

struct up {
	const char *exit_from; /* NULL: end when all have ended */
	int errors; /* standard error: what it does not take at once is lost, and nobody waits */
	struct cow_supervisor *supervisor;
	struct cow_subscription *subscription;
	struct cow_list containers;
	struct up_screen screen;
	struct cow_timer look, drain;
	uint64_t drain_written; /* of the output, when the drain's time began */
	bool ready, stopping, draining, decided;
	bool over; /* the containers have ended, nobody asked us to */
	int status;
};

static void look(struct cow_timer *timer, void *arg);

/* What asked first is not put off by what asks next: new output is followed before it has ended. */
static void look_soon(struct up *up)
{
	if (!cow_timer_active(&up->look))
		(void)cow_timer_start(cow_supervisor_timers(up->supervisor), &up->look, 0, look,
				      up);
}

static struct up_container *container_get(struct up *up, const char *name)
{
	const struct cow_config *config = cow_supervisor_config(up->supervisor);
	struct up_container *c;

	cow_list_for(l, &up->containers) {
		c = cow_container_of(l, struct up_container, link);
		if (strcmp(c->name, name) == 0)
			return c;
	}
	/* Those that a client made are the client's to show. */
	if (!config || cow_config_find(config, name) == config->container_count)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c && !(c->name = strdup(name))) {
		free(c);
		return NULL;
	}
	if (c)
		cow_list_add(&up->containers, &c->link);
	return c;
}

/* ---- what the engine tells */

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) && value ? json_object_get_string(value)
								  : "";
}

static void died(struct up *up, struct up_container *c, struct json_object *event)
{
	struct json_object *code = NULL;
	_cleanup_free_ char *sentence = NULL;
	struct up_stream *stream = up_stream_get(&up->screen, c->name);

	c->died_ns = strtoull(text_of(event, "time_ns"), NULL, 10);
	c->exit_code = -1;
	if (json_object_object_get_ex(event, "exit_code", &code) && code)
		c->exit_code = json_object_get_int(code);
	sentence = c->exit_code >= 0
			   ? cow_asprintf("%s exited with code %d\n", c->name, c->exit_code)
			   : cow_asprintf("%s exited, its code is lost: %s\n", c->name,
					  text_of(event, "reason"));
	if (stream && sentence)
		up_stream_tell(stream, sentence);
}

static void restarts(struct up *up, const struct up_container *c)
{
	struct up_stream *stream = up_stream_get(&up->screen, c->name);

	if (stream)
		up_stream_goes_on(stream);
}

static void on_event(void *arg, const char *id, const char *json)
{
	struct json_object *event = json_tokener_parse(json);
	const char *what = text_of(event, "event");
	struct up *up = arg;
	struct up_container *c = container_get(up, text_of(event, "name"));

	(void)id;
	if (c) {
		c->created |= strcmp(what, "create") == 0;
		c->started |= strcmp(what, "start") == 0;
		if (strcmp(what, "die") == 0)
			died(up, c, event);
		if (strcmp(what, "restart") == 0)
			restarts(up, c);
		/* Not from inside the engine's own step. */
		look_soon(up);
	}
	json_object_put(event);
}

/* ---- when to end */

static struct json_object *list_containers(struct up *up)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf text = COW_STRBUF_INIT;

	if (cow_engine_list(cow_supervisor_engine(up->supervisor), true, &text) < 0 || !text.data)
		return NULL;
	return json_tokener_parse(text.data);
}

static bool rests(struct json_object *list, const char *name)
{
	static const char *const resting[] = { "created", "stopped", "failed", "dead" };

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *container = json_object_array_get_idx(list, i);

		if (strcmp(text_of(container, "name"), name) != 0)
			continue;
		for (size_t j = 0; j < COW_ELEMENTS(resting); j++)
			if (strcmp(text_of(container, "state"), resting[j]) == 0)
				return true;
		return false;
	}
	return true;
}

static void decide(struct up *up, int status)
{
	if (up->decided)
		return;
	up->decided = true;
	up->status = status;
}

static void end_by_itself(struct up *up)
{
	up->over = !up->stopping;
	cow_supervisor_stop(up->supervisor, -1, false, NULL, NULL);
}

static void check_end(struct up *up)
{
	const struct cow_config *config = cow_supervisor_config(up->supervisor);
	struct json_object *list = list_containers(up);
	struct up_container *from = up->exit_from ? container_get(up, up->exit_from) : NULL;
	bool end = list && !cow_reconcile_waiting(cow_supervisor_reconcile(up->supervisor));

	for (size_t i = 0; end && config && i < config->container_count; i++)
		end = rests(list, config->containers[i].name);
	if (list && from && from->died_ns && rests(list, from->name)) {
		decide(up, from->exit_code < 0 ? 1 : from->exit_code);
		end = true;
	}
	json_object_put(list);
	if (end)
		end_by_itself(up);
}

static void follow_new(struct up *up)
{
	cow_list_for(l, &up->containers) {
		struct up_container *c = cow_container_of(l, struct up_container, link);
		struct up_stream *stream;
		int r;

		if (!c->created && !c->started)
			continue;
		stream = up_stream_get(&up->screen, c->name);
		r = stream ? up_stream_follow(stream, c->created, c->created ? 0 : c->died_ns + 1) :
			     -ENOMEM;
		if (r < 0)
			(void)dprintf(up->errors, "%s: its output cannot be shown: %s\n", c->name,
				      cow_errno_text(r));
		c->created = c->started = false;
	}
}

static void look(struct cow_timer *timer, void *arg)
{
	struct up *up = arg;

	(void)timer;
	follow_new(up);
	if (up->draining && up_screen_idle(&up->screen))
		cow_supervisor_proceed(up->supervisor);
	else if (up->ready && !up->stopping)
		check_end(up);
}

/* ---- what the supervisor tells */

static void measure_names(struct up *up)
{
	const struct cow_config *config = cow_supervisor_config(up->supervisor);

	for (size_t i = 0; i < config->container_count; i++) {
		int n = (int)strlen(config->containers[i].name);

		if (n > up->screen.name_width)
			up->screen.name_width = n;
	}
}

/* Those that a dead supervisor left running: what they say from now on. */
static void follow_adopted(struct up *up)
{
	struct json_object *list = list_containers(up);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *container = json_object_array_get_idx(list, i);
		struct up_container *c = container_get(up, text_of(container, "name"));
		struct up_stream *stream;

		if (!c || rests(list, c->name))
			continue;
		stream = up_stream_get(&up->screen, c->name);
		if (stream)
			(void)up_stream_follow(stream, false, cow_realtime_ns());
	}
	json_object_put(list);
}

static void on_drained(void *arg)
{
	struct up *up = arg;

	/* Whoever read our output has gone: as a shell's pipeline ends. */
	if (up->screen.output.broken && up->supervisor && !up->stopping)
		cow_supervisor_stop(up->supervisor, -1, false, NULL, NULL);
	up_screen_resume(&up->screen);
	look_soon(up);
}

static void on_applied(void *arg)
{
	look_soon(arg);
}

static void on_stream_end(void *arg)
{
	look_soon(arg);
}

static void on_ready(void *arg, struct cow_supervisor *supervisor)
{
	struct up *up = arg;

	up->screen.loop = cow_supervisor_loop(supervisor);
	up->screen.timers = cow_supervisor_timers(supervisor);
	up->screen.engine = cow_supervisor_engine(supervisor);
	(void)up_output_init(&up->screen.output, up->screen.loop, STDOUT_FILENO, on_drained, up);
	measure_names(up);
	up->subscription = cow_engine_subscribe(up->screen.engine, 0, on_event, up);
	follow_adopted(up);
	up->ready = true;
	look_soon(up);
}

static void on_failed(void *arg, const char *container, const char *message)
{
	struct up *up = arg;

	(void)dprintf(up->errors, "%s: %s\n", container, message);
	if (up->exit_from && strcmp(up->exit_from, container) == 0) {
		decide(up, 1);
		end_by_itself(up);
	} else if (!up->exit_from) {
		decide(up, 1);
	}
	look_soon(up);
}

static void on_stopping(void *arg, bool killing)
{
	struct up *up = arg;

	up->stopping = true;
	if (isatty(STDERR_FILENO))
		(void)dprintf(up->errors, "%s\n", killing ? "Killing" : "Stopping; once more kills");
}

static void drain_more(struct up *up);

/*
 * What has ended by itself has all the time that its reader takes, as a program in a pipeline has; but
 * whoever asked us to end does not wait for a flood.
 */
static void drained_late(struct cow_timer *timer, void *arg)
{
	struct up *up = arg;

	(void)timer;
	if (up->over && (!up_output_empty(&up->screen.output) ||
			 up->screen.output.written != up->drain_written)) {
		drain_more(up);
		return;
	}
	if (!up->over)
		(void)dprintf(up->errors, "cowherd: there was more output than could be shown\n");
	cow_supervisor_proceed(up->supervisor);
}

static void drain_more(struct up *up)
{
	up->drain_written = up->screen.output.written;
	(void)cow_timer_start(cow_supervisor_timers(up->supervisor), &up->drain,
			      up->over ? SILENT_MS : HURRY_MS, drained_late, up);
}

static void on_stopped(void *arg)
{
	struct up *up = arg;

	up->draining = true;
	drain_more(up);
	look_soon(up);
}

/* ---- the verb */

static void up_finish(struct up *up)
{
	if (up->ready) {
		cow_engine_unsubscribe(up->subscription);
		up_screen_close(&up->screen);
	}
	cow_timer_stop(cow_supervisor_timers(up->supervisor), &up->look);
	cow_timer_stop(cow_supervisor_timers(up->supervisor), &up->drain);
	cow_supervisor_destroy(up->supervisor);
	cow_list_for_safe(l, tmp, &up->containers) {
		struct up_container *c = cow_container_of(l, struct up_container, link);

		free(c->name);
		free(c);
	}
}

static bool wants_colors(const struct cow_args *args)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	return !cow_args_flag(args, "no-color", false) && isatty(STDOUT_FILENO) &&
	       !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

static int run(struct up *up, const struct cow_supervise_options *options, struct cow_strbuf *why)
{
	const struct cow_config *config;
	int r = cow_supervisor_create(options, &up->supervisor, why);

	if (r < 0)
		return r;
	config = cow_supervisor_config(up->supervisor);
	if (up->exit_from && cow_config_find(config, up->exit_from) == config->container_count) {
		cow_strbuf_addf(why,
				"--exit-code-from %s: the configuration has no such container\n",
				up->exit_from);
		r = -ENOENT;
	} else {
		r = cow_supervisor_run(up->supervisor, why);
	}
	up_finish(up);
	return r;
}

int cow_cmd_up(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf why = COW_STRBUF_INIT;
	struct up up = { .exit_from = cow_args_string(args, "exit-code-from") };
	struct cow_supervise_options options;
	int64_t timeout_s = cow_args_int(args, "timeout", -1);

	cow_daemon_options(args, &options);
	options.config = args->argc ? args->argv[0] : NULL;
	options.stop_timeout_ms = timeout_s < 0 ? -1 : timeout_s * 1000;
	if (cow_args_flag(args, "detach", false))
		return cow_daemon_detach(args, &options);
	cow_list_init(&up.containers);
	cow_list_init(&up.screen.streams);
	cow_list_init(&up.screen.told);
	up.screen.colors = wants_colors(args);
	up.screen.ended = on_stream_end;
	up.screen.arg = &up;
	up.errors = cow_process_reopen(STDERR_FILENO);
	if (up.errors < 0)
		up.errors = STDERR_FILENO;
	options.log_fd = up.errors;
	options.log_default = COW_LOG_WARN;
	options.remove = true;
	options.ready = on_ready;
	options.applied = on_applied;
	options.failed = on_failed;
	options.stopping = on_stopping;
	options.stopped = on_stopped;
	options.arg = &up;
	if (run(&up, &options, &why) == 0)
		return up.status;
	cow_daemon_complain(why.data);
	return args->command->failure;
}
