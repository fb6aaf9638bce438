/* SPDX-License-Identifier: MIT */
/*
 * The two JSON shapes: HNS's (version 1, flat, lists of servers as text with commas) and HCN's (version 2).
 * An id that is absent is left empty: the caller makes one.  Unknown members are ignored, as both services
 * do.
 * Errors are -EINVAL with "KIND: MEMBER: cause"; printing gives NULL where memory is missing.
 */
#ifndef NET_MODEL_SHAPE_H
#define NET_MODEL_SHAPE_H

#include "model/json.h"
#include "model/object.h"

int net_hcn_network_parse(struct json_object *o, struct net_network **ret, struct plug_error *err);
struct json_object *net_hcn_network_print(const struct net_network *n);
int net_hcn_endpoint_parse(struct json_object *o, struct net_endpoint **ret, struct plug_error *err);
struct json_object *net_hcn_endpoint_print(const struct net_endpoint *e);
int net_hcn_namespace_parse(struct json_object *o, struct net_namespace **ret, struct plug_error *err);
struct json_object *net_hcn_namespace_print(const struct net_namespace *ns);
int net_hcn_balancer_parse(struct json_object *o, struct net_balancer **ret, struct plug_error *err);
struct json_object *net_hcn_balancer_print(const struct net_balancer *b);
int net_hcn_sdn_route_parse(struct json_object *o, struct net_sdn_route **ret, struct plug_error *err);
struct json_object *net_hcn_sdn_route_print(const struct net_sdn_route *r);

/* "bridge", "private", "vepa", "passthru".  -EINVAL. */
int net_macvlan_mode(const char *text, uint32_t *ret);

/*
 * What a create request has to fulfil besides: hcn/hcnnetwork.go (a gateway for each subnet) and
 * hcn/hcnendpoint.go (no HostComputeNamespace), with their texts.
 */
int net_hcn_network_check(struct json_object *o, struct plug_error *err);
int net_hcn_endpoint_check(struct json_object *o, struct plug_error *err);

int net_hns_network_parse(struct json_object *o, struct net_network **ret, struct plug_error *err);
struct json_object *net_hns_network_print(const struct net_network *n);
int net_hns_endpoint_parse(struct json_object *o, struct net_endpoint **ret, struct plug_error *err);
/* network: its name, or NULL. */
struct json_object *net_hns_endpoint_print(const struct net_endpoint *e, const char *network);
int net_hns_namespace_parse(struct json_object *o, struct net_namespace **ret, struct plug_error *err);
struct json_object *net_hns_namespace_print(const struct net_namespace *ns);
/* A policy list is either: exactly one of them is set. */
int net_hns_list_parse(struct json_object *o, struct net_balancer **ret_balancer,
		       struct net_sdn_route **ret_route, struct plug_error *err);
struct json_object *net_hns_balancer_print(const struct net_balancer *b);
struct json_object *net_hns_sdn_route_print(const struct net_sdn_route *r);

/* HCN's Dns object, also alone: a modify request has it. */
int net_hcn_dns_parse(struct json_object *o, struct net_dns *ret, struct plug_error *err);
struct json_object *net_hcn_dns_print(const struct net_dns *dns);

/*
 * A network of the configuration: HCN's shape, HNS's, or ours, whose members are the options of `network
 * create`: {"name", "driver", "subnet", ...} (docs/configuration.md).  -EINVAL with "/MEMBER: cause", or only
 * the cause; members that none of them has are errors.
 */
int net_configured_network_parse(struct json_object *o, struct net_network **ret, struct plug_error *err);

#endif
