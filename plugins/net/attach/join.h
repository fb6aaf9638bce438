/* SPDX-License-Identifier: MIT */
/* A network namespace that is there already, and a container that comes into it.  All of it blocks. */
#ifndef NET_JOIN_H
#define NET_JOIN_H

#include "attach/state.h"

struct net_joined {
	struct net_namespace *ns; /* of the store; NULL: somebody else's, by its path alone */
	char *path;
	int fd;			 /* of it */
	struct net_rtnl *inside; /* a socket in it */
	bool routed;		 /* it has a default route already */
};

/* ref: an id, or a path, also of one of the store's.  Takes nothing.  -ENOENT: it is gone. */
int net_join_open(struct net_state *s, const char *ref, struct net_joined *ret, struct plug_error *err);
/* The id in a ref; NULL: the path of somebody else's namespace. */
const char *net_join_id(const struct net_state *s, const char *ref);
void net_joined_finish(struct net_joined *j);

/*
 * A name for the link of one more endpoint: "eth0" and so on, from *next on, which then is behind it; among
 * the host's own links "vh" and the beginning of its id.
 */
int net_join_link(struct net_joined *j, const char *id, size_t *next, char ret[NET_LINK_SIZE],
		  struct plug_error *err);
/* The namespace has this container and these endpoints from now on. */
int net_join_enter(struct net_state *s, struct net_joined *j, const char *container,
		   struct net_endpoint *const *endpoints, size_t count, struct plug_error *err);

#endif
