/* SPDX-License-Identifier: MIT */
/* Endpoints of networks that CNI plugins make: the chain does everything, we remember what came of it. */
#include "attach/cni_use.h"
#include "attach/parts.h"

#include "common/util.h"
#include "policy/policy.h"
#include "policy/qos.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* ---- what the plugins are told */

static void add_number(struct json_object **o, const char *key, uint64_t value)
{
	net_json_add(o, key, json_object_new_int64((int64_t)value));
}

static struct json_object *port_mappings(const struct net_endpoint *e)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < e->policy_count; i++) {
		const struct net_policy_port *p = &e->policies[i].port;

		if (e->policies[i].kind != NET_POLICY_PORT)
			continue;
		for (uint16_t k = 0; k < p->count; k++) {
			struct json_object *one = json_object_new_object();
			char host[NET_ADDR_TEXT] = "";

			if (net_addr_is_set(&p->host))
				net_addr_format(&p->host, host);
			add_number(&one, "hostPort", (uint64_t)p->external + k);
			add_number(&one, "containerPort", (uint64_t)p->internal + k);
			net_json_add_string(&one, "protocol",
					    p->protocol == IPPROTO_UDP	? "udp" :
					    p->protocol == IPPROTO_SCTP ? "sctp" :
									  "tcp");
			net_json_add_string(&one, "hostIP", host);
			net_json_append(&list, one);
		}
	}
	return list;
}

static struct json_object *texts(const struct net_strv *v)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < v->count; i++)
		net_json_append(&list, json_object_new_string(v->items[i]));
	return list;
}

/* Bits per second, with a burst of a tenth of a second, as the plugin wants one. */
static struct json_object *bandwidth(const struct net_policy_qos *qos)
{
	struct json_object *o = json_object_new_object();

	if (qos->in) {
		add_number(&o, "ingressRate", qos->in * 8);
		add_number(&o, "ingressBurst", qos->in * 8 / 10 + 1);
	}
	if (qos->out) {
		add_number(&o, "egressRate", qos->out * 8);
		add_number(&o, "egressBurst", qos->out * 8 / 10 + 1);
	}
	return o;
}

/* With the length that was asked for: the plugin static wants one, host-local knows its own. */
static void address_text(const struct net_addr *a, char text[NET_ADDR_TEXT])
{
	if (a->prefix == net_addr_bits(a))
		net_addr_format(a, text);
	else
		net_addr_format_prefix(a, text);
}

static struct json_object *capabilities(const struct net_plan *plan, const struct net_want *w,
					const struct net_endpoint *e)
{
	struct json_object *o = json_object_new_object(), *ips = json_object_new_array(),
			   *dns = json_object_new_object();
	const struct net_addr *wanted[] = { &w->ip, &w->ip6 };
	struct net_policy_qos qos = net_qos_of(e);
	char text[NET_ADDR_TEXT];

	net_json_add(&o, "portMappings", port_mappings(e));
	for (size_t i = 0; i < PLUG_ELEMENTS(wanted); i++)
		if (net_addr_is_set(wanted[i])) {
			address_text(wanted[i], text);
			net_json_append(&ips, json_object_new_string(text));
		}
	if (plug_json_length(ips))
		net_json_add(&o, "ips", ips);
	else
		json_object_put(ips);
	if (w->mac.set) {
		net_mac_format(&w->mac, ':', text);
		net_json_add_string(&o, "mac", text);
	}
	if (w->aliases.count)
		net_json_add(&o, "aliases", texts(&w->aliases));
	if (qos.in || qos.out)
		net_json_add(&o, "bandwidth", bandwidth(&qos));
	net_json_add(&dns, "servers", texts(&plan->dns));
	net_json_add(&dns, "searches", texts(&plan->search));
	net_json_add(&dns, "options", texts(&plan->options));
	net_json_add(&o, "dns", dns);
	return o;
}

/* ---- what came of it */

/* In the container, as far as the result says; some plugins show what they made on the host, too. */
static bool is_inside(const struct net_cni_result *result, int interface)
{
	return interface < 0 || result->interfaces[interface].sandbox;
}

static int keep_address(struct net_endpoint *e, const struct net_cni_ip *ip)
{
	struct net_addr a, gateway = { 0 }, *more;

	if (net_addr_parse_prefix(ip->address, &a) < 0)
		return 0;
	if (ip->gateway && net_addr_parse(ip->gateway, &gateway) == 0) {
		struct net_addr *kept = a.family == AF_INET ? &e->gateway : &e->gateway6;

		if (!net_addr_is_set(kept))
			*kept = gateway;
	}
	more = realloc(e->ips, (e->ip_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	e->ips = more;
	e->ips[e->ip_count++] = a;
	return 0;
}

/* That of the link which was asked for; else of the first one. */
static void keep_mac(struct net_endpoint *e, const struct net_cni_result *result)
{
	bool kept = false;

	for (size_t i = 0; i < result->interface_count; i++) {
		const struct net_cni_interface *one = &result->interfaces[i];
		bool asked = !strcmp(one->name, e->guest_link);

		if (one->sandbox && one->mac && (asked || !kept) && net_mac_parse(one->mac, &e->mac) == 0)
			kept = true;
		if (asked && one->sandbox)
			return;
	}
}

static int keep_texts(struct net_strv *v, const char *const *list)
{
	int r = 0;

	for (; r == 0 && list && *list; list++)
		r = net_strv_add(v, *list);
	return r;
}

static int keep(struct net_network *n, struct net_endpoint *e, const struct net_cni_result *result)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < result->ip_count; i++)
		if (is_inside(result, result->ips[i].interface))
			r = keep_address(e, &result->ips[i]);
	keep_mac(e, result);
	/* For this container's resolv.conf: the copy of the network is this take's own. */
	r = r ?: keep_texts(&n->dns.servers, (const char *const *)result->servers);
	r = r ?: keep_texts(&n->dns.search, (const char *const *)result->search);
	r = r ?: keep_texts(&n->dns.options, (const char *const *)result->options);
	if (r == 0 && result->domain) {
		free(n->dns.domain);
		n->dns.domain = strdup(result->domain);
		r = n->dns.domain ? 0 : -ENOMEM;
	}
	return r;
}

/* ---- the chain */

static int list_load(const struct net_cni_use *use, const struct net_network *n, struct net_cni_list **ret,
		     struct plug_error *err)
{
	return net_cni_load(&use->paths, n->conflist ? n->conflist : n->name, ret, err);
}

static int lost(const struct net_network *n, const char *what, const char *capability, struct plug_error *err)
{
	return plug_error_set(err, -EINVAL,
			      "network %s: %s: no plugin of its CNI list has the capability \"%s\"", n->name,
			      what, capability);
}

static int wants_check(const struct net_cni_list *list, const struct net_network *n, const struct net_want *w,
		       const struct net_endpoint *e, struct plug_error *err)
{
	const struct net_addr *ip = net_addr_is_set(&w->ip) ? &w->ip : &w->ip6;
	struct net_policy_qos qos = net_qos_of(e);
	char text[NET_ADDR_TEXT], what[NET_ADDR_TEXT + 8];

	if (net_addr_is_set(ip) && !net_cni_list_can(list, "ips")) {
		address_text(ip, text);
		(void)snprintf(what, sizeof(what), "ip %s", text);
		return lost(n, what, "ips", err);
	}
	if (w->mac.set && !net_cni_list_can(list, "mac")) {
		net_mac_format(&w->mac, ':', text);
		(void)snprintf(what, sizeof(what), "mac %s", text);
		return lost(n, what, "mac", err);
	}
	if (net_policies_find(e->policies, e->policy_count, NET_POLICY_PORT) &&
	    !net_cni_list_can(list, "portMappings"))
		return lost(n, "published ports", "portMappings", err);
	if ((qos.in || qos.out) && !net_cni_list_can(list, "bandwidth"))
		return lost(n, "bandwidth", "bandwidth", err);
	return 0;
}

int net_take_cni_check(struct net_state *s, const struct net_want *w, const struct net_network *n,
		       const struct net_endpoint *e, struct plug_error *err)
{
	_cleanup_cni_use_ struct net_cni_use use = { 0 };
	struct net_cni_list *list = NULL;
	int r = net_cni_use_begin(s, &use, err);

	if (r == 0)
		r = list_load(&use, n, &list, err);
	if (r == 0)
		r = wants_check(list, n, w, e, err);
	net_cni_list_free(list);
	return r;
}

int net_take_cni(struct net_state *s, const struct net_part *part, const struct net_want *w,
		 struct net_network *n, struct net_endpoint *e, const char *netns, struct plug_error *err)
{
	_cleanup_cni_use_ struct net_cni_use use = { 0 };
	_cleanup_json_ struct json_object *told = capabilities(&part->plan, w, e);
	struct net_cni_list *list = NULL;
	struct net_cni_result *result = NULL;
	struct net_cni_attachment attachment = { .container = part->plan.container, .ifname = e->guest_link,
						 .netns = netns, .capabilities = told };
	int r = told ? net_cni_use_begin(s, &use, err) : plug_error_errno(err, -ENOMEM, "cni");

	if (r == 0)
		r = list_load(&use, n, &list, err);
	if (r == 0) {
		struct net_cni_limits limits = { .timeout_ms = use.timeout_ms, .stop = &part->stop };

		attachment.network = net_cni_list_name(list);
		r = net_cni_add(&use.paths, list, &attachment, &limits, &result, err);
	}
	if (r == 0) {
		r = keep(n, e, result);
		if (r < 0)
			(void)plug_error_errno(err, r, "network %s", n->name);
	}
	net_cni_result_free(result);
	net_cni_list_free(list);
	return r;
}

int net_give_cni(struct net_state *s, const char *container, const char *netns, struct plug_error *err)
{
	_cleanup_cni_use_ struct net_cni_use use = { 0 };
	struct net_cni_limits limits = { .cancel_fd = -1 };
	int r = net_cni_use_begin(s, &use, err);

	/* Most have never had one. */
	if (r < 0 || access(use.cache, F_OK) < 0)
		return r;
	limits.timeout_ms = use.timeout_ms;
	return net_cni_del_all(&use.paths, container, netns, &limits, err);
}
