/* SPDX-License-Identifier: MIT */
/* The parts of the resolver: listeners (resolver.c), connections (tcp.c), questions under way (forward.c). */
#ifndef NET_DNS_RESOLVER_INTERNAL_H
#define NET_DNS_RESOLVER_INTERNAL_H

#include "dns/resolver.h"
#include "dns/zone.h"

#include <stdbool.h>
#include <sys/stat.h>

#define LISTENERS_MAX 8
#define TRIES_MAX 6

struct network;

/* A descriptor with its watch; fd -1: none. */
struct watched {
	int fd;
	uint64_t watch;
};

struct listener {
	struct network *network;
	struct net_zone_server address;
	struct watched udp, tcp;
};

/* A client's TCP connection: one question at a time, its answer, the next. */
struct conn {
	struct conn *next;
	struct network *network;
	struct watched socket;
	struct sockaddr_storage peer;
	uint64_t timer;
	struct pending *pending; /* waits for this answer */
	uint8_t *in, *out;
	size_t got, want;      /* of in: the length first, then as much as it says */
	size_t sent, out_size;
};

/* A question that others are asked. */
struct pending {
	struct pending *next;
	struct network *network;
	struct net_question question;
	uint8_t *query;
	size_t size;
	/* Whose it is: a connection's, or one that came by a listener from `peer`. */
	struct conn *conn;
	const struct listener *listener;
	struct sockaddr_storage peer;
	socklen_t peer_len;
	/* Whom it is asked: a copy, since they may change meanwhile. */
	struct net_zone_server *servers;
	size_t server_count, server, tries;
	bool member_servers;
	uint16_t id;
	struct watched socket;
	uint64_t timer;
	uint8_t *out, *in; /* TCP: with their lengths before them */
	size_t sent, out_size, got, want;
	uint8_t *worst; /* what a server that would not answer said: better than nothing */
	size_t worst_size;
};

struct network {
	struct network *next;
	struct net_resolver *resolver;
	char *id, *device;
	uint16_t port;
	struct net_zone zone;
	struct net_zone_server *servers;
	size_t server_count, good; /* good: the one that answered last */
	struct listener listeners[LISTENERS_MAX];
	size_t listener_count;
	struct pending *pending;
	struct conn *conns;
	uint32_t pending_count, conn_count;
};

struct net_resolver {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	struct net_resolver_limits limits;
	char *resolv_conf;
	struct network *networks;
	/* The host's servers, and the file they are from. */
	struct net_zone_server *servers;
	size_t server_count;
	struct stat seen;
	uint64_t looked_ms;
};

/* Watches, instead of what was watched before; 0 events: nothing.  On error nothing is watched. */
int watched_set(struct net_resolver *r, struct watched *w, uint32_t events, cowherd_fd_cb cb, void *arg);
/* Closes; none is fine. */
void watched_close(struct net_resolver *r, struct watched *w);
/* Runs once, instead of what ran before; 0 ms: never. */
int resolver_timer(struct net_resolver *r, uint64_t *timer, uint64_t ms, cowherd_timer_cb cb, void *arg);
bool resolver_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
/* Who asks, where it is a member of the network; or NULL. */
const struct net_zone_member *resolver_asker(const struct network *n, const struct sockaddr_storage *peer);
/* The servers of a network, its own or the host's; borrowed until the loop turns. */
const struct net_zone_server *resolver_servers(struct network *n, size_t *ret_count);

/*
 * A packet with a question has come.  0: *ret is the answer, the caller's.  1: it was sent on, the answer
 * goes to conn, or by the listener to peer.  Negative: there is no answer.
 */
int resolver_question(struct network *n, const struct listener *listener, struct conn *conn,
		      const struct sockaddr_storage *peer, socklen_t peer_len, const uint8_t *data,
		      size_t size, uint8_t **ret, size_t *ret_size);

/* Asks others; as resolver_question(). */
int forward_begin(struct network *n, const struct listener *listener, struct conn *conn,
		  const struct sockaddr_storage *peer, socklen_t peer_len, const uint8_t *data, size_t size,
		  const struct net_question *question, uint8_t **ret, size_t *ret_size);
/* Ends it without an answer. */
void forward_drop(struct pending *p);

void tcp_accept_cb(void *arg, int fd, uint32_t events);
/* The answer of what conn waited for; NULL: there is none.  Takes over data. */
void tcp_answer(struct conn *c, uint8_t *data, size_t size);
void tcp_close(struct conn *c);

#endif
