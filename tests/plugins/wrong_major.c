/* SPDX-License-Identifier: MIT */
/* Built for an ABI that does not exist yet. */
#include "fake.h"

static int wrong_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	(void)h;
	(void)s;
	abort();
}

const struct cowherd_plugin *cowherd_plugin_entry(uint32_t major, uint32_t minor)
{
	static const struct cowherd_plugin plugin = {
		.size = sizeof(plugin),
		.abi_major = COWHERD_ABI_MAJOR + 1,
		.name = "wrong",
		.init = wrong_init,
	};

	(void)major;
	(void)minor;
	return &plugin;
}
