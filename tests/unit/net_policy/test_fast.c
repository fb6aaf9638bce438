/* SPDX-License-Identifier: MIT */
/* Elements put without libnftables are the very elements that it would have put. */
#include "common/text.h"
#include "policy/rules.h"
#include "policy/table_private.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct net_table *table;
static struct plug_error err;

static const char *const elements[] = {
	"generation { 4711 }",
	"port4 { 6 . 8080 : 10.1.0.2 . 80 }",
	"port4 { 17 . 53 : 10.1.0.2 . 5353 }",
	"port6 { 6 . 8080 : fd01::2 . 80 }",
	"hostport4 { 192.0.2.1 . 132 . 9 : 10.1.0.2 . 65535 }",
	"hostport6 { 2001:db8::1 . 6 . 1 : fd01::2 . 1 }",
	"outbound4 { 10.1.0.2 }",
	"outbound6 { fd01::2 }",
	"only4 { 10.1.0.2 }",
	"alone6 { fd01::2 }",
	"source4 { 10.1.0.2 : 192.0.2.1 }",
	"source6 { fd01::2 : 2001:db8::1 }",
};
#define COUNT (sizeof(elements) / sizeof(*elements))

static char *text_of(const char *verb)
{
	struct plug_text text = { 0 };

	for (size_t i = 0; i < COUNT; i++)
		plug_text_add(&text, "%s element inet fast %s\n", verb, elements[i]);
	assert_int_equal(text.failed, 0);
	return text.data;
}

static void base(void)
{
	struct plug_text text = { 0 };

	net_rules_base("fast", &text);
	assert_int_equal(table_run(table, text.data, false, NULL, &err), 0);
	plug_text_finish(&text);
}

static char *listing(void)
{
	char *text;

	assert_int_equal(table_run(table, "list table inet fast\n", false, &text, &err), 0);
	return text;
}

static void test_the_same(void **state)
{
	char *add = text_of("add"), *delete = text_of("delete"), *empty, *theirs, *ours;

	(void)state;
	base();
	empty = listing();
	assert_int_equal(table_run(table, add, false, NULL, &err), 0);
	theirs = listing();
	base();
	assert_int_equal(table_run_plain(table, add), 0);
	ours = listing();
	assert_string_equal(ours, theirs);
	assert_non_null(strstr(ours, "4711") ?: strstr(ours, "0x00001267"));
	assert_int_equal(table_run_plain(table, add), 0); /* there already, with the same data */
	free(ours);
	assert_int_equal(table_run_plain(table, delete), 0);
	ours = listing();
	assert_string_equal(ours, empty);
	free(add);
	free(delete);
	free(empty);
	free(theirs);
	free(ours);
}

/* All of it or nothing; and what is not plain is not touched. */
static void test_refusals(void **state)
{
	static const char *const others[] = {
		"add rule inet fast sending accept\n",
		"add element inet other port4 { 6 . 1 : 10.1.0.2 . 1 }\n",
		"add element inet fast nowhere4 { 10.1.0.2 }\n",
		"add element inet fast outbound { 10.1.0.2 }\n",
		"add element inet fast range4 { 6 . 1-2 : 10.1.0.2 }\n",
		"add element inet fast except4 { 10.1.0.2 . 10.0.0.0/8 }\n",
		"add element inet fast port4 { 6 . 1 }\n",
		"add element inet fast port4 { 6 . 65536 : 10.1.0.2 . 1 }\n",
		"add element inet fast port4 { 6 . 1 : fd01::2 . 1 }\n",
		"add element inet fast port4 { 6 . 1 . 2 : 10.1.0.2 . 1 }\n",
		"add element inet fast outbound4 { 10.1.0.2, 10.1.0.3 }\n",
		"list element inet fast outbound4 { 10.1.0.2 }\n",
		"add element inet fast outbound4 { 10.1.0.2 } more\n",
	};
	char *before, *after;

	(void)state;
	base();
	before = listing();
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		int r = table_run_plain(table, others[i]);

		if (r != -EOPNOTSUPP)
			fail_msg("%s: %d", others[i], r);
	}
	assert_int_equal(table_run_plain(table, "add element inet fast outbound4 { 10.1.0.2 }\n"
						"delete element inet fast outbound4 { 10.1.0.3 }\n"),
			 -ENOENT);
	assert_int_equal(table_run_plain(table, "add element inet fast port4 { 6 . 1 : 10.1.0.2 . 1 }\n"
						"add element inet fast port4 { 6 . 1 : 10.1.0.3 . 1 }\n"),
			 -EEXIST);
	assert_int_equal(table_run_plain(table, ""), 0);
	after = listing();
	assert_string_equal(after, before);
	free(before);
	free(after);
	assert_int_equal(net_table_drop(table, &err), 0);
	assert_int_equal(table_run_plain(table, "add element inet fast outbound4 { 10.1.0.2 }\n"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_the_same),
					    cmocka_unit_test(test_refusals) };
	int failed;

	if (unshare(CLONE_NEWNET) < 0 || net_table_open("fast", &table, &err) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	net_table_close(table);
	return failed;
}
