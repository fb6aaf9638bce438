/* SPDX-License-Identifier: MIT */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

uint8_t net_addr_bits(const struct net_addr *a)
{
	return a->family == AF_INET6 ? 128 : 32;
}

int net_addr_parse(const char *text, struct net_addr *ret)
{
	struct net_addr a = { 0 };

	a.family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(a.family, text, a.bytes) != 1)
		return -EINVAL;
	a.prefix = net_addr_bits(&a);
	*ret = a;
	return 0;
}

int net_addr_parse_prefix(const char *text, struct net_addr *ret)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	unsigned length = 0;
	struct net_addr a;
	size_t digits;

	if (!slash)
		return net_addr_parse(text, ret);
	if ((size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = 0;
	digits = strspn(slash + 1, "0123456789");
	if (digits < 1 || digits > 3 || slash[1 + digits] || net_addr_parse(address, &a) < 0)
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		length = length * 10 + (unsigned)(slash[1 + i] - '0');
	if (length > a.prefix)
		return -EINVAL;
	a.prefix = (uint8_t)length;
	*ret = a;
	return 0;
}

void net_addr_format(const struct net_addr *a, char text[NET_ADDR_TEXT])
{
	if (!a->family || !inet_ntop(a->family, a->bytes, text, NET_ADDR_TEXT))
		text[0] = 0;
}

void net_addr_format_prefix(const struct net_addr *a, char text[NET_ADDR_TEXT])
{
	size_t len;

	net_addr_format(a, text);
	len = strlen(text);
	if (len && a->prefix < net_addr_bits(a))
		(void)snprintf(text + len, NET_ADDR_TEXT - len, "/%u", a->prefix);
}

struct net_addr net_addr_network(const struct net_addr *a)
{
	struct net_addr n = *a;

	for (unsigned bit = a->prefix; bit < 128; bit++)
		n.bytes[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
	return n;
}

struct net_addr net_addr_host(const struct net_addr *a)
{
	struct net_addr h = *a;

	h.prefix = net_addr_bits(a);
	return h;
}

bool net_addr_contains(const struct net_addr *prefix, const struct net_addr *inner)
{
	struct net_addr outer = net_addr_network(prefix), cut = *inner;

	if (prefix->family != inner->family || inner->prefix < prefix->prefix)
		return false;
	cut.prefix = prefix->prefix;
	cut = net_addr_network(&cut);
	return !memcmp(outer.bytes, cut.bytes, sizeof(cut.bytes));
}

bool net_addr_same(const struct net_addr *a, const struct net_addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool net_addr_is_loopback(const struct net_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->bytes[0] == 127;
	return a->family == AF_INET6 && !memcmp(a->bytes, one, sizeof(one));
}

bool net_addr_is_any(const struct net_addr *a)
{
	static const uint8_t zero[16];

	return a->family && !memcmp(a->bytes, zero, sizeof(zero));
}
