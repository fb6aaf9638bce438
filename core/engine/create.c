/* SPDX-License-Identifier: MIT */
/* Create: judge the parameters, then one transaction from the first allocator to the record. */
#include "engine/container.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define COMPILE_ON_LOOP_MAX (256u << 10) /* a spec larger than this is read on the pool */

/* A create whose image is asked for, or whose spec is read on the pool. */
struct compile_job {
	uv_work_t work;
	struct cow_engine *engine;
	struct cow_create *create;
	struct json_object *params;
	struct waiter *waiter;
	struct cow_error err;
};

int container_dirs(struct container *c, struct cow_error *err)
{
	_cleanup_free_ char *ledger = cow_fs_join(c->run_dir, "ledger");
	int rc;

	if (!ledger)
		return cow_error_set(err, -ENOMEM, "container: out of memory");
	rc = dirs_make(c, err);
	return rc < 0 || c->ledger ? rc : cow_ledger_open(ledger, &c->ledger, err);
}

static void create_done(void *arg, const struct cow_txn_result *result)
{
	struct container *c = arg;
	bool failed = result->error.code < 0;

	c->txn = NULL;
	parts_forget(c);
	json_object_put(c->tree);
	c->tree = NULL;
	c->made = !failed;
	/* Directories that cannot be removed now are something left, for a later delete. */
	if (failed && !container_held(c) && !c->keep && dirs_drop(c, NULL) < 0)
		c->keep = true;
	container_answered(c, failed ? &result->error : NULL);
	if (c->state == COW_STATE_FAILED)
		(void)record_write_definition(c, NULL);
}

/* A word that names one container must not name another, be it by id or by name. */
static const char *taken(struct cow_engine *e, const struct definition *def)
{
	if (container_by_id(e, def->id) || container_by_name(e, def->id))
		return def->id;
	return container_by_id(e, def->name) || container_by_name(e, def->name) ? def->name : NULL;
}

static int create_begin(struct cow_engine *e, struct definition *def, struct waiter *w,
			struct cow_error *err)
{
	const char *word = taken(e, def);
	struct container *c;
	int rc;

	if (word) {
		rc = cow_error_set(err, -EEXIST, "container %s already exists", word);
		definition_destroy(def);
		return rc;
	}
	rc = container_new(e, def, &c, err);
	if (rc < 0)
		return rc;
	c->state = COW_STATE_CREATING;
	c->keep = def->keep_on_failure;
	cow_uuid_v4(c->txn_id);
	rc = container_dirs(c, err);
	if (rc == 0) {
		cow_list_add(&c->waiters, &w->link);
		rc = parts_run(c, PARTS_TAKE | PARTS_MAKE | PARTS_RECORD,
			       c->keep ? COW_TXN_KEEP_ON_FAILURE : 0, create_done, err);
		if (rc < 0)
			cow_list_del(&w->link);
	}
	if (rc < 0) {
		(void)dirs_drop(c, NULL);
		c->state = COW_STATE_DELETED;
		container_bury(c);
	}
	return rc;
}

static void create_compiled(struct cow_engine *e, struct cow_create *create,
			    struct json_object *params, struct waiter *w, struct cow_error *err)
{
	struct definition *def;
	int rc = err->code;

	if (rc == 0 && e->closing)
		rc = cow_error_set(err, -ESHUTDOWN, "the supervisor is shutting down");
	if (rc == 0)
		rc = definition_make(create, params, e->setup.windows_build, &def, err);
	if (rc == 0)
		rc = create_begin(e, def, w, err);
	if (rc < 0)
		waiter_fail(w, err);
	cow_create_destroy(create);
}

static void compile_work(uv_work_t *work)
{
	struct compile_job *job = cow_container_of(work, struct compile_job, work);

	(void)cow_create_compile(job->create, &job->err);
}

static void compile_done(uv_work_t *work, int status)
{
	struct compile_job *job = cow_container_of(work, struct compile_job, work);

	job->engine->jobs--;
	if (status < 0)
		(void)cow_error_errno(&job->err, status, "spec");
	create_compiled(job->engine, job->create, job->params, job->waiter, &job->err);
	json_object_put(job->params);
	free(job);
}

static bool is_large(const struct cow_create *create)
{
	_cleanup_free_ char *path =
		create->bundle ? cow_fs_join(create->bundle, "config.json") : NULL;
	struct stat st;

	return path && stat(path, &st) == 0 && st.st_size > COMPILE_ON_LOOP_MAX;
}

static int create_offload(struct cow_engine *e, struct cow_create *create,
			  struct json_object *params, struct waiter *w)
{
	struct compile_job *job = calloc(1, sizeof(*job));
	int rc = job ? 0 : -ENOMEM;

	if (rc == 0) {
		job->engine = e;
		job->create = create;
		job->params = params;
		job->waiter = w;
		rc = uv_queue_work(e->setup.loop, &job->work, compile_work, compile_done);
	}
	if (rc < 0) {
		free(job);
		return rc;
	}
	e->jobs++;
	json_object_get(params);
	return 0;
}

static void image_done(void *arg, struct cow_error *err)
{
	struct compile_job *job = arg;

	if (err->code == 0)
		(void)cow_create_compile(job->create, err);
	create_compiled(job->engine, job->create, job->params, job->waiter, err);
	json_object_put(job->params);
	free(job);
}

static void create_from_image(struct cow_engine *e, struct cow_create *create,
			      struct json_object *params, struct waiter *w)
{
	struct compile_job *job = calloc(1, sizeof(*job));
	struct cow_error err = { 0 };

	if (!job) {
		(void)cow_error_set(&err, -ENOMEM, "create: out of memory");
		create_compiled(e, create, params, w, &err);
		return;
	}
	job->engine = e;
	job->create = create;
	job->params = json_object_get(params);
	job->waiter = w;
	image_resolve(e, create, image_done, job);
}

void cow_engine_container_create(struct cow_engine *e, struct json_object *params, cow_engine_cb cb,
				 void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CREATE, cb, arg);
	const struct cow_create_defaults defaults = { .owner = e->setup.owner };
	struct cow_json at = { .value = params };
	struct cow_error err = { 0 };
	struct cow_create *create;

	if (!w)
		return;
	if (cow_create_parse(&at, &defaults, &create, &err) < 0) {
		waiter_fail(w, &err);
		return;
	}
	if (create->from_image) {
		create_from_image(e, create, params, w);
		return;
	}
	if (is_large(create) && create_offload(e, create, params, w) == 0)
		return;
	(void)cow_create_compile_kept(create, &e->specs, &err);
	create_compiled(e, create, params, w, &err);
}

/* ---- release: what keep_on_failure kept */

static void release_verb_done(void *arg, const struct cow_error *err)
{
	struct container *c = arg;

	c->busy = false;
	if (err)
		(void)container_fail(c, err);
	waiters_answer(c, WAIT_RELEASE, err);
	container_look(c);
}

void cow_engine_container_release(struct cow_engine *e, const char *key, cow_engine_cb cb,
				  void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_RELEASE, cb, arg);
	struct cow_error err = { 0 };
	struct container *c;

	if (!w)
		return;
	c = container_find(e, key, &err);
	if (!c) {
		waiter_fail(w, &err);
	} else if (c->state != COW_STATE_FAILED && c->state != COW_STATE_DEAD) {
		waiter_refuse(w, -EBUSY,
			      "container %s: is %s: only what a failed create kept is released",
			      c->def->name, cow_state_info(c->state)->name);
	} else {
		cow_list_add(&c->waiters, &w->link);
		if (c->busy)
			return;
		c->busy = true;
		io_close(c);
		container_drop_system(c);
		release_start(c, NULL, 0, release_verb_done, c);
	}
}
