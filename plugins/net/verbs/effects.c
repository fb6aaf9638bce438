/* SPDX-License-Identifier: MIT */
/* What the verbs do to the kernel: with the same pieces, in the same order, as for containers. */
#include "attach/adapter.h"
#include "attach/cni_use.h"
#include "attach/hosting.h"
#include "attach/lists.h"
#include "attach/names.h"
#include "attach/network.h"
#include "attach/overlay.h"
#include "attach/plug.h"
#include "attach/policies.h"
#include "common/util.h"
#include "cni/cni.h"
#include "kernel/netns.h"
#include "model/make.h"
#include "policy/qos.h"
#include "policy/rules.h"
#include "verbs/effects.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

static const char *name_of(const struct net_endpoint *e)
{
	return e->name ? e->name : e->id;
}

/* ---- networks */

static int taken(void *arg, struct net_addr **ret, size_t *ret_count, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	int r = net_rtnl_open(-1, &host, err);

	(void)arg;
	return r ?: net_route_destinations(host, ret, ret_count, err);
}

/* A card that is down may be up later; one that is not there is a mistake. */
static int network_check(void *arg, const struct net_network *n, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	struct net_link_info card;
	int r = 0;

	(void)arg;
	if ((!net_type_has_adapter(n->type) && n->type != NET_OVERLAY) || !n->adapter)
		return 0;
	r = net_rtnl_open(-1, &host, err);
	if (r == 0)
		r = net_adapter_ensure(host, n, NULL, &card, err);
	if (r == -ENETDOWN)
		r = plug_error_none(err);
	/* A VLAN was only a trial. */
	return r ?: net_adapter_remove(host, n, err);
}

static int network_known(void *arg, struct net_network *n, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	int r = net_rtnl_open(-1, &host, err);

	(void)arg;
	return r ?: net_adapter_known(host, n, err);
}

static int conflist_check(void *arg, const struct net_network *n, struct plug_error *err)
{
	return net_cni_network_check(arg, n, err);
}

static int network_remove(void *arg, const struct net_network *n, struct plug_error *err)
{
	return net_network_take_down(arg, n, err);
}

static int network_change(void *arg, const struct net_network *n, struct plug_error *err)
{
	return net_network_changed(arg, n, err);
}

/* ---- namespaces */

static int namespace_make(void *arg, struct net_namespace *ns, struct plug_error *err)
{
	struct net_state *s = arg;
	int r;

	if (ns->type == NET_NS_HOST_DEFAULT) {
		ns->path = strdup("/proc/self/ns/net");
		return ns->path ? 0 : plug_error_errno(err, -ENOMEM, "namespace %s", ns->id);
	}
	ns->path = net_state_ns_path(s, ns->id);
	r = ns->path ? net_state_make_dir(s->ns_dir, err)
		     : plug_error_errno(err, -ENOMEM, "namespace %s", ns->id);
	return r ?: net_ns_make(ns->path, NULL, err);
}

static int namespace_remove(void *arg, const struct net_namespace *ns, struct plug_error *err)
{
	(void)arg;
	if (ns->type == NET_NS_HOST_DEFAULT || !ns->path)
		return 0;
	return net_ns_delete(ns->path, err);
}

/* 1: a file of that kind is kept about ns; *dir is to be freed. */
static int is_kept(const struct net_state *s, const char *kind, const struct net_namespace *ns, char **dir,
		   struct plug_error *err)
{
	struct net_cni_namespace kept = { 0 };
	int r;

	if (asprintf(dir, "%s/%s", s->net_dir, kind) < 0) {
		*dir = NULL;
		return plug_error_errno(err, -ENOMEM, "namespace %s", ns->id);
	}
	r = net_cni_namespace_load(*dir, ns->id, &kept, err);
	net_cni_namespace_free(&kept);
	return r == 0 ? 1 : r == -ENOENT ? plug_error_none(err) : r;
}

/* Virtual machines say this to it, upstream's too; without one, what was kept about it goes. */
static int namespace_sync(void *arg, const struct net_namespace *ns, struct plug_error *err)
{
	struct net_state *s = arg;
	_cleanup_free_ char *dir = NULL, *hosted = NULL;
	int r = is_kept(s, NET_SANDBOX_DIR, ns, &dir, err);

	if (r <= 0)
		return r;
	if (is_kept(s, NET_HOSTING_DIR, ns, &hosted, NULL) > 0)
		return plug_error_set(err, -ENOTSUP, "namespace %s: Not implemented", ns->id);
	return net_cni_namespace_remove(dir, ns->id, err);
}

/* ---- endpoints */

/* A namespace's descriptor and a socket in it. */
struct inside {
	int fd;
	struct net_rtnl *rtnl;
};

static void inside_finish(struct inside *i)
{
	net_rtnl_close(i->rtnl);
	plug_closep(&i->fd);
}
#define _cleanup_inside_ __attribute__((cleanup(inside_finish)))

static int inside_open(const struct net_namespace *ns, struct inside *ret, struct plug_error *err)
{
	if (!ns->path)
		return plug_error_set(err, -ENOENT, "namespace %s: is not made", ns->id);
	ret->fd = net_ns_open(ns->path, err);
	return ret->fd < 0 ? ret->fd : net_rtnl_open(ret->fd, &ret->rtnl, err);
}

static int plug(void *arg, const struct net_network *n, struct net_endpoint *e,
		const struct net_namespace *ns, bool first, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	_cleanup_inside_ struct inside inside = { .fd = -1 };
	struct net_state *s = arg;
	struct net_place place;
	int r;

	if (n->type == NET_CNI)
		return plug_error_set(err, -EOPNOTSUPP,
				      "endpoint %s: a CNI network's are made with their containers",
				      name_of(e));
	r = net_ports_take(s->ports, e->id, name_of(e), e->policies, e->policy_count, err);
	if (r == 0)
		r = inside_open(ns, &inside, err);
	if (r == 0)
		r = net_rtnl_open(-1, &host, err);
	if (r == 0)
		r = net_bridge_ensure(s, host, n, &place, err);
	if (r == 0)
		r = net_plug(host, inside.rtnl, inside.fd, &place, n, e, false, first, err);
	if (r == 0)
		r = net_policies_apply(s, inside.fd, &place, n, e, err);
	if (r == 0)
		net_names_note(s, e->id);
	return r;
}

/* A macvlan has no end on the host: it is found where it is. */
static int guest_link_delete(const struct net_state *s, const struct net_endpoint *e,
			     struct plug_error *err)
{
	_cleanup_inside_ struct inside inside = { .fd = -1 };
	struct net_namespace *ns = NULL;
	int r = net_store_namespace(s->store, e->namespace_id, &ns, NULL);

	/* Gone, and the link with it. */
	if (r == 0 && inside_open(ns, &inside, NULL) == 0)
		r = net_link_delete(inside.rtnl, e->guest_link, err);
	else
		r = 0;
	net_namespace_free(ns);
	return r;
}

static int unplug(void *arg, const struct net_network *n, const struct net_endpoint *e,
		  struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	struct net_state *s = arg;
	char ifb[NET_LINK_SIZE];
	int r;

	if (n->type == NET_CNI)
		return plug_error_set(err, -EOPNOTSUPP,
				      "network %s: a CNI network's endpoints go with their containers",
				      n->name);
	r = net_table_remove(s->table, e->id, err);
	net_names_note_gone(e->id);
	net_ports_release(s->ports, e->id);
	net_link_name(NET_QOS_LINK_PREFIX, e->id, ifb);
	if (r == 0)
		r = net_rtnl_open(-1, &host, err);
	if (r == 0)
		r = net_link_delete(host, e->host_link, err);
	if (r == 0)
		r = net_qos_remove(ifb, err);
	if (r == 0 && net_type_has_adapter(n->type) && *e->guest_link && *e->namespace_id)
		r = guest_link_delete(s, e, err);
	return r;
}

static int endpoint_change(void *arg, const struct net_network *n, struct net_endpoint *e,
			   const struct net_endpoint *was, struct plug_error *err)
{
	_cleanup_inside_ struct inside inside = { .fd = -1 };
	struct net_state *s = arg;
	struct net_namespace *ns = NULL;
	int r = net_store_namespace(s->store, e->namespace_id, &ns, err);

	if (r == 0)
		r = inside_open(ns, &inside, err);
	if (r == 0)
		r = net_ports_change(s->ports, e->id, name_of(e), e->policies, e->policy_count, err);
	if (r == 0)
		r = net_policies_change(s, inside.fd, inside.rtnl, n, e, was, err);
	net_namespace_free(ns);
	return r;
}

/* Of another host: what leads there. */
static int remote(void *arg, const struct net_network *n, const struct net_endpoint *e, bool add,
		  struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	int r = net_rtnl_open(-1, &host, err);

	(void)arg;
	return r ?: net_overlay_remote(host, n, e, add, err);
}

/* ---- lists */

static int balancer_put(void *arg, const struct net_balancer *b,
			const struct net_endpoint *const *endpoints, size_t count, struct plug_error *err)
{
	struct net_state *s = arg;

	return net_balancer_put(s, b, endpoints, count, err);
}

static int balancer_remove(void *arg, const struct net_balancer *b, struct plug_error *err)
{
	struct net_state *s = arg;

	return net_balancer_drop(s, b->id, err);
}

static int route(void *arg, const struct net_endpoint *e, const struct net_namespace *ns,
		 const struct net_sdn_route *sdn, bool add, struct plug_error *err)
{
	_cleanup_inside_ struct inside inside = { .fd = -1 };
	int r = inside_open(ns, &inside, err);

	(void)arg;
	return r < 0 ? r : net_sdn_route_apply(inside.rtnl, e, sdn, add, err);
}

/* ---- counters */

static int counters_read(void *arg, const struct nlmsghdr *answer)
{
	struct rtnl_link_stats64 *ret = arg;
	struct nlattr *a;

	net_attr_each(a, answer, sizeof(struct ifinfomsg))
		if (mnl_attr_get_type(a) == IFLA_STATS64) {
			size_t size = mnl_attr_get_payload_len(a);

			memcpy(ret, mnl_attr_get_payload(a), size < sizeof(*ret) ? size : sizeof(*ret));
		}
	return 0;
}

static int counters(struct net_rtnl *r, const char *link, struct rtnl_link_stats64 *ret,
		    struct plug_error *err)
{
	_cleanup_free_ char *buffer = malloc(NET_RTNL_MESSAGE);
	struct nlmsghdr *request;
	struct ifinfomsg *info;

	if (!buffer)
		return plug_error_errno(err, -ENOMEM, "link %s", link);
	request = net_rtnl_begin(buffer, RTM_GETLINK, 0);
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(request, IFLA_IFNAME, link);
	return net_rtnl_call(r, request, counters_read, ret, err, "link %s", link);
}

static void stats_set(const struct rtnl_link_stats64 *c, bool other_end, struct net_stats *ret)
{
	*ret = other_end ? (struct net_stats){ c->tx_bytes, c->rx_bytes, c->tx_packets, c->rx_packets,
					       c->tx_dropped, c->rx_dropped }
			 : (struct net_stats){ c->rx_bytes, c->tx_bytes, c->rx_packets, c->tx_packets,
					       c->rx_dropped, c->tx_dropped };
}

/* By the end on the host, where there is one; what it sends is what the container receives. */
static int stats(void *arg, const struct net_endpoint *e, struct net_stats *ret, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	_cleanup_inside_ struct inside inside = { .fd = -1 };
	struct rtnl_link_stats64 c = { 0 };
	struct net_state *s = arg;
	struct net_namespace *ns = NULL;
	int r = net_rtnl_open(-1, &host, err);

	if (r == 0)
		r = counters(host, e->host_link, &c, err);
	if (r == 0)
		stats_set(&c, true, ret);
	if (r != -ENODEV)
		return r;
	r = net_store_namespace(s->store, e->namespace_id, &ns, err);
	if (r == 0)
		r = inside_open(ns, &inside, err);
	if (r == 0)
		r = counters(inside.rtnl, e->guest_link, &c, err);
	if (r == 0)
		stats_set(&c, false, ret);
	net_namespace_free(ns);
	return r;
}

const struct net_effects net_effects = {
	.taken = taken,
	.network_check = network_check,
	.network_known = network_known,
	.conflist_check = conflist_check,
	.network_remove = network_remove,
	.network_change = network_change,
	.namespace_make = namespace_make,
	.namespace_remove = namespace_remove,
	.namespace_sync = namespace_sync,
	.plug = plug,
	.unplug = unplug,
	.endpoint_change = endpoint_change,
	.remote = remote,
	.balancer_put = balancer_put,
	.balancer_remove = balancer_remove,
	.route = route,
	.stats = stats,
};
