/* SPDX-License-Identifier: MIT */
#include "attach/network.h"

#include "attach/bridge.h"
#include "attach/names.h"
#include "attach/overlay.h"
#include "attach/pool.h"

int net_network_take_down(struct net_state *s, const struct net_network *n, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	int r = net_rtnl_open(-1, &host, err);

	net_pool_forget(s, n);
	if (r == 0)
		r = net_bridge_remove(host, n, err);
	return r ?: net_table_remove(s->table, n->id, err);
}

/* A network's policies are its endpoints', too.  A network that nobody uses has no rules yet. */
int net_network_changed(struct net_state *s, const struct net_network *n, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	struct net_entry *entries;
	size_t count;
	int r = net_store_list(s->store, NET_ENDPOINTS, n->id, &entries, &count, err);

	net_names_note_network(n);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct net_endpoint *e;

		if (net_store_endpoint(s->store, entries[i].id, &e, NULL) < 0)
			continue;
		if (*e->guest_link)
			r = net_table_put_network(s->table, n, err) ?:
			    net_table_put_endpoint(s->table, n, e, err);
		net_endpoint_free(e);
	}
	net_entries_free(entries, count);
	if (r == 0)
		r = net_rtnl_open(-1, &host, err);
	return r ?: net_overlay_change(s, host, n, err);
}
