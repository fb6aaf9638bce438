/* SPDX-License-Identifier: MIT */
/* Answers twice before it returns, returns an error on top, and answers once more a second later. */
#include "fake.h"

static cowherd_op last;

static void twice_again(void *arg)
{
	const struct cowherd_answer answer = { .size = sizeof(answer), .code = -EIO };

	(void)arg;
	fake_note("twice.later", host->answer(self, last, &answer));
}

static int twice_answer(void)
{
	const struct cowherd_answer good = { .size = sizeof(good) };
	const struct cowherd_answer bad = { .size = sizeof(bad), .code = -EIO };
	uint64_t timer;

	fake_note("twice.first", host->answer(self, last, &good));
	fake_note("twice.second", host->answer(self, last, &bad));
	(void)host->timer_start(self, 1000, 0, twice_again, NULL, &timer);
	return -ENOTRECOVERABLE;
}

static int twice_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	(void)request;
	last = op;
	return twice_answer();
}

static int twice_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)record;
	last = op;
	return twice_answer();
}

static int twice_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator twice = {
		.size = sizeof(twice), .name = "twice", .phase = COWHERD_PHASE_NETWORK,
		.acquire = twice_acquire, .release = twice_release,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &twice, NULL);
}

FAKE_PLUGIN("twice", .init = twice_init)
