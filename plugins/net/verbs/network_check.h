/* SPDX-License-Identifier: MIT */
#ifndef NET_VERBS_NETWORK_CHECK_H
#define NET_VERBS_NETWORK_CHECK_H

#include "verbs/command.h"

int net_network_ask(struct plug_run *run);

#endif
