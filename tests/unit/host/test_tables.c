/* SPDX-License-Identifier: MIT */
#include "world.h"

struct newer {
	size_t size;
	int a, b;
};

static void test_copy(void **state)
{
	const struct newer theirs = { .size = sizeof(theirs), .a = 1, .b = 2 };
	struct newer shorter = theirs, ours = { 0 };
	struct {
		size_t size;
		int a;
	} older;

	(void)state;
	assert_int_equal(table_copy(&ours, sizeof(ours), &theirs), 0);
	assert_int_equal(ours.b, 2);
	/* What they do not have is zero, whatever lies there. */
	shorter.size = offsetof(struct newer, b);
	assert_int_equal(table_copy(&ours, sizeof(ours), &shorter), 0);
	assert_int_equal(ours.a, 1);
	assert_int_equal(ours.b, 0);
	assert_int_equal(ours.size, sizeof(ours));
	/* What we do not have is not copied. */
	assert_int_equal(table_copy(&older, offsetof(struct newer, b), &theirs), 0);
	assert_int_equal(older.a, 1);
	shorter.size = sizeof(size_t) - 1;
	assert_int_equal(table_copy(&ours, sizeof(ours), &shorter), -EINVAL);
	assert_int_equal(table_copy(&ours, sizeof(ours), NULL), -EINVAL);
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "lcow", "net-1", "n-", NULL };
	static const char *const bad[] = { "",    "A",    "1a",   "-a",  "a_b", "a b", "a/b",
					   "../a", "a\n", "\xc3\xa4", "a.b", NULL };
	static const char *const bad_dots[] = { ".", "a.", ".a", "a..b", "a.1", "a.B", NULL };
	char longest[66];

	(void)state;
	for (size_t i = 0; good[i]; i++) {
		assert_true(table_name_valid(good[i], false));
		assert_true(table_name_valid(good[i], true));
	}
	for (size_t i = 0; bad[i]; i++)
		assert_false(table_name_valid(bad[i], false));
	for (size_t i = 0; bad_dots[i]; i++)
		assert_false(table_name_valid(bad_dots[i], true));
	assert_true(table_name_valid("net.endpoint", true));
	assert_false(table_name_valid(NULL, true));
	memset(longest, 'a', sizeof(longest));
	longest[65] = '\0';
	assert_false(table_name_valid(longest, false));
	longest[64] = '\0';
	assert_true(table_name_valid(longest, false));
}

static int some_init(const struct cowherd_host *host, struct cowherd_self *self)
{
	(void)host;
	(void)self;
	return 0;
}

static void plugin_refused(const struct cowherd_plugin *table, int code, const char *text)
{
	struct cowherd_plugin copy;
	struct cow_error err = { 0 };

	assert_int_equal(table_read_plugin(&copy, table, &err), code);
	assert_non_null(strstr(err.message, text));
}

static void test_plugin(void **state)
{
	static const char *const caps[] = { "cap.a", "Bad", NULL };
	const struct cowherd_plugin good = {
		.size = sizeof(good), .abi_major = 1, .name = "x", .init = some_init,
	};
	struct cowherd_plugin t = good, copy;

	(void)state;
	assert_int_equal(table_read_plugin(&copy, &t, NULL), 0);
	assert_string_equal(copy.version, "");
	plugin_refused(NULL, -ENOEXEC, "does not work with host ABI 1.2");
	t.size = 3;
	plugin_refused(&t, -ENOEXEC, "no valid size");
	t = good;
	t.abi_major = 2;
	t.abi_minor = 3;
	plugin_refused(&t, -ENOEXEC, "built for ABI 2.3, the host speaks 1.2");
	t = good;
	t.name = NULL;
	plugin_refused(&t, -EINVAL, "its name");
	t = good;
	t.init = NULL;
	plugin_refused(&t, -EINVAL, "no init function");
	t.init = some_init;
	t.provides = caps;
	plugin_refused(&t, -EINVAL, "capability");
	t.provides = NULL;
	t.requires_ = caps;
	plugin_refused(&t, -EINVAL, "capability");
}

static void test_json(void **state)
{
	(void)state;
	assert_int_equal(table_json("{\"a\":1}", true), 0);
	assert_int_equal(table_json("[1]", false), 0);
	assert_int_equal(table_json("[1]", true), -EBADMSG);
	assert_int_equal(table_json("{", false), -EBADMSG);
	assert_int_equal(table_json("", false), -EBADMSG);
	assert_int_equal(table_json("{} x", false), -EBADMSG);
	assert_int_equal(table_json(NULL, false), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_plugin),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
