/* SPDX-License-Identifier: MIT */
/* A container's network, taken: what was announced is made, so that nothing can be forgotten. */
#include "attach/adapter.h"
#include "attach/files.h"
#include "attach/join.h"
#include "attach/lists.h"
#include "attach/neighbours.h"
#include "attach/parts.h"
#include "attach/plug.h"
#include "attach/policies.h"
#include "attach/rootless.h"
#include "common/util.h"
#include "kernel/netns.h"
#include "model/json.h"
#include "model/make.h"

#include <stdio.h>
#include <string.h>

void net_part_finish(struct net_part *part)
{
	for (size_t i = 0; i < part->count; i++) {
		net_network_free(part->networks[i]);
		net_endpoint_free(part->endpoints[i]);
	}
	for (size_t i = 0; i < part->shown.count; i++) {
		net_network_free(part->shown.networks[i]);
		net_endpoint_free(part->shown.endpoints[i]);
	}
	free(part->shown.networks);
	free(part->shown.endpoints);
	net_plan_finish(&part->plan);
	net_pooled_free(part->pooled);
	net_hosted_free(part->hosted);
	json_object_put(part->patch);
	free(part->run_dir);
}

/* After a start there are parts of the store's endpoints, of no container. */
static bool is_ours(const struct net_part *part, const struct net_endpoint *e)
{
	return !part->plan.container || net_strv_has(&e->containers, part->plan.container);
}

bool net_part_owns(const struct net_part *part, size_t i)
{
	return is_ours(part, part->endpoints[i]);
}

struct json_object *net_part_record(const struct net_part *part)
{
	struct json_object *o = json_object_new_object(), *made = json_object_new_array(),
			   *existing = json_object_new_array();

	for (size_t i = 0; i < part->plan.want_count; i++) {
		const struct net_want *w = &part->plan.wants[i];

		if (i < part->count && !net_part_owns(part, i))
			continue;
		net_json_append(w->existing ? &existing : &made,
				json_object_new_string(*part->ids[i] ? part->ids[i] : w->network));
	}
	net_json_add_string(&o, "container", part->plan.container);
	net_json_add_string(&o, "run_dir", part->run_dir);
	net_json_add_string(&o, "ns", part->ns);
	net_json_add_string(&o, "ns_ref", part->plan.namespace_ref);
	net_json_add(&o, "endpoints", made);
	net_json_add(&o, "existing", existing);
	return o;
}

/* Sockets of one take. */
struct taking {
	struct net_state *state;
	struct net_part *part;
	struct net_rtnl *host, *inside;
	int netns;
	bool own_inside;
	char *path; /* of the namespace */
	bool routed; /* somebody has the default route already */
	struct net_joined joined; /* where it is not our own; inside, netns and path are its own then */
	size_t next_link;
};

static void taking_finish(struct taking *t)
{
	net_rtnl_close(t->host);
	if (t->own_inside)
		net_rtnl_close(t->inside);
	if (t->own_inside && t->netns >= 0)
		(void)close(t->netns);
	if (!t->joined.path)
		free(t->path);
	net_joined_finish(&t->joined);
}

/* ---- the endpoint, as it will be */

static int name_endpoint(const struct net_part *part, size_t i, struct net_endpoint *e)
{
	const char *name = part->plan.name ? part->plan.name : part->plan.container;

	if (i == 0)
		e->name = strdup(name);
	else if (asprintf(&e->name, "%s-%zu", name, i) < 0)
		e->name = NULL;
	return e->name ? 0 : -ENOMEM;
}

/* Where it is going to be: named in the container, the namespace, and both ends of its link. */
static int place_endpoint(struct taking *t, struct net_endpoint *e)
{
	const struct net_part *part = t->part;
	int r = net_strv_add(&e->containers, part->plan.container);

	if (r < 0)
		return plug_error_errno(&t->part->err, r, "endpoint %s", e->id);
	memcpy(e->namespace_id, t->joined.ns ? t->joined.ns->id : part->ns, sizeof(e->namespace_id));
	net_link_name("ve", e->id, e->host_link);
	if (t->joined.path)
		return net_join_link(&t->joined, e->id, &t->next_link, e->guest_link,
				     &t->part->err);
	(void)snprintf(e->guest_link, sizeof(e->guest_link), "eth%zu", t->next_link++);
	return 0;
}

static int fill_endpoint(struct taking *t, size_t i, const struct net_network *n, struct net_endpoint *e)
{
	const struct net_part *part = t->part;
	const struct net_want *w = &part->plan.wants[i];
	int r;

	memcpy(e->id, part->ids[i], sizeof(e->id));
	memcpy(e->network, n->id, sizeof(e->network));
	e->mac = w->mac;
	r = place_endpoint(t, e);
	r = r ?: name_endpoint(part, i, e);
	for (size_t k = 0; r == 0 && k < w->aliases.count; k++)
		r = net_strv_add(&e->aliases, w->aliases.items[k]);
	/* For the resolver of the next supervisor, too. */
	for (size_t k = 0; r == 0 && k < part->plan.dns.count; k++)
		r = net_strv_add(&e->dns.servers, part->plan.dns.items[k]);
	return r;
}

static int add_ports(struct net_part *part, struct net_endpoint *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < part->plan.ports.count; i++)
		r = net_ports_parse(part->plan.ports.items[i], &e->policies, &e->policy_count, &part->err);
	return r;
}

/* Somebody else's, unless it is where the container comes to: then it stays as it is. */
static int claim_read(struct taking *t, const char *ref, struct net_endpoint **ret, struct plug_error *err)
{
	struct net_endpoint *e;
	int r = net_store_endpoint(t->state->store, ref, &e, err);

	if (r < 0)
		return r;
	if (*e->guest_link && (!t->joined.ns || strcmp(e->namespace_id, t->joined.ns->id) != 0))
		r = plug_error_set(err, -EBUSY, "endpoint %s: is plugged in already, in namespace %s",
				   e->name, e->namespace_id);
	else if (!*e->guest_link)
		r = net_endpoint_check_here(e, err) ?: place_endpoint(t, e) ?:
			    net_store_put_endpoint(t->state->store, e, NET_PUT_CHANGE, err);
	if (r < 0)
		net_endpoint_free(e);
	else
		*ret = e;
	return r;
}

/* One that was there before, ours from now on: in one piece, as others may want it at the same time. */
static int claim_endpoint(struct taking *t, const char *ref, struct net_endpoint **ret,
			  struct net_network **ret_network)
{
	struct plug_error *err = &t->part->err;
	int r = net_store_lock(t->state->store, err);

	if (r < 0)
		return r;
	r = claim_read(t, ref, ret, err);
	net_store_unlock(t->state->store);
	return r < 0 ? r : net_store_network(t->state->store, (*ret)->network, ret_network, err);
}

static int make_endpoint(struct taking *t, size_t i, struct net_endpoint **ret,
			 struct net_network **ret_network)
{
	struct net_part *part = t->part;
	const char *network = part->plan.wants[i].network;
	int r = net_find_network(t->state, network, ret_network, &part->err);

	if (r < 0)
		return r;
	*ret = calloc(1, sizeof(**ret));
	r = *ret ? fill_endpoint(t, i, *ret_network, *ret) : -ENOMEM;
	if (r == -ENOMEM)
		(void)plug_error_errno(&part->err, r, "network %s", network);
	return r < 0 || i > 0 ? r : add_ports(part, *ret);
}

/* A want that the network would not hear. */
static int wants_check(struct net_state *s, const struct net_want *w, const struct net_network *n,
		       const struct net_endpoint *e, struct plug_error *err)
{
	const struct net_addr *ips[] = { &w->ip, &w->ip6 };
	char text[NET_ADDR_TEXT];

	if (n->type == NET_CNI)
		return net_take_cni_check(s, w, n, e, err);
	for (size_t i = 0; i < PLUG_ELEMENTS(ips); i++) {
		if (!net_addr_is_set(ips[i]) || ips[i]->prefix == net_addr_bits(ips[i]))
			continue;
		net_addr_format_prefix(ips[i], text);
		return plug_error_set(err, -EINVAL, "network %s: ip %s: only CNI networks take a length",
				      n->name, text);
	}
	return 0;
}

/* The network and the endpoint of a want; ports are found to be free or not before anything is made. */
static int prepare(struct taking *t, size_t i)
{
	struct net_part *part = t->part;
	const struct net_want *w = &part->plan.wants[i];
	struct net_network *n = NULL;
	struct net_endpoint *e = NULL;
	int r = w->existing ? claim_endpoint(t, w->network, &e, &n) : make_endpoint(t, i, &e, &n);

	if (r == 0 && is_ours(part, e))
		r = net_ports_take(t->state->ports, e->id, e->name, e->policies, e->policy_count, &part->err);
	if (r == 0)
		r = wants_check(t->state, w, n, e, &part->err);
	if (r < 0) {
		net_network_free(n);
		net_endpoint_free(e);
		return r;
	}
	memcpy(part->ids[i], e->id, sizeof(part->ids[i]));
	part->networks[i] = n;
	part->endpoints[i] = e;
	part->count = i + 1;
	return 0;
}

/* ---- the namespace */

static int take_namespace(struct taking *t)
{
	struct net_part *part = t->part;
	struct net_pooled *p = part->pooled;
	int r;

	t->path = net_state_ns_path(t->state, part->ns);
	if (!t->path)
		return plug_error_errno(&part->err, -ENOMEM, "network namespace");
	if (p) {
		t->inside = p->inside;
		t->netns = p->fd;
		return net_pool_announced(t->state, p->ns, &part->err);
	}
	t->own_inside = true;
	r = net_ns_make(t->path, &t->netns, &part->err);
	return r < 0 ? r : net_rtnl_open(t->netns, &t->inside, &part->err);
}

/* Opened before anything is taken: its links have names. */
static int open_joined(struct taking *t)
{
	struct net_part *part = t->part;
	int r = net_join_open(t->state, part->plan.namespace_ref, &t->joined, &part->err);

	if (r < 0)
		return r;
	t->path = t->joined.path;
	t->netns = t->joined.fd;
	t->inside = t->joined.inside;
	t->routed = t->joined.routed;
	return 0;
}

static int show_one(struct taking *t, const char *id)
{
	struct net_shown *shown = &t->part->shown;
	struct net_endpoint *e = NULL;
	struct net_network *n = NULL;
	int r = net_store_endpoint(t->state->store, id, &e, &t->part->err);

	if (r == 0)
		r = net_store_network(t->state->store, e->network, &n, &t->part->err);
	if (r < 0) {
		net_endpoint_free(e);
		/* Gone meanwhile, or damaged: not in the files. */
		return r == -ENOMEM ? r : plug_error_none(&t->part->err);
	}
	shown->networks[shown->count] = n;
	shown->endpoints[shown->count++] = e;
	return 0;
}

/* A container that joins has the names and servers of all that is in the namespace. */
static int show_joined(struct taking *t)
{
	const struct net_namespace *ns = t->joined.ns;
	struct net_shown *shown = &t->part->shown;
	int r = 0;

	if (!ns)
		return 0;
	shown->networks = calloc(ns->resource_count + 1, sizeof(*shown->networks));
	shown->endpoints = calloc(ns->resource_count + 1, sizeof(*shown->endpoints));
	if (!shown->networks || !shown->endpoints)
		return plug_error_errno(&t->part->err, -ENOMEM, "namespace %s", ns->id);
	for (size_t i = 0; r == 0 && i < ns->resource_count; i++)
		if (!ns->resources[i].container)
			r = show_one(t, ns->resources[i].id);
	return r;
}

static int store_namespace(struct taking *t)
{
	struct net_part *part = t->part;
	struct net_namespace ns = { .type = NET_NS_GUEST, .path = t->path };
	int r;

	memcpy(ns.id, part->ns, sizeof(ns.id));
	r = net_namespace_add(&ns, true, part->plan.container);
	for (size_t i = 0; r == 0 && i < part->count; i++)
		r = net_namespace_add(&ns, false, part->endpoints[i]->id);
	if (r < 0)
		(void)plug_error_errno(&part->err, r, "network namespace %s", ns.id);
	else
		r = net_store_put_namespace(t->state->store, &ns, NET_PUT_ANY, &part->err);
	for (size_t i = 0; i < ns.resource_count; i++)
		free(ns.resources[i].id);
	free(ns.resources);
	return r;
}

/* ---- plugging in */

/* Whether the pair from the pool is this endpoint's; one of another network goes first.  place NULL: CNI. */
static int is_made(struct taking *t, size_t i, const struct net_place *place, bool *ret)
{
	const struct net_pooled *p = t->part->pooled;

	*ret = false;
	if (i != 0 || !p || !*p->endpoint)
		return 0;
	*ret = place && place->way == NET_WAY_BRIDGE && strcmp(p->network, t->part->networks[i]->id) == 0;
	return *ret ? 0 : net_link_delete(t->host, t->part->endpoints[i]->host_link, &t->part->err);
}

static int plug_in_cni(struct taking *t, size_t i)
{
	struct net_part *part = t->part;
	struct net_endpoint *e = part->endpoints[i];
	bool made;
	int r = is_made(t, i, NULL, &made);

	if (r < 0)
		return r;
	/* Its own plugins publish: what holds the ports would be in their way. */
	net_ports_unbind(t->state->ports, e->id);
	e->host_link[0] = '\0';
	r = net_store_put_endpoint(t->state->store, e, NET_PUT_ANY, &part->err);
	if (r == 0)
		r = net_take_cni(t->state, part, &part->plan.wants[i], part->networks[i], e, t->path,
				 &part->err);
	return r < 0 ? r : net_store_put_endpoint(t->state->store, e, NET_PUT_ANY, &part->err);
}

/* What is the endpoint's own, chosen and written down.  A MAC address of a range is free until then. */
static int choose(struct taking *t, size_t i)
{
	struct net_part *part = t->part;
	struct net_network *n = part->networks[i];
	struct net_endpoint *e = part->endpoints[i];
	int r = 0;

	if (part->plan.wants[i].existing)
		return net_store_put_endpoint(t->state->store, e, NET_PUT_ANY, &part->err);
	r = net_adapter_known(t->host, n, &part->err);
	if (r == 0)
		r = net_take_addresses(t->state, n, &part->plan.wants[i], e, &part->err);
	if (r == 0 && n->mac_count)
		r = net_store_lock(t->state->store, &part->err);
	if (r < 0)
		return r;
	r = net_endpoint_choose_mac(t->state->store, n, e, &part->err);
	if (r == 0)
		r = net_store_put_endpoint(t->state->store, e, NET_PUT_ANY, &part->err);
	if (n->mac_count)
		net_store_unlock(t->state->store);
	return r;
}

static int plug_in(struct taking *t, size_t i)
{
	struct net_part *part = t->part;
	const struct net_network *n = part->networks[i];
	struct net_endpoint *e = part->endpoints[i];
	struct net_place place;
	bool made, first = !t->routed && net_type_leads_out(n->type);
	int r = choose(t, i);

	if (r == 0)
		r = net_bridge_ensure(t->state, t->host, n, &place, &part->err);
	if (r == 0)
		r = is_made(t, i, &place, &made);
	if (r == 0)
		r = net_plug(t->host, t->inside, t->netns, &place, n, e, made, first, &part->err);
	if (r == 0)
		r = net_policies_apply(t->state, t->netns, &place, n, e, &part->err);
	/* Nobody names what has just been made. */
	if (r == 0 && part->plan.wants[i].existing)
		r = net_lists_plugged(t->state, t->inside, e, &part->err);
	t->routed = t->routed || (first && (net_addr_is_set(&e->gateway) || net_addr_is_set(&e->gateway6)));
	return r;
}

static int take_networks(struct taking *t)
{
	struct net_part *part = t->part;
	int r = 0;

	if (part->plan.namespace_ref)
		r = open_joined(t);
	for (size_t i = 0; r == 0 && i < part->plan.want_count; i++)
		r = atomic_load(&part->stop) ? -ECANCELED : prepare(t, i);
	if (r == 0)
		r = !t->joined.path ? take_namespace(t) :
				      net_join_enter(t->state, &t->joined, part->plan.container,
						     part->endpoints, part->count, &part->err);
	if (r == 0)
		r = net_rtnl_open(-1, &t->host, &part->err);
	for (size_t i = 0; r == 0 && i < part->count; i++)
		r = atomic_load(&part->stop)		    ? -ECANCELED :
		    !is_ours(part, part->endpoints[i])	? 0 :
		    part->networks[i]->type == NET_CNI ? plug_in_cni(t, i) :
							 plug_in(t, i);
	return r < 0 ? r : t->joined.path ? show_joined(t) : store_namespace(t);
}

/* ---- files, and the spec's patch */

/* The program's own, where it is one of the user's that carries packets. */
static const char *forwarder(const struct net_part *part)
{
	if (geteuid() == 0 || part->plan.mode != NET_PLAN_NETWORKS)
		return NULL;
	return part->rootless == NET_ROOTLESS_SLIRP ? NET_ROOTLESS_SLIRP_DNS : NET_ROOTLESS_PASTA_DNS;
}

int net_take_files(struct net_part *part, bool resolver)
{
	bool shown = part->shown.count > 0;
	struct net_network *const *networks = shown ? part->shown.networks : part->networks;
	const struct net_files_of of = { .networks = (const struct net_network *const *)networks,
					 .endpoints = shown ? part->shown.endpoints : part->endpoints,
					 .count = shown ? part->shown.count : part->count,
					 .resolver = resolver,
					 .forwarder = forwarder(part) };
	_cleanup_free_ char *dir = NULL;

	if (asprintf(&dir, "%s/net", part->run_dir) < 0)
		return plug_error_errno(&part->err, -ENOMEM, "%s", part->run_dir);
	return part->plan.joined ? net_files_share(part->plan.joined, dir, &part->err) :
				   net_files_write(&part->plan, &of, dir, &part->err);
}

/* NULL: it is not there, as another container's may not be.  -ENOMEM. */
static int file_of(const struct net_part *part, const char *name, char **ret)
{
	if (asprintf(ret, "%s/net/%s", part->run_dir, name) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	if (part->plan.joined && access(*ret, F_OK) < 0) {
		free(*ret);
		*ret = NULL;
	}
	return 0;
}

static int make_patch(struct net_part *part, const char *path)
{
	_cleanup_free_ char *resolv = NULL, *hosts = NULL;

	if (file_of(part, "resolv.conf", &resolv) < 0 || file_of(part, "hosts", &hosts) < 0)
		return plug_error_errno(&part->err, -ENOMEM, "spec");
	part->patch = net_plan_patch(&part->plan, path, resolv, hosts);
	return part->patch ? 0 : plug_error_errno(&part->err, -ENOMEM, "spec");
}

int net_take(struct net_part *part)
{
	__attribute__((cleanup(taking_finish))) struct taking t = { .part = part, .netns = -1,
								   .joined = { .fd = -1 } };
	int r;

	if (geteuid() != 0 && part->plan.mode == NET_PLAN_NETWORKS)
		return net_rootless_take(part);
	r = geteuid() == 0 ? net_state_get(&t.state, &part->err) : 0;
	if (r == 0 && part->plan.mode == NET_PLAN_NETWORKS)
		r = take_networks(&t);
	if (r == 0)
		r = net_take_files(part, true);
	for (size_t i = 0; r == 0 && i < part->count; i++)
		if (part->networks[i]->type == NET_CNI)
			net_neighbours_join(t.state, part->endpoints[i], part->run_dir);
	if (r == 0 && part->hosted)
		r = net_hosted_fill(t.state, part, t.path, part->hosted, &part->err);
	return r < 0 ? r : make_patch(part, t.path);
}
