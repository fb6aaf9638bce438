/* SPDX-License-Identifier: MIT */
/* Cleanup hooks of plugins: asked all at once, waited for by deadline, never a reason to fail. */
#include "engine/container.h"

#include "base/log.h"

#include <stdlib.h>

struct round {
	struct cow_engine *engine;
	uint32_t open; /* hooks that have not answered, and one for the loop that asks them */
	void (*done)(void *arg);
	void *arg;
};

static void round_leave(struct round *r)
{
	if (--r->open > 0)
		return;
	if (r->done)
		r->done(r->arg);
	free(r);
}

static void hook_answered(void *arg, cow_op op, const struct cow_answer *answer)
{
	(void)op;
	if (answer->code < 0)
		cow_log(.level = COW_LOG_WARN, .event = "hook.failed",
			.msg = answer->message ? answer->message : cow_errno_text(answer->code),
			.code = answer->code, .has_code = true);
	round_leave(arg);
}

void hooks_run(struct cow_engine *e, int hook, const char *container, void (*done)(void *),
	       void *arg)
{
	const struct cow_hook *const *hooks;
	uint32_t n = cow_host_hooks(e->setup.host, &hooks);
	struct round *r = n ? calloc(1, sizeof(*r)) : NULL;

	if (!r) {
		if (done)
			done(arg);
		return;
	}
	*r = (struct round){ .engine = e, .open = 1, .done = done, .arg = arg };
	for (uint32_t i = 0; i < n; i++) {
		cow_op op;

		if (hooks[i]->hook != hook ||
		    cow_op_open(e->setup.ops, CALL_MS, hook_answered, r, &op) < 0)
			continue;
		r->open++;
		call_returned(e, op, hooks[i]->cb(hooks[i]->arg, op, container));
	}
	round_leave(r);
}
