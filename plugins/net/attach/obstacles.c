/* SPDX-License-Identifier: MIT */
/* Said when a network is first used, and when it comes later: what of others keeps packets from passing. */
#include "attach/attach.h"

#include "attach/state.h"

#include <stdlib.h>

struct look {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct net_state *state;
	char *found;
};

static int look_work(void *arg)
{
	struct look *l = arg;

	return net_table_obstacles(l->state->table, &l->found, NULL);
}

static void look_done(void *arg, int result)
{
	struct look *l = arg;

	/* Where it cannot be told, nothing is. */
	if (result == 0 && l->found)
		l->host->log(l->self, COWHERD_LOG_WARN, NULL, "net.obstacle", l->found);
	free(l->found);
	free(l);
}

void net_obstacles_look(const struct cowherd_host *host, struct cowherd_self *self,
			struct net_state *s)
{
	struct look *l = calloc(1, sizeof(*l));

	if (!l)
		return;
	*l = (struct look){ .host = host, .self = self, .state = s };
	if (host->offload(self, look_work, look_done, l) < 0)
		free(l);
}
