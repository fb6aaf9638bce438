/* SPDX-License-Identifier: MIT */
#include "model/make.h"
#include "common/util.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

static const char *name_of(const struct net_endpoint *e)
{
	return e->name && *e->name ? e->name : e->id;
}

static const struct net_subnet *subnet_of(const struct net_network *n, const struct net_addr *ip,
					  size_t *ret)
{
	struct net_addr host = net_addr_host(ip);

	for (size_t i = 0; i < n->subnet_count; i++)
		if (net_addr_contains(&n->subnets[i].prefix, &host)) {
			*ret = i;
			return &n->subnets[i];
		}
	return NULL;
}

static int ip_add(struct net_endpoint *e, const struct net_addr *ip)
{
	struct net_addr *grown = reallocarray(e->ips, e->ip_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	e->ips = grown;
	e->ips[e->ip_count++] = *ip;
	return 0;
}

static int lease(struct net_store *s, const struct net_network *n, size_t subnet,
		 const struct net_addr *wanted, const struct net_endpoint *e, struct net_addr *ret,
		 struct plug_error *err)
{
	int r = net_ipam_take(s, n, subnet, wanted, e->id, ret, err);

	if (r == 0 && e->durable) {
		r = net_ipam_reserve(s, n, ret, e->id, err);
		if (r < 0)
			(void)net_ipam_free(s, n->id, ret, e->id, NULL);
	}
	return r;
}

static bool is_remote(const struct net_endpoint *e)
{
	return (e->flags & NET_ENDPOINT_REMOTE) != 0;
}

/* A remote one may be of a subnet that only its own host has. */
static bool is_elsewhere(const struct net_network *n, const struct net_endpoint *e, const struct net_addr *ip)
{
	size_t which;

	return is_remote(e) && !subnet_of(n, ip, &which);
}

static bool has_provider(const struct net_endpoint *e)
{
	return net_policies_find(e->policies, e->policy_count, NET_POLICY_PROVIDER) != NULL;
}

/* What leads to another host's: nothing of it can be chosen here. */
static int remote_check(const struct net_network *n, const struct net_endpoint *e, struct plug_error *err)
{
	const char *what = NULL;

	if (!e->ip_count)
		what = "an address";
	else if (!e->mac.set)
		what = "a MAC address";
	else if (n->type == NET_OVERLAY && !has_provider(e))
		what = "its host's address (policy ProviderAddress)";
	if (!what || !is_remote(e))
		return 0;
	return plug_error_set(err, -EINVAL, "endpoint %s: a remote one needs %s", name_of(e), what);
}

int net_endpoint_check_here(const struct net_endpoint *e, struct plug_error *err)
{
	if (!is_remote(e))
		return 0;
	return plug_error_set(err, -EINVAL, "endpoint %s: is remote: another host plugs it in", name_of(e));
}

/* The addresses that were asked for. */
static int wanted_take(struct net_store *s, const struct net_network *n, struct net_endpoint *e,
		       size_t *taken, struct plug_error *err)
{
	char text[NET_ADDR_TEXT];
	int r = 0;

	for (; r == 0 && *taken < e->ip_count; *taken += r == 0) {
		struct net_addr ip = e->ips[*taken];
		size_t subnet = 0;

		net_addr_format(&ip, text);
		/* What DHCP, a chain of plugins or another host gave is theirs. */
		if (n->dhcp || n->type == NET_CNI || is_elsewhere(n, e, &ip))
			continue;
		if (!subnet_of(n, &ip, &subnet))
			r = plug_error_set(err, -EINVAL, "%s: in no subnet of network %s", text,
					   n->name ? n->name : n->id);
		else
			r = lease(s, n, subnet, &ip, e, &e->ips[*taken], err);
	}
	return r;
}

/* One of this family, of the first subnet that has one. */
static int family_take(struct net_store *s, const struct net_network *n, struct net_endpoint *e,
		       int family, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; i < n->subnet_count; i++) {
		struct net_addr ip;

		if (n->subnets[i].prefix.family != family)
			continue;
		r = lease(s, n, i, NULL, e, &ip, err);
		if (r == -EADDRNOTAVAIL)
			continue; /* another subnet may have room */
		if (r == 0 && ip_add(e, &ip) < 0) {
			(void)net_ipam_free(s, n->id, &ip, e->id, NULL);
			r = plug_error_errno(err, -ENOMEM, "endpoint %s", name_of(e));
		}
		return r;
	}
	return r;
}

static bool has_family(const struct net_endpoint *e, int family)
{
	for (size_t i = 0; i < e->ip_count; i++)
		if (e->ips[i].family == family)
			return true;
	return false;
}

static void gateways_fill(const struct net_network *n, struct net_endpoint *e)
{
	for (size_t i = 0; i < e->ip_count; i++) {
		struct net_addr *gateway = e->ips[i].family == AF_INET ? &e->gateway : &e->gateway6;
		const struct net_subnet *subnet;
		size_t which;

		subnet = subnet_of(n, &e->ips[i], &which);
		if (subnet && !gateway->family)
			*gateway = subnet->gateway;
	}
}

static void ips_free(struct net_store *s, const struct net_endpoint *e, const struct net_addr *ips,
		     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		(void)net_ipam_free(s, e->network, &ips[i], e->id, NULL);
		if (e->durable)
			(void)net_ipam_unreserve(s, e->network, &ips[i], e->id, NULL);
	}
}

/* Two endpoints whose ids begin alike would share a link. */
static int link_check(struct net_store *s, const struct net_endpoint *e, struct plug_error *err)
{
	struct net_endpoint *other = NULL;
	char begins[9];
	int r;

	(void)snprintf(begins, sizeof(begins), "%.8s", e->id);
	r = net_store_endpoint(s, begins, &other, NULL);
	if (r == -ENOTUNIQ || (r == 0 && !strncmp(other->id, begins, 8) && strcmp(other->id, e->id) != 0))
		r = plug_error_set(err, -EEXIST, "endpoint %s: another one has the link %s already",
				   name_of(e), e->host_link);
	else if (r != -ENOMEM)
		r = 0;
	net_endpoint_free(other);
	return r;
}

static bool mac_taken(struct net_endpoint *const *others, size_t count, const struct net_mac *m)
{
	for (size_t i = 0; i < count; i++)
		if (others[i] && others[i]->mac.set && !memcmp(others[i]->mac.bytes, m->bytes, 6))
			return true;
	return false;
}

int net_endpoint_choose_mac(struct net_store *s, const struct net_network *n, struct net_endpoint *e,
			    struct plug_error *err)
{
	struct net_entry *entries;
	struct net_endpoint **others;
	struct net_mac first = net_endpoint_mac(n, e), m = first;
	size_t count;
	int r;

	if (e->mac.set || !n->mac_count)
		return 0;
	r = net_store_list(s, NET_ENDPOINTS, n->id, &entries, &count, err);
	if (r < 0)
		return r;
	others = calloc(count + 1, sizeof(struct net_endpoint *));
	for (size_t i = 0; others && i < count; i++)
		if (strcmp(entries[i].id, e->id) != 0)
			(void)net_store_endpoint(s, entries[i].id, &others[i], NULL);
	if (!others)
		r = plug_error_errno(err, -ENOMEM, "endpoint %s", name_of(e));
	while (r == 0 && mac_taken(others, count, &m)) {
		m = net_mac_next(n, &m);
		if (!memcmp(m.bytes, first.bytes, 6))
			r = plug_error_set(err, -EADDRNOTAVAIL,
					   "network %s: no MAC address of its ranges is free", n->name);
	}
	if (r == 0)
		e->mac = m;
	for (size_t i = 0; others && i < count; i++)
		net_endpoint_free(others[i]);
	free(others);
	net_entries_free(entries, count);
	return r;
}

static int make_locked(struct net_store *s, const struct net_network *n, struct net_endpoint *e,
		       struct plug_error *err)
{
	size_t wanted = 0, asked = e->ip_count;
	struct net_network *there = NULL;
	struct net_endpoint *before = NULL;
	bool known = net_store_endpoint(s, e->id, &before, NULL) == 0;
	int r = link_check(s, e, err);

	net_endpoint_free(before);
	/* Still there?  It was read outside of the lock. */
	if (r == 0)
		r = net_store_network(s, n->id, &there, err);
	net_network_free(there);
	if (r == 0)
		r = wanted_take(s, n, e, &wanted, err);
	if (r == 0 && !is_remote(e) && !has_family(e, AF_INET))
		r = family_take(s, n, e, AF_INET, err);
	if (r == 0 && !is_remote(e) && !has_family(e, AF_INET6))
		r = family_take(s, n, e, AF_INET6, err);
	if (r == 0)
		r = net_endpoint_choose_mac(s, n, e, err);
	if (r == 0) {
		e->mac = net_endpoint_mac(n, e);
		gateways_fill(n, e);
		r = net_store_put_endpoint(s, e, NET_PUT_ANY, err);
	}
	if (r < 0) {
		/* What an endpoint that is there has asked for, it had. */
		if (!known)
			ips_free(s, e, e->ips, wanted);
		if (e->ip_count > asked)
			ips_free(s, e, e->ips + asked, e->ip_count - asked);
		e->ip_count = asked;
	}
	return r;
}

int net_endpoint_make(struct net_store *s, const struct net_network *n, struct net_endpoint *e,
		      struct plug_error *err)
{
	int r = 0;

	if (!*e->id && net_id_make(e->id) < 0)
		r = plug_error_errno(err, -EIO, "endpoint: id");
	if (r == 0)
		r = remote_check(n, e, err);
	(void)snprintf(e->network, sizeof(e->network), "%s", n->id);
	net_link_name("ve", e->id, e->host_link);
	if (r == 0)
		r = net_store_lock(s, err);
	if (r < 0)
		return r;
	r = make_locked(s, n, e, err);
	net_store_unlock(s);
	return r;
}

int net_endpoint_unmake(struct net_store *s, const struct net_endpoint *e, struct plug_error *err)
{
	int r = net_store_lock(s, err);

	if (r < 0)
		return r;
	/* The record first: a lease without one is found at the next start, the reverse is not. */
	r = net_store_remove(s, NET_ENDPOINTS, e->id, err);
	if (r == 0)
		ips_free(s, e, e->ips, e->ip_count);
	net_store_unlock(s);
	return r;
}

/* Owners that are no endpoint's id are somebody else's, who frees them himself. */
static bool owner_alive(void *arg, const char *network, const char *owner)
{
	struct net_endpoint *e = NULL;
	char id[NET_ID_SIZE];
	bool alive;
	int r;

	if (net_id_parse(owner, id) < 0)
		return true;
	r = net_store_endpoint(arg, id, &e, NULL);
	alive = r == 0 ? !strcmp(e->network, network) : r != -ENOENT;
	net_endpoint_free(e);
	return alive;
}

int net_leases_reconcile(struct net_store *s, size_t *ret_freed, struct plug_error *err)
{
	return net_ipam_reconcile(s, owner_alive, s, ret_freed, err);
}
