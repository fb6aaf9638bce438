/* SPDX-License-Identifier: MIT */
#ifndef NET_VERBS_EFFECTS_H
#define NET_VERBS_EFFECTS_H

#include "verbs/api.h"

/* On this kernel; their arg is the plugin's struct net_state (attach/state.h). */
extern const struct net_effects net_effects;

#endif
