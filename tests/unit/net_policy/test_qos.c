/* SPDX-License-Identifier: MIT */
/* Bandwidth, measured in both directions between two namespaces of the test's own. */
#include "kernel/netns.h"
#include "kernel/rtnl.h"
#include "policy/qos.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>

static int there = -1; /* the container's namespace */
static struct plug_error err;

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.text);                                       \
	} while (0)

static void *ns_thread(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWNET) == 0)
		there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return NULL;
}

static int socket_cb(void *arg)
{
	(void)arg;
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* A connection between 10.9.0.1, here, and 10.9.0.2, there: both ends, not blocking. */
static void connection(int *ret_here, int *ret_there)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(5001) };
	int server = net_ns_call(there, socket_cb, NULL), here = socket_cb(NULL), on = 1;

	assert_true(server >= 0 && here >= 0);
	assert_int_equal(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(server, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(inet_pton(AF_INET, "10.9.0.2", &in.sin_addr), 1);
	assert_int_equal(connect(here, (struct sockaddr *)&in, sizeof(in)), 0);
	*ret_there = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ret_there >= 0);
	assert_int_equal(fcntl(here, F_SETFL, O_NONBLOCK), 0);
	*ret_here = here;
	(void)close(server);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Writes on one end, counts at the other, from after the first burst on: bytes per second. */
static double measure(int from, int to)
{
	static char data[65536];
	uint64_t start = now_ms(), first = 0, bytes = 0, now;

	while ((now = now_ms()) < start + 1100) {
		struct pollfd p[] = { { .fd = from, .events = POLLOUT },
				      { .fd = to, .events = POLLIN } };
		ssize_t n;

		(void)poll(p, 2, 100);
		(void)!write(from, data, sizeof(data));
		n = read(to, data, sizeof(data));
		if (now < start + 200)
			continue;
		if (!first)
			first = now;
		bytes += n > 0 ? (uint64_t)n : 0;
	}
	return (double)bytes * 1000 / (double)(now - first);
}

static void limits(uint64_t out, uint64_t in)
{
	const struct net_policy_qos qos = { .out = out, .in = in };

	OK(net_qos_apply("veq", "ifq", &qos, &err));
}

static double rate(bool out)
{
	int here, far;
	double got;

	connection(&here, &far);
	got = out ? measure(far, here) : measure(here, far);
	(void)close(here);
	(void)close(far);
	return got;
}

/*
 * What is limited is frames; what is counted, their payload.  A machine that does other things for a moment
 * makes it look slower, so the best of some counts; what goes too fast fails at once.
 */
static void expect_near(bool out, double wanted)
{
	double got = 0;

	for (int tries = 0; tries < 5 && got < wanted * 0.85; tries++) {
		got = rate(out) * 1514 / 1448;
		if (got > wanted * 1.15)
			break;
	}
	if (got < wanted * 0.85 || got > wanted * 1.15)
		fail_msg("%.0f bytes a second, not %.0f", got, wanted);
}

static bool exists(const char *link)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	struct net_link_info info;

	OK(net_rtnl_open(-1, &r, &err));
	return net_link_find(r, link, &info, NULL) == 0;
}

static void measured(void **state)
{
	(void)state;
	limits(6000000, 2000000);
	assert_true(exists("ifq"));
	expect_near(true, 6000000);
	expect_near(false, 2000000);
	limits(3000000, 0); /* changed, and one of them gone */
	expect_near(true, 3000000);
	assert_true(rate(false) > 20000000);
	limits(0, 0);
	limits(0, 0); /* already gone */
	assert_false(exists("ifq"));
	assert_true(rate(true) > 20000000);
}

static void ends(void **state)
{
	const struct net_policy_qos qos = { .out = 1000000 };

	(void)state;
	assert_int_equal(net_qos_apply("nolink", "ifq", &qos, &err), -ENODEV);
	assert_non_null(strstr(err.text, "nolink"));
	assert_false(exists("ifq"));
	limits(1000000, 1000000);
	OK(net_qos_remove("ifq", &err));
	OK(net_qos_remove("ifq", &err));
	assert_false(exists("ifq"));
}

static void narrowest(void **state)
{
	struct net_policy policies[] = {
		{ .kind = NET_POLICY_QOS, .qos = { .out = 5000, .in = 700 } },
		{ .kind = NET_POLICY_PORT_NAME },
		{ .kind = NET_POLICY_QOS, .qos = { .out = 4000 } },
	};
	struct net_endpoint e = { .policies = policies, .policy_count = 3 };

	(void)state;
	assert_int_equal(net_qos_of(&e).out, 4000);
	assert_int_equal(net_qos_of(&e).in, 700);
	e.policy_count = 0;
	assert_int_equal(net_qos_of(&e).out, 0);
}

static int setup(void **state)
{
	_cleanup_rtnl_ struct net_rtnl *here = NULL, *far = NULL;
	struct net_link make = { .name = "veq",
				 .kind = NET_LINK_VETH,
				 .up = true,
				 .peer = { .name = "eth0", .netns = &there } };
	struct net_link_change up = { .up = 1 };
	struct net_addr one, two;
	pthread_t thread;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0 || pthread_create(&thread, NULL, ns_thread, NULL))
		return -1;
	(void)pthread_join(thread, NULL);
	assert_int_equal(net_addr_parse_prefix("10.9.0.1/24", &one), 0);
	assert_int_equal(net_addr_parse_prefix("10.9.0.2/24", &two), 0);
	OK(net_rtnl_open(-1, &here, &err));
	OK(net_rtnl_open(there, &far, &err));
	OK(net_link_create(here, &make, &err));
	OK(net_address_add(here, "veq", &one, &err));
	OK(net_link_set(far, "eth0", &up, &err));
	OK(net_address_add(far, "eth0", &two, &err));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measured),
		cmocka_unit_test(ends),
		cmocka_unit_test(narrowest),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
