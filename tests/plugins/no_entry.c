/* SPDX-License-Identifier: MIT */
/* A shared object that is no plugin. */
#include "cowherd/plugin.h"

COWHERD_EXPORT int no_entry(void);

int no_entry(void)
{
	return 1;
}
