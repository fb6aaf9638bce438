/* SPDX-License-Identifier: MIT */
/* Netlink against the kernel, in a network namespace of this process's own. */
#include "kernel/netns.h"
#include "kernel/rtnl.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct net_rtnl *r, *inner;
static struct plug_error err;
static int outer_fd, inner_fd;

/* A first namespace for this process, a second one held by a descriptor. */
static int group_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	inner_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	outer_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return net_rtnl_open(-1, &r, &err) < 0 || net_rtnl_open(inner_fd, &inner, &err) < 0 ? -1 : 0;
}

static int group_teardown(void **state)
{
	(void)state;
	net_rtnl_close(r);
	net_rtnl_close(inner);
	return close(inner_fd) < 0 || close(outer_fd) < 0 ? -1 : 0;
}

static const struct net_port port = { .hairpin = true, .isolated = true };
static const struct net_link a_bridge = { .name = "br0", .kind = NET_LINK_BRIDGE, .up = true };

static struct net_addr prefix(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_addr_parse_prefix(text, &a), 0);
	return a;
}

#define OK(call)                                                 \
	do {                                                     \
		int ok_ = (call);                                \
		if (ok_ < 0)                                     \
			fail_msg("%s: %s", #call, err.text);     \
	} while (0)

static void test_bridge_and_veth(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 }, behind[6] = { 2, 0, 0, 0, 0, 2 };
	struct net_link_info bridge, host, guest;

	(void)state;
	OK(net_link_create(r,
			   &(struct net_link){ .name = "br0", .kind = NET_LINK_BRIDGE, .up = true,
					       .mtu = 1400, .alias = "of a test" },
			   &err));
	OK(net_link_find(r, "br0", &bridge, &err));
	assert_string_equal(bridge.kind, "bridge");
	assert_string_equal(bridge.alias, "of a test");
	assert_true(bridge.flags & IFF_UP);
	assert_int_equal(bridge.mtu, 1400);
	OK(net_link_create(r,
			   &(struct net_link){ .name = "ve0", .kind = NET_LINK_VETH, .up = true,
					       .mtu = 1400, .master = bridge.index,
					       .peer = { .name = "eth0", .mac = mac, .netns = &inner_fd } },
			   &err));
	OK(net_link_set(inner, "eth0", &(struct net_link_change){ .up = 1 }, &err));
	OK(net_link_find(r, "ve0", &host, &err));
	OK(net_link_find(inner, "eth0", &guest, &err));
	assert_int_equal(host.master, bridge.index);
	assert_int_equal(guest.mtu, 1400);
	assert_memory_equal(guest.mac, mac, 6);
	assert_true(guest.flags & IFF_UP);
	assert_int_equal(host.parent, guest.index);
	OK(net_link_port(r, "ve0", &port, &err));
	for (int again = 0; again < 2; again++)
		OK(net_link_fdb_port(r, "ve0", behind, true, &err));
	for (int again = 0; again < 2; again++)
		OK(net_link_fdb_port(r, "ve0", behind, false, &err));
	assert_int_equal(net_link_fdb_port(r, "nowhere", behind, true, &err), -ENODEV);

	OK(net_link_set(r, "ve0", &(struct net_link_change){ .master = -1, .up = -1 }, &err));
	OK(net_link_set(r, "ve0", &(struct net_link_change){ .rename = "ve1", .mtu = 1300 }, &err));
	OK(net_link_find(r, "ve1", &host, &err));
	assert_int_equal(host.master, 0);
	assert_int_equal(host.mtu, 1300);
	assert_false(host.flags & IFF_UP);
	assert_int_equal(net_link_find(r, "ve0", &host, &err), -ENODEV);
	assert_non_null(strstr(err.text, "link ve0: "));

	OK(net_link_delete(r, "ve1", &err));
	OK(net_link_delete(r, "ve1", &err));
	assert_string_equal(err.text, ""); /* gone already: no error is no text either */
	assert_int_equal(net_link_find(inner, "eth0", &guest, &err), -ENODEV);
	OK(net_link_delete(r, "br0", &err));
}

static int count_any(void *arg, int index, const struct net_addr *addr)
{
	(void)index;
	(void)addr;
	++*(int *)arg;
	return 0;
}

/* A link has an address of its own once it is up, unless it was told not to. */
static void test_silent(void **state)
{
	(void)state;
	for (int silent = 0; silent < 2; silent++) {
		struct net_link pair = { .name = "ve0", .kind = NET_LINK_VETH, .up = true,
					 .peer = { .name = "eth0", .netns = &inner_fd } };
		int n = 0, index, later;

		OK(net_link_create(r, &pair, &err));
		if (silent)
			OK(net_link_set(inner, "eth0", &(struct net_link_change){ .silent = true }, &err));
		OK(net_link_set(inner, "eth0", &(struct net_link_change){ .up = 1 }, &err));
		OK(net_address_list(inner, count_any, &n, &err));
		assert_int_equal(n, silent ? 0 : 1);

		OK(net_link_index(inner, "eth0", &index, &err));
		OK(net_link_delete(r, "ve0", &err));
		OK(net_link_index(inner, "eth0", &later, &err)); /* as it was remembered */
		assert_int_equal(later, index);
		net_rtnl_forget(inner);
		assert_int_equal(net_link_index(inner, "eth0", &later, &err), -ENODEV);
	}
}

/* Each kind of link that kernels have; one that this kernel has not says so. */
static void test_kinds(void **state)
{
	static const enum net_link_kind kinds[] = { NET_LINK_MACVLAN, NET_LINK_VXLAN, NET_LINK_VLAN,
						    NET_LINK_IFB, NET_LINK_DUMMY };
	struct net_link_info below, found;

	(void)state;
	OK(net_link_create(r, &a_bridge, &err));
	OK(net_link_find(r, "br0", &below, &err));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct net_link link = { .name = "it0", .kind = kinds[i], .vni = 42, .vlan = 7,
					 .parent = kinds[i] < NET_LINK_IFB ? below.index : 0 };
		int result = net_link_create(r, &link, &err);

		if (result == -EOPNOTSUPP) {
			assert_non_null(strstr(err.text, "link it0: this kernel has no "));
			continue;
		}
		OK(result);
		OK(net_link_find(r, "it0", &found, &err));
		if (kinds[i] == NET_LINK_VXLAN) {
			static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
			struct net_addr peer = prefix("192.0.2.9");

			OK(net_link_fdb(r, "it0", NULL, &peer, true, &err));
			OK(net_link_fdb(r, "it0", mac, &peer, true, &err));
			OK(net_link_fdb(r, "it0", mac, &peer, false, &err));
			OK(net_link_fdb(r, "it0", mac, &peer, false, &err));
		}
		OK(net_link_delete(r, "it0", &err));
	}
	OK(net_link_delete(r, "br0", &err));
}

static int count_links(void *arg, const struct net_link_info *link)
{
	(void)link;
	++*(int *)arg;
	return 0;
}

static int count_addresses(void *arg, int index, const struct net_addr *addr)
{
	struct net_addr a = prefix("10.9.0.1/24"), b = prefix("fd09::1/64");

	(void)index;
	*(int *)arg += net_addr_same(addr, &a) || net_addr_same(addr, &b);
	return 0;
}

static int count_routes(void *arg, const struct net_addr *destination, int link)
{
	(void)link;
	if (destination->prefix == 0)
		++*(int *)arg;
	return 0;
}

static void test_addresses_and_routes(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 5 };
	struct net_addr a = prefix("10.9.0.1/24"), b = prefix("fd09::1/64"), peer = prefix("10.9.0.7");
	struct net_kernel_route routes[] = {
		{ .destination = prefix("0.0.0.0/0"), .next_hop = prefix("10.9.0.254"), .link = "br0" },
		{ .destination = prefix("::/0"), .next_hop = prefix("fd09::ff"), .link = "br0" },
		{ .destination = prefix("10.77.0.0/16"), .link = "br0", .metric = 7, .mtu = 1300 },
		{ .destination = prefix("10.78.0.0/16"), .link = "br0", .next_hop = prefix("10.200.0.1"),
		  .onlink = true },
	};
	int n = 0;

	(void)state;
	OK(net_link_create(r, &a_bridge, &err));
	for (int again = 0; again < 2; again++) {
		OK(net_address_add(r, "br0", &a, &err));
		OK(net_address_add(r, "br0", &b, &err));
		for (size_t i = 0; i < 4; i++)
			OK(net_route_add(r, &routes[i], &err));
	}
	OK(net_address_list(r, count_addresses, &n, &err));
	assert_int_equal(n, 2);
	n = 0;
	OK(net_route_list(r, count_routes, &n, &err));
	assert_int_equal(n, 2);
	n = 0;
	OK(net_link_list(r, count_links, &n, &err));
	assert_true(n >= 2);
	OK(net_neighbour_add(r, "br0", &peer, mac, &err));
	OK(net_neighbour_add(r, "br0", &peer, mac, &err));
	OK(net_neighbour_delete(r, "br0", &peer, &err));
	OK(net_neighbour_delete(r, "br0", &peer, &err));
	OK(net_neighbour_delete(r, "nowhere", &peer, &err));
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < 4; i++)
			OK(net_route_delete(r, &routes[i], &err));
		OK(net_address_delete(r, "br0", &a, &err));
		OK(net_address_delete(r, "br0", &b, &err));
	}
	OK(net_link_delete(r, "br0", &err));
	OK(net_address_delete(r, "lo", &a, &err));
}

/* What the kernel refuses: with the object's name, and its explanation. */
static void test_refusals(void **state)
{
	struct net_addr a = prefix("10.9.0.1/24");
	struct net_kernel_route far = { .destination = prefix("10.1.0.0/16"),
					.next_hop = prefix("10.99.0.1") };
	struct net_link again = { .name = "lo", .kind = NET_LINK_BRIDGE };

	(void)state;
	assert_int_equal(net_link_create(r, &again, &err), -EEXIST);
	assert_non_null(strstr(err.text, "link lo"));
	assert_int_equal(net_link_create(r, &(struct net_link){ .name = "abcdefghijklmnop" }, &err), -EINVAL);
	assert_int_equal(net_address_add(r, "nowhere", &a, &err), -ENODEV);
	assert_non_null(strstr(err.text, "link nowhere: "));
	OK(net_link_set(r, "lo", &(struct net_link_change){ .up = 1 }, &err));
	assert_int_equal(net_route_add(r, &far, &err), -ENETUNREACH);
	assert_non_null(strstr(err.text, "route to 10.1.0.0/16 by 10.99.0.1: Nexthop has invalid gateway"));
	assert_int_equal(net_link_set(r, "nowhere", &(struct net_link_change){ .up = 1 }, &err), -ENODEV);
	assert_int_equal(net_link_port(r, "lo", &port, &err), -EOPNOTSUPP);
	assert_int_equal(net_rtnl_open(1000, &inner, &err), -EBADF);
	assert_non_null(strstr(err.text, "netlink socket: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bridge_and_veth),	     cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_addresses_and_routes), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_silent),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
