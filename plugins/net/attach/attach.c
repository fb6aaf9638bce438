/* SPDX-License-Identifier: MIT */
/*
 * The allocator, between the host's loop and the pool.  An acquire reads the request, announces what is
 * about to be taken, and works on the pool.  A release that comes while the acquire of the same container is
 * still under way there asks it to end, and waits for that.
 */
#include "attach/attach.h"

#include "attach/changes.h"
#include "attach/hosting.h"
#include "attach/names.h"
#include "attach/rootless.h"
#include "attach/worker.h"
#include "common/util.h"
#include "model/json.h"

#include <string.h>

/* Something on the pool: an acquire, or a release. */
struct job {
	struct job *next; /* in `acquires`, or in another job's `waiting` */
	cowherd_op op;
	struct net_part part;	    /* of an acquire */
	char *container;
	struct json_object *record; /* of a release */
	struct plug_error warn;	    /* of a release: what was not as its record says */
	struct job *waiting;	    /* releases, until this acquire has ended */
};

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct job *acquires;
} attach;

static void job_free(struct job *job)
{
	net_part_finish(&job->part);
	json_object_put(job->record);
	free(job->container);
	free(job);
}

static void answer(cowherd_op op, int code, const struct plug_error *err)
{
	const char *message = err && err->text[0] ? err->text : NULL;

	(void)attach.host->answer(attach.self, op,
				  &(struct cowherd_answer){ .size = sizeof(struct cowherd_answer),
							    .code = code,
							    .message = code < 0 ? message : NULL });
}

/* ---- release */

static int release_work(void *arg)
{
	struct job *job = arg;

	return net_give(job->record, &job->part.err, &job->warn);
}

static void release_done(void *arg, int result)
{
	struct job *job = arg;
	cowherd_op op = job->op;
	struct plug_error err = job->part.err;

	if (job->warn.code < 0)
		attach.host->log(attach.self, COWHERD_LOG_WARN, job->container, "net.release",
				 job->warn.text);
	job_free(job);
	net_live_tell();
	net_names_settle();
	answer(op, result, &err);
}

static int release_begin(struct job *job)
{
	if (net_hosted_is(job->record))
		return net_hosting_remove(job->record, release_done, job, &job->part.err);
	if (net_json_get(job->record, "run_dir"))
		net_rootless_unguard(json_object_get_string(net_json_get(job->record, "run_dir")));
	return attach.host->offload(attach.self, release_work, release_done, job);
}

static void acquire_stop(struct job *job)
{
	atomic_store(&job->part.stop, true);
	if (job->part.hosted)
		net_hosting_stop(job->part.hosted);
}

static int release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	struct job *job = calloc(1, sizeof(*job));
	int r;

	(void)arg;
	if (!job)
		return -ENOMEM;
	job->op = op;
	job->container = strdup(record->container);
	job->record = json_tokener_parse(record->record);
	for (struct job *a = attach.acquires; a && job->container && job->record; a = a->next) {
		if (strcmp(a->container, job->container) != 0)
			continue;
		acquire_stop(a);
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
	struct job *job = arg;

	return atomic_load(&job->part.stop) ? -ECANCELED : net_take(&job->part);
}

static int files_work(void *arg)
{
	struct job *job = arg;

	return net_take_files(&job->part, false);
}

static void acquire_leave(struct job *job)
{
	struct job **p = &attach.acquires;

	while (*p != job)
		p = &(*p)->next;
	*p = job->next;
	for (struct job *w = job->waiting, *next; w; w = next) {
		next = w->next;
		if (release_begin(w) < 0)
			release_done(w, -ESHUTDOWN);
	}
}

static void acquire_end(struct job *job, int result)
{
	struct plug_error err = job->part.err;
	cowherd_op op = job->op;

	if (result == 0 && job->part.patch)
		result = attach.host->patch_spec(
			attach.self, op,
			json_object_to_json_string_ext(job->part.patch, JSON_C_TO_STRING_PLAIN));
	acquire_leave(job);
	job_free(job);
	net_live_tell();
	answer(op, result, &err);
}

static int intend_hosted(void *arg, const char *record)
{
	struct job *job = arg;

	return attach.host->intend(attach.self, job->op, "hosting", record);
}

static void hosted_done(void *arg, int result)
{
	acquire_end(arg, result);
}

/* The network is there: what is in a hosting system gets its cards now. */
static void acquire_host(struct job *job, int result)
{
	if (result == 0 && job->part.hosted) {
		result = net_hosting_add(job->part.hosted, intend_hosted, hosted_done, job, &job->part.err);
		if (result == 0)
			return;
	}
	acquire_end(job, result);
}

static void files_done(void *arg, int result)
{
	acquire_host(arg, result);
}

static int announce(const struct job *job)
{
	_cleanup_json_ struct json_object *record = net_part_record(&job->part);

	return !record ? -ENOMEM :
			 attach.host->intend(attach.self, job->op, "own",
					     json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN));
}

/* Endpoints that were there stand in the record by their ids now: names may change. */
static int announce_existing(const struct job *job)
{
	for (size_t i = 0; i < job->part.count; i++)
		if (job->part.plan.wants[i].existing)
			return announce(job);
	return 0;
}

static void acquire_done(void *arg, int result)
{
	struct job *job = arg;
	struct plug_error err = { 0 };

	if (geteuid() == 0)
		net_live_watch();
	else if (result == 0 && job->part.plan.mode == NET_PLAN_NETWORKS)
		result = net_rootless_guard(attach.host, attach.self, &job->part, &job->part.err);
	if (result == 0)
		result = announce_existing(job);
	if (result == 0 && net_live_add(&job->part, &err) < 0) {
		/* Names of others are not answered then; those of the world are, by their servers. */
		attach.host->log(attach.self, COWHERD_LOG_WARN, job->container, "net.resolver", err.text);
		result = attach.host->offload(attach.self, files_work, files_done, job);
		if (result == 0)
			return;
	}
	acquire_host(job, result);
}

/* The next one of this network finds its namespace made.  Without root, each makes its own. */
static void prefer(const struct net_plan *p)
{
	if (!p->want_count || p->wants[0].existing || geteuid() != 0)
		return;
	net_pool_resize(net_config()->pool);
	net_pool_prefer(p->wants[0].network);
}

/* Names for all that will be there: from the pool's, or new ones. */
static int decide(struct net_part *part)
{
	const struct net_plan *p = &part->plan;
	int r = 0;

	if (p->mode != NET_PLAN_NETWORKS)
		return 0;
	if (p->want_count && !p->namespace_ref && !p->wants[0].existing)
		part->pooled = net_pool_take(p->wants[0].network);
	if (part->pooled)
		memcpy(part->ns, part->pooled->ns, sizeof(part->ns));
	else if (!p->namespace_ref)
		r = net_id_make(part->ns);
	for (size_t i = 0; r == 0 && i < p->want_count; i++) {
		if (p->wants[i].existing)
			continue;
		if (i == 0 && part->pooled && *part->pooled->endpoint)
			memcpy(part->ids[i], part->pooled->endpoint, sizeof(part->ids[i]));
		else
			r = net_id_make(part->ids[i]);
	}
	prefer(p);
	return r;
}

static int acquire_begin(struct job *job)
{
	int r = decide(&job->part);

	if (r == 0)
		r = announce(job);
	if (r < 0)
		return r;
	r = attach.host->offload(attach.self, acquire_work, acquire_done, job);
	if (r == 0) {
		job->next = attach.acquires;
		attach.acquires = job;
	}
	return r;
}

/* Before anything is taken: the hosting system runs, and somebody here knows it. */
static int find_hosting(struct net_part *part, struct plug_error *err)
{
	const struct net_plan *p = &part->plan;
	int r;

	if (!p->hosting_system || p->workload || p->mode != NET_PLAN_NETWORKS)
		return 0;
	if (geteuid() != 0)
		return plug_error_set(err, -EPERM, "hosting system %s: its networks need root",
				      p->hosting_system);
	r = net_hosting_find(p->hosting_system, p->container, &part->hosted, err);
	if (r == 0)
		part->hosted->sandbox = p->sandbox;
	return r;
}

static int acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	const struct net_plan_defaults defaults = { .network = net_config()->network,
						    .fallback = NET_FALLBACK_NETWORK };
	struct plug_error err = { 0 };
	struct job *job;
	int r;

	(void)arg;
	if (!net_plan_may_want(request, &defaults))
		return 0;
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->op = op;
	r = net_plan_read(request, &defaults, &job->part.plan, &err);
	if (r == 0)
		r = net_changes_apply(&job->part.plan, request->state_dir, &err);
	if (r == 0 && net_config()->tp4_ports)
		r = net_ports_check_tp4((const char *const *)job->part.plan.ports.items,
					job->part.plan.ports.count, &err);
	if (r == 0 && job->part.plan.mode == NET_PLAN_NOTHING) {
		job_free(job);
		return 0;
	}
	if (r == 0)
		r = find_hosting(&job->part, &err);
	if (r == 0) {
		job->container = strdup(request->container);
		job->part.run_dir = strdup(request->run_dir);
		job->part.rootless = net_config()->rootless;
		r = job->container && job->part.run_dir ? acquire_begin(job) : -ENOMEM;
	}
	if (r == 0)
		return COWHERD_LATER;
	job_free(job);
	answer(op, r, &err);
	return COWHERD_LATER;
}

static void cancel(void *arg, cowherd_op op)
{
	(void)arg;
	for (struct job *a = attach.acquires; a; a = a->next)
		if (a->op == op)
			acquire_stop(a);
}

int net_attach_register(const struct cowherd_host *host, struct cowherd_self *self)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator),
		.name = "net.endpoint",
		.phase = COWHERD_PHASE_NETWORK,
		.acquire = acquire,
		.release = release,
		.cancel = cancel,
	};
	int r = net_state_set_up(host->state_dir, host->run_dir);

	attach.host = host;
	attach.self = self;
	attach.acquires = NULL;
	net_live_start(host, self);
	net_hosting_start(host, self);
	if (r == 0)
		r = net_config_register(host, self);
	if (r == 0)
		r = host->register_allocator(self, &allocator, NULL);
	return r;
}

void net_attach_finish(void)
{
	struct net_state *s = net_state_peek();

	net_hosting_finish();
	net_live_finish();
	net_rootless_unguard_all();
	if (s)
		net_pool_drain(s);
	net_worker_stop();
	net_state_close();
	net_config_finish();
}
