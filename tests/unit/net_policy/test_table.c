/* SPDX-License-Identifier: MIT */
/* The table in the kernel: changed whole, put back after others, never touching theirs. */
#include "model/json.h"
#include "policy/policy.h"
#include "policy/table.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct net_table *table;
static struct plug_error err;

static struct net_subnet subnet;
static struct net_network network = { .id = "11111111-0000-4000-8000-000000000000",
				      .name = (char *)"one",
				      .bridge = "cow1",
				      .type = NET_NAT,
				      .subnets = &subnet,
				      .subnet_count = 1 };

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.text);                                       \
	} while (0)

/* What nft says to that; the caller's. */
static char *nft(const char *text)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	char *output;

	assert_non_null(ctx);
	assert_int_equal(nft_ctx_buffer_output(ctx), 0);
	if (nft_run_cmd_from_buffer(ctx, text))
		fail_msg("%s", text);
	output = strdup(nft_ctx_get_output_buffer(ctx));
	nft_ctx_free(ctx);
	return output;
}

static void nft_run(const char *text)
{
	free(nft(text));
}

static bool listed(const char *command, const char *what)
{
	char *text = nft(command);
	bool found = strstr(text, what);

	free(text);
	return found;
}

/* An endpoint 10.1.0.NUMBER with port 8000 + NUMBER and an access list. */
static int endpoint_put(unsigned number)
{
	struct net_addr ip;
	char address[32], text[400];
	struct net_endpoint e = { .name = (char *)"end", .ips = &ip, .ip_count = 1 };
	struct json_object *list;
	int r;

	(void)snprintf(e.id, sizeof(e.id), "aaaaaaaa-0000-4000-8000-%012u", number);
	(void)snprintf(address, sizeof(address), "10.1.0.%u", number);
	assert_int_equal(net_addr_parse(address, &ip), 0);
	(void)snprintf(
		text, sizeof(text),
		"[{\"Type\":\"PortMapping\",\"Settings\":{\"InternalPort\":80,\"ExternalPort\":%u}}"
		","
		"{\"Type\":\"ACL\",\"Settings\":{\"Action\":\"Block\",\"Direction\":\"In\"}}]",
		8000 + number);
	OK(plug_json_parse(text, strlen(text), "policies", &list, &err));
	OK(net_policies_parse(list, NET_POLICY_HCN, NET_POLICY_OF_ENDPOINT, &e.policies,
			      &e.policy_count, &err));
	json_object_put(list);
	r = net_table_put_endpoint(table, &network, &e, &err);
	net_policies_free(e.policies, e.policy_count);
	return r;
}

static const char *endpoint_id(unsigned number)
{
	static char id[40];

	(void)snprintf(id, sizeof(id), "aaaaaaaa-0000-4000-8000-%012u", number);
	return id;
}

static const char foreign[] = "table ip filter {\n"
			      "	chain FORWARD {\n"
			      "		type filter hook forward priority filter; policy accept;\n"
			      "		ip daddr 10.1.0.2 counter drop\n"
			      "	}\n"
			      "}\n"
			      "table inet cowherd-other {\n"
			      "	set bridges { type ifname; elements = { \"cow1\" }; }\n"
			      "}\n";

static void others(void **state)
{
	char *before, *after;

	(void)state;
	nft_run(foreign);
	before = nft("list ruleset");
	OK(net_table_put_network(table, &network, &err));
	OK(endpoint_put(2));
	OK(net_table_rebuild(table, &err));
	OK(net_table_remove(table, endpoint_id(2), &err));
	OK(net_table_drop(table, &err));
	OK(net_table_drop(table, &err)); /* gone already */
	after = nft("list ruleset");
	assert_string_equal(before, after);
	free(before);
	free(after);
	nft_run("flush ruleset");
}

static void nothing_left(void **state)
{
	char *before, *after;

	(void)state;
	OK(net_table_put_network(table, &network, &err));
	before = nft("list table inet cowherd-test");
	for (unsigned i = 2; i < 40; i++)
		OK(endpoint_put(i));
	OK(endpoint_put(2)); /* known already */
	for (unsigned i = 2; i < 40; i++)
		OK(net_table_remove(table, endpoint_id(i), &err));
	OK(net_table_remove(table, endpoint_id(2), &err));
	after = nft("list table inet cowherd-test");
	/* But for the mark of the last transaction. */
	assert_non_null(strstr(before, "set bridges"));
	assert_string_equal(strstr(before, "set bridges"), strstr(after, "set bridges"));
	free(before);
	free(after);
	OK(net_table_drop(table, &err));
}

/* Two want the same port: the second is refused, and the first stays as it is. */
static void refused(void **state)
{
	struct net_addr ip;
	struct net_policy port = {
		.kind = NET_POLICY_PORT,
		.port = { .protocol = 6, .internal = 81, .external = 8002, .count = 1 }
	};
	struct net_endpoint e = { .id = "bbbbbbbb-0000-4000-8000-000000000000",
				  .name = (char *)"second",
				  .ips = &ip,
				  .ip_count = 1,
				  .policies = &port,
				  .policy_count = 1 };

	(void)state;
	assert_int_equal(net_addr_parse("10.1.0.3", &ip), 0);
	OK(net_table_put_network(table, &network, &err));
	OK(endpoint_put(2));
	assert_int_equal(net_table_put_endpoint(table, &network, &e, &err), -EIO);
	assert_non_null(strstr(err.text, "table cowherd-test: "));
	assert_true(listed("list map inet cowherd-test port4", "tcp . 8002 : 10.1.0.2 . 80"));
	OK(net_table_rebuild(table, &err));
	/* What cannot be: named, and nothing is done. */
	port.port.external = 0;
	assert_int_equal(net_table_put_endpoint(table, &network, &e, &err), -EINVAL);
	assert_string_equal(err.text, "endpoint second: port 81: no port of the host was chosen");
	port.port.external = 81;
	port.port.host.family = AF_INET6;
	assert_int_equal(net_table_put_endpoint(table, &network, &e, &err), -EINVAL);
	assert_string_equal(err.text, "endpoint second: port 81: it has no IPv6 address");
	network.type = NET_INTERNAL;
	assert_int_equal(net_table_put_endpoint(table, &network, &e, &err), -EINVAL);
	assert_string_equal(err.text,
			    "network one: no published ports: nothing leaves it or comes in");
	network.bridge[0] = 0;
	assert_int_equal(net_table_put_endpoint(table, &network, &e, &err), -EINVAL);
	assert_string_equal(err.text, "network one: published ports need a bridge of this host");
	(void)strcpy(network.bridge, "cow1");
	network.type = NET_NAT;
	OK(net_table_drop(table, &err));
}

static bool lost(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && net_table_lost(table, fd);
}

static void watched(void **state)
{
	static const char *const harm[] = {
		"flush ruleset",
		"delete table inet cowherd-test",
		"flush table inet cowherd-test",
		"flush chain inet cowherd-test forward",
		"delete element inet cowherd-test bridges { \"cow1\" }",
		"flush map inet cowherd-test port4",
		"insert rule inet cowherd-test forward drop",
		"add chain inet cowherd-test theirs",
		"add element inet cowherd-test closed { \"cow1\" }",
		"add set inet cowherd-test theirs { type mark; }",
	};
	int fd;

	(void)state;
	OK(net_table_watch(table, &fd, &err));
	OK(net_table_put_network(table, &network, &err));
	OK(endpoint_put(2));
	OK(endpoint_put(3));
	OK(net_table_remove(table, endpoint_id(3), &err));
	OK(net_table_rebuild(table, &err));
	assert_false(lost(fd)); /* all of that was ours */
	nft_run(foreign);
	nft_run("delete table ip filter");
	assert_false(lost(fd)); /* none of that was */
	for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
		nft_run(harm[i]);
		if (!lost(fd))
			fail_msg("%s: not seen", harm[i]);
		OK(net_table_rebuild(table, &err));
		assert_false(lost(fd));
		assert_true(listed("list table inet cowherd-test",
				   "ct state established,related goto known"));
		assert_true(
			listed("list map inet cowherd-test port4", "tcp . 8002 : 10.1.0.2 . 80"));
		assert_true(listed("list set inet cowherd-test bridges", "\"cow1\""));
		assert_false(listed("list table inet cowherd-test", "theirs"));
	}
	assert_false(listed("list set inet cowherd-test closed", "cow1"));
	/* A change that meets the harm before the watch has told of it. */
	nft_run("flush ruleset");
	OK(endpoint_put(4));
	assert_true(listed("list map inet cowherd-test port4", "tcp . 8002 : 10.1.0.2 . 80"));
	nft_run("flush ruleset");
	OK(net_table_remove(table, endpoint_id(2), &err));
	assert_true(listed("list map inet cowherd-test port4", "tcp . 8004 : 10.1.0.4 . 80"));
	assert_false(listed("list map inet cowherd-test port4", "8002"));
	OK(net_table_drop(table, &err));
	(void)close(fd);
}

static void begun(void **state)
{
	(void)state;
	/* What an earlier supervisor has left is replaced. */
	nft_run("table inet cowherd-test { chain old { accept; }; set old { type mark; }; }");
	net_table_begin(table);
	OK(net_table_put_network(table, &network, &err));
	OK(endpoint_put(2));
	assert_true(listed("list ruleset", "chain old"));
	OK(net_table_commit(table, &err));
	assert_false(listed("list ruleset", "chain old"));
	assert_true(listed("list map inet cowherd-test port4", "tcp . 8002 : 10.1.0.2 . 80"));
	OK(net_table_drop(table, &err));
}

static void obstacles(void **state)
{
	char *text = NULL;

	(void)state;
	OK(net_table_obstacles(table, &text, &err));
	assert_null(text);
	nft_run("table ip filter { chain FORWARD { type filter hook forward priority filter; "
		"policy drop; }; }");
	OK(net_table_obstacles(table, &text, &err));
	assert_non_null(text);
	assert_non_null(strstr(text, "chain FORWARD of table ip filter has the policy drop"));
	free(text);
	nft_run("flush ruleset");
	assert_int_equal(net_table_open("x;y", &table, &err), -EINVAL);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(net_addr_parse_prefix("10.1.0.0/24", &subnet.prefix), 0);
	return unshare(CLONE_NEWNET) < 0 || net_table_open("cowherd-test", &table, &err) < 0 ? -1 :
											       0;
}

static int teardown(void **state)
{
	(void)state;
	net_table_close(table);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others),  cmocka_unit_test(nothing_left),
		cmocka_unit_test(refused), cmocka_unit_test(watched),
		cmocka_unit_test(begun),   cmocka_unit_test(obstacles),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
