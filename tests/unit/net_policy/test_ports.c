/* SPDX-License-Identifier: MIT */
/* Published ports as text, and who has them; in a network namespace of the test's own. */
#include "model/json.h"
#include "policy/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct net_policy *policies;
static size_t count;
static struct plug_error err;

static int parse(const char *text)
{
	net_policies_free(policies, count);
	policies = NULL;
	count = 0;
	err = (struct plug_error){ 0 };
	return net_ports_parse(text, &policies, &count, &err);
}

static void texts(void **state)
{
	static const struct {
		const char *text, *host;
		uint8_t protocol;
		uint16_t external, internal, count;
	} good[] = {
		{ "80", "", 6, 0, 80, 1 },
		{ "8080:80", "", 6, 8080, 80, 1 },
		{ "8080:80/udp", "", 17, 8080, 80, 1 },
		{ "8080:80/SCTP", "", 132, 8080, 80, 1 },
		{ "8000-8010:9000-9010", "", 6, 8000, 9000, 11 },
		{ "7000-7001", "", 6, 0, 7000, 2 },
		{ "127.0.0.1:8080:80", "127.0.0.1", 6, 8080, 80, 1 },
		{ "127.0.0.1::80", "127.0.0.1", 6, 0, 80, 1 },
		{ "[::1]:8080:80/tcp", "::1", 6, 8080, 80, 1 },
		{ "[fd00::1]::80", "fd00::1", 6, 0, 80, 1 },
		{ "0:80", "", 6, 0, 80, 1 },
		{ "127.0.0.1:0:80-81/udp", "127.0.0.1", 17, 0, 80, 2 },
	};
	static const char *const bad[][2] = {
		{ "", ": port: \"\" is not valid" },
		{ "a", "a: port: \"a\" is not valid" },
		{ "0", "0: port: \"0\" is not valid" },
		{ "80,81", "80,81: port: \"80,81\" is not valid" },
		{ "65536:80", "65536:80: port: \"65536\" is not valid" },
		{ "0-1:80-81", "0-1:80-81: port: \"0-1\" is not valid" },
		{ "80:80/icmp", "80:80/icmp: protocol: \"icmp\" is not tcp, udp or sctp" },
		{ "1-2:80", "1-2:80: ranges of different length" },
		{ "x:1:2", "x:1:2: host address: \"x\" is not an address" },
		{ "1:2:3:4", "1:2:3:4: not [HOSTIP:][HOSTPORT:]PORT[/PROTOCOL]" },
		{ "[::1]80", "[::1]80: not [HOSTIP:][HOSTPORT:]PORT[/PROTOCOL]" },
		{ "[::1]:80", "[::1]:80: not [HOSTIP:][HOSTPORT:]PORT[/PROTOCOL]" },
		{ "1-5000", "1-5000: more than 4096 ports" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char host[NET_ADDR_TEXT];

		if (parse(good[i].text) < 0)
			fail_msg("%s: %s", good[i].text, err.text);
		assert_int_equal(count, 1);
		net_addr_format(&policies[0].port.host, host);
		assert_string_equal(host, good[i].host);
		assert_int_equal(policies[0].port.protocol, good[i].protocol);
		assert_int_equal(policies[0].port.external, good[i].external);
		assert_int_equal(policies[0].port.internal, good[i].internal);
		assert_int_equal(policies[0].port.count, good[i].count);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(parse(bad[i][0]), -EINVAL);
		assert_string_equal(err.text, bad[i][1]);
	}
}

static void tp4(void **state)
{
	static const char *const good[] = { "8080:80", "8081:81/tcp", "8080:80/UDP", "0:0" };
	static const struct {
		const char *texts[2], *error;
	} bad[] = {
		{ { "8080:80/Sctp" }, "invalid protocol Sctp" },
		{ { "8080:80", "8081:80/TCP" },
		  "Windows does not support more than one host port in NAT settings" },
		{ { "127.0.0.1:80:80" },
		  "Windows does not support host IP addresses in NAT settings" },
		{ { "x:80" },
		  "invalid container port x: strconv.ParseInt: parsing \"x\": invalid syntax" },
		{ { "80:1-2" },
		  "invalid internal port 1-2: strconv.ParseInt: parsing \"1-2\": invalid syntax" },
		{ { "-1:80" }, "specified NAT port is not in allowed range" },
		{ { "80:65536" }, "specified NAT port is not in allowed range" },
		{ { "9223372036854775807:80" }, "specified NAT port is not in allowed range" },
		{ { "9223372036854775808:80" },
		  "invalid container port 9223372036854775808: strconv.ParseInt: parsing "
		  "\"9223372036854775808\": value out of range" },
		{ { "99" }, "invalid container port : strconv.ParseInt: parsing \"\": invalid syntax" },
		/* Of one port all bindings are counted before any is looked at; the protocol before that. */
		{ { "127.0.0.1:80:80", "81:80" },
		  "Windows does not support more than one host port in NAT settings" },
		{ { "80:80/x", "81:80/x" }, "invalid protocol x" },
		{ { "127.0.0.1:x:y" },
		  "Windows does not support host IP addresses in NAT settings" },
		{ { "x:y" },
		  "invalid container port x: strconv.ParseInt: parsing \"x\": invalid syntax" },
	};

	(void)state;
	assert_int_equal(net_ports_check_tp4(good, sizeof(good) / sizeof(good[0]), &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(net_ports_check_tp4(bad[i].texts, bad[i].texts[1] ? 2 : 1, &err),
				 -EINVAL);
		assert_string_equal(err.text, bad[i].error);
	}
}

static void printed(void **state)
{
	struct net_addr ips[2];
	struct net_endpoint e = { .ips = ips, .ip_count = 1 };
	static const struct {
		const char *port, *wanted, *four, *both;
	} cases[] = {
		{ "8080:80", NULL, "80/tcp -> 0.0.0.0:8080\n",
		  "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n" },
		{ "8080:80", "80", "0.0.0.0:8080\n", "0.0.0.0:8080\n[::]:8080\n" },
		{ "8080:80/udp", "80/UDP", "0.0.0.0:8080\n", "0.0.0.0:8080\n[::]:8080\n" },
		{ "8080:80/udp", "80", "", "" },
		{ "127.0.0.1:90-91:80-81", NULL, "80/tcp -> 127.0.0.1:90\n81/tcp -> 127.0.0.1:91\n",
		  "80/tcp -> 127.0.0.1:90\n81/tcp -> 127.0.0.1:91\n" },
		{ "127.0.0.1:90-91:80-81", "81/tcp", "127.0.0.1:91\n", "127.0.0.1:91\n" },
		{ "[::1]:90:80/sctp", NULL, "", "80/sctp -> [::1]:90\n" },
	};
	static const char *const bad[] = { "", "x", "80/", "80/x", "80/tcp/", "0", "65536", "80x" };

	(void)state;
	assert_int_equal(net_addr_parse("10.1.0.2", &ips[0]), 0);
	assert_int_equal(net_addr_parse("fd00::2", &ips[1]), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 2; i++) {
		struct plug_text out = { 0 };

		assert_int_equal(parse(cases[i / 2].port), 0);
		e.policies = policies;
		e.policy_count = count;
		e.ip_count = 1 + i % 2;
		assert_int_equal(net_ports_print(&e, cases[i / 2].wanted, &out, &err), 0);
		assert_string_equal(out.data ? out.data : "",
				    i % 2 ? cases[i / 2].both : cases[i / 2].four);
		plug_text_finish(&out);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct plug_text out = { 0 };

		if (net_ports_print(&e, bad[i], &out, &err) != -EINVAL)
			fail_msg("%s", bad[i]);
	}
}

/* A socket of somebody else on that port; negative errno. */
static int stranger(int type, const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1, r = 0;

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
	/* As most servers do. */
	if (type == SOCK_STREAM)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 1) < 0))
		r = -errno;
	if (r < 0)
		(void)close(fd);
	return r < 0 ? r : fd;
}

static int take(struct net_ports *p, const char *owner, const char *text)
{
	if (parse(text) < 0)
		fail_msg("%s", err.text);
	return net_ports_take(p, owner, owner, policies, count, &err);
}

static void conflicts(void **state)
{
	struct net_ports *p;
	int fd;

	(void)state;
	assert_int_equal(net_ports_create(&p), 0);
	assert_int_equal(take(p, "a", "8080:80"), 0);
	assert_int_equal(take(p, "a", "8080:80"), 0); /* has it already */
	assert_int_equal(take(p, "b", "8080:80"), -EADDRINUSE);
	assert_string_equal(err.text, "port 0.0.0.0:8080/tcp: in use by a");
	assert_int_equal(take(p, "b", "127.0.0.1:8080:80"), -EADDRINUSE);
	assert_string_equal(err.text, "port 127.0.0.1:8080/tcp: in use by a");
	assert_int_equal(take(p, "b", "[::1]:8080:80"), -EADDRINUSE);
	assert_string_equal(err.text, "port [::1]:8080/tcp: in use by a");
	assert_int_equal(take(p, "b", "8080:80/udp"), 0); /* another protocol */
	/* Others are told by the kernel. */
	assert_int_equal(stranger(SOCK_STREAM, "127.0.0.1", 8080), -EADDRINUSE);
	assert_int_equal(stranger(SOCK_DGRAM, "127.0.0.1", 8080), -EADDRINUSE);
	net_ports_release(p, "a");
	net_ports_release(p, "a");
	net_ports_release(p, "nobody");
	fd = stranger(SOCK_STREAM, "127.0.0.1", 8080);
	assert_true(fd >= 0);
	/* And they keep us out. */
	assert_int_equal(take(p, "a", "8080:80"), -EADDRINUSE);
	assert_string_equal(err.text, "port 0.0.0.0:8080/tcp: in use by a process of the host");
	assert_int_equal(take(p, "a", "8079-8081:79-81"), -EADDRINUSE);
	(void)close(fd);
	/* Nothing of the row was kept. */
	fd = stranger(SOCK_STREAM, "127.0.0.1", 8079);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(take(p, "c", "198.51.100.9:80:80"), -EADDRNOTAVAIL);
	assert_string_equal(err.text, "port 198.51.100.9:80/tcp: the host has no such address");
	/* Different addresses of the host are different ports. */
	assert_int_equal(take(p, "d", "127.0.0.1:90:80"), 0);
	assert_int_equal(take(p, "e", "127.0.0.2:90:80"), 0);
	net_ports_destroy(p);
}

static int change(struct net_ports *p, const char *owner, const char *text)
{
	if (parse(text) < 0)
		fail_msg("%s", err.text);
	return net_ports_change(p, owner, owner, policies, count, &err);
}

static void changed(void **state)
{
	struct net_ports *p;
	int fd;

	(void)state;
	assert_int_equal(net_ports_create(&p), 0);
	assert_int_equal(change(p, "a", "8080:80"), 0); /* had none */
	assert_int_equal(take(p, "b", "8090:80/udp"), 0);
	/* The same port on fewer addresses, and on all of them again. */
	assert_int_equal(change(p, "a", "127.0.0.1:8080:80"), 0);
	fd = stranger(SOCK_STREAM, "127.0.0.2", 8080);
	assert_true(fd >= 0);
	assert_int_equal(change(p, "a", "8080:80"), -EADDRINUSE);
	assert_int_equal(stranger(SOCK_STREAM, "127.0.0.1", 8080), -EADDRINUSE); /* as it was */
	(void)close(fd);
	assert_int_equal(change(p, "a", "8080:80"), 0);
	assert_int_equal(stranger(SOCK_STREAM, "127.0.0.2", 8080), -EADDRINUSE);
	assert_int_equal(change(p, "b", "127.0.0.1:8090:80/udp"), 0);
	assert_int_equal(change(p, "b", "8090:80/udp"), 0);
	assert_int_equal(stranger(SOCK_DGRAM, "127.0.0.2", 8090), -EADDRINUSE);
	/* A row that takes some of what it had. */
	assert_int_equal(change(p, "a", "8079-8081:80-82"), 0);
	assert_int_equal(stranger(SOCK_STREAM, "127.0.0.1", 8080), -EADDRINUSE);
	assert_int_equal(change(p, "a", "8081:80"), 0);
	fd = stranger(SOCK_STREAM, "127.0.0.1", 8080);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(take(p, "c", "8081:80"), -EADDRINUSE);
	assert_string_equal(err.text, "port 0.0.0.0:8081/tcp: in use by a");
	/* None any more. */
	assert_int_equal(net_ports_change(p, "a", "a", NULL, 0, &err), 0);
	assert_int_equal(take(p, "c", "8081:80"), 0);
	net_ports_destroy(p);
}

static void chosen(void **state)
{
	struct net_ports *p;
	uint16_t first;
	int fd;

	(void)state;
	assert_int_equal(net_ports_create(&p), 0);
	assert_int_equal(take(p, "a", "80-82"), 0);
	first = policies[0].port.external;
	assert_true(first >= 1024);
	assert_int_equal(stranger(SOCK_STREAM, "127.0.0.1", (uint16_t)(first + 2)), -EADDRINUSE);
	/* Asked again, the same. */
	assert_int_equal(take(p, "a", "80-82"), 0);
	assert_int_equal(policies[0].port.external, first);
	assert_int_equal(take(p, "b", "80/udp"), 0);
	assert_true(policies[0].port.external);
	/* A kernel without SCTP has nobody on that port. */
	assert_int_equal(take(p, "s", "7000:80/sctp"), 0);
	assert_int_equal(take(p, "t", "7000:80/sctp"), -EADDRINUSE);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
	if (fd < 0 && errno == EPROTONOSUPPORT) {
		assert_int_equal(take(p, "t", "80/sctp"), -EPROTONOSUPPORT);
		assert_non_null(strstr(err.text, "the kernel has no SCTP"));
	}
	if (fd >= 0)
		(void)close(fd);
	assert_int_equal(take(p, "l", "[fe80::1]:80:80"), -EINVAL);
	assert_string_equal(err.text,
			    "port [fe80::1]:80/tcp: an address of a link alone is none of the host");
	net_ports_destroy(p);
}

/* The end of a connection stays for a minute, and is in nobody's way. */
static void time_wait(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(7777) };
	int listening = stranger(SOCK_STREAM, "127.0.0.1", 7777), here, there;
	struct net_ports *p;
	char c;

	(void)state;
	assert_true(listening >= 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(there, (struct sockaddr *)&in, sizeof(in)), 0);
	here = accept(listening, NULL, NULL);
	assert_true(here >= 0);
	(void)close(here); /* the server first: its side waits */
	assert_int_equal(read(there, &c, 1), 0);
	(void)close(there);
	(void)close(listening);
	assert_int_equal(net_ports_create(&p), 0);
	assert_int_equal(take(p, "a", "7777:80"), 0);
	net_ports_destroy(p);
}

static int setup(void **state)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return -1;
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	net_policies_free(policies, count);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),  cmocka_unit_test(tp4),     cmocka_unit_test(conflicts),
		cmocka_unit_test(chosen), cmocka_unit_test(printed), cmocka_unit_test(time_wait),
		cmocka_unit_test(changed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
