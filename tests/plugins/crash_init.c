/* SPDX-License-Identifier: MIT */
/* Crashes in init. */
#include "fake.h"

static int crash_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	int *volatile nowhere = (int *)64; /* not NULL: a sanitizer would be faster than the kernel */

	(void)h;
	(void)s;
	*nowhere = 1;
	return 0;
}

FAKE_PLUGIN("crash", .init = crash_init)
