/* SPDX-License-Identifier: MIT */
#include "attach/policies.h"

#include "attach/plug.h"
#include "policy/guest.h"
#include "policy/policy.h"
#include "policy/qos.h"
#include "policy/rules.h"

static bool has(const struct net_endpoint *e, enum net_policy_kind kind)
{
	return net_policies_find(e->policies, e->policy_count, kind);
}

static int bandwidth(const struct net_endpoint *e, bool had, struct plug_error *err)
{
	struct net_policy_qos qos = net_qos_of(e);
	char ifb[NET_LINK_SIZE];

	if (!had && !qos.in && !qos.out)
		return 0;
	net_link_name(NET_QOS_LINK_PREFIX, e->id, ifb);
	return net_qos_apply(e->host_link, ifb, &qos, err);
}

int net_policies_apply(struct net_state *s, int netns, const struct net_place *place,
		       const struct net_network *n, const struct net_endpoint *e, struct plug_error *err)
{
	int r = net_table_put_network(s->table, n, err);

	if (r == 0)
		r = net_table_put_endpoint(s->table, n, e, err);
	if (r == 0 && place->way == NET_WAY_BRIDGE)
		r = bandwidth(e, false, err);
	if (r == 0 && has(e, NET_POLICY_PROXY))
		r = net_guest_apply(netns, e, err);
	return r;
}

int net_policies_change(struct net_state *s, int netns, struct net_rtnl *inside, const struct net_network *n,
			const struct net_endpoint *e, const struct net_endpoint *was,
			struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	struct net_place place;
	int r = net_rtnl_open(-1, &host, err);

	if (r == 0)
		r = net_bridge_ensure(s, host, n, &place, err);
	if (r == 0 && place.way == NET_WAY_MACVLAN)
		r = net_rules_check_bridged(n, e->policies, e->policy_count, err);
	if (r == 0)
		r = net_table_put_endpoint(s->table, n, e, err);
	if (r == 0)
		r = net_plug_change(host, inside, &place, n, e, was, err);
	if (r == 0 && place.way == NET_WAY_BRIDGE)
		r = bandwidth(e, has(was, NET_POLICY_QOS), err);
	if (r == 0 && (has(e, NET_POLICY_PROXY) || has(was, NET_POLICY_PROXY)))
		r = net_guest_apply(netns, e, err);
	return r;
}
