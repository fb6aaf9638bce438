/* SPDX-License-Identifier: MIT */
/*
 * What is to go away, in the background: the kernel takes long over links and namespaces.  A file each in
 * RUN_DIR/net/trash says what, so that what was not done yet is done by the next supervisor.
 */
#ifndef NET_TRASH_H
#define NET_TRASH_H

#include "attach/state.h"

/* NULL and "" are nothing. */
struct net_trash {
	const char *link;     /* of the host's */
	const char *link2;    /* another one: an intermediate device */
	const char *ns;	      /* id of a namespace in RUN_DIR/netns */
	const char *endpoint; /* whose leases are free when the link is gone */
	const char *network;  /* of the leases; NULL with an endpoint: all are looked through */
};

/* Notes it; after success it will be done.  name: of the file, an id.  Any thread. */
int net_trash_add(struct net_state *s, const char *name, const struct net_trash *t, struct plug_error *err);
/* Does all that is noted, in the calling thread; the first error, after all were tried. */
int net_trash_empty(struct net_state *s, struct plug_error *err);
/* Whether something for this endpoint is noted: its leases are not free yet. */
bool net_trash_has(const struct net_state *s, const char *name);

#endif
