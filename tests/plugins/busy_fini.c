/* SPDX-License-Identifier: MIT */
/* Objects to being unloaded. */
#include "fake.h"

static int busy_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	return 0;
}

static int busy_fini(char *message, size_t size)
{
	(void)snprintf(message, size, "the kettle is on");
	return -EBUSY;
}

FAKE_PLUGIN("busy", .init = busy_init, .fini = busy_fini)
