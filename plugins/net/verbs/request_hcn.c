/* SPDX-License-Identifier: MIT */
/* HCN's calls as requests. */
#include "common/util.h"
#include "verbs/request_private.h"

#include <string.h>
#include <strings.h>

static int no_such(struct request *q)
{
	return plug_error_set(&q->err, -ENOSYS, "%s %s: no such request", q->method, q->path);
}

static int network_create(struct request *q)
{
	struct net_network *n = NULL;
	int r = net_hcn_network_check(q->body, &q->err) ?: net_hcn_network_parse(q->body, &n, &q->err);

	if (r == 0)
		r = net_api_network_create(q->api, n, &n, &q->err);
	if (r == 0)
		q->output = net_hcn_network_print(n);
	if (r == 0)
		net_network_free(n);
	return r;
}

static int endpoint_create(struct request *q)
{
	struct net_endpoint *e = NULL;
	int r = net_hcn_endpoint_check(q->body, &q->err) ?: net_hcn_endpoint_parse(q->body, &e, &q->err);

	if (r == 0)
		r = net_api_endpoint_create(q->api, e, NULL, &e, &q->err);
	if (r == 0)
		q->output = net_hcn_endpoint_print(e);
	if (r == 0)
		net_endpoint_free(e);
	return r;
}

static int namespace_create(struct request *q)
{
	struct net_namespace *ns = NULL;
	int r = net_hcn_namespace_parse(q->body, &ns, &q->err);

	if (r == 0)
		r = net_api_namespace_create(q->api, ns, &ns, &q->err);
	if (r == 0)
		q->output = net_hcn_namespace_print(ns);
	if (r == 0)
		net_namespace_free(ns);
	return r;
}

static int balancer_create(struct request *q)
{
	struct net_balancer *b = NULL;
	int r = net_hcn_balancer_parse(q->body, &b, &q->err);

	if (r == 0)
		r = net_api_balancer_create(q->api, b, &b, &q->err);
	if (r == 0)
		q->output = net_hcn_balancer_print(b);
	if (r == 0)
		net_balancer_free(b);
	return r;
}

static int sdn_route_create(struct request *q)
{
	struct net_sdn_route *route = NULL;
	int r = net_hcn_sdn_route_parse(q->body, &route, &q->err);

	if (r == 0)
		r = net_api_sdn_route_create(q->api, route, &route, &q->err);
	if (r == 0)
		q->output = net_hcn_sdn_route_print(route);
	if (r == 0)
		net_sdn_route_free(route);
	return r;
}

static const struct {
	const char *name;
	int (*create)(struct request *q);
	int (*remove)(const struct net_api *api, const char *ref, struct plug_error *err);
} kinds[NET_KIND_COUNT] = {
	[NET_NETWORKS] = { "networks", network_create, net_api_network_remove },
	[NET_ENDPOINTS] = { "endpoints", endpoint_create, net_api_endpoint_remove },
	[NET_NAMESPACES] = { "namespaces", namespace_create, net_api_namespace_remove },
	[NET_BALANCERS] = { "loadbalancers", balancer_create, net_api_balancer_remove },
	[NET_SDN_ROUTES] = { "routes", sdn_route_create, net_api_sdn_route_remove },
};

int net_request_hcn(struct request *q, const char *name)
{
	unsigned kind = 0;
	int r;

	while (kind < NET_KIND_COUNT && strcasecmp(name, kinds[kind].name) != 0)
		kind++;
	if (kind == NET_KIND_COUNT)
		return no_such(q);
	q->kind = (enum net_kind)kind;
	if (q->kind == NET_NAMESPACES && net_request_is(q, "POST") && !strcasecmp(q->action, "sync"))
		return net_api_namespace_sync(q->api, q->id, &q->err);
	if (*q->action)
		return no_such(q);
	if (net_request_is(q, "GET"))
		return *q->id ? net_api_get(q->api, q->kind, q->id, false, &q->output, &q->err)
			      : net_api_query(q->api, q->kind, q->body, false, &q->output, &q->err);
	if (net_request_is(q, "DELETE") && *q->id)
		return kinds[kind].remove(q->api, q->id, &q->err);
	if (!net_request_is(q, "POST"))
		return no_such(q);
	r = net_request_body(q);
	if (r < 0)
		return r;
	return *q->id ? net_api_modify(q->api, q->kind, q->id, q->body, &q->err) : kinds[kind].create(q);
}

uint32_t net_hresult(enum net_kind kind, int code)
{
	static const struct {
		int code;
		uint32_t hresult;
	} map[] = {
		{ -ENOENT, 0x80070490 },     /* element not found */
		{ -EINVAL, 0x80070057 },     /* the parameter is incorrect */
		{ -EEXIST, 0x800700b7 },     /* exists already */
		{ -EBUSY, 0x800700aa },	     /* the resource is in use */
		{ -ENOMEM, 0x8007000e },     /* out of memory */
		{ -EBADMSG, 0x803b001b },    /* HCN_E_INVALID_JSON */
		{ -EOPNOTSUPP, 0x803b0015 }, /* HCN_E_REQUEST_UNSUPPORTED */
		{ -ENOSYS, 0x803b0015 },
	};

	if (code == -ENOENT && kind == NET_NETWORKS)
		return 0x803b0001; /* HCN_E_NETWORK_NOT_FOUND */
	if (code == -ENOENT && kind == NET_ENDPOINTS)
		return 0x803b0002; /* HCN_E_ENDPOINT_NOT_FOUND */
	if (code == -EEXIST && kind == NET_NETWORKS)
		return 0x803b0010; /* HCN_E_NETWORK_ALREADY_EXISTS */
	for (size_t i = 0; i < PLUG_ELEMENTS(map); i++)
		if (map[i].code == code)
			return map[i].hresult;
	return 0x80004005; /* unspecified */
}
