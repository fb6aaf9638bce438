/* SPDX-License-Identifier: MIT */
/* Requires what nobody provides. */
#include "fake.h"

static int missing_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	return 0;
}

static const char *const requires_list[] = { "cap.missing", NULL };

FAKE_PLUGIN("missing", .init = missing_init, .requires_ = requires_list)
