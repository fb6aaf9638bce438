/* SPDX-License-Identifier: MIT */
/* Requests of HNS and HCN, against the kernel of kernel.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/net_model/box.h"
#include "tests/unit/net_verbs/kernel.h"
#include "verbs/request.h"

#include <errno.h>

static int box_setup(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	memset(plugged_id, 0, sizeof(plugged_id));
	return box_open(state);
}

/* ---- asking */

static struct json_object *ask(struct box *b, bool good, const char *method, const char *path,
			       const char *body)
{
	const struct net_api api = { .store = b->store, .effects = &effects };
	struct json_object *answer = NULL;
	bool success = net_request(&api, method, path, body, &answer);

	if (success != good)
		fail_msg("%s %s %s: %s", method, path, body ? body : "",
			 json_object_to_json_string(answer));
	assert_int_equal(json_object_get_boolean(net_json_get(answer, "Success")), good);
	return answer;
}

static void refused(struct box *b, const char *method, const char *path, const char *body,
		    const char *error)
{
	struct json_object *answer = ask(b, false, method, path, body);
	const char *text = "";

	assert_int_equal(net_json_string(answer, "Error", &text, NULL), 0);
	assert_string_equal(text, error);
	assert_null(net_json_get(answer, "Output"));
	json_object_put(answer);
}

static void done(struct box *b, const char *method, const char *path, const char *body)
{
	json_object_put(ask(b, true, method, path, body));
}

/* A member of what comes out, kept until the next call. */
static const char *output(struct box *b, const char *method, const char *path, const char *body,
			  const char *key)
{
	static char text[256];
	struct json_object *answer = ask(b, true, method, path, body);
	struct json_object *v = net_json_get(net_json_get(answer, "Output"), key);

	assert_non_null(v);
	(void)snprintf(text, sizeof(text), "%s",
		       json_object_is_type(v, json_type_string)
			       ? json_object_get_string(v)
			       : json_object_to_json_string_ext(v, JSON_C_TO_STRING_SPACED |
									   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(answer);
	return text;
}

static size_t outputs(struct box *b, const char *path, const char *body)
{
	struct json_object *answer = ask(b, true, "GET", path, body);
	size_t n = plug_json_length(net_json_get(answer, "Output"));

	json_object_put(answer);
	return n;
}

struct ids {
	char network[NET_ID_SIZE], endpoint[NET_ID_SIZE], other[NET_ID_SIZE], ns[NET_ID_SIZE];
	char path[300], body[600];
};

static void copy(char to[NET_ID_SIZE], const char *id)
{
	char parsed[NET_ID_SIZE];

	assert_int_equal(net_id_parse(id, parsed), 0);
	memcpy(to, parsed, NET_ID_SIZE);
}

/* A network with two endpoints, and a namespace. */
static void make(struct box *b, struct ids *i)
{
	copy(i->network, output(b, "POST", "/networks/",
				"{\"Name\":\"web\",\"Type\":\"NAT\",\"Subnets\":[{\"AddressPrefix\":"
				"\"10.1.0.0/24\"}]}", "ID"));
	(void)snprintf(i->body, sizeof(i->body), "{\"Name\":\"e\",\"VirtualNetwork\":\"%s\"}", i->network);
	copy(i->endpoint, output(b, "POST", "/endpoints/", i->body, "ID"));
	copy(i->other, output(b, "POST", "/endpoints/",
			      "{\"Name\":\"f\",\"VirtualNetworkName\":\"web\",\"IPAddress\":\"10.1.0.9\"}",
				"ID"));
	copy(i->ns, output(b, "POST", "/namespaces/", "{\"IsDefault\":false}", "ID"));
}

static const char *fmt(struct ids *i, const char *format, const char *id)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(i->path, sizeof(i->path), format, id);
#pragma GCC diagnostic pop
	return i->path;
}

static const char *resource(struct ids *i, const char *type, const char *id)
{
	(void)snprintf(i->body, sizeof(i->body), "{\"Type\":\"%s\",\"Data\":{\"Id\":\"%s\"}}", type, id);
	return i->body;
}

/* ---- HNS */

static void hns(void **state)
{
	struct box *b = *state;
	struct ids i;

	assert_string_equal(output(b, "GET", "/globals/version", NULL, "Major"), "15");
	make(b, &i);
	assert_int_equal(outputs(b, "/networks/", NULL), 1);
	assert_int_equal(outputs(b, "/endpoints", ""), 2);
	assert_string_equal(output(b, "GET", fmt(&i, "/endpoints/%s", i.other), NULL, "IPAddress"),
		"10.1.0.9");
	assert_string_equal(output(b, "GET", fmt(&i, "/endpoints/%s", i.other), NULL, "PrefixLength"), "24");
	assert_string_equal(output(b, "GET", fmt(&i, "/endpoints/%s", i.other), NULL, "VirtualNetworkName"),
			    "web");
	assert_string_equal(output(b, "GET", fmt(&i, "/endpoints/%s", i.endpoint), NULL, "GatewayAddress"),
			    "10.1.0.1");
	/* Two in one namespace: eth0 and eth1. */
	done(b, "POST", fmt(&i, "/namespaces/%s/addresource", i.ns), resource(&i, "Endpoint", i.endpoint));
	done(b, "POST", fmt(&i, "/namespaces/%s/addresource", i.ns), resource(&i, "Endpoint", i.other));
	assert_int_equal(kernel.plugged, 2);
	(void)snprintf(i.body, sizeof(i.body), "{ \"ID\": \"%s\" }", i.ns);
	assert_string_equal(output(b, "GET", fmt(&i, "/endpoints/%s", i.endpoint), NULL, "Namespace"),
		i.body);
	assert_string_equal(output(b, "GET", fmt(&i, "/endpointstats/%s", i.endpoint), NULL, "BytesSent"),
		"2");
	done(b, "POST", fmt(&i, "/namespaces/%s/removeresource", i.ns), resource(&i, "Endpoint", i.endpoint));
	assert_int_equal(kernel.plugged, 1);
	/* With its namespace the other one is unplugged. */
	done(b, "DELETE", fmt(&i, "/namespaces/%s", i.ns), NULL);
	assert_int_equal(kernel.plugged, 0);
	assert_int_equal(kernel.namespaces, 0);
	done(b, "DELETE", fmt(&i, "/endpoints/%s", i.endpoint), NULL);
	done(b, "DELETE", fmt(&i, "/endpoints/%s", i.other), NULL);
	done(b, "DELETE", fmt(&i, "/networks/%s", i.network), NULL);
	assert_int_equal(outputs(b, "/networks/", NULL), 0);
}

static void hns_errors(void **state)
{
	struct box *b = *state;
	struct ids i;

	make(b, &i);
	refused(b, "GET", "/networks/11111111-2222-4333-8444-555555555555", NULL, "Element not found.");
	refused(b, "DELETE", "/endpoints/none", NULL, "Element not found.");
	refused(b, "POST", "/networks/", "{", "body: not JSON: cut off, or more than one document");
	refused(b, "POST", "/networks/", "[]", "body: not an object");
	refused(b, "POST", "/networks/", NULL, "POST /networks/: a body is missing");
	refused(b, "POST", "/networks/", "{\"Name\":\"web\"}", "network web: exists");
	refused(b, "PATCH", "/networks/", "{}", "PATCH /networks/: no such request");
	refused(b, "GET", "/cards/", NULL, "GET /cards/: no such request");
	refused(b, "GET", "/networks/a/b/c", NULL, "GET /networks/a/b/c: no such request");
	refused(b, "POST", "/endpoints/", "{}", "endpoint: HostComputeNetwork: missing");
	refused(b, "DELETE", fmt(&i, "/networks/%s", i.network), NULL, "network web: is used by 2 endpoints");
	refused(b, "GET", fmt(&i, "/endpointstats/%s", i.endpoint), NULL,
		"endpoint e: is not in a namespace");
	(void)snprintf(i.body, sizeof(i.body), "endpoint %s: there is no hosting system with a card for it",
		       i.endpoint);
	refused(b, "POST", fmt(&i, "/endpoints/%s/attach", i.endpoint),
		"{\"SystemType\":\"VirtualMachine\"}", i.body);
}

static void attach(void **state)
{
	struct box *b = *state;
	struct ids i;

	make(b, &i);
	refused(b, "POST", fmt(&i, "/endpoints/%s/attach", i.endpoint), "{\"ContainerId\":\"c1\"}",
		"Element not found.");
	done(b, "POST", fmt(&i, "/namespaces/%s/addresource", i.ns), resource(&i, "Container", "c1"));
	done(b, "POST", fmt(&i, "/endpoints/%s/attach", i.endpoint), "{\"ContainerId\":\"c1\"}");
	assert_int_equal(kernel.plugged, 1);
	(void)snprintf(i.body, sizeof(i.body), "endpoint e: is in namespace %s already", i.ns);
	refused(b, "POST", fmt(&i, "/endpoints/%s/attach", i.endpoint), "{\"CompartmentId\":2}", i.body);
	(void)snprintf(i.body, sizeof(i.body), "namespace %s: container c1 is in it", i.ns);
	refused(b, "DELETE", fmt(&i, "/namespaces/%s", i.ns), NULL, i.body);
	done(b, "POST", fmt(&i, "/endpoints/%s/detach", i.endpoint), NULL);
	assert_int_equal(kernel.plugged, 0);
	(void)snprintf(i.body, sizeof(i.body), "endpoint %s: is not in a namespace", i.endpoint);
	refused(b, "POST", fmt(&i, "/endpoints/%s/detach", i.endpoint), NULL, i.body);
	/* An endpoint that is removed while it is plugged in. */
	done(b, "POST", fmt(&i, "/endpoints/%s/attach", i.endpoint), "{\"CompartmentId\":2}");
	done(b, "DELETE", fmt(&i, "/endpoints/%s", i.endpoint), NULL);
	assert_int_equal(kernel.plugged, 0);
}

static void lists(void **state)
{
	struct box *b = *state;
	char list[NET_ID_SIZE];
	struct ids i;

	make(b, &i);
	(void)snprintf(i.body, sizeof(i.body),
		       "{\"References\":[\"/endpoints/%s\",\"/endpoints/%s\"],\"Policies\":[{\"Type\":\""
			"ELB\","
		       "\"Protocol\":6,\"InternalPort\":80,\"ExternalPort\":8080,\"VIPs\":[\"10.9.0.1\"]}]}",
		       i.endpoint, i.other);
	copy(list, output(b, "POST", "/policylists/", i.body, "ID"));
	assert_int_equal(kernel.balancers, 0);
	/* Who is plugged in takes part, who is unplugged does not, who is removed is forgotten. */
	done(b, "POST", fmt(&i, "/namespaces/%s/addresource", i.ns), resource(&i, "Endpoint", i.endpoint));
	assert_int_equal(kernel.balancers, 1);
	done(b, "POST", fmt(&i, "/namespaces/%s/addresource", i.ns), resource(&i, "Endpoint", i.other));
	assert_int_equal(kernel.balancers, 2);
	done(b, "DELETE", fmt(&i, "/endpoints/%s", i.other), NULL);
	assert_int_equal(kernel.balancers, 1);
	(void)snprintf(i.body, sizeof(i.body), "[ \"/endpoints/%s\" ]", i.endpoint);
	assert_string_equal(output(b, "GET", fmt(&i, "/policylists/%s", list), NULL, "References"), i.body);
	done(b, "DELETE", fmt(&i, "/policylists/%s", list), NULL);
	assert_int_equal(kernel.balancers, -1);
	(void)snprintf(i.body, sizeof(i.body),
		       "{\"References\":[\"%s\"],\"Policies\":[{\"Type\":\"ROUTE\",\"DestinationPrefix\":"
		       "\"10.8.0.0/16\",\"NextHop\":\"10.1.0.7\"}]}",
		       i.endpoint);
	copy(list, output(b, "POST", "/policylists/", i.body, "ID"));
	assert_int_equal(kernel.routes, 1);
	assert_int_equal(outputs(b, "/policylists", NULL), 1);
	done(b, "DELETE", fmt(&i, "/policylists/%s", list), NULL);
	assert_int_equal(kernel.routes, 0);
	refused(b, "DELETE", fmt(&i, "/policylists/%s", list), NULL, "Element not found.");
	refused(b, "POST", "/policylists/",
		"{\"References\":[\"11111111-2222-4333-8444-555555555555\"],\"Policies\":[{\"Type\":\"RO"
			"UTE\","
		"\"DestinationPrefix\":\"10.8.0.0/16\"}]}", "Element not found.");
}

/* ---- HCN */

static void hcn(void **state)
{
	struct box *b = *state;
	struct json_object *answer;
	struct ids i;

	make(b, &i);
	assert_int_equal(outputs(b, "/v2/networks", "{\"Filter\":\"{\\\"Name\\\":\\\"web\\\"}\"}"), 1);
	assert_int_equal(outputs(b, "/v2/networks", "{\"Filter\":\"{\\\"Name\\\":\\\"db\\\"}\"}"), 0);
	(void)snprintf(i.body, sizeof(i.body), "{\"Filter\":\"{\\\"VirtualNetwork\\\":\\\"%s\\\"}\"}",
		i.network);
	assert_int_equal(outputs(b, "/v2/endpoints", i.body), 2);
	(void)snprintf(i.body, sizeof(i.body),
		       "{\"Filter\":\"{\\\"HostComputeNetwork\\\":\\\"%s\\\",\\\"Name\\\":\\\"F\\\"}\"}",
		       i.network);
	assert_int_equal(outputs(b, "/v2/endpoints", i.body), 1);
	refused(b, "GET", "/v2/networks", "{\"Filter\":\"{\"}",
		"Filter: not JSON: cut off, or more than one document");
	refused(b, "POST", "/v2/networks",
		"{\"Name\":\"x\",\"Ipams\":[{\"Subnets\":[{\"IpAddressPrefix\":\"10.7.0.0/24\"}]}]}",
		"network create error, no default gateway");
	refused(b, "GET", "/v2/networks/db", NULL, "Network name \"db\" not found");
	answer = ask(b, false, "GET", "/v2/endpoints/11111111-2222-4333-8444-555555555555", NULL);
	assert_string_equal(json_object_get_string(net_json_get(answer, "Error")),
			    "Endpoint ID \"11111111-2222-4333-8444-555555555555\" not found");
	assert_int_equal(json_object_get_int64(net_json_get(answer, "ErrorCode")), 0x803b0002);
	json_object_put(answer);
	assert_int_equal(net_hresult(NET_NETWORKS, -EEXIST), 0x803b0010);
	assert_int_equal(net_hresult(NET_NAMESPACES, -ENOENT), 0x80070490);
	done(b, "POST", fmt(&i, "/v2/namespaces/%s/sync", i.ns), NULL);
	refused(b, "GET", "/v2/globals", NULL, "GET /v2/globals: no such request");
}

static void modify_policies(void **state)
{
	static const char port[] = "{\"ResourceType\":\"Policy\",\"RequestType\":\"%s\",\"Settings\":{"
				   "\"Policies\":[{\"Type\":\"PortMapping\",\"Settings\":{\"Protocol\":6,"
				   "\"InternalPort\":80,\"ExternalPort\":%s}}]}}";
	struct box *b = *state;
	struct ids i;
	char path[80], add[400], update[400];

	make(b, &i);
	(void)snprintf(path, sizeof(path), "/v2/endpoints/%s", i.endpoint);
	(void)snprintf(add, sizeof(add), port, "Add", "8080");
	(void)snprintf(update, sizeof(update), port, "Update", "9090");
	done(b, "POST", path, add);
	assert_int_equal(kernel.changes, 0); /* it is nowhere plugged in */
	refused(b, "POST", path, add, "Policies[0]: is there already");
	done(b, "POST", fmt(&i, "/namespaces/%s/addresource", i.ns), resource(&i, "Endpoint", i.endpoint));
	done(b, "POST", path, update);
	assert_int_equal(kernel.changes, 1);
	assert_non_null(strstr(output(b, "GET", path, NULL, "Policies"), "9090"));
	assert_null(strstr(output(b, "GET", path, NULL, "Policies"), "8080"));
	(void)snprintf(add, sizeof(add), port, "Remove", "8080");
	refused(b, "POST", path, add, "Policies[0]: no such policy");
	/* The kernel does not want it: all is as it was, also in the kernel. */
	kernel.fail_at = 1;
	(void)snprintf(add, sizeof(add), port, "Remove", "9090");
	refused(b, "POST", path, add, "kernel: says no");
	assert_int_equal(kernel.changes, 3);
	assert_non_null(strstr(output(b, "GET", path, NULL, "Policies"), "9090"));
	done(b, "POST", path, add);
	assert_string_equal(output(b, "GET", path, NULL, "Policies"), "[ ]");
	refused(b, "POST", path, "{\"ResourceType\":\"Port\",\"RequestType\":\"Add\"}",
		"endpoint e: Port: there is no hosting system with a card for it");
	refused(b, "POST", path, "{\"ResourceType\":\"Odd\",\"RequestType\":\"Add\"}",
		"ResourceType: \"Odd\" is not Policy or Port");
	refused(b, "POST", path, "{\"ResourceType\":\"Policy\",\"RequestType\":\"Odd\"}",
		"RequestType: \"Odd\" is not Add, Remove, Update or Refresh");
}

static void modify_network(void **state)
{
	struct box *b = *state;
	const char *path = "/v2/networks/web";
	struct ids i;

	make(b, &i);
	done(b, "POST", path,
	     "{\"ResourceType\":\"DNS\",\"RequestType\":\"Update\",\"Settings\":{\"Domain\":\"x.test\","
	     "\"ServerList\":[\"10.0.0.1\",\"10.0.0.2\"]}}");
	done(b, "POST", path,
	     "{\"ResourceType\":\"DNS\",\"RequestType\":\"Remove\",\"Settings\":{\"ServerList\":[\"10.0."
		"0.1\"]}}");
	done(b, "POST", path,
	     "{\"ResourceType\":\"DNS\",\"RequestType\":\"Add\",\"Settings\":{\"Search\":[\"a\"]}}");
	assert_string_equal(output(b, "GET", path, NULL, "Dns"),
			    "{ \"Domain\": \"x.test\", \"Search\": [ \"a\" ], \"ServerList\": [ \"10.0.0"
				".2\" ] }");
	done(b, "POST", path,
	     "{\"ResourceType\":\"Policy\",\"RequestType\":\"Add\",\"Settings\":{\"Policies\":[{\"Type\":"
	     "\"VxlanPort\",\"Settings\":{\"Port\":4800}}]}}");
	assert_non_null(strstr(output(b, "GET", path, NULL, "Policies"), "4800"));
	refused(b, "POST", path, "{\"ResourceType\":\"Extension\",\"RequestType\":\"Add\"}",
		"network web: Extension: a bridge has no switch extensions");
	kernel.fail_at = 1;
	refused(b, "POST", path,
		"{\"ResourceType\":\"DNS\",\"RequestType\":\"Update\",\"Settings\":{\"Domain\":\"y.test\"}}",
		"kernel: says no");
	assert_non_null(strstr(output(b, "GET", path, NULL, "Dns"), "x.test"));
	(void)snprintf(i.path, sizeof(i.path), "/v2/namespaces/%s", i.ns);
	(void)snprintf(i.body, sizeof(i.body),
		       "{\"ResourceType\":\"Endpoint\",\"RequestType\":\"Add\",\"Settings\":{\"EndpointI"
			"d\":\"%s\"}}",
		       i.endpoint);
	done(b, "POST", i.path, i.body);
	assert_int_equal(kernel.plugged, 1);
	(void)snprintf(i.body, sizeof(i.body),
		       "{\"ResourceType\":\"Endpoint\",\"RequestType\":\"Refresh\",\"Settings\":{\"Endpo"
			"intId\":\"%s\"}}",
		       i.endpoint);
	done(b, "POST", i.path, i.body);
	assert_int_equal(kernel.plugged, 1);
}

/* ---- each call of the kernel fails once: what was asked for is not there, what was there is */

static void failing(void **state)
{
	struct box *b = *state;
	struct ids i;
	int refusals = 0;

	make(b, &i);
	for (int at = 1;; at++) {
		const struct net_api api = { .store = b->store, .effects = &effects };
		struct net_endpoint *e = NULL;
		struct net_namespace *ns = NULL;
		struct plug_error err = { 0 };
		int r;

		kernel.fail_at = at;
		r = net_api_namespace_add(&api, i.ns, false, i.endpoint, &err);
		kernel.fail_at = 0;
		assert_int_equal(net_store_endpoint(b->store, i.endpoint, &e, NULL), 0);
		assert_int_equal(net_store_namespace(b->store, i.ns, &ns, NULL), 0);
		assert_int_equal(ns->resource_count, r == 0);
		assert_int_equal(*e->namespace_id != 0, r == 0);
		assert_int_equal(kernel.plugged, r == 0);
		net_endpoint_free(e);
		net_namespace_free(ns);
		if (r == 0)
			break;
		refusals++;
	}
	assert_true(refusals >= 1);
	/* On the way out: told, and good when it is tried again. */
	kernel.fail_at = 1;
	refused(b, "DELETE", fmt(&i, "/namespaces/%s", i.ns), NULL, "kernel: says no");
	kernel.fail_at = 2;
	refused(b, "DELETE", fmt(&i, "/namespaces/%s", i.ns), NULL, "kernel: says no");
	done(b, "DELETE", fmt(&i, "/namespaces/%s", i.ns), NULL);
	assert_int_equal(kernel.plugged, 0);
	assert_int_equal(kernel.namespaces, 0);
	kernel.fail_at = 1;
	refused(b, "POST", "/namespaces/", "{}", "kernel: says no");
	assert_int_equal(outputs(b, "/namespaces/", NULL), 0);
	/* A namespace whose second endpoint does not exist is not left half full. */
	(void)snprintf(i.body, sizeof(i.body),
		       "{\"Resources\":[{\"Type\":\"Endpoint\",\"Data\":{\"Id\":\"%s\"}},{\"Type\":\"End"
			"point\","
		       "\"Data\":{\"Id\":\"11111111-2222-4333-8444-555555555555\"}}]}",
		       i.endpoint);
	refused(b, "POST", "/v2/namespaces", i.body,
		"Endpoint ID \"11111111-2222-4333-8444-555555555555\" not found");
	assert_int_equal(outputs(b, "/namespaces/", NULL), 0);
	assert_int_equal(kernel.plugged, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hns, box_setup, box_close),
		cmocka_unit_test_setup_teardown(hns_errors, box_setup, box_close),
		cmocka_unit_test_setup_teardown(attach, box_setup, box_close),
		cmocka_unit_test_setup_teardown(lists, box_setup, box_close),
		cmocka_unit_test_setup_teardown(hcn, box_setup, box_close),
		cmocka_unit_test_setup_teardown(modify_policies, box_setup, box_close),
		cmocka_unit_test_setup_teardown(modify_network, box_setup, box_close),
		cmocka_unit_test_setup_teardown(failing, box_setup, box_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
