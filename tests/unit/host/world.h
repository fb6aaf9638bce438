/* SPDX-License-Identifier: MIT */
/* A host on a real loop with virtual time, for the tests of this directory. */
#ifndef TESTS_UNIT_HOST_WORLD_H
#define TESTS_UNIT_HOST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "host/internal.h"
#include "tests/plugins/probe.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct world {
	uv_loop_t loop;
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_host *host;
	char root[64], plugins[PATH_MAX];
	struct cow_strbuf log; /* "event plugin container: msg\n" */
};

/* How an operation ended. */
struct outcome {
	unsigned calls;
	int code, fd;
	bool payload;
	uint64_t handle;
	char message[256], result[256];
};

__attribute__((unused)) static void world_hear(void *arg, const struct cow_log_line *line)
{
	struct world *w = arg;

	cow_strbuf_addf(&w->log, "%s %s %s: %s\n", line->event, line->plugin ? line->plugin : "-",
			line->container ? line->container : "-", line->msg ? line->msg : "");
}

__attribute__((unused)) static bool world_heard(struct world *w, const char *text)
{
	return w->log.data && strstr(w->log.data, text);
}

__attribute__((unused)) static void world_forget_log(struct world *w)
{
	cow_strbuf_finish(&w->log);
}

__attribute__((unused)) static void world_find_plugins(char out[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 32);
	char *slash;

	assert_true(n > 0);
	out[n] = '\0';
	slash = strrchr(out, '/');
	*slash = '\0';
	slash = strrchr(out, '/');
	(void)strcpy(slash, "/tests/plugins");
}

__attribute__((unused)) static void world_host(struct world *w)
{
	const struct cow_host_setup setup = {
		.loop = &w->loop, .timers = &w->timers, .ops = w->ops, .run_root = w->root,
		.state_root = w->root, .libexec_dir = "/nowhere",
	};

	assert_int_equal(cow_host_create(&setup, &w->host, NULL), 0);
}

__attribute__((unused)) static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)strcpy(w->root, "/tmp/cow-host-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	world_find_plugins(w->plugins);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	cow_timers_init(&w->timers, 1000);
	w->ops = cow_ops_create(&w->timers);
	assert_non_null(w->ops);
	cow_log_setup(-1, COW_LOG_DEBUG, false);
	cow_log_tap(world_hear, w);
	world_host(w);
	*state = w;
	return 0;
}

/* Also what every test proves: libuv has nothing left, no operation is open, no file remains. */
__attribute__((unused)) static int world_teardown(void **state)
{
	struct world *w = *state;

	cow_host_destroy(w->host);
	assert_int_equal(cow_ops_count(w->ops), 0);
	assert_true(cow_timers_next(&w->timers) == UINT64_MAX);
	cow_ops_destroy(w->ops);
	cow_timers_finish(&w->timers);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	cow_log_tap(NULL, NULL);
	cow_strbuf_finish(&w->log);
	assert_int_equal(rmdir(w->root), 0);
	free(w);
	return 0;
}

__attribute__((unused)) static int world_load(struct world *w, const char *name, struct cow_error *err)
{
	_cleanup_free_ char *path = cow_asprintf("%s/%s.so", w->plugins, name);

	return cow_host_load(w->host, path, err);
}

/* Load and start, both to succeed. */
__attribute__((unused)) static void world_start(struct world *w, const char *name)
{
	struct cow_error err = { 0 };
	int rc = world_load(w, name, &err);

	if (rc == 0)
		rc = cow_host_init_all(w->host, &err);
	if (rc < 0)
		fail_msg("%s: %s", name, err.message);
}

__attribute__((unused)) static void world_turn(struct world *w)
{
	(void)uv_run(&w->loop, UV_RUN_NOWAIT);
}

__attribute__((unused)) static void world_advance(struct world *w, uint64_t ms)
{
	cow_timers_advance(&w->timers, w->timers.now_ms + ms);
	world_turn(w);
}

/* Turn the loop (in real time) until *done, which something on another thread brings about. */
__attribute__((unused)) static void world_until(struct world *w, const unsigned *done)
{
	while (!*done)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
}

__attribute__((unused)) static void outcome_cb(void *arg, cow_op op, const struct cow_answer *answer)
{
	struct outcome *o = arg;
	const struct cowherd_answer *payload = answer->payload;

	(void)op;
	o->calls++;
	o->code = answer->code;
	(void)snprintf(o->message, sizeof(o->message), "%s", answer->message ? answer->message : "");
	o->payload = payload != NULL;
	o->handle = payload ? payload->handle : 0;
	(void)snprintf(o->result, sizeof(o->result), "%s",
		       payload && payload->result ? payload->result : "");
	o->fd = -1;
}

__attribute__((unused)) static cow_op world_op(struct world *w, uint32_t deadline_ms, struct outcome *o)
{
	cow_op op;

	*o = (struct outcome){ .fd = -1 };
	assert_int_equal(cow_op_open(w->ops, deadline_ms, outcome_cb, o, &op), 0);
	return op;
}

/* What the engine does with a returned value. */
__attribute__((unused)) static int world_settle(struct world *w, cow_op op, int rc)
{
	if (rc != COW_LATER)
		assert_int_equal(cow_ops_answer(w->ops, op, &(struct cow_answer){ .code = rc }), 0);
	return rc;
}

__attribute__((unused)) static int world_acquire(struct world *w, const char *allocator, const char *spec,
						 struct outcome *o, cow_op *ret_op)
{
	const struct cow_allocator *a = cow_host_allocator(w->host, allocator);
	const struct cowherd_request request = {
		.size = sizeof(request), .container = "c1", .name = "c1", .owner = "test", .txn = "t",
		.bundle = w->root, .spec = spec, .options = "{}", .run_dir = w->root,
		.state_dir = w->root,
	};
	cow_op op;

	assert_non_null(a);
	op = world_op(w, a->table.acquire_ms, o);
	if (ret_op)
		*ret_op = op;
	return world_settle(w, op, a->table.acquire(a->arg, op, &request));
}

__attribute__((unused)) static int world_release(struct world *w, const char *allocator,
						 const char *record, struct outcome *o, cow_op *ret_op)
{
	const struct cow_allocator *a = cow_host_allocator(w->host, allocator);
	const struct cowherd_record r = {
		.size = sizeof(r), .container = "c1", .key = "k", .record = record,
	};
	cow_op op;

	assert_non_null(a);
	op = world_op(w, a->table.release_ms, o);
	if (ret_op)
		*ret_op = op;
	return world_settle(w, op, a->table.release(a->arg, op, &r));
}

/* The identity that a probe plugin lends; loads it. */
__attribute__((unused)) static struct probe *world_probe(struct world *w, const char *name)
{
	char service[32];
	struct cow_offer *offer;
	struct probe *probe;

	world_start(w, name);
	(void)snprintf(service, sizeof(service), "%s.host", name);
	offer = offer_find(w->host, OFFER_SERVICE, service);
	assert_non_null(offer);
	probe = (struct probe *)(uintptr_t)offer->shown.service.table;
	probe->fini = NULL;
	return probe;
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
