/* SPDX-License-Identifier: MIT */
/* The verbs network, endpoint and namespace.  Loop thread. */
#ifndef NET_VERBS_VERBS_H
#define NET_VERBS_VERBS_H

int net_verbs_register(void);
/* Ends the calls that are under way. */
void net_verbs_finish(void);

#endif
