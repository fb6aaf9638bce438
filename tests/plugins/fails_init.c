/* SPDX-License-Identifier: MIT */
/* Registers one of each, starts what can be started, and then fails. */
#include "fake.h"

static int nothing_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)op;
	(void)request;
	return 0;
}

static int nothing_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)op;
	(void)record;
	return 0;
}

static int nothing_call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	(void)arg;
	(void)op;
	(void)call;
	return 0;
}

static int nothing_hook(void *arg, cowherd_op op, const char *container)
{
	(void)arg;
	(void)op;
	(void)container;
	return 0;
}

static void fails_timer(void *arg)
{
	(void)arg;
	abort();
}

static int fails_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "fails", .acquire = nothing_acquire,
		.release = nothing_release,
	};
	static const struct cowherd_verb verb = { .size = sizeof(verb), .name = "fails",
						  .call = nothing_call };
	uint64_t timer;

	if (h->register_allocator(s, &allocator, NULL) < 0 || h->register_verb(s, &verb, NULL) < 0 ||
	    h->register_hook(s, COWHERD_HOOK_CONTAINER_STOPPED, nothing_hook, NULL) < 0 ||
	    h->provide(s, "fails", 1, &verb) < 0 ||
	    h->timer_start(s, 1, 1, fails_timer, NULL, &timer) < 0)
		abort();
	return -EIO;
}

static const char *const provides[] = { "cap.fails", NULL };

FAKE_PLUGIN("fails", .init = fails_init, .provides = provides)
