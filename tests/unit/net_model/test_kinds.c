/* SPDX-License-Identifier: MIT */
/* What a kind of network may say of itself; words about it; addresses of others; MAC addresses of ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "box.h"
#include "model/shape.h"
#include "policy/policy.h"

#include <errno.h>

/* A document of HCN, and what net_network_check() says of it. */
static void check(const char *json, const char *cause)
{
	struct json_object *o = json_tokener_parse(json);
	struct net_network *n = NULL;
	struct plug_error err = { 0 };
	int r;

	assert_non_null(o);
	assert_int_equal(net_hcn_network_parse(o, &n, &err), 0);
	r = net_network_check(n, &err);
	assert_string_equal(err.text, cause);
	assert_int_equal(r, *cause ? -EINVAL : 0);
	net_network_free(n);
	json_object_put(o);
}

#define SUBNET(prefix, policies) \
	"\"Ipams\": [{\"Subnets\": [{\"IpAddressPrefix\": \"" prefix "\", \"Policies\": [" policies "]}]}]"
#define VSID(n) "{\"Type\": \"VSID\", \"Settings\": {\"IsolationId\": " n "}}"
#define VLAN(n) "{\"Type\": \"VLAN\", \"Settings\": {\"IsolationId\": " n "}}"
#define CARD "{\"Type\": \"NetAdapterName\", \"Settings\": {\"NetworkAdapterName\": \"eth1\"}}"
#define REMOTE(prefix, id, host, more)                                                                      \
	"{\"Type\": \"RemoteSubnetRoute\", \"Settings\": {\"DestinationPrefix\": \"" prefix                 \
	"\", \"IsolationId\": " id ", \"ProviderAddress\": \"" host "\"" more "}}"
#define ROUTER ", \"DistributedRouterMacAddress\": \"00-15-5D-00-00-01\""
#define OVERLAY(policies)                                                                                  \
	"{\"Name\": \"o\", \"Type\": \"Overlay\", \"Policies\": [" policies "], "                         \
	SUBNET("10.1.0.0/16", VSID("5")) "}"

static void kinds(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"Name\": \"l\", \"Type\": \"L2Bridge\"}", "network l: type L2Bridge needs an adapter" },
		{ "{\"Name\": \"l\", \"Type\": \"L2Bridge\", \"Policies\": [" CARD "]}", "" },
		{ "{\"Name\": \"l\", \"Type\": \"L2Bridge\", \"Policies\": [" CARD "," VLAN("7") "], " SUBNET(
			  "10.1.0.0/16", VLAN("8")) "}",
		  "network l: VLAN 7 beside 8: each needs a network of its own" },
		{ "{\"Name\": \"n\", \"Policies\": [" VLAN("7") "]}",
		  "network n: VLAN 7: type NAT has no adapter for it" },
		{ "{\"Name\": \"n\", \"Ipams\": [{\"Type\": \"DHCP\"}]}",
		  "network n: type NAT: there is no DHCP server to get addresses from" },
		{ "{\"Name\": \"n\", \"Cowherd\": {\"Mtu\": 1279}, " SUBNET("fd00::/64", "") "}",
		  "network n: an MTU of 1279 is too small for IPv6 (1280)" },
		{ "{\"Name\": \"o\", \"Type\": \"Overlay\"}",
		  "network o: type Overlay needs a VSID, the same on all hosts" },
		{ OVERLAY(""), "" },
		{ OVERLAY(REMOTE("10.1.0.0/16", "5", "192.0.2.2", "")), "" },
		{ OVERLAY(REMOTE("10.2.0.0/16", "0", "192.0.2.2", ROUTER)), "" },
		{ OVERLAY(REMOTE("10.1.0.0/16", "6", "192.0.2.2", "")),
		  "network o: RemoteSubnetRoute 10.1.0.0/16: IsolationId: not the network's VSID" },
		{ OVERLAY(REMOTE("10.2.0.0/16", "5", "192.0.2.2", "")),
		  "network o: RemoteSubnetRoute 10.2.0.0/16: DistributedRouterMacAddress: missing" },
		{ OVERLAY(REMOTE("10.1.0.0/16", "5", "192.0.2.2", "") ","
			  REMOTE("10.1.0.0/16", "5", "fd00::2", "")),
		  "network o: RemoteSubnetRoute 10.1.0.0/16: ProviderAddress: not of the others' family" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i][0], cases[i][1]);
}

static void words(void **state)
{
	struct net_network *n = box_network("w", "10.5.0.0/24");
	bool none = false;

	(void)state;
	n->type = NET_TRANSPARENT;
	assert_string_equal(net_word_gateway(n, "10.6.0.1", &none),
			    "is not an address of one of the subnets");
	net_word_gateway_usual(n);
	assert_string_equal(box_text(&n->subnets[0].gateway), "10.5.0.1");
	assert_string_equal(net_word_gateway(n, "10.5.0.9", &none), "is the second one of its subnet");
	assert_null(net_word_gateway(n, "none", &none));
	assert_true(none);
	assert_null(net_word_aux(n, "printer=10.5.0.7"));
	assert_null(net_word_aux(n, "10.5.0.8"));
	assert_string_equal(n->aux[0].name, "printer");
	assert_string_equal(n->aux[1].name, "10.5.0.8");
	assert_non_null(net_word_aux(n, "printer=10.6.0.7"));
	assert_non_null(net_word_aux(n, "printer="));
	assert_string_equal(net_word_peer(n, "192.0.2.2"), "is for overlay only");
	n->type = NET_OVERLAY;
	assert_non_null(net_word_gateway(n, "none", &none));
	assert_null(net_word_peer(n, "192.0.2.2"));
	assert_null(net_word_peer(n, "fd00::2"));
	assert_int_equal(n->policy_count, 2);
	assert_non_null(net_word_peer(n, "0.0.0.0"));
	assert_non_null(net_word_peer(n, "127.0.0.1"));
	assert_non_null(net_word_peer(n, "239.1.1.1"));
	assert_non_null(net_word_peer(n, "ff02::1"));
	assert_non_null(net_word_peer(n, "host2"));
	net_network_free(n);
}

/* What somebody outside has is passed over, and refused by his name; and comes back from the document. */
static void aux(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network("a", "10.5.0.0/29"), *found;
	struct net_addr wanted, a;
	struct plug_error err = { 0 };

	assert_null(net_word_aux(n, "printer=10.5.0.2"));
	assert_null(net_word_aux(n, "10.5.0.4"));
	assert_int_equal(net_network_make(b->store, n, NULL, 0, &err), 0);
	assert_int_equal(net_store_network(b->store, "a", &found, &err), 0);
	assert_int_equal(found->aux_count, 2);
	(void)net_addr_parse("10.5.0.2", &wanted);
	assert_int_equal(net_ipam_take(b->store, found, 0, &wanted, "x", &a, &err), -EADDRINUSE);
	assert_string_equal(err.text, "10.5.0.2: belongs to printer");
	assert_int_equal(net_ipam_reserve(b->store, found, &wanted, "x", &err), -EADDRINUSE);
	for (int i = 0; i < 3; i++) {
		static const char *const given[] = { "10.5.0.3", "10.5.0.5", "10.5.0.6" };

		assert_int_equal(net_ipam_take(b->store, found, 0, NULL, given[i], &a, &err), 0);
		assert_string_equal(box_text(&a), given[i]);
	}
	assert_int_equal(net_ipam_take(b->store, found, 0, NULL, "x", &a, &err), -EADDRNOTAVAIL);
	net_network_free(found);
	net_network_free(n);
}

static void mac_set(struct net_mac_range *range, const char *first, const char *last)
{
	assert_int_equal(net_mac_parse(first, &range->first), 0);
	assert_int_equal(net_mac_parse(last, &range->last), 0);
}

/* Each address of all ranges once, whatever the ids are; then none. */
static void macs(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network("m", "10.5.0.0/24");
	struct plug_error err = { 0 };
	char seen[5][NET_MAC_TEXT];

	n->macs = calloc(2, sizeof(*n->macs));
	n->mac_count = 2;
	mac_set(&n->macs[0], "02:00:00:00:00:fe", "02:00:00:00:01:01");
	mac_set(&n->macs[1], "02:00:00:00:02:00", "02:00:00:00:02:00");
	assert_int_equal(net_network_make(b->store, n, NULL, 0, &err), 0);
	for (int i = 0; i < 6; i++) {
		struct net_endpoint *e = calloc(1, sizeof(*e));
		int r = net_endpoint_make(b->store, n, e, &err);

		assert_int_equal(r, i < 5 ? 0 : -EADDRNOTAVAIL);
		if (i == 5)
			assert_string_equal(err.text, "network m: no MAC address of its ranges is free");
		else
			net_mac_format(&e->mac, ':', seen[i]);
		for (int k = 0; i < 5 && k < i; k++)
			assert_string_not_equal(seen[k], seen[i]);
		net_endpoint_free(e);
	}
	net_network_free(n);
}

static void remotes(void **state)
{
	struct box *b = *state;
	struct net_network *n = box_network("r", "10.5.0.0/24");
	struct net_endpoint *e = calloc(1, sizeof(*e));
	struct net_policy p = { .kind = NET_POLICY_PROVIDER };
	struct plug_error err = { 0 };

	n->type = NET_OVERLAY;
	n->subnets[0].vsid = 5;
	assert_int_equal(net_network_make(b->store, n, NULL, 0, &err), 0);
	e->flags = NET_ENDPOINT_REMOTE;
	e->name = strdup("far");
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), -EINVAL);
	assert_string_equal(err.text, "endpoint far: a remote one needs an address");
	e->ips = calloc(1, sizeof(*e->ips));
	e->ip_count = 1;
	(void)net_addr_parse("10.9.0.2", &e->ips[0]);
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), -EINVAL);
	assert_string_equal(err.text, "endpoint far: a remote one needs a MAC address");
	(void)net_mac_parse("02:00:00:00:00:01", &e->mac);
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), -EINVAL);
	assert_non_null(strstr(err.text, "(policy ProviderAddress)"));
	(void)net_addr_parse("192.0.2.2", &p.address);
	assert_int_equal(net_policies_add(&e->policies, &e->policy_count, &p), 0);
	/* Of a subnet that only its own host has. */
	assert_int_equal(net_endpoint_make(b->store, n, e, &err), 0);
	assert_int_equal(e->ip_count, 1);
	assert_int_equal(net_endpoint_check_here(e, &err), -EINVAL);
	assert_int_equal(net_endpoint_unmake(b->store, e, &err), 0);
	net_endpoint_free(e);
	net_network_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(words),
		cmocka_unit_test_setup_teardown(aux, box_open, box_close),
		cmocka_unit_test_setup_teardown(macs, box_open, box_close),
		cmocka_unit_test_setup_teardown(remotes, box_open, box_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
