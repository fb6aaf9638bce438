/* SPDX-License-Identifier: MIT */
/* Private to policy/. */
#ifndef NET_TABLE_PRIVATE_H
#define NET_TABLE_PRIVATE_H

#include "policy/table.h"

#include <pthread.h>
#include <stdint.h>

/* A network, an endpoint, a load balancer: how it gets in and out. */
struct entry {
	struct entry *next;
	char id[NET_ID_SIZE];
	char *add, *remove;
	struct net_addr *addrs; /* whose connections end with it */
	size_t addr_count;
};

#define BUCKETS 256

struct mnl_socket;

struct net_table {
	pthread_mutex_t mutex;
	char name[64];
	struct entry *entries[BUCKETS];
	uint32_t generation; /* of our last transaction: the element that marks it as ours */
	struct mnl_socket *socket; /* table_socket(); NULL: not open yet */
	bool noted; /* between begin and commit */
	bool made;
	/* Of the transaction that net_table_lost() is reading about; the loop's alone. */
	bool watch_touched, watch_ours;
	bool watch_obstacle; /* since net_table_hindered() was asked */
};

/* Runs one transaction of nft's, with its output where ret_output is given; json: as JSON.  -EIO. */
int table_run(const struct net_table *t, const char *text, bool json, char **ret_output,
	      struct plug_error *err);

/*
 * The same for text that only adds and deletes elements of plain sets and maps, much faster (fast.c).
 * -EOPNOTSUPP: it is not of that kind; other errors are the kernel's, and nothing was changed.  With the
 * mutex held.
 */
int table_run_plain(struct net_table *t, const char *text);
/*
 * To netfilter, or NULL with errno; with the mutex held.  It stays open: as one is closed, the kernel waits
 * until all that was ever deleted is freed, which takes longer than any transaction.
 */
struct mnl_socket *table_socket(struct net_table *t);
void table_socket_close(struct net_table *t);

/*
 * Connections from and to an address are forgotten: its next owner gets none of them.  Best effort.  These
 * take the mutex.
 */
void conntrack_forget(struct net_table *t, const struct net_addr *addr);
/* Those to a port of the host that were there before it was published. */
void conntrack_forget_port(struct net_table *t, int family, uint8_t protocol, uint16_t port);

/* Packets between containers of this bridge pass our rules.  -EOPNOTSUPP: the kernel cannot. */
int bridge_filter(const char *bridge, struct plug_error *err);
/* Answers of its containers reach ::1 of the host.  -EOPNOTSUPP: packets on this bridge are filtered. */
int bridge_loopback6(const char *bridge, struct plug_error *err);

#endif
