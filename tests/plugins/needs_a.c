/* SPDX-License-Identifier: MIT */
/* Requires a capability, and looks up the service that comes with it. */
#include "fake.h"

static int needs_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	fake_note("needs.init", 0);
	return h->lookup(s, "service.a", 1) ? 0 : -ENOENT;
}

static const char *const requires_list[] = { "cap.a", NULL };

FAKE_PLUGIN("needs-a", .init = needs_init, .requires_ = requires_list)
