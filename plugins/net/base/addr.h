/* SPDX-License-Identifier: MIT */
/* Addresses and prefixes of both families, as values. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NET_ADDR_TEXT 64 /* room for any of them as text, prefix length and NUL included */

/* Zeroed: none.  Network byte order; an IPv4 address is in the first four bytes, the rest zero. */
struct net_addr {
	uint8_t family; /* AF_INET, AF_INET6; 0: none */
	uint8_t prefix; /* length in bits; of a single address 32 or 128 */
	uint8_t bytes[16];
};

static inline bool net_addr_is_set(const struct net_addr *a)
{
	return a->family != 0;
}

/* Of its family: 32 or 128. */
uint8_t net_addr_bits(const struct net_addr *a);

/* "192.0.2.1", "2001:db8::1"; no prefix length, no zone.  -EINVAL: it is none. */
int net_addr_parse(const char *text, struct net_addr *ret);
/* The same, or with "/LENGTH".  Bits behind the prefix are kept: see net_addr_network(). */
int net_addr_parse_prefix(const char *text, struct net_addr *ret);

/* "192.0.2.1", without prefix length. */
void net_addr_format(const struct net_addr *a, char text[NET_ADDR_TEXT]);
/* "192.0.2.0/24"; of a single address without length too. */
void net_addr_format_prefix(const struct net_addr *a, char text[NET_ADDR_TEXT]);

/* The network that the address lies in: bits behind the prefix are zero. */
struct net_addr net_addr_network(const struct net_addr *a);
/* The address alone, with all bits of its family as prefix. */
struct net_addr net_addr_host(const struct net_addr *a);
/* Whether all of inner lies in prefix. */
bool net_addr_contains(const struct net_addr *prefix, const struct net_addr *inner);
/* Family and bytes; the prefix length does not matter. */
bool net_addr_same(const struct net_addr *a, const struct net_addr *b);
/* 127.0.0.0/8, ::1. */
bool net_addr_is_loopback(const struct net_addr *a);
/* 0.0.0.0, ::. */
bool net_addr_is_any(const struct net_addr *a);

#endif
