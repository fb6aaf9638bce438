/* SPDX-License-Identifier: MIT */
/* Loading, order, failure and leaving, with every fake plugin. */
#include "world.h"

#include "spec/json.h"

/* `plugins` says so, too. */
static void listed(struct world *w, const char *text)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf out = COW_STRBUF_INIT;

	assert_int_equal(cow_host_list(w->host, &out), 0);
	assert_int_equal(table_json(out.data, false), 0);
	if (!strstr(out.data, text))
		fail_msg("%s is not in %s", text, out.data);
}

static void fails_to_load(struct world *w, const char *name, int code, const char *reason)
{
	struct cow_error err = { 0 };

	assert_int_equal(world_load(w, name, &err), code);
	if (!strstr(err.message, reason))
		fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
	listed(w, reason);
	listed(w, "\"state\":\"failed\"");
	listed(w, "\"abi\":\"\"");
	assert_true(world_heard(w, "plugin.failed"));
	assert_int_equal(cow_host_init_all(w->host, NULL), 0);
}

static void test_wrong_major(void **state)
{
	fails_to_load(*state, "wrong_major", -ENOEXEC, "built for ABI 2.0, the host speaks 1.2");
}

static void test_no_entry(void **state)
{
	fails_to_load(*state, "no_entry", -ENOEXEC, "does not export cowherd_plugin_entry");
}

static void test_null_table(void **state)
{
	fails_to_load(*state, "null_table", -ENOEXEC, "does not work with host ABI 1.2");
}

static void test_bad_name(void **state)
{
	fails_to_load(*state, "bad_name", -EINVAL, "its name is not");
}

static void test_good(void **state)
{
	struct world *w = *state;

	world_start(w, "good");
	listed(w, "\"name\":\"good\",\"version\":\"1\",\"abi\":\"1.2\"");
	listed(w, "\"state\":\"active\"");
	listed(w, "\"verbs\":[\"good\"],\"allocators\":[\"good.file\"],\"backends\":[]");
	listed(w, "\"services\":[\"good.sum\"],\"sections\":[\"good\"]");
	assert_int_equal(cow_host_unload(w->host, "good", NULL), 0);
	assert_true(world_heard(w, "good.fini good"));
	listed(w, "\"state\":\"unloaded\"");
	listed(w, "\"allocators\":[]");
	assert_int_equal(cow_host_unload(w->host, "good", NULL), -ENOENT);
	/* And again. */
	world_start(w, "good");
	assert_non_null(cow_host_allocator(w->host, "good.file"));
}

static void test_short_table(void **state)
{
	struct world *w = *state;

	world_start(w, "short_table");
	/* Its fini lies beyond its size: to call it would abort. */
	assert_int_equal(cow_host_unload(w->host, "short", NULL), 0);
}

static void test_long_table(void **state)
{
	struct world *w = *state;
	struct outcome o;

	world_start(w, "long_table");
	listed(w, "\"abi\":\"1.99\"");
	assert_int_equal(world_acquire(w, "long", "{}", &o, NULL), 0);
	assert_int_equal(o.code, 0);
}

static void test_duplicate(void **state)
{
	struct world *w = *state;
	struct cow_error err = { 0 };

	world_start(w, "good");
	assert_int_equal(world_load(w, "good", &err), -EEXIST);
	assert_non_null(strstr(err.message, "a plugin good is loaded already, from "));
	listed(w, "a plugin good is loaded already");
	assert_non_null(cow_host_allocator(w->host, "good.file"));
}

static void test_init_fails(void **state)
{
	struct world *w = *state;
	const struct cow_hook *const *hooks;
	struct cow_error err = { 0 };

	assert_int_equal(world_load(w, "fails_init", NULL), 0);
	assert_int_equal(world_load(w, "good", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, &err), -EIO);
	assert_non_null(strstr(err.message, "plugin fails: its init failed"));
	listed(w, "its init failed: Input/output error");
	/* Nothing of it is left; its timer would abort. */
	assert_null(cow_host_allocator(w->host, "fails"));
	assert_null(cow_host_verb(w->host, "fails"));
	assert_null(offer_find(w->host, OFFER_SERVICE, "fails"));
	assert_int_equal(cow_host_hooks(w->host, &hooks), 3);
	world_advance(w, 10);
	/* And the other one works. */
	assert_non_null(cow_host_allocator(w->host, "good.file"));
	assert_int_equal(cow_host_unload(w->host, "fails", NULL), -ENOENT);
}

static void test_order(void **state)
{
	struct world *w = *state;
	const char *provider, *user;

	assert_int_equal(world_load(w, "needs_a", NULL), 0);
	assert_int_equal(world_load(w, "provides_a", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, NULL), 0);
	provider = strstr(w->log.data, "a.init provides-a");
	user = strstr(w->log.data, "needs.init needs-a");
	assert_true(provider && user && provider < user);
}

/* All who provide it come first. */
static void test_two_providers(void **state)
{
	struct world *w = *state;
	const char *other, *user;

	assert_int_equal(world_load(w, "provides_a", NULL), 0);
	assert_int_equal(world_load(w, "needs_a", NULL), 0);
	assert_int_equal(world_load(w, "also_a", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, NULL), 0);
	other = strstr(w->log.data, "also.init also-a");
	user = strstr(w->log.data, "needs.init needs-a");
	assert_true(other && user && other < user);
}

static void test_missing(void **state)
{
	struct world *w = *state;
	struct cow_error err = { 0 };

	assert_int_equal(world_load(w, "needs_missing", NULL), 0);
	assert_int_equal(world_load(w, "needs_a", NULL), 0);
	assert_int_equal(world_load(w, "good", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, &err), -ENOENT);
	assert_string_equal(err.message,
			    "plugin missing: it requires \"cap.missing\", which no plugin provides");
	listed(w, "it requires \\\"cap.a\\\", which no plugin provides");
	assert_non_null(cow_host_allocator(w->host, "good.file"));
}

static void test_provider_failed(void **state)
{
	struct world *w = *state;

	assert_int_equal(world_load(w, "needs_fails", NULL), 0);
	assert_int_equal(world_load(w, "fails_init", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, NULL), -EIO);
	listed(w, "it requires \\\"cap.fails\\\", whose provider fails failed");
}

static void test_cycle(void **state)
{
	struct world *w = *state;

	assert_int_equal(world_load(w, "cycle_b", NULL), 0);
	assert_int_equal(world_load(w, "cycle_c", NULL), 0);
	assert_int_equal(world_load(w, "good", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, NULL), -ELOOP);
	listed(w, "it requires \\\"cap.cycle-c\\\" of cycle-c: a cycle of requirements");
	listed(w, "it is in a cycle of requirements");
	assert_non_null(cow_host_allocator(w->host, "good.file"));
}

static void test_directory(void **state)
{
	struct world *w = *state;
	static const char *const names[] = { "needs_a", "good", "provides_a", "bad_name" };
	char path[128], target[PATH_MAX + 32];

	for (size_t i = 0; i < COW_ELEMENTS(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s.so", w->root, names[i]);
		(void)snprintf(target, sizeof(target), "%s/%s.so", w->plugins, names[i]);
		assert_int_equal(symlink(target, path), 0);
	}
	(void)snprintf(path, sizeof(path), "%s/README", w->root);
	assert_int_equal(cow_fs_write_atomic(path, "x", 1, 0600, 0), 0);
	assert_int_equal(cow_host_load_dir(w->host, w->root), 0);
	assert_int_equal(cow_host_init_all(w->host, NULL), 0);
	listed(w, "\"name\":\"bad_name\"");
	assert_non_null(cow_host_allocator(w->host, "good.file"));
	assert_non_null(offer_find(w->host, OFFER_SERVICE, "service.a"));
	assert_int_equal(unlink(path), 0);
	for (size_t i = 0; i < COW_ELEMENTS(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s.so", w->root, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(cow_host_load_dir(w->host, "/nonexistent"), -ENOENT);
}

/* Leaving. */

static void refused(struct world *w, const char *name, const char *reason)
{
	struct cow_error err = { 0 };

	assert_int_equal(cow_host_unload(w->host, name, &err), -EBUSY);
	if (!strstr(err.message, reason))
		fail_msg("\"%s\" does not say \"%s\"", err.message, reason);
}

static void test_busy_fini(void **state)
{
	struct world *w = *state;

	world_start(w, "busy_fini");
	refused(w, "busy", "plugin busy: the kettle is on");
	listed(w, "\"state\":\"active\"");
	/* At the end nobody asks; teardown destroys the host. */
}

static uint32_t two_held(void *arg, const char *allocator, struct cow_strbuf *out)
{
	(void)arg;
	if (strcmp(allocator, "good.file") != 0)
		return 0;
	cow_strbuf_add(out, "web (file-0, file-1)");
	return 2;
}

static void test_resources_live(void **state)
{
	struct world *w = *state;

	world_start(w, "good");
	cow_host_set_events(w->host, &(struct cow_host_events){ .held = two_held }, NULL);
	listed(w, "\"resources\":2");
	refused(w, "good", "plugin good: 2 resources live: web (file-0, file-1)");
	cow_host_set_events(w->host, &(struct cow_host_events){ 0 }, NULL);
	assert_int_equal(cow_host_unload(w->host, "good", NULL), 0);
}

static void test_service_used(void **state)
{
	struct world *w = *state;
	struct probe *probe;

	world_start(w, "good");
	probe = world_probe(w, "probe");
	assert_null(probe->host->lookup(probe->self, "good.sum", 3));
	assert_null(probe->host->lookup(probe->self, "good.product", 1));
	assert_int_equal(cow_host_unload(w->host, "good", NULL), 0);
	world_start(w, "good");
	assert_non_null(probe->host->lookup(probe->self, "good.sum", 2));
	assert_non_null(probe->host->lookup(probe->self, "good.sum", 1));
	refused(w, "good", "its service good.sum is used by plugin probe");
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
	assert_int_equal(cow_host_unload(w->host, "good", NULL), 0);
}

static void test_required(void **state)
{
	struct world *w = *state;

	assert_int_equal(world_load(w, "provides_a", NULL), 0);
	assert_int_equal(world_load(w, "needs_a", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, NULL), 0);
	refused(w, "provides-a", "its service service.a is used by plugin needs-a");
	assert_int_equal(cow_host_unload(w->host, "needs-a", NULL), 0);
	assert_int_equal(cow_host_unload(w->host, "provides-a", NULL), 0);
	/* Who comes back finds its provider gone. */
	assert_int_equal(world_load(w, "needs_a", NULL), 0);
	assert_int_equal(cow_host_init_all(w->host, NULL), -ENOENT);
}

static void test_in_flight(void **state)
{
	struct world *w = *state;
	struct outcome o;
	cow_op op;

	world_start(w, "never");
	assert_int_equal(world_acquire(w, "never", "{}", &o, &op), COW_LATER);
	refused(w, "never", "an operation is in flight");
	world_advance(w, 2000);
	assert_int_equal(o.code, -ETIMEDOUT);
	assert_int_equal(cow_host_unload(w->host, "never", NULL), 0);
}

static void test_absent_name(void **state)
{
	struct world *w = *state;
	struct cow_error err = { 0 };

	assert_int_equal(cow_host_unload(w->host, "nobody", &err), -ENOENT);
	assert_string_equal(err.message, "plugin nobody: not loaded");
}

static struct world *the_world;

static int unloads_itself(char *message, size_t size)
{
	struct cow_error err = { 0 };

	(void)snprintf(message, size, "%d", cow_host_unload(the_world->host, "probe", &err));
	return -EBUSY;
}

static void test_fini_unloads(void **state)
{
	struct world *w = the_world = *state;
	struct probe *probe = world_probe(w, "probe");

	probe->fini = unloads_itself;
	refused(w, "probe", "plugin probe: -2");
	probe->fini = NULL;
}

/* The end: in reverse order of init, and what was in flight is in flight no more. */

static struct probe *the_probe;
static cow_op the_op;
static int answered;

static int tells_its_fini(char *message, size_t size)
{
	const struct cowherd_answer answer = { .size = sizeof(answer) };

	(void)message;
	(void)size;
	the_probe->host->log(the_probe->self, COWHERD_LOG_INFO, NULL, "probe.fini", NULL);
	answered = the_probe->host->answer(the_probe->self, the_op, &answer);
	return 0;
}

static int takes_its_time(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)op;
	(void)request;
	return COWHERD_LATER;
}

static int gives_back(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)op;
	(void)record;
	return 0;
}

static void test_end(void **state)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "slow.thing", .acquire = takes_its_time,
		.release = gives_back,
	};
	struct world *w = *state;
	const char *first, *second;
	struct outcome o;

	the_probe = world_probe(w, "probe");
	the_probe->fini = tells_its_fini;
	assert_int_equal(the_probe->host->register_allocator(the_probe->self, &allocator, NULL), 0);
	world_start(w, "good");
	assert_int_equal(world_acquire(w, "slow.thing", "{}", &o, &the_op), COW_LATER);
	cow_host_destroy(w->host);
	first = strstr(w->log.data, "good.fini");
	second = strstr(w->log.data, "probe.fini");
	assert_true(first && second && first < second);
	assert_int_equal(answered, -ENOENT);
	assert_int_equal(o.calls, 0);
	cow_op_abandon(w->ops, the_op);
	world_host(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_wrong_major),	world_test(test_no_entry),
		world_test(test_null_table),	world_test(test_bad_name),
		world_test(test_good),		world_test(test_short_table),
		world_test(test_long_table),	world_test(test_duplicate),
		world_test(test_init_fails),	world_test(test_order),
		world_test(test_missing),	world_test(test_provider_failed),
		world_test(test_cycle),		world_test(test_directory),
		world_test(test_busy_fini),	world_test(test_resources_live),
		world_test(test_service_used),	world_test(test_required),
		world_test(test_in_flight),	world_test(test_absent_name),
		world_test(test_fini_unloads),	world_test(test_two_providers),
		world_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
