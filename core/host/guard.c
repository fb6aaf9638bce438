/* SPDX-License-Identifier: MIT */
/*
 * Between the core and what a plugin registered: the core calls these guards in place of the plugin's
 * own functions.  They note which operation was given to whom, so that an answer counts only from
 * there, intend() knows whose record it is, and a plugin with work in flight is not unloaded.
 */
#include "base/log.h"
#include "host/internal.h"

#include <errno.h>

/* "0: the host's default" */
#define DEFAULT_DEADLINE_MS 60000u

void guard_enter(struct cow_plugin *plugin)
{
	plugin->depth++;
}

void guard_leave(struct cow_plugin *plugin)
{
	plugin->depth--;
}

/* Operations that the core abandoned stay noted until somebody looks here. */
static void calls_purge(struct cow_host *host)
{
	for (uint32_t i = 0; i < host->calls.cap;) {
		uint64_t op = host->calls.entries[i].key;

		if (op && !cow_op_arg(host->setup.ops, op))
			cow_map_del(&host->calls, op); /* another one may have moved to this place */
		else
			i++;
	}
}

uint32_t guard_in_flight(struct cow_plugin *plugin)
{
	struct cow_map *calls = &plugin->host->calls;
	uint32_t n = 0;

	calls_purge(plugin->host);
	for (uint32_t i = 0; i < calls->cap; i++) {
		const struct cow_offer *offer = calls->entries[i].value;

		n += calls->entries[i].key && offer->plugin == plugin;
	}
	return n;
}

void guard_forget(struct cow_plugin *plugin)
{
	struct cow_map *calls = &plugin->host->calls;

	for (uint32_t i = 0; i < calls->cap;) {
		const struct cow_offer *offer = calls->entries[i].value;

		if (calls->entries[i].key && offer->plugin == plugin)
			cow_map_del(calls, calls->entries[i].key);
		else
			i++;
	}
}

static int call_begin(struct cow_offer *offer, cowherd_op op, enum guard_call call)
{
	struct cow_host *host = offer->plugin->host;
	int rc;

	if (offer->undone)
		return -ENODEV;
	/* Before the table has to grow. */
	if (host->calls.cap && host->calls.count + 1 > host->calls.cap / 4 * 3)
		calls_purge(host);
	rc = op ? cow_map_put(&host->calls, op, offer, call) : 0;
	if (rc == 0)
		guard_enter(offer->plugin);
	return rc;
}

static int call_end(struct cow_offer *offer, cowherd_op op, int rc)
{
	struct cow_host *host = offer->plugin->host;
	struct cow_map *calls = &host->calls;
	struct cow_map_entry *entry = cow_map_get(calls, op);
	enum guard_call call;

	guard_leave(offer->plugin);
	if (rc == COWHERD_LATER || !op)
		return rc;
	if (host->events.answers)
		host->events.answers(host->events_arg, op);
	if (!entry) /* answered before it returned: that answer counts, not this value */
		return COWHERD_LATER;
	call = entry->tag;
	cow_map_del(calls, op);
	if (rc == 0 && (call == CALL_CREATE || call == CALL_ADOPT || call == CALL_EXEC ||
			call == CALL_RESOLVE)) {
		host_log(offer->plugin, COW_LOG_ERROR, "plugin.protocol",
			 call == CALL_RESOLVE ?
				 "an image was resolved without a result" :
				 "an operation that makes a handle was answered without one");
		return -EPROTO;
	}
	if (rc > 0) {
		host_log(offer->plugin, COW_LOG_ERROR, "plugin.protocol",
			 "an operation returned neither 0, a negative errno nor COWHERD_LATER");
		return -EPROTO;
	}
	return rc;
}

/* A call of the plugin's function f, of one member of `theirs`, as operation op. */
#define GUARDED(o, op, call, f, ...)                                  \
	({                                                            \
		struct cow_offer *_o = (o);                           \
		int _rc = call_begin(_o, op, call);                   \
		_rc < 0 ? _rc : call_end(_o, op, f(_o->arg, op, ##__VA_ARGS__)); \
	})

/* A call without answer. */
#define GUARDED_VOID(o, f, ...)                         \
	do {                                            \
		struct cow_plugin *_p = (o)->plugin;    \
		if ((o)->undone)                        \
			break;                          \
		guard_enter(_p);                        \
		f((o)->arg, ##__VA_ARGS__);             \
		guard_leave(_p);                        \
	} while (0)

static int allocator_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_ACQUIRE, o->theirs.allocator.acquire, request);
}

static int allocator_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_RELEASE, o->theirs.allocator.release, record);
}

static void allocator_cancel(void *arg, cowherd_op op)
{
	struct cow_offer *o = arg;

	GUARDED_VOID(o, o->theirs.allocator.cancel, op);
}

void guard_allocator(struct cow_offer *offer)
{
	const struct cowherd_allocator *theirs = &offer->theirs.allocator;
	struct cow_allocator *shown = &offer->shown.allocator;

	*shown = (struct cow_allocator){ .plugin = offer->plugin, .table = *theirs, .arg = offer };
	if (!theirs->acquire_ms)
		shown->table.acquire_ms = DEFAULT_DEADLINE_MS;
	if (!theirs->release_ms)
		shown->table.release_ms = DEFAULT_DEADLINE_MS;
	shown->table.acquire = allocator_acquire;
	shown->table.release = allocator_release;
	shown->table.cancel = theirs->cancel ? allocator_cancel : NULL;
}

static int backend_supports(void *arg, const struct cowherd_request *request)
{
	struct cow_offer *o = arg;
	int liking;

	if (o->undone)
		return 0;
	guard_enter(o->plugin);
	liking = o->theirs.backend.supports(o->arg, request);
	guard_leave(o->plugin);
	return liking;
}

static int backend_create(void *arg, cowherd_op op, const struct cowherd_request *request,
			  const struct cowherd_stdio *stdio)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_CREATE, o->theirs.backend.create, request, stdio);
}

static int backend_start(void *arg, cowherd_op op, uint64_t system)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_PLAIN, o->theirs.backend.start, system);
}

static int backend_exec(void *arg, cowherd_op op, uint64_t system, const char *process,
			const struct cowherd_stdio *stdio)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_EXEC, o->theirs.backend.exec, system, process, stdio);
}

static int backend_signal(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo,
			  uint32_t flags)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_PLAIN, o->theirs.backend.signal, system, process, signo, flags);
}

static int backend_resize(void *arg, cowherd_op op, uint64_t system, uint64_t process,
			  uint16_t height, uint16_t width)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_PLAIN, o->theirs.backend.resize, system, process, height, width);
}

static int backend_pause(void *arg, cowherd_op op, uint64_t system)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_PLAIN, o->theirs.backend.pause, system);
}

static int backend_resume(void *arg, cowherd_op op, uint64_t system)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_PLAIN, o->theirs.backend.resume, system);
}

static int backend_stats(void *arg, cowherd_op op, uint64_t system)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_STATS, o->theirs.backend.stats, system);
}

static int backend_shutdown(void *arg, cowherd_op op, uint64_t system, int signo)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_PLAIN, o->theirs.backend.shutdown, system, signo);
}

static int backend_terminate(void *arg, cowherd_op op, uint64_t system)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_PLAIN, o->theirs.backend.terminate, system);
}

static void backend_close(void *arg, uint64_t system)
{
	struct cow_offer *o = arg;

	cow_map_del(&o->plugin->systems, system);
	GUARDED_VOID(o, o->theirs.backend.close, system);
}

static int backend_adopt(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_ADOPT, o->theirs.backend.adopt, record);
}

static int backend_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_RELEASE, o->theirs.backend.release, record);
}

static void backend_cancel(void *arg, cowherd_op op)
{
	struct cow_offer *o = arg;

	GUARDED_VOID(o, o->theirs.backend.cancel, op);
}

static void backend_deadlines(struct cowherd_backend *t)
{
	if (!t->create_ms)
		t->create_ms = DEFAULT_DEADLINE_MS;
	if (!t->start_ms)
		t->start_ms = DEFAULT_DEADLINE_MS;
	if (!t->release_ms)
		t->release_ms = DEFAULT_DEADLINE_MS;
}

void guard_backend(struct cow_offer *offer)
{
	static const struct cowherd_backend guards = {
		.supports = backend_supports, .create = backend_create, .start = backend_start,
		.exec = backend_exec, .signal = backend_signal, .resize = backend_resize,
		.pause = backend_pause, .resume = backend_resume, .stats = backend_stats,
		.shutdown = backend_shutdown, .terminate = backend_terminate, .close = backend_close,
		.adopt = backend_adopt, .release = backend_release, .cancel = backend_cancel,
	};
	struct cow_backend *shown = &offer->shown.backend;
	struct cowherd_backend *t = &shown->table;

	*shown = (struct cow_backend){ .plugin = offer->plugin, .table = offer->theirs.backend,
				       .arg = offer };
	backend_deadlines(t);
	/* What the plugin left out stays left out. */
#define GUARD(member) (t->member = t->member ? guards.member : NULL)
	GUARD(supports), GUARD(create), GUARD(start), GUARD(exec), GUARD(signal);
	GUARD(resize), GUARD(pause), GUARD(resume), GUARD(stats), GUARD(shutdown);
	GUARD(terminate), GUARD(close), GUARD(adopt), GUARD(release), GUARD(cancel);
#undef GUARD
}

static int hook_call(void *arg, cowherd_op op, const char *container)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_HOOK, o->theirs.hook, container);
}

void guard_hook(struct cow_offer *offer, int hook)
{
	offer->shown.hook = (struct cow_hook){ .plugin = offer->plugin, .hook = hook, .cb = hook_call,
					       .arg = offer };
}

static int verb_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_VERB, o->theirs.verb.call, call);
}

static void verb_cancel(void *arg, cowherd_op op)
{
	struct cow_offer *o = arg;

	GUARDED_VOID(o, o->theirs.verb.cancel, op);
}

void guard_verb(struct cow_offer *offer)
{
	struct cow_verb *shown = &offer->shown.verb;

	*shown = (struct cow_verb){ .plugin = offer->plugin, .table = offer->theirs.verb, .arg = offer };
	shown->table.call = verb_call;
	shown->table.cancel = offer->theirs.verb.cancel ? verb_cancel : NULL;
}

static int image_source_resolve(void *arg, cowherd_op op, const char *reference, const char *platform)
{
	struct cow_offer *o = arg;

	return GUARDED(o, op, CALL_RESOLVE, o->theirs.image_source.resolve, reference, platform);
}

static void image_source_cancel(void *arg, cowherd_op op)
{
	struct cow_offer *o = arg;

	GUARDED_VOID(o, o->theirs.image_source.cancel, op);
}

void guard_image_source(struct cow_offer *offer)
{
	const struct cowherd_image_source *theirs = &offer->theirs.image_source;
	struct cow_image_source *shown = &offer->shown.image_source;

	*shown = (struct cow_image_source){ .plugin = offer->plugin, .table = *theirs,
					    .arg = offer };
	if (!theirs->resolve_ms)
		shown->table.resolve_ms = DEFAULT_DEADLINE_MS;
	shown->table.resolve = image_source_resolve;
	shown->table.cancel = theirs->cancel ? image_source_cancel : NULL;
}
