/* SPDX-License-Identifier: MIT */
/* One case of the sweep, inside its process: a real host, a fake engine, time that runs as needed. */
#include "base/cleanup.h"
#include "base/log.h"
#include "host/check.h"
#include "host/internal.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* How long what was given up has to come to rest. */
#define SETTLE_TURNS 1000u
#define SETTLE_NS UINT64_C(1000000000)

struct run {
	const struct check_case *c;
	uv_loop_t loop;
	uv_timer_t wake; /* real time, while a plugin waits for something real */
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_host *host;
	const struct cow_allocator *allocator;
	struct cow_map asked; /* operation -> what it is, for people; tag: how often it was answered */
	uint32_t point;
	bool acquiring, answered;
	int code;
	char message[256];
};

static void run_fail(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first failure counts. */
static void run_fail(struct run *r, const char *format, ...)
{
	struct check_shared *shared = r->c->shared;
	va_list ap;

	if (shared->why[0])
		return;
	va_start(ap, format);
	(void)vsnprintf(shared->why, sizeof(shared->why), format, ap);
	va_end(ap);
}

/* The engine's part. */

static void die_here(struct run *r)
{
	r->c->shared->killed = true;
	(void)raise(SIGKILL);
}

/* Every host call that may fail passes here, before it is carried out. */
static int point_begin(struct run *r)
{
	if (!r->acquiring)
		return 0;
	r->point++;
	if (r->point != r->c->at)
		return 0;
	if (r->c->kind == CHECK_KILL_BEFORE)
		die_here(r);
	return r->c->kind == CHECK_FAIL_AT ? -ENOSPC : 0;
}

static int point_end(struct run *r)
{
	if (r->acquiring && r->point == r->c->at && r->c->kind == CHECK_KILL_AFTER)
		die_here(r);
	return 0;
}

static struct check_record *record_find(struct check_shared *shared, const char *key)
{
	for (uint32_t i = 0; i < shared->record_count; i++)
		if (shared->records[i].held && strcmp(shared->records[i].key, key) == 0)
			return &shared->records[i];
	return NULL;
}

static int fake_intend(void *arg, cow_op op, const char *allocator, const char *key, const char *text)
{
	struct run *r = arg;
	struct check_shared *shared = r->c->shared;
	struct check_record *record = record_find(shared, key);
	int rc = point_begin(r);

	(void)op;
	(void)allocator;
	if (rc < 0)
		return rc;
	if (!record && shared->record_count == CHECK_RECORDS_MAX)
		return -ENOSPC;
	if (!record)
		record = &shared->records[shared->record_count++];
	if (strlen(text) >= sizeof(record->record)) {
		run_fail(r, "the record of \"%s\" is longer than the sweep can hold (%zu bytes)", key,
			 sizeof(record->record));
		return -E2BIG;
	}
	(void)snprintf(record->key, sizeof(record->key), "%s", key);
	(void)snprintf(record->record, sizeof(record->record), "%s", text);
	record->held = true;
	return point_end(r);
}

static int fake_forget(void *arg, cow_op op, const char *allocator, const char *key)
{
	struct run *r = arg;
	struct check_record *record = record_find(r->c->shared, key);

	(void)op;
	(void)allocator;
	if (record)
		record->held = false;
	return 0;
}

static int fake_patch(void *arg, cow_op op, const char *patch)
{
	struct run *r = arg;
	int rc = point_begin(r);

	(void)op;
	(void)patch;
	return rc < 0 ? rc : point_end(r);
}

/* Also what nobody waits for any more: one answer to that is none too many. */
static void fake_answers(void *arg, cow_op op)
{
	struct run *r = arg;
	struct cow_map_entry *entry = cow_map_get(&r->asked, op);

	if (entry && ++entry->tag == 2)
		run_fail(r, "%s is answered twice", (const char *)entry->value);
}

static void answer_cb(void *arg, cow_op op, const struct cow_answer *answer)
{
	struct run *r = arg;

	(void)op;
	r->answered = true;
	r->code = answer->code;
	(void)snprintf(r->message, sizeof(r->message), "%s",
		       answer->message ? answer->message : cow_errno_text(answer->code));
}

/* The loop. */

static bool has_work(const struct run *r)
{
	cow_list_for(node, &r->host->plugins)
		if (!cow_list_empty(&cow_container_of(node, struct cow_plugin, node)->jobs))
			return true;
	return false;
}

static void wake_cb(uv_timer_t *timer)
{
	(void)timer;
}

/*
 * One turn.  While the plugin waits for the pool or for a descriptor, time is real; otherwise nothing
 * can come but the next timer, and it is due now.  False: nothing can come at all.
 */
static bool run_turn(struct run *r)
{
	uint64_t next = cow_timers_next(&r->timers);

	(void)uv_run(&r->loop, UV_RUN_NOWAIT);
	if (r->answered)
		return true;
	if (has_work(r)) {
		(void)uv_run(&r->loop, UV_RUN_ONCE);
		return true;
	}
	if (r->host->watches.count) {
		uint64_t began = uv_hrtime() / 1000000, wait = next - r->timers.now_ms;

		(void)uv_timer_start(&r->wake, wake_cb, next == UINT64_MAX ? 1000 : wait, 0);
		(void)uv_run(&r->loop, UV_RUN_ONCE);
		(void)uv_timer_stop(&r->wake);
		cow_timers_advance(&r->timers, r->timers.now_ms + uv_hrtime() / 1000000 - began);
		return true;
	}
	if (next == UINT64_MAX)
		return false;
	cow_timers_advance(&r->timers, next);
	return true;
}

/* Until the plugin has nothing under way; one that always has (a repeating timer) gets some time. */
static void run_settle(struct run *r)
{
	uint64_t until = uv_hrtime() + SETTLE_NS;

	r->answered = false;
	for (unsigned i = 0; i < SETTLE_TURNS && uv_hrtime() < until; i++) {
		(void)uv_run(&r->loop, UV_RUN_NOWAIT);
		if (!has_work(r) && cow_timers_next(&r->timers) == UINT64_MAX)
			return;
		(void)run_turn(r);
	}
}

/* Wait for the answer; its deadline is one of the timers. */
static void run_wait(struct run *r)
{
	while (!r->answered && run_turn(r))
		;
}

static int run_ask(struct run *r, const char *what, uint32_t deadline_ms, cow_op *ret)
{
	int rc = cow_op_open(r->ops, deadline_ms, answer_cb, r, ret);

	r->answered = false;
	return rc < 0 ? rc : cow_map_put(&r->asked, *ret, (void *)(uintptr_t)what, 0);
}

static void run_given(struct run *r, cow_op op, int rc)
{
	if (rc != COW_LATER)
		(void)cow_ops_answer(r->ops, op, &(struct cow_answer){ .code = rc });
}

/* Life. */

static bool provides_to(const struct cow_plugin *provider, const struct cow_plugin *user)
{
	for (const char *const *need = user->table.requires_; need && *need; need++)
		for (const char *const *cap = provider->table.provides; cap && *cap; cap++)
			if (strcmp(*need, *cap) == 0)
				return true;
	return false;
}

/* Of the others, start those that `plugin` needs, and what these need. */
static void start_needed(struct run *r, struct cow_plugin *plugin)
{
	cow_list_for(node, &r->host->plugins) {
		struct cow_plugin *other = cow_container_of(node, struct cow_plugin, node);

		if (other->state == PLUGIN_UNLOADED && provides_to(other, plugin)) {
			other->state = PLUGIN_LOADED;
			start_needed(r, other);
		}
	}
}

/* What it requires is looked for beside it; the others there stay as they are. */
static void load_needed(struct run *r, struct cow_plugin *plugin)
{
	const char *path = r->c->plugin, *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? cow_asprintf("%.*s", (int)(slash - path), path) : NULL;

	if (!plugin->table.requires_ || !plugin->table.requires_[0] || !dir)
		return;
	cow_log_setup(-1, COW_LOG_ERROR, false);
	(void)cow_host_load_dir(r->host, dir);
	cow_log_setup(STDERR_FILENO, COW_LOG_WARN, false);
	cow_list_for(node, &r->host->plugins) {
		struct cow_plugin *other = cow_container_of(node, struct cow_plugin, node);

		if (other != plugin && other->state == PLUGIN_LOADED)
			other->state = PLUGIN_UNLOADED;
	}
	start_needed(r, plugin);
}

static int run_load(struct run *r, struct cow_error *err)
{
	int rc = cow_host_load(r->host, r->c->plugin, err);
	struct cow_plugin *plugin;

	if (rc < 0)
		return rc;
	plugin = cow_container_of(r->host->plugins.next, struct cow_plugin, node);
	load_needed(r, plugin);
	(void)cow_host_init_all(r->host, NULL);
	if (plugin->state == PLUGIN_ACTIVE)
		return 0;
	return cow_error_set(err, -EPROTO, "%s", plugin->reason ? plugin->reason : "it does not start");
}

static bool run_begin(struct run *r, const struct check_case *c)
{
	static const struct cow_host_events events = {
		.intend = fake_intend, .forget = fake_forget, .patch_spec = fake_patch,
		.answers = fake_answers,
	};
	_cleanup_free_ char *run_root = cow_asprintf("%s/run", c->root);
	_cleanup_free_ char *state_root = cow_asprintf("%s/state", c->root);
	struct cow_error err = { 0 };
	struct cow_host_setup setup = { .loop = &r->loop, .timers = &r->timers, .run_root = run_root,
					.state_root = state_root, .libexec_dir = "/nonexistent" };

	*r = (struct run){ .c = c };
	cow_log_setup(STDERR_FILENO, COW_LOG_WARN, false);
	cow_timers_init(&r->timers, uv_hrtime() / 1000000);
	r->ops = cow_ops_create(&r->timers);
	setup.ops = r->ops;
	if (!run_root || !state_root || !r->ops || uv_loop_init(&r->loop) < 0 ||
	    uv_timer_init(&r->loop, &r->wake) < 0 || cow_host_create(&setup, &r->host, &err) < 0) {
		run_fail(r, "the check itself lacks memory or descriptors");
		return false;
	}
	uv_unref((uv_handle_t *)&r->wake);
	cow_host_set_events(r->host, &events, r);
	if (run_load(r, &err) < 0) {
		run_fail(r, "%s", err.message);
		return false;
	}
	r->allocator = cow_host_allocator(r->host, c->shared->allocators[c->allocator].name);
	return true;
}

static void run_end(struct run *r)
{
	if (r->host)
		cow_host_destroy(r->host);
	cow_ops_destroy(r->ops);
	cow_map_finish(&r->asked);
	cow_timers_finish(&r->timers);
}

/* Operations. */

static void release_once(struct run *r, const struct check_record *record, int other_boot, const char *when)
{
	const struct cow_allocator *a = r->allocator;
	const struct cowherd_record given = { .size = sizeof(given), .container = "check",
					      .key = record->key, .record = record->record,
					      .other_boot = other_boot };
	cow_op op;

	if (run_ask(r, "release", a->table.release_ms, &op) < 0)
		return;
	run_given(r, op, a->table.release(a->arg, op, &given));
	run_wait(r);
	if (!r->answered) {
		cow_op_abandon(r->ops, op);
		run_fail(r, "release of \"%s\"%s is never answered", record->key, when);
	} else if (r->code < 0) {
		run_fail(r, "release of \"%s\"%s: %s", record->key, when, r->message);
	}
}

/* Last first, as the engine does; then again, because "already gone" is success. */
static void release_all(struct run *r)
{
	static const char *const when[] = { "", ", a second time", ", after a reboot" };
	struct check_shared *shared = r->c->shared;

	for (int time = 0; time < 3; time++)
		for (uint32_t i = shared->record_count; i-- > 0;)
			if (shared->records[i].held)
				release_once(r, &shared->records[i], time == 2, when[time]);
	run_settle(r);
	shared->record_count = 0;
}

static void acquire_ended(struct run *r, bool asked)
{
	enum check_kind kind = r->c->kind;

	if (asked && (!r->answered || r->code == -ETIMEDOUT))
		run_fail(r, "a cancelled acquire is never answered");
	else if (!r->answered)
		run_fail(r, "acquire is never answered");
	else if (r->code == -ETIMEDOUT)
		run_fail(r, "acquire is not answered in its %u ms", r->allocator->table.acquire_ms);
	else if (r->code < 0 && (kind == CHECK_PLAIN || kind == CHECK_NEW_PROCESS))
		run_fail(r, "acquire: %s", r->message);
}

static void acquire_once(struct run *r)
{
	const struct check_case *c = r->c;
	const struct cow_allocator *a = r->allocator;
	_cleanup_free_ char *bundle = cow_asprintf("%s/bundle", c->root);
	_cleanup_free_ char *run_dir = cow_asprintf("%s/c-run", c->root);
	_cleanup_free_ char *state_dir = cow_asprintf("%s/c-state", c->root);
	const struct cowherd_request request = {
		.size = sizeof(request), .container = "check", .name = "check", .owner = "cowherd",
		.txn = "00000000-0000-4000-8000-000000000000", .bundle = bundle, .spec = c->spec,
		.options = "{}", .run_dir = run_dir, .state_dir = state_dir,
	};
	bool asks = c->kind == CHECK_CANCEL_AT, leaves = c->kind == CHECK_ABANDON_AT;
	uint32_t turns = 0;
	cow_op op;

	r->point = 0;
	if (!bundle || !run_dir || !state_dir || run_ask(r, "acquire", a->table.acquire_ms, &op) < 0)
		return;
	r->acquiring = true;
	run_given(r, op, a->table.acquire(a->arg, op, &request));
	while (!r->answered && (!(asks || leaves) || turns < c->at) && run_turn(r))
		turns++;
	asks = asks && !r->answered;
	if (asks) {
		a->table.cancel(a->arg, op);
		run_wait(r);
	}
	r->acquiring = false;
	c->shared->points = r->point;
	c->shared->turns = turns;
	if (!leaves)
		acquire_ended(r, asks);
	cow_op_abandon(r->ops, op);
}

static uint32_t count_fds(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	uint32_t n = 0;

	while (dir && readdir(dir))
		n++;
	return n;
}

void check_acquire(const struct check_case *c)
{
	struct run r;
	uint32_t fds;

	if (!run_begin(&r, c))
		return;
	acquire_once(&r);
	/* Another process is to find only the records. */
	if (c->kind == CHECK_NEW_PROCESS)
		return;
	release_all(&r);
	if (c->kind == CHECK_PLAIN) {
		/* What the first round opened may stay open; the second has to do with it. */
		fds = count_fds();
		acquire_once(&r);
		release_all(&r);
		if (count_fds() > fds)
			run_fail(&r, "a descriptor is left open after each release");
	}
	run_end(&r);
}

void check_release(const struct check_case *c)
{
	struct run r;

	if (!run_begin(&r, c))
		return;
	release_all(&r);
	run_end(&r);
}

/* What it offers, for people; and that it goes when nothing holds it. */
void check_offers(const struct check_case *c)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf out = COW_STRBUF_INIT;
	const struct cow_allocator *const *all;
	const struct cow_plugin *plugin;
	struct cow_error err = { 0 };
	struct run r;
	uint32_t n;

	if (!run_begin(&r, c))
		return;
	plugin = cow_container_of(r.host->plugins.next, struct cow_plugin, node);
	check_describe(plugin, &out);
	if (out.data)
		(void)fputs(out.data, stdout);
	(void)fflush(stdout);
	n = cow_host_allocators(r.host, &all);
	if (n > CHECK_ALLOCATORS_MAX)
		n = CHECK_ALLOCATORS_MAX;
	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(c->shared->allocators[i].name, sizeof(c->shared->allocators[i].name), "%s",
			       all[i]->table.name);
		c->shared->allocators[i].cancels = all[i]->table.cancel != NULL;
	}
	c->shared->allocator_count = n;
	run_settle(&r);
	if (cow_host_unload(r.host, plugin->name, &err) < 0)
		run_fail(&r, "%s", err.message);
	run_end(&r);
}
