/* SPDX-License-Identifier: MIT */
#include "spec/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static int parse(const char *text, struct json_object **ret, struct cow_error *err)
{
	memset(err, 0, sizeof(*err));
	return cow_json_parse("t.json", text, strlen(text), ret, err);
}

static void refuses_what_is_not_json(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "t.json:1:1: expected a value, found the end" },
		{ "{", "t.json:1:2: expected a key in quotes" },
		{ "{\"a\":1,}", "t.json:1:8: expected a key in quotes" },
		{ "[1,]", "t.json:1:4: /1: expected a value" },
		{ "{\n  \"a\": 1\n  \"b\": 2\n}", "t.json:3:3: expected ',' or '}'" },
		{ "{\"a\" 1}", "t.json:1:6: expected ':' behind the key" },
		{ "{\"a\":1,\n\"b\":{\"a\":2},\n \"a\":3}", "t.json:3:2: /a: duplicate key \"a\"" },
		{ "{\"a\":1,\"\\u0061\":2}", "t.json:1:8: /\\u0061: duplicate key \"\\u0061\"" },
		{ "[1] 2", "t.json:1:5: text behind the value" },
		{ "[01]", "t.json:1:2: /0: not a number" },
		{ "[1.]", "t.json:1:2: /0: not a number" },
		{ "[-]", "t.json:1:2: /0: not a number" },
		{ "[1e]", "t.json:1:2: /0: not a number" },
		{ "[+1]", "t.json:1:2: /0: expected a value" },
		{ "[NaN]", "t.json:1:2: /0: expected a value" },
		{ "[True]", "t.json:1:2: /0: expected a value" },
		{ "[nulll]", "t.json:1:2: /0: expected a value" },
		{ "['a']", "t.json:1:2: /0: expected a value" },
		{ "/* c */ 1", "t.json:1:1: expected a value" },
		{ "[\"a]", "t.json:1:2: /0: this string does not end" },
		{ "[\"\\x\"]", "t.json:1:3: /0: an unknown escape" },
		{ "[\"\\u12\"]", "t.json:1:3: /0: \\u wants four hexadecimal digits" },
		{ "[\"\\u0000\"]", "t.json:1:3: /0: a string cannot contain NUL" },
		{ "[\"\\ud800\"]", "t.json:1:3: /0: a lone surrogate" },
		{ "[\"\\udc00\"]", "t.json:1:3: /0: a lone surrogate" },
		{ "[\"\\ud800\\u0041\"]", "t.json:1:3: /0: a lone surrogate" },
		{ "[\"\xff\"]", "t.json:1:3: /0: not UTF-8" },
		{ "[\"\xc0\xaf\"]", "t.json:1:3: /0: not UTF-8" },
		{ "[\"\xed\xa0\x80\"]", "t.json:1:3: /0: not UTF-8" },
		{ "[\"\xe2\x82", "t.json:1:3: /0: not UTF-8" },
		{ "[\"\n\"]", "t.json:1:3: /0: a control character in a string" },
		{ "[\"\xc3\xa4\", x]", "t.json:1:7: /1: expected a value" },
		{ "{\"a/~b\":[1,{\"c\":tru}]}", "t.json:1:17: /a~1~0b/1/c: expected a value" },
		{ "{\"a\":{\"b\":[{}}}", "t.json:1:14: /a/b: expected ',' or ']'" },
		{ "[\"\\", "t.json:1:3: /0: the text ends in a string" },
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct json_object *value = NULL;
		struct cow_error err;

		assert_int_equal(parse(cases[i].text, &value, &err), -EINVAL);
		assert_string_equal(err.message, cases[i].message);
		assert_null(value);
	}
}

static void takes_what_is_json(void **state)
{
	static const char *const cases[] = {
		"1",
		" 12 ",
		"-0",
		"1e5",
		"1.25E-3",
		"true",
		"null",
		"\"\"",
		"[]",
		"{}",
		" [ 1 , 2 ] ",
		"\"\\ud83d\\udc04 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\\u00e4\"",
		"{\"\":{\"\":1}}",
		"{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":1}]}},\"b\":{\"a\":2}}",
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct json_object *value = NULL;
		struct cow_error err;

		assert_int_equal(parse(cases[i], &value, &err), 0);
		json_object_put(value);
	}
}

static void refuses_depth_beyond_64(void **state)
{
	char text[256];
	struct json_object *value = NULL;
	struct cow_error err;

	(void)state;
	for (size_t depth = 64; depth <= 65; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = 0;
		assert_int_equal(parse(text, &value, &err), depth == 64 ? 0 : -EINVAL);
	}
	assert_string_equal(err.message, "t.json:1:65: /0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"
					 "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"
					 "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0"
					 ": nested deeper than 64");
	json_object_put(value);
}

/* Quadratic work or a wrong table would show here. */
static void finds_one_duplicate_among_many_keys(void **state)
{
	enum { KEYS = 100000 };
	char *text = malloc(KEYS * 16 + 64), *p = text;
	struct json_object *value = NULL;
	struct cow_error err;

	(void)state;
	assert_non_null(text);
	p += sprintf(p, "{");
	for (int i = 0; i < KEYS; i++)
		p += sprintf(p, "\"k%d\":1,", i);
	(void)sprintf(p, "\"last\":1}");
	assert_int_equal(parse(text, &value, &err), 0);
	assert_int_equal(json_object_object_length(value), KEYS + 1);
	json_object_put(value);
	(void)sprintf(p, "\"k4711\":1}");
	assert_int_equal(parse(text, &value, &err), -EINVAL);
	assert_non_null(strstr(err.message, "duplicate key \"k4711\""));
	free(text);
}

static void knows_the_line_of_a_pointer(void **state)
{
	static const char text[] =
		"{\n \"a\": [1,\n  {\"b/c\":\n   true}],\n \"~\": {\"\": 0},\n \"\\u00e4\": 5\n}\n";
	static const struct {
		const char *pointer;
		unsigned line;
	} cases[] = {
		{ "", 1 },	    { "/a", 2 },  { "/a/0", 2 },   { "/a/1", 3 },
		{ "/a/1/b~1c", 4 }, { "/~0", 5 }, { "/~0/", 5 },   { "/\xc3\xa4", 6 },
		{ "/a/2", 0 },	    { "/x", 0 },  { "/a/0/x", 0 }, { "a", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		assert_int_equal(cow_json_line(text, sizeof(text) - 1, cases[i].pointer),
				 cases[i].line);
}

struct document {
	struct json_object *value;
	struct cow_json root;
};

static void document_init(struct document *d, const char *text)
{
	struct cow_error err;

	assert_int_equal(parse(text, &d->value, &err), 0);
	d->root = (struct cow_json){ .value = d->value, .name = "t.json", .text = text,
				     .text_len = strlen(text) };
}

static void members_are_optional_and_typed(void **state)
{
	struct document d;
	struct cow_error err = { 0 };
	const char *s = "old";
	bool b = true;
	int64_t n = 7;

	(void)state;
	document_init(&d, "{\"s\":\"x\",\n\"b\":false,\n\"n\":5,\n\"null\":null,\n\"f\":1.5,"
			  "\n\"big\":9223372036854775808,\n\"huge\":1"
			  "00000000000000000000000000}");
	assert_int_equal(cow_json_get_string(&d.root, "absent", &s, &err), 0);
	assert_int_equal(cow_json_get_string(&d.root, "null", &s, &err), 0);
	assert_string_equal(s, "old");
	assert_int_equal(cow_json_get_string(&d.root, "s", &s, &err), 0);
	assert_string_equal(s, "x");
	assert_int_equal(cow_json_get_bool(&d.root, "b", &b, &err), 0);
	assert_false(b);
	assert_int_equal(cow_json_get_int(&d.root, "n", 0, 5, &n, &err), 0);
	assert_int_equal(n, 5);

	assert_int_equal(cow_json_get_string(&d.root, "n", &s, &err), -EINVAL);
	assert_string_equal(err.message, "t.json:3: /n: not a string");
	err = (struct cow_error){ 0 };
	assert_int_equal(cow_json_get_bool(&d.root, "s", &b, &err), -EINVAL);
	assert_string_equal(err.message, "t.json:1: /s: not true or false");
	err = (struct cow_error){ 0 };
	assert_int_equal(cow_json_get_int(&d.root, "n", 6, 9, &n, &err), -EINVAL);
	assert_string_equal(err.message, "t.json:3: /n: 5 is not between 6 and 9");
	err = (struct cow_error){ 0 };
	assert_int_equal(cow_json_get_int(&d.root, "s", 6, 9, &n, &err), -EINVAL);
	assert_string_equal(err.message, "t.json:1: /s: not a number");
	err = (struct cow_error){ 0 };
	assert_int_equal(cow_json_get_int(&d.root, "f", 0, 9, &n, &err), -EINVAL);
	assert_string_equal(err.message, "t.json:5: /f: not a whole number");
	assert_int_equal(cow_json_get_int(&d.root, "big", INT64_MIN, INT64_MAX, &n, NULL), -EINVAL);
	assert_int_equal(cow_json_get_int(&d.root, "huge", INT64_MIN, INT64_MAX, &n, NULL),
			 -EINVAL);
	assert_int_equal(n, 5);
	json_object_put(d.value);
}

static void complaints_name_the_pointer(void **state)
{
	static const char *const known[] = { "a", "b/c", NULL };
	struct document d;
	struct cow_json a, element, key;
	struct cow_error err = { 0 };
	char pointer[64];

	(void)state;
	document_init(&d, "{\"a\": [1,\n {\"~/\": 1}],\n\"b/c\": 2,\n\"odd\": 3}");
	assert_true(cow_json_member(&d.root, "a", &a));
	assert_int_equal(cow_json_length(&a), 2);
	assert_true(cow_json_element(&a, 1, &element));
	assert_false(cow_json_element(&a, 2, &key));
	assert_true(cow_json_member(&element, "~/", &key));
	cow_json_pointer(&key, pointer, sizeof(pointer));
	assert_string_equal(pointer, "/a/1/~0~1");
	assert_int_equal(cow_json_fail(&key, &err, -ERANGE, "no %d", 5), -ERANGE);
	assert_string_equal(err.message, "t.json:2: /a/1/~0~1: no 5");

	err = (struct cow_error){ 0 };
	assert_int_equal(cow_json_known(&d.root, known, &err), -EINVAL);
	assert_string_equal(err.message, "t.json:4: /odd: unknown key");
	err = (struct cow_error){ 0 };
	assert_int_equal(cow_json_known(&a, known, &err), -EINVAL);
	assert_string_equal(err.message, "t.json:1: /a: not an object");

	/* A member that is not there is complained about on the line of what should have it. */
	key = (struct cow_json){ .parent = &element, .key = "missing" };
	err = (struct cow_error){ 0 };
	(void)cow_json_fail(&key, &err, -EINVAL, "missing");
	assert_string_equal(err.message, "t.json:2: /a/1/missing: missing");

	/* Without a text there is no line, without a name only the pointer. */
	d.root.text = NULL;
	err = (struct cow_error){ 0 };
	(void)cow_json_fail(&a, &err, -EINVAL, "x");
	assert_string_equal(err.message, "t.json: /a: x");
	d.root.name = NULL;
	err = (struct cow_error){ 0 };
	(void)cow_json_fail(&a, &err, -EINVAL, "x");
	assert_string_equal(err.message, "/a: x");
	err = (struct cow_error){ 0 };
	(void)cow_json_fail(&d.root, &err, -EINVAL, "x");
	assert_string_equal(err.message, "x");
	json_object_put(d.value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_not_json),
		cmocka_unit_test(takes_what_is_json),
		cmocka_unit_test(refuses_depth_beyond_64),
		cmocka_unit_test(finds_one_duplicate_among_many_keys),
		cmocka_unit_test(knows_the_line_of_a_pointer),
		cmocka_unit_test(members_are_optional_and_typed),
		cmocka_unit_test(complaints_name_the_pointer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
