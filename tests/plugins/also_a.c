/* SPDX-License-Identifier: MIT */
/* Provides the capability of provides_a, too. */
#include "fake.h"

static int also_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	fake_note("also.init", 0);
	return 0;
}

static const char *const provides[] = { "cap.a", NULL };

FAKE_PLUGIN("also-a", .init = also_init, .provides = provides)
