/* SPDX-License-Identifier: MIT */
/* Accepts operations and never answers them, cancelled or not. */
#include "fake.h"

static int never_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)op;
	(void)request;
	return COWHERD_LATER;
}

static int never_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)op;
	(void)record;
	return COWHERD_LATER;
}

static void never_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	(void)op;
	fake_note("never.cancel", 0);
}

static int never_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator never = {
		.size = sizeof(never), .name = "never", .phase = COWHERD_PHASE_NETWORK,
		.acquire_ms = 2000, .release_ms = 2000, .acquire = never_acquire,
		.release = never_release, .cancel = never_cancel,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &never, NULL);
}

FAKE_PLUGIN("never", .init = never_init)
