/* SPDX-License-Identifier: MIT */
/*
 * Objects of both shapes: the first byte says which.  What was read is printed as HCN has it, read again, and
 * printed the same; and can be shown as HNS shows it.
 */
#include "model/shape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both are put. */
static void same(struct json_object *first, struct json_object *second)
{
	if (!first || !second || !json_object_equal(first, second))
		abort();
	json_object_put(first);
	json_object_put(second);
}

/* again() has to read what print() has printed. */
#define ROUND(type, print, parse, show, free_one)           \
	static void round_##type(struct type *one)          \
	{                                                   \
		struct json_object *first = print(one);     \
		struct type *again = NULL;                  \
                                                            \
		if (!first || parse(first, &again, NULL) < 0) \
			abort();                            \
		json_object_put(show);                      \
		same(first, print(again));                  \
		free_one(one);                              \
		free_one(again);                            \
	}

ROUND(net_network, net_hcn_network_print, net_hcn_network_parse, net_hns_network_print(one),
      net_network_free)
ROUND(net_endpoint, net_hcn_endpoint_print, net_hcn_endpoint_parse, net_hns_endpoint_print(one, "n"),
      net_endpoint_free)
ROUND(net_namespace, net_hcn_namespace_print, net_hcn_namespace_parse, net_hns_namespace_print(one),
      net_namespace_free)
ROUND(net_balancer, net_hcn_balancer_print, net_hcn_balancer_parse, net_hns_balancer_print(one),
      net_balancer_free)
ROUND(net_sdn_route, net_hcn_sdn_route_print, net_hcn_sdn_route_parse, net_hns_sdn_route_print(one),
      net_sdn_route_free)

static void networks(struct json_object *o, bool hns)
{
	struct net_network *n = NULL;

	(void)net_hcn_network_check(o, NULL);
	if ((hns ? net_hns_network_parse : net_hcn_network_parse)(o, &n, NULL) == 0)
		round_net_network(n);
	/* The configuration takes these shapes and one more. */
	n = NULL;
	if (net_configured_network_parse(o, &n, NULL) == 0)
		round_net_network(n);
}

static void endpoints(struct json_object *o, bool hns)
{
	struct net_endpoint *e = NULL;

	(void)net_hcn_endpoint_check(o, NULL);
	if ((hns ? net_hns_endpoint_parse : net_hcn_endpoint_parse)(o, &e, NULL) == 0)
		round_net_endpoint(e);
}

static void namespaces(struct json_object *o, bool hns)
{
	struct net_namespace *ns = NULL;

	if ((hns ? net_hns_namespace_parse : net_hcn_namespace_parse)(o, &ns, NULL) == 0)
		round_net_namespace(ns);
}

static void lists(struct json_object *o, bool hns)
{
	struct net_balancer *b = NULL, *hcn = NULL;
	struct net_sdn_route *route = NULL, *hcn_route = NULL;

	if (hns && net_hns_list_parse(o, &b, &route, NULL) < 0)
		return;
	if (!hns && net_hcn_balancer_parse(o, &hcn, NULL) == 0)
		b = hcn;
	if (!hns && net_hcn_sdn_route_parse(o, &hcn_route, NULL) == 0)
		route = hcn_route;
	if (b)
		round_net_balancer(b);
	if (route)
		round_net_sdn_route(route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *o = NULL;

	if (size < 2 || plug_json_parse((const char *)data + 1, size - 1, "object", &o, NULL) < 0)
		return 0;
	switch ((data[0] >> 1) & 3) {
	case 0:
		networks(o, data[0] & 1);
		break;
	case 1:
		endpoints(o, data[0] & 1);
		break;
	case 2:
		namespaces(o, data[0] & 1);
		break;
	default:
		lists(o, data[0] & 1);
		break;
	}
	json_object_put(o);
	return 0;
}
