/* SPDX-License-Identifier: MIT */
/* Calls the host from a thread of its own, which it may not. */
#include "fake.h"

#include <pthread.h>

static int result;

static void *stray_thread(void *arg)
{
	uint64_t id;

	(void)arg;
	result = host->timer_start(self, 1, 0, NULL, NULL, &id);
	host->log(self, COWHERD_LOG_ERROR, NULL, "stray.heard", "never");
	return NULL;
}

static int stray_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	pthread_t thread;

	host = h;
	self = s;
	if (pthread_create(&thread, NULL, stray_thread, NULL) || pthread_join(thread, NULL))
		return -EAGAIN;
	fake_note("stray.result", result);
	return 0;
}

FAKE_PLUGIN("stray", .init = stray_init)
