/* SPDX-License-Identifier: MIT */
/* The objects' memory, and what they are called. */
#include "model/object.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

int net_strv_add(struct net_strv *v, const char *text)
{
	char **grown = reallocarray(v->items, v->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	v->items = grown;
	v->items[v->count] = strdup(text);
	if (!v->items[v->count])
		return -ENOMEM;
	v->count++;
	return 0;
}

bool net_strv_has(const struct net_strv *v, const char *text)
{
	for (size_t i = 0; i < v->count; i++)
		if (!strcmp(v->items[i], text))
			return true;
	return false;
}

void net_strv_finish(struct net_strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct net_strv){ 0 };
}

static const char *const type_names[NET_TYPE_COUNT] = {
	[NET_NAT] = "NAT",	     [NET_TRANSPARENT] = "Transparent", [NET_L2BRIDGE] = "L2Bridge",
	[NET_L2TUNNEL] = "L2Tunnel", [NET_ICS] = "ICS",			[NET_PRIVATE] = "Private",
	[NET_INTERNAL] = "Internal", [NET_OVERLAY] = "Overlay",		[NET_CNI] = "CNI",
};

const char *net_type_name(enum net_type type)
{
	return (unsigned)type < NET_TYPE_COUNT ? type_names[type] : "";
}

int net_type_parse(const char *text, enum net_type *ret)
{
	if (!strcasecmp(text, "bridge")) {
		*ret = NET_NAT;
		return 0;
	}
	for (unsigned i = 0; i < NET_TYPE_COUNT; i++)
		if (!strcasecmp(text, type_names[i])) {
			*ret = (enum net_type)i;
			return 0;
		}
	return -EINVAL;
}

void net_dns_finish(struct net_dns *dns)
{
	free(dns->domain);
	net_strv_finish(&dns->search);
	net_strv_finish(&dns->servers);
	net_strv_finish(&dns->options);
	*dns = (struct net_dns){ 0 };
}

void net_network_free(struct net_network *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->subnet_count; i++) {
		free(n->subnets[i].routes);
		net_policies_free(n->subnets[i].policies, n->subnets[i].policy_count);
	}
	free(n->subnets);
	free(n->name);
	free(n->adapter);
	for (size_t i = 0; i < n->aux_count; i++)
		free(n->aux[i].name);
	free(n->aux);
	free(n->macs);
	net_dns_finish(&n->dns);
	net_policies_free(n->policies, n->policy_count);
	free(n->conflist);
	net_strv_finish(&n->labels);
	free(n);
}

int net_network_aux(struct net_network *n, const char *name, const struct net_addr *addr)
{
	struct net_aux *grown = reallocarray(n->aux, n->aux_count + 1, sizeof(*grown));
	char *copy = strdup(name);

	if (grown)
		n->aux = grown;
	if (!grown || !copy) {
		free(copy);
		return -ENOMEM;
	}
	n->aux[n->aux_count++] = (struct net_aux){ copy, net_addr_host(addr) };
	return 0;
}

void net_endpoint_free(struct net_endpoint *e)
{
	if (!e)
		return;
	free(e->name);
	net_strv_finish(&e->containers);
	net_strv_finish(&e->aliases);
	free(e->ips);
	free(e->routes);
	net_dns_finish(&e->dns);
	net_policies_free(e->policies, e->policy_count);
	free(e);
}

void net_namespace_free(struct net_namespace *ns)
{
	if (!ns)
		return;
	for (size_t i = 0; i < ns->resource_count; i++)
		free(ns->resources[i].id);
	free(ns->resources);
	free(ns->path);
	free(ns);
}

static size_t resource_find(const struct net_namespace *ns, bool container, const char *id)
{
	size_t i = 0;

	while (i < ns->resource_count && (ns->resources[i].container != container ||
					  strcmp(ns->resources[i].id, id) != 0))
		i++;
	return i;
}

int net_namespace_add(struct net_namespace *ns, bool container, const char *id)
{
	struct net_resource *grown;
	char *copy;

	if (resource_find(ns, container, id) < ns->resource_count)
		return -EEXIST;
	grown = reallocarray(ns->resources, ns->resource_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ns->resources = grown;
	copy = strdup(id);
	if (!copy)
		return -ENOMEM;
	ns->resources[ns->resource_count++] = (struct net_resource){ container, copy };
	return 0;
}

int net_namespace_drop(struct net_namespace *ns, bool container, const char *id)
{
	size_t i = resource_find(ns, container, id);

	if (i == ns->resource_count)
		return -ENOENT;
	free(ns->resources[i].id);
	ns->resource_count--;
	memmove(ns->resources + i, ns->resources + i + 1,
		(ns->resource_count - i) * sizeof(*ns->resources));
	return 0;
}

void net_balancer_free(struct net_balancer *b)
{
	if (!b)
		return;
	net_strv_finish(&b->endpoints);
	free(b->vips);
	free(b->ports);
	free(b);
}

void net_sdn_route_free(struct net_sdn_route *r)
{
	if (!r)
		return;
	net_strv_finish(&r->endpoints);
	free(r->routes);
	free(r);
}

static void id_print(uint8_t b[16], unsigned version, char ret[NET_ID_SIZE])
{
	b[6] = (uint8_t)((b[6] & 0x0f) | version << 4);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(ret, NET_ID_SIZE,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		       b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		       b[15]);
}

int net_id_make(char ret[NET_ID_SIZE])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -EIO;
	id_print(b, 4, ret);
	return 0;
}

void net_id_of_name(const char *name, char ret[NET_ID_SIZE])
{
	uint8_t b[16];

	/* FNV-1a with 64 bits, from two beginnings: names of one machine are few. */
	for (unsigned half = 0; half < 2; half++) {
		uint64_t h = 14695981039346656037u + half;

		for (const char *p = name; *p; p++)
			h = (h ^ (unsigned char)*p) * 1099511628211u;
		memcpy(b + 8 * (size_t)half, &h, 8);
	}
	id_print(b, 8, ret);
}

int net_id_parse(const char *text, char ret[NET_ID_SIZE])
{
	size_t len = strlen(text);
	char id[NET_ID_SIZE];

	if (len == NET_ID_SIZE + 1 && text[0] == '{' && text[len - 1] == '}') {
		text++;
		len -= 2;
	}
	if (len != NET_ID_SIZE - 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		id[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] | 0x20) : text[i];
		if (!strchr(dash ? "-" : "0123456789abcdef", id[i]))
			return -EINVAL;
	}
	id[len] = 0;
	memcpy(ret, id, sizeof(id));
	return 0;
}

void net_link_name(const char *prefix, const char *id, char ret[NET_LINK_SIZE])
{
	(void)snprintf(ret, NET_LINK_SIZE, "%.7s%.8s", prefix, id);
}

bool net_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > NET_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i], lower = (char)(c | 0x20);
		bool word = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');

		if (!word && (!i || !strchr("_.-", c)))
			return false;
	}
	return true;
}

/* Of a range, the one that the id's number falls on. */
static struct net_mac mac_of_range(const struct net_mac_range *range, uint64_t number)
{
	uint64_t first = 0, last = 0;
	struct net_mac m = { .set = true };

	for (size_t i = 0; i < 6; i++) {
		first = first << 8 | range->first.bytes[i];
		last = last << 8 | range->last.bytes[i];
	}
	first += number % (last - first + 1);
	for (size_t i = 6; i-- > 0; first >>= 8)
		m.bytes[i] = (uint8_t)first;
	return m;
}

static bool is_last(const struct net_mac_range *range, const struct net_mac *m)
{
	return memcmp(range->last.bytes, m->bytes, sizeof(m->bytes)) == 0;
}

struct net_mac net_mac_next(const struct net_network *n, const struct net_mac *m)
{
	struct net_mac next = *m;

	for (size_t i = 0; i < n->mac_count; i++) {
		if (memcmp(m->bytes, n->macs[i].first.bytes, 6) < 0 ||
		    memcmp(m->bytes, n->macs[i].last.bytes, 6) > 0)
			continue;
		if (is_last(&n->macs[i], m))
			return n->macs[(i + 1) % n->mac_count].first;
		for (size_t k = 6; k-- > 0 && ++next.bytes[k] == 0;)
			;
		break;
	}
	return next;
}

struct net_mac net_endpoint_mac(const struct net_network *n, const struct net_endpoint *e)
{
	struct net_mac m = { .set = true };
	uint64_t number = 0xcbf29ce484222325;

	if (e->mac.set)
		return e->mac;
	for (const char *p = e->id; *p; p++)
		number = (number ^ (uint8_t)*p) * 0x100000001b3;
	if (n->mac_count)
		return mac_of_range(&n->macs[number % n->mac_count], number >> 8);
	for (size_t i = 6; i-- > 0; number >>= 8)
		m.bytes[i] = (uint8_t)number;
	m.bytes[0] = 0x02; /* local, one receiver */
	return m;
}

char *net_endpoint_called(const struct net_endpoint *e)
{
	const char *name = e->name ? e->name : e->id, *dash = strrchr(name, '-');
	bool further = !e->durable && dash && strncmp(e->guest_link, "eth", 3) == 0 &&
		       strcmp(e->guest_link, "eth0") != 0 && !strcmp(dash + 1, e->guest_link + 3);

	return strndup(name, further ? (size_t)(dash - name) : strlen(name));
}
