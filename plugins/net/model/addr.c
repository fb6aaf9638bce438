/* SPDX-License-Identifier: MIT */
#include "model/addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static size_t bytes_of(const struct net_addr *a)
{
	return a->family ? net_addr_bits(a) / 8u : 0;
}

int net_addr_compare(const struct net_addr *a, const struct net_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, bytes_of(a));
}

bool net_addr_add(struct net_addr *a, uint64_t n)
{
	for (size_t i = bytes_of(a); i-- > 0 && n;) {
		/* The carry of a large n would not fit. */
		uint64_t sum = (n & 0xff) + a->bytes[i];

		a->bytes[i] = (uint8_t)sum;
		n = (n >> 8) + (sum >> 8);
	}
	return n == 0;
}

bool net_addr_overlaps(const struct net_addr *a, const struct net_addr *b)
{
	return a->prefix <= b->prefix ? net_addr_contains(a, b) : net_addr_contains(b, a);
}

struct net_addr net_addr_last(const struct net_addr *prefix)
{
	struct net_addr a = net_addr_host(prefix);

	for (unsigned bit = prefix->prefix; bit < net_addr_bits(prefix); bit++)
		a.bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	return a;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int net_mac_parse(const char *text, struct net_mac *ret)
{
	static const uint8_t zero[6];
	struct net_mac m = { .set = true };
	char separator = 0;

	for (size_t i = 0; i < 6; i++) {
		int high, low;

		if (i) {
			if ((*text != ':' && *text != '-') || (separator && *text != separator))
				return -EINVAL;
			separator = *text++;
		}
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return -EINVAL;
		m.bytes[i] = (uint8_t)(16 * high + low);
		text += 2;
	}
	/* Not of a group, and not none. */
	if (*text || m.bytes[0] & 1 || !memcmp(m.bytes, zero, sizeof(zero)))
		return -EINVAL;
	*ret = m;
	return 0;
}

void net_mac_format(const struct net_mac *m, char separator, char ret[NET_MAC_TEXT])
{
	const uint8_t *b = m->bytes;
	char s = separator;

	if (m->set)
		(void)snprintf(ret, NET_MAC_TEXT, separator == '-' ? "%02X%c%02X%c%02X%c%02X%c%02X%c%02X"
						 : "%02x%c%02x%c%02x%c%02x%c%02x%c%02x",
			       b[0], s, b[1], s,
			       b[2], s, b[3], s, b[4], s, b[5]);
	else
		*ret = 0;
}
