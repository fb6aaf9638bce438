/* SPDX-License-Identifier: MIT */
/* A network as people write it into the configuration; or as HCN and HNS have it. */
#include "model/make.h"
#include "model/parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One text, or a list of them. */
static int texts(struct json_object *o, const char *key, struct net_strv *ret, struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!json_object_is_type(v, json_type_string))
		return net_part_strings(o, key, ret, err);
	return net_strv_add(ret, json_object_get_string(v)) < 0 ? plug_error_errno(err, -ENOMEM, "%s", key)
								 : 0;
}

static int name(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	int r = net_part_copy(o, key, &n->name, err);

	if (r == 0 && n->name && !net_name_valid(n->name))
		r = plug_error_set(err, -EINVAL, "%s: a name has letters, digits, \"_\", \".\" and \"-\"",
				   key);
	return r;
}

static int id(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return net_part_id(o, key, n->id, err);
}

static int driver(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r == 0 && text && !strcasecmp(text, "macvlan"))
		n->type = NET_TRANSPARENT;
	else if (r == 0 && text && net_type_parse(text, &n->type) < 0)
		r = plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not a type of network", key, text);
	return r;
}

static int internal(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	bool yes = false;
	int r = net_json_bool(o, key, &yes, err);

	if (r == 0 && yes && n->type != NET_NAT && n->type != NET_INTERNAL)
		r = plug_error_set(err, -EINVAL, "%s: %s cannot be that", key, net_type_name(n->type));
	if (r == 0 && yes)
		n->type = NET_INTERNAL;
	return r;
}

static int subnet(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	__attribute__((cleanup(net_strv_finish))) struct net_strv list = { 0 };
	int r = texts(o, key, &list, err);

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		struct net_subnet one = { 0 };

		if (!strchr(list.items[i], '/') || net_addr_parse_prefix(list.items[i], &one.prefix) < 0)
			return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not a prefix like 10.20.0.0/24",
					      key, list.items[i]);
		r = net_part_subnet_add(n, &one, err);
		if (r < 0)
			return net_part_of(err, r, key);
	}
	return r;
}

/* Of each text, put where it belongs by put(): the subnet that it lies in. */
static int in_subnets(struct json_object *o, const char *key, struct net_network *n,
		      void (*put)(struct net_subnet *s, const struct net_addr *a), struct plug_error *err)
{
	__attribute__((cleanup(net_strv_finish))) struct net_strv list = { 0 };
	int r = texts(o, key, &list, err);

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		struct net_addr a;
		size_t k = n->subnet_count;

		if (net_addr_parse_prefix(list.items[i], &a) == 0)
			for (k = 0; k < n->subnet_count && !net_addr_contains(&n->subnets[k].prefix, &a); k++)
				;
		if (k == n->subnet_count)
			return plug_error_set(err, -EINVAL, "%s: \"%.64s\" lies in none of the subnets", key,
					      list.items[i]);
		put(&n->subnets[k], &a);
	}
	return r;
}

static void put_range(struct net_subnet *s, const struct net_addr *a)
{
	s->range = net_addr_network(a);
}

static int gateway(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	__attribute__((cleanup(net_strv_finish))) struct net_strv list = { 0 };
	const char *why = NULL;
	bool none = false;
	int r = texts(o, key, &list, err);

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		why = net_word_gateway(n, list.items[i], &none);
		if (why)
			return plug_error_set(err, -EINVAL, "%s: \"%.64s\" %s", key, list.items[i], why);
	}
	if (r == 0 && !none)
		net_word_gateway_usual(n);
	return r;
}

static int words(struct json_object *o, const char *key, struct net_network *n,
		 const char *(*put)(struct net_network *n, const char *text), struct plug_error *err)
{
	__attribute__((cleanup(net_strv_finish))) struct net_strv list = { 0 };
	int r = texts(o, key, &list, err);

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		const char *why = put(n, list.items[i]);

		if (why)
			return plug_error_set(err, -EINVAL, "%s: \"%.64s\" %s", key, list.items[i], why);
	}
	return r;
}

static int aux_address(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return words(o, key, n, net_word_aux, err);
}

static int peer(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return words(o, key, n, net_word_peer, err);
}

static int macvlan_mode(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	const char *text = NULL;
	int r = net_json_string(o, key, &text, err);

	if (r < 0 || !text || net_macvlan_mode(text, &n->macvlan_mode) == 0)
		return r;
	return plug_error_set(err, -EINVAL, "%s: \"%.64s\" is not bridge, private, vepa or passthru", key,
			      text);
}

static int ip_range(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return in_subnets(o, key, n, put_range, err);
}

static int parent(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return net_part_copy(o, key, &n->adapter, err);
}

static int bridge(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return net_part_link(o, key, n->bridge, err);
}

/* From least to most, where it is there at all. */
static int number(struct json_object *o, const char *key, uint32_t least, uint32_t most, uint32_t *ret,
		  struct plug_error *err)
{
	uint64_t value = least;
	int r = net_json_number(o, key, UINT32_MAX, &value, err);

	if (r == 0 && (value < least || value > most))
		r = plug_error_set(err, -EINVAL, "%s: not from %u to %u", key, least, most);
	if (r == 0 && net_json_get(o, key))
		*ret = (uint32_t)value;
	return r;
}

static int mtu(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return number(o, key, 68, 65535, &n->mtu, err);
}

static int vlan(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return number(o, key, 1, 4094, &n->vlan, err);
}

static int vxlan(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	uint32_t vsid = 0;
	int r = number(o, key, 1, 0xffffff, &vsid, err);

	if (r == 0 && vsid && !n->subnet_count)
		r = plug_error_set(err, -EINVAL, "%s: needs a subnet", key);
	for (size_t i = 0; r == 0 && vsid && i < n->subnet_count; i++)
		n->subnets[i].vsid = vsid;
	return r;
}

static int dhcp(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return net_json_bool(o, key, &n->dhcp, err);
}

static int conflist(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return net_part_copy(o, key, &n->conflist, err);
}

static int domain(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return net_part_copy(o, key, &n->dns.domain, err);
}

static int dns(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return texts(o, key, &n->dns.servers, err) ?: net_part_servers_check(&n->dns.servers, key, err);
}

static int dns_search(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return texts(o, key, &n->dns.search, err);
}

static int dns_option(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	return texts(o, key, &n->dns.options, err);
}

/* "KEY=VALUE", as a list or, as compose files have it, an object. */
static int labels(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!json_object_is_type(v, json_type_object))
		return texts(o, key, &n->labels, err);
	json_object_object_foreach(v, label, value) {
		_cleanup_free_ char *text = NULL;

		if (!json_object_is_type(value, json_type_string))
			return plug_error_set(err, -EINVAL, "%s: %.64s: not a string", key, label);
		if (asprintf(&text, "%s=%s", label, json_object_get_string(value)) < 0 ||
		    net_strv_add(&n->labels, text) < 0)
			return plug_error_errno(err, -ENOMEM, "%s", key);
	}
	return 0;
}

static int policies(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err)
{
	struct json_object *list = NULL;
	int r = net_json_array(o, key, &list, err);

	return r ?: net_part_network_policies(list, false, n, err);
}

/* In the order in which they build on each other. */
static const struct {
	const char *key;
	int (*read)(struct json_object *o, const char *key, struct net_network *n, struct plug_error *err);
} members[] = {
	{ "name", name },	    { "id", id },	      { "driver", driver },
	{ "internal", internal },   { "subnet", subnet },     { "gateway", gateway },
	{ "ip_range", ip_range },   { "parent", parent },     { "bridge", bridge },
	{ "aux_address", aux_address }, { "macvlan_mode", macvlan_mode },
	{ "mtu", mtu },		    { "vlan", vlan },	      { "vxlan", vxlan },
	{ "dhcp", dhcp },	    { "conflist", conflist }, { "domain", domain },
	{ "dns", dns },		    { "dns_search", dns_search }, { "dns_option", dns_option },
	{ "labels", labels },	    { "policies", policies }, { "peer", peer },
};

static int known(struct json_object *o, struct plug_error *err)
{
	json_object_object_foreach(o, key, value) {
		bool found = false;

		(void)value;
		for (size_t i = 0; i < PLUG_ELEMENTS(members) && !found; i++)
			found = !strcmp(key, members[i].key);
		if (!found)
			return plug_error_set(err, -EINVAL, "/%.64s: unknown key", key);
	}
	return 0;
}

static int simple_parse(struct json_object *o, struct net_network **ret, struct plug_error *err)
{
	struct net_network *n = calloc(1, sizeof(*n));
	int r = n ? known(o, err) : plug_error_errno(err, -ENOMEM, "network");

	for (size_t i = 0; r == 0 && i < PLUG_ELEMENTS(members); i++) {
		r = members[i].read(o, members[i].key, n, err);
		/* What is wrong begins with the member's name. */
		if (r < 0 && err) {
			memmove(err->text + 1, err->text, sizeof(err->text) - 1);
			err->text[0] = '/';
			err->text[sizeof(err->text) - 1] = 0;
		}
	}
	if (r < 0)
		net_network_free(n);
	else
		*ret = n;
	return r;
}

static bool has(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v);
}

int net_configured_network_parse(struct json_object *o, struct net_network **ret, struct plug_error *err)
{
	struct net_network *n = NULL;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return plug_error_set(err, -EINVAL, "not an object");
	if (!has(o, "Name") && !has(o, "Type"))
		r = simple_parse(o, &n, err);
	else if (has(o, "Subnets") || has(o, "NetworkAdapterName") || has(o, "DNSServerList"))
		r = net_hns_network_parse(o, &n, err);
	else
		r = net_hcn_network_check(o, err) ?: net_hcn_network_parse(o, &n, err);
	if (r == 0)
		r = net_network_check(n, err);
	if (r < 0) {
		net_network_free(n);
		return r;
	}
	n->configured = true;
	*ret = n;
	return 0;
}
