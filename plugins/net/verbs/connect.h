/* SPDX-License-Identifier: MIT */
#ifndef NET_VERBS_CONNECT_H
#define NET_VERBS_CONNECT_H

#include "common/words.h"

/* network connect NETWORK CONTAINER, network disconnect NETWORK CONTAINER */
int net_connect(struct plug_run *run);
int net_disconnect(struct plug_run *run);
/* Before either, on the loop: which container that is.  Of other words: nothing.  And behind it. */
int net_connect_look(struct plug_run *run);
void net_connect_end(struct plug_run *run);

extern const struct plug_option net_connect_options[], net_disconnect_options[];

#endif
