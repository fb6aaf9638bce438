/* SPDX-License-Identifier: MIT */
#include "policy/guest.h"
#include "kernel/netns.h"
#include "policy/private.h"
#include "policy/rules_private.h"
#include "policy/table_private.h"

#include <stdio.h>
#include <string.h>

#define TABLE "cowherd-guest"

static const int families[] = { AF_INET, AF_INET6 };

/* "1337", "S-1-22-1-1337": the user that is not diverted, which is the proxy's own. */
static int user_parse(const char *sid, unsigned *ret)
{
	static const char samba[] = "S-1-22-1-";
	const char *digits = strncmp(sid, samba, sizeof(samba) - 1) ? sid : sid + sizeof(samba) - 1;
	size_t len = strspn(digits, "0123456789");
	unsigned long n;

	if (!len || len > 10 || digits[len])
		return -EINVAL;
	n = strtoul(digits, NULL, 10);
	if (n >= UINT32_MAX)
		return -EINVAL;
	*ret = (unsigned)n;
	return 0;
}

int net_guest_check(const struct net_policy *policies, size_t count, struct plug_error *err)
{
	unsigned user;

	for (size_t i = 0; i < count; i++) {
		const char *sid = policies[i].kind == NET_POLICY_PROXY ? policies[i].proxy.user : NULL;

		if (sid && *sid && user_parse(sid, &user) < 0)
			return plug_error_set(err, -EINVAL, "UserSID: %.64s is nobody on Linux", sid);
	}
	return 0;
}

static int exceptions_add(struct plug_text *t, const struct net_prefixes *addresses,
			  const struct net_port_range *ports, size_t port_count)
{
	_cleanup_free_ char *list = NULL;

	if (rules_ports(ports, port_count, &list) < 0)
		return -ENOMEM;
	if (list && *list)
		plug_text_add(t, "		th dport %s return\n", list);
	for (size_t f = 0; f < PLUG_ELEMENTS(families); f++) {
		_cleanup_free_ char *prefixes = NULL;

		if (rules_prefixes(addresses, families[f], &prefixes) < 0)
			return -ENOMEM;
		if (prefixes && *prefixes)
			plug_text_add(t, "		%s daddr %s return\n",
				      rules_family(families[f]), prefixes);
	}
	return 0;
}

static int outbound_add(struct plug_text *t, const struct net_policy_proxy *p)
{
	_cleanup_free_ char *ports = NULL;
	char prefix[NET_ADDR_TEXT];
	unsigned user = 0;

	if (rules_ports(p->ports, p->port_count, &ports) < 0)
		return -ENOMEM;
	plug_text_add(t, "		meta l4proto != %u return\n", p->protocol);
	if (p->user && *p->user && user_parse(p->user, &user) == 0)
		plug_text_add(t, "		meta skuid %u return\n", user);
	plug_text_add(t, "		fib daddr type local return\n");
	if (exceptions_add(t, &p->exceptions, p->port_exceptions, p->port_exception_count) < 0)
		return -ENOMEM;
	plug_text_add(t, "		");
	net_addr_format_prefix(&p->destination, prefix);
	if (p->destination.family)
		plug_text_add(t, "%s daddr %s ", rules_family(p->destination.family), prefix);
	plug_text_add(t, "meta l4proto %u %s%s redirect to :%u\n", p->protocol,
		      ports && *ports ? "th dport " : "", ports ? ports : "", p->port);
	return 0;
}

static int inbound_add(struct plug_text *t, const struct net_policy_proxy *p)
{
	plug_text_add(t, "		meta l4proto != %u return\n", p->protocol);
	if (exceptions_add(t, &p->inbound_exceptions, p->inbound_port_exceptions,
			   p->inbound_port_exception_count) < 0)
		return -ENOMEM;
	plug_text_add(t, "		meta l4proto %u redirect to :%u\n", p->protocol,
		      p->inbound);
	return 0;
}

/* The first that asks for it decides a direction. */
static const struct net_policy_proxy *proxy_find(const struct net_endpoint *e, bool out)
{
	for (size_t i = 0; i < e->policy_count; i++) {
		const struct net_policy_proxy *p = &e->policies[i].proxy;

		if (e->policies[i].kind == NET_POLICY_PROXY && p->wfp &&
		    (out ? p->port : p->inbound))
			return p;
	}
	return NULL;
}

int net_guest_rules(const struct net_endpoint *e, struct plug_text *ret, struct plug_error *err)
{
	const struct net_policy_proxy *out = proxy_find(e, true), *in = proxy_find(e, false);
	char name[96];
	int r = 0;

	if (!out && !in)
		return 0;
	if (net_guest_check(e->policies, e->policy_count, err) < 0) {
		(void)snprintf(name, sizeof(name), "endpoint %s", e->name ? e->name : e->id);
		return net_policy_in(err, -EINVAL, name);
	}
	plug_text_add(ret, "add table inet " TABLE "\ndelete table inet " TABLE "\ntable inet " TABLE
			  " {\n");
	if (out) {
		plug_text_add(ret,
			      "	chain output {\n"
			      "		type nat hook output priority -100; policy accept;\n");
		r = outbound_add(ret, out);
		plug_text_add(ret, "	}\n");
	}
	if (in && r == 0) {
		plug_text_add(ret, "	chain prerouting {\n"
				  "		type nat hook prerouting priority dstnat; policy "
				  "accept;\n");
		r = inbound_add(ret, in);
		plug_text_add(ret, "	}\n");
	}
	plug_text_add(ret, "}\n");
	return r < 0 || ret->failed ? plug_error_errno(err, -ENOMEM, "endpoint %s", e->id) : 0;
}

struct apply {
	const char *text;
	struct plug_error *err;
};

static int apply_cb(void *arg)
{
	struct apply *a = arg;
	struct net_table guest = { .name = TABLE };

	return table_run(&guest, a->text, false, NULL, a->err);
}

int net_guest_apply(int netns, const struct net_endpoint *e, struct plug_error *err)
{
	_cleanup_text_ struct plug_text text = { 0 };
	struct apply a = { .err = err };
	int r = net_guest_rules(e, &text, err);

	if (r < 0)
		return r;
	a.text = text.data ? text.data : "add table inet " TABLE "\ndelete table inet " TABLE "\n";
	return net_ns_call(netns, apply_cb, &a);
}
