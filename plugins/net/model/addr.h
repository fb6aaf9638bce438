/* SPDX-License-Identifier: MIT */
/* Arithmetic on addresses, and link-layer addresses: values, copied freely. */
#ifndef NET_MODEL_ADDR_H
#define NET_MODEL_ADDR_H

#include "base/addr.h"

#include <stddef.h>

#define NET_MAC_TEXT 18

struct net_mac {
	bool set;
	uint8_t bytes[6];
};

/* Families first, then as numbers; lengths of prefixes do not matter. */
int net_addr_compare(const struct net_addr *a, const struct net_addr *b);
/* a + n within its family; false: it wrapped. */
bool net_addr_add(struct net_addr *a, uint64_t n);
bool net_addr_overlaps(const struct net_addr *a, const struct net_addr *b);
/* All host bits set, as a single address: IPv4's broadcast address. */
struct net_addr net_addr_last(const struct net_addr *prefix);

/* "02:00:00:00:00:01" or, as Windows writes it, "02-00-00-00-00-01".  -EINVAL: also for groups. */
int net_mac_parse(const char *text, struct net_mac *ret);
/* None: "".  With '-' in upper case. */
void net_mac_format(const struct net_mac *m, char separator, char ret[NET_MAC_TEXT]);

#endif
