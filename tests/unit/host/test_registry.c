/* SPDX-License-Identifier: MIT */
/* What plugins registered, as the core sees it. */
#include "world.h"

static const struct cowherd_host *h;
static struct cowherd_self *s;

static void borrow(struct world *w)
{
	struct probe *probe = world_probe(w, "probe");

	h = probe->host;
	s = probe->self;
}

static int acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)op;
	(void)request;
	return -*(int *)arg;
}

static int release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)op;
	(void)record;
	return -*(int *)arg;
}

static int add_allocator(const char *name, uint32_t phase, int *arg)
{
	const struct cowherd_allocator a = {
		.size = sizeof(a), .name = name, .phase = phase, .acquire = acquire, .release = release,
	};

	return h->register_allocator(s, &a, arg);
}

static void test_phases(void **state)
{
	struct world *w = *state;
	static const char *const sorted[] = { "first.b", "first.a", "then.c", "last" };
	const struct cow_allocator *const *all, *last;
	int arg = 5;

	borrow(w);
	assert_int_equal(add_allocator("then.c", COWHERD_PHASE_STORAGE, &arg), 0);
	assert_int_equal(add_allocator("last", COWHERD_PHASE_COMPUTE, &arg), 0);
	assert_int_equal(add_allocator("first.b", COWHERD_PHASE_IDENTITY, &arg), 0);
	assert_int_equal(add_allocator("first.a", COWHERD_PHASE_IDENTITY, &arg), 0);
	assert_int_equal(add_allocator("first.a", COWHERD_PHASE_IDENTITY, &arg), -EEXIST);
	assert_int_equal(add_allocator("x", COWHERD_PHASE_COMPUTE + 1, &arg), -EINVAL);
	assert_int_equal(add_allocator("X", COWHERD_PHASE_COMPUTE, &arg), -EINVAL);
	assert_int_equal(cow_host_allocators(w->host, &all), 4);
	for (size_t i = 0; i < COW_ELEMENTS(sorted); i++) {
		assert_string_equal(all[i]->table.name, sorted[i]);
		assert_int_equal(all[i]->table.acquire(all[i]->arg, 0, NULL), -5);
		assert_int_equal(all[i]->table.acquire_ms, 60000);
		assert_null(all[i]->table.cancel);
		assert_string_equal(cow_plugin_name(all[i]->plugin), "probe");
	}
	last = cow_host_allocator(w->host, "last");
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
	assert_int_equal(cow_host_allocators(w->host, &all), 0);
	/* A transaction under way may still have it in its row. */
	assert_int_equal(last->table.acquire(last->arg, 0, NULL), -ENODEV);
	assert_null(cow_host_allocator(w->host, "last"));
}

static int supports(void *arg, const struct cowherd_request *request)
{
	(void)request;
	return *(int *)arg;
}

static int create(void *arg, cowherd_op op, const struct cowherd_request *r, const struct cowherd_stdio *io)
{
	(void)arg;
	(void)op;
	(void)r;
	(void)io;
	return -ENOSYS;
}

static int on_system(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	(void)op;
	(void)system;
	return 0;
}

static int on_signal(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo, uint32_t flags)
{
	(void)arg;
	(void)op;
	(void)system;
	(void)process;
	(void)signo;
	(void)flags;
	return 0;
}

static void on_close(void *arg, uint64_t system)
{
	(void)arg;
	(void)system;
}

static int add_backend(const char *name, int *liking)
{
	const struct cowherd_backend b = {
		.size = sizeof(b), .name = name, .start_ms = 7, .supports = supports, .create = create,
		.start = on_system, .signal = on_signal, .terminate = on_system, .close = on_close,
		.release = release,
	};

	return h->register_backend(s, &b, liking);
}

static void test_backends(void **state)
{
	struct world *w = *state;
	const struct cowherd_request request = { .size = sizeof(request) };
	int a = 0, b = 0, c = 5;

	borrow(w);
	assert_null(cow_host_choose_backend(w->host, &request));
	assert_int_equal(add_backend("one", &a), 0);
	assert_int_equal(add_backend("two", &b), 0);
	assert_null(cow_host_choose_backend(w->host, &request));
	a = b = 3;
	assert_ptr_equal(cow_host_choose_backend(w->host, &request), cow_host_backend(w->host, "one"));
	b = 4;
	assert_ptr_equal(cow_host_choose_backend(w->host, &request), cow_host_backend(w->host, "two"));
	a = -1;
	b = -EINVAL;
	assert_null(cow_host_choose_backend(w->host, &request));
	assert_int_equal(cow_host_backend(w->host, "one")->table.start_ms, 7);
	assert_int_equal(cow_host_backend(w->host, "one")->table.create_ms, 60000);
	/* The ledger tells allocators and backends apart by name. */
	assert_int_equal(add_allocator("one", 0, &c), -EEXIST);
	assert_int_equal(add_allocator("three", 0, &c), 0);
	assert_int_equal(add_backend("three", &c), -EEXIST);
}

/* Each guard calls its own function: those of a system answer with their own numbers. */

static int op_1(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	(void)op;
	return -(int)system - 1;
}

static int op_2(void *arg, cowherd_op op, uint64_t system)
{
	return op_1(arg, op, system + 1);
}

static int op_3(void *arg, cowherd_op op, uint64_t system)
{
	return op_1(arg, op, system + 2);
}

static int op_4(void *arg, cowherd_op op, uint64_t system)
{
	return op_1(arg, op, system + 3);
}

static int op_5(void *arg, cowherd_op op, uint64_t system)
{
	return op_1(arg, op, system + 4);
}

static int do_exec(void *arg, cowherd_op op, uint64_t system, const char *process,
		   const struct cowherd_stdio *stdio)
{
	(void)stdio;
	return op_1(arg, op, system + 5 + strlen(process));
}

static int do_signal(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo, uint32_t flags)
{
	return op_1(arg, op, system + process + (uint64_t)signo + flags);
}

static int do_resize(void *arg, cowherd_op op, uint64_t system, uint64_t process, uint16_t height,
		     uint16_t width)
{
	return op_1(arg, op, system + process * height + width);
}

static int do_shutdown(void *arg, cowherd_op op, uint64_t system, int signo)
{
	return op_1(arg, op, system + 50 + (uint64_t)signo);
}

static int do_adopt(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	return op_1(arg, op, 60 + (uint64_t)record->other_boot);
}

static int do_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	return op_1(arg, op, 70 + (uint64_t)record->other_boot);
}

static uint64_t last_told;

static void do_close(void *arg, uint64_t system)
{
	(void)arg;
	last_told = system;
}

static void do_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	last_told = op + 1000;
}

static void test_backend_guards(void **state)
{
	struct world *w = *state;
	int yes = 1;
	const struct cowherd_record record = { .size = sizeof(record), .other_boot = 1 };
	const struct cowherd_backend all = {
		.size = sizeof(all), .name = "all", .supports = supports, .create = create,
		.start = op_1, .exec = do_exec, .signal = do_signal, .resize = do_resize, .pause = op_2,
		.resume = op_3, .stats = op_4, .shutdown = do_shutdown, .terminate = op_5,
		.close = do_close, .adopt = do_adopt, .release = do_release, .cancel = do_cancel,
	};
	const struct cowherd_backend *t;
	void *arg;

	borrow(w);
	assert_int_equal(h->register_backend(s, &all, &yes), 0);
	t = &cow_host_backend(w->host, "all")->table;
	arg = cow_host_backend(w->host, "all")->arg;
	assert_int_equal(t->start(arg, 0, 10), -11);
	assert_int_equal(t->pause(arg, 0, 10), -12);
	assert_int_equal(t->resume(arg, 0, 10), -13);
	assert_int_equal(t->stats(arg, 0, 10), -14);
	assert_int_equal(t->terminate(arg, 0, 10), -15);
	assert_int_equal(t->exec(arg, 0, 10, "{}", NULL), -18);
	assert_int_equal(t->signal(arg, 0, 10, 1, 15, 4), -31);
	assert_int_equal(t->resize(arg, 0, 10, 2, 30, 3), -74);
	assert_int_equal(t->shutdown(arg, 0, 10, 15), -76);
	assert_int_equal(t->adopt(arg, 0, &record), -62);
	assert_int_equal(t->release(arg, 0, &record), -72);
	t->close(arg, 10);
	assert_int_equal(last_told, 10);
	t->cancel(arg, 10);
	assert_int_equal(last_told, 1010);
}

static void test_backend_members(void **state)
{
	struct world *w = *state;
	struct cowherd_backend b = {
		.size = sizeof(b), .name = "b", .supports = supports, .create = create,
		.start = on_system, .signal = on_signal, .terminate = on_system, .close = on_close,
	};

	borrow(w);
	assert_int_equal(h->register_backend(s, &b, NULL), -EINVAL);
	b.release = release;
	b.size = offsetof(struct cowherd_backend, release);
	assert_int_equal(h->register_backend(s, &b, NULL), -EINVAL);
	b.size = offsetof(struct cowherd_backend, cancel);
	assert_int_equal(h->register_backend(s, &b, NULL), 0);
	assert_null(cow_host_backend(w->host, "b")->table.cancel);
	assert_int_equal(h->register_backend(s, NULL, NULL), -EINVAL);
}

static void test_hooks(void **state)
{
	struct world *w = *state;
	const struct cow_hook *const *hooks;
	struct outcome o;
	cow_op op;

	world_start(w, "good");
	borrow(w);
	assert_int_equal(h->register_hook(s, 3, NULL, NULL), -EINVAL);
	assert_int_equal(h->register_hook(s, 0, NULL, NULL), -EINVAL);
	assert_int_equal(cow_host_hooks(w->host, &hooks), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(hooks[i]->hook, i);
		op = world_op(w, 0, &o);
		assert_int_equal(world_settle(w, op, hooks[i]->cb(hooks[i]->arg, op,
								  i < 2 ? "c1" : NULL)), 0);
	}
	assert_true(world_heard(w, "good.stopped good c1: hook\ngood.deleted good c1: hook\n"
				   "good.shutdown good -: hook\n"));
	/* An operation without anybody behind it. */
	assert_int_equal(hooks[0]->cb(hooks[0]->arg, 0, "c2"), 0);
}

static void test_verbs(void **state)
{
	struct world *w = *state;
	const struct cowherd_call call = { .size = sizeof(call), .args = "[\"hello\"]", .cwd = "/",
					   .in = -1, .out = -1, .err = -1 };
	const struct cow_verb *const *verbs;
	const struct cow_verb *verb;
	struct outcome o;
	cow_op op;

	world_start(w, "good");
	assert_int_equal(cow_host_verbs(w->host, &verbs), 1);
	verb = cow_host_verb(w->host, "good");
	assert_ptr_equal(verb, verbs[0]);
	assert_string_equal(verb->table.usage, "good WORD...");
	assert_null(cow_host_verb(w->host, "bad"));
	op = world_op(w, 0, &o);
	assert_int_equal(verb->table.call(verb->arg, op, &call), COW_LATER);
	assert_string_equal(o.result, "[\"hello\"]");
	assert_null(verb->table.cancel);
}

static void test_config(void **state)
{
	struct world *w = *state;
	struct cow_error err = { 0 };

	world_start(w, "good");
	assert_int_equal(cow_host_config_check(w->host, "good", "{\"n\":1}", &err), 0);
	assert_int_equal(cow_host_config_check(w->host, "good", "{}", &err), -EINVAL);
	assert_string_equal(err.message, "/n: is required");
	assert_false(world_heard(w, "good.apply"));
	assert_int_equal(cow_host_config_apply(w->host, "good", "{\"n\":1}", &err), 0);
	assert_true(world_heard(w, "good.apply good -: {\"n\":1}"));
	memset(&err, 0, sizeof(err));
	assert_int_equal(cow_host_config_check(w->host, "other", "{}", &err), -ENOENT);
	assert_string_equal(err.message, "no plugin has a section \"other\"");
	assert_int_equal(cow_host_config_apply(w->host, "other", "{}", NULL), -ENOENT);
}

static int silent_check(void *arg, const char *json, char *message, size_t size)
{
	(void)arg;
	(void)json;
	memset(message, 'x', size); /* not even an end */
	return 1;
}

static int failing_apply(void *arg, const char *json)
{
	(void)arg;
	(void)json;
	return 2;
}

static void test_config_misbehaves(void **state)
{
	struct world *w = *state;
	struct cowherd_config_section section = { .size = sizeof(section), .name = "s",
						  .check = silent_check };
	struct cow_error err = { 0 };

	borrow(w);
	assert_int_equal(h->register_config(s, &section, NULL), -EINVAL);
	section.apply = failing_apply;
	assert_int_equal(h->register_config(s, &section, NULL), 0);
	assert_int_equal(h->register_config(s, &section, NULL), -EEXIST);
	assert_int_equal(cow_host_config_check(w->host, "s", "{}", &err), -EINVAL);
	assert_int_equal(strlen(err.message), 511);
	memset(&err, 0, sizeof(err));
	assert_int_equal(cow_host_config_apply(w->host, "s", "{}", &err), -EPROTO);
	assert_non_null(strstr(err.message, "plugin probe: its section \"s\""));
}

static void test_services(void **state)
{
	struct world *w = *state;
	int table;

	borrow(w);
	assert_int_equal(h->provide(s, "x.y", 3, NULL), -EINVAL);
	assert_int_equal(h->provide(s, "X", 3, &table), -EINVAL);
	assert_int_equal(h->provide(s, "x.y", 3, &table), 0);
	assert_int_equal(h->provide(s, "x.y", 4, &table), -EEXIST);
	assert_ptr_equal(h->lookup(s, "x.y", 3), &table);
	assert_ptr_equal(h->lookup(s, "x.y", 0), &table);
	assert_null(h->lookup(s, "x.y", 4));
	assert_null(h->lookup(s, NULL, 0));
	/* One's own service does not keep oneself. */
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_phases),	  world_test(test_backends),
		world_test(test_backend_guards), world_test(test_backend_members), world_test(test_hooks),
		world_test(test_verbs),		  world_test(test_config),
		world_test(test_config_misbehaves), world_test(test_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
