/* SPDX-License-Identifier: MIT */
/* Networks, and endpoints as long as they are nowhere plugged in. */
#include "common/util.h"
#include "policy/policy.h"
#include "policy/rules.h"
#include "verbs/api.h"

#include <string.h>

int net_api_network_create(const struct net_api *api, struct net_network *n, struct net_network **ret,
			   struct plug_error *err)
{
	struct net_addr *taken = NULL;
	size_t count = 0;
	int r = net_network_check(n, err);

	n->configured = false; /* whatever a stranger's JSON says */
	if (r == 0 && n->type == NET_CNI)
		r = api->effects->conflist_check(api->arg, n, err);
	/* Its id, by which a VLAN is called, is needed from here on. */
	if (r == 0 && !*n->id && net_id_make(n->id) < 0)
		r = plug_error_errno(err, -EIO, "network %s: id", n->name);
	if (r == 0)
		r = api->effects->network_check(api->arg, n, err);
	if (r == 0)
		r = api->effects->taken(api->arg, &taken, &count, err);
	if (r == 0)
		r = net_network_make(api->store, n, taken, count, err);
	free(taken);
	if (r == 0 && ret)
		*ret = n;
	else
		net_network_free(n);
	return r;
}

int net_api_network_remove(const struct net_api *api, const char *ref, struct plug_error *err)
{
	struct net_network *n = NULL;
	struct net_entry *entries;
	size_t count = 0;
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	r = net_store_network(api->store, ref, &n, err);
	if (r == 0 && n->configured)
		r = plug_error_set(err, -EBUSY,
				   "network %s: is the configuration's: it goes when it is taken out there",
				   n->name);
	if (r == 0)
		r = net_store_list(api->store, NET_ENDPOINTS, n->id, &entries, &count, err);
	if (r == 0)
		net_entries_free(entries, count);
	/* What is in use keeps its bridge; the error is the model's. */
	if (r == 0 && !count)
		r = api->effects->network_remove(api->arg, n, err);
	if (r == 0)
		r = net_network_unmake(api->store, n, err);
	net_store_unlock(api->store);
	net_network_free(n);
	return r;
}

/* One that users can make endpoints in. */
static int network_of_endpoint(const struct net_api *api, const char *ref, struct net_network **ret,
			       struct plug_error *err)
{
	int r = *ref ? net_store_network(api->store, ref, ret, err) :
		       plug_error_set(err, -EINVAL, "endpoint: HostComputeNetwork: missing");

	if (r == 0 && (*ret)->type == NET_CNI)
		r = plug_error_set(err, -EOPNOTSUPP,
				   "network %s: a CNI network's endpoints are made with their containers",
				   (*ret)->name);
	return r;
}

int net_api_endpoint_create(const struct net_api *api, struct net_endpoint *e, const char *network,
			    struct net_endpoint **ret, struct plug_error *err)
{
	struct net_network *n = NULL;
	struct net_endpoint *there = NULL;
	int r;

	if (!network)
		network = e->network;
	r = network_of_endpoint(api, network, &n, err);
	if (r == 0)
		r = net_rules_check(n, e->policies, e->policy_count, err);
	if (r == 0 && *e->id && net_store_endpoint(api->store, e->id, &there, NULL) == 0)
		r = plug_error_set(err, -EEXIST, "endpoint %s: exists", e->id);
	if (r == 0)
		r = api->effects->network_known(api->arg, n, err);
	if (r == 0) {
		e->durable = true;
		*e->namespace_id = *e->guest_link = 0;
		r = net_endpoint_make(api->store, n, e, err);
	}
	if (r == 0 && e->flags & NET_ENDPOINT_REMOTE) {
		r = api->effects->remote(api->arg, n, e, true, err);
		if (r < 0)
			(void)net_endpoint_unmake(api->store, e, NULL);
	}
	net_endpoint_free(there);
	net_network_free(n);
	if (r == 0 && ret)
		*ret = e;
	else
		net_endpoint_free(e);
	return r;
}

static int remote_remove(const struct net_api *api, const struct net_endpoint *e, struct plug_error *err)
{
	struct net_network *n = NULL;
	int r = net_store_network(api->store, e->network, &n, err);

	/* Its tunnel went with it. */
	if (r == -ENOENT)
		return plug_error_none(err);
	if (r == 0)
		r = api->effects->remote(api->arg, n, e, false, err);
	net_network_free(n);
	return r;
}

int net_api_endpoint_remove(const struct net_api *api, const char *ref, struct plug_error *err)
{
	struct net_endpoint *e = NULL;
	int r = net_store_endpoint(api->store, ref, &e, err);

	if (r == 0 && *e->namespace_id) {
		r = net_api_namespace_drop(api, e->namespace_id, false, e->id, err);
		if (r == -ENOENT)
			r = 0; /* the namespace went without telling */
	}
	if (r == 0)
		r = net_api_endpoint_moved(api, e, true, err);
	if (r == 0 && e->flags & NET_ENDPOINT_REMOTE)
		r = remote_remove(api, e, err);
	if (r == 0)
		r = net_endpoint_unmake(api->store, e, err);
	net_endpoint_free(e);
	return r;
}

/* Policies, DNS: what clients change in an endpoint that is there. */
static void parts_move(struct net_endpoint *from, struct net_endpoint *to)
{
	struct net_policy *policies = to->policies;
	size_t count = to->policy_count;
	struct net_dns dns = to->dns;

	to->policies = from->policies;
	to->policy_count = from->policy_count;
	to->dns = from->dns;
	from->policies = policies;
	from->policy_count = count;
	from->dns = dns;
}

int net_api_endpoint_update(const struct net_api *api, const char *ref, struct net_endpoint *e,
			    struct plug_error *err)
{
	struct net_endpoint *now = NULL;
	struct net_network *n = NULL;
	bool moved = false;
	int r = net_store_lock(api->store, err);

	if (r < 0) {
		net_endpoint_free(e);
		return r;
	}
	r = net_store_endpoint(api->store, ref, &now, err);
	if (r == 0)
		r = net_store_network(api->store, now->network, &n, err);
	if (r == 0)
		r = net_rules_check(n, e->policies, e->policy_count, err);
	if (r == 0) {
		parts_move(e, now); /* e holds what was */
		moved = true;
		r = *now->namespace_id ? api->effects->endpoint_change(api->arg, n, now, e, err) : 0;
	}
	if (r == 0)
		r = net_store_put_endpoint(api->store, now, NET_PUT_CHANGE, err);
	if (r < 0 && moved && *now->namespace_id) {
		parts_move(e, now);
		(void)api->effects->endpoint_change(api->arg, n, now, e, NULL);
	}
	net_store_unlock(api->store);
	net_endpoint_free(e);
	net_endpoint_free(now);
	net_network_free(n);
	return r;
}

int net_api_endpoint_stats(const struct net_api *api, const char *ref, struct net_stats *ret,
			   struct plug_error *err)
{
	struct net_endpoint *e = NULL;
	int r = net_store_endpoint(api->store, ref, &e, err);

	if (r == 0 && !*e->namespace_id)
		r = plug_error_set(err, -ENOTCONN, "endpoint %s: is not in a namespace",
				   e->name ? e->name : e->id);
	if (r == 0)
		r = api->effects->stats(api->arg, e, ret, err);
	net_endpoint_free(e);
	return r;
}
