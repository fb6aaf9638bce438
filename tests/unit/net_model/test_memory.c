/* SPDX-License-Identifier: MIT */
/* Each allocation of parsing and printing an object fails once, in both shapes, of all the fuzzer's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/util.h"
#include "model/shape.h"
#include "tests/alloc_fail_json.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CORPUS COW_TEST_DATA "/../fuzz/corpus/net_object"

/* Parsed, printed in both shapes, freed; *whole: nothing of it failed. */
#define CYCLE(name, type, parse, free_it, print_a, print_b)                          \
	static int name(struct json_object *o, bool *whole, struct plug_error *err)  \
	{                                                                            \
		struct json_object *a, *b;                                           \
		struct type *object = NULL;                                          \
		int r = parse(o, &object, err);                                      \
                                                                                     \
		if (r < 0)                                                           \
			return r;                                                    \
		a = print_a;                                                         \
		b = print_b;                                                         \
		*whole = a && b;                                                     \
		json_object_put(a);                                                  \
		json_object_put(b);                                                  \
		free_it(object);                                                     \
		return 0;                                                            \
	}

CYCLE(network_hcn, net_network, net_hcn_network_parse, net_network_free, net_hcn_network_print(object),
      net_hns_network_print(object))
CYCLE(network_hns, net_network, net_hns_network_parse, net_network_free, net_hcn_network_print(object),
      net_hns_network_print(object))
CYCLE(network_configured, net_network, net_configured_network_parse, net_network_free,
      net_hcn_network_print(object), net_hns_network_print(object))
CYCLE(endpoint_hcn, net_endpoint, net_hcn_endpoint_parse, net_endpoint_free, net_hcn_endpoint_print(object),
      net_hns_endpoint_print(object, "web"))
CYCLE(endpoint_hns, net_endpoint, net_hns_endpoint_parse, net_endpoint_free, net_hcn_endpoint_print(object),
      net_hns_endpoint_print(object, "web"))
CYCLE(namespace_hcn, net_namespace, net_hcn_namespace_parse, net_namespace_free,
net_hcn_namespace_print(object),
      net_hns_namespace_print(object))
CYCLE(namespace_hns, net_namespace, net_hns_namespace_parse, net_namespace_free,
net_hcn_namespace_print(object),
      net_hns_namespace_print(object))
CYCLE(balancer, net_balancer, net_hcn_balancer_parse, net_balancer_free, net_hcn_balancer_print(object),
      net_hns_balancer_print(object))
CYCLE(route, net_sdn_route, net_hcn_sdn_route_parse, net_sdn_route_free, net_hcn_sdn_route_print(object),
      net_hns_sdn_route_print(object))

static int list(struct json_object *o, bool *whole, struct plug_error *err)
{
	struct net_balancer *b = NULL;
	struct net_sdn_route *r = NULL;
	int result = net_hns_list_parse(o, &b, &r, err);

	assert_true(result < 0 ? !b && !r : !b != !r);
	*whole = true;
	net_balancer_free(b);
	net_sdn_route_free(r);
	return result;
}

static int (*const cycles[])(struct json_object *o, bool *whole, struct plug_error *err) = {
	network_hcn,   network_hns,   network_configured, endpoint_hcn, endpoint_hns,
	namespace_hcn, namespace_hns, balancer,		  route,	list,
};

static struct json_object *document(const char *name)
{
	char path[400], text[16384];
	struct json_object *o = NULL;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	/* The first byte is the fuzzer's. */
	if (n > 1)
		(void)plug_json_parse(text + 1, n - 1, name, &o, NULL);
	return o;
}

/* With memory it says what it says; without some, that, or -ENOMEM. */
static unsigned sweep(const char *name, size_t kind, struct json_object *o)
{
	struct plug_error err = { 0 };
	bool whole = false;
	int usual = cycles[kind](o, &whole, &err);
	unsigned failures = 0;

	alloc_fail_each(n) {
		int r;

		whole = true;
		r = cycles[kind](o, &whole, &err);
		failures += r == -ENOMEM;
		if (!alloc_fail_stop() && (r != usual || !whole))
			fail_msg("%s, %zu: %d, %s", name, kind, r, err.text);
		if (r != usual && r != -ENOMEM)
			fail_msg("%s, %zu, allocation %u: %d, %s", name, kind, n, r, err.text);
	}
	return failures;
}

static void shapes(void **state)
{
	DIR *dir = opendir(CORPUS);
	unsigned failures = 0, documents = 0;

	(void)state;
	assert_non_null(dir);
	for (struct dirent *d; (d = readdir(dir));) {
		struct json_object *o = *d->d_name == '.' ? NULL : document(d->d_name);

		documents += o != NULL;
		for (size_t i = 0; o && i < PLUG_ELEMENTS(cycles); i++)
			failures += sweep(d->d_name, i, o);
		json_object_put(o);
	}
	(void)closedir(dir);
	if (documents < 10 || failures < 200)
		fail_msg("%u documents, %u failures", documents, failures);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
