/* SPDX-License-Identifier: MIT */
/* Single words about a network, as the command line and the configuration have them. */
#include "model/make.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct net_subnet *net_subnet_of(const struct net_network *n, const struct net_addr *a)
{
	for (size_t i = 0; i < n->subnet_count; i++)
		if (net_addr_contains(&n->subnets[i].prefix, a))
			return &n->subnets[i];
	return NULL;
}

const char *net_word_gateway(struct net_network *n, const char *text, bool *none)
{
	struct net_addr a;
	struct net_subnet *subnet = net_addr_parse(text, &a) == 0 ? net_subnet_of(n, &a) : NULL;

	if (!strcmp(text, "none")) {
		*none = true;
		return net_type_is_routed(n->type) ? "cannot be where this host is the gateway" : NULL;
	}
	if (!subnet)
		return "is not an address of one of the subnets";
	if (subnet->gateway.family)
		return "is the second one of its subnet";
	subnet->gateway = a;
	return NULL;
}

void net_word_gateway_usual(struct net_network *n)
{
	for (size_t i = 0; net_type_has_adapter(n->type) && i < n->subnet_count; i++) {
		struct net_subnet *s = &n->subnets[i];

		if (!s->gateway.family && net_addr_bits(&s->prefix) - s->prefix.prefix > 1)
			net_subnet_gateway(s);
	}
}

const char *net_word_aux(struct net_network *n, const char *text)
{
	const char *equal = strchr(text, '='), *address = equal ? equal + 1 : text;
	struct net_addr a;
	char name[64];

	(void)snprintf(name, sizeof(name), "%.*s", equal ? (int)(equal - text) : 0, text);
	if (net_addr_parse(address, &a) < 0 || !net_subnet_of(n, &a))
		return "is not NAME=ADDRESS, of one of the subnets";
	return net_network_aux(n, *name ? name : address, &a) < 0 ? strerror(ENOMEM) : NULL;
}

static bool is_host(const struct net_addr *a)
{
	return !net_addr_is_any(a) && !net_addr_is_loopback(a) &&
	       a->bytes[0] < (a->family == AF_INET ? 224 : 0xff);
}

const char *net_word_peer(struct net_network *n, const char *text)
{
	struct net_policy p = { .kind = NET_POLICY_ROUTE, .route.remote = true };
	int r = 0;

	if (n->type != NET_OVERLAY)
		return "is for overlay only";
	if (net_addr_parse(text, &p.route.provider) < 0 || !is_host(&p.route.provider))
		return "is not the address of a host";
	for (size_t i = 0; r == 0 && i < n->subnet_count; i++) {
		struct net_policy one = p;

		one.route.destination = n->subnets[i].prefix;
		one.route.isolation = n->subnets[i].vsid;
		r = net_policies_add(&n->policies, &n->policy_count, &one);
	}
	return r < 0 ? strerror(ENOMEM) : NULL;
}
