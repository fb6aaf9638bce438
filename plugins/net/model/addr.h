/* SPDX-License-Identifier: MIT */
/* Addresses, prefixes and link-layer addresses: values, copied freely. */
#ifndef NET_MODEL_ADDR_H
#define NET_MODEL_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NET_ADDR_TEXT 46   /* INET6_ADDRSTRLEN */
#define NET_PREFIX_TEXT 50 /* with "/128" */
#define NET_MAC_TEXT 18

struct net_addr {
	int family; /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16]; /* network order; IPv4: the first four, the others zero */
};

struct net_prefix {
	struct net_addr addr; /* may have host bits, as in an interface's address */
	uint8_t len;
};

struct net_mac {
	bool set;
	uint8_t bytes[6];
};

static inline size_t net_addr_size(const struct net_addr *a)
{
	return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

/* "10.0.0.1", "fd00::1"; -EINVAL for anything else, also for scopes. */
int net_addr_parse(const char *text, struct net_addr *ret);
void net_addr_print(const struct net_addr *a, char ret[NET_ADDR_TEXT]); /* none: "" */
/* Families first, then as numbers. */
int net_addr_compare(const struct net_addr *a, const struct net_addr *b);
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);
/* a + n within its family; false: it wrapped. */
bool net_addr_add(struct net_addr *a, uint64_t n);

/* "10.0.0.0/24"; without "/N" a single address.  -EINVAL. */
int net_prefix_parse(const char *text, struct net_prefix *ret);
void net_prefix_print(const struct net_prefix *p, char ret[NET_PREFIX_TEXT]);
bool net_prefix_has(const struct net_prefix *p, const struct net_addr *a);
bool net_prefix_overlaps(const struct net_prefix *a, const struct net_prefix *b);
/* Without host bits. */
struct net_addr net_prefix_first(const struct net_prefix *p);
/* All host bits set: IPv4's broadcast address. */
struct net_addr net_prefix_last(const struct net_prefix *p);

/* "02:00:00:00:00:01" or, as Windows writes it, "02-00-00-00-00-01".  -EINVAL: also for groups. */
int net_mac_parse(const char *text, struct net_mac *ret);
void net_mac_print(const struct net_mac *m, char separator, char ret[NET_MAC_TEXT]); /* none: "" */

#endif
