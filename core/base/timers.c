/* SPDX-License-Identifier: MIT */
/*
 * A pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): starting is O(1), stopping and firing
 * are O(log n) amortised.  A node's children are a list through next; *prev is what points to it.
 */
#include "base/timers.h"

static bool timer_before(const struct cow_timer *a, const struct cow_timer *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

/* One heap out of two; either may be NULL. */
static struct cow_timer *heap_meld(struct cow_timer *a, struct cow_timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (timer_before(b, a)) {
		struct cow_timer *swap = a;
		a = b;
		b = swap;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = &b->next;
	b->prev = &a->child;
	a->child = b;
	return a;
}

/* One heap out of a list of siblings: in pairs forwards, then all of them backwards. */
static struct cow_timer *heap_meld_siblings(struct cow_timer *first)
{
	struct cow_timer *pairs = NULL, *heap = NULL;
	while (first) {
		struct cow_timer *a = first, *b = a->next;
		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = heap_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct cow_timer *rest = pairs->next;
		pairs->next = NULL;
		heap = heap_meld(heap, pairs);
		pairs = rest;
	}
	return heap;
}

static void heap_set_root(struct cow_timers *t, struct cow_timer *root)
{
	t->root = root;
	if (root) {
		root->next = NULL;
		root->prev = &t->root;
	}
}

static void heap_remove(struct cow_timers *t, struct cow_timer *timer)
{
	struct cow_timer *below = heap_meld_siblings(timer->child);
	if (timer == t->root) {
		heap_set_root(t, below);
	} else {
		*timer->prev = timer->next;
		if (timer->next)
			timer->next->prev = timer->prev;
		heap_set_root(t, heap_meld(t->root, below));
	}
	timer->child = timer->next = NULL;
	timer->prev = NULL;
}

static void timers_rearm(struct cow_timers *t)
{
	if (t->rearm)
		t->rearm(t->rearm_arg, cow_timers_next(t));
}

void cow_timers_init(struct cow_timers *t, uint64_t now_ms)
{
	*t = (struct cow_timers){ .now_ms = now_ms };
}

void cow_timers_finish(struct cow_timers *t)
{
	while (t->root)
		heap_remove(t, t->root);
}

int cow_timer_start(struct cow_timers *t, struct cow_timer *timer, uint64_t after_ms,
		    cow_timer_cb cb, void *arg)
{
	uint64_t earliest = cow_timers_next(t);
	uint64_t now_ms = t->clock ? t->clock(t->clock_arg) : t->now_ms;
	if (now_ms > t->now_ms)
		t->now_ms = now_ms;
	if (cow_timer_active(timer))
		heap_remove(t, timer);
	/* The very last millisecond means "none". */
	timer->due_ms = after_ms < UINT64_MAX - t->now_ms ? t->now_ms + after_ms : UINT64_MAX - 1;
	timer->order = t->next_order++;
	timer->cb = cb;
	timer->arg = arg;
	heap_set_root(t, heap_meld(t->root, timer));
	if (cow_timers_next(t) != earliest)
		timers_rearm(t);
	return 0;
}

void cow_timer_stop(struct cow_timers *t, struct cow_timer *timer)
{
	if (!cow_timer_active(timer))
		return;
	uint64_t earliest = cow_timers_next(t);
	heap_remove(t, timer);
	if (cow_timers_next(t) != earliest)
		timers_rearm(t);
}

void cow_timers_advance(struct cow_timers *t, uint64_t now_ms)
{
	if (now_ms > t->now_ms)
		t->now_ms = now_ms;
	/* Whatever is started from here on is ordered behind everything that is due already. */
	uint64_t turn = t->next_order;
	while (t->root && t->root->due_ms <= t->now_ms && t->root->order < turn) {
		struct cow_timer *timer = t->root;
		heap_remove(t, timer);
		timer->cb(timer, timer->arg);
	}
	timers_rearm(t);
}

uint64_t cow_timers_next(const struct cow_timers *t)
{
	return t->root ? t->root->due_ms : UINT64_MAX;
}
