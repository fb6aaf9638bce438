/* SPDX-License-Identifier: MIT */
/* Requires what a plugin provides whose init fails. */
#include "fake.h"

static int needs_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	return 0;
}

static const char *const requires_list[] = { "cap.fails", NULL };

FAKE_PLUGIN("needs-fails", .init = needs_init, .requires_ = requires_list)
