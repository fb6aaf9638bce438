/* SPDX-License-Identifier: MIT */
/* Requires what the other one of the cycle provides, and the other way round. */
#include "fake.h"

static int cycle_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	return 0;
}

static const char *const provides[] = { "cap.cycle-b", NULL };
static const char *const requires_list[] = { "cap.cycle-c", NULL };

FAKE_PLUGIN("cycle-b", .init = cycle_init, .provides = provides, .requires_ = requires_list)
