/* SPDX-License-Identifier: MIT */
/* Pieces of the text for nft.  Private to policy/. */
#ifndef NET_RULES_PRIVATE_H
#define NET_RULES_PRIVATE_H

#include "policy/private.h"
#include "policy/rules.h"

/* What is collected for one object.  Chains go last, when nothing leads to them any more. */
struct rules {
	const char *table;
	struct plug_text *add, *remove;
	struct plug_text flush, drop;
};

#define RULES(t, a, d) { .table = (t), .add = (a), .remove = (d) }

/* The chains' removal behind the elements'; -ENOMEM where any text is not whole. */
int rules_end(struct rules *r);

/* An element of a set or map; value NULL: of a set. */
void rules_element(struct rules *r, const char *set, int family, const char *key, const char *value);
/* The chain exists from here on. */
void rules_chain(struct rules *r, const char *chain);
/* One rule, at the end of a chain. */
void rules_rule(struct rules *r, const char *chain, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "ip" or "ip6". */
const char *rules_family(int family);
/* The endpoint's first address of that family; family 0: none. */
struct net_addr rules_address(const struct net_endpoint *e, int family);

/*
 * "{ a, b }" of those of one family, none of which lies in another; "" where there are none of it.
 * -ENOMEM.
 */
int rules_prefixes(const struct net_prefixes *p, int family, char **ret);
int rules_ports(const struct net_port_range *ranges, size_t count, char **ret);

/* Calls cb for each prefix of that family that does not lie in another of them. */
void rules_each_prefix(const struct net_prefixes *p, int family,
		       void (*cb)(void *arg, const struct net_addr *prefix), void *arg);

void rules_ports_add(struct rules *r, const struct net_endpoint *e);
void rules_outbound_add(struct rules *r, const struct net_network *n, const struct net_endpoint *e);
int rules_proxy_add(struct rules *r, const struct net_network *n, const struct net_endpoint *e);
int rules_acl_add(struct rules *r, const struct net_network *n, const struct net_endpoint *e);

#endif
