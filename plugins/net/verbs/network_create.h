/* SPDX-License-Identifier: MIT */
#ifndef NET_VERBS_NETWORK_CREATE_H
#define NET_VERBS_NETWORK_CREATE_H

#include "verbs/command.h"

int net_network_create(struct plug_run *run);
/* ls --query */
int net_command_query(struct plug_run *run, enum net_kind kind);
extern const struct plug_option net_inspect_options[], net_rm_options[];

#endif
