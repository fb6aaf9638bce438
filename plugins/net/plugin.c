/* SPDX-License-Identifier: MIT */
/* The plugin's table. */
#include "plugin.h"

#include "attach/attach.h"
#include "verbs/port.h"
#include "verbs/verbs.h"

#include <stddef.h>

struct net_plugin net_plugin;

static int net_init(const struct cowherd_host *host, struct cowherd_self *self)
{
	net_plugin = (struct net_plugin){ .host = host, .self = self };
	return net_attach_register(host, self) ?: net_verbs_register() ?: net_port_register();
}

static int net_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	net_verbs_finish();
	net_attach_finish();
	return 0;
}

static const char *const provides[] = { "net", NULL };

static const struct cowherd_plugin plugin = {
	.size = sizeof(plugin),
	.abi_major = COWHERD_ABI_MAJOR,
	.abi_minor = COWHERD_ABI_MINOR,
	.name = "net",
	.version = "1.0.0",
	.description = "Networks, endpoints, namespaces and policies",
	.provides = provides,
	.init = net_init,
	.fini = net_fini,
};

COWHERD_EXPORT const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major,
								 uint32_t host_minor)
{
	return host_major == COWHERD_ABI_MAJOR && host_minor >= COWHERD_ABI_MINOR ? &plugin : NULL;
}
