/* SPDX-License-Identifier: MIT */
/*
 * A supervisor begins: what is plugged in, by the store, gets its bridge, rules and ports again, in one go;
 * what nobody has any more goes away.
 */
#include "attach/bridge.h"
#include "attach/lists.h"
#include "attach/pool.h"
#include "attach/state.h"
#include "attach/trash.h"
#include "common/util.h"
#include "model/make.h"

#include <stdlib.h>
#include <string.h>

struct living {
	struct net_state *state;
	struct net_entry *endpoints;
	size_t count;
};

static bool network_used(void *arg, const char *network)
{
	const struct living *l = arg;

	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->endpoints[i].network, network) == 0)
			return true;
	return false;
}

/* Those that bear our mark; and of the networks that are known, those whose maker was killed before that. */
int net_state_sweep_bridges(struct net_state *s, struct net_rtnl *r,
			    bool (*used)(void *arg, const char *network), void *arg, struct plug_error *err)
{
	struct net_entry *networks = NULL;
	size_t count = 0;
	int result = net_bridge_sweep(r, s->run_dir, used, arg, err);

	if (result == 0)
		result = net_store_list(s->store, NET_NETWORKS, NULL, &networks, &count, err);
	for (size_t i = 0; result == 0 && i < count; i++) {
		struct net_network *n = NULL;

		/* Of a damaged one nothing is known but what the mark says. */
		if (!used(arg, networks[i].id) &&
		    net_store_network(s->store, networks[i].id, &n, NULL) == 0)
			result = net_bridge_remove(r, n, err);
		net_network_free(n);
	}
	net_entries_free(networks, count);
	return result;
}

static int by_id(const void *a, const void *b)
{
	const struct net_entry *x = a, *y = b;

	return strcmp(x->id, y->id);
}

/* An endpoint of the store, or one whose link is not gone yet. */
static bool owner_lives(void *arg, const char *network, const char *owner)
{
	const struct living *l = arg;
	struct net_entry key = { 0 };

	(void)network;
	(void)strncpy(key.id, owner, sizeof(key.id) - 1);
	return bsearch(&key, l->endpoints, l->count, sizeof(key), by_id) || net_trash_has(l->state, owner);
}

/* The namespace it was in is gone, by a reboot: an endpoint that stays is plugged in nowhere. */
static bool plugged(struct net_state *s, struct net_endpoint *e)
{
	struct net_namespace *ns = NULL;

	if (!*e->guest_link || !e->durable ||
	    net_store_namespace(s->store, e->namespace_id, &ns, NULL) != -ENOENT) {
		net_namespace_free(ns);
		return *e->guest_link;
	}
	*e->guest_link = *e->namespace_id = 0;
	net_strv_finish(&e->containers);
	(void)net_store_put_endpoint(s->store, e, NET_PUT_CHANGE, NULL);
	return false;
}

/*
 * Made for a container later than its namespace (network connect), and whoever did it was killed before the
 * namespace's record named it, or when it did not any more.
 */
static bool abandoned(struct net_state *s, const struct net_endpoint *e)
{
	struct net_namespace *ns = NULL;
	bool listed = false;

	if (e->durable)
		return false;
	if (!*e->namespace_id)
		return true;
	if (net_store_namespace(s->store, e->namespace_id, &ns, NULL) < 0)
		return false; /* it is being made: the container's ledger knows it */
	for (size_t i = 0; i < ns->resource_count; i++)
		listed = listed || (!ns->resources[i].container && !strcmp(ns->resources[i].id, e->id));
	net_namespace_free(ns);
	return !listed;
}

static void take_up_rules(struct net_state *s, struct net_rtnl *r, const struct net_network *n,
			  const struct net_endpoint *e)
{
	struct net_place place;

	(void)net_bridge_ensure(s, r, n, &place, NULL);
	(void)net_table_put_network(s->table, n, NULL);
	(void)net_table_put_endpoint(s->table, n, e, NULL);
}

/* One that is plugged in.  What of it cannot be had again is not worth all the others. */
static void take_up(struct net_state *s, struct net_rtnl *r, const struct net_entry *entry)
{
	struct net_endpoint *e = NULL;
	struct net_network *n = NULL;
	int found = net_store_endpoint(s->store, entry->id, &e, NULL);

	if (found == 0 && abandoned(s, e))
		(void)net_endpoint_unmake(s->store, e, NULL);
	else if (found == 0 && plugged(s, e) &&
		 net_store_network(s->store, e->network, &n, NULL) == 0) {
		(void)net_ports_take(s->ports, e->id, e->name ? e->name : e->id, e->policies,
				     e->policy_count, NULL);
		if (n->type == NET_CNI)
			net_ports_unbind(s->ports, e->id);
		else
			take_up_rules(s, r, n, e);
	}
	net_endpoint_free(e);
	net_network_free(n);
}

static int take_up_all(struct net_state *s, struct net_rtnl *r, const struct living *l,
		       struct plug_error *err)
{
	if (!l->count)
		return net_table_drop(s->table, err);
	net_table_begin(s->table);
	for (size_t i = 0; i < l->count; i++)
		take_up(s, r, &l->endpoints[i]);
	return net_balancers_refresh_all(s, err) ?: net_table_commit(s->table, err);
}

int net_state_restore(struct net_state *s, struct plug_error *err)
{
	struct living living = { .state = s };
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	int result = net_rtnl_open(-1, &r, err);

	if (result == 0)
		result = net_store_list(s->store, NET_ENDPOINTS, NULL, &living.endpoints, &living.count, err);
	if (result == 0)
		result = net_pool_sweep(s, err);
	if (result == 0)
		result = net_state_sweep_bridges(s, r, network_used, &living, err);
	if (result == 0)
		result = net_ipam_reconcile(s->store, owner_lives, &living, NULL, err);
	if (result == 0)
		result = take_up_all(s, r, &living, err);
	net_entries_free(living.endpoints, living.count);
	return result;
}
