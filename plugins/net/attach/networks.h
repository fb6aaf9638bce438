/* SPDX-License-Identifier: MIT */
/*
 * Networks of the configuration: made, changed and removed as it says, by whichever job first needs to know
 * which networks there are.  What endpoints still use is left as it is until the last of them has gone.
 */
#ifndef NET_ATTACH_NETWORKS_H
#define NET_ATTACH_NETWORKS_H

#include "attach/state.h"
#include "common/text.h"

#include <json-c/json.h>

/* A parsed list: net_networks_free(). */
struct net_networks {
	struct net_network **items;
	size_t count;
};
void net_networks_free(struct net_networks *networks);
/* The member "networks".  Pure.  -EINVAL with "/networks/N/MEMBER: cause" in err. */
int net_networks_parse(struct json_object *list, struct net_networks *ret, struct plug_error *err);

/* These and no others are wanted from now on; takes them over.  true: there is something to do. */
bool net_networks_want(struct net_networks *networks);
/* Does what is to be done, if anything is.  What fails is told, and fails for its network alone.  Blocks. */
void net_networks_settle(struct net_state *s);
/* Something was released: what had to wait for that is tried again by the next net_networks_settle(). */
void net_networks_again(void);
/* Lines for the log, since the last call; ret->len 0: none.  Does not block. */
void net_networks_told(struct plug_text *ret);
/* Why there is no network of this name although it is configured; 0: that is not so. */
int net_networks_failed(const char *name, struct plug_error *err);
/* At the end: those that nobody uses go. */
void net_networks_let_go(struct net_state *s);

#endif
