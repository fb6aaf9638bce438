/* SPDX-License-Identifier: MIT */
/*
 * The resolver of our networks: for each network a listener (UDP and TCP) on the addresses of its bridge,
 * in the host's network namespace.  Names, aliases and ids of the members of the same network are answered
 * (A, AAAA, PTR; NODATA where the name is there but no such address), the rest is forwarded.
 *
 * All of it runs on the loop thread, by watch_fd and timers; nothing blocks.  What is passed in is copied.
 * Nothing is kept on disk: after a restart the same calls are made again, from the store.  Arrays of
 * strings end with NULL; NULL itself is the empty array.
 */
#ifndef NET_DNS_RESOLVER_H
#define NET_DNS_RESOLVER_H

#include "common/error.h"
#include "cowherd/plugin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_resolver;

struct net_resolver_network {
	const char *id;             /* of the network: how it is known below */
	const char *device;         /* the bridge: what comes by another link is not heard; NULL: any */
	const char *const *listen;  /* addresses without prefix; they may come later than the listener */
	const char *domain;         /* "web.DOMAIN" is "web", too; or NULL */
	const char *const *subnets; /* "10.88.0.0/16": of addresses in them only we know names */
	const char *const *servers; /* where the rest is asked, in this order; none: the host's resolv.conf */
	uint16_t port;              /* 0: 53 */
};

struct net_resolver_member {
	const char *owner;            /* id of the endpoint */
	const char *container;        /* whose it is: it may ask each of its networks about all; or NULL */
	const char *const *names;     /* name, aliases, id, short id; the first is what PTR answers */
	const char *const *addresses; /* without prefix */
	const char *const *servers;   /* asked instead of the network's for this one's questions; none: not */
};

/* Limits and times; a zero is the default given behind it. */
struct net_resolver_limits {
	uint32_t pending;          /* questions under way for one network: 512 */
	uint32_t pending_member;   /* of these, of one address: 128 */
	uint32_t connections;      /* TCP, for one network: 64; of one address a quarter */
	uint32_t try_ms;           /* one server, one try: 2000; TCP twice that */
	uint32_t rounds;           /* through all servers: 2; 6 tries at most */
	uint32_t idle_ms;          /* a silent connection is closed: 10000 */
	const char *resolv_conf;   /* /etc/resolv.conf: looked at again when it has changed */
};

/* limits may be NULL.  -ENOMEM. */
int net_resolver_create(const struct cowherd_host *host, struct cowherd_self *self,
			const struct net_resolver_limits *limits, struct net_resolver **ret);
/* Closes every network first.  NULL is fine. */
void net_resolver_destroy(struct net_resolver *r);

/*
 * Listens for a network.  Open already with the same addresses, device and port: the rest is replaced and
 * members stay.  Else members are kept, and sockets are made anew where they have to be; also for a device
 * that was made anew under its old name, which needs this call again.  Errors name address and port:
 * -EADDRINUSE where another DNS server has it, -ENODEV; on error a network that was not open is not, one that
 * was is as it was.
 */
int net_resolver_open(struct net_resolver *r, const struct net_resolver_network *network,
		      struct plug_error *err);
/* Its questions under way are dropped.  Not open: nothing happens. */
void net_resolver_close(struct net_resolver *r, const char *network);

/* Adds a member, or replaces the one with this owner.  -ENOENT: no such network is open; -EINVAL, -ENOMEM. */
int net_resolver_set(struct net_resolver *r, const char *network, const struct net_resolver_member *member,
		     struct plug_error *err);
/* network NULL: of whichever it is a member.  Not there: nothing happens. */
void net_resolver_unset(struct net_resolver *r, const char *network, const char *owner);
/* Its names are not answered, or are again: of a container, on all of its networks. */
void net_resolver_hide(struct net_resolver *r, const char *container, bool hidden);

#endif
