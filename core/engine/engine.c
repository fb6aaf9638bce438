/* SPDX-License-Identifier: MIT */
/* The engine and its registry of containers. */
#include "engine/container.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>

#define TRIM_BYTES (256u << 10)
#define TRIM_MS 1000u

struct container *container_by_id(struct cow_engine *e, const char *id)
{
	for (struct hash_node *n = hash_first(&e->ids, hash_string(id)); n; n = hash_next(n)) {
		struct container *c = cow_container_of(n, struct container, id_node);

		if (strcmp(c->def->id, id) == 0)
			return c;
	}
	return NULL;
}

struct container *container_by_name(struct cow_engine *e, const char *name)
{
	for (struct hash_node *n = hash_first(&e->names, hash_string(name)); n; n = hash_next(n)) {
		struct container *c = cow_container_of(n, struct container, name_node);

		if (strcmp(c->def->name, name) == 0)
			return c;
	}
	return NULL;
}

struct container *container_find(struct cow_engine *e, const char *key, struct cow_error *err)
{
	struct container *c = container_by_id(e, key);
	size_t len = strlen(key);

	if (!c)
		c = container_by_name(e, key);
	if (c)
		return c;
	cow_list_for(l, &e->containers) {
		struct container *o = cow_container_of(l, struct container, link);

		if (len == 0 || strncmp(o->def->id, key, len) != 0)
			continue;
		if (c) {
			(void)cow_error_set(err, -EINVAL,
					    "container %s: the ids of several containers begin so",
					    key);
			return NULL;
		}
		c = o;
	}
	if (!c)
		(void)cow_error_set(err, -ENOENT, "container %s: no such container", key);
	return c;
}

static void engine_trim(struct cow_timer *timer, void *arg)
{
	(void)timer;
	(void)arg;
	(void)malloc_trim(0);
}

/* A large spec came or went: give back what it took, once there is quiet. */
static void engine_trim_after(struct cow_engine *e, const struct definition *def)
{
	if (def->spec && strnlen(def->spec, TRIM_BYTES) == TRIM_BYTES)
		(void)cow_timer_start(e->setup.timers, &e->trim_timer, TRIM_MS, engine_trim, e);
}

static void container_free(struct container *c)
{
	struct cow_timers *t = c->engine->setup.timers;

	release_abandon(c);
	recover_forget(c);
	calls_abandon(c);
	health_destroy(c);
	processes_free(c);
	container_drop_system(c);
	io_close(c);
	log_detach(c);
	cow_timer_stop(t, &c->deadline);
	cow_timer_stop(t, &c->stable);
	cow_txn_destroy(c->txn); /* a supervisor that leaves: its successor finds the ledger */
	parts_forget(c);
	waiters_drop(&c->waiters);
	cow_ledger_close(c->ledger);
	cow_ledger_close(c->durable);
	ending_finish(&c->ending);
	json_object_put(c->tree);
	free(c->patched);
	free(c->joined_options);
	free(c->backend);
	free(c->error);
	free(c->run_dir);
	free(c->state_dir);
	engine_trim_after(c->engine, c->def);
	definition_destroy(c->def);
	free(c);
}

int container_new(struct cow_engine *e, struct definition *def, struct container **ret,
		  struct cow_error *err)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c) {
		definition_destroy(def);
		return cow_error_set(err, -ENOMEM, "container: out of memory");
	}
	c->engine = e;
	c->def = def;
	c->stop_ms = UINT32_MAX;
	cow_list_init(&c->link);
	cow_list_init(&c->waiters);
	cow_list_init(&c->calls);
	cow_list_init(&c->processes);
	cow_list_init(&c->dirty);
	c->run_dir = cow_asprintf("%s/containers/%s", e->setup.run_root, def->id);
	c->state_dir = cow_asprintf("%s/containers/%s", e->setup.state_root, def->id);
	if (!c->run_dir || !c->state_dir) {
		container_free(c);
		return cow_error_set(err, -ENOMEM, "container: out of memory");
	}
	cow_list_add(&e->containers, &c->link);
	hash_add(&e->ids, &c->id_node, hash_string(def->id));
	hash_add(&e->names, &c->name_node, hash_string(def->name));
	engine_trim_after(e, def);
	*ret = c;
	return 0;
}

void container_bury(struct container *c)
{
	struct cow_engine *e = c->engine;

	hash_del(&e->ids, &c->id_node);
	hash_del(&e->names, &c->name_node);
	calls_abandon(c); /* their callers were told already */
	cow_list_del(&c->dirty);
	cow_list_del(&c->link);
	cow_list_add(&e->graves, &c->link);
	engine_wake(e);
}

const struct cow_backend *container_backend(struct container *c)
{
	return c->backend ? cow_host_backend(c->engine->setup.host, c->backend) : NULL;
}

/* One line says what failed, the next what led to it. */
static void tell_failure(const struct container *c, const struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	cow_log(.level = COW_LOG_WARN, .event = "container.error", .container = c->def->id,
		.txn = c->txn_id, .step = err->step, .msg = err->message, .code = err->code,
		.has_code = true);
	events_last(c->engine, c->def->id, &b);
	if (!b.error && b.data)
		cow_log(.level = COW_LOG_INFO, .event = "container.history",
			.container = c->def->id, .txn = c->txn_id, .msg = b.data);
}

struct cow_error *container_fail(struct container *c, const struct cow_error *err)
{
	tell_failure(c, err);
	free(c->error);
	c->error = malloc(sizeof(*c->error));
	if (c->error)
		*c->error = *err;
	return c->error;
}

static void engine_turn(struct cow_timer *timer, void *arg)
{
	struct cow_engine *e = arg;

	(void)timer;
	waiters_flush(e);
	cow_list_for_safe(l, tmp, &e->graves) {
		struct container *c = cow_container_of(l, struct container, link);

		cow_list_del(&c->link);
		container_free(c);
	}
	shutdown_check(e);
}

void engine_wake(struct cow_engine *e)
{
	if (!cow_timer_active(&e->reply_timer))
		(void)cow_timer_start(e->setup.timers, &e->reply_timer, 0, engine_turn, e);
}

static int engine_dirs(struct cow_engine *e, struct cow_error *err)
{
	const char *roots[] = { e->setup.run_root, e->setup.state_root };

	for (size_t i = 0; i < COW_ELEMENTS(roots); i++) {
		_cleanup_free_ char *dir = cow_fs_join(roots[i], "containers");
		int rc = dir ? cow_fs_mkdirs(dir, 0700) : -ENOMEM;

		if (rc < 0)
			return cow_error_errno(err, rc, "%s/containers", roots[i]);
	}
	return 0;
}

static int engine_fill(struct cow_engine *e, const struct cow_engine_setup *setup,
		       struct cow_error *err)
{
	e->setup = *setup;
	e->setup.run_root = strdup(setup->run_root);
	e->setup.state_root = strdup(setup->state_root);
	e->setup.owner = strdup(setup->owner ? setup->owner : "cowherd");
	if (!e->setup.windows_build)
		e->setup.windows_build = COW_WINDOWS_BUILD;
	if (!e->setup.run_root || !e->setup.state_root || !e->setup.owner ||
	    hash_init(&e->ids) < 0 || hash_init(&e->names) < 0 || hash_init(&e->systems) < 0 ||
	    hash_init(&e->calls) < 0)
		return cow_error_set(err, -ENOMEM, "engine: out of memory");
	return engine_dirs(e, err);
}

int cow_engine_create(const struct cow_engine_setup *setup, struct cow_engine **ret,
		      struct cow_error *err)
{
	struct cow_engine *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return cow_error_set(err, -ENOMEM, "engine: out of memory");
	cow_list_init(&e->containers);
	cow_list_init(&e->replies);
	cow_list_init(&e->graves);
	cow_list_init(&e->subscriptions);
	cow_list_init(&e->buffers);
	cow_list_init(&e->follows);
	cow_list_init(&e->images);
	cow_list_init(&e->dirty);
	rc = engine_fill(e, setup, err);
	if (rc < 0) {
		cow_engine_destroy(e);
		return rc;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* a reader that left is an error of write(), not our end */
	cow_host_set_events(setup->host, &engine_host_events, e);
	*ret = e;
	return 0;
}

void cow_engine_on_progress(struct cow_engine *e, cow_engine_progress_cb cb, void *arg)
{
	e->progress = cb;
	e->progress_arg = arg;
}

void cow_engine_destroy(struct cow_engine *e)
{
	if (!e)
		return;
	e->closing = true;
	shutdown_abandon(e);
	recover_abandon(e);
	images_abandon(e);
	follows_close(e);
	sync_stop(e);
	cow_list_for_safe(l, tmp, &e->containers)
		container_bury(cow_container_of(l, struct container, link));
	cow_list_for_safe(l, tmp, &e->graves) {
		cow_list_del(l);
		container_free(cow_container_of(l, struct container, link));
	}
	while (e->jobs > 0)
		(void)uv_run(e->setup.loop, UV_RUN_ONCE);
	waiters_drop(&e->replies);
	cow_timer_stop(e->setup.timers, &e->reply_timer);
	cow_timer_stop(e->setup.timers, &e->trim_timer);
	buffers_finish(e);
	events_finish(e);
	cow_specs_kept_finish(&e->specs);
	if (e->setup.state_root)
		dirs_sweep(e, false);
	hash_finish(&e->ids);
	hash_finish(&e->names);
	hash_finish(&e->systems);
	hash_finish(&e->calls);
	free((char *)(uintptr_t)e->setup.run_root);
	free((char *)(uintptr_t)e->setup.state_root);
	free((char *)(uintptr_t)e->setup.owner);
	free(e);
}
