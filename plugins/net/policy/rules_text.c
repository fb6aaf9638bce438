/* SPDX-License-Identifier: MIT */
/* How rules are written down. */
#include "policy/rules_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *rules_family(int family)
{
	return family == AF_INET6 ? "ip6" : "ip";
}

int rules_end(struct rules *r)
{
	bool failed;

	if (r->flush.data)
		plug_text_add(r->remove, "%s", r->flush.data);
	if (r->drop.data)
		plug_text_add(r->remove, "%s", r->drop.data);
	failed = r->add->failed || r->remove->failed || r->flush.failed || r->drop.failed;
	plug_text_finish(&r->flush);
	plug_text_finish(&r->drop);
	return failed ? -ENOMEM : 0;
}

void rules_element(struct rules *r, const char *set, int family, const char *key, const char *value)
{
	const char *suffix = family == AF_INET ? "4" : family == AF_INET6 ? "6" : "";

	plug_text_add(r->add, "add element inet %s %s%s { %s%s%s }\n", r->table, set, suffix, key,
		      value ? " : " : "", value ? value : "");
	plug_text_add(r->remove, "delete element inet %s %s%s { %s%s%s }\n", r->table, set, suffix,
		      key, value ? " : " : "", value ? value : "");
}

void rules_chain(struct rules *r, const char *chain)
{
	plug_text_add(r->add, "add chain inet %s %s\n", r->table, chain);
	plug_text_add(&r->flush, "flush chain inet %s %s\n", r->table, chain);
	plug_text_add(&r->drop, "delete chain inet %s %s\n", r->table, chain);
}

void rules_rule(struct rules *r, const char *chain, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
		r->add->failed = -ENOMEM;
	}
	va_end(args);
	if (text)
		plug_text_add(r->add, "add rule inet %s %s %s\n", r->table, chain, text);
}

struct net_addr rules_address(const struct net_endpoint *e, int family)
{
	for (size_t i = 0; i < e->ip_count; i++)
		if (e->ips[i].family == family)
			return net_addr_host(&e->ips[i]);
	return (struct net_addr){ 0 };
}

void rules_each_prefix(const struct net_prefixes *p, int family,
		       void (*cb)(void *arg, const struct net_addr *prefix), void *arg)
{
	for (size_t i = 0; i < p->count; i++) {
		bool covered = p->items[i].family != family;

		/* Of two that are the same the first is taken. */
		for (size_t j = 0; !covered && j < p->count; j++)
			covered = j != i && net_addr_contains(&p->items[j], &p->items[i]) &&
				  (j < i || !net_addr_contains(&p->items[i], &p->items[j]));
		if (!covered)
			cb(arg, &p->items[i]);
	}
}

static void prefix_append(void *arg, const struct net_addr *prefix)
{
	struct plug_text *t = arg;
	char text[NET_ADDR_TEXT];

	net_addr_format_prefix(prefix, text);
	plug_text_add(t, "%s%s", t->len ? ", " : "{ ", text);
}

static int text_close(struct plug_text *t, char **ret)
{
	plug_text_add(t, "%s", t->len ? " }" : "");
	if (t->failed) {
		plug_text_finish(t);
		return -ENOMEM;
	}
	*ret = plug_take_ptr(t->data);
	return 0;
}

int rules_prefixes(const struct net_prefixes *p, int family, char **ret)
{
	struct plug_text t = { 0 };

	rules_each_prefix(p, family, prefix_append, &t);
	return text_close(&t, ret);
}

static int range_compare(const void *a, const void *b)
{
	const struct net_port_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

int rules_ports(const struct net_port_range *ranges, size_t count, char **ret)
{
	_cleanup_free_ struct net_port_range *sorted =
		reallocarray(NULL, count ? count : 1, sizeof(*sorted));
	struct plug_text t = { 0 };

	if (!sorted)
		return -ENOMEM;
	if (count)
		memcpy(sorted, ranges, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), range_compare);
	for (size_t i = 0; i < count; i++) {
		struct net_port_range whole = sorted[i];

		while (i + 1 < count && sorted[i + 1].first <= whole.last + 1) {
			i++;
			if (sorted[i].last > whole.last)
				whole.last = sorted[i].last;
		}
		plug_text_add(&t, "%s%u", t.len ? ", " : "{ ", whole.first);
		if (whole.last > whole.first)
			plug_text_add(&t, "-%u", whole.last);
	}
	return text_close(&t, ret);
}
