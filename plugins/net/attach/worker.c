/* SPDX-License-Identifier: MIT */
#include "attach/worker.h"

#include "attach/networks.h"
#include "attach/pool.h"
#include "attach/trash.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define STACK (256u << 10)
/*
 * The kernel has one lock for all links: what is made or removed meanwhile holds up the container that is
 * being started.  So work begins when nothing has come for a while, or when it has been put off for long.
 */
#define QUIET_MS 60
#define LATEST_MS 500

static struct {
	pthread_mutex_t lock;
	pthread_cond_t news;
	pthread_t thread;
	bool runs, wanted, busy, stop;
} worker = { .lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER };

static void work(bool last)
{
	struct plug_error err = { 0 };
	struct net_state *s;

	if (net_state_get(&s, &err) < 0)
		return;
	if (!last)
		(void)net_pool_fill(s, &err);
	(void)net_trash_empty(s, &err);
	net_networks_again();
	net_networks_settle(s);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* With the lock held. */
static void wait_for_quiet(void)
{
	uint64_t latest = now_ms() + LATEST_MS, until;
	struct timespec t;

	do {
		worker.wanted = false;
		until = now_ms() + QUIET_MS;
		t = (struct timespec){ .tv_sec = (time_t)(until / 1000),
				       .tv_nsec = (long)(until % 1000) * 1000000 };
		while (!worker.wanted && !worker.stop &&
		       pthread_cond_timedwait(&worker.news, &worker.lock, &t) == 0)
			;
	} while (worker.wanted && !worker.stop && now_ms() < latest);
}

static void *run(void *arg)
{
	(void)pthread_mutex_lock(&worker.lock);
	for (;;) {
		bool last = worker.stop;

		if (!worker.wanted && !last) {
			(void)pthread_cond_wait(&worker.news, &worker.lock);
			continue;
		}
		worker.busy = true;
		if (!last)
			wait_for_quiet();
		worker.wanted = false;
		(void)pthread_mutex_unlock(&worker.lock);
		work(last);
		(void)pthread_mutex_lock(&worker.lock);
		worker.busy = false;
		(void)pthread_cond_broadcast(&worker.news);
		if (last)
			break;
	}
	(void)pthread_mutex_unlock(&worker.lock);
	return arg;
}

/* With the lock held. */
static void start(void)
{
	pthread_attr_t attr;
	sigset_t all, old;

	if (pthread_attr_init(&attr) != 0)
		return;
	(void)pthread_attr_setstacksize(&attr, STACK);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	worker.runs = pthread_create(&worker.thread, &attr, run, NULL) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
}

void net_worker_wake(void)
{
	(void)pthread_mutex_lock(&worker.lock);
	worker.wanted = true;
	if (!worker.runs && !worker.stop)
		start();
	(void)pthread_cond_broadcast(&worker.news);
	(void)pthread_mutex_unlock(&worker.lock);
}

void net_worker_settle(void)
{
	(void)pthread_mutex_lock(&worker.lock);
	while (worker.runs && (worker.wanted || worker.busy))
		(void)pthread_cond_wait(&worker.news, &worker.lock);
	(void)pthread_mutex_unlock(&worker.lock);
}

void net_worker_stop(void)
{
	bool runs;

	(void)pthread_mutex_lock(&worker.lock);
	runs = worker.runs;
	worker.stop = true;
	(void)pthread_cond_broadcast(&worker.news);
	(void)pthread_mutex_unlock(&worker.lock);
	if (runs)
		(void)pthread_join(worker.thread, NULL);
	worker.runs = worker.wanted = worker.stop = false;
}
