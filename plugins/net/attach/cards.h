/* SPDX-License-Identifier: MIT */
/*
 * The host's cards that networks stand on, watched while containers are on them: one that goes is told, and
 * when it is back, so are the containers' links.  All on the loop but net_cards_mend().
 */
#ifndef NET_CARDS_H
#define NET_CARDS_H

#include "attach/state.h"
#include "cowherd/plugin.h"

void net_cards_start(const struct cowherd_host *host, struct cowherd_self *self);
void net_cards_finish(void);
/* A container is on n; the first one on a card begins the watch. */
void net_cards_note(const struct net_network *n);

/*
 * mend.c: what of the networks on the card is missing is made again: bridges' ports, tunnels, the links of
 * endpoints that are plugged in.  *ret: names of those in use, for people; to be freed; NULL: there are none.
 * gone: the card is not there, and nothing is made.  Blocks.
 */
int net_cards_mend(struct net_state *s, const char *card, bool gone, char **ret, struct plug_error *err);

#endif
