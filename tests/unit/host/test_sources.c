/* SPDX-License-Identifier: MIT */
/* Timers, watched descriptors, work on the thread pool; and that none of it outlives its plugin. */
#include "world.h"

#include <fcntl.h>
#include <semaphore.h>

static const struct cowherd_host *h;
static struct cowherd_self *s;

static void borrow(struct world *w)
{
	struct probe *probe = world_probe(w, "probe");

	h = probe->host;
	s = probe->self;
}

static void count_cb(void *arg)
{
	++*(unsigned *)arg;
}

static void test_timer(void **state)
{
	struct world *w = *state;
	unsigned once = 0, often = 0;
	uint64_t a, b, c;

	borrow(w);
	assert_int_equal(h->timer_start(s, 1, 0, NULL, NULL, &a), -EINVAL);
	assert_int_equal(h->timer_start(s, 10, 0, count_cb, &once, &a), 0);
	assert_int_equal(h->timer_start(s, 10, 5, count_cb, &often, &b), 0);
	assert_int_equal(h->timer_start(s, 10, 0, count_cb, &once, &c), 0);
	assert_true(a && b && c && a != b && b != c);
	h->timer_stop(s, c);
	world_advance(w, 9);
	assert_int_equal(once + often, 0);
	world_advance(w, 1);
	assert_int_equal(once, 1);
	assert_int_equal(often, 1);
	world_advance(w, 5);
	world_advance(w, 5);
	assert_int_equal(once, 1);
	assert_int_equal(often, 3);
	h->timer_stop(s, b);
	h->timer_stop(s, b);
	h->timer_stop(s, a);
	h->timer_stop(s, 12345);
	world_advance(w, 100);
	assert_int_equal(often, 3);
}

static uint64_t own_id;

static void stop_own_cb(void *arg)
{
	count_cb(arg);
	h->timer_stop(s, own_id);
}

static void test_timer_stops_itself(void **state)
{
	struct world *w = *state;
	unsigned n = 0;

	borrow(w);
	assert_int_equal(h->timer_start(s, 1, 1, stop_own_cb, &n, &own_id), 0);
	for (unsigned i = 0; i < 5; i++)
		world_advance(w, 1);
	assert_int_equal(n, 1);
}

static void test_foreign_ids(void **state)
{
	struct world *w = *state;
	unsigned n = 0;
	struct probe *other;
	uint64_t id;

	borrow(w);
	other = world_probe(w, "probe2");
	assert_int_equal(h->timer_start(s, 1, 0, count_cb, &n, &id), 0);
	other->host->timer_stop(other->self, id);
	other->host->unwatch_fd(other->self, id);
	world_advance(w, 1);
	assert_int_equal(n, 1);
}

struct seen {
	unsigned calls;
	int fd;
	uint32_t events;
	uint64_t id;
	bool unwatch;
};

static void watch_cb(void *arg, int fd, uint32_t events)
{
	struct seen *seen = arg;
	char byte;

	seen->calls++;
	seen->fd = fd;
	seen->events |= events;
	if (events & COWHERD_FD_READ)
		(void)!read(fd, &byte, 1);
	if (seen->unwatch)
		h->unwatch_fd(s, seen->id);
}

static void test_watch(void **state)
{
	struct world *w = *state;
	struct seen in = { 0 }, out = { .unwatch = true };
	int ends[2];

	borrow(w);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(h->watch_fd(s, -1, COWHERD_FD_READ, watch_cb, &in, &in.id), -EINVAL);
	assert_int_equal(h->watch_fd(s, ends[0], 0, watch_cb, &in, &in.id), -EINVAL);
	assert_int_equal(h->watch_fd(s, ends[0], 0x100, watch_cb, &in, &in.id), -EINVAL);
	assert_int_equal(h->watch_fd(s, ends[0], COWHERD_FD_READ | COWHERD_FD_HANGUP, watch_cb, &in,
				     &in.id), 0);
	assert_int_equal(h->watch_fd(s, ends[0], COWHERD_FD_READ, watch_cb, &in, &out.id), -EEXIST);
	assert_int_equal(h->watch_fd(s, ends[1], COWHERD_FD_WRITE, watch_cb, &out, &out.id), 0);
	world_turn(w);
	assert_int_equal(out.calls, 1);
	assert_int_equal(out.events, COWHERD_FD_WRITE);
	assert_int_equal(in.calls, 0);
	world_turn(w);
	assert_int_equal(out.calls, 1); /* it unwatched itself */
	assert_int_equal(write(ends[1], "x", 1), 1);
	world_turn(w);
	assert_int_equal(in.calls, 1);
	assert_int_equal(in.fd, ends[0]);
	(void)close(ends[1]);
	world_turn(w);
	assert_true(in.events & COWHERD_FD_HANGUP);
	h->unwatch_fd(s, in.id);
	h->unwatch_fd(s, in.id);
	(void)close(ends[0]);
	world_turn(w);
}

static void test_watch_file(void **state)
{
	struct world *w = *state;
	struct seen seen = { 0 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	borrow(w);
	assert_int_equal(h->watch_fd(s, fd, COWHERD_FD_READ, watch_cb, &seen, &seen.id), -EPERM);
	(void)close(fd);
}

/* The far end of a pipe closes: an error to poll, a hangup to the plugin. */
static void test_watch_error(void **state)
{
	struct world *w = *state;
	struct seen seen = { 0 };
	int ends[2];

	borrow(w);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], "xxxxxxxx", 8) == 8)
		;
	assert_int_equal(h->watch_fd(s, ends[1], COWHERD_FD_WRITE, watch_cb, &seen, &seen.id), 0);
	(void)close(ends[0]);
	world_turn(w);
	assert_true(seen.events & COWHERD_FD_HANGUP);
	h->unwatch_fd(s, seen.id);
	world_turn(w);
	(void)close(ends[1]);
}

struct job {
	sem_t begun, go;
	unsigned ran, done;
	int result;
};

static int job_work(void *arg)
{
	struct job *job = arg;

	(void)sem_post(&job->begun);
	while (sem_wait(&job->go) < 0)
		;
	job->ran++;
	return -EDOM;
}

static void job_done(void *arg, int result)
{
	struct job *job = arg;

	job->done++;
	job->result = result;
}

static void job_init(struct job *job)
{
	memset(job, 0, sizeof(*job));
	assert_int_equal(sem_init(&job->begun, 0, 0), 0);
	assert_int_equal(sem_init(&job->go, 0, 0), 0);
}

static void test_offload(void **state)
{
	struct world *w = *state;
	struct job job;

	borrow(w);
	job_init(&job);
	assert_int_equal(h->offload(s, NULL, job_done, &job), -EINVAL);
	assert_int_equal(h->offload(s, job_work, job_done, &job), 0);
	(void)sem_wait(&job.begun);
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), -EBUSY);
	assert_int_equal(job.done, 0);
	(void)sem_post(&job.go);
	world_until(w, &job.done);
	assert_int_equal(job.ran, 1);
	assert_int_equal(job.result, -EDOM);
	assert_int_equal(cow_host_unload(w->host, "probe", NULL), 0);
}

#define THREADS 4 /* of libuv's pool */
static struct job jobs[THREADS + 2];

/* On the first turn of the loop: those that run may go on. */
static void let_go_cb(uv_idle_t *idle)
{
	for (size_t i = 0; i < THREADS; i++)
		(void)sem_post(&jobs[i].go);
	uv_close((uv_handle_t *)idle, NULL);
}

/* At the end each accepted call still gets its done: those that run are waited for, the rest is not run. */
static void test_offload_at_end(void **state)
{
	struct world *w = *state;
	uv_idle_t idle;

	borrow(w);
	for (size_t i = 0; i < COW_ELEMENTS(jobs); i++) {
		job_init(&jobs[i]);
		assert_int_equal(h->offload(s, job_work, job_done, &jobs[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		(void)sem_wait(&jobs[i].begun);
	assert_int_equal(uv_idle_init(&w->loop, &idle), 0);
	assert_int_equal(uv_idle_start(&idle, let_go_cb), 0);
	cow_host_destroy(w->host);
	for (size_t i = 0; i < COW_ELEMENTS(jobs); i++) {
		assert_int_equal(jobs[i].done, 1);
		assert_int_equal(jobs[i].ran, i < THREADS);
		assert_int_equal(jobs[i].result, i < THREADS ? -EDOM : -ECANCELED);
	}
	world_host(w);
}

static struct world *the_world;
static int later_rc[2];

static void more_done(void *arg, int result)
{
	uint64_t id;

	later_rc[0] = h->offload(s, job_work, job_done, arg);
	later_rc[1] = h->timer_start(s, 0, 0, count_cb, arg, &id);
	job_done(arg, result);
}

/* Who asks for more while everything ends is refused. */
static void test_no_more_at_end(void **state)
{
	struct world *w = the_world = *state;
	struct job job;

	borrow(w);
	job_init(&job);
	(void)sem_post(&job.go);
	assert_int_equal(h->offload(s, job_work, more_done, &job), 0);
	(void)sem_wait(&job.begun);
	cow_host_destroy(w->host);
	assert_int_equal(job.done, 1);
	assert_int_equal(later_rc[0], -ESHUTDOWN);
	assert_int_equal(later_rc[1], -ESHUTDOWN);
	world_host(w);
}

static void test_leaky(void **state)
{
	struct world *w = *state;

	world_start(w, "leaky");
	while (!world_heard(w, "leaky.done leaky -: 7") || !world_heard(w, "leaky.watch leaky"))
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	world_advance(w, 100);
	assert_true(world_heard(w, "leaky.timer"));
	assert_int_equal(cow_host_unload(w->host, "leaky", NULL), 0);
	assert_int_equal(w->host->timers.count, 0);
	assert_int_equal(w->host->watches.count, 0);
	world_forget_log(w);
	world_advance(w, 100);
	assert_null(w->log.data);
	/* The same at the end, and at a failing init: test_load. */
	world_start(w, "leaky");
}

static void test_slow(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *file = cow_asprintf("%s/slow", w->root);
	_cleanup_free_ char *record = cow_asprintf("{\"path\":\"%s\"}", file);
	const struct cow_allocator *a;
	struct outcome o;
	cow_op op;

	world_start(w, "slow");
	a = cow_host_allocator(w->host, "slow");
	assert_int_equal(world_acquire(w, "slow", "{}", &o, NULL), COW_LATER);
	world_advance(w, 50);
	world_until(w, &o.calls);
	assert_int_equal(o.code, 0);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(world_release(w, "slow", record, &o, NULL), COW_LATER);
	world_advance(w, 50);
	world_until(w, &o.calls);
	assert_int_equal(o.code, 0);
	assert_int_equal(access(file, F_OK), -1);
	/* Cancelled. */
	assert_int_equal(world_acquire(w, "slow", "{}", &o, &op), COW_LATER);
	a->table.cancel(a->arg, op);
	assert_int_equal(o.code, -ECANCELED);
	/* Past its deadline. */
	assert_int_equal(world_acquire(w, "slow", "{}", &o, &op), COW_LATER);
	cow_op_abandon(w->ops, op);
	world_forget_log(w);
	world_advance(w, 50);
	while (!world_heard(w, "slow.answered slow -: -2"))
		(void)uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(world_release(w, "slow", record, &o, NULL), COW_LATER);
	world_advance(w, 50);
	world_until(w, &o.calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_timer),		world_test(test_timer_stops_itself),
		world_test(test_foreign_ids),	world_test(test_watch),
		world_test(test_watch_file),	world_test(test_watch_error),
		world_test(test_offload),	world_test(test_offload_at_end),
		world_test(test_no_more_at_end), world_test(test_leaky),
		world_test(test_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
