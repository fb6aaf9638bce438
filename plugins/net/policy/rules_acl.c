/* SPDX-License-Identifier: MIT */
/*
 * Access lists as text for nft.  A direction of an endpoint is a row of chains: its tiers in their order,
 * then its list together with its network's.  In each the rule with the lowest priority that matches decides:
 * Block drops, Allow leaves the row, Pass goes on to the next chain of it, as does no match at all.
 * At the same priority Block comes before the others, then the order given.
 */
#include "policy/rules_private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct ranked {
	const struct net_acl *acl;
	size_t place;
};

static unsigned rank(const struct net_acl *a)
{
	return a->priority ? a->priority : UINT16_MAX + 1u;
}

static int ranked_compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	bool x_block = x->acl->action == NET_ACL_BLOCK, y_block = y->acl->action == NET_ACL_BLOCK;

	if (rank(x->acl) != rank(y->acl))
		return rank(x->acl) < rank(y->acl) ? -1 : 1;
	if (x_block != y_block)
		return x_block ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

/* A rule's parts as text; "" where all match. */
struct parts {
	char *protocols, *local, *remote, *local_ports, *remote_ports;
};

static void parts_finish(struct parts *p)
{
	free(p->protocols);
	free(p->local);
	free(p->remote);
	free(p->local_ports);
	free(p->remote_ports);
}

static int protocols_text(const struct net_acl *a, char **ret)
{
	struct plug_text t = { 0 };
	bool ports = a->local_port_count || a->remote_port_count;

	if (a->protocol_count)
		for (size_t i = 0; i < a->protocol_count; i++)
			plug_text_add(&t, "%s%u", i ? ", " : "meta l4proto { ", a->protocols[i]);
	else if (ports) /* those that have ports */
		plug_text_add(&t, "meta l4proto { 6, 17, 132");
	plug_text_add(&t, "%s", t.len ? " } " : "");
	if (t.failed) {
		plug_text_finish(&t);
		return -ENOMEM;
	}
	*ret = t.data;
	return 0;
}

static void rule_write(struct rules *r, const char *chain, const struct net_acl *a,
		       const struct parts *p, const char *ip, const char *verdict)
{
	const char *from = a->out ? "saddr" : "daddr", *to = a->out ? "daddr" : "saddr";
	const char *from_port = a->out ? "sport" : "dport", *to_port = a->out ? "dport" : "sport";
	_cleanup_text_ struct plug_text t = { 0 };

	if (*p->local)
		plug_text_add(&t, "%s %s %s ", ip, from, p->local);
	if (*p->remote)
		plug_text_add(&t, "%s %s %s ", ip, to, p->remote);
	plug_text_add(&t, "%s", p->protocols ? p->protocols : "");
	if (*p->local_ports)
		plug_text_add(&t, "th %s %s ", from_port, p->local_ports);
	if (*p->remote_ports)
		plug_text_add(&t, "th %s %s ", to_port, p->remote_ports);
	if (t.failed)
		r->add->failed = -ENOMEM;
	else
		rules_rule(r, chain, "%s%s", t.data ? t.data : "", verdict);
}

/* One rule, or one for each family that it names addresses of. */
static int acl_write(struct rules *r, const char *chain, const struct net_acl *a,
		     const char *verdict)
{
	static const int families[] = { AF_INET, AF_INET6 };
	bool addresses = a->local.count || a->remote.count;

	for (size_t f = 0; f < PLUG_ELEMENTS(families); f++) {
		__attribute__((cleanup(parts_finish))) struct parts p = { 0 };

		if (protocols_text(a, &p.protocols) < 0 ||
		    rules_prefixes(&a->local, families[f], &p.local) < 0 ||
		    rules_prefixes(&a->remote, families[f], &p.remote) < 0 ||
		    rules_ports(a->local_ports, a->local_port_count, &p.local_ports) < 0 ||
		    rules_ports(a->remote_ports, a->remote_port_count, &p.remote_ports) < 0)
			return -ENOMEM;
		/* A list that names only the other family does not match this one. */
		if ((a->local.count && !*p.local) || (a->remote.count && !*p.remote))
			continue;
		rule_write(r, chain, a, &p, rules_family(families[f]), verdict);
		if (!addresses)
			break;
	}
	return 0;
}

static int list_write(struct rules *r, const char *chain, struct ranked *list, size_t count,
		      const char *next)
{
	char pass[96];

	qsort(list, count, sizeof(*list), ranked_compare);
	(void)snprintf(pass, sizeof(pass), "%s%s", next ? "goto " : "return", next ? next : "");
	for (size_t i = 0; i < count; i++) {
		const struct net_acl *a = list[i].acl;

		if (acl_write(r, chain, a,
			      a->action == NET_ACL_BLOCK ? "drop" :
			      a->action == NET_ACL_PASS	 ? pass :
							   "return") < 0)
			return -ENOMEM;
	}
	if (next)
		rules_rule(r, chain, "%s", pass);
	return 0;
}

struct row {
	struct rules *rules;
	const struct net_endpoint *e;
	const struct net_policy_tier **tiers;
	size_t tier_count;
	struct ranked *list;
	size_t list_count;
	bool out;
};

static void chain_name(const struct row *row, size_t i, char text[64])
{
	(void)snprintf(text, 64, "%s-%s-%zu", row->out ? "out" : "in", row->e->id, i);
}

static int tier_write(const struct row *row, size_t i, const char *chain, const char *next)
{
	const struct net_policy_tier *t = row->tiers[i];
	_cleanup_free_ struct ranked *list = calloc(t->count ? t->count : 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t j = 0; j < t->count; j++)
		list[j] = (struct ranked){ &t->rules[j], j };
	return list_write(row->rules, chain, list, t->count, next);
}

static int row_write(struct row *row)
{
	size_t chains = row->tier_count + (row->list_count > 0);
	char chain[64], next[64], verdict[80], address[NET_ADDR_TEXT];

	for (size_t i = 0; i < chains; i++) {
		chain_name(row, i, chain);
		rules_chain(row->rules, chain);
	}
	for (size_t i = 0; i < chains; i++) {
		const char *after = i + 1 < chains ? next : NULL;
		int r;

		chain_name(row, i, chain);
		chain_name(row, i + 1, next);
		if (i < row->tier_count)
			r = tier_write(row, i, chain, after);
		else
			r = list_write(row->rules, chain, row->list, row->list_count, after);
		if (r < 0)
			return r;
	}
	chain_name(row, 0, chain);
	(void)snprintf(verdict, sizeof(verdict), "jump %s", chain);
	for (size_t i = 0; chains && i < row->e->ip_count; i++) {
		net_addr_format(&row->e->ips[i], address);
		rules_element(row->rules, row->out ? "aclout" : "aclin", row->e->ips[i].family,
			      address, verdict);
	}
	return 0;
}

static int tier_compare(const void *a, const void *b)
{
	const struct net_policy_tier *const *x = a, *const *y = b;

	return ((*x)->order > (*y)->order) - ((*x)->order < (*y)->order);
}

static void row_collect(struct row *row, const struct net_policy *policies, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (policies[i].kind == NET_POLICY_TIER && policies[i].tier.out == row->out)
			row->tiers[row->tier_count++] = &policies[i].tier;
		if (policies[i].kind != NET_POLICY_ACL || policies[i].acl.out != row->out)
			continue;
		row->list[row->list_count] = (struct ranked){ &policies[i].acl, row->list_count };
		row->list_count++;
	}
}

int rules_acl_add(struct rules *r, const struct net_network *n, const struct net_endpoint *e)
{
	size_t most = n->policy_count + e->policy_count + 1;
	_cleanup_free_ struct ranked *list = calloc(most, sizeof(*list));
	_cleanup_free_ const struct net_policy_tier **tiers =
		calloc(most, sizeof(struct net_policy_tier *));

	if (!list || !tiers)
		return -ENOMEM;
	for (int out = 0; out < 2; out++) {
		struct row row = { .rules = r, .e = e, .tiers = tiers, .list = list, .out = out };

		row_collect(&row, e->policies, e->policy_count);
		row_collect(&row, n->policies, n->policy_count);
		qsort(row.tiers, row.tier_count, sizeof(struct net_policy_tier *), tier_compare);
		if (row_write(&row) < 0)
			return -ENOMEM;
	}
	return 0;
}
