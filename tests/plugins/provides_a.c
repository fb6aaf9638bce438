/* SPDX-License-Identifier: MIT */
/* Provides a capability and a service. */
#include "fake.h"

static int a_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	static const size_t service = sizeof(service);

	host = h;
	self = s;
	fake_note("a.init", 0);
	return h->provide(s, "service.a", 1, &service);
}

static const char *const provides[] = { "cap.a", NULL };

FAKE_PLUGIN("provides-a", .init = a_init, .provides = provides)
