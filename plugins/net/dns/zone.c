/* SPDX-License-Identifier: MIT */
#include "dns/zone.h"
#include "common/util.h"
#include "dns/files.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

int net_zone_address_read(const char *text, struct net_zone_address *ret)
{
	struct net_zone_address a = { 0 };
	char bare[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	unsigned max;
	char end;

	if (len >= sizeof(bare))
		return -EINVAL;
	memcpy(bare, text, len);
	bare[len] = 0;
	a.family = strchr(bare, ':') ? AF_INET6 : AF_INET;
	max = a.family == AF_INET6 ? 128 : 32;
	if (inet_pton(a.family, bare, a.bytes) != 1)
		return -EINVAL;
	a.prefix = (uint8_t)max;
	if (text[len] && (sscanf(text + len, "/%3hhu%c", &a.prefix, &end) != 1 || a.prefix > max))
		return -EINVAL;
	*ret = a;
	return 0;
}

int net_zone_server_read(const char *text, uint16_t port, struct net_zone_server *ret)
{
	struct net_zone_server s = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&s.address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s.address;
	char bare[INET6_ADDRSTRLEN + 1] = "";
	size_t len = strcspn(text, "%");

	if (net_dns_check_address(text) < 0)
		return -EINVAL;
	memcpy(bare, text, len); /* it is one, so it fits */
	if (inet_pton(AF_INET, bare, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		s.len = sizeof(*in);
	} else {
		if (inet_pton(AF_INET6, bare, &in6->sin6_addr) != 1)
			return -EINVAL;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		in6->sin6_scope_id = text[len] ? if_nametoindex(text + len + 1) : 0;
		s.len = sizeof(*in6);
	}
	*ret = s;
	return 0;
}

static size_t strings_count(const char *const *texts)
{
	size_t n = 0;

	while (texts && texts[n])
		n++;
	return n;
}

int net_zone_servers_read(const char *const *texts, struct net_zone_server **ret, size_t *ret_n,
			  const char **ret_bad)
{
	size_t n = strings_count(texts);
	_cleanup_free_ struct net_zone_server *servers = calloc(n + 1, sizeof(*servers));

	if (!servers)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (net_zone_server_read(texts[i], 53, &servers[i]) == 0)
			continue;
		if (ret_bad)
			*ret_bad = texts[i];
		return -EINVAL;
	}
	*ret = plug_take_ptr(servers);
	*ret_n = n;
	return 0;
}

int net_zone_addresses_read(const char *const *texts, struct net_zone_address **ret, size_t *ret_n,
			    const char **ret_bad)
{
	size_t n = strings_count(texts);
	_cleanup_free_ struct net_zone_address *addresses = calloc(n + 1, sizeof(*addresses));

	if (!addresses)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (net_zone_address_read(texts[i], &addresses[i]) == 0)
			continue;
		if (ret_bad)
			*ret_bad = texts[i];
		return -EINVAL;
	}
	*ret = plug_take_ptr(addresses);
	*ret_n = n;
	return 0;
}

void net_zone_member_free(struct net_zone_member *member)
{
	if (!member)
		return;
	free(member->owner);
	free(member->container);
	net_strings_free(member->names);
	free(member->addresses);
	free(member->servers);
	free(member);
}

void net_zone_finish(struct net_zone *zone)
{
	struct net_zone_member *next;

	for (struct net_zone_member *m = zone->members; m; m = next) {
		next = m->next;
		net_zone_member_free(m);
	}
	free(zone->domain);
	free(zone->subnets);
	*zone = (struct net_zone){ 0 };
}

void net_zone_remove(struct net_zone *zone, const char *owner)
{
	for (struct net_zone_member **m = &zone->members; *m; m = &(*m)->next) {
		if (!strcmp((*m)->owner, owner)) {
			struct net_zone_member *gone = *m;

			*m = gone->next;
			net_zone_member_free(gone);
			return;
		}
	}
}

void net_zone_put(struct net_zone *zone, struct net_zone_member *member)
{
	net_zone_remove(zone, member->owner);
	member->next = zone->members;
	zone->members = member;
}

const struct net_zone_member *net_zone_by_address(const struct net_zone *zone, uint8_t family,
						  const uint8_t *bytes)
{
	size_t size = family == AF_INET ? 4 : 16;

	for (const struct net_zone_member *m = zone->members; m; m = m->next) {
		for (size_t i = 0; i < m->address_count; i++) {
			if (m->addresses[i].family == family &&
			    !memcmp(m->addresses[i].bytes, bytes, size))
				return m;
		}
	}
	return NULL;
}

struct net_zone_member *net_zone_by_container(const struct net_zone *zone, const char *container)
{
	struct net_zone_member *m = zone->members;

	while (m && (!m->container || strcmp(m->container, container) != 0))
		m = m->next;
	return m;
}
