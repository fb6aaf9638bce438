/* SPDX-License-Identifier: MIT */
/* Networks, endpoints and load balancers as elements of the table. */
#include "model/make.h"
#include "policy/guest.h"
#include "policy/rules_private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const int families[] = { AF_INET, AF_INET6 };

static bool bridged(const struct net_network *n)
{
	return n->bridge[0] && n->type != NET_CNI;
}

static bool translated(const struct net_network *n)
{
	return n->type == NET_NAT || n->type == NET_ICS || n->type == NET_OVERLAY;
}

static bool closed(const struct net_network *n)
{
	return n->type == NET_PRIVATE || n->type == NET_INTERNAL;
}

static void subnet_add(struct rules *r, const struct net_network *n, const struct net_subnet *s)
{
	char prefix[NET_ADDR_TEXT], key[NET_ADDR_TEXT + NET_LINK_SIZE + 8];

	net_addr_format_prefix(&s->prefix, prefix);
	(void)snprintf(key, sizeof(key), "\"%s\" . %s", n->bridge, prefix);
	rules_element(r, "home", s->prefix.family, key, NULL);
	if (translated(n))
		rules_element(r, "nat", s->prefix.family, prefix, NULL);
}

int net_rules_network(const char *table, const struct net_network *n, struct plug_text *add,
		      struct plug_text *remove, struct plug_error *err)
{
	struct rules r = RULES(table, add, remove);
	char name[NET_LINK_SIZE + 2], pair[2 * NET_LINK_SIZE + 8];

	if (!bridged(n))
		return 0;
	(void)snprintf(name, sizeof(name), "\"%s\"", n->bridge);
	(void)snprintf(pair, sizeof(pair), "%s . %s", name, name);
	rules_element(&r, "bridges", 0, name, NULL);
	rules_element(&r, "within", 0, pair, NULL);
	if (closed(n))
		rules_element(&r, "closed", 0, name, NULL);
	if (n->type == NET_PRIVATE)
		rules_element(&r, "private", 0, name, NULL);
	if (translated(n))
		rules_element(&r, "hidden", 0, name, NULL);
	for (size_t i = 0; i < n->subnet_count; i++)
		subnet_add(&r, n, &n->subnets[i]);
	return rules_end(&r) < 0 ? plug_error_errno(err, -ENOMEM, "network %s", n->name) : 0;
}

static const char *kind_text(const struct net_policy *p)
{
	switch (p->kind) {
	case NET_POLICY_PORT:
		return "published ports";
	case NET_POLICY_OUTBOUND:
		return "OutBoundNAT";
	case NET_POLICY_ACL:
	case NET_POLICY_TIER:
		return "access lists";
	case NET_POLICY_PROXY:
		return "proxies";
	case NET_POLICY_QOS:
		return "bandwidth limits";
	default:
		return NULL;
	}
}

int net_rules_check_bridged(const struct net_network *n, const struct net_policy *policies, size_t count,
			    struct plug_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *what = kind_text(&policies[i]);

		if (what && n->bridge[0])
			return plug_error_set(err, -EINVAL,
					      "network %s: %s need a bridge of this host, and %s has "
					      "addresses that it would lose as a port of one",
					      n->name, what, n->adapter);
		if (what)
			return plug_error_set(err, -EINVAL, "network %s: %s need a bridge of this host",
					      n->name, what);
	}
	return 0;
}

/* Nothing leaves a closed network; and the host has no address on the others that it does not route. */
static const char *hindrance(const struct net_network *n, enum net_policy_kind kind)
{
	if (closed(n) && (kind == NET_POLICY_PORT || kind == NET_POLICY_OUTBOUND))
		return "nothing leaves it or comes in";
	if ((n->type == NET_L2BRIDGE || n->type == NET_L2TUNNEL) && kind == NET_POLICY_PORT)
		return "its containers are reached by their own addresses";
	return NULL;
}

/* One link below a network: an endpoint cannot be elsewhere. */
static int isolation_check(const struct net_network *n, const struct net_policy *p, struct plug_error *err)
{
	uint32_t whole = p->kind == NET_POLICY_VLAN ? net_network_vlan(n) : net_network_vsid(n);

	if (!p->number || p->number == whole || (p->kind == NET_POLICY_VSID && n->type != NET_OVERLAY))
		return 0;
	return plug_error_set(err, -EINVAL, "network %s: %s %u of an endpoint: the network's is %u", n->name,
			      p->kind == NET_POLICY_VLAN ? "VLAN" : "VSID", p->number, whole);
}

/* Any port that is free is another one. */
static bool ports_meet(const struct net_policy *a, const struct net_policy *b)
{
	const struct net_policy_port *p = &a->port, *q = &b->port;

	if (a->kind != NET_POLICY_PORT || b->kind != NET_POLICY_PORT || p->protocol != q->protocol ||
	    !p->external || !q->external)
		return false;
	if (p->external >= q->external + q->count || q->external >= p->external + p->count)
		return false;
	return !p->host.family || !q->host.family || net_addr_same(&p->host, &q->host);
}

static int ports_distinct(const struct net_policy *policies, size_t count, struct plug_error *err)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (ports_meet(&policies[i], &policies[j]))
				return plug_error_set(err, -EEXIST, "port %u of the host is asked for twice",
						      policies[i].port.external > policies[j].port.external ?
							      policies[i].port.external :
							      policies[j].port.external);
	return 0;
}

int net_rules_check(const struct net_network *n, const struct net_policy *policies, size_t count,
		    struct plug_error *err)
{
	int r = n->bridge[0] || n->type == NET_CNI ? 0 : net_rules_check_bridged(n, policies, count, err);

	r = r ?: ports_distinct(policies, count, err) ?: net_guest_check(policies, count, err);
	for (size_t i = 0; r == 0 && i < count && n->type != NET_CNI; i++) {
		const char *why = hindrance(n, policies[i].kind);

		if (why)
			r = plug_error_set(err, -EINVAL, "network %s: no %s: %s", n->name,
					   kind_text(&policies[i]), why);
		else if (policies[i].kind == NET_POLICY_VLAN || policies[i].kind == NET_POLICY_VSID)
			r = isolation_check(n, &policies[i], err);
	}
	return r;
}

/* A port that is asked for on an address of a family needs an address of that family behind it. */
static int ports_check(const struct net_endpoint *e, struct plug_error *err)
{
	for (size_t i = 0; i < e->policy_count; i++) {
		const struct net_policy_port *port = &e->policies[i].port;
		int family = port->host.family;

		if (e->policies[i].kind != NET_POLICY_PORT)
			continue;
		if (!family && port->flags & NET_PORT_FLAG_IPV6)
			family = AF_INET6;
		if (!port->external)
			return plug_error_set(err, -EINVAL,
					      "endpoint %s: port %u: no port of the host was chosen",
					      e->name ? e->name : e->id, port->internal);
		if (family && !rules_address(e, family).family)
			return plug_error_set(err, -EINVAL,
					      "endpoint %s: port %u: it has no %s address",
					      e->name ? e->name : e->id, port->external,
					      family == AF_INET ? "IPv4" : "IPv6");
	}
	return 0;
}

static void alone_add(struct rules *r, const struct net_endpoint *e)
{
	char address[NET_ADDR_TEXT];

	for (size_t i = 0; e->disable_icc && i < e->ip_count; i++) {
		net_addr_format(&e->ips[i], address);
		rules_element(r, "alone", e->ips[i].family, address, NULL);
	}
}

int net_rules_endpoint(const char *table, const struct net_network *n, const struct net_endpoint *e,
		       struct plug_text *add, struct plug_text *remove, struct plug_error *err)
{
	struct rules r = RULES(table, add, remove);
	int ret = net_rules_check(n, e->policies, e->policy_count, err);

	if (ret < 0 || !bridged(n))
		return ret;
	ret = ports_check(e, err);
	if (ret < 0)
		return ret;
	rules_ports_add(&r, e);
	rules_outbound_add(&r, n, e);
	alone_add(&r, e);
	ret = rules_proxy_add(&r, n, e);
	if (ret == 0)
		ret = rules_acl_add(&r, n, e);
	if (rules_end(&r) < 0 || ret < 0)
		return plug_error_errno(err, -ENOMEM, "endpoint %s", e->name ? e->name : e->id);
	return 0;
}

static const char *spread_text(uint32_t distribution, int family, char text[64])
{
	const char *ip = rules_family(family);

	if (distribution == 0)
		return "numgen inc";
	(void)snprintf(text, 64,
		       distribution == 1 ? "jhash %s saddr . meta l4proto" : "jhash %s saddr", ip);
	return text;
}

/* One port of a balancer, of one family: a chain that chooses. */
static void balancer_chain(struct rules *r, const char *chain, const struct net_balancer_port *port,
			   int family, const struct net_endpoint *const *endpoints, size_t count)
{
	_cleanup_text_ struct plug_text to = { 0 };
	char spread[64], address[NET_ADDR_TEXT];
	unsigned backends = 0;

	for (size_t i = 0; i < count; i++) {
		struct net_addr a = rules_address(endpoints[i], family);

		if (!a.family)
			continue;
		net_addr_format(&a, address);
		plug_text_add(&to, "%s%u : %s . %u", backends ? ", " : "", backends, address,
			      port->internal);
		backends++;
	}
	if (to.failed)
		r->add->failed = -ENOMEM;
	rules_chain(r, chain);
	if (backends)
		rules_rule(r, chain, "meta l4proto %u dnat %s to %s mod %u map { %s }",
			   port->protocol, rules_family(family),
			   spread_text(port->distribution, family, spread), backends,
			   to.data ? to.data : "");
	else
		rules_rule(r, chain, "drop");
}

static void balancer_vip(struct rules *r, const struct net_balancer *b,
			 const struct net_balancer_port *port, const struct net_addr *vip,
			 const char *verdict)
{
	char address[NET_ADDR_TEXT], source[NET_ADDR_TEXT], key[96];

	net_addr_format(vip, address);
	(void)snprintf(key, sizeof(key), "%s . %u . %u", address, port->protocol, port->external);
	rules_element(r, "vip", vip->family, key, verdict);
	if (b->source_vip.family != vip->family)
		return;
	net_addr_format(&b->source_vip, source);
	(void)snprintf(key, sizeof(key), "%s . %u", address, port->external);
	rules_element(r, port->protocol == IPPROTO_UDP ? "vipudp" : "viptcp", vip->family, key,
		      source);
}

static void balancer_port(struct rules *r, const struct net_balancer *b, size_t i, int family,
			  const struct net_endpoint *const *endpoints, size_t count)
{
	const struct net_balancer_port *port = &b->ports[i];
	char chain[96], verdict[104], key[32];
	bool any = !b->vip_count;

	for (size_t v = 0; v < b->vip_count; v++)
		any = any || b->vips[v].family == family;
	if (!any)
		return;
	(void)snprintf(chain, sizeof(chain), "balance-%s-%zu-%s", b->id, i, rules_family(family));
	(void)snprintf(verdict, sizeof(verdict), "goto %s", chain);
	balancer_chain(r, chain, port, family, endpoints, count);
	for (size_t v = 0; v < b->vip_count; v++)
		if (b->vips[v].family == family)
			balancer_vip(r, b, port, &b->vips[v], verdict);
	if (b->vip_count)
		return;
	(void)snprintf(key, sizeof(key), "%u . %u", port->protocol, port->external);
	rules_element(r, "balance", family, key, verdict);
}

int net_rules_balancer(const char *table, const struct net_balancer *b,
		       const struct net_endpoint *const *endpoints, size_t count,
		       struct plug_text *add, struct plug_text *remove, struct plug_error *err)
{
	struct rules r = RULES(table, add, remove);

	for (size_t i = 0; i < b->port_count; i++)
		for (size_t f = 0; f < PLUG_ELEMENTS(families); f++)
			balancer_port(&r, b, i, families[f], endpoints, count);
	return rules_end(&r) < 0 ? plug_error_errno(err, -ENOMEM, "load balancer %s", b->id) : 0;
}
