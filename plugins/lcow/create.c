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
	if (c->over)
		c->over(c->over_arg);
	free(c->container);
	free(c->spec);
	free(c);
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

static int launch_work(void *arg)
{
	struct create *c = arg;
	struct system *s = c->system;
	struct launch_run_options options;
	int r;

	system_options(s, &options);
	options.stdio = c->stdio;
	r = plan_save(s->plan, s->plan_path);
	if (r < 0) {
		(void)snprintf(c->err.text, sizeof(c->err.text), "%s: %s", s->plan_path,
			       strerror(-r));
		return r;
	}
	if (s->cgroup)
		r = launch_cgroup_make(s->cgroup, s->plan->launch, &c->err);
	return r < 0 ? r : launch_create(s->plan->launch, &options, &s->child, &c->err);
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

static void launch_done(void *arg, int result)
{
	struct create *c = arg;
	struct system *s = c->system;

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

	if (r == 0)
		r = create_announce(c);
	if (r == 0)
		r = lcow.host->offload(lcow.self, launch_work, launch_done, c);
	if (r < 0)
		create_fail(c, r);
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

/* start */

struct start {
	struct reply reply;
	struct system *system;
	struct launch_error err, hook_err;
	int hooks;
};

static int start_work(void *arg)
{
	struct start *w = arg;
	struct system *s = w->system;
	struct launch_run_options options;
	int r;

	system_options(s, &options);
	r = launch_start(s->plan->launch, &options, &s->child, &w->err);
	if (r == 0 && s->plan->launch->hooks[LAUNCH_HOOK_POSTSTART].n > 0)
		w->hooks = launch_hooks(s->plan->launch, LAUNCH_HOOK_POSTSTART, &options,
					s->child.pid, "running", &w->hook_err);
	return r;
}

static void start_done(void *arg, int result)
{
	struct start *w = arg;
	struct system *s = w->system;

	s->busy = false;
	if (w->hooks < 0)
		lcow.host->log(lcow.self, COWHERD_LOG_WARN, s->container, "hook", w->hook_err.text);
	(void)reply_code(&w->reply, result, w->err.text);
	system_look(s); /* it may have ended meanwhile */
	free(w);
	system_job_done(s);
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
	r = lcow.host->offload(lcow.self, start_work, start_done, w);
	if (r < 0) {
		free(w);
		return r;
	}
	s->busy = true;
	s->jobs++;
	return COWHERD_LATER;
}
