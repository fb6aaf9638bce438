/* SPDX-License-Identifier: MIT */
/*
 * A host, two networks with containers, and a client beyond the host: network namespaces that are the
 * test's own, with real packets.  The test is the host.
 *
 *	client 192.0.2.2, fd02::2 -- 192.0.2.1, fd02::1 host  +- cowa 10.1.0.1/24, fd01::1/64: a1 .2, a2 .3
 *	                                                      +- cowb 10.2.0.1/24: b1 .2
 */
#ifndef WORLD_H
#define WORLD_H

#include "common/util.h"
#include "kernel/netns.h"
#include "kernel/rtnl.h"
#include "model/json.h"
#include "policy/table.h"
#include "policy/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <cmocka.h>

enum who { HOST, CLIENT, A1, A2, B1, WHO_COUNT };

static struct world {
	int ns[WHO_COUNT];
	struct net_network a, b;
	struct net_endpoint ends[WHO_COUNT];
	struct net_table *table;
	struct plug_error err;
} world;

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, world.err.text);                                 \
	} while (0)

static struct net_addr addr(const char *text)
{
	struct net_addr a;

	if (net_addr_parse_prefix(text, &a) < 0)
		fail_msg("%s", text);
	return a;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	(void)close(fd);
}

static int lo_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	r = ioctl(fd, SIOCSIFFLAGS, &lo);
	(void)close(fd);
	return r;
}

static void *ns_thread(void *arg)
{
	if (unshare(CLONE_NEWNET) == 0 && lo_up() == 0)
		*(int *)arg = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return NULL;
}

static int ns_new(void)
{
	pthread_t thread;
	int fd = -1;

	assert_int_equal(pthread_create(&thread, NULL, ns_thread, &fd), 0);
	(void)pthread_join(thread, NULL);
	assert_true(fd >= 0);
	return fd;
}

/* eth0 there with addresses and default routes; the other end is a port of the bridge, where there is one. */
static void plug(struct net_rtnl *r, enum who who, const char *link, const char *bridge,
		 const char *const *addrs, const char *const *gateways)
{
	struct net_link make = { .name = link,
				 .kind = NET_LINK_VETH,
				 .up = true,
				 .peer = { .name = "eth0", .netns = &world.ns[who] } };
	struct net_link_change up = { .up = 1 };
	struct net_link_info info;
	_cleanup_rtnl_ struct net_rtnl *there = NULL;

	if (bridge) {
		OK(net_link_find(r, bridge, &info, &world.err));
		make.master = info.index;
	}
	OK(net_link_create(r, &make, &world.err));
	if (bridge)
		OK(net_link_port(r, link, &(struct net_port){ .hairpin = true }, &world.err));
	OK(net_rtnl_open(world.ns[who], &there, &world.err));
	OK(net_link_set(there, "eth0", &up, &world.err));
	for (; *addrs; addrs++) {
		struct net_addr a = addr(*addrs);

		OK(net_address_add(there, "eth0", &a, &world.err));
	}
	for (; *gateways; gateways++) {
		struct net_kernel_route route = { .next_hop = addr(*gateways) };

		route.destination.family = route.next_hop.family;
		OK(net_route_add(there, &route, &world.err));
	}
}

static void bridge_make(struct net_rtnl *r, const char *name, const char *const *addrs)
{
	struct net_link make = { .name = name, .kind = NET_LINK_BRIDGE, .up = true };
	char path[96];

	OK(net_link_create(r, &make, &world.err));
	for (; *addrs; addrs++) {
		struct net_addr a = addr(*addrs);

		OK(net_address_add(r, name, &a, &world.err));
	}
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/route_localnet", name);
	write_file(path, "1");
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void network_set(struct net_network *n, const char *id, const char *bridge,
			enum net_type type, const char *const *prefixes)
{
	*n = (struct net_network){ .name = strdup(bridge), .type = type };
	(void)snprintf(n->id, sizeof(n->id), "%s", id);
	(void)snprintf(n->bridge, sizeof(n->bridge), "%s", bridge);
	n->subnets = calloc(2, sizeof(*n->subnets));
	for (; *prefixes; prefixes++)
		n->subnets[n->subnet_count++].prefix = addr(*prefixes);
}

static void endpoint_set(enum who who, const char *id, const char *const *ips)
{
	struct net_endpoint *e = &world.ends[who];

	*e = (struct net_endpoint){ .name = strdup(id) };
	(void)snprintf(e->id, sizeof(e->id), "%s", id);
	e->ips = calloc(2, sizeof(*e->ips));
	for (; *ips; ips++)
		e->ips[e->ip_count++] = addr(*ips);
}

static struct net_network *network_of(enum who who)
{
	return who == B1 ? &world.b : &world.a;
}

/* The endpoint with these policies (HCN's, JSON) and no others; what the table says of it. */
static int policies_put(enum who who, const char *text)
{
	struct net_endpoint *e = &world.ends[who];
	struct json_object *list;

	net_policies_free(e->policies, e->policy_count);
	e->policies = NULL;
	e->policy_count = 0;
	OK(plug_json_parse(text, strlen(text), "policies", &list, &world.err));
	OK(net_policies_parse(list, NET_POLICY_HCN, NET_POLICY_OF_ENDPOINT, &e->policies,
			      &e->policy_count, &world.err));
	json_object_put(list);
	return net_table_put_endpoint(world.table, network_of(who), e, &world.err);
}

static void policies(enum who who, const char *text)
{
	OK(policies_put(who, text));
}

static int world_make(void **state)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	struct net_addr up4 = addr("192.0.2.1/24"), up6 = addr("fd02::1/64");

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(lo_up(), 0);
	world.ns[HOST] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	for (int i = CLIENT; i < WHO_COUNT; i++)
		world.ns[i] = ns_new();
	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	write_file("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	OK(net_rtnl_open(-1, &r, &world.err));
	bridge_make(r, "cowa", LIST("10.1.0.1/24", "fd01::1/64"));
	bridge_make(r, "cowb", LIST("10.2.0.1/24"));
	plug(r, CLIENT, "up0", NULL, LIST("192.0.2.2/24", "fd02::2/64"),
	     LIST("192.0.2.1", "fd02::1"));
	OK(net_address_add(r, "up0", &up4, &world.err));
	OK(net_address_add(r, "up0", &up6, &world.err));
	plug(r, A1, "vea1", "cowa", LIST("10.1.0.2/24", "fd01::2/64"), LIST("10.1.0.1", "fd01::1"));
	plug(r, A2, "vea2", "cowa", LIST("10.1.0.3/24", "fd01::3/64"), LIST("10.1.0.1", "fd01::1"));
	plug(r, B1, "veb1", "cowb", LIST("10.2.0.2/24"), LIST("10.2.0.1"));
	network_set(&world.a, "11111111-0000-4000-8000-000000000000", "cowa", NET_NAT,
		    LIST("10.1.0.0/24", "fd01::/64"));
	network_set(&world.b, "22222222-0000-4000-8000-000000000000", "cowb", NET_NAT,
		    LIST("10.2.0.0/24"));
	endpoint_set(A1, "aaaaaaaa-0000-4000-8000-000000000001", LIST("10.1.0.2/24", "fd01::2/64"));
	endpoint_set(A2, "aaaaaaaa-0000-4000-8000-000000000002", LIST("10.1.0.3/24", "fd01::3/64"));
	endpoint_set(B1, "bbbbbbbb-0000-4000-8000-000000000001", LIST("10.2.0.2/24"));
	OK(net_table_open("cowherd-test", &world.table, &world.err));
	net_table_begin(world.table);
	OK(net_table_put_network(world.table, &world.a, &world.err));
	OK(net_table_put_network(world.table, &world.b, &world.err));
	OK(net_table_commit(world.table, &world.err));
	return 0;
}

static void end_free(struct net_endpoint *e)
{
	net_policies_free(e->policies, e->policy_count);
	free(e->name);
	free(e->ips);
}

static int world_end(void **state)
{
	(void)state;
	OK(net_table_drop(world.table, &world.err));
	net_table_close(world.table);
	for (int i = 0; i < WHO_COUNT; i++) {
		end_free(&world.ends[i]);
		(void)close(world.ns[i]);
	}
	free(world.a.name);
	free(world.a.subnets);
	free(world.b.name);
	free(world.b.subnets);
	return 0;
}

struct want_socket {
	int family, type;
};

static int socket_cb(void *arg)
{
	const struct want_socket *w = arg;
	int fd = socket(w->family, w->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int socket_in(enum who who, int family, int type)
{
	struct want_socket w = { family, type };
	int fd = who == HOST ? socket_cb(&w) : net_ns_call(world.ns[who], socket_cb, &w);

	assert_true(fd >= 0);
	return fd;
}

static socklen_t sockaddr_of(const char *address, uint16_t port, struct sockaddr_storage *ret)
{
	struct net_addr a = addr(address);

	*ret = (struct sockaddr_storage){ .ss_family = a.family };
	if (a.family == AF_INET) {
		((struct sockaddr_in *)ret)->sin_port = htons(port);
		memcpy(&((struct sockaddr_in *)ret)->sin_addr, a.bytes, 4);
		return sizeof(struct sockaddr_in);
	}
	((struct sockaddr_in6 *)ret)->sin6_port = htons(port);
	memcpy(&((struct sockaddr_in6 *)ret)->sin6_addr, a.bytes, 16);
	return sizeof(struct sockaddr_in6);
}

static void address_text(const struct sockaddr_storage *s, char text[64])
{
	if (s->ss_family == AF_INET)
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)s)->sin_addr, text, 64);
	else
		(void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)s)->sin6_addr, text, 64);
}

/* Listens on all addresses of a family ("0.0.0.0", "::"), or one. */
static int serve(enum who who, int type, const char *address, uint16_t port)
{
	struct sockaddr_storage s;
	socklen_t size = sockaddr_of(address, port, &s);
	int fd = socket_in(who, s.ss_family, type), on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&s, size), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static bool ready(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, ms) == 1;
}

#define SOON 3000 /* what should come: generous, as machines are busy */
#define NEVER 150 /* what should not: a dropped packet is not seen otherwise */

static bool reach_tcp(int fd, const struct sockaddr_storage *to, socklen_t size, int server,
		      char peer[64], int ms)
{
	struct sockaddr_storage from;
	socklen_t from_size = sizeof(from);
	int error = 0, accepted;
	socklen_t error_size = sizeof(error);

	if (connect(fd, (const struct sockaddr *)to, size) < 0 && errno != EINPROGRESS)
		return false;
	if (!ready(fd, POLLOUT, ms) ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0 || error)
		return false;
	/* It may be somebody else's. */
	if (!ready(server, POLLIN, ms))
		return false;
	accepted = accept4(server, (struct sockaddr *)&from, &from_size, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	address_text(&from, peer);
	(void)close(accepted);
	return true;
}

static bool reach_udp(int fd, const struct sockaddr_storage *to, socklen_t size, int server,
		      char peer[64], int ms)
{
	struct sockaddr_storage from;
	socklen_t from_size = sizeof(from);
	char c = 'x';

	/* Connected: an answer from another address would not be seen. */
	if (connect(fd, (const struct sockaddr *)to, size) < 0 || send(fd, &c, 1, 0) < 0)
		return false;
	if (!ready(server, POLLIN, ms))
		return false;
	assert_int_equal(recvfrom(server, &c, 1, 0, (struct sockaddr *)&from, &from_size), 1);
	address_text(&from, peer);
	assert_int_equal(sendto(server, &c, 1, 0, (struct sockaddr *)&from, from_size), 1);
	return ready(fd, POLLIN, ms) && recv(fd, &c, 1, 0) == 1;
}

/* Whether it arrives at server, and as whom; both ways. */
static bool reach(enum who from, const char *address, uint16_t port, int server, char peer[64],
		  int ms)
{
	struct sockaddr_storage to;
	socklen_t size = sockaddr_of(address, port, &to), type_size = sizeof(int);
	int type, fd;
	bool reached;

	assert_int_equal(getsockopt(server, SOL_SOCKET, SO_TYPE, &type, &type_size), 0);
	fd = socket_in(from, to.ss_family, type);
	if (type == SOCK_STREAM)
		reached = reach_tcp(fd, &to, size, server, peer, ms);
	else
		reached = reach_udp(fd, &to, size, server, peer, ms);
	(void)close(fd);
	return reached;
}

#define REACHES(from, address, port, server, as)                                                   \
	do {                                                                                       \
		char peer_[64];                                                                    \
		if (!reach(from, address, port, server, peer_, SOON))                              \
			fail_msg("%s does not reach %s:%d", #from, address, port);                 \
		assert_string_equal(peer_, as);                                                    \
	} while (0)

#define CANNOT(from, address, port, server)                                                        \
	do {                                                                                       \
		char peer_[64];                                                                    \
		if (reach(from, address, port, server, peer_, NEVER))                              \
			fail_msg("%s reaches %s:%d", #from, address, port);                        \
	} while (0)

#endif
