/* SPDX-License-Identifier: MIT */
#include "model/make.h"
#include "common/util.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *name_of(const struct net_network *n)
{
	return n->name ? n->name : n->id;
}

static int name_check(const struct net_network *n, struct plug_error *err)
{
	static const char *const others[] = { "none", "host", "default" };

	if (!n->name || !*n->name)
		return plug_error_set(err, -EINVAL, "network: Name: missing");
	for (size_t i = 0; i < PLUG_ELEMENTS(others); i++)
		if (!strcmp(n->name, others[i]))
			return plug_error_set(err, -EINVAL, "network %s: this name means something else",
					      n->name);
	if (strpbrk(n->name, ":,"))
		return plug_error_set(err, -EINVAL, "network %s: \":\" and \",\" cannot be in its name",
				      n->name);
	return 0;
}

void net_subnet_gateway(struct net_subnet *subnet)
{
	unsigned host_bits = net_addr_bits(&subnet->prefix) - subnet->prefix.prefix;

	subnet->gateway = net_addr_network(&subnet->prefix);
	subnet->gateway.prefix = net_addr_bits(&subnet->prefix);
	if (host_bits > 1)
		(void)net_addr_add(&subnet->gateway, 1);
}

/* The gateway is the subnet itself, or everybody in it. */
static bool is_edge(const struct net_subnet *subnet)
{
	struct net_addr first = net_addr_network(&subnet->prefix), last = net_addr_last(&subnet->prefix);

	return net_addr_same(&subnet->gateway, &first) ||
	       (first.family == AF_INET && net_addr_same(&subnet->gateway, &last));
}

static int subnet_check(const struct net_network *n, const struct net_subnet *subnet,
			struct plug_error *err)
{
	char text[NET_ADDR_TEXT];
	struct net_addr first = net_addr_network(&subnet->prefix);

	net_addr_format_prefix(&subnet->prefix, text);
	if (net_addr_is_loopback(&first) || !subnet->prefix.prefix || first.bytes[0] >= 0xff ||
	    (first.family == AF_INET && first.bytes[0] >= 224))
		return plug_error_set(err, -EINVAL, "network %s: %s cannot be a subnet", n->name, text);
	if (net_addr_bits(&first) - subnet->prefix.prefix < 2 && net_type_is_routed(n->type))
		return plug_error_set(err, -EINVAL, "network %s: %s has no room for a gateway and a host",
				      n->name, text);
	if (net_addr_bits(&first) - subnet->prefix.prefix > 1 && is_edge(subnet))
		return plug_error_set(err, -EINVAL,
				      "network %s: the gateway of %s is the subnet's own address, no host's",
				      n->name, text);
	return 0;
}

static int subnets_fill(struct net_store *s, struct net_network *n, const struct net_addr *taken,
			size_t taken_count, struct plug_error *err)
{
	bool has = net_type_is_routed(n->type) || n->type == NET_PRIVATE;
	int r = 0;

	if (!n->subnet_count && has && !n->dhcp) {
		struct net_subnet *one = malloc(sizeof(*one));

		if (!one)
			return plug_error_errno(err, -ENOMEM, "network %s", n->name);
		r = net_ipam_subnet_choose(s, taken, taken_count, one, err);
		if (r < 0) {
			free(one);
			return r;
		}
		free(n->subnets);
		n->subnets = one;
		n->subnet_count = 1;
		if (n->type == NET_PRIVATE)
			one->gateway = (struct net_addr){ 0 };
	}
	for (size_t i = 0; i < n->subnet_count; i++)
		if (!n->subnets[i].gateway.family && net_type_is_routed(n->type))
			net_subnet_gateway(&n->subnets[i]);
	return r;
}

int net_network_check(const struct net_network *n, struct plug_error *err)
{
	int r = name_check(n, err) ?: net_network_check_kind(n, err);

	for (size_t i = 0; r == 0 && i < n->subnet_count; i++)
		r = subnet_check(n, &n->subnets[i], err);
	return r;
}

static uint16_t port_of(const struct net_network *n)
{
	return n->vxlan_port ? n->vxlan_port : 4789;
}

int net_network_check_beside(const struct net_network *n, const struct net_network *other,
			     struct plug_error *err)
{
	char text[NET_ADDR_TEXT];

	if (*n->bridge && !strcmp(n->bridge, other->bridge))
		return plug_error_set(err, -EEXIST, "network %s: network %s has the link %s already",
				      n->name, name_of(other), n->bridge);
	if (n->type == NET_OVERLAY && other->type == NET_OVERLAY &&
	    net_network_vsid(n) == net_network_vsid(other) && port_of(n) == port_of(other))
		return plug_error_set(err, -EEXIST, "network %s: network %s has the VSID %u already", n->name,
				      name_of(other), net_network_vsid(n));
	if (!net_type_is_routed(n->type) || !net_type_is_routed(other->type))
		return 0;
	for (size_t i = 0; i < n->subnet_count; i++)
		for (size_t k = 0; k < other->subnet_count; k++)
			if (net_addr_overlaps(&n->subnets[i].prefix, &other->subnets[k].prefix)) {
				net_addr_format_prefix(&n->subnets[i].prefix, text);
				return plug_error_set(err, -EEXIST,
						      "network %s: subnet %s overlaps one of network %s",
						      n->name, text, name_of(other));
			}
	return 0;
}

static int others_check(struct net_store *s, const struct net_network *n, struct plug_error *err)
{
	struct net_entry *entries;
	size_t count;
	int r = net_store_list(s, NET_NETWORKS, NULL, &entries, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct net_network *other;

		if (!strcmp(entries[i].id, n->id) || net_store_network(s, entries[i].id, &other, NULL) < 0)
			continue;
		r = net_network_check_beside(n, other, err);
		net_network_free(other);
	}
	net_entries_free(entries, count);
	return r;
}

/* An overlay says by which address other hosts reach its router here, as HNS does: they have to be told. */
static int router_fill(struct net_network *n, struct plug_error *err)
{
	struct net_policy p = { .kind = NET_POLICY_ROUTER_MAC, .mac = net_network_mac(n) };

	if (n->type != NET_OVERLAY || n->configured ||
	    net_policies_find(n->policies, n->policy_count, NET_POLICY_ROUTER_MAC))
		return 0;
	return net_policies_add(&n->policies, &n->policy_count, &p) < 0 ?
		       plug_error_errno(err, -ENOMEM, "network %s", n->name) :
		       0;
}

int net_network_make(struct net_store *s, struct net_network *n, const struct net_addr *taken,
		     size_t taken_count, struct plug_error *err)
{
	int r = net_network_check(n, err);

	if (r == 0 && !*n->id && net_id_make(n->id) < 0)
		r = plug_error_errno(err, -EIO, "network %s: id", n->name);
	if (r == 0)
		r = router_fill(n, err);
	if (r < 0)
		return r;
	if (!*n->bridge && net_type_has_bridge(n->type))
		net_link_name("cow", n->id, n->bridge);
	if (!n->created)
		n->created = (int64_t)time(NULL);
	r = net_store_lock(s, err);
	if (r < 0)
		return r;
	r = subnets_fill(s, n, taken, taken_count, err);
	if (r == 0)
		r = others_check(s, n, err);
	if (r == 0)
		r = net_store_put_network(s, n, NET_PUT_NEW, err);
	net_store_unlock(s);
	return r;
}

int net_network_unmake(struct net_store *s, const struct net_network *n, struct plug_error *err)
{
	struct net_entry *entries;
	size_t count = 0;
	int r = n->foreign ? plug_error_set(err, -EPERM,
					    "network %s: is not ours but a file in the CNI directory: %s",
					    name_of(n), "remove that")
			   : net_store_lock(s, err);

	if (r < 0)
		return r;
	r = net_store_list(s, NET_ENDPOINTS, n->id, &entries, &count, err);
	if (r == 0) {
		net_entries_free(entries, count);
		r = count ? plug_error_set(err, -EBUSY, "network %s: is used by %zu endpoint%s", name_of(n),
					   count, count == 1 ? "" : "s")
			  : net_store_remove(s, NET_NETWORKS, n->id, err);
	}
	net_store_unlock(s);
	return r;
}
