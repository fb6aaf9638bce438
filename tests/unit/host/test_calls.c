/* SPDX-License-Identifier: MIT */
/* The host function table: answers, the ledger, facts; what may not be believed is not. */
#include "world.h"

#include <fcntl.h>
#include <pthread.h>

/* What the events were told, and what they say. */
static struct {
	unsigned calls;
	int rc;
	cow_op op;
	uint64_t system, process;
	struct cowherd_exit exit;
	char text[512];
} told;

static int hear_intend(void *arg, cow_op op, const char *allocator, const char *key, const char *record)
{
	(void)arg;
	told.calls++;
	told.op = op;
	(void)snprintf(told.text, sizeof(told.text), "%s|%s|%s", allocator, key, record);
	return told.rc;
}

static int hear_forget(void *arg, cow_op op, const char *allocator, const char *key)
{
	(void)arg;
	(void)op;
	told.calls++;
	(void)snprintf(told.text, sizeof(told.text), "%s|%s", allocator, key);
	return told.rc;
}

static int hear_json(void *arg, cow_op op, const char *json)
{
	(void)arg;
	(void)op;
	told.calls++;
	(void)snprintf(told.text, sizeof(told.text), "%s", json);
	return told.rc;
}

static void hear_exited(void *arg, const char *backend, uint64_t system, uint64_t process,
			const struct cowherd_exit *status)
{
	(void)arg;
	told.calls++;
	told.system = system;
	told.process = process;
	told.exit = *status;
	(void)snprintf(told.text, sizeof(told.text), "%s|%s", backend,
		       status->reason ? status->reason : "");
}

static void hear_notice(void *arg, const char *backend, uint64_t system, const char *event,
			const char *detail)
{
	(void)arg;
	told.calls++;
	told.system = system;
	(void)snprintf(told.text, sizeof(told.text), "%s|%s|%s", backend, event, detail ? detail : "");
}

static const struct cow_host_events hear = {
	.intend = hear_intend, .forget = hear_forget, .patch_spec = hear_json, .progress = hear_json,
	.exited = hear_exited, .notice = hear_notice,
};

/* A probe with one of each, whose functions do what the test sets. */
static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	int returns;                          /* of every operation */
	const struct cowherd_answer *answers; /* before it returns; NULL: not */
	int answered;                         /* what that gave */
	cow_op op;                            /* the last one given */
} probe;

static int probe_op(cowherd_op op)
{
	probe.op = op;
	if (probe.answers)
		probe.answered = probe.host->answer(probe.self, op, probe.answers);
	return probe.returns;
}

static int probe_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)request;
	return probe_op(op);
}

static int probe_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)record;
	return probe_op(op);
}

static int probe_supports(void *arg, const struct cowherd_request *request)
{
	(void)arg;
	(void)request;
	return 1;
}

static int probe_create(void *arg, cowherd_op op, const struct cowherd_request *request,
			const struct cowherd_stdio *stdio)
{
	(void)arg;
	(void)request;
	(void)stdio;
	return probe_op(op);
}

static int probe_system(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	(void)system;
	return probe_op(op);
}

static int probe_exec(void *arg, cowherd_op op, uint64_t system, const char *process,
		      const struct cowherd_stdio *stdio)
{
	(void)arg;
	(void)system;
	(void)process;
	(void)stdio;
	return probe_op(op);
}

static int probe_signal(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo,
			uint32_t flags)
{
	(void)arg;
	(void)system;
	(void)process;
	(void)signo;
	(void)flags;
	return probe_op(op);
}

static void probe_close(void *arg, uint64_t system)
{
	(void)arg;
	(void)system;
}

static void probe_setup(struct world *w)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "probe.thing", .acquire = probe_acquire,
		.release = probe_release,
	};
	static const struct cowherd_backend backend = {
		.size = sizeof(backend), .name = "probe", .supports = probe_supports,
		.create = probe_create, .start = probe_system, .exec = probe_exec,
		.signal = probe_signal, .stats = probe_system, .terminate = probe_system,
		.close = probe_close, .release = probe_release,
	};
	struct probe *lent = world_probe(w, "probe");

	memset(&probe, 0, sizeof(probe));
	memset(&told, 0, sizeof(told));
	probe.host = lent->host;
	probe.self = lent->self;
	probe.returns = COWHERD_LATER;
	assert_int_equal(probe.host->register_allocator(probe.self, &allocator, NULL), 0);
	assert_int_equal(probe.host->register_backend(probe.self, &backend, NULL), 0);
	cow_host_set_events(w->host, &hear, NULL);
}

static int probe_answer(cow_op op, const struct cowherd_answer *answer)
{
	return probe.host->answer(probe.self, op, answer);
}

static const struct cowherd_answer fine = { .size = sizeof(fine) };

/* One call of the backend's create; the outcome in *o. */
static void create(struct world *w, struct outcome *o)
{
	const struct cow_backend *b = cow_host_backend(w->host, "probe");
	const struct cowherd_request request = { .size = sizeof(request), .spec = "{}" };
	cow_op op = world_op(w, b->table.create_ms, o);

	(void)world_settle(w, op, b->table.create(b->arg, op, &request, NULL));
}

static void test_returns(void **state)
{
	struct world *w = *state;
	struct outcome o;

	probe_setup(w);
	probe.returns = 0;
	assert_int_equal(world_acquire(w, "probe.thing", "{}", &o, NULL), 0);
	assert_false(o.payload);
	probe.returns = -EDOM;
	assert_int_equal(world_acquire(w, "probe.thing", "{}", &o, NULL), -EDOM);
	/* Neither one thing nor the other. */
	probe.returns = 7;
	assert_int_equal(world_acquire(w, "probe.thing", "{}", &o, NULL), -EPROTO);
	assert_true(world_heard(w, "plugin.protocol probe"));
	/* create without a handle */
	probe.returns = 0;
	create(w, &o);
	assert_int_equal(o.code, -EPROTO);
}

static void test_answers(void **state)
{
	struct world *w = *state;
	struct cowherd_answer a = fine;
	struct outcome o;
	cow_op op;

	probe_setup(w);
	assert_int_equal(world_acquire(w, "probe.thing", "{}", &o, &op), COW_LATER);
	assert_int_equal(o.calls, 0);
	assert_int_equal(probe_answer(op, NULL), -EINVAL);
	a.code = -EXDEV;
	assert_int_equal(probe_answer(op, &a), 0);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.code, -EXDEV);
	assert_string_equal(o.message, cow_errno_text(-EXDEV));
	assert_int_equal(probe_answer(op, &a), -ENOENT);
	assert_int_equal(o.calls, 1);
	/* Before it returns; what it returns then does not count. */
	a.message = "thing: across";
	probe.answers = &a;
	probe.returns = -EIO;
	assert_int_equal(world_acquire(w, "probe.thing", "{}", &o, NULL), COW_LATER);
	assert_int_equal(o.code, -EXDEV);
	assert_string_equal(o.message, "thing: across");
	a.code = 3;
	(void)world_acquire(w, "probe.thing", "{}", &o, NULL);
	assert_int_equal(o.code, -EPROTO);
	assert_int_equal(probe_answer(0, &fine), -ENOENT);
}

static void test_foreign(void **state)
{
	struct world *w = *state;
	struct outcome o;
	struct probe *other;
	cow_op op;

	probe_setup(w);
	other = world_probe(w, "probe2");
	assert_int_equal(world_acquire(w, "probe.thing", "{}", &o, &op), COW_LATER);
	assert_int_equal(other->host->answer(other->self, op, &fine), -ENOENT);
	assert_int_equal(other->host->intend(other->self, op, "k", "{}"), -ENOENT);
	assert_int_equal(o.calls, 0);
	assert_int_equal(probe_answer(op, &fine), 0);
	/* An operation of the core's own is nobody's. */
	op = world_op(w, 0, &o);
	assert_int_equal(probe_answer(op, &fine), -ENOENT);
	cow_op_abandon(w->ops, op);
}

static void test_abandoned(void **state)
{
	struct world *w = *state;
	struct cow_plugin *plugin;
	struct outcome o;
	cow_op op = 0;

	probe_setup(w);
	plugin = (struct cow_plugin *)probe.self;
	/* More than the table of calls holds: the stale ones make room. */
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(world_acquire(w, "probe.thing", "{}", &o, &op), COW_LATER);
		cow_op_abandon(w->ops, op);
	}
	assert_true(w->host->calls.cap <= 32);
	assert_int_equal(probe_answer(op, &fine), -ENOENT);
	assert_int_equal(guard_in_flight(plugin), 0);
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
}

static int open_pipe(int ends[2])
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	return ends[1];
}

static void assert_closed(int fd)
{
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void take_fd(void *arg, cow_op op, const struct cow_answer *answer)
{
	struct outcome *o = arg;

	outcome_cb(arg, op, answer);
	o->fd = cow_host_take_fd(answer);
	assert_int_equal(cow_host_take_fd(answer), -1);
}

static void test_descriptor(void **state)
{
	struct world *w = *state;
	const struct cow_backend *b;
	struct cowherd_answer a = { .size = sizeof(a), .handle = 5 };
	struct outcome o = { 0 };
	int ends[2];
	cow_op op;

	probe_setup(w);
	b = cow_host_backend(w->host, "probe");
	/* Taken. */
	a.fd = open_pipe(ends);
	assert_int_equal(cow_op_open(w->ops, 0, take_fd, &o, &op), 0);
	assert_int_equal(b->table.exec(b->arg, op, 1, "{}", NULL), COW_LATER);
	assert_int_equal(probe_answer(op, &a), 0);
	assert_int_equal(o.fd, ends[1]);
	assert_true(fcntl(ends[1], F_GETFD) >= 0);
	/* Wanted by nobody any more. */
	assert_int_equal(probe_answer(op, &a), -ENOENT);
	assert_closed(ends[1]);
	(void)close(ends[0]);
	/* Not taken. */
	a.fd = open_pipe(ends);
	create(w, &o);
	assert_int_equal(probe_answer(probe.op, &a), 0);
	assert_closed(ends[1]);
	(void)close(ends[0]);
	/* 0 is none. */
	assert_int_equal(cow_op_open(w->ops, 0, take_fd, &o, &op), 0);
	assert_int_equal(b->table.start(b->arg, op, 5), COW_LATER);
	assert_int_equal(probe_answer(op, &fine), 0);
	assert_int_equal(o.fd, -1);
	b->table.close(b->arg, 5);
}

static void test_ledger(void **state)
{
	struct world *w = *state;
	char key[300];
	struct outcome o;
	cow_op op;

	probe_setup(w);
	(void)world_acquire(w, "probe.thing", "{}", &o, &op);
	assert_int_equal(probe.host->intend(probe.self, op, "k", "{\"a\":1}"), 0);
	assert_string_equal(told.text, "probe.thing|k|{\"a\":1}");
	assert_true(told.op == op);
	told.rc = -ENOSPC;
	assert_int_equal(probe.host->intend(probe.self, op, "k", "{}"), -ENOSPC);
	assert_int_equal(probe.host->forget(probe.self, op, "k"), -ENOSPC);
	assert_string_equal(told.text, "probe.thing|k");
	told.rc = 0;
	told.calls = 0;
	memset(key, 'k', sizeof(key));
	key[256] = '\0';
	assert_int_equal(probe.host->intend(probe.self, op, key, "{}"), -EINVAL);
	assert_int_equal(probe.host->intend(probe.self, op, "", "{}"), -EINVAL);
	assert_int_equal(probe.host->intend(probe.self, op, NULL, "{}"), -EINVAL);
	assert_int_equal(probe.host->forget(probe.self, op, NULL), -EINVAL);
	assert_int_equal(probe.host->intend(probe.self, op, "k", "{\"a\":"), -EBADMSG);
	assert_int_equal(probe.host->intend(probe.self, op, "k", NULL), -EINVAL);
	assert_int_equal(probe.host->patch_spec(probe.self, op, "[]"), -EBADMSG);
	assert_int_equal(probe.host->patch_spec(probe.self, op, "{"), -EBADMSG);
	assert_int_equal(probe.host->progress(probe.self, op, "x"), -EBADMSG);
	assert_int_equal(told.calls, 0);
	assert_int_equal(probe.host->patch_spec(probe.self, op, "{\"hostname\":\"h\"}"), 0);
	assert_string_equal(told.text, "{\"hostname\":\"h\"}");
	assert_int_equal(probe.host->progress(probe.self, op, "50"), 0);
	assert_int_equal(told.calls, 2);
	assert_int_equal(probe_answer(op, &fine), 0);
	/* Too late for any of it. */
	assert_int_equal(probe.host->intend(probe.self, op, "k", "{}"), -ENOENT);
	assert_int_equal(probe.host->patch_spec(probe.self, op, "{}"), -ENOENT);
	assert_int_equal(told.calls, 2);
}

static void test_fake_host(void **state)
{
	struct world *w = *state;
	struct outcome o;
	cow_op op;

	probe_setup(w);
	cow_host_set_events(w->host, &(struct cow_host_events){ 0 }, NULL);
	(void)world_acquire(w, "probe.thing", "{}", &o, &op);
	assert_int_equal(probe.host->intend(probe.self, op, "k", "{}"), 0);
	assert_int_equal(probe.host->forget(probe.self, op, "k"), 0);
	assert_int_equal(probe.host->patch_spec(probe.self, op, "{}"), 0);
	assert_int_equal(probe.host->progress(probe.self, op, "{}"), 0);
	assert_int_equal(probe_answer(op, &fine), 0);
}

static void test_stats(void **state)
{
	struct world *w = *state;
	const struct cow_backend *b;
	struct cowherd_answer a = fine;
	struct outcome o;
	cow_op op;

	probe_setup(w);
	b = cow_host_backend(w->host, "probe");
	assert_null(b->table.pause);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const results[] = { "{\"pids\":1}", "{", NULL };

		op = world_op(w, 0, &o);
		assert_int_equal(b->table.stats(b->arg, op, 1), COW_LATER);
		a.result = results[i];
		assert_int_equal(probe_answer(op, &a), 0);
		assert_int_equal(o.code, i == 0 ? 0 : -EPROTO);
		assert_string_equal(o.result, i == 0 ? results[0] : "");
	}
}

static void test_facts(void **state)
{
	struct world *w = *state;
	const struct cow_backend *b;
	struct cowherd_answer a = { .size = sizeof(a), .handle = 9, .pid = 77, .fd = -1 };
	struct cowherd_exit end = { .size = sizeof(end), .code = 3, .time_ns = 5 };
	struct outcome o;

	probe_setup(w);
	b = cow_host_backend(w->host, "probe");
	create(w, &o);
	/* Of a system that nobody was told of yet. */
	probe.host->exited(probe.self, 9, 0, &end);
	probe.host->notice(probe.self, 9, "oom", NULL);
	assert_int_equal(told.calls, 0);
	assert_true(world_heard(w, "a fact about a compute system that is not open was dropped"));
	assert_int_equal(probe_answer(probe.op, &a), 0);
	assert_int_equal(o.handle, 9);
	probe.host->exited(probe.self, 9, 4, &end);
	assert_int_equal(told.calls, 1);
	assert_true(told.system == 9 && told.process == 4 && told.exit.code == 3);
	assert_string_equal(told.text, "probe|");
	end.code = 256;
	probe.host->exited(probe.self, 9, 4, &end);
	assert_int_equal(told.exit.code, -1);
	assert_string_equal(told.text, "probe|the backend told an exit code out of range");
	end.code = -1;
	probe.host->exited(probe.self, 9, 4, &end);
	assert_string_equal(told.text, "probe|the backend does not say why");
	probe.host->exited(probe.self, 9, 4, NULL);
	assert_string_equal(told.text, "probe|the backend told an end without its status");
	probe.host->notice(probe.self, 9, "oom", "{\"n\":1}");
	assert_string_equal(told.text, "probe|oom|{\"n\":1}");
	assert_int_equal(told.calls, 5);
	probe.host->notice(probe.self, 9, "oom", "{");
	probe.host->notice(probe.self, 9, NULL, NULL);
	assert_int_equal(told.calls, 5);
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), -EBUSY);
	b->table.close(b->arg, 9);
	probe.host->exited(probe.self, 9, 0, &end);
	assert_int_equal(told.calls, 5);
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
}

/* An answer that comes too late opens nothing. */
static void test_late_create(void **state)
{
	struct world *w = *state;
	const struct cowherd_answer a = { .size = sizeof(a), .handle = 9 };
	struct outcome o;

	probe_setup(w);
	create(w, &o);
	cow_op_abandon(w->ops, probe.op);
	assert_int_equal(probe_answer(probe.op, &a), -ENOENT);
	create(w, &o);
	assert_int_equal(probe_answer(probe.op, &fine), 0);
	assert_int_equal(o.code, -EPROTO);
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
}

static void *stray_answer(void *arg)
{
	struct cowherd_answer a = fine;

	a.fd = dup(STDERR_FILENO);
	assert_int_equal(probe_answer(*(cow_op *)arg, &a), -EPERM);
	assert_closed(a.fd);
	assert_null(probe.host->lookup(probe.self, "probe.host", 1));
	return NULL;
}

static void test_stray_thread(void **state)
{
	struct world *w = *state;
	pthread_t thread;
	struct outcome o;
	cow_op op;

	probe_setup(w);
	uv_ref((uv_handle_t *)w->host->stray); /* as the supervisor's loop, this one is alive */
	(void)world_acquire(w, "probe.thing", "{}", &o, &op);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread, NULL, stray_answer, &op), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		world_turn(w);
		assert_int_equal(world_heard(w, "plugin.thread probe"), i == 0);
		world_forget_log(w);
	}
	assert_int_equal(o.calls, 0);
	assert_int_equal(probe_answer(op, &fine), 0);
	/* A plugin of its own, which does so in init. */
	world_start(w, "stray");
	world_turn(w);
	assert_true(world_heard(w, "stray.result stray -: -1"));
	assert_false(world_heard(w, "stray.heard"));
	assert_true(world_heard(w, "plugin.thread stray"));
	assert_false(world_heard(w, "plugin.thread probe"));
}

static void test_after_unload(void **state)
{
	struct world *w = *state;
	uint64_t id;

	probe_setup(w);
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
	world_forget_log(w);
	assert_int_equal(probe_answer(1, &fine), -ESHUTDOWN);
	assert_int_equal(probe.host->provide(probe.self, "x", 1, &fine), -ESHUTDOWN);
	assert_int_equal(probe.host->timer_start(probe.self, 1, 0, NULL, NULL, &id), -ESHUTDOWN);
	probe.host->log(probe.self, COWHERD_LOG_ERROR, NULL, "x", "y");
	assert_null(w->log.data);
	assert_int_equal(probe.host->intend(NULL, 1, "k", "{}"), -EINVAL);
}

static void test_log(void **state)
{
	struct world *w = *state;

	probe_setup(w);
	probe.host->log(probe.self, 99, "web", NULL, NULL);
	assert_true(world_heard(w, "plugin.log probe web: \n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_returns),	world_test(test_answers),
		world_test(test_foreign),	world_test(test_abandoned),
		world_test(test_descriptor),	world_test(test_ledger),
		world_test(test_fake_host),	world_test(test_stats),
		world_test(test_facts),		world_test(test_late_create),
		world_test(test_stray_thread),	world_test(test_after_unload),
		world_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
