/* SPDX-License-Identifier: MIT */
/* Who holds which ports of the host. */
#include "policy/ports.h"
#include "policy/private.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* One port of one protocol, and the socket that holds it; -1 where the kernel has no such protocol. */
struct held {
	uint8_t protocol;
	uint16_t port;
	struct net_addr host; /* family 0: all of them; unspecified addresses: all of that family */
	int fd;
};

struct owner {
	struct owner *next;
	char *id, *name;
	struct held *held;
	size_t count;
	const struct owner *before; /* what it had, while that changes; else NULL */
};

struct net_ports {
	pthread_mutex_t mutex;
	struct owner *owners;
};

int net_ports_create(struct net_ports **ret)
{
	struct net_ports *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	(void)pthread_mutex_init(&p->mutex, NULL);
	*ret = p;
	return 0;
}

static void owner_free(struct owner *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->count; i++)
		if (o->held[i].fd >= 0)
			(void)close(o->held[i].fd);
	free(o->held);
	free(o->id);
	free(o->name);
	free(o);
}

void net_ports_destroy(struct net_ports *p)
{
	struct owner *o;

	if (!p)
		return;
	while ((o = p->owners)) {
		p->owners = o->next;
		owner_free(o);
	}
	(void)pthread_mutex_destroy(&p->mutex);
	free(p);
}

static struct owner **owner_find(struct net_ports *p, const char *id)
{
	struct owner **at = &p->owners;

	while (*at && strcmp((*at)->id, id))
		at = &(*at)->next;
	return at;
}

static bool overlaps(const struct held *a, const struct held *b)
{
	if (a->protocol != b->protocol || a->port != b->port)
		return false;
	if (!a->host.family || !b->host.family)
		return true;
	if (a->host.family != b->host.family)
		return false;
	return net_addr_is_any(&a->host) || net_addr_is_any(&b->host) ||
	       net_addr_same(&a->host, &b->host);
}

static const struct owner *conflict_find(const struct net_ports *p, const struct owner *self,
					 const struct held *h)
{
	for (size_t i = 0; i < self->count; i++)
		if (overlaps(&self->held[i], h))
			return self;
	for (const struct owner *o = p->owners; o; o = o->next)
		for (size_t i = 0; i < o->count; i++)
			if (overlaps(&o->held[i], h))
				return o;
	return NULL;
}

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "sctp";
}

static void held_text(const struct held *h, char text[96])
{
	char host[NET_ADDR_TEXT];
	bool six = h->host.family == AF_INET6;

	net_addr_format(&h->host, host);
	(void)snprintf(text, 96, "port %s%s%s:%u/%s", six ? "[" : "", *host ? host : "0.0.0.0",
		       six ? "]" : "", h->port, protocol_name(h->protocol));
}

static socklen_t address_fill(const struct held *h, int family, struct sockaddr_storage *ret)
{
	*ret = (struct sockaddr_storage){ .ss_family = (sa_family_t)family };
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_port = htons(h->port);
		memcpy(&in->sin_addr, h->host.bytes, 4);
		return sizeof(*in);
	}
	((struct sockaddr_in6 *)ret)->sin6_port = htons(h->port);
	memcpy(&((struct sockaddr_in6 *)ret)->sin6_addr, h->host.bytes, 16);
	return sizeof(struct sockaddr_in6);
}

static int socket_open(const struct held *h, int family)
{
	int type = h->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, h->protocol);
	int only = h->host.family == AF_INET6, small = 1;

	if (fd < 0)
		return -errno;
	if (family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	/* Nothing is ever read from it. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	return fd;
}

static void reuse_set(int fd, int on)
{
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

/*
 * Bound without SO_REUSEADDR nobody else can bind it, with or without.  Where a connection that has
 * ended not long ago is all that is in the way (TIME_WAIT), nobody listens, and it is ours nevertheless.
 */
static int bind_tcp(int fd, const struct sockaddr *address, socklen_t size)
{
	int r;

	if (bind(fd, address, size) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	reuse_set(fd, 1);
	r = bind(fd, address, size) < 0 ? -errno : 0;
	reuse_set(fd, 0);
	return r;
}

static int port_read(int fd, int family, uint16_t *ret)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	*ret = ntohs(family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port :
					 ((struct sockaddr_in6 *)&address)->sin6_port);
	return 0;
}

static bool no_protocol(const struct held *h, int r)
{
	return h->protocol == IPPROTO_SCTP && (r == -EPROTONOSUPPORT || r == -ESOCKTNOSUPPORT);
}

/*
 * Binds h->port, or where it is 0 one that the kernel chooses; h->fd and h->port are set.  beside: others of
 * ours have it, too.
 */
static int held_bind(struct held *h, bool beside)
{
	int family = h->host.family ? h->host.family : AF_INET6;
	struct sockaddr_storage address;
	_cleanup_close_ int fd = socket_open(h, family);
	socklen_t size;
	int r;

	if (fd == -EAFNOSUPPORT && !h->host.family) {
		family = AF_INET; /* a kernel without IPv6 */
		fd = socket_open(h, family);
	}
	if (no_protocol(h, fd)) /* then nobody else has it either */
		return h->port ? 0 : fd;
	if (fd < 0)
		return fd;
	size = address_fill(h, family, &address);
	if (beside)
		reuse_set(fd, 1);
	if (h->protocol == IPPROTO_TCP && h->port)
		r = bind_tcp(fd, (struct sockaddr *)&address, size);
	else
		r = bind(fd, (struct sockaddr *)&address, size) < 0 ? -errno : 0;
	if (r == 0 && !h->port)
		r = port_read(fd, family, &h->port);
	if (beside)
		reuse_set(fd, 0);
	if (r == 0)
		h->fd = plug_take_fd(&fd);
	return r;
}

/* One that it had before, by another descriptor of the same socket. */
static int held_keep(struct owner *o, struct held h, bool *ret_kept)
{
	*ret_kept = false;
	for (size_t i = 0; o->before && h.port && i < o->before->count; i++) {
		const struct held *old = &o->before->held[i];

		if (old->protocol != h.protocol || old->port != h.port ||
		    !net_addr_same(&old->host, &h.host))
			continue;
		h.fd = old->fd < 0 ? -1 : fcntl(old->fd, F_DUPFD_CLOEXEC, 0);
		if (h.fd < 0 && old->fd >= 0)
			return -errno;
		o->held[o->count++] = h;
		*ret_kept = true;
		return 0;
	}
	return 0;
}

/*
 * What it had before and lets go in the end is in the way of h, as the same port on other addresses.  Sockets
 * that do not listen do not mind each other where both say so.
 */
static bool before_yields(const struct owner *o, const struct held *h)
{
	bool found = false;

	for (size_t i = 0; o->before && i < o->before->count; i++) {
		const struct held *old = &o->before->held[i];

		if (old->fd < 0 || !overlaps(old, h))
			continue;
		reuse_set(old->fd, 1);
		found = true;
	}
	return found;
}

static int held_take(struct net_ports *p, struct owner *o, struct held h, uint16_t *ret_port,
		     struct plug_error *err)
{
	const struct owner *other = h.port ? conflict_find(p, o, &h) : NULL;
	char text[96];
	bool kept;
	int r;

	held_text(&h, text);
	if (other)
		return plug_error_set(err, -EADDRINUSE, "%s: in use by %s", text,
				      other == o ? "another port of the same" : other->name);
	*ret_port = h.port;
	r = held_keep(o, h, &kept);
	if (kept)
		return 0;
	r = r ?: held_bind(&h, false);
	if (r == -EADDRINUSE && before_yields(o, &h))
		r = held_bind(&h, true);
	if (r == -EADDRINUSE)
		return plug_error_set(err, r, "%s: in use by a process of the host", text);
	if (no_protocol(&h, r))
		return plug_error_set(err, r,
				      "ports: the kernel has no SCTP and chooses none: one has to be said");
	if (r == -EINVAL && h.host.family == AF_INET6)
		return plug_error_set(err, r, "%s: an address of a link alone is none of the host", text);
	if (r == -EADDRNOTAVAIL)
		return plug_error_set(err, r, "%s: the host has no such address", text);
	if (r < 0)
		return plug_error_errno(err, r, "%s", text);
	o->held[o->count++] = h;
	*ret_port = h.port;
	return 0;
}

static void held_drop(struct owner *o, size_t down_to)
{
	while (o->count > down_to) {
		struct held *h = &o->held[--o->count];

		if (h->fd >= 0)
			(void)close(h->fd);
	}
}

/* All of a row, from the one given on, or from one that the kernel chooses. */
static int row_take(struct net_ports *p, struct owner *o, const struct net_policy_port *port,
		    uint16_t *ret_first, struct plug_error *err)
{
	struct held h = {
		.protocol = port->protocol, .host = port->host, .port = port->external, .fd = -1
	};
	size_t before = o->count;
	uint16_t first = 0, got = 0;
	int r = 0;

	if (!h.host.family && port->flags & NET_PORT_FLAG_IPV6)
		h.host.family = AF_INET6;
	for (unsigned i = 0; r == 0 && i < port->count; i++) {
		if (i && first + i > UINT16_MAX)
			r = plug_error_set(err, -EADDRINUSE, "ports: no %u free ones in a row",
					   port->count);
		else
			r = held_take(p, o, h, &got, err);
		if (i == 0)
			first = got;
		h.port = (uint16_t)(first + i + 1);
	}
	if (r < 0)
		held_drop(o, before);
	else
		*ret_first = first;
	return r;
}

#define CHOICES 64 /* how often a row is tried where any will do */

static int port_take(struct net_ports *p, struct owner *o, struct net_policy_port *port,
		     struct plug_error *err)
{
	int tries = port->external ? 1 : CHOICES, r;

	do
		r = row_take(p, o, port, &port->external, err);
	while (r == -EADDRINUSE && --tries);
	return r;
}

/* What was chosen for an owner that has its ports already. */
static void chosen_fill(const struct owner *o, struct net_policy *policies, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		if (policies[i].kind != NET_POLICY_PORT)
			continue;
		if (!policies[i].port.external && at < o->count)
			policies[i].port.external = o->held[at].port;
		at += policies[i].port.count;
	}
}

static int owner_make(const char *id, const char *name, size_t ports, struct owner **ret)
{
	struct owner *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->id = strdup(id);
	o->name = strdup(name);
	o->held = calloc(ports, sizeof(*o->held));
	if (!o->id || !o->name || !o->held) {
		owner_free(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

/* How many the policies ask for.  -E2BIG. */
static int ports_count(const struct net_policy *policies, size_t count, size_t *ret,
		       struct plug_error *err)
{
	size_t ports = 0;

	for (size_t i = 0; i < count; i++)
		if (policies[i].kind == NET_POLICY_PORT)
			ports += policies[i].port.count;
	if (ports > NET_PORTS_MAX)
		return plug_error_set(err, -E2BIG, "ports: %zu are more than %d", ports,
				      NET_PORTS_MAX);
	*ret = ports;
	return 0;
}

/* before: what the same owner had, no longer among the owners; or NULL. */
static int take(struct net_ports *p, const char *owner, const char *name,
		struct net_policy *policies, size_t count, const struct owner *before,
		struct plug_error *err)
{
	struct owner *o = NULL;
	size_t ports = 0;
	int r = ports_count(policies, count, &ports, err);

	if (r < 0 || !ports)
		return r;
	r = owner_make(owner, name, ports, &o);
	if (r < 0)
		return plug_error_errno(err, r, "ports");
	o->before = before;
	for (size_t i = 0; r == 0 && i < count; i++)
		if (policies[i].kind == NET_POLICY_PORT)
			r = port_take(p, o, &policies[i].port, err);
	o->before = NULL;
	if (r < 0) {
		owner_free(o);
		return r;
	}
	o->next = p->owners;
	p->owners = o;
	return 0;
}

int net_ports_take(struct net_ports *p, const char *owner, const char *name,
		   struct net_policy *policies, size_t count, struct plug_error *err)
{
	struct owner *o;
	int r = 0;

	(void)pthread_mutex_lock(&p->mutex);
	o = *owner_find(p, owner);
	if (o)
		chosen_fill(o, policies, count);
	else
		r = take(p, owner, name, policies, count, NULL, err);
	(void)pthread_mutex_unlock(&p->mutex);
	return r;
}

int net_ports_change(struct net_ports *p, const char *owner, const char *name,
		     struct net_policy *policies, size_t count, struct plug_error *err)
{
	struct owner **at, *old;
	int r;

	(void)pthread_mutex_lock(&p->mutex);
	at = owner_find(p, owner);
	old = *at;
	if (old)
		*at = old->next;
	r = take(p, owner, name, policies, count, old, err);
	if (r < 0 && old) {
		for (size_t i = 0; i < old->count; i++)
			if (old->held[i].fd >= 0)
				reuse_set(old->held[i].fd, 0);
		old->next = p->owners;
		p->owners = old;
		old = NULL;
	}
	(void)pthread_mutex_unlock(&p->mutex);
	owner_free(old);
	return r;
}

void net_ports_unbind(struct net_ports *p, const char *owner)
{
	struct owner *o;

	(void)pthread_mutex_lock(&p->mutex);
	o = *owner_find(p, owner);
	for (size_t i = 0; o && i < o->count; i++) {
		plug_closep(&o->held[i].fd);
		o->held[i].fd = -1;
	}
	(void)pthread_mutex_unlock(&p->mutex);
}

void net_ports_release(struct net_ports *p, const char *owner)
{
	struct owner **at, *o;

	(void)pthread_mutex_lock(&p->mutex);
	at = owner_find(p, owner);
	o = *at;
	if (o)
		*at = o->next;
	(void)pthread_mutex_unlock(&p->mutex);
	owner_free(o);
}
