/* SPDX-License-Identifier: MIT */
/*
 * Each allocation of a request fails once.  What was not made has changed nothing; what was not removed may
 * have begun to go: the same request can be made again, in either case.  What was done nevertheless is undone
 * and asked for once more, until no allocation is left to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/alloc_fail_json.h"
#include "tests/unit/net_model/box.h"
#include "tests/unit/net_verbs/kernel.h"
#include "verbs/request.h"

#include <errno.h>

#define NETWORK "11111111-0000-4000-8000-000000000001"
#define ENDPOINT "11111111-0000-4000-8000-000000000002"
#define SPACE "11111111-0000-4000-8000-000000000003"
#define BALANCER "11111111-0000-4000-8000-000000000004"
#define ROUTE "11111111-0000-4000-8000-000000000005"
#define RESOURCE "{\"Type\":\"Endpoint\",\"Data\":{\"Id\":\"" ENDPOINT "\"}}"
#define POLICY(type)                                                                    \
	"{\"ResourceType\":\"Policy\",\"RequestType\":\"" type "\",\"Settings\":{"          \
	"\"Policies\":[{\"Type\":\"PortMapping\",\"Settings\":{\"Protocol\":6,"             \
	"\"InternalPort\":80,\"ExternalPort\":8080}},{\"Type\":\"ACL\",\"Settings\":{"      \
	"\"Action\":\"Block\",\"Direction\":\"In\",\"Protocols\":\"6\","                  \
	"\"LocalPorts\":\"80\",\"RemoteAddresses\":\"10.0.0.0/8\",\"Priority\":100}}]}}"

struct request {
	const char *method, *path, *body;
};

/* What is done and what undoes it, in an order in which all can be done. */
static const struct {
	struct request make, undo;
} rows[] = {
	{ { "POST", "/v2/networks",
	    "{\"ID\":\"" NETWORK "\",\"Name\":\"web\",\"Type\":\"NAT\",\"Dns\":{\"Domain\":"
	    "\"x.test\",\"Search\":[\"a\"],"
	    "\"ServerList\":[\"192.0.2.53\"]},\"MacPool\":{\"Ranges\":[{\"StartMacAddress\":"
	    "\"00-15-5D-00-00-00\","
	    "\"EndMacAddress\":\"00-15-5D-00-0F-FF\"}]},\"Ipams\":[{\"Type\":\"Static\",\"Subnets\":[{"
	    "\"IpAddressPrefix\":\"10.1.0.0/24\",\"Routes\":[{\"NextHop\":\"10.1.0.1\",\"DestinationPrefix\":"
	    "\"0.0.0.0/0\"}]},{\"IpAddressPrefix\":\"fd00:1::/64\",\"Routes\":[{\"NextHop\":\"fd00:1::1\","
	    "\"DestinationPrefix\":\"::/0\"}]}]}]}" },
	  { "DELETE", "/v2/networks/" NETWORK, NULL } },
	{ { "POST", "/endpoints/",
	    "{\"ID\":\"" ENDPOINT "\",\"Name\":\"e\",\"VirtualNetwork\":\"" NETWORK "\","
	    "\"Policies\":[{\"Type\":\"QOS\","
	    "\"MaximumOutgoingBandwidthInBytes\":100000}]}" },
	  { "DELETE", "/endpoints/" ENDPOINT, NULL } },
	{ { "POST", "/v2/namespaces", "{\"ID\":\"" SPACE "\",\"Type\":\"Guest\"}" },
	  { "DELETE", "/v2/namespaces/" SPACE, NULL } },
	{ { "POST", "/v2/endpoints/" ENDPOINT, POLICY("Add") }, { "POST", "/v2/endpoints/" ENDPOINT,
	  POLICY("Remove") } },
	{ { "POST", "/namespaces/" SPACE "/addresource", RESOURCE },
	  { "POST", "/namespaces/" SPACE "/removeresource", RESOURCE } },
	{ { "POST", "/v2/networks/" NETWORK,
	    "{\"ResourceType\":\"DNS\",\"RequestType\":\"Update\",\"Settings\":{\"ServerList\":["
	    "\"192.0.2.54\"]}}" },
	  { "POST", "/v2/networks/" NETWORK,
	    "{\"ResourceType\":\"DNS\",\"RequestType\":\"Update\",\"Settings\":{\"ServerList\":["
	    "\"192.0.2.53\"]}}" } },
	{ { "POST", "/v2/loadbalancers",
	    "{\"ID\":\"" BALANCER "\",\"HostComputeEndpoints\":[\"" ENDPOINT "\"],\"FrontendVIPs\":"
	    "[\"10.9.0.1\"],"
	    "\"PortMappings\":[{\"Protocol\":6,\"InternalPort\":80,\"ExternalPort\":8080}]}" },
	  { "DELETE", "/v2/loadbalancers/" BALANCER, NULL } },
	{ { "POST", "/v2/routes",
	    "{\"ID\":\"" ROUTE "\",\"HostComputeEndpoints\":[\"" ENDPOINT "\"],\"Setting\":[{"
	    "\"DestinationPrefix\":"
	    "\"10.8.0.0/16\",\"NextHop\":\"10.1.0.7\"}]}" },
	  { "DELETE", "/v2/routes/" ROUTE, NULL } },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct request reads[] = {
	{ "GET", "/networks/", NULL },
	{ "GET", "/endpoints/" ENDPOINT, NULL },
	{ "GET", "/v2/endpoints", "{\"Filter\":\"{\\\"VirtualNetwork\\\":\\\"" NETWORK "\\\"}\"}" },
	{ "GET", "/v2/namespaces/" SPACE, NULL },
	{ "GET", "/endpointstats/" ENDPOINT, NULL },
	{ "GET", "/policylists/", NULL },
	{ "GET", "/v2/routes", "{}" },
	{ "GET", "/v2/networks/nothing", NULL },
};

static int setup(void **state)
{
	memset(&kernel, 0, sizeof(kernel));
	memset(plugged_id, 0, sizeof(plugged_id));
	return box_open(state);
}

/* true: it was done.  failed: an allocation did, on the way. */
static bool ask(struct box *b, const struct request *r, unsigned n, bool *failed, struct json_object **ret)
{
	const struct net_api api = { .store = b->store, .effects = &effects };
	bool done;

	alloc_fail_arm(n);
	done = net_request(&api, r->method, r->path, r->body, ret);
	*failed = alloc_fail_stop();
	return done;
}

static void must(struct box *b, const struct request *r)
{
	struct json_object *answer = NULL;
	bool failed;

	if (!ask(b, r, 0, &failed, &answer))
		fail_msg("%s %s: %s", r->method, r->path, json_object_to_json_string(answer));
	json_object_put(answer);
}

static size_t objects(struct box *b)
{
	size_t all = 0;

	for (int kind = 0; kind < NET_KIND_COUNT; kind++) {
		struct net_entry *entries;
		size_t count;

		assert_int_equal(net_store_list(b->store, (enum net_kind)kind, NULL, &entries, &count,
		NULL), 0);
		all += count;
		net_entries_free(entries, count);
	}
	return all;
}

/* In the end it is done. */
static void sweep(struct box *b, const struct request *make, const struct request *undo, bool removal)
{
	for (unsigned n = 1;; n++) {
		int plugged = kernel.plugged, namespaces = kernel.namespaces;
		size_t before = objects(b);
		struct json_object *answer = NULL;
		bool failed, done = ask(b, make, n, &failed, &answer);

		if (!done && !failed)
			fail_msg("%s %s, after allocation %u failed: %s", make->method, make->path, n - 1,
				 json_object_to_json_string(answer));
		if (!done && !removal && (kernel.plugged != plugged || kernel.namespaces != namespaces ||
			      objects(b) != before))
			fail_msg("%s %s, allocation %u: failed, and changed something", make->method,
				 make->path, n);
		json_object_put(answer);
		if (done && !failed)
			return;
		if (done)
			must(b, undo);
	}
}

static void nothing(struct box *b)
{
	assert_int_equal(objects(b), 0);
	assert_int_equal(kernel.plugged, 0);
	assert_int_equal(kernel.namespaces, 0);
}

static void coming_and_going(void **state)
{
	struct box *b = *state;

	for (size_t i = 0; i < ROWS; i++)
		sweep(b, &rows[i].make, &rows[i].undo, false);
	for (size_t i = ROWS; i-- > 0;)
		sweep(b, &rows[i].undo, &rows[i].make, true);
	nothing(b);
}

/* What goes takes with it what hangs on it. */
static void all_at_once(void **state)
{
	struct box *b = *state;

	for (size_t i = 0; i < ROWS; i++)
		must(b, &rows[i].make);
	for (unsigned n = 1;; n++) {
		struct json_object *answer = NULL;
		bool failed, done = ask(b, &rows[2].undo, n, &failed, &answer);

		json_object_put(answer);
		if (done)
			break;
		assert_true(failed);
	}
	must(b, &rows[7].undo);
	must(b, &rows[6].undo);
	must(b, &rows[1].undo);
	must(b, &rows[0].undo);
	nothing(b);
}

static void looking(void **state)
{
	struct box *b = *state;

	for (size_t i = 0; i < ROWS; i++)
		must(b, &rows[i].make);
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		bool failed = true;

		for (unsigned n = 1; failed; n++) {
			struct json_object *answer = NULL;

			(void)ask(b, &reads[i], n, &failed, &answer);
			assert_true(failed || answer);
			json_object_put(answer);
		}
	}
	for (size_t i = ROWS; i-- > 0;)
		must(b, &rows[i].undo);
	nothing(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(coming_and_going, setup, box_close),
		cmocka_unit_test_setup_teardown(all_at_once, setup, box_close),
		cmocka_unit_test_setup_teardown(looking, setup, box_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
