/* SPDX-License-Identifier: MIT */
/*
 * Deadlines and deferred calls, without a clock of their own: whoever owns the queue says what time
 * it is.  The supervisor drives it from one uv timer; a test drives it by hand (virtual time).
 */
#ifndef COW_BASE_TIMERS_H
#define COW_BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cow_timer;
typedef void (*cow_timer_cb)(struct cow_timer *timer, void *arg);

/*
 * Lives in its owner; stop it before the owner goes.  Zero-initialised = stopped.  The queue is a
 * heap of these very nodes, so that a deadline can always be set, also where memory is short.
 */
struct cow_timer {
	uint64_t due_ms, order; /* private: order keeps equal deadlines first come, first served */
	struct cow_timer *child, *next, **prev; /* private: prev is NULL when not queued */
	cow_timer_cb cb;
	void *arg;
};

struct cow_timers {
	uint64_t now_ms;
	struct cow_timer *root; /* private: the earliest */
	uint64_t next_order;
	/*
	 * Called whenever the earliest deadline changes, and at the end of each advance;
	 * UINT64_MAX: none.  May be NULL.
	 */
	void (*rearm)(void *arg, uint64_t due_ms);
	void *rearm_arg;
	/*
	 * The time when a timer is started: without it, the time of the last advance, which may be
	 * long ago where the loop was woken by something else than a deadline.  May be NULL.
	 */
	uint64_t (*clock)(void *arg);
	void *clock_arg;
};

void cow_timers_init(struct cow_timers *t, uint64_t now_ms);
/* Stops every timer that is still queued. */
void cow_timers_finish(struct cow_timers *t);
/* (Re)start; after_ms 0 is "as soon as the loop turns", never from inside this call.  Always 0. */
int cow_timer_start(struct cow_timers *t, struct cow_timer *timer, uint64_t after_ms,
		    cow_timer_cb cb, void *arg);
/* One that is not queued stays so. */
void cow_timer_stop(struct cow_timers *t, struct cow_timer *timer);
static inline bool cow_timer_active(const struct cow_timer *timer)
{
	return timer->prev != NULL;
}
/* It is now_ms (never runs backwards): call what is due.  Those started meanwhile wait a turn. */
void cow_timers_advance(struct cow_timers *t, uint64_t now_ms);
/* The earliest deadline, or UINT64_MAX. */
uint64_t cow_timers_next(const struct cow_timers *t);

#endif
