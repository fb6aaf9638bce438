/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "tests/alloc_fail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_grows(void **state)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	(void)state;
	for (int i = 0; i < 1000; i++)
		cow_strbuf_addf(&b, "%d,", i);
	cow_strbuf_add(&b, "");
	cow_strbuf_addn(&b, "end-and-more", 3);
	assert_int_equal(b.error, 0);
	assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4 + 3);
	assert_int_equal(strlen(b.data), b.len);
	assert_string_equal(b.data + b.len - 7, "999,end");
	cow_strbuf_finish(&b);
	assert_null(b.data);
}

static void test_every_boundary(void **state)
{
	char text[300];
	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t first = 0; first < 140; first++) {
		for (size_t second = 0; second < 140; second++) {
			struct cow_strbuf b = COW_STRBUF_INIT;
			cow_strbuf_addn(&b, text, first);
			cow_strbuf_addf(&b, "%.*s", (int)second, text);
			assert_int_equal(b.len, first + second);
			assert_int_equal(strlen(b.data), first + second);
			cow_strbuf_finish(&b);
		}
	}
}

static void test_take(void **state)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	(void)state;
	_cleanup_free_ char *empty = cow_strbuf_take(&b);
	assert_string_equal(empty, "");
	cow_strbuf_add(&b, "again");
	_cleanup_free_ char *again = cow_strbuf_take(&b);
	assert_string_equal(again, "again");
	assert_null(b.data);
}

static void json_is(const char *in, const char *expected)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	cow_strbuf_json(&b, in);
	assert_string_equal(b.data, expected);
	cow_strbuf_finish(&b);
}

#define FFFD "\xef\xbf\xbd"

static void test_json(void **state)
{
	(void)state;
	json_is(NULL, "null");
	json_is("", "\"\"");
	json_is("plain", "\"plain\"");
	json_is("a\"b\\c", "\"a\\\"b\\\\c\"");
	json_is("\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
	json_is("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x84", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x84\"");
}

static void test_json_invalid_utf8(void **state)
{
	(void)state;
	json_is("\x80", "\"" FFFD "\"");
	json_is("a\xff"
		"b",
		"\"a" FFFD "b\"");
	json_is("\xc0\xaf", "\"" FFFD FFFD "\"");                   /* overlong */
	json_is("\xe0\x80\xaf", "\"" FFFD FFFD FFFD "\"");          /* overlong */
	json_is("\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"");          /* surrogate */
	json_is("\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\""); /* beyond U+10FFFF */
	json_is("\xe2\x82", "\"" FFFD FFFD "\"");                   /* ends too early */
	json_is("\xf0\x9f\x90", "\"" FFFD FFFD FFFD "\"");
	json_is("\xc3", "\"" FFFD "\"");
	json_is("\xc3\"", "\"" FFFD "\\\"\"");
}

static void test_out_of_memory(void **state)
{
	(void)state;
	alloc_fail_each(n) {
		struct cow_strbuf b = COW_STRBUF_INIT;
		for (int i = 0; i < 30; i++) {
			cow_strbuf_add(&b, "some text");
			cow_strbuf_addf(&b, "%d", i);
			cow_strbuf_json(&b, "\"\n\xff");
		}
		bool failed = b.error != 0;
		_cleanup_free_ char *taken = cow_strbuf_take(&b);
		assert_int_equal(alloc_fail_stop(), taken == NULL);
		assert_int_equal(failed, taken == NULL);
		assert_int_equal(b.error, 0); /* can be used again */
	}
	alloc_fail_each(n) {
		struct cow_strbuf b = COW_STRBUF_INIT;
		_cleanup_free_ char *empty = cow_strbuf_take(&b);
		_cleanup_free_ char *printed = cow_asprintf("%d", 5);
		assert_int_equal(alloc_fail_stop(), !empty || !printed);
	}
}

static void test_too_long(void **state)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	(void)state;
	cow_strbuf_addn(&b, "x", 1);
	cow_strbuf_addn(&b, "x", (size_t)-2); /* never looked at: there is no such memory */
	assert_int_equal(b.error, -ENOMEM);
	assert_null(cow_strbuf_take(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_every_boundary),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_invalid_utf8),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
