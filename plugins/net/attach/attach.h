/* SPDX-License-Identifier: MIT */
/* A container's network: the allocator net.endpoint, and what of it runs on the loop. */
#ifndef NET_ATTACH_H
#define NET_ATTACH_H

#include "attach/networks.h"
#include "attach/parts.h"
#include "cowherd/plugin.h"
#include "rootless/rootless.h"

int net_attach_register(const struct cowherd_host *host, struct cowherd_self *self);
void net_attach_finish(void);

/* ---- config.c: the plugin's section of the configuration */

struct net_config {
	char *network;	/* "default": for containers that ask for none; NULL: loopback only */
	uint32_t pool;	/* "pool": namespaces made in advance */
	enum net_rootless_kind rootless; /* "rootless": who carries packets for who is not root */
	bool tp4_ports; /* "tp4_ports": published ports by the rules of the first Windows with containers */
};
/* On the loop. */
const struct net_config *net_config(void);
int net_config_register(const struct cowherd_host *host, struct cowherd_self *self);
void net_config_finish(void);

/* ---- live.c: resolvers and the watch over our rules; all on the loop */

void net_live_start(const struct cowherd_host *host, struct cowherd_self *self);
void net_live_finish(void);
/* The state is open: from now on our rules are watched. */
void net_live_watch(void);
/* The resolver knows these endpoints from now on.  Negative errno: it cannot listen, err says why. */
int net_live_add(const struct net_part *part, struct plug_error *err);
/* obstacles.c: a warning where others' rules drop what our networks forward. */
void net_obstacles_look(const struct cowherd_host *host, struct cowherd_self *self, struct net_state *s);
/* The configuration's networks are these from now on; takes them over. */
void net_live_networks(struct net_networks *networks);
/* What was found out on the pool about them goes to the log. */
void net_live_tell(void);

#endif
