/* SPDX-License-Identifier: MIT */
/*
 * What can be done with networks, endpoints, namespaces, load balancers and routes, whoever asks and in
 * whichever shape.  Records first, then the kernel, by `effects`; what fails is taken back.  Any thread;
 * blocks.
 */
#ifndef NET_VERBS_API_H
#define NET_VERBS_API_H

#include "model/json.h"
#include "model/make.h"

struct net_stats {
	/* As the container sees it. */
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, rx_dropped, tx_dropped;
};

/* What the objects mean to the kernel.  All required.  0 or a negative errno with err. */
struct net_effects {
	/* Destinations of the host's routes: *ret to be freed. */
	int (*taken)(void *arg, struct net_addr **ret, size_t *ret_count, struct plug_error *err);
	/* A new one: what it stands on is there, and this kernel can do it. */
	int (*network_check)(void *arg, const struct net_network *n, struct plug_error *err);
	/* Addresses of its subnets that this host has itself are noted in n->aux. */
	int (*network_known)(void *arg, struct net_network *n, struct plug_error *err);
	/* Whether the CNI list of a network that is to be made can be run. */
	int (*conflist_check)(void *arg, const struct net_network *n, struct plug_error *err);
	/* Its bridge and rules, where there are any.  Gone already is success. */
	int (*network_remove)(void *arg, const struct net_network *n, struct plug_error *err);
	/* Its policies or DNS are others now. */
	int (*network_change)(void *arg, const struct net_network *n, struct plug_error *err);
	/* Makes it and sets ns->path.  Gone already is success of the removal. */
	int (*namespace_make)(void *arg, struct net_namespace *ns, struct plug_error *err);
	int (*namespace_remove)(void *arg, const struct net_namespace *ns, struct plug_error *err);
	/* HCN's Namespace.Sync of a guest's: hcn/hcnnamespace.go. */
	int (*namespace_sync)(void *arg, const struct net_namespace *ns, struct plug_error *err);
	/* e->guest_link says how it is called inside; first: it gets the default routes. */
	int (*plug)(void *arg, const struct net_network *n, struct net_endpoint *e,
		    const struct net_namespace *ns, bool first, struct plug_error *err);
	int (*unplug)(void *arg, const struct net_network *n, const struct net_endpoint *e,
		      struct plug_error *err);
	/* It is plugged in; its policies are others than those of `was`.  On failure it has some of each. */
	int (*endpoint_change)(void *arg, const struct net_network *n, struct net_endpoint *e,
			       const struct net_endpoint *was, struct plug_error *err);
	/* It is another host's: what leads there comes or goes. */
	int (*remote)(void *arg, const struct net_network *n, const struct net_endpoint *e, bool add,
		      struct plug_error *err);
	/* endpoints: those of b that are plugged in. */
	int (*balancer_put)(void *arg, const struct net_balancer *b,
			    const struct net_endpoint *const *endpoints, size_t count,
			    struct plug_error *err);
	int (*balancer_remove)(void *arg, const struct net_balancer *b, struct plug_error *err);
	/* Routes inside the namespace of e, which is plugged in. */
	int (*route)(void *arg, const struct net_endpoint *e, const struct net_namespace *ns,
		     const struct net_sdn_route *route, bool add, struct plug_error *err);
	int (*stats)(void *arg, const struct net_endpoint *e, struct net_stats *ret,
		     struct plug_error *err);
};

struct net_api {
	struct net_store *store;
	const struct net_effects *effects;
	void *arg; /* of the effects */
};

/* The object that was made is in *ret (may be NULL), the caller's; what was asked for changes owner. */
int net_api_network_create(const struct net_api *api, struct net_network *n, struct net_network **ret,
			   struct plug_error *err);
int net_api_network_remove(const struct net_api *api, const char *ref, struct plug_error *err);

/* network: id or name; NULL: e->network.  A durable one, as users make them. */
int net_api_endpoint_create(const struct net_api *api, struct net_endpoint *e, const char *network,
			    struct net_endpoint **ret, struct plug_error *err);
/* Unplugged before, and taken out of balancers and routes. */
int net_api_endpoint_remove(const struct net_api *api, const char *ref, struct plug_error *err);
/* e: what endpoint `ref` is to be in future: policies, DNS; the rest is left as it is.  It changes owner. */
int net_api_endpoint_update(const struct net_api *api, const char *ref, struct net_endpoint *e,
			    struct plug_error *err);
/* -ENOTCONN: "endpoint NAME: is not in a namespace". */
int net_api_endpoint_stats(const struct net_api *api, const char *ref, struct net_stats *ret,
			   struct plug_error *err);

int net_api_namespace_create(const struct net_api *api, struct net_namespace *ns,
			     struct net_namespace **ret, struct plug_error *err);
/* Its endpoints are unplugged.  -EBUSY: a container is in it. */
int net_api_namespace_remove(const struct net_api *api, const char *ref, struct plug_error *err);
/* -EEXIST: it is there; -EBUSY: an endpoint that is elsewhere. */
int net_api_namespace_add(const struct net_api *api, const char *ref, bool container, const char *id,
			  struct plug_error *err);
/* -ENOENT: it is not there. */
int net_api_namespace_drop(const struct net_api *api, const char *ref, bool container, const char *id,
			   struct plug_error *err);
int net_api_namespace_sync(const struct net_api *api, const char *ref, struct plug_error *err);
/* The namespace that has this container, or this number (container NULL): an id.  -ENOENT. */
int net_api_namespace_find(const struct net_api *api, const char *container, uint32_t number,
			   char ret[NET_ID_SIZE], struct plug_error *err);
/* The host's own; made (the record of it) where there is none. */
int net_api_namespace_host(const struct net_api *api, char ret[NET_ID_SIZE], struct plug_error *err);

int net_api_balancer_create(const struct net_api *api, struct net_balancer *b, struct net_balancer **ret,
			    struct plug_error *err);
int net_api_balancer_remove(const struct net_api *api, const char *ref, struct plug_error *err);
int net_api_sdn_route_create(const struct net_api *api, struct net_sdn_route *route,
			     struct net_sdn_route **ret, struct plug_error *err);
int net_api_sdn_route_remove(const struct net_api *api, const char *ref, struct plug_error *err);

/* Balancers and routes that name this endpoint, after it was plugged in, unplugged, or is to go. */
int net_api_endpoint_moved(const struct net_api *api, const struct net_endpoint *e, bool gone,
			   struct plug_error *err);

/*
 * HCN's modify request: {"ResourceType", "RequestType", "Settings"}.  kind: NET_NETWORKS (Policy, DNS,
 * Extension), NET_ENDPOINTS (Policy, Port), NET_NAMESPACES (Container, Endpoint).
 */
int net_api_modify(const struct net_api *api, enum net_kind kind, const char *ref,
		   struct json_object *request, struct plug_error *err);

/*
 * Objects of a kind that a query (may be NULL: all) asks for, in HCN's shape or HNS's; a new array.  query:
 * {"Filter": "{…}"}, whose members have to equal those of the object in either shape.
 */
int net_api_query(const struct net_api *api, enum net_kind kind, struct json_object *query, bool hns,
		  struct json_object **ret, struct plug_error *err);
/* One, by reference. */
int net_api_get(const struct net_api *api, enum net_kind kind, const char *ref, bool hns,
		struct json_object **ret, struct plug_error *err);

#endif
