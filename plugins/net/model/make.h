/* SPDX-License-Identifier: MIT */
/*
 * What becomes of an object that somebody asks for: the rest of it is filled in, checked against what there
 * is, and written down; and the way back.  Nothing here touches the kernel.  Any thread; blocks.
 */
#ifndef NET_MODEL_MAKE_H
#define NET_MODEL_MAKE_H

#include "model/ipam.h"

/*
 * Fills in id, name, bridge, subnets (chosen, where its type has some and none were asked for; `taken`: the
 * host's routes), gateways and the time, and writes n to the store.  -EEXIST, -EINVAL with
 * "network NAME: cause".
 */
int net_network_make(struct net_store *s, struct net_network *n, const struct net_addr *taken,
		     size_t taken_count, struct plug_error *err);
/* -EBUSY: "network NAME: is used by N endpoints". */
int net_network_unmake(struct net_store *s, const struct net_network *n, struct plug_error *err);

/* What can be said against n without looking at anything else: name, type, subnets.  -EINVAL. */
int net_network_check(const struct net_network *n, struct plug_error *err);
/* Two networks that the host routes to cannot share addresses, and no two a bridge.  -EEXIST. */
int net_network_check_beside(const struct net_network *n, const struct net_network *other,
			     struct plug_error *err);

/* Whether networks of this type have a bridge of ours; an address of their own on the host. */
bool net_type_has_bridge(enum net_type type);
bool net_type_is_routed(enum net_type type);
/* Whether they stand on a card of the host. */
bool net_type_has_adapter(enum net_type type);
/* The network's, or that of its subnets, which is the same for all; 0: none. */
uint32_t net_network_vlan(const struct net_network *n);
uint32_t net_network_vsid(const struct net_network *n);

/*
 * The host's own address on its bridge: DrMacAddress, or 02 and the first five bytes of the id, so that it
 * does not change as ports come and go.
 */
struct net_mac net_network_mac(const struct net_network *n);

/* The first address of a host becomes the gateway. */
void net_subnet_gateway(struct net_subnet *subnet);

/*
 * words.c: what people say of a network, added to n, whose type and subnets are known.  They return what is
 * wrong with the word, to stand behind it; NULL: nothing.
 */
/* An address, or "none": *none is set. */
const char *net_word_gateway(struct net_network *n, const char *text, bool *none);
/* "NAME=ADDRESS", or an address. */
const char *net_word_aux(struct net_network *n, const char *text);
/* Another host with the same segment: what HCN calls a RemoteSubnetRoute, to each of the subnets. */
const char *net_word_peer(struct net_network *n, const char *text);
/* Whoever names no gateway of a card's network means the first address, as docker does. */
void net_word_gateway_usual(struct net_network *n);
/* The subnet that an address or a part lies in, or NULL. */
struct net_subnet *net_subnet_of(const struct net_network *n, const struct net_addr *a);

/* check_network.c: of net_network_check(), what depends on the type. */
int net_network_check_kind(const struct net_network *n, struct plug_error *err);
/* What is beyond the host is reached by it: its gateway can be a default route. */
bool net_type_leads_out(enum net_type type);

/*
 * Fills in id, the link's name, MAC, addresses (those of e->ips, else one for each family the network has)
 * and gateways, and writes e to the store: all of it, or nothing is taken.  Also for an endpoint that is
 * there already, whose addresses it keeps (a container that starts again).  -EADDRINUSE, -EADDRNOTAVAIL,
 * -EINVAL.
 */
int net_endpoint_make(struct net_store *s, const struct net_network *n, struct net_endpoint *e,
		      struct plug_error *err);
/*
 * e->mac: where the network has ranges, one of them that no other endpoint of it has.  Under the store's
 * lock, until e is written.  -EADDRNOTAVAIL.
 */
int net_endpoint_choose_mac(struct net_store *s, const struct net_network *n, struct net_endpoint *e,
			    struct plug_error *err);
/* -EINVAL: it is another host's, and cannot be plugged in. */
int net_endpoint_check_here(const struct net_endpoint *e, struct plug_error *err);
/* Gives back its addresses and removes it.  Gone already is success. */
int net_endpoint_unmake(struct net_store *s, const struct net_endpoint *e, struct plug_error *err);

/* At the start, and with nobody at work: leases and reservations of endpoints that are not there. */
int net_leases_reconcile(struct net_store *s, size_t *ret_freed, struct plug_error *err);

#endif
