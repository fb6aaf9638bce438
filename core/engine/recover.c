/* SPDX-License-Identifier: MIT */
#include "engine/container.h"

void cow_engine_recover(struct cow_engine *e, cow_engine_cb done, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, done, arg);

	if (w)
		waiter_ok(w, NULL);
}
