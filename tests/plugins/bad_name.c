/* SPDX-License-Identifier: MIT */
/* Has a name that could be a path. */
#include "fake.h"

static int bad_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	return 0;
}

FAKE_PLUGIN("../Bad", .init = bad_init)
