/* SPDX-License-Identifier: MIT */
/* The service of probe.c. */
#ifndef TESTS_PLUGINS_PROBE_H
#define TESTS_PLUGINS_PROBE_H

#include "cowherd/plugin.h"

struct probe {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	int (*fini)(char *message, size_t message_size); /* set by the test; may be NULL */
};

#endif
