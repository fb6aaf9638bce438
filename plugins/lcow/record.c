/* SPDX-License-Identifier: MIT */
/*
 * The record of a system in the ledger: enough to take it up again, or to end and remove it, in a
 * process that never saw it made.
 */
#include "lcow.h"
#include "launch/json_text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define DEATH_MS 10000 /* after SIGKILL */

struct record {
	pid_t pid; /* 0: not known yet when it was written */
	uint64_t start_time;
	bool init;
	char *bundle, *plan_path;
	char *cgroup; /* JSON of launch_cgroup_record(), or NULL */
};

static void record_finish(struct record *r)
{
	free(r->bundle);
	free(r->plan_path);
	free(r->cgroup);
}

char *record_make(const struct system *s)
{
	char *bundle = launch_json_text(s->bundle), *plan = launch_json_text(s->plan_path);
	char *cgroup = NULL, *text = NULL;
	int r = bundle && plan ? 0 : -ENOMEM;

	if (r == 0 && s->cgroup)
		r = launch_cgroup_record(s->cgroup, &cgroup);
	if (r == 0 &&
	    asprintf(&text,
		     "{\"version\":1,\"pid\":%d,\"start_time\":%llu,\"init\":%s,\"bundle\":%s,"
		     "\"plan\":%s%s%s}",
		     s->child.pidfd < 0 ? 0 : s->child.pid, (unsigned long long)s->child.start_time,
		     s->init ? "true" : "false", bundle, plan, cgroup ? ",\"cgroup\":" : "",
		     cgroup ? cgroup : "") < 0)
		text = NULL;
	free(bundle);
	free(plan);
	free(cgroup);
	return text;
}

static char *copy_text(struct json_object *o, const char *key)
{
	struct json_object *value = json_object_object_get(o, key);

	return strdup(json_object_is_type(value, json_type_string) ? json_object_get_string(value)
								   : "");
}

static int record_read(const char *text, struct record *ret)
{
	struct json_object *o = json_tokener_parse(text), *cgroup;
	struct record r = { 0 };
	int code = 0;

	if (!json_object_is_type(o, json_type_object) ||
	    json_object_get_int(json_object_object_get(o, "version")) != 1) {
		json_object_put(o);
		return -EBADMSG;
	}
	r.pid = (pid_t)json_object_get_int(json_object_object_get(o, "pid"));
	r.start_time = (uint64_t)json_object_get_int64(json_object_object_get(o, "start_time"));
	r.init = json_object_get_boolean(json_object_object_get(o, "init"));
	r.bundle = copy_text(o, "bundle");
	r.plan_path = copy_text(o, "plan");
	cgroup = json_object_object_get(o, "cgroup");
	if (cgroup)
		r.cgroup = strdup(json_object_to_json_string_ext(cgroup, JSON_C_TO_STRING_PLAIN));
	if (!r.bundle || !r.plan_path || (cgroup && !r.cgroup))
		code = -ENOMEM;
	json_object_put(o);
	if (code < 0)
		record_finish(&r);
	else
		*ret = r;
	return code;
}

/* Taking up again. */

struct adopt {
	struct reply reply;
	struct system *system;
	struct record record;
	struct launch_error err;
};

static void adopt_free(struct adopt *w)
{
	if (w->system)
		system_free(w->system);
	record_finish(&w->record);
	free(w);
}

static int adopt_work(void *arg)
{
	struct adopt *w = arg;
	struct system *s = w->system;
	struct pollfd dead;
	int r;

	r = launch_open(w->record.pid, w->record.start_time, &s->child, &w->err);
	if (r < 0)
		return -ESRCH;
	dead = (struct pollfd){ .fd = s->child.pidfd, .events = POLLIN };
	if (poll(&dead, 1, 0) != 0)
		return -ESRCH;
	if (w->record.cgroup) {
		r = launch_cgroup_open(w->record.cgroup, &s->cgroup, &w->err);
		if (r < 0)
			return r == -ENOENT ? -ESRCH : r;
		if (launch_cgroup_oom_kills(s->cgroup, &s->oom_base) < 0)
			s->oom_base = 0;
	}
	r = plan_load(w->record.plan_path, &s->plan);
	if (r < 0)
		(void)snprintf(w->err.text, sizeof(w->err.text), "%s: %s", w->record.plan_path,
			       strerror(-r));
	return r;
}

static void adopt_done(void *arg, int result)
{
	struct adopt *w = arg;
	struct system *s = w->system;
	struct cowherd_answer answer = { .size = sizeof(answer), .fd = -1 };

	if (result == 0)
		result = system_publish(s);
	if (result < 0) {
		(void)reply_code(&w->reply, result, w->err.text);
	} else {
		w->system = NULL;
		answer.handle = s->handle;
		answer.pid = s->child.pid;
		if (reply_answer(&w->reply, &answer) == -ENOENT)
			system_close(s);
	}
	adopt_free(w);
}

int lcow_adopt(const struct cowherd_record *record, const struct reply *reply,
	       cowherd_launcher_exit_cb exit_cb, void *arg)
{
	struct adopt *w;
	int r;

	if (record->other_boot)
		return -ESRCH;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->reply = *reply;
	r = record_read(record->record, &w->record);
	if (r == 0 && w->record.pid <= 0)
		r = -ESRCH;
	if (r == 0) {
		w->system = system_new(record->container, w->record.bundle);
		r = w->system ? 0 : -ENOMEM;
	}
	if (r == 0) {
		w->system->init = w->record.init;
		w->system->exit_cb = exit_cb;
		w->system->exit_arg = arg;
		w->system->plan_path = w->record.plan_path;
		w->record.plan_path = strdup(w->system->plan_path);
		r = w->record.plan_path ? lcow.host->offload(lcow.self, adopt_work, adopt_done, w)
					: -ENOMEM;
	}
	if (r < 0) {
		adopt_free(w);
		return r;
	}
	return COWHERD_LATER;
}

/* Giving back. */

struct release {
	struct reply reply;
	bool other_boot;
	char *container;
	struct record record;
	struct launch_error err;
};

/*
 * Whose cgroups went by their records, lately: there is nothing else to look for when they are deleted.  A
 * hash of the id, and a place by hash: who is not found is looked for.
 */
static uint64_t gone[64];

static uint64_t *gone_place(const char *container, uint64_t *ret_hash)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *container; container++)
		h = (h ^ (unsigned char)*container) * 0x100000001b3u;
	*ret_hash = h;
	return &gone[h % (sizeof(gone) / sizeof(gone[0]))];
}

bool gone_forget(const char *container)
{
	uint64_t h, *place = gone_place(container, &h);
	bool was = *place == h;

	if (was)
		*place = 0;
	return was;
}

static void gone_note(const char *container)
{
	uint64_t h, *place = gone_place(container, &h);

	*place = h;
}

void record_begun(const char *container)
{
	(void)gone_forget(container);
}

static void release_free(struct release *w)
{
	record_finish(&w->record);
	free(w->container);
	free(w);
}

/* The process of the record, if it is still that one: ended, and proved to be. */
static int release_process(struct release *w)
{
	struct launch_child child;
	struct pollfd dead;
	int r;

	if (w->record.pid <= 0 ||
	    launch_open(w->record.pid, w->record.start_time, &child, NULL) < 0)
		return 0;
	(void)pidfd_send_signal(child.pidfd, SIGKILL, NULL, 0);
	dead = (struct pollfd){ .fd = child.pidfd, .events = POLLIN };
	r = poll(&dead, 1, DEATH_MS) == 1 ? 0 : -EBUSY;
	if (r < 0)
		(void)snprintf(w->err.text, sizeof(w->err.text), "process %d: does not end",
			       child.pid);
	launch_close(&child);
	return r;
}

/* The file of the plan goes last: as long as it is there, the poststop hooks have not been run. */
static void release_plan(struct release *w)
{
	struct launch_run_options options = { .id = w->container, .bundle = w->record.bundle };
	struct plan *plan;

	if (plan_load(w->record.plan_path, &plan) == 0) {
		if (!w->other_boot && plan->launch->hooks[LAUNCH_HOOK_POSTSTOP].n > 0)
			(void)launch_hooks(plan->launch, LAUNCH_HOOK_POSTSTOP, &options, 0,
					   "stopped", &w->err);
		plan_unref(plan);
	}
	(void)unlink(w->record.plan_path);
}

static int release_work(void *arg)
{
	struct release *w = arg;
	int r = 0;

	if (!w->other_boot) {
		if (w->record.cgroup)
			r = launch_cgroup_release(w->record.cgroup, &w->err);
		if (r == 0)
			r = release_process(w);
	}
	if (r == 0) {
		leftover_forget(w->container);
		release_plan(w);
	}
	return r;
}

static void release_done(void *arg, int result)
{
	struct release *w = arg;

	if (result == 0 && w->record.cgroup)
		gone_note(w->container);
	if (result == 0 && *w->err.text)
		lcow.host->log(lcow.self, COWHERD_LOG_WARN, w->container, "hook", w->err.text);
	(void)reply_code(&w->reply, result, w->err.text);
	release_free(w);
}

/* A create of it that was given up may still be under way: that ends first. */
static void release_go(void *arg)
{
	struct release *w = arg;
	int r = lcow.host->offload(lcow.self, release_work, release_done, w);

	if (r < 0)
		release_done(w, r);
}

int lcow_release(const struct cowherd_record *record, const struct reply *reply)
{
	struct release *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->reply = *reply;
	w->other_boot = record->other_boot;
	w->container = strdup(record->container);
	r = w->container ? record_read(record->record, &w->record) : -ENOMEM;
	if (r < 0) {
		release_free(w);
		return r;
	}
	if (!create_wait(w->container, release_go, w))
		release_go(w);
	return COWHERD_LATER;
}
