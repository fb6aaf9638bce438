/* SPDX-License-Identifier: MIT */
/* Answers long after its own deadline. */
#include "fake.h"

static void late_due(void *arg)
{
	const struct cowherd_answer answer = { .size = sizeof(answer) };

	fake_note("late.answered", host->answer(self, (cowherd_op)(uintptr_t)arg, &answer));
}

static int late_start(cowherd_op op)
{
	uint64_t timer;
	int rc = host->timer_start(self, 600000, 0, late_due, (void *)(uintptr_t)op, &timer);

	return rc < 0 ? rc : COWHERD_LATER;
}

static int late_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)request;
	return late_start(op);
}

static int late_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)record;
	return late_start(op);
}

static int late_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator late = {
		.size = sizeof(late), .name = "late", .phase = COWHERD_PHASE_NETWORK,
		.acquire_ms = 1000, .release_ms = 1000, .acquire = late_acquire,
		.release = late_release,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &late, NULL);
}

FAKE_PLUGIN("late", .init = late_init)
