/* SPDX-License-Identifier: MIT */
#include "base/flight.h"
#include "tests/alloc_fail.h"

#include <stdbool.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static unsigned count_texts(const char *json, char *first, size_t first_size)
{
	unsigned n = 0;
	for (const char *p = json; (p = strstr(p, "\"text\":\"")); n++) {
		p += strlen("\"text\":\"");
		if (n == 0)
			(void)snprintf(first, first_size, "%.*s", (int)strcspn(p, "\""), p);
	}
	return n;
}

static void test_empty(void **state)
{
	struct cow_flight f = { 0 };
	struct cow_strbuf b = COW_STRBUF_INIT;
	(void)state;
	cow_flight_json(&f, &b);
	assert_string_equal(b.data, "[]");
	assert_null(f.data);
	cow_strbuf_finish(&b);
	cow_flight_finish(&f);
}

static void test_one(void **state)
{
	struct cow_flight f = { 0 };
	struct cow_strbuf b = COW_STRBUF_INIT;
	unsigned long long ts;
	(void)state;
	cow_flight_add(&f, "started %d \"quoted\"", 7);
	assert_true(f.cap <= 256); /* an idle container pays for what it has */
	cow_flight_json(&f, &b);
	assert_int_equal(sscanf(b.data, "[{\"ts_ms\":%llu,", &ts), 1);
	assert_non_null(strstr(b.data, ",\"text\":\"started 7 \\\"quoted\\\"\"}]"));
	assert_true(ts > 1600000000000ull);
	cow_strbuf_finish(&b);
	cow_flight_finish(&f);
}

static void test_last_64(void **state)
{
	struct cow_flight f = { 0 };
	struct cow_strbuf b = COW_STRBUF_INIT;
	char first[64];
	(void)state;
	for (int i = 0; i < 1000; i++)
		cow_flight_add(&f, "event %d", i);
	cow_flight_json(&f, &b);
	assert_int_equal(count_texts(b.data, first, sizeof(first)), COW_FLIGHT_EVENTS);
	assert_string_equal(first, "event 936");
	assert_non_null(strstr(b.data, "event 999\"}]"));
	cow_strbuf_finish(&b);
	cow_flight_finish(&f);
}

static void test_bounded(void **state)
{
	struct cow_flight f = { 0 };
	struct cow_strbuf b = COW_STRBUF_INIT;
	char longer[1000], first[300];
	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	for (int i = 0; i < 200; i++)
		cow_flight_add(&f, "%d%s", i, longer);
	assert_true(f.cap <= COW_FLIGHT_BYTES);
	cow_flight_json(&f, &b);
	assert_true(count_texts(b.data, first, sizeof(first)) >= 18);
	assert_int_equal(strlen(first), COW_FLIGHT_TEXT_MAX);
	cow_strbuf_finish(&b);
	cow_flight_finish(&f);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	alloc_fail_each(n) {
		struct cow_flight f = { 0 };
		char first[64];
		for (int i = 0; i < 300; i++)
			cow_flight_add(&f, "event %d with some text, so that it grows", i);
		(void)alloc_fail_stop();
		struct cow_strbuf b = COW_STRBUF_INIT;
		cow_flight_json(&f, &b);
		assert_true(count_texts(b.data, first, sizeof(first)) > 0);
		assert_non_null(strstr(b.data, "event 299 "));
		cow_strbuf_finish(&b);
		cow_flight_finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),         cmocka_unit_test(test_one),
		cmocka_unit_test(test_last_64),       cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
