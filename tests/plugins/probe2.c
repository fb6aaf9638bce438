/* SPDX-License-Identifier: MIT */
/* Another one, for what two plugins can do to each other. */
#define PROBE "probe2"
#include "probe.c"
