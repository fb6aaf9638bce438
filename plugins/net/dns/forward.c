/* SPDX-License-Identifier: MIT */
/*
 * What we do not know, others are asked.  Each try has a socket of its own, so that its source port is
 * the kernel's random choice, connected, so that nobody but the server is heard, and a random id.
 */
#include "common/util.h"
#include "dns/resolver_internal.h"

#include <ldns/ldns.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

static int pending_try(struct pending *p);

static void pending_free(struct pending *p)
{
	struct net_resolver *r = p->network->resolver;

	for (struct pending **at = &p->network->pending; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			p->network->pending_count--;
			break;
		}
	}
	watched_close(r, &p->socket);
	r->host->timer_stop(r->self, p->timer);
	free(p->query);
	free(p->servers);
	free(p->out);
	free(p->in);
	free(p->worst);
	free(p);
}

void forward_drop(struct pending *p)
{
	pending_free(p);
}

/* The answer goes to whom it is for, and with that the question is over.  Takes over data (NULL: none). */
static void pending_end(struct pending *p, uint8_t *data, size_t size)
{
	if (data && size >= 2)
		memcpy(data, p->query, 2); /* under the client's id */
	if (p->conn) {
		tcp_answer(p->conn, data, size);
		data = NULL;
	} else if (data && size > p->question.limit) {
		free(data);
		data = NULL;
		if (net_message_cut(p->query, p->size, &data, &size) < 0)
			data = NULL;
	}
	if (data)
		(void)sendto(p->listener->udp.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL,
			     (const struct sockaddr *)&p->peer, p->peer_len);
	free(data);
	pending_free(p);
}

/* Nobody answered, or nobody would. */
static void pending_fail(struct pending *p)
{
	uint8_t *data = plug_take_ptr(p->worst);
	size_t size = p->worst_size;

	if (!data &&
	    net_message_refuse(p->query, p->size, LDNS_RCODE_SERVFAIL, &data, &size) < 0)
		data = NULL;
	pending_end(p, data, size);
}

/* This try is over; the next server, or the end. */
static void pending_next(struct pending *p)
{
	struct net_resolver *r = p->network->resolver;
	size_t tries = p->server_count * r->limits.rounds;

	watched_close(r, &p->socket);
	(void)resolver_timer(r, &p->timer, 0, NULL, NULL);
	free(p->out);
	free(p->in);
	p->out = p->in = NULL;
	p->tries++;
	p->server = (p->server + 1) % p->server_count;
	if (p->tries >= tries || p->tries >= TRIES_MAX || pending_try(p) < 0)
		pending_fail(p);
}

static void pending_time_cb(void *arg)
{
	struct pending *p = arg;

	p->timer = 0;
	pending_next(p);
}

/* A reply of the server's; takes over data.  What is none to our question is as if it had not come. */
static void pending_reply(struct pending *p, uint8_t *data, size_t size)
{
	int code;

	if (size < 12 || !net_message_replies(p->query, &p->question, p->id, data, size)) {
		free(data);
		return;
	}
	code = NET_RCODE_OF(data);
	if (code == LDNS_RCODE_SERVFAIL || code == LDNS_RCODE_REFUSED || code == LDNS_RCODE_NOTIMPL) {
		free(p->worst);
		p->worst = data;
		p->worst_size = size;
		pending_next(p);
		return;
	}
	if (!p->member_servers)
		p->network->good = p->server;
	pending_end(p, data, size);
}

static void udp_cb(void *arg, int fd, uint32_t events)
{
	static uint8_t buffer[NET_MESSAGE_MAX];
	struct pending *p = arg;
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
	uint8_t *data;

	(void)events;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			pending_next(p); /* nobody listens there: ECONNREFUSED */
		return;
	}
	data = malloc((size_t)n + 1);
	if (!data)
		return;
	memcpy(data, buffer, (size_t)n);
	pending_reply(p, data, (size_t)n);
}

static int udp_try(struct pending *p)
{
	struct net_resolver *r = p->network->resolver;

	if (send(p->socket.fd, p->query, p->size, MSG_NOSIGNAL) < 0)
		return -errno;
	return resolver_timer(r, &p->timer, r->limits.try_ms, pending_time_cb, p)
		       ?: watched_set(r, &p->socket, COWHERD_FD_READ, udp_cb, p);
}

static void tcp_read_cb(void *arg, int fd, uint32_t events)
{
	struct pending *p = arg;
	ssize_t n = recv(fd, p->in + p->got, p->want - p->got, 0);
	uint8_t *data;

	(void)events;
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			pending_next(p);
		return;
	}
	p->got += (size_t)n;
	if (p->got == 2) {
		p->want = 2 + (size_t)(p->in[0] << 8 | p->in[1]);
		data = realloc(p->in, p->want);
		if (!data) {
			pending_next(p);
			return;
		}
		p->in = data;
	}
	if (p->got < p->want || p->want < 2 + 12)
		return;
	memmove(p->in, p->in + 2, p->want - 2);
	data = plug_take_ptr(p->in);
	p->in = malloc(2); /* for the next, should this one not be for us */
	p->got = 0;
	n = (ssize_t)p->want - 2;
	p->want = 2;
	if (p->in) {
		pending_reply(p, data, (size_t)n);
		return;
	}
	free(data);
	pending_next(p);
}

static void tcp_write_cb(void *arg, int fd, uint32_t events)
{
	struct pending *p = arg;
	ssize_t n = send(fd, p->out + p->sent, p->out_size - p->sent, MSG_NOSIGNAL);

	(void)events;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			pending_next(p);
		return;
	}
	p->sent += (size_t)n;
	if (p->sent == p->out_size &&
	    watched_set(p->network->resolver, &p->socket, COWHERD_FD_READ, tcp_read_cb, p) < 0)
		pending_next(p);
}

static int tcp_try(struct pending *p)
{
	struct net_resolver *r = p->network->resolver;

	p->out = malloc(p->size + 2);
	p->in = malloc(2);
	if (!p->out || !p->in)
		return -ENOMEM;
	p->out[0] = (uint8_t)(p->size >> 8);
	p->out[1] = (uint8_t)p->size;
	memcpy(p->out + 2, p->query, p->size);
	p->out_size = p->size + 2;
	p->sent = p->got = 0;
	p->want = 2;
	return resolver_timer(r, &p->timer, 2ull * r->limits.try_ms, pending_time_cb, p)
		       ?: watched_set(r, &p->socket, COWHERD_FD_WRITE, tcp_write_cb, p);
}

/* Asks the server whose turn it is, under a new id.  The client's is kept aside in the query meanwhile. */
static int server_ask(struct pending *p)
{
	const struct net_zone_server *s = &p->servers[p->server];
	int kind = p->conn ? SOCK_STREAM : SOCK_DGRAM;
	uint8_t client[2];
	int r;

	if (getrandom(&p->id, sizeof(p->id), GRND_NONBLOCK) != sizeof(p->id))
		return -EAGAIN;
	p->socket.fd = socket(s->address.ss_family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->socket.fd < 0)
		return -errno;
	if (connect(p->socket.fd, (const struct sockaddr *)&s->address, s->len) < 0 && errno != EINPROGRESS)
		return -errno;
	memcpy(client, p->query, 2);
	p->query[0] = (uint8_t)(p->id >> 8);
	p->query[1] = (uint8_t)p->id;
	r = p->conn ? tcp_try(p) : udp_try(p);
	memcpy(p->query, client, 2);
	return r;
}

/* What fails at once is told from the loop, as any other end of a try: the asker may be waiting for us. */
static int pending_try(struct pending *p)
{
	if (server_ask(p) == 0)
		return 0;
	return resolver_timer(p->network->resolver, &p->timer, 1, pending_time_cb, p);
}

/* The servers for this client's questions: its own, the network's, the host's; none of them is us. */
static int servers_choose(struct pending *p)
{
	struct network *n = p->network;
	const struct net_zone_member *m = resolver_asker(n, &p->peer);
	const struct net_zone_server *servers = m ? m->servers : NULL;
	size_t count = m ? m->server_count : 0;

	if (!count)
		servers = resolver_servers(n, &count);
	p->servers = calloc(count + 1, sizeof(*p->servers));
	if (!p->servers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		bool us = false;

		for (size_t k = 0; k < n->listener_count; k++)
			us = us || (n->port == 53 && resolver_same_host(&n->listeners[k].address.address,
									&servers[i].address));
		if (!us)
			p->servers[p->server_count++] = servers[i];
	}
	p->member_servers = m && m->server_count;
	p->server = n->good < p->server_count && !p->member_servers ? n->good : 0;
	return p->server_count ? 0 : -ENOENT;
}

/* The same question of the same client is under way: it has lost patience. */
static bool asked_already(const struct network *n, const struct pending *p)
{
	for (const struct pending *q = n->pending; q; q = q->next) {
		if (!p->conn && !q->conn && q->size == p->size && q->peer_len == p->peer_len &&
		    !memcmp(&q->peer, &p->peer, p->peer_len) && !memcmp(q->query, p->query, p->size))
			return true;
	}
	return false;
}

static bool full(const struct network *n, const struct sockaddr_storage *peer)
{
	const struct net_resolver_limits *limits = &n->resolver->limits;
	uint32_t own = 0;

	for (const struct pending *p = n->pending; p; p = p->next)
		own += resolver_same_host(&p->peer, peer);
	return n->pending_count >= limits->pending || own >= limits->pending_member;
}

int forward_begin(struct network *n, const struct listener *listener, struct conn *conn,
		  const struct sockaddr_storage *peer, socklen_t peer_len, const uint8_t *data, size_t size,
		  const struct net_question *question, uint8_t **ret, size_t *ret_size)
{
	struct pending *p;
	int r;

	if (full(n, peer))
		return net_message_refuse(data, size, LDNS_RCODE_SERVFAIL, ret, ret_size);
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct pending){ .network = n, .question = *question, .size = size, .conn = conn,
			       .listener = listener, .peer = *peer, .peer_len = peer_len, .socket.fd = -1 };
	p->query = malloc(size);
	r = p->query ? 0 : -ENOMEM;
	if (r == 0) {
		memcpy(p->query, data, size);
		r = asked_already(n, p) ? -EALREADY : servers_choose(p);
	}
	if (r < 0) {
		pending_free(p);
		if (r != -ENOENT)
			return r;
		/* Nobody to ask.  A name of one label could only have been ours: it does not exist. */
		return net_message_refuse(data, size, strchr(question->name, '.') ? LDNS_RCODE_SERVFAIL
										 : LDNS_RCODE_NXDOMAIN,
					  ret, ret_size);
	}
	p->next = n->pending;
	n->pending = p;
	n->pending_count++;
	if (conn)
		conn->pending = p;
	r = pending_try(p);
	if (r == 0)
		return 1;
	if (conn)
		conn->pending = NULL;
	pending_free(p);
	return r;
}
