/* SPDX-License-Identifier: MIT */
/*
 * The table of rules in the kernel, and what it should hold, kept here, so that it can be made again when
 * somebody has flushed it.  Everything is one transaction: a change is there as a whole or not at all.
 *
 * Of the network namespace in which it was opened, on whatever thread (each has to be in that namespace).
 * Any thread; blocks for some milliseconds, so never on the loop.
 */
#ifndef NET_TABLE_H
#define NET_TABLE_H

#include "common/error.h"
#include "model/object.h"

struct net_table;

/* name: of the table, family inet; [a-z][a-z0-9-]*.  Touches nothing yet. */
int net_table_open(const char *name, struct net_table **ret, struct plug_error *err);
/* Frees memory; what is in the kernel stays. */
void net_table_close(struct net_table *t);

/*
 * Between these, changes are only noted, and net_table_commit() replaces the whole table with what is
 * noted: at the start, with all that lives, whatever an earlier supervisor has left.
 */
void net_table_begin(struct net_table *t);
int net_table_commit(struct net_table *t, struct plug_error *err);

/* Known already: replaced. */
int net_table_put_network(struct net_table *t, const struct net_network *n, struct plug_error *err);
/* n: its network, which need not be put before. */
int net_table_put_endpoint(struct net_table *t, const struct net_network *n,
			   const struct net_endpoint *e, struct plug_error *err);
int net_table_put_balancer(struct net_table *t, const struct net_balancer *b,
			   const struct net_endpoint *const *endpoints, size_t count,
			   struct plug_error *err);
/* By id, whatever it is.  Not there: success. */
int net_table_remove(struct net_table *t, const char *id, struct plug_error *err);

/* Everything again, in one transaction; after a flush. */
int net_table_rebuild(struct net_table *t, struct plug_error *err);
/* The table leaves the kernel; what it should hold is forgotten. */
int net_table_drop(struct net_table *t, struct plug_error *err);

/*
 * A socket (non-blocking, close-on-exec) that is readable when rules change, ours or anybody's.  The
 * caller watches it and closes it.
 */
int net_table_watch(struct net_table *t, int *ret_fd, struct plug_error *err);
/* Reads all that is there.  true: somebody else has changed what is ours: net_table_rebuild(). */
bool net_table_lost(struct net_table *t, int fd);

/* Whether net_table_lost() has seen a new obstacle, as below, since this was asked. */
bool net_table_hindered(struct net_table *t);

/*
 * What on this host keeps packets from containers although our rules let them through: base chains of
 * others in the forward hook whose policy is drop (Docker's is).  *ret: for people, or NULL where there is
 * nothing; the caller's to free.
 */
int net_table_obstacles(struct net_table *t, char **ret, struct plug_error *err);

#endif
