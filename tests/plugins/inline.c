/* SPDX-License-Identifier: MIT */
/* Answers everything before it returns; the spec's annotation "inline.code" says what. */
#include "fake.h"

static int inline_answer(cowherd_op op, int code)
{
	const struct cowherd_answer answer = {
		.size = sizeof(answer), .code = code, .message = code ? "inline: as asked" : NULL,
	};

	fake_note("inline.answered", host->answer(self, op, &answer));
	return COWHERD_LATER;
}

static int inline_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	(void)arg;
	return inline_answer(op, (int)fake_number(request->spec, "inline.code", 0));
}

static int inline_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)record;
	return inline_answer(op, 0);
}

static int inline_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "inline", .phase = COWHERD_PHASE_IDENTITY,
		.acquire = inline_acquire, .release = inline_release,
	};

	host = h;
	self = s;
	return h->register_allocator(s, &allocator, NULL);
}

FAKE_PLUGIN("inline", .init = inline_init)
