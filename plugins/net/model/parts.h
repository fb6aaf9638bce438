/* SPDX-License-Identifier: MIT */
/* Pieces that both shapes have.  Private to model/. */
#ifndef NET_MODEL_PARTS_H
#define NET_MODEL_PARTS_H

#include "common/util.h"
#include "model/shape.h"
#include "policy/policy.h"

/* "KIND: " before what err says; returns its code. */
int net_part_of(struct plug_error *err, int code, const char *kind);

/* Absent is empty.  -EINVAL "KEY: …". */
int net_part_id(struct json_object *o, const char *key, char ret[NET_ID_SIZE], struct plug_error *err);
int net_part_copy(struct json_object *o, const char *key, char **ret, struct plug_error *err);
int net_part_name(struct json_object *o, char **ret, struct plug_error *err);
int net_part_addr(struct json_object *o, const char *key, struct net_addr *ret, struct plug_error *err);
int net_part_mac(struct json_object *o, const char *key, struct net_mac *ret, struct plug_error *err);
int net_part_u32(struct json_object *o, const char *key, uint32_t *ret, struct plug_error *err);
int net_part_u16(struct json_object *o, const char *key, uint16_t *ret, struct plug_error *err);
int net_part_strings(struct json_object *o, const char *key, struct net_strv *ret,
		     struct plug_error *err);
/* The same of text with commas. */
int net_part_commas(struct json_object *o, const char *key, struct net_strv *ret, struct plug_error *err);
/* Ids of objects, also as "/endpoints/ID". */
int net_part_ids(struct json_object *o, const char *key, struct net_strv *ret, struct plug_error *err);
int net_part_servers_check(const struct net_strv *servers, const char *key, struct plug_error *err);
int net_part_ranges(struct json_object *list, struct net_network *n, struct plug_error *err);
/* A link's name of ours; absent is empty. */
int net_part_link(struct json_object *o, const char *key, char ret[NET_LINK_SIZE],
		  struct plug_error *err);

/* A subnet of a network: without host bits, the gateway within, not one that overlaps another. */
int net_part_subnet_add(struct net_network *n, const struct net_subnet *subnet, struct plug_error *err);
/* Takes VLAN and VSID out, gives the others to policy/. */
int net_part_subnet_policies(struct json_object *list, bool hns, struct net_subnet *subnet,
			     struct plug_error *err);
int net_part_network_policies(struct json_object *list, bool hns, struct net_network *n,
			      struct plug_error *err);

int net_part_routes(struct json_object *o, const char *key, struct net_route **ret, size_t *ret_count,
		    struct plug_error *err);
bool net_route_default(const struct net_route *route);
/* One resource, or a list of them, added to those that ns has. */
int net_part_resource(struct json_object *o, struct net_namespace *ns, struct plug_error *err);
int net_part_resources(struct json_object *o, const char *key, struct net_namespace *ns,
		       struct plug_error *err);
struct json_object *net_print_resources(const struct net_namespace *ns, const char *id);
int net_part_vips(struct json_object *o, const char *key, struct net_balancer *b, struct plug_error *err);
int net_part_balancer_port(struct json_object *o, struct net_balancer *b, struct plug_error *err);
struct json_object *net_print_vips(const struct net_balancer *b);
int net_part_type(struct json_object *o, enum net_type *ret, struct plug_error *err);

struct json_object *net_print_route(const struct net_route *route, bool sdn);
/* Appends the default route that HCN has for a gateway; none: nothing. */
void net_print_gateway(struct json_object **list, const struct net_addr *gateway);
void net_print_version(struct json_object **o); /* SchemaVersion */
struct json_object *net_print_strings(const struct net_strv *v);
struct json_object *net_print_commas(const struct net_strv *v);
struct json_object *net_print_ranges(const struct net_network *n);
void net_print_addr(struct json_object **o, const char *key, const struct net_addr *a);
void net_print_prefix(struct json_object **o, const char *key, const struct net_addr *p);
void net_print_mac(struct json_object **o, const char *key, const struct net_mac *m);
struct json_object *net_print_subnet_policies(const struct net_subnet *subnet, bool hns);
/* HNS has members of the network for some of them. */
struct json_object *net_print_network_policies(const struct net_network *n, bool hns);
/* {"ID": id} under what this shape calls it. */
struct json_object *net_print_id(const char *key, const char *id);

#endif
