/* SPDX-License-Identifier: MIT */
/* Published ports, outgoing translation and proxies as text for nft. */
#include "policy/rules_private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* One port, or a range that has the same numbers on both sides. */
static void port_elements(struct rules *r, const struct net_policy_port *port,
			  const struct net_addr *to)
{
	bool host = port->host.family && !net_addr_is_any(&port->host);
	char address[NET_ADDR_TEXT], before[NET_ADDR_TEXT + 4] = "", key[128], value[96];

	net_addr_format(to, address);
	if (host) {
		net_addr_format(&port->host, before);
		strcat(before, " . ");
	}
	if (port->count > 1 && port->internal == port->external) {
		(void)snprintf(key, sizeof(key), "%s%u . %u-%u", before, port->protocol,
			       port->external, port->external + port->count - 1);
		rules_element(r, host ? "hostrange" : "range", to->family, key, address);
		return;
	}
	for (unsigned i = 0; i < port->count; i++) {
		(void)snprintf(key, sizeof(key), "%s%u . %u", before, port->protocol,
			       port->external + i);
		(void)snprintf(value, sizeof(value), "%s . %u", address, port->internal + i);
		rules_element(r, host ? "hostport" : "port", to->family, key, value);
	}
}

void rules_ports_add(struct rules *r, const struct net_endpoint *e)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < e->policy_count; i++) {
		const struct net_policy_port *port = &e->policies[i].port;

		if (e->policies[i].kind != NET_POLICY_PORT)
			continue;
		for (size_t f = 0; f < PLUG_ELEMENTS(families); f++) {
			struct net_addr to = rules_address(e, families[f]);

			if (!to.family || (port->host.family && port->host.family != families[f]))
				continue;
			if (port->flags & NET_PORT_FLAG_IPV6 && families[f] == AF_INET)
				continue;
			port_elements(r, port, &to);
		}
	}
}

/* Pairs of the endpoint's address and a prefix. */
struct pairs {
	struct rules *rules;
	const char *set;
	char address[NET_ADDR_TEXT];
	int family;
};

static void pair_add(void *arg, const struct net_addr *prefix)
{
	struct pairs *p = arg;
	char text[NET_ADDR_TEXT], key[NET_ADDR_TEXT + NET_ADDR_TEXT + 4];

	net_addr_format_prefix(prefix, text);
	(void)snprintf(key, sizeof(key), "%s . %s", p->address, text);
	rules_element(p->rules, p->set, p->family, key, NULL);
}

static void outbound_elements(struct rules *r, const struct net_policy_outbound *out,
			      const struct net_addr *from)
{
	struct pairs pairs = { .rules = r, .family = from->family };
	char vip[NET_ADDR_TEXT];

	net_addr_format(from, pairs.address);
	pairs.set = "except";
	rules_each_prefix(&out->exceptions, from->family, pair_add, &pairs);
	pairs.set = "towards";
	rules_each_prefix(&out->destinations, from->family, pair_add, &pairs);
	rules_element(r, out->destinations.count ? "only" : "outbound", from->family, pairs.address,
		      NULL);
	if (out->vip.family == from->family) {
		net_addr_format(&out->vip, vip);
		rules_element(r, "source", from->family, pairs.address, vip);
	}
}

void rules_outbound_add(struct rules *r, const struct net_network *n, const struct net_endpoint *e)
{
	const struct net_policy *p =
		net_policies_find(e->policies, e->policy_count, NET_POLICY_OUTBOUND);

	if (!p)
		p = net_policies_find(n->policies, n->policy_count, NET_POLICY_OUTBOUND);
	for (size_t i = 0; p && i < e->ip_count; i++)
		outbound_elements(r, &p->outbound, &e->ips[i]);
}

struct proxy {
	struct rules *rules;
	const char *chain;
	const struct net_policy_proxy *policy;
	int family;
};

static int proxy_rules(const struct proxy *x)
{
	const struct net_policy_proxy *p = x->policy;
	_cleanup_free_ char *exceptions = NULL, *ports = NULL;
	char to[NET_ADDR_TEXT], action[NET_ADDR_TEXT + 24], prefix[NET_ADDR_TEXT],
		where[NET_ADDR_TEXT + 16] = "";
	const char *ip = rules_family(x->family);

	if (rules_prefixes(&p->exceptions, x->family, &exceptions) < 0 ||
	    rules_ports(p->ports, p->port_count, &ports) < 0)
		return -ENOMEM;
	if (exceptions && *exceptions)
		rules_rule(x->rules, x->chain, "%s daddr %s return", ip, exceptions);
	if (p->destination.family == x->family) {
		net_addr_format_prefix(&p->destination, prefix);
		(void)snprintf(where, sizeof(where), "%s daddr %s ", ip, prefix);
	}
	net_addr_format(&p->address, to);
	if (!p->address.family)
		(void)snprintf(action, sizeof(action), "redirect to :%u", p->port);
	else if (x->family == AF_INET6)
		(void)snprintf(action, sizeof(action), "dnat ip6 to [%s]:%u", to, p->port);
	else
		(void)snprintf(action, sizeof(action), "dnat ip to %s:%u", to, p->port);
	if (p->address.family) /* what goes there by itself arrives there */
		rules_rule(x->rules, x->chain, "%s daddr %s return", ip, to);
	rules_rule(x->rules, x->chain, "%smeta l4proto %u%s%s %s", where, p->protocol,
		   ports && *ports ? " th dport " : "", ports ? ports : "", action);
	return 0;
}

/* Which of the endpoint's families a proxy is for. */
static bool proxy_family(const struct net_policy_proxy *p, int family)
{
	if (p->wfp || (p->address.family && p->address.family != family))
		return false;
	return !p->destination.family || p->destination.family == family;
}

static int proxies_of(struct rules *r, const struct net_policy *policies, size_t count,
		      const char *chain, int family, bool *started)
{
	for (size_t i = 0; i < count; i++) {
		struct proxy x = { r, chain, &policies[i].proxy, family };

		if (policies[i].kind != NET_POLICY_PROXY ||
		    !proxy_family(&policies[i].proxy, family))
			continue;
		if (!*started)
			rules_chain(r, chain);
		*started = true;
		if (proxy_rules(&x) < 0)
			return -ENOMEM;
	}
	return 0;
}

int rules_proxy_add(struct rules *r, const struct net_network *n, const struct net_endpoint *e)
{
	for (size_t i = 0; i < e->ip_count; i++) {
		const struct net_addr *from = &e->ips[i];
		char chain[64], address[NET_ADDR_TEXT], verdict[80];
		bool started = false;

		/* Of several addresses each has its own. */
		(void)snprintf(chain, sizeof(chain), "proxy-%s-%zu", e->id, i);
		if (proxies_of(r, e->policies, e->policy_count, chain, from->family, &started) <
			    0 ||
		    proxies_of(r, n->policies, n->policy_count, chain, from->family, &started) < 0)
			return -ENOMEM;
		if (!started)
			continue;
		net_addr_format(from, address);
		(void)snprintf(verdict, sizeof(verdict), "jump %s", chain);
		rules_element(r, "proxy", from->family, address, verdict);
	}
	return 0;
}
