/* SPDX-License-Identifier: MIT */
/* Does not work with any host. */
#include "fake.h"

const struct cowherd_plugin *cowherd_plugin_entry(uint32_t major, uint32_t minor)
{
	(void)major;
	(void)minor;
	return NULL;
}
