/* SPDX-License-Identifier: MIT */
/* Objects in and out of the store. */
#include "model/shape.h"
#include "model/store_private.h"

#include <stdio.h>
#include <string.h>

/* What a record's parser says is about the record. */
static int damaged(struct plug_error *err, int code, const char *ref)
{
	char text[sizeof(err->text)];

	if (!err || code == -ENOMEM)
		return code;
	(void)snprintf(text, sizeof(text), "%s", err->text);
	return plug_error_set(err, -EUCLEAN, "%.100s: its record is damaged: %.300s", ref, text);
}

void net_store_foreign(struct net_store *s, const struct net_foreign *foreign)
{
	s->foreign = *foreign;
}

#define STORE_GET(scope, function, type, kind, parse)                                                     \
	scope int function(struct net_store *s, const char *ref, struct type **ret,                   \
			   struct plug_error *err)                                                    \
	{                                                                                          \
		_cleanup_json_ struct json_object *o = NULL;                                       \
		int r = net_store_read(s, kind, ref, &o, err);                                     \
                                                                                                   \
		if (r < 0)                                                                         \
			return r;                                                                  \
		r = parse(o, ret, err);                                                            \
		return r < 0 ? damaged(err, r, ref) : 0;                                           \
	}

STORE_GET(static, own_network, net_network, NET_NETWORKS, net_hcn_network_parse)
STORE_GET(, net_store_endpoint, net_endpoint, NET_ENDPOINTS, net_hcn_endpoint_parse)
STORE_GET(, net_store_namespace, net_namespace, NET_NAMESPACES, net_hcn_namespace_parse)
STORE_GET(, net_store_balancer, net_balancer, NET_BALANCERS, net_hcn_balancer_parse)
STORE_GET(, net_store_sdn_route, net_sdn_route, NET_SDN_ROUTES, net_hcn_sdn_route_parse)

int net_store_network(struct net_store *s, const char *ref, struct net_network **ret,
		      struct plug_error *err)
{
	struct plug_error other = { 0 };
	int r = own_network(s, ref, ret, err), found;

	if (r != -ENOENT || !s->foreign.find)
		return r;
	found = s->foreign.find(s->foreign.arg, ref, ret, &other);
	if (found == -ENOENT)
		return r;
	return found < 0 ? plug_error_set(err, found, "%s", other.text) : plug_error_none(err);
}

/* o changes owner. */
static int put(struct net_store *s, enum net_kind kind, const char *id, const char *name,
	       const char *network, bool durable, struct json_object *o, enum net_put how,
	       struct plug_error *err)
{
	struct net_entry entry = { .durable = durable };
	char whole[NET_ID_SIZE];
	int r;

	if (net_id_parse(id, whole) < 0)
		r = plug_error_set(err, -EINVAL, "%.64s: not a GUID", id);
	else {
		(void)snprintf(entry.id, sizeof(entry.id), "%s", whole);
		(void)snprintf(entry.network, sizeof(entry.network), "%s", network);
		if (name)
			entry.name = strdup(name);
		r = name && !entry.name ? plug_error_errno(err, -ENOMEM, "%s", id)
					: net_store_write(s, kind, &entry, o, how, err);
		free(entry.name);
	}
	json_object_put(o);
	return r;
}

int net_store_put_network(struct net_store *s, const struct net_network *n, enum net_put how,
			  struct plug_error *err)
{
	return put(s, NET_NETWORKS, n->id, n->name, "",
		   !n->configured && !(n->flags & NET_FLAG_NON_PERSISTENT), net_hcn_network_print(n), how,
		   err);
}

int net_store_put_endpoint(struct net_store *s, const struct net_endpoint *e, enum net_put how,
			   struct plug_error *err)
{
	return put(s, NET_ENDPOINTS, e->id, e->name, e->network, e->durable, net_hcn_endpoint_print(e),
		   how, err);
}

int net_store_put_namespace(struct net_store *s, const struct net_namespace *ns, enum net_put how,
			    struct plug_error *err)
{
	return put(s, NET_NAMESPACES, ns->id, NULL, "", ns->durable, net_hcn_namespace_print(ns), how,
		   err);
}

int net_store_put_balancer(struct net_store *s, const struct net_balancer *b, enum net_put how,
			   struct plug_error *err)
{
	return put(s, NET_BALANCERS, b->id, NULL, "", true, net_hcn_balancer_print(b), how, err);
}

int net_store_put_sdn_route(struct net_store *s, const struct net_sdn_route *r, enum net_put how,
			    struct plug_error *err)
{
	return put(s, NET_SDN_ROUTES, r->id, NULL, "", true, net_hcn_sdn_route_print(r), how, err);
}
