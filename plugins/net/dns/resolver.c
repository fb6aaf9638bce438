/* SPDX-License-Identifier: MIT */
#include "dns/resolver.h"
#include "common/util.h"
#include "dns/files.h"
#include "dns/ldns.h"
#include "dns/resolver_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <ldns/ldns.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LOOK_MS 1000 /* so often the host's resolv.conf is looked at, at most */

/* Descriptors and timers. */

int watched_set(struct net_resolver *r, struct watched *w, uint32_t events, cowherd_fd_cb cb, void *arg)
{
	if (w->watch)
		r->host->unwatch_fd(r->self, w->watch);
	w->watch = 0;
	return events ? r->host->watch_fd(r->self, w->fd, events, cb, arg, &w->watch) : 0;
}

void watched_close(struct net_resolver *r, struct watched *w)
{
	(void)watched_set(r, w, 0, NULL, NULL);
	if (w->fd >= 0)
		(void)close(w->fd);
	w->fd = -1;
}

int resolver_timer(struct net_resolver *r, uint64_t *timer, uint64_t ms, cowherd_timer_cb cb, void *arg)
{
	if (*timer)
		r->host->timer_stop(r->self, *timer);
	*timer = 0;
	return ms ? r->host->timer_start(r->self, ms, 0, cb, arg, timer) : 0;
}

bool resolver_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr));
}

/* The host's servers. */

static void host_servers_read(struct net_resolver *r)
{
	_cleanup_text_ struct plug_text text = { 0 };
	struct net_zone_server *servers;
	char **names = NULL;
	size_t n;

	/* Here 127.0.0.53 is as good as any: it is the host that asks. */
	if (net_resolv_read(r->resolv_conf, NULL, true, &text) < 0 ||
	    net_resolv_servers(text.data ? text.data : "", true, &names) < 0)
		return;
	if (net_zone_servers_read((const char *const *)names, &servers, &n, NULL) == 0) {
		free(r->servers);
		r->servers = servers;
		r->server_count = n;
	}
	net_strings_free(names);
}

const struct net_zone_server *resolver_servers(struct network *n, size_t *ret_count)
{
	struct net_resolver *r = n->resolver;
	struct timespec t;
	struct stat st = { 0 };
	uint64_t now;

	if (n->server_count) {
		*ret_count = n->server_count;
		return n->servers;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	if (!r->looked_ms || now - r->looked_ms >= LOOK_MS) {
		(void)stat(r->resolv_conf, &st);
		if (!r->looked_ms || st.st_ino != r->seen.st_ino || st.st_size != r->seen.st_size ||
		    st.st_mtim.tv_sec != r->seen.st_mtim.tv_sec ||
		    st.st_mtim.tv_nsec != r->seen.st_mtim.tv_nsec)
			host_servers_read(r);
		r->seen = st;
		r->looked_ms = now;
	}
	*ret_count = r->server_count;
	return r->servers;
}

/* Questions. */

const struct net_zone_member *resolver_asker(const struct network *n, const struct sockaddr_storage *peer)
{
	uint8_t family = (uint8_t)peer->ss_family;
	const void *bytes = family == AF_INET ? (const void *)&((const struct sockaddr_in *)peer)->sin_addr
					      : (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr;

	return net_zone_by_address(&n->zone, family, bytes);
}

/*
 * What this network knows; else, for a container in several, what the others of its networks do: libc takes
 * the first server's "no such name" for an answer.
 */
static int known_answer(const struct network *n, const struct sockaddr_storage *peer, const uint8_t *data,
			size_t size, const struct net_question *q, size_t limit, uint8_t **ret,
			size_t *ret_size)
{
	const struct net_zone_member *asker;
	int r = net_zone_answer(&n->zone, data, size, q, limit, ret, ret_size);

	if (r != -ENOENT)
		return r;
	asker = resolver_asker(n, peer);
	if (!asker || !asker->container)
		return r;
	for (const struct network *o = n->resolver->networks; o && r == -ENOENT; o = o->next)
		if (o != n && net_zone_by_container(&o->zone, asker->container))
			r = net_zone_answer(&o->zone, data, size, q, limit, ret, ret_size);
	return r;
}

int resolver_question(struct network *n, const struct listener *listener, struct conn *conn,
		      const struct sockaddr_storage *peer, socklen_t peer_len, const uint8_t *data,
		      size_t size, uint8_t **ret, size_t *ret_size)
{
	struct net_question q;
	int r = net_question_read(data, size, &q);

	if (r == -EBADMSG)
		return net_message_refuse(data, size, LDNS_RCODE_FORMERR, ret, ret_size);
	if (r == -ENOTSUP)
		return net_message_refuse(data, size, LDNS_RCODE_NOTIMPL, ret, ret_size);
	if (r < 0)
		return r;
	if (q.qclass != LDNS_RR_CLASS_IN || q.type == LDNS_RR_TYPE_AXFR || q.type == LDNS_RR_TYPE_IXFR)
		return net_message_refuse(data, size, LDNS_RCODE_REFUSED, ret, ret_size);
	r = known_answer(n, peer, data, size, &q, conn ? NET_MESSAGE_MAX : q.limit, ret, ret_size);
	if (r != -ENOENT)
		return r;
	return forward_begin(n, listener, conn, peer, peer_len, data, size, &q, ret, ret_size);
}

static void listener_cb(void *arg, int fd, uint32_t events)
{
	static uint8_t buffer[NET_MESSAGE_MAX];
	struct listener *l = arg;

	(void)events;
	for (int i = 0; i < 32; i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t len = sizeof(peer);
		uint8_t *reply = NULL;
		size_t size = 0;
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer, &len);

		if (n < 0)
			return; /* EAGAIN; or the error of an earlier answer, which nobody misses */
		if (resolver_question(l->network, l, NULL, &peer, len, buffer, (size_t)n, &reply, &size) == 0)
			(void)sendto(fd, reply, size, MSG_NOSIGNAL, (struct sockaddr *)&peer, len);
		free(reply);
	}
}

/* Networks. */

static struct network *network_find(const struct net_resolver *r, const char *id)
{
	struct network *n = r->networks;

	while (n && strcmp(n->id, id) != 0)
		n = n->next;
	return n;
}

static void network_unlisten(struct network *n)
{
	while (n->conns)
		tcp_close(n->conns);
	while (n->pending)
		forward_drop(n->pending);
	for (size_t i = 0; i < n->listener_count; i++) {
		watched_close(n->resolver, &n->listeners[i].udp);
		watched_close(n->resolver, &n->listeners[i].tcp);
	}
	n->listener_count = 0;
}

static void network_free(struct network *n)
{
	network_unlisten(n);
	net_zone_finish(&n->zone);
	free(n->servers);
	free(n->id);
	free(n->device);
	free(n);
}

/* FREEBIND: the bridge may get its address, or its first member and so a carrier, only later. */
static int listener_socket(const struct network *n, const struct net_zone_server *address, int kind,
			   int *ret)
{
	_cleanup_close_ int fd = socket(address->address.ss_family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool v6 = address->address.ss_family == AF_INET6;
	int on = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, &on,
		       sizeof(on)) < 0 ||
	    (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    (kind == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
	    (n->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, n->device,
				     (socklen_t)strlen(n->device) + 1) < 0) ||
	    bind(fd, (const struct sockaddr *)&address->address, address->len) < 0 ||
	    (kind == SOCK_STREAM && listen(fd, 16) < 0))
		return -errno;
	*ret = plug_take_fd(&fd);
	return 0;
}

/* Its socket is bound to a link that is still there; another of the same name is not that one. */
static bool listener_alive(const struct listener *l)
{
	char name[IFNAMSIZ];
	socklen_t len = sizeof(name);

	return !l->network->device ||
	       getsockopt(l->udp.fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0;
}

/* The network's listener there, where there is one already: its sockets are used on. */
static const struct listener *listener_find(const struct network *n, const struct network *wanted,
					    const struct net_zone_server *address)
{
	if (!n || !n->device != !wanted->device || (n->device && strcmp(n->device, wanted->device) != 0))
		return NULL;
	for (size_t i = 0; i < n->listener_count; i++) {
		if (!memcmp(&n->listeners[i].address.address, &address->address, sizeof(address->address)) &&
		    listener_alive(&n->listeners[i]))
			return &n->listeners[i];
	}
	return NULL;
}

static int listener_open(struct network *n, const struct network *old, struct listener *l,
			 const struct net_zone_server *address)
{
	const struct listener *open = listener_find(old, n, address);
	struct net_resolver *r = n->resolver;
	int e = 0;

	*l = (struct listener){ .network = n, .address = *address, .udp.fd = -1, .tcp.fd = -1 };
	if (open) {
		l->udp.fd = fcntl(open->udp.fd, F_DUPFD_CLOEXEC, 3);
		l->tcp.fd = fcntl(open->tcp.fd, F_DUPFD_CLOEXEC, 3);
		e = l->udp.fd < 0 || l->tcp.fd < 0 ? -EMFILE : 0;
	} else {
		e = listener_socket(n, address, SOCK_DGRAM, &l->udp.fd);
		if (e == 0)
			e = listener_socket(n, address, SOCK_STREAM, &l->tcp.fd);
	}
	if (e == 0)
		e = watched_set(r, &l->udp, COWHERD_FD_READ, listener_cb, l);
	if (e == 0)
		e = watched_set(r, &l->tcp, COWHERD_FD_READ, tcp_accept_cb, l);
	return e;
}

static int network_listen(struct network *n, const struct network *old,
			  const struct net_resolver_network *wanted, struct plug_error *err)
{
	uint16_t port = wanted->port ? wanted->port : 53;
	int r = 0;

	n->port = port;
	for (const char *const *text = wanted->listen; text && *text && r == 0; text++) {
		struct net_zone_server address;

		if (n->listener_count == LISTENERS_MAX)
			return plug_error_set(err, -E2BIG, "network %s: more than %d addresses to listen on",
					      n->id, LISTENERS_MAX);
		if (net_zone_server_read(*text, port, &address) < 0)
			return plug_error_set(err, -EINVAL, "network %s: %.100s is not an address", n->id,
					      *text);
		r = listener_open(n, old, &n->listeners[n->listener_count++], &address);
		if (r < 0)
			(void)plug_error_errno(err, r, "network %s: DNS on %s port %u", n->id, *text, port);
	}
	return r;
}

/* It listens already where it is wanted to. */
static bool network_listens(const struct network *n, const struct net_resolver_network *wanted)
{
	uint16_t port = wanted->port ? wanted->port : 53;
	struct net_zone_server address;
	size_t i = 0;

	if (n->port != port || !n->device != !wanted->device ||
	    (n->device && strcmp(n->device, wanted->device) != 0))
		return false;
	for (const char *const *text = wanted->listen; text && *text; text++, i++) {
		const struct listener *l = &n->listeners[i];

		if (i == n->listener_count || net_zone_server_read(*text, port, &address) < 0 ||
		    memcmp(&address.address, &l->address.address, sizeof(address.address)) != 0 ||
		    !listener_alive(l))
			return false;
	}
	return i == n->listener_count;
}

static char *lower(const char *text)
{
	char *copy = strdup(text);
	size_t len = copy ? strlen(copy) : 0;

	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (len > 1 && copy[len - 1] == '.')
		copy[len - 1] = 0;
	return copy;
}

/* All of a network but its sockets and members. */
static int network_make(struct net_resolver *r, const struct net_resolver_network *wanted,
			struct network **ret, struct plug_error *err)
{
	struct network *n = calloc(1, sizeof(*n));
	const char *bad = NULL;
	int e = -ENOMEM;

	if (!n)
		return plug_error_errno(err, e, "network %s", wanted->id);
	n->resolver = r;
	n->id = strdup(wanted->id);
	n->device = wanted->device ? strdup(wanted->device) : NULL;
	n->zone.domain = wanted->domain && *wanted->domain ? lower(wanted->domain) : NULL;
	if (n->id && (n->device || !wanted->device) &&
	    (n->zone.domain || !wanted->domain || !*wanted->domain)) {
		e = net_zone_servers_read(wanted->servers, &n->servers, &n->server_count, &bad);
		if (e == 0)
			e = net_zone_addresses_read(wanted->subnets, &n->zone.subnets, &n->zone.subnet_count,
						    &bad);
	}
	if (e == 0) {
		*ret = n;
		return 0;
	}
	network_free(n);
	if (bad)
		return plug_error_set(err, e, "network %s: %.100s is not an address", wanted->id, bad);
	return plug_error_errno(err, e, "network %s", wanted->id);
}

/* The rest of what a network is, from new to old. */
static void network_replace(struct network *n, struct network *new)
{
	struct net_zone zone = n->zone;
	struct net_zone_server *servers = n->servers;

	n->zone.domain = new->zone.domain;
	n->zone.subnets = new->zone.subnets;
	n->zone.subnet_count = new->zone.subnet_count;
	n->servers = new->servers;
	n->server_count = new->server_count;
	n->good = 0;
	new->zone.domain = zone.domain;
	new->zone.subnets = zone.subnets;
	new->servers = servers;
	network_free(new);
}

int net_resolver_open(struct net_resolver *r, const struct net_resolver_network *wanted,
		      struct plug_error *err)
{
	struct network *old = network_find(r, wanted->id), *n = NULL;
	int e = net_ldns() ? network_make(r, wanted, &n, err)
			   : plug_error_set(err, -ELIBACC, "libldns.so.3: it is not installed");

	if (e < 0)
		return e;
	if (old && network_listens(old, wanted)) {
		network_replace(old, n);
		return 0;
	}
	e = network_listen(n, old, wanted, err);
	if (e < 0) {
		network_free(n);
		return e;
	}
	if (old) {
		n->zone.members = old->zone.members;
		old->zone.members = NULL;
		net_resolver_close(r, wanted->id);
	}
	n->next = r->networks;
	r->networks = n;
	return 0;
}

void net_resolver_close(struct net_resolver *r, const char *network)
{
	for (struct network **n = &r->networks; *n; n = &(*n)->next) {
		if (!strcmp((*n)->id, network)) {
			struct network *gone = *n;

			*n = gone->next;
			network_free(gone);
			return;
		}
	}
}

/* Members. */

static int member_names(struct net_zone_member *m, const char *const *names)
{
	size_t n = 0;

	while (names && names[n])
		n++;
	m->names = calloc(n + 1, sizeof(*m->names));
	if (!m->names)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		m->names[i] = lower(names[i]);
		if (!m->names[i])
			return -ENOMEM;
	}
	return 0;
}

int net_resolver_set(struct net_resolver *r, const char *network, const struct net_resolver_member *member,
		     struct plug_error *err)
{
	struct network *n = network_find(r, network);
	struct net_zone_member *m;
	const char *bad = NULL;
	int e;

	if (!n)
		return plug_error_set(err, -ENOENT, "network %s: no names are answered there", network);
	m = calloc(1, sizeof(*m));
	if (!m)
		return plug_error_errno(err, -ENOMEM, "endpoint %s", member->owner);
	m->owner = strdup(member->owner);
	m->container = member->container ? strdup(member->container) : NULL;
	e = m->owner && (m->container || !member->container) ? member_names(m, member->names) : -ENOMEM;
	if (e == 0)
		e = net_zone_addresses_read(member->addresses, &m->addresses, &m->address_count, &bad);
	if (e == 0)
		e = net_zone_servers_read(member->servers, &m->servers, &m->server_count, &bad);
	if (e == 0) {
		net_zone_put(&n->zone, m);
		return 0;
	}
	net_zone_member_free(m);
	if (bad)
		return plug_error_set(err, e, "endpoint %s: %.100s is not an address", member->owner, bad);
	return plug_error_errno(err, e, "endpoint %s", member->owner);
}

void net_resolver_unset(struct net_resolver *r, const char *network, const char *owner)
{
	for (struct network *n = r->networks; n; n = n->next)
		if (!network || strcmp(n->id, network) == 0)
			net_zone_remove(&n->zone, owner);
}

void net_resolver_hide(struct net_resolver *r, const char *container, bool hidden)
{
	for (struct network *n = r->networks; n; n = n->next)
		for (struct net_zone_member *m = n->zone.members; m; m = m->next)
			if (m->container && !strcmp(m->container, container))
				m->hidden = hidden;
}

int net_resolver_create(const struct cowherd_host *host, struct cowherd_self *self,
			const struct net_resolver_limits *limits, struct net_resolver **ret)
{
	static const struct net_resolver_limits usual = {
		.pending = 512, .pending_member = 128, .connections = 64, .try_ms = 2000, .rounds = 2,
		.idle_ms = 10000,
	};
	struct net_resolver_limits *l;
	struct net_resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->host = host;
	r->self = self;
	r->limits = limits ? *limits : usual;
	l = &r->limits;
	l->pending = l->pending ?: usual.pending;
	l->pending_member = l->pending_member ?: usual.pending_member;
	l->connections = l->connections ?: usual.connections;
	l->try_ms = l->try_ms ?: usual.try_ms;
	l->rounds = l->rounds ?: usual.rounds;
	l->idle_ms = l->idle_ms ?: usual.idle_ms;
	r->resolv_conf = strdup(l->resolv_conf ? l->resolv_conf : "/etc/resolv.conf");
	l->resolv_conf = r->resolv_conf;
	if (!r->resolv_conf) {
		free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

void net_resolver_destroy(struct net_resolver *r)
{
	struct network *next;

	for (struct network *n = r ? r->networks : NULL; n; n = next) {
		next = n->next;
		network_free(n);
	}
	if (!r)
		return;
	free(r->servers);
	free(r->resolv_conf);
	free(r);
}
