/* SPDX-License-Identifier: MIT */
/* A card is back: what stood on it is made again. */
#include "attach/cards.h"

#include "attach/plug.h"
#include "common/text.h"
#include "common/util.h"
#include "kernel/netns.h"

#include <stdlib.h>
#include <string.h>

/* A macvlan goes with its card.  Veth pairs do not. */
static int mend_link(struct net_rtnl *host, const struct net_network *n, const struct net_endpoint *e,
		     const struct net_namespace *ns, const struct net_place *place, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *inside = NULL;
	_cleanup_close_ int netns = net_ns_open(ns->path, err);
	struct net_link_info info;
	int r = netns < 0 ? netns : net_rtnl_open(netns, &inside, err);

	if (r == 0)
		r = net_link_find(inside, e->guest_link, &info, err);
	if (r != -ENODEV)
		return r;
	(void)plug_error_none(err);
	return net_plug(host, inside, netns, place, n, e, false, strcmp(e->guest_link, "eth0") == 0, err);
}

/* Those that are plugged in; *ret_used: whether any is. */
static int mend_endpoints(struct net_state *s, struct net_rtnl *host, const struct net_network *n,
			  const struct net_place *place, bool *ret_used, struct plug_error *err)
{
	struct net_entry *entries;
	size_t count;
	int r = net_store_list(s->store, NET_ENDPOINTS, n->id, &entries, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		struct net_namespace *ns = NULL;
		struct net_endpoint *e = NULL;
		struct plug_error one;

		if (net_store_endpoint(s->store, entries[i].id, &e, NULL) == 0 && *e->guest_link) {
			*ret_used = true;
			/* One that has just gone is no reason to leave the others. */
			if (place && net_store_namespace(s->store, e->namespace_id, &ns, NULL) == 0 &&
			    ns->path && mend_link(host, n, e, ns, place, &one) < 0 && r == 0)
				r = plug_error_set(err, one.code, "%s", one.text);
		}
		net_namespace_free(ns);
		net_endpoint_free(e);
	}
	net_entries_free(entries, count);
	return r;
}

static int mend(struct net_state *s, struct net_rtnl *host, const struct net_network *n, bool gone,
		struct plug_text *names, struct plug_error *err)
{
	struct net_place place;
	bool used = false;
	int r = mend_endpoints(s, host, n, NULL, &used, err);

	if (r < 0 || !used)
		return r;
	plug_text_add(names, "%s%s", names->len ? ", " : "", n->name);
	if (gone)
		return 0;
	r = net_bridge_ensure(s, host, n, &place, err);
	return r == 0 && place.way == NET_WAY_MACVLAN ? mend_endpoints(s, host, n, &place, &used, err) : r;
}

int net_cards_mend(struct net_state *s, const char *card, bool gone, char **ret, struct plug_error *err)
{
	_cleanup_text_ struct plug_text names = { 0 };
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	struct net_entry *entries = NULL;
	size_t count = 0;
	int r = net_rtnl_open(-1, &host, err);

	if (r == 0)
		r = net_store_list(s->store, NET_NETWORKS, NULL, &entries, &count, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct net_network *n = NULL;

		if (net_store_network(s->store, entries[i].id, &n, NULL) == 0 && n->adapter &&
		    strcmp(n->adapter, card) == 0)
			r = mend(s, host, n, gone, &names, err);
		net_network_free(n);
	}
	net_entries_free(entries, count);
	*ret = plug_take_ptr(names.data);
	return r;
}
