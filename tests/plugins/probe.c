/* SPDX-License-Identifier: MIT */
/* Lends its identity to a test, which calls the host in its name: service PROBE ".host". */
#include "probe.h"
#include "fake.h"

#ifndef PROBE
#define PROBE "probe"
#endif

static struct probe probe;

static int probe_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	probe = (struct probe){ .host = h, .self = s };
	return h->provide(s, PROBE ".host", 1, &probe);
}

static int probe_fini(char *message, size_t size)
{
	return probe.fini ? probe.fini(message, size) : 0;
}

FAKE_PLUGIN(PROBE, .init = probe_init, .fini = probe_fini)
