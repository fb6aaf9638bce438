/* SPDX-License-Identifier: MIT */
/*
 * Policies as text for nft: what is added for an object and what takes it away again.
 *
 * One table holds everything (rules.c shows it whole).  Its chains are the same for every host; networks,
 * endpoints and load balancers are elements of its sets and maps, and where they have access lists, a
 * proxy or backends, one or two small chains of their own.  So plugging in and out is one small transaction,
 * however many there are.
 *
 * Pure.  Any thread.  -EINVAL where a policy cannot be had with that network, with the object and the cause;
 * -ENOMEM.  All texts are for nft_run_cmd_from_buffer().
 */
#ifndef NET_RULES_H
#define NET_RULES_H

#include "common/error.h"
#include "common/text.h"
#include "model/object.h"

/* The table with its empty sets and all its base chains. */
void net_rules_base(const char *table, struct plug_text *add);

/* A network with a bridge of ours; others need no rules: nothing is added. */
int net_rules_network(const char *table, const struct net_network *n, struct plug_text *add,
		      struct plug_text *remove, struct plug_error *err);

/* One endpoint, with its addresses known and its published ports chosen. */
int net_rules_endpoint(const char *table, const struct net_network *n, const struct net_endpoint *e,
		       struct plug_text *add, struct plug_text *remove, struct plug_error *err);

/* endpoints: those of b that are plugged in, in any order; none: packets for its ports are dropped. */
int net_rules_balancer(const char *table, const struct net_balancer *b,
		       const struct net_endpoint *const *endpoints, size_t count, struct plug_text *add,
		       struct plug_text *remove, struct plug_error *err);

/* Whether the policies can be carried out on such a network at all: what net_rules_endpoint() would say. */
int net_rules_check(const struct net_network *n, const struct net_policy *policies, size_t count,
		    struct plug_error *err);
/* The same where an endpoint has no port of a bridge of ours: a macvlan. */
int net_rules_check_bridged(const struct net_network *n, const struct net_policy *policies, size_t count,
			    struct plug_error *err);

#endif
