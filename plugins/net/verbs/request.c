/* SPDX-License-Identifier: MIT */
/* The paths, and HNS's side of them. */
#include "common/util.h"
#include "verbs/request_private.h"

#include <string.h>
#include <strings.h>

/* HNS's version, by which clients tell what it can: 15.0 knows network access lists. */
#define HNS_MAJOR 15
#define HNS_MINOR 0

static int no_such(struct request *q)
{
	return plug_error_set(&q->err, -ENOSYS, "%s %s: no such request", q->method, q->path);
}

bool net_request_is(const struct request *q, const char *method)
{
	return !strcasecmp(q->method, method);
}

int net_request_body(struct request *q)
{
	if (!q->body)
		return plug_error_set(&q->err, -EINVAL, "%s %s: a body is missing", q->method, q->path);
	return 0;
}

static int get(struct request *q)
{
	return *q->id ? net_api_get(q->api, q->kind, q->id, true, &q->output, &q->err)
		      : net_api_query(q->api, q->kind, NULL, true, &q->output, &q->err);
}

/* What was done is done: memory that is missing now costs the answer its object, and is no failure. */
static int show(struct request *q, const char *id)
{
	if (net_api_get(q->api, q->kind, id, true, &q->output, NULL) < 0)
		q->output = NULL;
	return 0;
}

static int networks(struct request *q)
{
	struct net_network *n = NULL;
	int r;

	if (net_request_is(q, "GET"))
		return get(q);
	if (net_request_is(q, "DELETE") && *q->id)
		return net_api_network_remove(q->api, q->id, &q->err);
	if (!net_request_is(q, "POST") || *q->id)
		return no_such(q);
	r = net_request_body(q) ?: net_hns_network_parse(q->body, &n, &q->err);
	if (r == 0)
		r = net_api_network_create(q->api, n, &n, &q->err);
	if (r < 0)
		return r;
	q->output = net_hns_network_print(n);
	net_network_free(n);
	return 0;
}

static int detach(struct request *q)
{
	struct net_endpoint *e = NULL;
	int r = net_store_endpoint(q->api->store, q->id, &e, &q->err);

	if (r == 0 && !*e->namespace_id)
		r = plug_error_set(&q->err, -ENOTCONN, "endpoint %s: is not in a namespace", q->id);
	if (r == 0)
		r = net_api_namespace_drop(q->api, e->namespace_id, false, e->id, &q->err);
	net_endpoint_free(e);
	return r;
}

/* Container, VirtualMachine, Host. */
static int system_type(struct request *q, bool *ret_host)
{
	const char *system = "Container";
	int r = net_json_string(q->body, "SystemType", &system, &q->err);

	if (r < 0)
		return r;
	*ret_host = !strcasecmp(system, "Host");
	if (!strcasecmp(system, "VirtualMachine"))
		return plug_error_set(&q->err, -EOPNOTSUPP,
				      "endpoint %s: there is no hosting system with a card for it", q->id);
	if (!*ret_host && strcasecmp(system, "Container") != 0)
		return plug_error_set(&q->err, -EINVAL,
				      "SystemType: \"%.64s\" is not Container, VirtualMachine or Host",
				      system);
	return 0;
}

/* {"ContainerId", "SystemType", "CompartmentId", "VirtualNicName"}; compartment 1 is the host's. */
static int attach(struct request *q)
{
	const char *container = NULL;
	uint64_t compartment = 0;
	char id[NET_ID_SIZE];
	bool host = false;
	int r = net_json_string(q->body, "ContainerId", &container, &q->err);

	if (r == 0)
		r = net_json_number(q->body, "CompartmentId", UINT32_MAX, &compartment, &q->err);
	if (r == 0)
		r = system_type(q, &host);
	if (r < 0)
		return r;
	if (host || (!container && compartment == 1))
		r = net_api_namespace_host(q->api, id, &q->err);
	else
		r = net_api_namespace_find(q->api, container, (uint32_t)compartment, id, &q->err);
	return r ?: net_api_namespace_add(q->api, id, false, q->id, &q->err);
}

static int endpoint_create(struct request *q)
{
	const char *network = NULL;
	struct net_endpoint *e = NULL;
	int r = net_request_body(q) ?: net_hns_endpoint_parse(q->body, &e, &q->err);

	if (r == 0 && !*e->network) {
		r = net_json_string(q->body, "VirtualNetworkName", &network, &q->err);
		if (r < 0)
			net_endpoint_free(plug_take_ptr(e));
	}
	if (r == 0)
		r = net_api_endpoint_create(q->api, e, network, &e, &q->err);
	if (r < 0)
		return r;
	r = show(q, e->id);
	net_endpoint_free(e);
	return r;
}

static int endpoints(struct request *q)
{
	struct net_endpoint *e = NULL;
	int r;

	if (net_request_is(q, "POST") && !strcasecmp(q->action, "attach"))
		return attach(q);
	if (net_request_is(q, "POST") && !strcasecmp(q->action, "detach"))
		return detach(q);
	if (*q->action)
		return no_such(q);
	if (net_request_is(q, "GET"))
		return get(q);
	if (net_request_is(q, "DELETE") && *q->id)
		return net_api_endpoint_remove(q->api, q->id, &q->err);
	if (!net_request_is(q, "POST"))
		return no_such(q);
	if (!*q->id)
		return endpoint_create(q);
	r = net_request_body(q) ?: net_hns_endpoint_parse(q->body, &e, &q->err);
	if (r == 0)
		r = net_api_endpoint_update(q->api, q->id, e, &q->err);
	return r ?: show(q, q->id);
}

static int endpoint_stats(struct request *q)
{
	struct json_object *o;
	struct net_stats s = { 0 };
	int r;

	if (!net_request_is(q, "GET") || !*q->id)
		return no_such(q);
	r = net_api_endpoint_stats(q->api, q->id, &s, &q->err);
	if (r < 0)
		return r;
	o = json_object_new_object();
	net_json_add(&o, "BytesReceived", json_object_new_uint64(s.rx_bytes));
	net_json_add(&o, "BytesSent", json_object_new_uint64(s.tx_bytes));
	net_json_add(&o, "DroppedPacketsIncoming", json_object_new_uint64(s.rx_dropped));
	net_json_add(&o, "DroppedPacketsOutgoing", json_object_new_uint64(s.tx_dropped));
	net_json_add_string(&o, "EndpointID", q->id);
	net_json_add(&o, "PacketsReceived", json_object_new_uint64(s.rx_packets));
	net_json_add(&o, "PacketsSent", json_object_new_uint64(s.tx_packets));
	q->output = o;
	return 0;
}

/* {"Type": "Endpoint", "Data": {"Id": …}} */
static int resource(struct request *q, bool add)
{
	struct json_object *data = NULL;
	const char *type = "", *id = "";
	bool container;
	int r = net_request_body(q) ?: net_json_string(q->body, "Type", &type, &q->err);

	if (r == 0)
		r = net_json_object(q->body, "Data", &data, &q->err) ?:
		    net_json_string(data, "Id", &id, &q->err);
	container = !strcasecmp(type, "Container");
	if (r == 0 && !container && strcasecmp(type, "Endpoint") != 0)
		r = plug_error_set(&q->err, -EINVAL, "Type: \"%.64s\" is not Container or Endpoint", type);
	if (r == 0 && !*id)
		r = plug_error_set(&q->err, -EINVAL, "Data: Id: missing");
	if (r < 0)
		return r;
	return add ? net_api_namespace_add(q->api, q->id, container, id, &q->err)
		   : net_api_namespace_drop(q->api, q->id, container, id, &q->err);
}

static int namespaces(struct request *q)
{
	bool post = net_request_is(q, "POST");
	struct net_namespace *ns = NULL;
	int r;

	if (post && !strcasecmp(q->action, "addresource"))
		return resource(q, true);
	if (post && !strcasecmp(q->action, "removeresource"))
		return resource(q, false);
	if (*q->action)
		return no_such(q);
	if (net_request_is(q, "GET"))
		return get(q);
	if (net_request_is(q, "DELETE") && *q->id)
		return net_api_namespace_remove(q->api, q->id, &q->err);
	if (!post || *q->id)
		return no_such(q);
	r = net_request_body(q) ?: net_hns_namespace_parse(q->body, &ns, &q->err);
	if (r == 0)
		r = net_api_namespace_create(q->api, ns, &ns, &q->err);
	if (r < 0)
		return r;
	q->output = net_hns_namespace_print(ns);
	net_namespace_free(ns);
	return 0;
}

static int lists_get(struct request *q)
{
	struct json_object *routes = NULL;
	int r;

	if (*q->id) {
		r = net_api_get(q->api, NET_BALANCERS, q->id, true, &q->output, &q->err);
		return r == -ENOENT ? net_api_get(q->api, NET_SDN_ROUTES, q->id, true, &q->output, &q->err)
				    : r;
	}
	r = net_api_query(q->api, NET_BALANCERS, NULL, true, &q->output, &q->err) ?:
	    net_api_query(q->api, NET_SDN_ROUTES, NULL, true, &routes, &q->err);
	for (size_t i = 0; r == 0 && i < plug_json_length(routes); i++)
		net_json_append(&q->output, json_object_get(json_object_array_get_idx(routes, i)));
	json_object_put(routes);
	return r;
}

static int list_create(struct request *q)
{
	struct net_balancer *b = NULL;
	struct net_sdn_route *route = NULL;
	int r = net_request_body(q) ?: net_hns_list_parse(q->body, &b, &route, &q->err);

	if (r == 0 && b)
		r = net_api_balancer_create(q->api, b, &b, &q->err);
	else if (r == 0)
		r = net_api_sdn_route_create(q->api, route, &route, &q->err);
	if (r < 0)
		return r;
	q->output = b ? net_hns_balancer_print(b) : net_hns_sdn_route_print(route);
	net_balancer_free(b);
	net_sdn_route_free(route);
	return 0;
}

static int policylists(struct request *q)
{
	int r;

	if (net_request_is(q, "GET"))
		return lists_get(q);
	if (net_request_is(q, "POST") && !*q->id)
		return list_create(q);
	if (!net_request_is(q, "DELETE") || !*q->id)
		return no_such(q);
	r = net_api_balancer_remove(q->api, q->id, &q->err);
	return r == -ENOENT ? net_api_sdn_route_remove(q->api, q->id, &q->err) : r;
}

static int globals(struct request *q)
{
	if (!net_request_is(q, "GET") || strcasecmp(q->id, "version") != 0)
		return no_such(q);
	q->output = json_object_new_object();
	net_json_add(&q->output, "Major", json_object_new_int(HNS_MAJOR));
	net_json_add(&q->output, "Minor", json_object_new_int(HNS_MINOR));
	return 0;
}

static const struct path {
	const char *name;
	enum net_kind kind;
	int (*handle)(struct request *q);
} paths[] = {
	{ "networks", NET_NETWORKS, networks },
	{ "endpoints", NET_ENDPOINTS, endpoints },
	{ "endpointstats", NET_ENDPOINTS, endpoint_stats },
	{ "namespaces", NET_NAMESPACES, namespaces },
	{ "policylists", NET_BALANCERS, policylists },
	{ "globals", NET_KIND_COUNT, globals },
};

/* The next part of a path; "": there is none.  -ENAMETOOLONG. */
static int part_next(const char **path, char ret[NET_NAME_MAX + 1])
{
	size_t n;

	*path += strspn(*path, "/");
	n = strcspn(*path, "/");
	if (n > NET_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(ret, *path, n);
	ret[n] = 0;
	*path += n;
	return 0;
}

static int dispatch(struct request *q)
{
	char first[NET_NAME_MAX + 1];
	const char *rest = q->path;
	int r = part_next(&rest, first);

	if (r == 0 && !strcasecmp(first, "v2")) {
		q->hcn = true;
		r = part_next(&rest, first);
	}
	if (r == 0)
		r = part_next(&rest, q->id) ?: part_next(&rest, q->action);
	if (r < 0 || rest[strspn(rest, "/")])
		return no_such(q);
	if (q->hcn)
		return net_request_hcn(q, first);
	for (size_t i = 0; i < PLUG_ELEMENTS(paths); i++)
		if (!strcasecmp(first, paths[i].name)) {
			q->kind = paths[i].kind;
			return paths[i].handle(q);
		}
	return no_such(q);
}

static struct json_object *answer(struct request *q, int r)
{
	struct json_object *o = json_object_new_object();

	net_json_add(&o, "Success", json_object_new_boolean(r == 0));
	if (r == 0) {
		if (q->output)
			net_json_add(&o, "Output", plug_take_ptr(q->output));
		return o;
	}
	/* By this text clients of HNS know that something is not there. */
	net_json_add(&o, "Error",
		     json_object_new_string(r == -ENOENT && !q->hcn ? "Element not found."
					    : q->err.code	     ? q->err.text
								     : strerror(-r)));
	if (q->hcn)
		net_json_add(&o, "ErrorCode", json_object_new_int64(net_hresult(q->kind, r)));
	return o;
}

bool net_request(const struct net_api *api, const char *method, const char *path, const char *body,
		 struct json_object **ret)
{
	struct request q = { .api = api, .method = method, .path = path };
	int r = body && *body ? plug_json_parse(body, strlen(body), "body", &q.body, &q.err) : 0;

	if (r == 0 && q.body && !json_object_is_type(q.body, json_type_object))
		r = plug_error_set(&q.err, -EINVAL, "body: not an object");
	if (r == 0)
		r = dispatch(&q);
	*ret = answer(&q, r);
	json_object_put(q.body);
	json_object_put(q.output);
	return r == 0;
}
