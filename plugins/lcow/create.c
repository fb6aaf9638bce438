/* SPDX-License-Identifier: MIT */
/* From a spec to a process at the gate, and past it. */
#include "lcow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * One create: compile (on the pool, unless the plan is known), announce, launch (on the pool),
 * announce who it is, answer.  A supervisor that dies in between leaves a child that ends at the
 * gate, and a record of its cgroup.
 */
struct create {
	struct create *next; /* those in flight, to be cancelled by operation */
	struct create *behind; /* in the line of launches */
	struct launch_run_options options;
	struct launch *launch; /* under way */
	uint64_t watch;
	struct reply reply;
	struct system *system;
	cowherd_launcher_intend_cb intend;
	void *arg;
	char *container, *spec;
	struct launch_stdio stdio;
	bool cancelled;
	void (*over)(void *arg); /* somebody waits for the end of this, to release it */
	void *over_arg;
	struct launch_error err;
};

static struct create *creating;

/*
 * Launches wait in a line, oldest first, and as many as there are processors are under way: what was begun
 * is finished before more is begun, so that each takes about as long as any other.  One that hangs (in a
 * hook, on a dead server's files) holds up nobody for long: while none ends, one more is let go each tick.
 */
#define LINE_TICK_MS 50
static struct {
	struct create *first, **last;
	unsigned running, extra; /* extra: beyond one for each processor */
	uint64_t tick;
	bool moved; /* since the last tick */
} line = { .last = &line.first };

bool create_wait(const char *container, void (*over)(void *arg), void *arg)
{
	for (struct create *c = creating; c; c = c->next) {
		if (c->over || strcmp(c->container, container) != 0)
			continue;
		c->cancelled = true;
		c->over = over;
		c->over_arg = arg;
		return true;
	}
	return false;
}

void create_cancel(cowherd_op op)
{
	for (struct create *c = creating; c; c = c->next) {
		if (op && c->reply.op == op)
			c->cancelled = true;
	}
}

static void create_free(struct create *c)
{
	struct create **at = &creating;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	if (c->watch)
		lcow.host->unwatch_fd(lcow.self, c->watch);
	if (c->launch)
		launch_create_drop(c->launch);
	if (c->over)
		c->over(c->over_arg);
	free(c->container);
	free(c->spec);
	free(c);
}

void creates_drop(void)
{
	while (creating) {
		system_free(creating->system);
		create_free(creating);
	}
	if (line.tick)
		lcow.host->timer_stop(lcow.self, line.tick);
	memset(&line, 0, sizeof(line));
	line.last = &line.first;
}

/* What was taken stays in the ledger, for the host to release. */
static void create_fail(struct create *c, int code)
{
	system_free(c->system);
	(void)reply_code(&c->reply, code, c->err.text);
	create_free(c);
}

static int create_announce(struct create *c)
{
	char *record = record_make(c->system);
	int r = -ENOMEM;

	if (record && c->reply.cb)
		r = c->intend(c->arg, record);
	else if (record)
		r = lcow.host->intend(lcow.self, c->reply.op, LCOW_RECORD_KEY, record);
	free(record);
	if (r < 0)
		(void)snprintf(c->err.text, sizeof(c->err.text), "ledger of %s: %s", c->container,
			       strerror(-r));
	return r;
}

/* What an adopting supervisor needs, and the release: the hooks are in it. */
static int launch_save(void *arg, struct launch_error *err)
{
	const struct system *s = arg;
	int r = plan_save(s->plan, s->plan_path);

	if (r < 0)
		(void)snprintf(err->text, sizeof(err->text), "%s: %s", s->plan_path, strerror(-r));
	return r;
}

static int launch_work(void *arg)
{
	struct create *c = arg;
	struct system *s = c->system;
	int r;

	system_options(s, &c->options);
	c->options.stdio = c->stdio;
	c->options.spare_netns = true;
	c->options.meanwhile = launch_save;
	c->options.meanwhile_arg = s;
	r = leftover_note(s, &c->err);
	if (r == 0 && s->cgroup)
		r = launch_cgroup_make(s->cgroup, s->plan->launch, &c->err);
	return r < 0 ? r : launch_create_begin(s->plan->launch, &c->options, &c->launch, &c->err);
}

static int launch_end_work(void *arg)
{
	struct create *c = arg;
	struct launch *l = c->launch;

	c->launch = NULL;
	return launch_create_end(l, &c->system->child);
}

/* It lives: announce it by name, hand it over.  If that fails, it ends at the gate. */
static int create_hand_over(struct create *c)
{
	struct system *s = c->system;
	struct cowherd_answer answer = {
		.size = sizeof(answer), .handle = s->handle, .pid = s->child.pid, .fd = -1
	};
	int r = c->cancelled ? -ECANCELED : create_announce(c);

	if (r == 0) {
		answer.fd = console_share(&s->child);
		r = reply_answer(&c->reply, &answer);
		return r == -ENOENT ? r : 0;
	}
	(void)reply_code(&c->reply, r, c->err.text);
	return r;
}

static void line_leave(void);

static void launch_end_done(void *arg, int result)
{
	struct create *c = arg;
	struct system *s = c->system;

	line_leave();
	if (result < 0) {
		create_fail(c, result);
		return;
	}
	s->own = true;
	if (s->child.status >= 0)
		(void)fcntl(s->child.status, F_SETFL, O_NONBLOCK);
	result = system_publish(s);
	if (result < 0) {
		child_end(&s->child);
		create_fail(c, result);
		return;
	}
	if (create_hand_over(c) < 0)
		system_close(s);
	create_free(c);
}

/* The child has something to say: mostly that it is at the gate, or else what is for the pool. */
static void launch_cb(void *arg, int fd, uint32_t events)
{
	struct create *c = arg;
	int r;

	(void)fd;
	(void)events;
	lcow.host->unwatch_fd(lcow.self, c->watch);
	c->watch = 0;
	if (launch_settled(c->launch)) {
		launch_end_done(c, launch_end_work(c));
		return;
	}
	r = lcow.host->offload(lcow.self, launch_end_work, launch_end_done, c);
	if (r < 0)
		launch_end_done(c, r);
}

/* It is on its way. */
static void launch_done(void *arg, int result)
{
	struct create *c = arg;

	if (result == 0)
		result = lcow.host->watch_fd(lcow.self, launch_fd(c->launch), COWHERD_FD_READ, launch_cb,
					     c, &c->watch);
	if (result < 0)
		launch_end_done(c, result);
}

static void line_move(void);

static void line_tick(void *arg)
{
	(void)arg;
	if (!line.moved)
		line.extra++;
	line.moved = false;
	line_move();
}

static void line_watch(void)
{
	if (line.first && !line.tick) {
		line.moved = false;
		(void)lcow.host->timer_start(lcow.self, LINE_TICK_MS, LINE_TICK_MS, line_tick, NULL,
					     &line.tick);
	} else if (!line.first && line.tick) {
		lcow.host->timer_stop(lcow.self, line.tick);
		line.tick = 0;
		line.extra = 0;
	}
}

static void line_move(void)
{
	static unsigned processors; /* asking costs a file */

	if (!processors) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		processors = n > 2 ? (unsigned)n : 2;
	}
	while (line.first && line.running < processors + line.extra) {
		struct create *c = line.first;
		int r = c->cancelled ? -ECANCELED : 0;

		line.first = c->behind;
		if (!line.first)
			line.last = &line.first;
		if (r == 0)
			r = lcow.host->offload(lcow.self, launch_work, launch_done, c);
		if (r < 0)
			create_fail(c, r);
		else
			line.running++;
	}
	line_watch();
}

/* It ended, or failed. */
static void line_leave(void)
{
	line.running--;
	line.moved = true;
	line_move();
}

static int create_cgroup(struct create *c)
{
	struct system *s = c->system;
	unsigned accounting = LAUNCH_CGROUP_MEMORY | LAUNCH_CGROUP_CPU | LAUNCH_CGROUP_PIDS |
			      LAUNCH_CGROUP_IO;
	unsigned flags = lcow.config.accounting ? accounting : 0;
	char path[sizeof(lcow.config.cgroup_parent) + 256];

	if (launch_cgroup_mode() == LAUNCH_CGROUP_NONE && s->plan->launch->cgroup.n == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s", lcow.config.cgroup_parent, s->container);
	return launch_cgroup_new(s->plan->launch, path, flags, &s->cgroup, &c->err);
}

/* The plan is there.  Answers on failure; returns COWHERD_LATER. */
static void create_launch(struct create *c)
{
	int r = c->cancelled ? -ECANCELED : create_cgroup(c);

	plan_warn(c->system->plan->launch, c->container);
	if (r == 0)
		r = create_announce(c);
	if (r < 0) {
		create_fail(c, r);
		return;
	}
	*line.last = c;
	line.last = &c->behind;
	line_move();
}

static int compile_work(void *arg)
{
	struct create *c = arg;

	if (c->system->plan)
		return 0;
	return plan_compile(c->spec, strlen(c->spec), c->system->bundle, &c->system->plan, &c->err);
}

static void compile_done(void *arg, int result)
{
	struct create *c = arg;

	free(c->spec);
	c->spec = NULL;
	if (result < 0) {
		create_fail(c, result);
		return;
	}
	if (c->system->plan->refs == 1) /* new */
		plan_keep(c->system->plan);
	create_launch(c);
}

static bool wants_init(const char *options)
{
	struct json_object *root = options ? json_tokener_parse(options) : NULL, *value;
	bool init = lcow.config.init;

	if (json_object_is_type(root, json_type_object) &&
	    json_object_object_get_ex(root, "init", &value) &&
	    json_object_is_type(value, json_type_boolean))
		init = json_object_get_boolean(value);
	json_object_put(root);
	return init;
}

static struct create *create_new(const struct cowherd_request *request)
{
	static const char file[] = "/lcow.plan";
	struct create *c = calloc(1, sizeof(*c));
	struct system *s = c ? system_new(request->container, request->bundle) : NULL;
	size_t len = strlen(request->run_dir) + sizeof(file);

	if (!s) {
		free(c);
		return NULL;
	}
	s->plan_path = malloc(len);
	c->container = strdup(request->container);
	if (!s->plan_path || !c->container) {
		system_free(s);
		free(c->container);
		free(c);
		return NULL;
	}
	(void)snprintf(s->plan_path, len, "%s%s", request->run_dir, file);
	s->init = wants_init(request->options);
	c->system = s;
	return c;
}

int lcow_create(const struct cowherd_request *request, const struct cowherd_stdio *stdio,
		const struct reply *reply, cowherd_launcher_intend_cb intend,
		cowherd_launcher_exit_cb exit_cb, void *arg)
{
	struct create *c = create_new(request);
	int r;

	if (!c)
		return -ENOMEM;
	record_begun(c->container);
	c->reply = *reply;
	c->intend = intend;
	c->arg = arg;
	c->system->exit_cb = exit_cb;
	c->system->exit_arg = arg;
	stdio_for_launch(stdio, &c->stdio);
	c->next = creating;
	creating = c;
	c->system->plan = plan_find(request->spec, strlen(request->spec), c->system->bundle);
	/* The launcher's users are not answered from inside this call. */
	if (c->system->plan && !reply->cb) {
		create_launch(c);
		return COWHERD_LATER;
	}
	c->spec = strdup(request->spec);
	r = c->spec ? lcow.host->offload(lcow.self, compile_work, compile_done, c) : -ENOMEM;
	if (r == 0)
		return COWHERD_LATER;
	system_free(c->system);
	create_free(c);
	return r;
}

/*
 * start: the gate is opened, and its descriptor watched: it ends when the program executes.  Hooks, and a
 * child that has something to say, are waited for on the pool.
 */
struct start {
	struct reply reply;
	struct system *system;
	struct launch_run_options options;
	struct launch *launch; /* the gate is open */
	uint64_t watch;
	struct launch_error err, hook_err;
	int hooks;
};

static int start_work(void *arg)
{
	struct start *w = arg;
	struct system *s = w->system;
	struct launch_plan *plan = s->plan->launch;
	int r = w->launch ? launch_start_end(w->launch)
			  : launch_start(plan, &w->options, &s->child, &w->err);

	w->launch = NULL;
	if (r == 0 && plan->hooks[LAUNCH_HOOK_POSTSTART].n > 0)
		w->hooks = launch_hooks(plan, LAUNCH_HOOK_POSTSTART, &w->options, s->child.pid,
					"running", &w->hook_err);
	return r;
}

static void start_done(void *arg, int result)
{
	struct start *w = arg;
	struct system *s = w->system;

	s->busy = false;
	s->starting = NULL;
	if (w->hooks < 0)
		lcow.host->log(lcow.self, COWHERD_LOG_WARN, s->container, "hook", w->hook_err.text);
	(void)reply_code(&w->reply, result, w->err.text);
	system_look(s); /* it may have ended meanwhile */
	free(w);
	system_job_done(s);
}

static void start_cb(void *arg, int fd, uint32_t events)
{
	struct start *w = arg;
	int r;

	(void)fd;
	(void)events;
	lcow.host->unwatch_fd(lcow.self, w->watch);
	w->watch = 0;
	if (launch_settled(w->launch)) {
		start_done(w, start_work(w));
		return;
	}
	r = lcow.host->offload(lcow.self, start_work, start_done, w);
	if (r < 0)
		start_done(w, r);
}

static int start_go(struct start *w)
{
	struct system *s = w->system;
	const struct launch_plan *plan = s->plan->launch;
	int r;

	system_options(s, &w->options);
	if (plan->hooks[LAUNCH_HOOK_START_CONTAINER].n > 0 || plan->hooks[LAUNCH_HOOK_POSTSTART].n > 0)
		return lcow.host->offload(lcow.self, start_work, start_done, w);
	r = launch_start_begin(plan, &w->options, &s->child, &w->launch, &w->err);
	return r < 0 ? r : lcow.host->watch_fd(lcow.self, launch_fd(w->launch), COWHERD_FD_READ,
					       start_cb, w, &w->watch);
}

void start_drop(struct start *w)
{
	if (!w)
		return;
	if (w->watch)
		lcow.host->unwatch_fd(lcow.self, w->watch);
	if (w->launch)
		launch_start_drop(w->launch);
	free(w);
}

int lcow_start(uint64_t system, const struct reply *reply)
{
	struct system *s = system_find(system);
	struct start *w;
	int r;

	if (!s)
		return -ENOENT;
	if (s->busy || s->dead || s->child.gate < 0)
		return s->dead ? -ESRCH : -EALREADY;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->reply = *reply;
	w->system = s;
	r = start_go(w);
	if (r < 0) {
		(void)reply_code(reply, r, w->err.text);
		start_drop(w);
		return COWHERD_LATER;
	}
	s->starting = w;
	s->busy = true;
	s->jobs++;
	return COWHERD_LATER;
}
