/* SPDX-License-Identifier: MIT */
/*
 * Where objects are kept: a file each, HCN's JSON, written whole or not at all.
 *
 *	<state_dir>/net/{networks,endpoints,namespaces,loadbalancers,routes}/ID.json: what users made
 *	<run_dir>/net/{networks,endpoints,namespaces}/ID.json: what the configuration made or a container has
 *	<state_dir>/net/lock: held by writers (flock); its first 8 bytes count the changes
 *
 * Any thread, any process; blocks on disks, so never on the loop.  An index in memory, read anew when the
 * count says that another process changed something, keeps lookups the same price however many there are.
 * What is damaged is listed without a name, so that it can be removed, and is an error to whoever reads it.
 * Everything handed out is a copy and the caller's.
 */
#ifndef NET_MODEL_STORE_H
#define NET_MODEL_STORE_H

#include "model/object.h"

struct net_store;

/* Makes missing directories.  Both are absolute and the host's own; closing takes NULL. */
int net_store_open(const char *state_dir, const char *run_dir, struct net_store **ret,
		   struct plug_error *err);
void net_store_close(struct net_store *s);

enum net_put {
	NET_PUT_NEW,	/* -EEXIST where the id, or the name among its kind, is taken */
	NET_PUT_ANY,	/* replace or make */
	NET_PUT_CHANGE, /* -ENOENT where it is gone */
};

/*
 * By id, name, or the beginning of an id that no other has.  -ENOENT with the reference's texts:
 * "Network name "x" not found", "Network ID "…" not found", "Endpoint "x" not found", ….
 */
int net_store_network(struct net_store *s, const char *ref, struct net_network **ret,
		      struct plug_error *err);
int net_store_endpoint(struct net_store *s, const char *ref, struct net_endpoint **ret,
		       struct plug_error *err);
int net_store_namespace(struct net_store *s, const char *ref, struct net_namespace **ret,
			struct plug_error *err);
int net_store_balancer(struct net_store *s, const char *ref, struct net_balancer **ret,
		       struct plug_error *err);
int net_store_sdn_route(struct net_store *s, const char *ref, struct net_sdn_route **ret,
			struct plug_error *err);

/* Durable ones (not `configured`; `durable`) are on disk when these return, the others only in run_dir. */
int net_store_put_network(struct net_store *s, const struct net_network *n, enum net_put how,
			  struct plug_error *err);
int net_store_put_endpoint(struct net_store *s, const struct net_endpoint *e, enum net_put how,
			   struct plug_error *err);
int net_store_put_namespace(struct net_store *s, const struct net_namespace *ns, enum net_put how,
			    struct plug_error *err);
int net_store_put_balancer(struct net_store *s, const struct net_balancer *b, enum net_put how,
			   struct plug_error *err);
int net_store_put_sdn_route(struct net_store *s, const struct net_sdn_route *r, enum net_put how,
			    struct plug_error *err);

enum net_kind {
	NET_NETWORKS,
	NET_ENDPOINTS,
	NET_NAMESPACES,
	NET_BALANCERS,
	NET_SDN_ROUTES,
	NET_KIND_COUNT
};

/* By whole id.  Gone already is success.  Leases of a network go with it. */
int net_store_remove(struct net_store *s, enum net_kind kind, const char *id, struct plug_error *err);

/*
 * All of a kind, ordered by id, as whole objects are costly to list: what the index knows.  network:
 * NULL, or only endpoints of that one.  Each string is the caller's with the list: net_entries_free().
 */
struct net_entry {
	char id[NET_ID_SIZE];
	char network[NET_ID_SIZE]; /* endpoints */
	char *name; /* "" where the kind has none */
	bool durable;
	bool damaged;
};
int net_store_list(struct net_store *s, enum net_kind kind, const char *network,
		   struct net_entry **ret, size_t *ret_count, struct plug_error *err);
void net_entries_free(struct net_entry *entries, size_t count);

/*
 * Networks that others keep, and show as theirs: those of CNI's directory.  They are found and listed behind
 * the store's own, whose names go first, and cannot be changed.  Each is asked at once, under no lock.
 */
struct net_foreign {
	void *arg;
	/* By name, id, or the beginning of one; -ENOENT without words. */
	int (*find)(void *arg, const char *ref, struct net_network **ret, struct plug_error *err);
	int (*each)(void *arg, int (*cb)(void *arg, const struct net_network *n), void *cb_arg,
		    struct plug_error *err);
};
void net_store_foreign(struct net_store *s, const struct net_foreign *foreign);

/*
 * Held while several changes have to be one for others, in this process and elsewhere.  The calls above may
 * be made by the thread that holds it; it may take it again, and gives it back as often.
 */
int net_store_lock(struct net_store *s, struct plug_error *err);
void net_store_unlock(struct net_store *s);

/* How many changes there have been: differs when anything may have changed. */
uint64_t net_store_generation(struct net_store *s);

#endif
