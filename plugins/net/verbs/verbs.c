/* SPDX-License-Identifier: MIT */
#include "verbs/verbs.h"
#include "common/util.h"
#include "plugin.h"
#include "verbs/command.h"

/* What `cowherd help VERB` says; made once, since the file stays mapped when the plugin is unloaded. */
static struct plug_text details[3];

static struct cowherd_verb tables[] = {
	{ .size = sizeof(struct cowherd_verb), .name = "network",
	  .usage = "network create|ls|inspect|modify|connect|disconnect|check|rm|prune|request [OPTIONS] "
		   "[WORDS]",
	  .help = "Make, list, show, change and remove networks.", .call = plug_call,
	  .cancel = plug_call_cancel },
	{ .size = sizeof(struct cowherd_verb), .name = "endpoint",
	  .usage = "endpoint create|ls|inspect|modify|attach|detach|stats|rm [OPTIONS] [WORDS]",
	  .help = "Make, list, show, change and remove endpoints.", .call = plug_call,
	  .cancel = plug_call_cancel },
	{ .size = sizeof(struct cowherd_verb), .name = "namespace",
	  .usage = "namespace create|ls|inspect|modify|add|remove|sync|rm [OPTIONS] [WORDS]",
	  .help = "Make, list, show, change and remove network namespaces.", .call = plug_call,
	  .cancel = plug_call_cancel },
};

static struct plug_call_as verbs[] = {
	{ &net_network_verb, NULL },
	{ &net_endpoint_verb, NULL },
	{ &net_namespace_verb, NULL },
};
_Static_assert(PLUG_ELEMENTS(tables) == PLUG_ELEMENTS(verbs), "a table without its words");
_Static_assert(PLUG_ELEMENTS(tables) == PLUG_ELEMENTS(details), "a verb without help");

int net_verbs_register(void)
{
	int r = 0;

	plug_calls_use(net_plugin.host, net_plugin.self);
	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(tables); i++) {
		if (!tables[i].details) {
			plug_help_text(verbs[i].verb, NULL, &details[i]);
			tables[i].details = details[i].data;
		}
		r = net_plugin.host->register_verb(net_plugin.self, &tables[i], &verbs[i]);
	}
	return r;
}

void net_verbs_finish(void)
{
	plug_calls_finish();
}
