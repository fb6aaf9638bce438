/* SPDX-License-Identifier: MIT */
/* Clients that come by TCP (RFC 7766): a length of two bytes, a message, as often as they like. */
#include "common/util.h"
#include "dns/resolver_internal.h"

#include <string.h>
#include <sys/socket.h>

static void conn_cb(void *arg, int fd, uint32_t events);

void tcp_close(struct conn *c)
{
	struct net_resolver *r = c->network->resolver;

	for (struct conn **at = &c->network->conns; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	c->network->conn_count--;
	if (c->pending) {
		c->pending->conn = NULL;
		forward_drop(c->pending);
	}
	watched_close(r, &c->socket);
	r->host->timer_stop(r->self, c->timer);
	free(c->in);
	free(c->out);
	free(c);
}

static void conn_idle_cb(void *arg)
{
	tcp_close(arg);
}

/* Waits for events; 0: for the answer of others. */
static int conn_wait(struct conn *c, uint32_t events)
{
	struct net_resolver *r = c->network->resolver;

	return resolver_timer(r, &c->timer, events ? r->limits.idle_ms : 0, conn_idle_cb, c)
		       ?: watched_set(r, &c->socket, events, conn_cb, c);
}

/* What there is to send, with its length before it. */
static int conn_reply(struct conn *c, const uint8_t *data, size_t size)
{
	free(c->out);
	c->out = size <= NET_MESSAGE_MAX ? malloc(size + 2) : NULL;
	if (!c->out)
		return -ENOMEM;
	c->out[0] = (uint8_t)(size >> 8);
	c->out[1] = (uint8_t)size;
	memcpy(c->out + 2, data, size);
	c->out_size = size + 2;
	c->sent = 0;
	return conn_wait(c, COWHERD_FD_WRITE);
}

void tcp_answer(struct conn *c, uint8_t *data, size_t size)
{
	int r = data ? conn_reply(c, data, size) : -ENODATA;

	c->pending = NULL;
	free(data);
	if (r < 0)
		tcp_close(c);
}

static int conn_question(struct conn *c)
{
	uint8_t *reply = NULL;
	size_t size = 0;
	int r = resolver_question(c->network, NULL, c, &c->peer, sizeof(c->peer), c->in, c->got, &reply,
				  &size);

	free(c->in);
	c->in = NULL;
	c->got = c->want = 0;
	if (r == 0)
		r = conn_reply(c, reply, size);
	else if (r > 0)
		r = conn_wait(c, 0);
	free(reply);
	return r;
}

/* The length, as long as there is no buffer, else what it announced.  0: later; 1: there was something. */
static int conn_read(struct conn *c)
{
	uint8_t head[2];
	ssize_t n;

	if (c->in) {
		n = recv(c->socket.fd, c->in + c->got, c->want - c->got, 0);
	} else {
		n = recv(c->socket.fd, head, sizeof(head), MSG_PEEK);
		if (n == 1)
			return 0; /* half a length: the second half, or the end of its time */
		if (n == 2)
			n = recv(c->socket.fd, head, sizeof(head), 0);
	}
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ENODATA;
	if (!c->in) {
		c->want = (size_t)(head[0] << 8 | head[1]);
		c->in = malloc(c->want + 1);
		return c->in ? 1 : -ENOMEM;
	}
	c->got += (size_t)n;
	return 1;
}

/* Everything sent: 1. */
static int conn_write(struct conn *c)
{
	ssize_t n = send(c->socket.fd, c->out + c->sent, c->out_size - c->sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->sent += (size_t)n;
	if (c->sent < c->out_size)
		return 0;
	free(c->out);
	c->out = NULL;
	return 1;
}

static void conn_cb(void *arg, int fd, uint32_t events)
{
	struct conn *c = arg;
	int r;

	(void)fd;
	(void)events; /* a hangup is told by recv() and send(), after what came before it */
	if (c->out) {
		r = conn_write(c);
		if (r > 0)
			r = conn_wait(c, COWHERD_FD_READ);
	} else {
		r = conn_read(c);
		if (r > 0 && c->got == c->want)
			r = conn_question(c);
	}
	if (r < 0)
		tcp_close(c);
}

static uint32_t conns_of(const struct network *n, const struct sockaddr_storage *peer)
{
	uint32_t count = 0;

	for (const struct conn *c = n->conns; c; c = c->next)
		count += resolver_same_host(&c->peer, peer);
	return count;
}

static void conn_add(struct network *n, int fd, const struct sockaddr_storage *peer)
{
	const struct net_resolver_limits *limits = &n->resolver->limits;
	struct conn *c = NULL;

	if (n->conn_count < limits->connections && conns_of(n, peer) * 4 < limits->connections)
		c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close(fd);
		return;
	}
	c->network = n;
	c->socket.fd = fd;
	c->peer = *peer;
	c->next = n->conns;
	n->conns = c;
	n->conn_count++;
	if (conn_wait(c, COWHERD_FD_READ) < 0)
		tcp_close(c);
}

void tcp_accept_cb(void *arg, int fd, uint32_t events)
{
	struct listener *l = arg;

	(void)events;
	for (int i = 0; i < 16; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		int got = accept4(fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got < 0)
			return;
		conn_add(l->network, got, &peer);
	}
}
