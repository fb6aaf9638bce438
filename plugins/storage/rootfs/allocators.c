/* SPDX-License-Identifier: MIT */
/*
 * The allocators, between the host's loop and the pool.  An acquire reads the request, announces what
 * is about to be taken, and works on the pool.  A release that comes while the acquire of the same
 * container is still under way there asks it to end, and waits for that.
 */
#include "rootfs/rootfs.h"

#include "disk/watch.h"
#include "common/json.h"
#include "rootfs/cache.h"
#include "rootfs/parts.h"
#include "rootfs/ready.h"
#include "rootfs/sync.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum kind { SCRATCH, BASE, VOLUMES, SHARES, KINDS };

/* Something on the pool: an acquire, or a release. */
struct job {
	struct job *next; /* in `acquires`, or in another job's `waiting` */
	enum kind kind;
	cowherd_op op;
	struct st_part part;        /* of an acquire */
	char *container;
	struct json_object *record; /* of a release */
	struct plug_error err;
	struct job *waiting; /* releases, until this acquire has ended */
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	char *store_dir, *disk_dir;
	struct job *acquires;
	enum st_verify verify;
	uint64_t scratch_bytes; /* where nobody says */
} rootfs;

static void job_free(struct job *job)
{
	st_plan_finish(&job->part.plan);
	json_object_put(job->part.patch);
	json_object_put(job->record);
	free(job->container);
	free(job);
}

static void answer(cowherd_op op, int code, const struct plug_error *err)
{
	const char *message = err && err->text[0] ? err->text : NULL;

	(void)rootfs.host->answer(rootfs.self, op,
				  &(struct cowherd_answer){ .size = sizeof(struct cowherd_answer),
							    .code = code,
							    .message = code < 0 ? message : NULL });
}

/* ---- release */

static int release_work(void *arg)
{
	static int (*const give[KINDS])(struct json_object *, struct plug_error *) = {
		[SCRATCH] = st_scratch_give,
		[BASE] = st_base_give,
		[VOLUMES] = st_volumes_give,
		[SHARES] = st_shares_give,
	};
	struct job *job = arg;

	return give[job->kind](job->record, &job->err);
}

static void release_done(void *arg, int result)
{
	struct job *job = arg;
	cowherd_op op = job->op;
	struct plug_error err = job->err;

	if (job->kind == SHARES || job->kind == BASE)
		st_disk_watch_released();
	job_free(job);
	answer(op, result, &err);
}

static int release_begin(struct job *job)
{
	return rootfs.host->offload(rootfs.self, release_work, release_done, job);
}

static int release(enum kind kind, cowherd_op op, const struct cowherd_record *record)
{
	struct job *job = calloc(1, sizeof(*job));
	int r;

	if (kind == SCRATCH)
		st_sync_forget(record->container);

	if (!job)
		return -ENOMEM;
	job->kind = kind;
	job->op = op;
	job->container = strdup(record->container);
	job->record = json_tokener_parse(record->record);
	for (struct job *a = rootfs.acquires; a && job->container; a = a->next) {
		if (a->kind != kind || strcmp(a->container, job->container) != 0)
			continue;
		atomic_store(&a->part.stop, true);
		job->next = a->waiting;
		a->waiting = job;
		return COWHERD_LATER;
	}
	r = !job->container ? -ENOMEM : job->record ? release_begin(job) : -EBADMSG;
	if (r == 0)
		return COWHERD_LATER;
	job_free(job);
	return r;
}

/* ---- acquire */

static int acquire_work(void *arg)
{
	static int (*const take[KINDS])(struct st_part *) = {
		[SCRATCH] = st_scratch_take,
		[BASE] = st_base_take,
		[VOLUMES] = st_volumes_take,
		[SHARES] = st_shares_take,
	};
	struct job *job = arg;

	if (atomic_load(&job->part.stop))
		return -ECANCELED;
	return take[job->kind](&job->part);
}

static void acquire_leave(struct job *job)
{
	struct job **p = &rootfs.acquires;

	while (*p != job)
		p = &(*p)->next;
	*p = job->next;
	for (struct job *w = job->waiting, *next; w; w = next) {
		next = w->next;
		if (release_begin(w) < 0)
			release_done(w, -ESHUTDOWN);
	}
}

/* It is there: what follows from that. */
static int acquired(const struct job *job)
{
	const struct st_plan *p = &job->part.plan;

	if (job->kind == SCRATCH)
		st_sync_later(job->container);
	if (job->kind == BASE && p->root == ST_ROOT_IMAGE && !p->scratch_bytes)
		st_ready_want(p->digest);
	if (!job->part.patch)
		return 0;
	return rootfs.host->patch_spec(
		rootfs.self, job->op,
		json_object_to_json_string_ext(job->part.patch, JSON_C_TO_STRING_PLAIN));
}

/* On failure it stays the caller's. */
static int acquire_end(struct job *job)
{
	int r = acquired(job);

	if (r == 0)
		job_free(job);
	return r;
}

static void acquire_done(void *arg, int result)
{
	struct job *job = arg;
	struct plug_error err = job->part.err;
	cowherd_op op = job->op;

	if (result == 0)
		result = acquired(job);
	if (job->kind == SHARES || (job->kind == BASE && job->part.plan.root == ST_ROOT_LAYERS))
		st_disk_watch_look();
	acquire_leave(job);
	job_free(job);
	answer(op, result, &err);
}

static bool mounts_of_type(const struct st_plan *p, const char *type)
{
	for (size_t i = 0; i < plug_json_length(p->mounts); i++) {
		const char *t = plug_json_string(json_object_array_get_idx(p->mounts, i), "type");

		if (t && strcmp(t, type) == 0)
			return true;
	}
	return false;
}

static bool wanted(enum kind kind, const struct st_plan *p)
{
	switch (kind) {
	case SCRATCH:
		return p->root == ST_ROOT_IMAGE;
	case BASE:
		return true;
	case VOLUMES:
		return (p->volumes && p->volumes[0]) ||
		       (p->lcow && mounts_of_type(p, "automanage-virtual-disk"));
	case SHARES:
		return p->lcow && plug_json_length(p->mounts);
	case KINDS:
		break;
	}
	return false;
}

/* Without reading it: what surely is not wanted. */
static bool may_want(enum kind kind, const struct cowherd_request *request)
{
	switch (kind) {
	case SCRATCH:
		return strstr(request->options, "\"resolved\"");
	case VOLUMES:
		return strstr(request->options, "\"Volumes\"") ||
		       strstr(request->spec, "automanage-virtual-disk");
	case SHARES:
		return strstr(request->spec, "\"windows\"");
	case BASE: /* reads all of it, and tells what is wrong with it */
	case KINDS:
		break;
	}
	return true;
}

static int put_path(struct json_object *o, const char *key, const char *dir, const char *name)
{
	_cleanup_free_ char *path = st_path_join(dir, name);

	return st_json_put_string(o, key, path);
}

/* The disks that are removed with the container. */
static int put_disks(struct json_object *record, const struct st_plan *p)
{
	struct json_object *disks = json_object_new_array();

	if (st_json_put(record, "disks", disks) < 0)
		return -ENOMEM;
	for (size_t i = 0; p->lcow && i < plug_json_length(p->mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(p->mounts, i);
		const char *type = plug_json_string(mount, "type"),
			   *source = plug_json_string(mount, "source");

		if (type && source && *source == '/' &&
		    strcmp(type, "automanage-virtual-disk") == 0 &&
		    st_json_append(disks, json_object_new_string(source)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int fill_record(struct json_object *o, enum kind kind, const struct st_plan *p)
{
	bool durable = kind == SCRATCH || kind == VOLUMES;
	int r = durable ? put_path(o, "path", p->state_dir, kind == SCRATCH ? "scratch" : "volumes") :
			  st_json_put_string(o, "run_dir", p->run_dir);

	if (r < 0)
		return r;
	switch (kind) {
	case SCRATCH:
		return st_json_put_string(o, "store", rootfs.store_dir) ?:
			       st_json_put_string(o, "owner", p->container);
	case VOLUMES:
		return put_disks(o, p);
	case BASE:
		return st_json_put_string(o, "disks", rootfs.disk_dir) ?:
			       put_path(o, "owner", p->container, "base");
	case SHARES:
		return st_json_put_string(o, "disks", rootfs.disk_dir) ?:
			       put_path(o, "owner", p->container, "mounts");
	case KINDS:
		break;
	}
	return -EINVAL;
}

static int announce(const struct job *job)
{
	_cleanup_json_ struct json_object *record = json_object_new_object();
	int r = record ? fill_record(record, job->kind, &job->part.plan) : -ENOMEM;

	return r < 0 ? r :
		       rootfs.host->intend(rootfs.self, job->op, "own",
					   json_object_to_json_string_ext(record,
									  JSON_C_TO_STRING_PLAIN));
}

/* 0: done, and the job is gone; COWHERD_LATER; on failure it is the caller's. */
static int acquire_begin(struct job *job)
{
	int r = announce(job);

	if (r < 0)
		return r;
	if (job->kind == SCRATCH && st_scratch_take_now(&job->part))
		return acquire_end(job);
	if (job->kind == BASE && st_base_take_now(&job->part))
		return acquire_end(job);
	r = rootfs.host->offload(rootfs.self, acquire_work, acquire_done, job);
	if (r < 0)
		return r;
	job->next = rootfs.acquires;
	rootfs.acquires = job;
	return COWHERD_LATER;
}

static int acquire(enum kind kind, cowherd_op op, const struct cowherd_request *request)
{
	struct plug_error err = { 0 };
	struct st_plan plan;
	struct job *job;
	int r = !may_want(kind, request) ? 0 : st_plan_read(request, rootfs.scratch_bytes, &plan, &err);

	if (r == 0)
		return 0;
	if (r < 0) {
		answer(op, r, &err);
		return COWHERD_LATER;
	}
	job = wanted(kind, &plan) ? calloc(1, sizeof(*job)) : NULL;
	if (!job) {
		r = wanted(kind, &plan) ? -ENOMEM : 0;
		st_plan_finish(&plan);
		return r;
	}
	job->kind = kind;
	job->op = op;
	job->part = (struct st_part){ .plan = plan,
				      .store_dir = rootfs.store_dir,
				      .disk_dir = rootfs.disk_dir,
				      .verify = rootfs.verify };
	job->container = strdup(request->container);
	r = job->container ? acquire_begin(job) : -ENOMEM;
	if (r < 0)
		job_free(job);
	return r;
}

static void cancel(void *arg, cowherd_op op)
{
	(void)arg;
	for (struct job *a = rootfs.acquires; a; a = a->next)
		if (a->op == op)
			atomic_store(&a->part.stop, true);
}

static int allocator_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	return acquire((enum kind)(uintptr_t)arg, op, request);
}

static int allocator_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	return release((enum kind)(uintptr_t)arg, op, record);
}

/* ---- images by name */

struct query {
	cowherd_op op;
	char *reference, *platform, *result;
	struct plug_error err;
};

static void query_free(struct query *q)
{
	free(q->reference);
	free(q->platform);
	free(q->result);
	free(q);
}

static int query_work(void *arg)
{
	struct query *q = arg;

	return st_image_query(rootfs.store_dir, q->reference, q->platform, &q->result, &q->err);
}

static void query_done(void *arg, int result)
{
	struct query *q = arg;
	const struct cowherd_answer a = {
		.size = sizeof(a),
		.code = result,
		.message = result < 0 && q->err.text[0] ? q->err.text : NULL,
		.result = result < 0 ? NULL : q->result,
	};

	(void)rootfs.host->answer(rootfs.self, q->op, &a);
	query_free(q);
}

static int resolve(void *arg, cowherd_op op, const char *reference, const char *platform)
{
	_cleanup_free_ char *known = st_cache_answer(reference, platform);
	struct query *q;
	int r;

	(void)arg;
	if (known) {
		const struct cowherd_answer a = { .size = sizeof(a), .result = known };

		(void)rootfs.host->answer(rootfs.self, op, &a);
		return COWHERD_LATER;
	}
	q = calloc(1, sizeof(*q));
	r = q ? 0 : -ENOMEM;
	if (r == 0) {
		q->op = op;
		q->reference = strdup(reference);
		q->platform = platform ? strdup(platform) : NULL;
		r = q->reference && (q->platform || !platform) ?
			    rootfs.host->offload(rootfs.self, query_work, query_done, q) :
			    -ENOMEM;
		if (r < 0)
			query_free(q);
	}
	return r < 0 ? r : COWHERD_LATER;
}

/* ---- */

void st_rootfs_configure(enum st_verify verify, uint64_t scratch_bytes)
{
	rootfs.verify = verify;
	rootfs.scratch_bytes = scratch_bytes;
}

int st_rootfs_register(const struct cowherd_host *host, struct cowherd_self *self)
{
	static const struct cowherd_allocator allocators[KINDS] = {
		[SCRATCH] = { .size = sizeof(allocators[0]),
			      .name = "storage.scratch",
			      .phase = COWHERD_PHASE_STORAGE,
			      .flags = COWHERD_DURABLE | COWHERD_LAZY },
		[BASE] = { .size = sizeof(allocators[0]),
			   .name = "storage.rootfs",
			   .phase = COWHERD_PHASE_STORAGE },
		[VOLUMES] = { .size = sizeof(allocators[0]),
			      .name = "storage.volumes",
			      .phase = COWHERD_PHASE_MOUNTS,
			      .flags = COWHERD_DURABLE },
		[SHARES] = { .size = sizeof(allocators[0]),
			     .name = "storage.mounts",
			     .phase = COWHERD_PHASE_MOUNTS },
	};
	static const struct cowherd_image_source source = { .size = sizeof(source),
							    .name = "storage",
							    .resolve = resolve };
	int r = 0;

	rootfs.host = host;
	rootfs.self = self;
	rootfs.acquires = NULL;
	st_sync_init(host, self);
	free(rootfs.store_dir);
	free(rootfs.disk_dir);
	rootfs.store_dir = st_path_join(host->state_dir, "storage");
	rootfs.disk_dir = st_path_join(host->run_dir, "storage");
	if (!rootfs.store_dir || !rootfs.disk_dir)
		return -ENOMEM;
	st_ready_init(host, self, rootfs.store_dir);
	st_disk_watch_init(host, self, rootfs.disk_dir);
	for (size_t i = 0; r == 0 && i < KINDS; i++) {
		struct cowherd_allocator a = allocators[i];

		a.acquire = allocator_acquire;
		a.release = allocator_release;
		a.cancel = cancel;
		r = host->register_allocator(self, &a, (void *)(uintptr_t)i);
	}
	return r < 0 ? r : host->register_image_source(self, &source, NULL);
}

void st_rootfs_finish(void)
{
	st_sync_finish();
	st_ready_finish();
	st_disk_watch_finish();
	st_cache_finish();
	free(rootfs.store_dir);
	free(rootfs.disk_dir);
	rootfs.store_dir = rootfs.disk_dir = NULL;
}
