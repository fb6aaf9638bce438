/* SPDX-License-Identifier: MIT */
/*
 * Policies of either shape and scope, and published ports as text: the first byte says which.  What is read
 * is printed, and read again the same; and becomes rules.
 */
#include "model/json.h"
#include "policy/policy.h"
#include "policy/ports.h"
#include "policy/rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ports(const char *text)
{
	struct net_policy *policies = NULL;
	size_t count = 0;

	(void)net_ports_parse(text, &policies, &count, NULL);
	(void)net_ports_check_tp4(&text, 1, NULL);
	net_policies_free(policies, count);
}

static void rules(struct net_policy *policies, size_t count)
{
	struct net_addr ips[2] = {
		{ .family = AF_INET, .prefix = 24, .bytes = { 10, 1, 0, 2 } },
		{ .family = AF_INET6, .prefix = 64, .bytes = { 0xfd, [15] = 2 } }
	};
	struct net_endpoint e = { .id = "ID",
				  .name = (char *)"e",
				  .ips = ips,
				  .ip_count = 2,
				  .policies = policies,
				  .policy_count = count };
	struct net_network n = { .name = (char *)"n", .bridge = "cow1", .type = NET_NAT };
	struct plug_text add = { 0 }, remove = { 0 };

	(void)net_rules_endpoint("t", &n, &e, &add, &remove, NULL);
	plug_text_finish(&add);
	plug_text_finish(&remove);
}

static void policies_of(struct json_object *list, enum net_policy_shape shape,
			enum net_policy_scope scope)
{
	struct net_policy *policies = NULL, *again = NULL;
	size_t count = 0, count_again = 0;
	struct json_object *printed, *printed_again;

	if (net_policies_parse(list, shape, scope, &policies, &count, NULL) < 0)
		return;
	printed = net_policies_print(policies, count, shape);
	if (net_policies_parse(printed, shape, scope, &again, &count_again, NULL) < 0 ||
	    count != count_again)
		abort();
	printed_again = net_policies_print(again, count_again, shape);
	if (!json_object_equal(printed, printed_again))
		abort();
	if (scope == NET_POLICY_OF_ENDPOINT)
		rules(policies, count);
	json_object_put(printed);
	json_object_put(printed_again);
	net_policies_free(again, count_again);
	net_policies_free(policies, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *list = NULL;
	char *text;

	if (size < 1 || !(text = malloc(size)))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	if (data[0] == 'p')
		ports(text);
	else if (plug_json_parse(text, size - 1, "policies", &list, NULL) == 0)
		policies_of(list, data[0] & 1, (data[0] >> 1) % 3);
	json_object_put(list);
	free(text);
	return 0;
}
