/* SPDX-License-Identifier: MIT */
#include "verbs/verbs.h"
#include "base/util.h"
#include "plugin.h"
#include "verbs/command.h"

/* What `cowherd help VERB` says; made once, since the file stays mapped when the plugin is unloaded. */
static struct net_text details[3];

static struct cowherd_verb tables[] = {
	{ .size = sizeof(struct cowherd_verb), .name = "network",
	  .usage = "network create|ls|inspect|modify|rm|prune|request [OPTIONS] [WORDS]",
	  .help = "Make, list, show, change and remove networks.", .call = net_call,
	  .cancel = net_call_cancel },
	{ .size = sizeof(struct cowherd_verb), .name = "endpoint",
	  .usage = "endpoint create|ls|inspect|modify|attach|detach|stats|rm [OPTIONS] [WORDS]",
	  .help = "Make, list, show, change and remove endpoints.", .call = net_call,
	  .cancel = net_call_cancel },
	{ .size = sizeof(struct cowherd_verb), .name = "namespace",
	  .usage = "namespace create|ls|inspect|modify|add|remove|sync|rm [OPTIONS] [WORDS]",
	  .help = "Make, list, show, change and remove network namespaces.", .call = net_call,
	  .cancel = net_call_cancel },
};

static const struct net_verb *const verbs[] = { &net_network_verb, &net_endpoint_verb,
						&net_namespace_verb };
_Static_assert(NET_ELEMENTS(tables) == NET_ELEMENTS(verbs), "a table without its words");
_Static_assert(NET_ELEMENTS(tables) == NET_ELEMENTS(details), "a verb without help");

int net_verbs_register(void)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < NET_ELEMENTS(tables); i++) {
		if (!tables[i].details) {
			net_help_text(verbs[i], NULL, &details[i]);
			tables[i].details = details[i].data;
		}
		r = net_plugin.host->register_verb(net_plugin.self, &tables[i], (void *)(uintptr_t)verbs[i]);
	}
	return r;
}

void net_verbs_finish(void)
{
	net_calls_finish();
}
