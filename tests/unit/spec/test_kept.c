/* SPDX-License-Identifier: MIT */
/* Specs of bundles that are not parsed anew. */
#include "spec/create.h"

#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char root[] = "/tmp/cow-test-kept-XXXXXX";

static void put_file(const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(cow_fs_write_atomic(path, text, strlen(text), 0644, 0), 0);
}

/* Of the bundle in root, with what more says. */
static int create_kept(struct cow_specs_kept *kept, const char *more, struct cow_create **ret,
		       struct cow_error *err)
{
	char text[512];
	struct json_object *value;
	int r;

	(void)snprintf(text, sizeof(text), "{\"bundle\":\"%s\"%s}", root, more);
	memset(err, 0, sizeof(*err));
	value = json_tokener_parse(text);
	r = cow_create_parse(&(struct cow_json){ .value = value }, NULL, ret, err);
	json_object_put(value);
	assert_int_equal(r, 0);
	r = cow_create_compile_kept(*ret, kept, err);
	if (r < 0)
		cow_create_destroy(*ret);
	return r;
}

static void expect_kept(struct cow_specs_kept *kept, const char *more, bool terminal,
			const char *expected)
{
	struct cow_create *c;
	struct cow_error err;

	assert_int_equal(create_kept(kept, more, &c, &err), 0);
	assert_string_equal(json_object_to_json_string_ext(
				    c->spec, JSON_C_TO_STRING_PLAIN |
						     JSON_C_TO_STRING_NOSLASHESCAPE),
			    expected);
	if (c->as_bundle)
		assert_string_equal(c->spec_text, expected);
	assert_int_equal(c->terminal, terminal);
	cow_create_destroy(c);
}

#define SPEC_A "{\"process\":{\"args\":[\"/a\"],\"terminal\":true}}"
#define SPEC_B "{\"process\":{\"args\":[\"/b\"]}}"

/* The same bytes give the same spec, others another, of the same length or not. */
static void keeps_specs_of_bundles(void **state)
{
	struct cow_specs_kept kept = { 0 };
	struct json_object *first;
	struct cow_error err;
	struct cow_create *c;
	char text[64];

	(void)state;
	assert_non_null(mkdtemp(root));
	put_file("config.json", SPEC_A);
	expect_kept(&kept, "", true, SPEC_A);
	first = kept.entry[0].spec;
	assert_non_null(first);
	expect_kept(&kept, ",\"id\":\"x\",\"labels\":{\"a\":\"b\"}", true, SPEC_A);
	assert_ptr_equal(kept.entry[0].spec, first);
	/* What changes the spec has one of its own, and leaves the one that is kept as it is. */
	expect_kept(&kept, ",\"args\":[\"/c\"],\"terminal\":false", false,
		    "{\"process\":{\"args\":[\"/c\"],\"terminal\":false}}");
	expect_kept(&kept, ",\"patch\":{\"process\":null}", false, "{}");
	expect_kept(&kept, "", true, SPEC_A);
	put_file("config.json", SPEC_B);
	expect_kept(&kept, "", false, SPEC_B);
	assert_ptr_equal(kept.entry[1].spec, first);
	put_file("config.json", "{\"process\":5}");
	assert_int_equal(create_kept(&kept, "", &c, &err), -EINVAL);
	assert_non_null(strstr(err.message, "config.json:1: /process: not an object"));
	/* More than are kept: the oldest goes. */
	for (int i = 0; i < COW_SPECS_KEPT; i++) {
		(void)snprintf(text, sizeof(text), "{\"process\":{\"args\":[\"/%d\"]}}", i);
		put_file("config.json", text);
		expect_kept(&kept, "", false, text);
	}
	for (int i = 0; i < COW_SPECS_KEPT; i++)
		assert_string_not_equal(kept.entry[i].text, SPEC_B);
	cow_specs_kept_finish(&kept);
	assert_null(kept.entry[0].config);
	expect_kept(&kept, "", false, text);
	cow_specs_kept_finish(&kept);
	assert_int_equal(cow_fs_remove_tree(root), 0);
	assert_int_equal(create_kept(&kept, "", &c, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_specs_of_bundles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
