/* SPDX-License-Identifier: MIT */
/* Rules with real packets: who reaches whom, and as whom. */
#include "policy/guest.h"
#include "tests/unit/net_policy/world.h"

#define PORT(more) "{\"Type\":\"PortMapping\",\"Settings\":{" more "}}"
#define ACL(more) "{\"Type\":\"ACL\",\"Settings\":{" more "}}"

static void published_tcp(void **state)
{
	int web = serve(A1, SOCK_STREAM, "0.0.0.0", 80), web6 = serve(A2, SOCK_STREAM, "::", 81);

	(void)state;
	CANNOT(CLIENT, "192.0.2.1", 8080, web);
	policies(A1, "[" PORT("\"InternalPort\":80,\"ExternalPort\":8080") "," PORT(
			     "\"InternalPort\":80,\"ExternalPort\":8090,\"VIP\":\"10.2.0.1\"") "]");
	policies(A2, "[" PORT("\"InternalPort\":81,\"ExternalPort\":8081") "]");
	REACHES(CLIENT, "192.0.2.1", 8080, web, "192.0.2.2");
	REACHES(CLIENT, "fd02::1", 8081, web6, "fd02::2");
	CANNOT(CLIENT, "192.0.2.1", 8090, web); /* another address of the host */
	REACHES(B1, "10.2.0.1", 8090, web, "10.2.0.2");
	/* The host by its own address, by localhost, by the container's. */
	REACHES(HOST, "192.0.2.1", 8080, web, "192.0.2.1");
	REACHES(HOST, "127.0.0.1", 8080, web, "10.1.0.1");
	REACHES(HOST, "10.1.0.2", 80, web, "10.1.0.1");
	REACHES(HOST, "fd02::1", 8081, web6, "fd02::1");
	/* Neighbours, other networks, and itself. */
	REACHES(A2, "192.0.2.1", 8080, web, "10.1.0.1");
	REACHES(B1, "192.0.2.1", 8080, web, "10.2.0.2");
	REACHES(A1, "192.0.2.1", 8080, web, "10.1.0.1");
	REACHES(A2, "fd02::1", 8081, web6, "fd01::1");
	OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
	CANNOT(CLIENT, "192.0.2.1", 8080, web);
	OK(net_table_remove(world.table, world.ends[A2].id, &world.err));
	(void)close(web);
	(void)close(web6);
}

/* There is no route_localnet for IPv6: who asks there is refused at once, and need not wait. */
static void localhost6(void **state)
{
	int web = serve(A1, SOCK_STREAM, "::", 80), fd = socket_in(HOST, AF_INET6, SOCK_STREAM);
	struct sockaddr_storage to;
	socklen_t size = sockaddr_of("::1", 8080, &to), error_size = sizeof(int);
	int error = 0;

	(void)state;
	policies(A1, "[" PORT("\"InternalPort\":80,\"ExternalPort\":8080") "]");
	if (connect(fd, (struct sockaddr *)&to, size) < 0)
		error = errno;
	if (error == EINPROGRESS) {
		assert_true(ready(fd, POLLOUT, SOON));
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size), 0);
	}
	assert_int_equal(error, ECONNREFUSED);
	REACHES(HOST, "fd01::1", 8080, web, "fd01::1");
	OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
	(void)close(fd);
	(void)close(web);
}

static void published_udp(void **state)
{
	int dns = serve(A1, SOCK_DGRAM, "0.0.0.0", 53),
	    other = serve(A2, SOCK_DGRAM, "0.0.0.0", 53);

	(void)state;
	policies(A1, "[" PORT("\"Protocol\":17,\"InternalPort\":53,\"ExternalPort\":5353,\"Count\":"
			      "1") "," PORT("\"Protocol\":17,\"InternalPort\":50,\"ExternalPort\":"
					    "50,\"Count\":10") "]");
	REACHES(CLIENT, "192.0.2.1", 5353, dns, "192.0.2.2");
	REACHES(CLIENT, "192.0.2.1", 53, dns, "192.0.2.2"); /* of the range */
	REACHES(HOST, "127.0.0.1", 5353, dns, "10.1.0.1");
	REACHES(A1, "192.0.2.1", 5353, dns, "10.1.0.1");
	OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
	policies(A2, "[" PORT("\"Protocol\":17,\"InternalPort\":53,\"ExternalPort\":5353") "]");
	REACHES(CLIENT, "192.0.2.1", 5353, other, "192.0.2.2");
	OK(net_table_remove(world.table, world.ends[A2].id, &world.err));
	(void)close(dns);
	(void)close(other);
}

/* A client that never pauses goes on from the same port: what the kernel knows of it has to be forgotten. */
static void moved(void **state)
{
	int before = serve(HOST, SOCK_DGRAM, "0.0.0.0", 5354),
	    first = serve(A1, SOCK_DGRAM, "0.0.0.0", 53),
	    second = serve(A2, SOCK_DGRAM, "0.0.0.0", 53),
	    fd = socket_in(CLIENT, AF_INET, SOCK_DGRAM);
	const int servers[] = { before, first, second };
	struct sockaddr_storage to;
	socklen_t size = sockaddr_of("192.0.2.1", 5354, &to);

	(void)state;
	assert_int_equal(connect(fd, (struct sockaddr *)&to, size), 0);
	for (int i = 0; i < 3; i++) {
		char c;

		if (i == 1)
			policies(A1, "[" PORT("\"Protocol\":17,\"InternalPort\":53,"
					      "\"ExternalPort\":5354") "]");
		if (i == 2) {
			OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
			policies(A2, "[" PORT("\"Protocol\":17,\"InternalPort\":53,"
					      "\"ExternalPort\":5354") "]");
		}
		assert_int_equal(send(fd, "x", 1, 0), 1);
		if (!ready(servers[i], POLLIN, SOON))
			fail_msg("server %d gets nothing", i);
		assert_int_equal(recv(servers[i], &c, 1, 0), 1);
	}
	OK(net_table_remove(world.table, world.ends[A2].id, &world.err));
	(void)close(before);
	(void)close(first);
	(void)close(second);
	(void)close(fd);
}

static void isolation(void **state)
{
	int a1 = serve(A1, SOCK_STREAM, "0.0.0.0", 80), a2 = serve(A2, SOCK_STREAM, "0.0.0.0", 80),
	    client = serve(CLIENT, SOCK_STREAM, "0.0.0.0", 80),
	    host = serve(HOST, SOCK_STREAM, "0.0.0.0", 80),
	    client6 = serve(CLIENT, SOCK_STREAM, "::", 6);

	(void)state;
	REACHES(A1, "10.1.0.3", 80, a2, "10.1.0.2"); /* within a network, untranslated */
	CANNOT(B1, "10.1.0.2", 80, a1);		     /* to another one */
	CANNOT(CLIENT, "10.1.0.2", 80, a1);	     /* from the outside, past published ports */
	REACHES(A1, "192.0.2.2", 80, client, "192.0.2.1"); /* to the outside, as the host */
	REACHES(A1, "fd02::2", 6, client6, "fd02::1");
	REACHES(B1, "192.0.2.2", 80, client, "192.0.2.1");
	REACHES(A1, "10.1.0.1", 80, host, "10.1.0.2"); /* to the host */
	/* Nothing beyond the host. */
	world.b.type = NET_INTERNAL;
	OK(net_table_put_network(world.table, &world.b, &world.err));
	CANNOT(B1, "192.0.2.2", 80, client);
	REACHES(B1, "10.2.0.1", 80, host, "10.2.0.2");
	world.b.type = NET_PRIVATE;
	OK(net_table_put_network(world.table, &world.b, &world.err));
	CANNOT(B1, "10.2.0.1", 80, host);
	world.b.type = NET_NAT;
	OK(net_table_put_network(world.table, &world.b, &world.err));
	REACHES(B1, "192.0.2.2", 80, client, "192.0.2.1");
	/* One that wants no neighbours. */
	world.ends[A2].disable_icc = true;
	policies(A2, "[]");
	CANNOT(A1, "10.1.0.3", 80, a2);
	world.ends[A2].disable_icc = false;
	OK(net_table_remove(world.table, world.ends[A2].id, &world.err));
	REACHES(A1, "10.1.0.3", 80, a2, "10.1.0.2");
	(void)close(a1);
	(void)close(a2);
	(void)close(client);
	(void)close(client6);
	(void)close(host);
}

static void outbound(void **state)
{
	int client = serve(CLIENT, SOCK_STREAM, "0.0.0.0", 80);
	_cleanup_rtnl_ struct net_rtnl *r = NULL;
	struct net_addr vip = addr("192.0.2.77/32");

	(void)state;
	policies(A1, "[{\"Type\":\"OutBoundNAT\",\"Settings\":{\"Exceptions\":[\"192.0.2.0/"
		     "24\",\"192.0.2.2\"]}}]");
	REACHES(A1, "192.0.2.2", 80, client, "10.1.0.2");
	policies(A1, "[{\"Type\":\"OutBoundNAT\",\"Settings\":{\"Destinations\":[\"198.51.100.0/"
		     "24\"]}}]");
	REACHES(A1, "192.0.2.2", 80, client, "10.1.0.2");
	policies(A1,
		 "[{\"Type\":\"OutBoundNAT\",\"Settings\":{\"Destinations\":[\"192.0.2.0/24\"]}}]");
	REACHES(A1, "192.0.2.2", 80, client, "192.0.2.1");
	OK(net_rtnl_open(-1, &r, &world.err));
	OK(net_address_add(r, "up0", &vip, &world.err));
	policies(A1, "[{\"Type\":\"OutBoundNAT\",\"Settings\":{\"VirtualIP\":\"192.0.2.77\"}}]");
	REACHES(A1, "192.0.2.2", 80, client, "192.0.2.77");
	OK(net_address_delete(r, "up0", &vip, &world.err));
	OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
	REACHES(A1, "192.0.2.2", 80, client, "192.0.2.1");
	(void)close(client);
}

static void access_lists(void **state)
{
	int a1 = serve(A1, SOCK_STREAM, "0.0.0.0", 80),
	    more = serve(A1, SOCK_STREAM, "0.0.0.0", 81),
	    client = serve(CLIENT, SOCK_STREAM, "0.0.0.0", 80),
	    udp = serve(A1, SOCK_DGRAM, "0.0.0.0", 80);

	(void)state;
	/* The lowest number decides; Block before Allow at the same one; no match passes. */
	policies(
		A1,
		"[" ACL("\"Action\":\"Block\",\"Direction\":\"In\",\"Protocols\":\"6\","
			"\"Priority\":200") "," ACL("\"Action\":\"Allow\",\"Direction\":\"In\","
						    "\"Protocols\":\"6\",\"LocalPorts\":\"80\","
						    "\"RemoteAddresses\":\"10.1.0.3\",\"Priority\":"
						    "100") "," ACL("\"Action\":\"Allow\","
								   "\"Direction\":\"In\","
								   "\"Protocols\":\"6\","
								   "\"Priority\":200") "]");
	REACHES(A2, "10.1.0.2", 80, a1, "10.1.0.3");
	CANNOT(A2, "10.1.0.2", 81, more);
	CANNOT(HOST, "10.1.0.2", 80, a1);
	REACHES(A2, "10.1.0.2", 80, udp, "10.1.0.3");
	REACHES(A1, "192.0.2.2", 80, client, "192.0.2.1"); /* answers come in */
	/* Out. */
	policies(A1, "[" ACL("\"Action\":\"Block\",\"Direction\":\"Out\",\"RemoteAddresses\":\"192."
			     "0.2.0/24\","
			     "\"RemotePorts\":\"79-81,80\"") "]");
	CANNOT(A1, "192.0.2.2", 80, client);
	REACHES(A2, "192.0.2.2", 80, client, "192.0.2.1");
	REACHES(A2, "10.1.0.2", 80, a1, "10.1.0.3"); /* answers go out */
	/* What Pass passes on to the next tier, Block stops there. */
	policies(A1, "[{\"Type\":\"TierAcl\",\"Settings\":{\"Name\":\"first\",\"Direction\":\"In\","
		     "\"Order\":1,"
		     "\"TierAclRules\":[{\"TierAclRuleAction\":\"Pass\",\"LocalPorts\":\"81\","
		     "\"Priority\":1},"
		     "{\"TierAclRuleAction\":\"Allow\",\"LocalPorts\":\"80-81\",\"Priority\":2}]}},"
		     "{\"Type\":\"TierAcl\",\"Settings\":{\"Name\":\"second\",\"Direction\":\"In\","
		     "\"Order\":2,"
		     "\"TierAclRules\":[{\"TierAclRuleAction\":\"Block\"}]}}]");
	REACHES(A2, "10.1.0.2", 80, a1, "10.1.0.3");
	CANNOT(A2, "10.1.0.2", 81, more);
	OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
	REACHES(A2, "10.1.0.2", 81, more, "10.1.0.3");
	(void)close(a1);
	(void)close(more);
	(void)close(client);
	(void)close(udp);
}

/* Whether or not the host passes all bridged packets through rules: ours are, where that matters. */
static void bridged(void **state)
{
	int a1 = serve(A1, SOCK_STREAM, "0.0.0.0", 80), web = serve(A1, SOCK_STREAM, "0.0.0.0", 82);

	(void)state;
	write_file("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
	write_file("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0");
	policies(A1, "[" PORT("\"InternalPort\":82,\"ExternalPort\":8082") "]");
	/* Packets of neighbours go by the host's address, and back. */
	REACHES(A2, "192.0.2.1", 8082, web, "10.1.0.1");
	REACHES(A1, "192.0.2.1", 8082, web, "10.1.0.1");
	policies(A1, "[" ACL("\"Action\":\"Block\",\"Direction\":\"In\",\"Protocols\":\"6\"") "]");
	CANNOT(A2, "10.1.0.2", 80, a1);
	OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
	REACHES(A2, "10.1.0.2", 80, a1, "10.1.0.3");
	write_file("/proc/sys/net/bridge/bridge-nf-call-iptables", "1");
	write_file("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "1");
	(void)close(a1);
	(void)close(web);
}

/* A proxy in the container: all that it connects to, and all that comes, but for the proxy itself. */
static void guests(void **state)
{
	int out = serve(A1, SOCK_STREAM, "0.0.0.0", 15001),
	    in = serve(A1, SOCK_STREAM, "0.0.0.0", 15003),
	    client = serve(CLIENT, SOCK_STREAM, "0.0.0.0", 80),
	    web = serve(A1, SOCK_STREAM, "0.0.0.0", 80);
	struct net_endpoint *e = &world.ends[A1];
	char root[] = "0";

	(void)state;
	policies(A1, "[{\"Type\":\"L4WFPPROXY\",\"Settings\":{\"InboundProxyPort\":\"15003\","
		     "\"OutboundProxyPort\":\"15001\",\"UserSID\":\"S-1-22-1-1337\","
		     "\"InboundExceptions\":{\"PortExceptions\":[\"81\"]},"
		     "\"OutboundExceptions\":{\"IpAddressExceptions\":[\"198.51.100.0/24\"]}}}]");
	OK(net_guest_apply(world.ns[A1], e, &world.err));
	REACHES(A1, "192.0.2.2", 80, out, "10.1.0.2");
	REACHES(A2, "10.1.0.2", 80, in, "10.1.0.3");
	REACHES(A2, "192.0.2.2", 80, client, "192.0.2.1"); /* nobody else */
	free(e->policies[0].proxy.user);
	e->policies[0].proxy.user = root; /* the one who asks */
	OK(net_guest_apply(world.ns[A1], e, &world.err));
	e->policies[0].proxy.user = NULL;
	REACHES(A1, "192.0.2.2", 80, client, "192.0.2.1");
	policies(A1, "[]");
	OK(net_guest_apply(world.ns[A1], e, &world.err));
	OK(net_guest_apply(world.ns[A1], e, &world.err));
	REACHES(A2, "10.1.0.2", 80, web, "10.1.0.3");
	assert_int_equal(policies_put(A1, "[{\"Type\":\"L4WFPPROXY\",\"Settings\":{"
					  "\"OutboundProxyPort\":\"1\",\"UserSID\":\"S-1-5-32-556\"}}]"),
			 -EINVAL);
	assert_int_equal(net_guest_apply(world.ns[A1], e, &world.err), -EINVAL);
	assert_non_null(strstr(world.err.text, "UserSID: S-1-5-32-556 is nobody on Linux"));
	OK(net_table_remove(world.table, e->id, &world.err));
	(void)close(out);
	(void)close(in);
	(void)close(client);
	(void)close(web);
}

static void proxies(void **state)
{
	int proxy = serve(A2, SOCK_STREAM, "0.0.0.0", 3128),
	    client = serve(CLIENT, SOCK_STREAM, "0.0.0.0", 80),
	    host = serve(HOST, SOCK_STREAM, "0.0.0.0", 3129);

	(void)state;
	policies(A1, "[{\"Type\":\"L4Proxy\",\"Settings\":{\"IP\":\"10.1.0.3\",\"Port\":\"3128\","
		     "\"Exceptions\":[\"198.51.100.0/24\"],\"Destination\":\":80\"}}]");
	REACHES(A1, "192.0.2.2", 80, proxy, "10.1.0.1");
	REACHES(A2, "192.0.2.2", 80, client, "192.0.2.1");
	policies(A1,
		 "[{\"Type\":\"L4Proxy\",\"Settings\":{\"Port\":\"3129\"}}]"); /* the host itself */
	REACHES(A1, "192.0.2.2", 80, host, "10.1.0.2");
	policies(A1, "[{\"Type\":\"L4Proxy\",\"Settings\":{\"Port\":\"3129\",\"Exceptions\":[\"192."
		     "0.2.0/24\"]}}]");
	REACHES(A1, "192.0.2.2", 80, client, "192.0.2.1");
	OK(net_table_remove(world.table, world.ends[A1].id, &world.err));
	(void)close(proxy);
	(void)close(client);
	(void)close(host);
}

static void balancers(void **state)
{
	int one = serve(A1, SOCK_STREAM, "0.0.0.0", 80),
	    two = serve(A2, SOCK_STREAM, "0.0.0.0", 80);
	const struct net_endpoint *ends[] = { &world.ends[A1], &world.ends[A2] };
	struct net_addr vips[] = { addr("10.99.0.1") };
	struct net_balancer_port port = { .protocol = IPPROTO_TCP,
					  .internal = 80,
					  .external = 8000 };
	struct net_balancer b = { .id = "cccccccc-0000-4000-8000-000000000001",
				  .vips = vips,
				  .vip_count = 1,
				  .ports = &port,
				  .port_count = 1 };
	char peer[64];

	(void)state;
	OK(net_table_put_balancer(world.table, &b, ends, 2, &world.err));
	for (int round = 0; round < 2; round++) { /* one after the other */
		REACHES(CLIENT, "10.99.0.1", 8000, one, "192.0.2.2");
		REACHES(CLIENT, "10.99.0.1", 8000, two, "192.0.2.2");
	}
	port.distribution = 2; /* by source: always the same */
	OK(net_table_put_balancer(world.table, &b, ends, 2, &world.err));
	for (int round = 0, server = -1; round < 3; round++) {
		struct pollfd p[] = { { .fd = one, .events = POLLIN },
				      { .fd = two, .events = POLLIN } };
		struct sockaddr_storage to;
		socklen_t size = sockaddr_of("10.99.0.1", 8000, &to);
		int fd = socket_in(B1, AF_INET, SOCK_STREAM), now;

		(void)connect(fd, (struct sockaddr *)&to, size);
		assert_true(poll(p, 2, SOON) > 0);
		now = p[0].revents ? one : two;
		assert_true(server < 0 || server == now);
		server = now;
		(void)close(accept(now, NULL, NULL));
		(void)close(fd);
	}
	/* The host's own addresses, and a source that neighbours see. */
	port.distribution = 0;
	b.vip_count = 0;
	OK(net_table_put_balancer(world.table, &b, ends, 1, &world.err));
	REACHES(CLIENT, "192.0.2.1", 8000, one, "192.0.2.2");
	REACHES(HOST, "127.0.0.1", 8000, one, "10.1.0.1");
	b.vip_count = 1;
	b.source_vip = addr("10.1.0.1");
	OK(net_table_put_balancer(world.table, &b, ends, 1, &world.err));
	REACHES(A2, "10.99.0.1", 8000, one, "10.1.0.1");
	OK(net_table_put_balancer(world.table, &b, ends, 0, &world.err));
	assert_false(reach(CLIENT, "10.99.0.1", 8000, one, peer, NEVER));
	OK(net_table_remove(world.table, b.id, &world.err));
	(void)close(one);
	(void)close(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_tcp), cmocka_unit_test(published_udp),
		cmocka_unit_test(moved),	 cmocka_unit_test(isolation),
		cmocka_unit_test(outbound),	 cmocka_unit_test(access_lists),
		cmocka_unit_test(proxies),	 cmocka_unit_test(balancers),
		cmocka_unit_test(localhost6),	 cmocka_unit_test(bridged),
		cmocka_unit_test(guests),
	};

	return cmocka_run_group_tests(tests, world_make, world_end);
}
