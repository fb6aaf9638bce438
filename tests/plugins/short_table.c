/* SPDX-License-Identifier: MIT */
/* A plugin table that ends before fini, as an older ABI's would; what lies behind must not be read. */
#include "fake.h"

static int short_init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	return 0;
}

static int short_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	abort();
}

const struct cowherd_plugin *cowherd_plugin_entry(uint32_t major, uint32_t minor)
{
	static const struct cowherd_plugin plugin = {
		.size = offsetof(struct cowherd_plugin, fini),
		.abi_major = COWHERD_ABI_MAJOR,
		.abi_minor = 0,
		.name = "short",
		.init = short_init,
		.fini = short_fini,
	};

	(void)major;
	(void)minor;
	return &plugin;
}
