/* SPDX-License-Identifier: MIT */
/*
 * Who has which address.  A lease is a file <run_dir>/net/leases/NETWORK/ADDRESS with its owner in it; it
 * appears whole or not at all, so that a supervisor that dies leaves none half made, and a reboot leaves
 * none.  A reservation is the same below <state_dir>, and outlives both.  An empty or damaged file, or one
 * whose owner does not live, is free.
 *
 * owner: an endpoint's id, or anything else that the alive callback of net_ipam_reconcile() knows.
 * Any thread, any process; blocks.
 */
#ifndef NET_MODEL_IPAM_H
#define NET_MODEL_IPAM_H

#include "model/store.h"

/*
 * An address of n->subnets[subnet], the next free one after the last that was given; never the subnet's
 * own, its broadcast, its gateway, one of n->aux, or one that another has reserved.  wanted (may be NULL):
 * exactly this one.  An owner that wants what it has gets it again.  *ret has the subnet's length as its
 * prefix.
 * -EADDRINUSE: wanted is another's, with its name; -EADDRNOTAVAIL: nothing is free; -EINVAL: wanted cannot be
 * had from this subnet.
 */
int net_ipam_take(struct net_store *s, const struct net_network *n, size_t subnet,
		  const struct net_addr *wanted, const char *owner, struct net_addr *ret,
		  struct plug_error *err);
/* owner: NULL, or only if it is this one's.  Not leased is success. */
int net_ipam_free(struct net_store *s, const char *network, const struct net_addr *addr,
		  const char *owner, struct plug_error *err);
/* Kept for owner across reboots (on disk on return); -EADDRINUSE: reserved or leased by another. */
int net_ipam_reserve(struct net_store *s, const struct net_network *n, const struct net_addr *addr,
		     const char *owner, struct plug_error *err);
int net_ipam_unreserve(struct net_store *s, const char *network, const struct net_addr *addr,
		       const char *owner, struct plug_error *err);
/*
 * Frees every lease and reservation whose owner is not alive, and what is damaged.  alive is asked under the
 * store's lock, and may read from it.  *ret_freed (may be NULL): how many.
 */
int net_ipam_reconcile(struct net_store *s,
		       bool (*alive)(void *arg, const char *network, const char *owner), void *arg,
		       size_t *ret_freed, struct plug_error *err);

struct net_lease {
	struct net_addr addr;
	char *owner;
	bool reserved; /* for owner, leased or not */
};
/* Ordered by address, both kinds: net_leases_free(). */
int net_ipam_list(struct net_store *s, const char *network, struct net_lease **ret, size_t *ret_count,
		  struct plug_error *err);
void net_leases_free(struct net_lease *leases, size_t count);

/*
 * Free private networks for those that come without subnets: 172.28.0.0/16 and up, then 10.89.0.0/24 and up,
 * the first that overlaps no network of the store and none of `taken` (routes of the host).
 * -EADDRNOTAVAIL.
 */
int net_ipam_subnet_choose(struct net_store *s, const struct net_addr *taken, size_t taken_count,
			   struct net_subnet *ret, struct plug_error *err);

#endif
