/* SPDX-License-Identifier: MIT */
/* The jobs behind the allocator: what runs on the pool, with nothing of the host.  Private to attach/. */
#ifndef NET_PARTS_H
#define NET_PARTS_H

#include "attach/hosting.h"
#include "attach/plan.h"
#include "attach/pool.h"
#include "attach/state.h"
#include "model/json.h"
#include "rootless/rootless.h"

#include <stdatomic.h>

/* Of a namespace that was joined: all endpoints in it, for resolv.conf and hosts. */
struct net_shown {
	struct net_network **networks; /* of each endpoint */
	struct net_endpoint **endpoints;
	size_t count;
};

/* One container's network on its way. */
struct net_part {
	struct net_plan plan;
	char *run_dir;		    /* the container's */
	char ns[NET_ID_SIZE];	    /* decided in advance, and announced; "": none is made */
	char ids[NET_WANTS_MAX][NET_ID_SIZE]; /* likewise, of its endpoints; of existing ones "" until then */
	enum net_rootless_kind rootless; /* who carries packets, where we are not root */
	struct net_pooled *pooled;  /* or NULL */
	struct net_hosted *hosted;  /* in a hosting system; or NULL */
	atomic_bool stop;
	struct plug_error err;
	/* What came of it: */
	struct net_network *networks[NET_WANTS_MAX];
	struct net_endpoint *endpoints[NET_WANTS_MAX];
	size_t count;
	struct net_shown shown;
	struct json_object *patch;
};
void net_part_finish(struct net_part *part);
/* Endpoint i is the container's own: false where it was in the joined namespace before. */
bool net_part_owns(const struct net_part *part, size_t i);

/* What the ledger gets, before anything is taken.  NULL: out of memory. */
struct json_object *net_part_record(const struct net_part *part);
/* Takes it all.  On failure what was taken stays, for net_give() by the record. */
int net_take(struct net_part *part);
/* Once more the files, without our resolver in them. */
int net_take_files(struct net_part *part, bool resolver);
/*
 * Gives back what a record names; any process, any number of times: where it fails, the next one goes on with
 * what is left.  warn: what was not as the record says, and is no error; its code is 0 where nothing is.
 */
int net_give(struct json_object *record, struct plug_error *err, struct plug_error *warn);

/* take_lease.c: addresses of both families for e, as far as n has subnets of them. */
int net_take_addresses(struct net_state *s, const struct net_network *n, const struct net_want *w,
		       struct net_endpoint *e, struct plug_error *err);
/* take_cni.c: the chain of n for e; its addresses are e's then.  And all that a container has of them. */
int net_take_cni(struct net_state *s, const struct net_part *part, const struct net_want *w,
		 struct net_network *n, struct net_endpoint *e, const char *netns, struct plug_error *err);
/* Before anything is taken: whether the list can be run, and with what is wanted. */
int net_take_cni_check(struct net_state *s, const struct net_want *w, const struct net_network *n,
		       const struct net_endpoint *e, struct plug_error *err);
int net_give_cni(struct net_state *s, const char *container, const char *netns, struct plug_error *err);
/* take_lease.c: the network by name or id; the default one is made where it is missing. */
int net_find_network(struct net_state *s, const char *ref, struct net_network **ret, struct plug_error *err);

#define NET_FALLBACK_NETWORK "nat"

#endif
