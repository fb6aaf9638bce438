/* SPDX-License-Identifier: MIT */
/* A host's loop in the hand of the test: descriptors and timers, turned until a condition holds. */
#ifndef TEST_NET_LOOP_H
#define TEST_NET_LOOP_H

#include "cowherd/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>

#define SLOTS 512

static struct {
	struct {
		uint64_t id;
		int fd;
		short events;
		cowherd_fd_cb cb;
		void *arg;
	} watches[SLOTS];
	struct {
		uint64_t id, due_ms;
		cowherd_timer_cb cb;
		void *arg;
	} timers[SLOTS];
	uint64_t last_id;
	unsigned calls, fail_at; /* the fail_at'th call that may fail does; 0: none */
} loop;

static inline uint64_t loop_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int loop_timer_start(struct cowherd_self *self, uint64_t after_ms, uint64_t repeat_ms,
			    cowherd_timer_cb cb, void *arg, uint64_t *ret)
{
	(void)self;
	assert_int_equal(repeat_ms, 0);
	if (++loop.calls == loop.fail_at)
		return -ENOMEM;
	for (int i = 0; i < SLOTS; i++) {
		if (!loop.timers[i].id) {
			loop.timers[i].id = *ret = ++loop.last_id;
			loop.timers[i].due_ms = loop_now() + after_ms;
			loop.timers[i].cb = cb;
			loop.timers[i].arg = arg;
			return 0;
		}
	}
	return -ENOMEM;
}

static void loop_timer_stop(struct cowherd_self *self, uint64_t id)
{
	(void)self;
	for (int i = 0; id && i < SLOTS; i++) {
		if (loop.timers[i].id == id)
			loop.timers[i].id = 0;
	}
}

static int loop_watch(int fd, uint32_t events, cowherd_fd_cb cb, void *arg, uint64_t *ret)
{
	for (int i = 0; i < SLOTS; i++) {
		if (loop.watches[i].id && loop.watches[i].fd == fd)
			return -EEXIST;
	}
	for (int i = 0; i < SLOTS; i++) {
		if (!loop.watches[i].id) {
			loop.watches[i].id = *ret = ++loop.last_id;
			loop.watches[i].fd = fd;
			loop.watches[i].events = (short)((events & COWHERD_FD_READ ? POLLIN : 0) |
							 (events & COWHERD_FD_WRITE ? POLLOUT : 0));
			loop.watches[i].cb = cb;
			loop.watches[i].arg = arg;
			return 0;
		}
	}
	return -ENOMEM;
}

static int loop_watch_fd(struct cowherd_self *self, int fd, uint32_t events, cowherd_fd_cb cb, void *arg,
			 uint64_t *ret)
{
	(void)self;
	return ++loop.calls == loop.fail_at ? -ENOMEM : loop_watch(fd, events, cb, arg, ret);
}

static void loop_unwatch_fd(struct cowherd_self *self, uint64_t id)
{
	(void)self;
	for (int i = 0; id && i < SLOTS; i++) {
		if (loop.watches[i].id == id)
			loop.watches[i].id = 0;
	}
}

static const struct cowherd_host loop_host = {
	.size = sizeof(loop_host),
	.timer_start = loop_timer_start,
	.timer_stop = loop_timer_stop,
	.watch_fd = loop_watch_fd,
	.unwatch_fd = loop_unwatch_fd,
};

static inline unsigned loop_in_use(void)
{
	unsigned n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += (loop.watches[i].id ? 1u : 0) + (loop.timers[i].id ? 1u : 0);
	return n;
}

/* One turn: what is due, and what is ready within at most wait_ms. */
static inline void loop_turn(int wait_ms)
{
	static struct pollfd p[SLOTS];
	uint64_t ids[SLOTS], now = loop_now(), next = now + (uint64_t)wait_ms;
	nfds_t n = 0;

	for (int i = 0; i < SLOTS; i++) {
		if (loop.timers[i].id && loop.timers[i].due_ms < next)
			next = loop.timers[i].due_ms;
		if (loop.watches[i].id) {
			ids[n] = loop.watches[i].id;
			p[n++] = (struct pollfd){ loop.watches[i].fd, loop.watches[i].events, 0 };
		}
	}
	(void)poll(p, n, next > now ? (int)(next - now) : 0);
	for (nfds_t k = 0; k < n; k++) {
		for (int i = 0; p[k].revents && i < SLOTS; i++) {
			if (loop.watches[i].id == ids[k])
				loop.watches[i].cb(loop.watches[i].arg, p[k].fd, COWHERD_FD_READ);
		}
	}
	now = loop_now();
	for (int i = 0; i < SLOTS; i++) {
		if (loop.timers[i].id && loop.timers[i].due_ms <= now) {
			loop.timers[i].id = 0;
			loop.timers[i].cb(loop.timers[i].arg);
		}
	}
}

/* Until fd has something to read: true; or for so long. */
static inline bool loop_until(int fd, int wait_ms)
{
	uint64_t end = loop_now() + (uint64_t)wait_ms;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, 0) == 0) {
		if (loop_now() >= end)
			return false;
		loop_turn(5);
	}
	return true;
}

#endif
