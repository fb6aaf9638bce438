/* SPDX-License-Identifier: MIT */
/* The resolver with real sockets, in a network namespace of its own. */
#include "dns/resolver.h"
#include "loop.h"
#include "peers.h"

#include <dirent.h>
#include <ldns/ldns.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NET "net-1"

static struct net_resolver *resolver;
static char conf[] = "/tmp/cow-resolver-XXXXXX";

/* Short for those who wait for the end of a try, long for those who wait for an answer. */
static struct net_resolver_limits quick = { .try_ms = 60, .idle_ms = 500, .resolv_conf = conf,
						  .pending_member = 8, .pending = 12, .connections = 16 };

static void host_servers(const char *text)
{
	FILE *f = fopen(conf, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void open_with(const char *const *servers)
{
	struct net_resolver_network n = { .id = NET,
					  .device = "lo",
					  .listen = LIST(US),
					  .domain = "Lan.Example",
					  .subnets = LIST("10.88.0.0/16", "fd00:1::/32"),
					  .servers = servers };
	struct net_resolver_member web = { .owner = "e1",
					   .names = LIST("web", "alias-of.Web", "0123456789ab"),
					   .addresses = LIST("10.88.0.2", "fd00:1::2") };
	struct net_resolver_member db = { .owner = "e2", .names = LIST("db", "shared"),
					  .addresses = LIST("10.88.0.3") };
	struct net_resolver_member me = { .owner = "e3", .names = LIST("me", "shared"),
					  .addresses = LIST("127.0.0.9") };
	struct plug_error err = { 0 };

	assert_int_equal(net_resolver_create(&loop_host, NULL, &quick, &resolver), 0);
	assert_int_equal(net_resolver_set(resolver, NET, &web, &err), -ENOENT);
	assert_int_equal(net_resolver_open(resolver, &n, &err), 0);
	assert_int_equal(net_resolver_set(resolver, NET, &web, &err), 0);
	assert_int_equal(net_resolver_set(resolver, NET, &db, &err), 0);
	assert_int_equal(net_resolver_set(resolver, NET, &me, &err), 0);
}

static void closed(void)
{
	net_resolver_destroy(resolver);
	resolver = NULL;
}

static void names_of_the_network(void **state)
{
	(void)state;
	open_with(NULL);
	says("web", LDNS_RR_TYPE_A, "NOERROR 10.88.0.2");
	says("WEB.lan.example", LDNS_RR_TYPE_AAAA, "NOERROR fd00:1::2");
	says("alias-of.web", LDNS_RR_TYPE_A, "NOERROR 10.88.0.2");
	says("0123456789ab", LDNS_RR_TYPE_A, "NOERROR 10.88.0.2");
	says("shared", LDNS_RR_TYPE_A, "NOERROR 127.0.0.9 10.88.0.3");
	says("db", LDNS_RR_TYPE_AAAA, "NOERROR");
	says("db", LDNS_RR_TYPE_MX, "NOERROR");
	says("web", LDNS_RR_TYPE_ANY, "NOERROR 10.88.0.2 fd00:1::2");
	says("2.0.88.10.in-addr.arpa", LDNS_RR_TYPE_PTR, "NOERROR web.lan.example.");
	says("2.0.88.10.in-addr.arpa", LDNS_RR_TYPE_A, "NOERROR");
	says("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa", LDNS_RR_TYPE_PTR,
	     "NOERROR web.lan.example.");
	says("3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa", LDNS_RR_TYPE_PTR,
	     "NXDOMAIN");
	says("9.9.88.10.in-addr.arpa", LDNS_RR_TYPE_PTR, "NXDOMAIN");
	/* The host has no servers: what could only be ours is not there, of the rest nothing is known. */
	says("other", LDNS_RR_TYPE_A, "NXDOMAIN");
	says("far.example", LDNS_RR_TYPE_A, "SERVFAIL");
	says("9.9.9.9.in-addr.arpa", LDNS_RR_TYPE_PTR, "SERVFAIL");
	net_resolver_unset(resolver, NET, "e3");
	net_resolver_unset(resolver, NET, "e3");
	says("shared", LDNS_RR_TYPE_A, "NOERROR 10.88.0.3");
	closed();
}

static void the_rest_is_forwarded(void **state)
{
	struct server one, two;

	(void)state;
	server_begin(&one, "127.0.0.2", SILENT);
	server_begin(&two, "127.0.0.3", GOOD);
	open_with(LIST("127.0.0.2", "127.0.0.3"));
	says("far.example", LDNS_RR_TYPE_A, "NOERROR 192.0.2.7");
	assert_true(one.asked >= 1);
	one.asked = 0;
	says("far.example", LDNS_RR_TYPE_A, "NOERROR 192.0.2.7"); /* at once at the one that answers */
	assert_int_equal(one.asked, 0);
	one.mood = GOOD;
	two.mood = SERVFAIL;
	says("far.example", LDNS_RR_TYPE_A, "NOERROR 192.0.2.7");
	one.mood = SERVFAIL;
	says("far.example", LDNS_RR_TYPE_A, "SERVFAIL");
	one.mood = two.mood = SILENT;
	says("far.example", LDNS_RR_TYPE_A, "SERVFAIL");
	server_end(&one);
	server_end(&two);
	says("far.example", LDNS_RR_TYPE_A, "SERVFAIL"); /* nobody listens there */
	says("web", LDNS_RR_TYPE_A, "NOERROR 10.88.0.2");
	closed();
}

static void of_the_host_when_not_of_the_network(void **state)
{
	struct server one, two;

	(void)state;
	server_begin(&one, "127.0.0.2", GOOD);
	server_begin(&two, "127.0.0.3", GOOD);
	host_servers("nameserver 127.0.0.2\n");
	open_with(NULL);
	says("far.example", LDNS_RR_TYPE_A, "NOERROR 192.0.2.7");
	assert_int_equal(one.asked, 2);
	host_servers("nameserver 127.0.0.3\n#\n");
	for (uint64_t end = loop_now() + 1100; loop_now() < end;)
		loop_turn(20);
	says("far.example", LDNS_RR_TYPE_A, "NOERROR 192.0.2.7");
	assert_int_equal(two.asked, 2);
	/* A container's own servers before those. */
	assert_int_equal(net_resolver_set(resolver, NET,
					  &(struct net_resolver_member){ .owner = "e3",
									 .names = LIST("me"),
									 .addresses = LIST("127.0.0.9"),
									 .servers = LIST("127.0.0.2") },
					  NULL), 0);
	one.asked = two.asked = 0;
	says("far.example", LDNS_RR_TYPE_A, "NOERROR 192.0.2.7");
	assert_int_equal(one.asked, 2);
	assert_int_equal(two.asked, 0);
	closed();
	server_end(&one);
	server_end(&two);
	host_servers("");
}

static void forged_answers_are_not_heard(void **state)
{
	struct server s;

	(void)state;
	server_begin(&s, "127.0.0.2", WRONG_ID);
	open_with(LIST("127.0.0.2"));
	says("far.example", LDNS_RR_TYPE_A, "SERVFAIL");
	s.mood = WRONG_NAME;
	says("far.example", LDNS_RR_TYPE_A, "SERVFAIL");
	closed();
	server_end(&s);
}

static void ids_and_ports_are_random(void **state)
{
	struct server s;
	unsigned same_id = 0, same_port = 0, order = 0;

	(void)state;
	quick.try_ms = 5000;
	server_begin(&s, "127.0.0.2", GOOD);
	open_with(LIST("127.0.0.2"));
	for (int i = 0; i < 32; i++)
		ldns_pkt_free(ask(false, "far.example", LDNS_RR_TYPE_A, 0));
	for (int i = 1; i < 32; i++) {
		same_id += s.ids[i] == s.ids[i - 1] || s.ids[i] == 0x1234;
		same_port += s.ports[i] == s.ports[i - 1];
		order += (uint16_t)(s.ids[i] - s.ids[i - 1]) == 1 ||
			 (uint16_t)(ntohs(s.ports[i]) - ntohs(s.ports[i - 1])) <= 2;
	}
	assert_true(same_id < 3 && same_port < 3 && order < 6);
	closed();
	server_end(&s);
}

static void sizes_and_edns(void **state)
{
	struct server s;
	ldns_pkt *p;

	(void)state;
	quick.try_ms = 5000;
	server_begin(&s, "127.0.0.2", LARGE);
	open_with(LIST("127.0.0.2"));
	p = ask(false, "far.example", LDNS_RR_TYPE_A, 0);
	assert_true(ldns_pkt_tc(p) && !s.edns && ldns_pkt_ancount(p) == 0);
	ldns_pkt_free(p);
	p = ask(false, "far.example", LDNS_RR_TYPE_A, 1232);
	assert_true(ldns_pkt_tc(p) && s.edns && ldns_pkt_edns(p));
	ldns_pkt_free(p);
	p = ask(true, "far.example", LDNS_RR_TYPE_A, 1232);
	assert_true(!ldns_pkt_tc(p) && ldns_pkt_ancount(p) == 200);
	ldns_pkt_free(p);
	s.mood = CUT;
	p = ask(false, "far.example", LDNS_RR_TYPE_A, 4096);
	assert_true(ldns_pkt_tc(p));
	ldns_pkt_free(p);
	p = ask(true, "far.example", LDNS_RR_TYPE_A, 0);
	assert_int_equal(ldns_pkt_ancount(p), 200);
	ldns_pkt_free(p);
	p = ask(false, "web", LDNS_RR_TYPE_A, 4096);
	assert_true(ldns_pkt_edns(p) && ldns_pkt_aa(p));
	ldns_pkt_free(p);
	/* Forty members of one name do not fit into what an old client takes, by TCP they do. */
	for (int i = 0; i < 40; i++) {
		char owner[16], at[16];
		struct net_resolver_member m = { .owner = owner,
						 .names = LIST("many"),
						 .addresses = LIST(at) };

		(void)snprintf(owner, sizeof(owner), "m%d", i);
		(void)snprintf(at, sizeof(at), "10.88.1.%d", i);
		assert_int_equal(net_resolver_set(resolver, NET, &m, NULL), 0);
	}
	p = ask(false, "many", LDNS_RR_TYPE_A, 0);
	assert_true(ldns_pkt_tc(p));
	ldns_pkt_free(p);
	p = ask(true, "many", LDNS_RR_TYPE_A, 0);
	assert_int_equal(ldns_pkt_ancount(p), 40);
	ldns_pkt_free(p);
	closed();
	server_end(&s);
}

static void as_many_as_there_is_room_for(void **state)
{
	struct server s;
	uint8_t q[512];
	int fd, idle[8], served = 0;
	size_t size;
	ldns_pkt *p;

	(void)state;
	server_begin(&s, "127.0.0.2", SILENT);
	open_with(LIST("127.0.0.2"));
	fd = client(SOCK_DGRAM);
	for (int i = 0; i < 100; i++) {
		size = query("far.example", LDNS_RR_TYPE_A, 0, q);
		q[0] = (uint8_t)(i + 1);
		assert_int_equal(send(fd, q, size, 0), (ssize_t)size);
	}
	for (uint64_t end = loop_now() + 400; loop_now() < end;)
		loop_turn(10);
	assert_true(s.asked >= 8 && s.asked <= 16); /* eight, and once more each */
	(void)close(fd);
	/* The same question again, while it is under way, is one question. */
	s.asked = 0;
	fd = client(SOCK_DGRAM);
	for (int i = 0; i < 6; i++)
		assert_int_equal(send(fd, q, size, 0), (ssize_t)size);
	for (uint64_t end = loop_now() + 30; loop_now() < end;)
		loop_turn(5);
	assert_int_equal(s.asked, 1);
	(void)close(fd);
	/* Connections of one client: a quarter of all; the others are closed.  Silent ones end. */
	for (int i = 0; i < 8; i++)
		idle[i] = client(SOCK_STREAM);
	for (uint64_t end = loop_now() + 50; loop_now() < end;)
		loop_turn(5);
	for (int i = 0; i < 8; i++)
		served += recv(idle[i], q, 1, MSG_DONTWAIT) < 0;
	assert_int_equal(served, 4);
	p = ask_on(idle[0], true, "web", LDNS_RR_TYPE_A, 0, 1000);
	assert_non_null(p);
	ldns_pkt_free(p);
	p = ask_on(idle[0], true, "db", LDNS_RR_TYPE_A, 0, 1000); /* again on the same */
	assert_non_null(p);
	ldns_pkt_free(p);
	assert_true(loop_until(idle[1], 1000));
	assert_int_equal(recv(idle[1], q, 1, 0), 0);
	for (int i = 0; i < 8; i++)
		(void)close(idle[i]);
	closed();
	server_end(&s);
}

static void hostile_packets(void **state)
{
	static const char *const packets[] = {
		"", "\0", "\x12\x34\x01\0\0\1\0\0\0\0\0", "\x12\x34\x81\0\0\1\0\0\0\0\0\0\3web\0\0\1\0\1",
	};
	uint8_t q[600];
	int fd;
	size_t size;
	ssize_t n;

	(void)state;
	open_with(NULL);
	fd = client(SOCK_DGRAM);
	for (size_t i = 0; i < 4; i++)
		(void)send(fd, packets[i], (size_t[]){ 0, 1, 11, 21 }[i], 0);
	assert_false(loop_until(fd, 30)); /* not a word to what is no question */
	for (size_t cut = 12; cut < 21; cut++) {
		size = query("web", LDNS_RR_TYPE_A, 0, q);
		assert_int_equal(size, 21);
		(void)send(fd, q, cut, 0);
		assert_true(loop_until(fd, 1000));
		n = recv(fd, q, sizeof(q), 0);
		assert_true(n >= 12 && (q[3] & 0xf) == LDNS_RCODE_FORMERR);
	}
	size = query("web", LDNS_RR_TYPE_A, 0, q);
	q[2] = 5 << 3; /* update */
	(void)send(fd, q, size, 0);
	assert_true(loop_until(fd, 1000));
	assert_true(recv(fd, q, sizeof(q), 0) >= 12 && (q[3] & 0xf) == LDNS_RCODE_NOTIMPL);
	size = query("web", LDNS_RR_TYPE_AXFR, 0, q);
	(void)send(fd, q, size, 0);
	assert_true(loop_until(fd, 1000));
	assert_true(recv(fd, q, sizeof(q), 0) >= 12 && (q[3] & 0xf) == LDNS_RCODE_REFUSED);
	(void)close(fd);
	closed();
}

static void listeners_are_taken_over(void **state)
{
	struct net_resolver_network n = { .id = NET, .listen = LIST(US) };
	struct net_resolver *other;
	struct plug_error err = { 0 };

	(void)state;
	open_with(NULL);
	assert_int_equal(net_resolver_create(&loop_host, NULL, &quick, &other), 0);
	assert_int_equal(net_resolver_open(other, &n, &err), -EADDRINUSE);
	assert_string_equal(err.text, "network net-1: DNS on 127.0.0.1 port 53: Address already in use");
	n.device = "cow-none";
	assert_int_equal(net_resolver_open(other, &n, &err), -ENODEV);
	net_resolver_destroy(other);
	/* One address more, another domain: members stay, and so do sockets. */
	n.device = "lo";
	n.listen = LIST(US, "::1");
	n.domain = "new.example";
	assert_int_equal(net_resolver_open(resolver, &n, &err), 0);
	says("web.new.example", LDNS_RR_TYPE_A, "NOERROR 10.88.0.2");
	n.domain = "newer.example";
	assert_int_equal(net_resolver_open(resolver, &n, &err), 0);
	says("web.newer.example", LDNS_RR_TYPE_A, "NOERROR 10.88.0.2");
	n.servers = LIST("nonsense");
	assert_int_equal(net_resolver_open(resolver, &n, &err), -EINVAL);
	assert_string_equal(err.text, "network net-1: nonsense is not an address");
	says("web.newer.example", LDNS_RR_TYPE_A, "NOERROR 10.88.0.2");
	net_resolver_close(resolver, NET);
	net_resolver_close(resolver, NET);
	assert_int_equal(loop_in_use(), 0);
	closed();
}

/* The bridge went and came again: the same name, but another link. */
static void device_is_made_anew(void **state)
{
	struct net_resolver_network n = { .id = NET, .device = "cowdns0", .listen = LIST("10.88.0.1") };
	struct plug_error err = { 0 };
	int sockets;

	(void)state;
	assert_int_equal(system("ip link add cowdns0 type bridge"), 0);
	assert_int_equal(net_resolver_create(&loop_host, NULL, &quick, &resolver), 0);
	assert_int_equal(net_resolver_open(resolver, &n, &err), 0);
	sockets = (int)loop.last_id;
	assert_int_equal(net_resolver_open(resolver, &n, &err), 0);
	assert_int_equal(loop.last_id, sockets); /* nothing new to watch */
	assert_int_equal(system("ip link del cowdns0 && ip link add cowdns0 type bridge"), 0);
	assert_int_equal(net_resolver_open(resolver, &n, &err), 0);
	assert_int_equal(loop.last_id, sockets + 2);
	assert_int_equal(system("ip link del cowdns0"), 0);
	closed();
}

/* Each host call fails once: there is an answer, later or never, but nothing is left. */
static void host_calls_fail(void **state)
{
	struct server s;

	(void)state;
	for (unsigned k = 1; k < 14; k++) {
		int fd;
		ldns_pkt *p;

		open_with(LIST("127.0.0.2"));
		server_begin(&s, "127.0.0.2", GOOD);
		loop.fail_at = loop.calls + k;
		fd = client(k % 2 ? SOCK_STREAM : SOCK_DGRAM);
		p = ask_on(fd, k % 2, "far.example", LDNS_RR_TYPE_A, 0, 300);
		ldns_pkt_free(p);
		(void)close(fd);
		loop.fail_at = 0;
		closed();
		server_end(&s);
		assert_int_equal(loop_in_use(), 0);
	}
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static int fds_before;

static int before(void **state)
{
	(void)state;
	fds_before = descriptors();
	quick.try_ms = 60;
	return 0;
}

static int after(void **state)
{
	(void)state;
	if (resolver)
		return 0;
	return loop_in_use() || descriptors() != fds_before ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, before, after)
		TEST(names_of_the_network),
		TEST(the_rest_is_forwarded),
		TEST(of_the_host_when_not_of_the_network),
		TEST(forged_answers_are_not_heard),
		TEST(ids_and_ports_are_random),
		TEST(sizes_and_edns),
		TEST(as_many_as_there_is_room_for),
		TEST(hostile_packets),
		TEST(listeners_are_taken_over),
		TEST(device_is_made_anew),
		TEST(host_calls_fail),
	};
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, r;

	if (unshare(CLONE_NEWNET) < 0) {
		perror("unshare");
		return 1;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0) {
		perror("lo");
		return 1;
	}
	(void)close(fd);
	(void)close(mkstemp(conf));
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(conf);
	return r;
}
