/* SPDX-License-Identifier: MIT */
/*
 * A network namespace takes as long to make as all the rest of a launch.  A thread of its own makes it
 * while the launching one prepares, clones and waits.  One at a time: with several launches at once the
 * processors are busy as it is, and a launch that finds the thread busy makes its own (serve.c).
 *
 * Who launches one after the other finds the next one made: the spare, which goes when nobody came for it.
 */
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAKER_STACK (64u << 10)
#define SPARE_S 1

/* The descriptor or a negative errno; 0 or why lo is not up. */
struct made {
	int fd, lo;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool runs, guarded;
	enum { MAKER_IDLE, MAKER_WANTED, MAKER_MADE, MAKER_DROPPED } state;
	struct made made, spare; /* spare.fd < 0: none */
	bool want_spare, making_spare;
} maker = { .lock = PTHREAD_MUTEX_INITIALIZER,
	    .news = PTHREAD_COND_INITIALIZER,
	    .spare = { .fd = -1 } };

int parent_lo_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		r = -errno;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_RUNNING);
	if (r == 0 && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

static int maker_inside(void *arg, int netns)
{
	int *lo = arg, fd = fcntl(netns, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	*lo = parent_lo_up();
	return fd;
}

/* Without the lock meanwhile. */
static struct made maker_make(void)
{
	struct made made = { .lo = 0 };

	(void)pthread_mutex_unlock(&maker.lock);
	made.fd = parent_in_new_netns(maker_inside, &made.lo);
	(void)pthread_mutex_lock(&maker.lock);
	return made;
}

static struct made maker_take_spare(void)
{
	struct made made = maker.spare;

	maker.spare.fd = -1;
	return made;
}

static void maker_wait(void)
{
	struct timespec end;

	if (maker.spare.fd < 0) {
		(void)pthread_cond_wait(&maker.news, &maker.lock);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SPARE_S;
	if (pthread_cond_clockwait(&maker.news, &maker.lock, CLOCK_MONOTONIC, &end) == ETIMEDOUT &&
	    maker.spare.fd >= 0)
		(void)close(maker_take_spare().fd);
}

static void *maker_run(void *arg)
{
	struct made made;

	(void)pthread_mutex_lock(&maker.lock);
	for (;;) {
		if (maker.state == MAKER_WANTED) {
			made = maker.spare.fd >= 0 ? maker_take_spare() : maker_make();
			if (maker.state == MAKER_WANTED) {
				maker.made = made;
				maker.state = MAKER_MADE;
				(void)pthread_cond_broadcast(&maker.news);
			} else if (made.fd >= 0) {
				(void)close(made.fd);
			}
		} else if (maker.state == MAKER_DROPPED) {
			maker.state = MAKER_IDLE;
			(void)pthread_cond_broadcast(&maker.news);
		} else if (maker.want_spare) {
			maker.making_spare = true;
			made = maker_make();
			maker.making_spare = false;
			if (maker.want_spare)
				maker.spare = made;
			else if (made.fd >= 0)
				(void)close(made.fd);
			maker.want_spare = false;
			(void)pthread_cond_broadcast(&maker.news);
		} else {
			maker_wait();
		}
	}
	return arg;
}

static void maker_lock(void)
{
	(void)pthread_mutex_lock(&maker.lock);
}

static void maker_unlock(void)
{
	(void)pthread_mutex_unlock(&maker.lock);
}

/* After fork(3) there is no such thread. */
static void maker_forked(void)
{
	maker.runs = maker.want_spare = maker.making_spare = false;
	maker.state = MAKER_IDLE;
	if (maker.spare.fd >= 0)
		(void)close(maker_take_spare().fd);
	(void)pthread_cond_init(&maker.news, NULL);
	maker_unlock();
}

static void maker_guard(void)
{
	maker.guarded = pthread_atfork(maker_lock, maker_unlock, maker_forked) == 0;
}

/* With the lock held.  It stays: it is for the next launch, too. */
static bool maker_start(void)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;

	if (maker.runs)
		return true;
	if (pthread_attr_init(&attr) != 0)
		return false;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, MAKER_STACK); /* else it has the usual one */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	maker.runs = pthread_create(&thread, &attr, maker_run, NULL) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return maker.runs;
}

bool parent_netns_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	bool begun;

	(void)pthread_once(&once, maker_guard);
	(void)pthread_mutex_lock(&maker.lock);
	begun = maker.guarded && maker.state == MAKER_IDLE && maker_start();
	if (begun && maker.spare.fd >= 0) {
		maker.made = maker_take_spare();
		maker.state = MAKER_MADE;
	} else if (begun) {
		maker.state = MAKER_WANTED;
		(void)pthread_cond_broadcast(&maker.news);
	}
	(void)pthread_mutex_unlock(&maker.lock);
	return begun;
}

int parent_netns_take(bool spare, int *ret_lo)
{
	int fd;

	(void)pthread_mutex_lock(&maker.lock);
	while (maker.state != MAKER_MADE)
		(void)pthread_cond_wait(&maker.news, &maker.lock);
	fd = maker.made.fd;
	*ret_lo = maker.made.lo;
	maker.state = MAKER_IDLE;
	if (spare && maker.spare.fd < 0) {
		maker.want_spare = true;
		(void)pthread_cond_broadcast(&maker.news);
	}
	(void)pthread_mutex_unlock(&maker.lock);
	return fd;
}

/* Waits for the end of it, too: a launch that failed leaves nothing, not even for a moment. */
void parent_netns_drop(void)
{
	(void)pthread_mutex_lock(&maker.lock);
	if (maker.state == MAKER_MADE && maker.made.fd >= 0)
		(void)close(maker.made.fd);
	maker.state = maker.state == MAKER_MADE ? MAKER_IDLE : MAKER_DROPPED;
	while (maker.state == MAKER_DROPPED)
		(void)pthread_cond_wait(&maker.news, &maker.lock);
	(void)pthread_mutex_unlock(&maker.lock);
}

bool parent_netns_spare(void)
{
	bool there;

	(void)pthread_mutex_lock(&maker.lock);
	there = maker.spare.fd >= 0;
	(void)pthread_mutex_unlock(&maker.lock);
	return there;
}

void launch_netns_spare_drop(void)
{
	(void)pthread_mutex_lock(&maker.lock);
	maker.want_spare = false;
	if (maker.spare.fd >= 0)
		(void)close(maker_take_spare().fd);
	while (maker.making_spare)
		(void)pthread_cond_wait(&maker.news, &maker.lock);
	(void)pthread_mutex_unlock(&maker.lock);
}
