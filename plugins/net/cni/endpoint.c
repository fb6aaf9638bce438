/* SPDX-License-Identifier: MIT */
#include "cni/endpoint.h"
#include "cni/internal.h"
#include "policy/policy.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define BURST_MAX 2000000000u /* bits; the plugin counts in 32 of them */

static struct {
	pthread_mutex_t mutex;
	char **plugins, *conf;
} config = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void strings_free(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}

static char **strings_copy(const char *const *strings)
{
	size_t n = 0;
	char **copy;

	while (strings[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(strings[i]);
		if (!copy[i]) {
			strings_free(copy);
			return NULL;
		}
	}
	return copy;
}

int net_cni_configure(const char *const *plugins, const char *conf)
{
	char **plugins_copy = plugins ? strings_copy(plugins) : NULL;
	char *conf_copy = conf ? strdup(conf) : NULL;

	if ((plugins && !plugins_copy) || (conf && !conf_copy)) {
		strings_free(plugins_copy);
		free(conf_copy);
		return -ENOMEM;
	}
	(void)pthread_mutex_lock(&config.mutex);
	strings_free(config.plugins);
	free(config.conf);
	config.plugins = plugins_copy;
	config.conf = conf_copy;
	(void)pthread_mutex_unlock(&config.mutex);
	return 0;
}

void net_cni_unconfigure(void)
{
	(void)net_cni_configure(NULL, NULL);
}

/* The configuration of now, for one operation. */
struct places {
	struct net_cni_paths paths;
	char **plugins, *conf, *cache;
};

static void places_finish(struct places *p)
{
	strings_free(p->plugins);
	free(p->conf);
	free(p->cache);
}

static int places_make(const char *run_dir, struct places *ret)
{
	struct places p = { 0 };
	bool failed;

	(void)pthread_mutex_lock(&config.mutex);
	if (config.plugins)
		p.plugins = strings_copy((const char *const *)config.plugins);
	p.conf = config.conf ? strdup(config.conf) : NULL;
	failed = (config.plugins && !p.plugins) || (config.conf && !p.conf);
	(void)pthread_mutex_unlock(&config.mutex);
	if (asprintf(&p.cache, "%s/net/cni", run_dir) < 0)
		p.cache = NULL;
	if (failed || !p.cache) {
		places_finish(&p);
		return -ENOMEM;
	}
	p.paths = (struct net_cni_paths){ (const char *const *)p.plugins, p.conf, p.cache };
	*ret = p;
	return 0;
}

/* Capability arguments. */

static int text_put(struct json_object *o, const char *key, const char *text)
{
	return cni_put(o, key, json_object_new_string(text));
}

static int append(struct json_object *array, struct json_object *value)
{
	if (value && json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int port_append(struct json_object *array, const struct net_policy_port *p, uint16_t at)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	const char *protocol = p->protocol == IPPROTO_UDP    ? "udp"
			       : p->protocol == IPPROTO_SCTP ? "sctp"
							     : "tcp";
	char host[NET_ADDR_TEXT];
	int r = o ? text_put(o, "protocol", protocol) : -ENOMEM;

	r = r ?: cni_put(o, "hostPort", json_object_new_int(p->external + at));
	r = r ?: cni_put(o, "containerPort", json_object_new_int(p->internal + at));
	if (r == 0 && p->host.family) {
		net_addr_format(&p->host, host);
		r = text_put(o, "hostIP", host);
	}
	return r ?: append(array, net_take_ptr(o));
}

static int ports_put(struct json_object *args, const struct net_endpoint *e)
{
	struct json_object *array = json_object_new_array();
	int r = cni_put(args, "portMappings", array);

	for (size_t i = 0; r == 0 && i < e->policy_count; i++) {
		const struct net_policy_port *p = &e->policies[i].port;

		for (uint16_t at = 0; e->policies[i].kind == NET_POLICY_PORT && r == 0 && at < p->count; at++)
			r = port_append(array, p, at);
	}
	return r;
}

/* From bytes to the bits of CNI; as much at once as in one second. */
static int rate_put(struct json_object *o, const char *rate, const char *burst, uint64_t bytes)
{
	int64_t bits = (int64_t)(bytes * 8), most = bits < BURST_MAX ? bits : BURST_MAX;

	if (!bytes)
		return 0;
	return cni_put(o, rate, json_object_new_int64(bits))
		       ?: cni_put(o, burst, json_object_new_int64(most));
}

static int bandwidth_put(struct json_object *args, const struct net_endpoint *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < e->policy_count; i++) {
		const struct net_policy_qos *q = &e->policies[i].qos;
		struct json_object *o;

		if (e->policies[i].kind != NET_POLICY_QOS)
			continue;
		o = json_object_new_object();
		r = cni_put(args, "bandwidth", o);
		r = r ?: rate_put(o, "ingressRate", "ingressBurst", q->in);
		r = r ?: rate_put(o, "egressRate", "egressBurst", q->out);
	}
	return r;
}

static int wishes_put(struct json_object *args, const struct net_endpoint *e)
{
	struct json_object *ips = json_object_new_array(), *aliases = json_object_new_array();
	char text[NET_ADDR_TEXT];
	int r = cni_put(args, "ips", ips), r2 = cni_put(args, "aliases", aliases);

	r = r ?: r2;
	for (size_t i = 0; r == 0 && i < e->ip_count; i++) {
		net_addr_format_prefix(&e->ips[i], text);
		r = append(ips, json_object_new_string(text));
	}
	for (size_t i = 0; r == 0 && i < e->aliases.count; i++)
		r = append(aliases, json_object_new_string(e->aliases.items[i]));
	if (r == 0 && !e->ip_count)
		json_object_object_del(args, "ips");
	if (r == 0 && e->mac.set) {
		net_mac_format(&e->mac, ':', text);
		r = text_put(args, "mac", text);
	}
	return r;
}

static int capabilities_make(const struct net_endpoint *e, struct json_object **ret)
{
	_cleanup_json_ struct json_object *args = json_object_new_object();
	int r = args ? ports_put(args, e) : -ENOMEM;

	r = r ?: bandwidth_put(args, e) ?: wishes_put(args, e);
	if (r == 0)
		*ret = net_take_ptr(args);
	return r;
}

/* The result. */

static bool is_guests(const struct net_cni_result *result, const struct net_cni_ip *ip)
{
	return ip->interface < 0 || result->interfaces[ip->interface].sandbox;
}

static int addresses_take(const struct net_cni_result *result, struct net_endpoint *e)
{
	struct net_addr *ips = calloc(result->ip_count + 1, sizeof(*ips)), gateway;
	size_t n = 0;

	if (!ips)
		return -ENOMEM;
	for (size_t i = 0; i < result->ip_count; i++) {
		const struct net_cni_ip *ip = &result->ips[i];

		if (!is_guests(result, ip) || net_addr_parse_prefix(ip->address, &ips[n]) < 0)
			continue;
		n++;
		if (!ip->gateway || net_addr_parse(ip->gateway, &gateway) < 0)
			continue;
		if (gateway.family == AF_INET)
			e->gateway = gateway;
		else
			e->gateway6 = gateway;
	}
	free(e->ips);
	e->ips = ips;
	e->ip_count = n;
	return 0;
}

static int strings_take(const char *const *from, struct net_strv *to)
{
	int r = 0;

	for (; r == 0 && *from; from++) {
		if (!net_strv_has(to, *from))
			r = net_strv_add(to, *from);
	}
	return r;
}

static int result_take(const struct net_cni_result *result, struct net_endpoint *e)
{
	int r = addresses_take(result, e);

	for (size_t i = 0; i < result->interface_count; i++) {
		const struct net_cni_interface *link = &result->interfaces[i];

		if (link->sandbox && link->mac && !strcmp(link->name, e->guest_link))
			(void)net_mac_parse(link->mac, &e->mac);
	}
	r = r ?: strings_take(result->servers, &e->dns.servers);
	r = r ?: strings_take(result->search, &e->dns.search);
	r = r ?: strings_take(result->options, &e->dns.options);
	if (r == 0 && result->domain && !e->dns.domain) {
		e->dns.domain = strdup(result->domain);
		r = e->dns.domain ? 0 : -ENOMEM;
	}
	return r;
}

int net_cni_plug(const char *run_dir, const struct net_network *n, struct net_endpoint *e, const char *netns,
		 const struct net_cni_limits *limits, struct net_error *err)
{
	_cleanup_(places_finish) struct places p = { 0 };
	_cleanup_list_ struct net_cni_list *list = NULL;
	_cleanup_json_ struct json_object *capabilities = NULL;
	struct net_cni_result *result = NULL;
	int r = places_make(run_dir, &p);

	r = r ?: capabilities_make(e, &capabilities);
	if (r < 0)
		return net_error_errno(err, r, "network %s", n->name);
	r = net_cni_load(&p.paths, n->conflist ? n->conflist : n->name, &list, err);
	if (r == 0)
		r = net_cni_add(&p.paths, list,
				&(struct net_cni_attachment){ .container = e->id,
							      .network = net_cni_list_name(list),
							      .ifname = e->guest_link,
							      .netns = netns,
							      .capabilities = capabilities },
				limits, &result, err);
	if (r < 0)
		return r;
	r = result_take(result, e);
	net_cni_result_free(result);
	if (r < 0) {
		(void)net_cni_del_all(&p.paths, e->id, netns, NULL, NULL);
		return net_error_errno(err, r, "network %s", n->name);
	}
	return 0;
}

int net_cni_unplug(const char *run_dir, const char *endpoint, const char *netns, struct net_error *err)
{
	_cleanup_(places_finish) struct places p = { 0 };
	int r = places_make(run_dir, &p);

	if (r < 0)
		return net_error_errno(err, r, "endpoint %s", endpoint);
	return net_cni_del_all(&p.paths, endpoint, netns, NULL, err);
}
