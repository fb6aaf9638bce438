/* SPDX-License-Identifier: MIT */
/* A container's network, given back by its record.  What takes long goes to the trash. */
#include "attach/files.h"
#include "attach/join.h"
#include "attach/lists.h"
#include "attach/names.h"
#include "attach/neighbours.h"
#include "attach/parts.h"
#include "attach/rootless.h"
#include "attach/trash.h"
#include "common/util.h"
#include "model/json.h"
#include "policy/qos.h"

#include <stdio.h>
#include <string.h>

static const char *member(struct json_object *o, const char *key)
{
	struct json_object *v = net_json_get(o, key);

	return v ? json_object_get_string(v) : NULL;
}

static const char *text_at(struct json_object *list, size_t i)
{
	return json_object_get_string(json_object_array_get_idx(list, i));
}

/* Rules and ports at once: the next container may want them. */
static int unplug(struct net_state *s, const char *id, struct plug_error *err)
{
	net_ports_release(s->ports, id);
	net_names_note_gone(id);
	return net_table_remove(s->table, id, err);
}

static void links_of(const char *id, char link[NET_LINK_SIZE], char ifb[NET_LINK_SIZE])
{
	net_link_name("ve", id, link);
	net_link_name(NET_QOS_LINK_PREFIX, id, ifb);
}

/* Out of a namespace that stays: one of its endpoints, or the container itself. */
static int leave_namespace(struct net_state *s, const char *ns_id, bool container, const char *id,
			   struct plug_error *err)
{
	struct net_namespace *ns = NULL;
	int r = net_store_lock(s->store, err);

	if (r < 0)
		return r;
	r = net_store_namespace(s->store, ns_id, &ns, err);
	if (r == -ENOENT)
		r = plug_error_none(err);
	else if (r == 0 && net_namespace_drop(ns, container, id) == 0)
		r = net_store_put_namespace(s->store, ns, NET_PUT_CHANGE, err);
	net_namespace_free(ns);
	net_store_unlock(s->store);
	return r;
}

/* One that was made for the container.  ns, its own one (or NULL), goes with the first one's link. */
static int give_endpoint(struct net_state *s, const char *id, const char *ns, bool first,
			 struct plug_error *err)
{
	struct net_endpoint *e = NULL;
	char link[NET_LINK_SIZE], ifb[NET_LINK_SIZE];
	int r = unplug(s, id, err);

	if (r < 0)
		return r;
	links_of(id, link, ifb);
	r = net_store_endpoint(s->store, id, &e, err);
	if (r == -ENOENT)
		r = plug_error_none(err);
	if (r == 0 && e && !ns && *e->namespace_id)
		r = leave_namespace(s, e->namespace_id, false, id, err);
	if (r == 0)
		r = net_trash_add(s, id,
				  &(struct net_trash){ .link = link, .link2 = ifb, .endpoint = id,
						       .ns = first ? ns : NULL,
						       .network = e ? e->network : NULL },
				  err);
	net_endpoint_free(e);
	r = r < 0 ? r : net_store_remove(s->store, NET_ENDPOINTS, id, err);
	return r < 0 ? r : net_lists_unplugged(s, id, err);
}

/* Not by the trash: whoever plugs the endpoint in next makes links of the same names. */
static int unlink_now(const char *link, const char *ifb, struct plug_error *err)
{
	_cleanup_rtnl_ struct net_rtnl *host = NULL;
	int r = net_rtnl_open(-1, &host, err);

	if (r == 0)
		r = net_link_delete(host, link, err);
	return r < 0 ? r : net_link_delete(host, ifb, err);
}

/* One that was there before: it stays, plugged in nowhere. */
static int leave_endpoint(struct net_state *s, const char *ref, const char *container, const char *ns,
			  struct plug_error *err, struct plug_error *warn)
{
	struct net_endpoint *e;
	char link[NET_LINK_SIZE], ifb[NET_LINK_SIZE];
	int r = net_store_endpoint(s->store, ref, &e, err);
	bool ours;

	if (r == -ENOENT) {
		(void)plug_error_set(warn, r, "endpoint %s: leaving its namespace: it does not exist", ref);
		return plug_error_none(err);
	}
	if (r < 0)
		return r;
	/* Another container's by now, or never ours. */
	ours = net_strv_has(&e->containers, container) || (ns && !strcmp(e->namespace_id, ns));
	if (ours) {
		links_of(e->id, link, ifb);
		r = unplug(s, e->id, err);
		if (r == 0)
			r = unlink_now(link, ifb, err);
		if (r == 0 && !ns && *e->namespace_id)
			r = leave_namespace(s, e->namespace_id, false, e->id, err);
		e->guest_link[0] = e->namespace_id[0] = '\0';
		net_strv_finish(&e->containers);
		if (r == 0)
			r = net_store_put_endpoint(s->store, e, NET_PUT_CHANGE, err);
		if (r == 0)
			r = net_lists_unplugged(s, e->id, err);
	}
	net_endpoint_free(e);
	return r;
}

/* Its own record has it. */
static bool is_listed(struct json_object *record, const char *endpoint)
{
	struct json_object *made = net_json_get(record, "endpoints");

	for (size_t i = 0; i < plug_json_length(made); i++)
		if (!strcmp(text_at(made, i), endpoint))
			return true;
	return false;
}

/*
 * What came into the namespace ref after the container was made.  ns: it goes with the container, and nothing
 * can stay in it; NULL: those are left that others brought.
 */
static int give_later(struct net_state *s, const char *ref, const char *ns, struct json_object *record,
		      struct plug_error *err, struct plug_error *warn)
{
	const char *container = member(record, "container");
	struct net_namespace *in;
	int r = net_store_namespace(s->store, ref, &in, err);

	if (r < 0)
		return r == -ENOENT ? plug_error_none(err) : r;
	for (size_t i = in->resource_count; r == 0 && i-- > 0;) {
		struct net_endpoint *e = NULL;

		if (in->resources[i].container || is_listed(record, in->resources[i].id) ||
		    net_store_endpoint(s->store, in->resources[i].id, &e, NULL) < 0)
			continue;
		if (!e->durable && net_strv_has(&e->containers, container))
			r = give_endpoint(s, e->id, ns, false, err);
		else if (ns && !strcmp(e->namespace_id, ns))
			r = leave_endpoint(s, e->id, container, ns, err, warn);
		net_endpoint_free(e);
	}
	net_namespace_free(in);
	return r;
}

static int give_namespace(struct net_state *s, const char *ns, bool noted, struct plug_error *err)
{
	int r = noted ? 0 : net_trash_add(s, ns, &(struct net_trash){ .ns = ns }, err);

	/* From the pool, and the taker did not get that far. */
	return r < 0 ? r : net_pool_announced(s, ns, err);
}

/* While the namespace is there, the plugins can take back what is in it. */
static int give_cni(struct net_state *s, const char *container, const char *ns, struct plug_error *err)
{
	_cleanup_free_ char *path = ns ? net_state_ns_path(s, ns) : NULL;

	return net_give_cni(s, container, path && access(path, F_OK) == 0 ? path : NULL, err);
}

/* In one piece: whoever wants to plug something in meanwhile has done so, or finds the namespace gone. */
static int close_namespace(struct net_state *s, const char *ns, struct json_object *record,
			   struct plug_error *err, struct plug_error *warn)
{
	int r = net_store_lock(s->store, err);

	if (r < 0)
		return r;
	r = give_later(s, ns, ns, record, err, warn) ?: net_store_remove(s->store, NET_NAMESPACES, ns, err);
	net_store_unlock(s->store);
	return r;
}

static int give_endpoints(struct net_state *s, struct json_object *record, const char *container,
			  const char *ns, struct plug_error *err, struct plug_error *warn)
{
	struct json_object *made = net_json_get(record, "endpoints"),
			   *existing = net_json_get(record, "existing");
	int r = ns ? close_namespace(s, ns, record, err, warn) : 0;

	for (size_t i = plug_json_length(existing); r == 0 && i-- > 0;)
		r = leave_endpoint(s, text_at(existing, i), container, ns, err, warn);
	for (size_t i = plug_json_length(made); r == 0 && i-- > 0;) {
		net_neighbours_leave(s, text_at(made, i), member(record, "run_dir"));
		r = give_endpoint(s, text_at(made, i), ns, i == 0, err);
	}
	/* The namespace is noted with the first one's link. */
	if (r == 0 && ns)
		r = give_namespace(s, ns, plug_json_length(made) > 0, err);
	return r;
}

static int give_all(struct net_state *s, struct json_object *record, const char *container, const char *ns,
		    struct plug_error *err, struct plug_error *warn)
{
	const char *ref = member(record, "ns_ref"), *joined = ref ? net_join_id(s, ref) : NULL;
	int r = give_cni(s, container, ns, err);

	if (r == 0)
		r = give_endpoints(s, record, container, ns, err, warn);
	if (r == 0 && joined)
		r = give_later(s, joined, NULL, record, err, warn);
	return r < 0 || !joined ? r : leave_namespace(s, joined, true, container, err);
}

int net_give(struct json_object *record, struct plug_error *err, struct plug_error *warn)
{
	const char *run_dir = member(record, "run_dir"), *ns = member(record, "ns"),
		   *container = member(record, "container");
	_cleanup_free_ char *dir = NULL;
	struct net_state *s = NULL;
	bool root = geteuid() == 0;
	int r = root ? net_state_get(&s, err) : 0;

	if (r == 0 && (!run_dir || !container))
		r = plug_error_set(err, -EBADMSG, "network record: run_dir or container is missing");
	if (r == 0)
		r = root ? give_all(s, record, container, ns, err, warn) :
			   net_rootless_give(container, run_dir, err);
	if (r < 0)
		return r;
	return asprintf(&dir, "%s/net", run_dir) < 0 ? plug_error_errno(err, -ENOMEM, "%s", run_dir) :
						       net_files_remove(dir, err);
}
