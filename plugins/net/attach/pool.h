/* SPDX-License-Identifier: MIT */
/*
 * Namespaces made in advance, each with a veth pair, up and plugged into the network that was asked for last:
 * what is left to do for a container are its addresses.  A file in RUN_DIR/net/pool names each, until its
 * taker has announced it in a ledger; what is still named there at a start is thrown away.
 */
#ifndef NET_POOL_H
#define NET_POOL_H

#include "attach/state.h"
#include "kernel/rtnl.h"

struct net_pooled {
	char ns[NET_ID_SIZE];
	int fd;			 /* of the namespace */
	struct net_rtnl *inside; /* a socket in it */
	char endpoint[NET_ID_SIZE]; /* the pair's names are made of it; "": there is no pair */
	char network[NET_ID_SIZE];  /* it is plugged into this one */
	struct net_pooled *next;
};

/*
 * One for a container on this network (as it was asked for: a name or an id), or NULL.  Does not block.
 * It becomes the caller's: once announced, net_pool_announced(), in the end net_pooled_free().
 */
struct net_pooled *net_pool_take(const char *network);
/* The file of a namespace goes: a ledger knows it.  None is success.  Blocks. */
int net_pool_announced(const struct net_state *s, const char *ns, struct plug_error *err);
/* Memory and descriptors only. */
void net_pooled_free(struct net_pooled *p);
/* Into the trash, with all of it. */
void net_pool_discard(struct net_state *s, struct net_pooled *p);

/* How many are to be kept; 0: none.  Does not block. */
void net_pool_resize(uint32_t size);
/* The network for the next ones; the worker is woken.  Does not block. */
void net_pool_prefer(const char *network);
/* Makes what is missing, throws away what is not wanted any more.  The worker's; blocks. */
int net_pool_fill(struct net_state *s, struct plug_error *err);
/* All of it into the trash; none is made again until net_pool_prefer().  Blocks. */
void net_pool_drain(struct net_state *s);
/* The network goes: what is there for it, too. */
void net_pool_forget(struct net_state *s, const struct net_network *n);
/* What an earlier life left: into the trash.  Blocks. */
int net_pool_sweep(struct net_state *s, struct plug_error *err);

#endif
