/* SPDX-License-Identifier: MIT */
/* Which requests a hosting system gets, in which order; the record, there and back; allocations fail. */
#include "attach/hosting.h"
#include "common/text.h"
#include "common/util.h"
#include "tests/alloc_fail_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINUX COWHERD_HOSTING_NAMESPACES
#define WINDOWS (COWHERD_HOSTING_WINDOWS | COWHERD_HOSTING_NAMESPACES)

static struct net_card cards[2] = {
	{ .id = "nic-1", .endpoint = "ep-1", .mac = "02-00-00-00-00-01", .link = "eth0" },
	{ .id = "nic-2", .endpoint = "ep-2", .mac = "02-00-00-00-00-02", .link = "eth1" },
};
static struct net_hosted hosted = { .container = (char *)"c", .system = (char *)"vm", .ns = "ns",
				    .netns = (char *)"/run/ns", .cards = cards, .count = 2 };

/* All steps in one text, each as "SIDE RESOURCE TYPE SETTINGS"; NULL: no memory. */
static int steps_text(const struct net_hosted *h, bool remove, struct plug_text *t)
{
	struct net_step *steps = NULL;
	size_t count = 0;
	int r = net_hosted_steps(h, remove, &steps, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct cowherd_hosting_request request;
		struct json_object *settings = NULL;
		char *resource = NULL;

		r = net_step_request(h, &steps[i], &request, &resource, &settings);
		if (r == 0) {
			assert_int_equal(request.size, sizeof(request));
			assert_string_equal(request.system, "vm");
			assert_true(!request.link == (request.side == COWHERD_HOSTING_GUEST));
			plug_text_add(t, "%s %s %s %s\n", request.side ? "guest" : "host", request.resource,
				      request.type, request.settings);
		}
		json_object_put(settings);
		free(resource);
	}
	free(steps);
	return r < 0 ? r : t->failed;
}

#define NIC(n) "VirtualMachine/Devices/NetworkAdapters/nic-" n
#define DEVICE(n) "{\"EndpointId\":\"ep-" n "\",\"MacAddress\":\"02-00-00-00-00-0" n "\"}"

static const struct {
	uint32_t flags;
	bool remove;
	size_t begun;
	const char *want;
} orders[] = {
	{ LINUX, false, 0,
	  "host " NIC("1") " Add " DEVICE("1") "\nguest Network Add {\"ID\":\"nic-1\"}\n"
	  "host " NIC("2") " Add " DEVICE("2") "\nguest Network Add {\"ID\":\"nic-2\"}\n" },
	{ 0, false, 0, "host " NIC("1") " Add " DEVICE("1") "\nhost " NIC("2") " Add " DEVICE("2") "\n" },
	{ WINDOWS, false, 0,
	  "guest NetworkNamespace Add {\"ID\":\"ns\",\"Type\":\"Guest\"}\n"
	  "guest Network Add {\"AdapterId\":\"nic-1\",\"RequestType\":\"PreAdd\",\"Settings\":{"
	  "\"ID\":\"nic-1\"}}\n"
	  "host " NIC("1") " Add " DEVICE("1") "\n"
	  "guest Network Add {\"AdapterId\":\"nic-1\",\"RequestType\":\"Add\"}\n"
	  "guest Network Add {\"AdapterId\":\"nic-2\",\"RequestType\":\"PreAdd\",\"Settings\":{"
	  "\"ID\":\"nic-2\"}}\n"
	  "host " NIC("2") " Add " DEVICE("2") "\n"
	  "guest Network Add {\"AdapterId\":\"nic-2\",\"RequestType\":\"Add\"}\n" },
	{ LINUX, true, 2,
	  "guest Network Remove {\"NamespaceID\":\"ns\",\"ID\":"
	  "\"nic-2\"}\nhost " NIC("2") " Remove " DEVICE("2") "\n"
	  "guest Network Remove {\"NamespaceID\":\"ns\",\"ID\":"
	  "\"nic-1\"}\nhost " NIC("1") " Remove " DEVICE("1")
	  "\n" },
	{ WINDOWS, true, 1,
	  "guest Network Remove {\"AdapterId\":\"nic-1\",\"RequestType\":\"Remove\"}\n"
	  "host " NIC("1") " Remove " DEVICE("1") "\nguest NetworkNamespace Remove {\"ID\":\"ns\"}\n" },
	{ WINDOWS, true, 0, "guest NetworkNamespace Remove {\"ID\":\"ns\"}\n" },
	{ LINUX, true, 0, "" },
	{ 0, true, 1, "host " NIC("1") " Remove " DEVICE("1") "\n" },
};

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cards[i].settings = json_object_new_object();
		net_json_add_string(&cards[i].settings, "ID", cards[i].id);
	}
	hosted.described = json_object_new_object();
	net_json_add_string(&hosted.described, "ID", "ns");
	net_json_add_string(&hosted.described, "Type", "Guest");
	return hosted.described ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_object_put(cards[0].settings);
	json_object_put(cards[1].settings);
	json_object_put(hosted.described);
	return 0;
}

static void the_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < PLUG_ELEMENTS(orders); i++)
		alloc_fail_each(n) {
			_cleanup_text_ struct plug_text text = { 0 };
			int r;

			hosted.flags = orders[i].flags;
			hosted.begun = orders[i].begun;
			r = steps_text(&hosted, orders[i].remove, &text);
			if (!alloc_fail_stop())
				assert_int_equal(r, 0);
			assert_true(r == 0 || r == -ENOMEM);
			if (r == 0)
				assert_string_equal(text.data ? text.data : "", orders[i].want);
		}
}

/* What has begun is in the record, and enough of it to remove it. */
static void the_record(void **state)
{
	(void)state;
	hosted.flags = WINDOWS;
	hosted.begun = 1;
	alloc_fail_each(n) {
		_cleanup_text_ struct plug_text text = { 0 };
		struct plug_error err = { 0 };
		struct json_object *record = net_hosted_record(&hosted);
		struct net_hosted *again = NULL;
		int r = record ? net_hosted_read(record, &again, &err) : -ENOMEM;
		bool failed = alloc_fail_stop();

		assert_true(r == 0 || (failed && r == -ENOMEM));
		if (r == 0) {
			assert_true(net_hosted_is(record));
			assert_int_equal(again->count, 1);
			assert_int_equal(again->begun, 1);
			assert_false(again->added);
			assert_int_equal(steps_text(again, true, &text), 0);
			assert_string_equal(text.data, orders[4].want);
		}
		net_hosted_free(again);
		json_object_put(record);
	}
}

/* A ledger's record is ours; a damaged one is an error, and nothing else. */
static void damaged(void **state)
{
	static const char *const texts[] = {
		"{\"hosting_system\":7}",
		"{\"hosting_system\":\"vm\",\"cards\":{}}",
		"{\"hosting_system\":\"vm\",\"cards\":[{\"id\":7}]}",
		"{\"hosting_system\":\"vm\",\"ns\":\"0123456789012345678901234567890123456789\"}",
		"{\"hosting_system\":\"vm\",\"flags\":-1}",
	};

	(void)state;
	for (size_t i = 0; i < PLUG_ELEMENTS(texts); i++) {
		struct json_object *o = json_tokener_parse(texts[i]);
		struct plug_error err = { 0 };
		struct net_hosted *h = NULL;

		assert_true(net_hosted_read(o, &h, &err) < 0);
		assert_null(h);
		assert_true(err.text[0]);
		json_object_put(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order),
		cmocka_unit_test(the_record),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
