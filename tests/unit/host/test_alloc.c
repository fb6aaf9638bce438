/* SPDX-License-Identifier: MIT */
/* Every allocation fails once: what comes back is -ENOMEM, and nothing is left or half registered. */
#include "world.h"
#include "tests/alloc_fail.h"

#include <fcntl.h>

static void test_create(void **state)
{
	struct world *w = *state;

	alloc_fail_each(n) {
		const struct cow_host_setup setup = {
			.loop = &w->loop, .timers = &w->timers, .ops = w->ops, .run_root = w->root,
			.state_root = w->root, .libexec_dir = "/nowhere",
		};
		struct cow_host *host = NULL;
		int rc = cow_host_create(&setup, &host, NULL);

		(void)alloc_fail_stop();
		assert_true(rc == (host ? 0 : -ENOMEM));
		cow_host_destroy(host);
	}
}

/* A plugin with one of each, from the file to its end. */
static void test_life(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = cow_asprintf("%s/good.so", w->plugins);

	alloc_fail_each(n) {
		struct cow_strbuf list = COW_STRBUF_INIT;
		struct cow_error err = { 0 };
		int rc = cow_host_load(w->host, path, &err), listed;
		bool failed;

		if (rc == 0)
			rc = cow_host_init_all(w->host, &err);
		listed = cow_host_list(w->host, &list);
		if (rc == 0)
			rc = cow_host_unload(w->host, "good", &err);
		failed = alloc_fail_stop();
		assert_true(rc == 0 || rc == -ENOMEM);
		/* What cannot be described for lack of memory is no failure of the plugin. */
		if (!failed)
			assert_true(rc == 0 && listed == 0);
		assert_null(cow_host_allocator(w->host, "good.file"));
		assert_null(cow_host_verb(w->host, "good"));
		cow_strbuf_finish(&list);
		cow_host_destroy(w->host);
		world_host(w);
	}
}

static void test_directory(void **state)
{
	struct world *w = *state;
	char path[128], target[PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/good.so", w->root);
	(void)snprintf(target, sizeof(target), "%s/good.so", w->plugins);
	assert_int_equal(symlink(target, path), 0);
	alloc_fail_each(n) {
		int rc = cow_host_load_dir(w->host, w->root);

		(void)alloc_fail_stop();
		assert_true(rc == 0 || rc == -ENOMEM);
		cow_host_destroy(w->host);
		world_host(w);
	}
	assert_int_equal(unlink(path), 0);
}

static int later(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)op;
	(void)request;
	return COWHERD_LATER;
}

static int release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)op;
	(void)record;
	return 0;
}

static void nothing_cb(void *arg)
{
	(void)arg;
}

static void nothing_fd_cb(void *arg, int fd, uint32_t events)
{
	(void)arg;
	(void)fd;
	(void)events;
}

static int nothing_work(void *arg)
{
	(void)arg;
	return 0;
}

/* What a plugin calls. */
static int calls(struct world *w, const struct probe *p, int fd, struct outcome *o, cow_op *op)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "thing", .acquire = later, .release = release,
	};
	const struct cowherd_answer answer = { .size = sizeof(answer) };
	const struct cowherd_request request = { .size = sizeof(request), .spec = "{}" };
	const struct cow_allocator *a;
	uint64_t id;
	int rc = p->host->register_allocator(p->self, &allocator, NULL);

	if (rc < 0)
		return rc;
	a = cow_host_allocator(w->host, "thing");
	rc = cow_op_open(w->ops, 0, outcome_cb, o, op);
	if (rc == 0) {
		rc = a->table.acquire(a->arg, *op, &request);
		rc = rc == COW_LATER ? 0 : rc;
	}
	if (rc == 0)
		rc = p->host->intend(p->self, *op, "k", "{}");
	if (rc == 0)
		rc = p->host->timer_start(p->self, 5, 5, nothing_cb, NULL, &id);
	if (rc == 0)
		rc = p->host->watch_fd(p->self, fd, COWHERD_FD_READ, nothing_fd_cb, NULL, &id);
	if (rc == 0)
		rc = p->host->offload(p->self, nothing_work, NULL, NULL);
	if (rc == 0)
		rc = p->host->lookup(p->self, "probe.host", 1) ? 0 : -ENOMEM;
	return rc == 0 ? p->host->answer(p->self, *op, &answer) : rc;
}

static void test_calls(void **state)
{
	struct world *w = *state;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	for (unsigned n = 1, more = 1; more; n++) {
		struct probe *probe = world_probe(w, "probe");
		struct outcome o = { 0 };
		cow_op op = 0;
		int rc;

		alloc_fail_arm(n);
		rc = calls(w, probe, ends[0], &o, &op);
		more = alloc_fail_stop();
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_int_equal(o.calls, rc == 0);
		cow_op_abandon(w->ops, op);
		cow_host_destroy(w->host);
		world_host(w);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_create),
		world_test(test_life),
		world_test(test_directory),
		world_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
