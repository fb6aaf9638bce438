/* SPDX-License-Identifier: MIT */
/* Endpoints of networks that CNI plugins make: the chain does everything, we remember what came of it. */
#include "attach/parts.h"

#include "common/util.h"
#include "cni/cni.h"
#include "policy/policy.h"
#include "policy/qos.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static int cache_dir(const struct net_state *s, char **ret, struct plug_error *err)
{
	if (asprintf(ret, "%s/cni", s->net_dir) >= 0)
		return 0;
	*ret = NULL;
	return plug_error_errno(err, -ENOMEM, "cni");
}

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
			net_addr_format(wanted[i], text);
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

static int keep_address(struct net_endpoint *e, const struct net_cni_ip *ip)
{
	struct net_addr a, gateway = { 0 }, *more;

	if (net_addr_parse_prefix(ip->address, &a) < 0)
		return 0;
	if (ip->gateway && net_addr_parse(ip->gateway, &gateway) == 0) {
		if (a.family == AF_INET)
			e->gateway = gateway;
		else
			e->gateway6 = gateway;
	}
	more = realloc(e->ips, (e->ip_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	e->ips = more;
	e->ips[e->ip_count++] = a;
	return 0;
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
		r = keep_address(e, &result->ips[i]);
	for (size_t i = 0; i < result->interface_count; i++)
		if (result->interfaces[i].sandbox && result->interfaces[i].mac)
			(void)net_mac_parse(result->interfaces[i].mac, &e->mac);
	/* For this container's resolv.conf: the copy of the network is this take's own. */
	r = r ?: keep_texts(&n->dns.servers, (const char *const *)result->servers);
	r = r ?: keep_texts(&n->dns.search, (const char *const *)result->search);
	return r ?: keep_texts(&n->dns.options, (const char *const *)result->options);
}

int net_take_cni(struct net_state *s, const struct net_part *part, const struct net_want *w,
		 struct net_network *n, struct net_endpoint *e, const char *netns, struct plug_error *err)
{
	_cleanup_free_ char *cache = NULL;
	_cleanup_json_ struct json_object *told = capabilities(&part->plan, w, e);
	struct net_cni_paths paths = { 0 };
	struct net_cni_list *list = NULL;
	struct net_cni_result *result = NULL;
	struct net_cni_attachment attachment = { .container = part->plan.container, .ifname = e->guest_link,
						 .netns = netns, .capabilities = told };
	int r = told ? cache_dir(s, &cache, err) : plug_error_errno(err, -ENOMEM, "cni");

	paths.cache = cache;
	if (r == 0)
		r = net_cni_load(&paths, n->conflist ? n->conflist : n->name, &list, err);
	if (r == 0) {
		attachment.network = net_cni_list_name(list);
		r = net_cni_add(&paths, list, &attachment, &(struct net_cni_limits){ .stop = &part->stop },
				&result, err);
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
	_cleanup_free_ char *cache = NULL;
	struct net_cni_paths paths = { 0 };
	int r = cache_dir(s, &cache, err);

	/* Most have never had one. */
	if (r < 0 || access(cache, F_OK) < 0)
		return r;
	paths.cache = cache;
	return net_cni_del_all(&paths, container, netns, &(struct net_cni_limits){ .cancel_fd = -1 }, err);
}
