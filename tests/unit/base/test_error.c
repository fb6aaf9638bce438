/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_first_failure_wins(void **state)
{
	struct cow_error err = { 0 };
	(void)state;
	assert_int_equal(cow_error_set(&err, -EBUSY, "%s: in use", "disk"), -EBUSY);
	assert_int_equal(cow_error_set(&err, -EIO, "later"), -EIO);
	assert_int_equal(cow_error_errno(&err, -EPERM, "later"), -EPERM);
	assert_int_equal(err.code, -EBUSY);
	assert_string_equal(err.message, "disk: in use");
	assert_string_equal(err.step, "");
}

static void test_nobody_listens(void **state)
{
	(void)state;
	assert_int_equal(cow_error_set(NULL, -EBUSY, "x"), -EBUSY);
	assert_int_equal(cow_error_errno(NULL, -EBUSY, "x"), -EBUSY);
}

static void test_cause(void **state)
{
	struct cow_error err = { 0 };
	(void)state;
	assert_int_equal(cow_error_errno(&err, -ENOENT, "/x/%d", 7), -ENOENT);
	assert_string_equal(err.message, "/x/7: No such file or directory");
}

static void test_long_text_is_cut(void **state)
{
	char longer[2 * COW_MESSAGE_MAX];
	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	for (size_t room = 0; room < 4; room++) {
		struct cow_error err = { 0 }, cause = { 0 };
		(void)cow_error_set(&err, -EIO, "%s", longer);
		assert_int_equal(strlen(err.message), COW_MESSAGE_MAX - 1);
		(void)cow_error_errno(&cause, -EIO, "%s", longer + COW_MESSAGE_MAX + room);
		assert_true(strlen(cause.message) < COW_MESSAGE_MAX);
		assert_non_null(strstr(cause.message, "a: Input/output error"));
	}
}

static void test_long_text_keeps_both_ends(void **state)
{
	char longer[4 * COW_MESSAGE_MAX];
	struct cow_error err = { 0 }, cause = { 0 };
	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	(void)cow_error_set(&err, -EINVAL, "name %s: too long", longer);
	assert_int_equal(strlen(err.message), COW_MESSAGE_MAX - 1);
	assert_int_equal(strncmp(err.message, "name aa", 7), 0);
	assert_non_null(strstr(err.message, "a...a"));
	assert_string_equal(err.message + COW_MESSAGE_MAX - 1 - strlen("a: too long"), "a: too long");
	(void)cow_error_errno(&cause, -ENOENT, "/%s", longer);
	assert_int_equal(strlen(cause.message), COW_MESSAGE_MAX - 1);
	assert_non_null(strstr(cause.message, "a: No such file or directory"));
}

static void test_one_line(void **state)
{
	struct cow_error err = { 0 };
	(void)state;
	(void)cow_error_set(&err, -EINVAL, "%s: no", "a\nb\x1b[2J\x7f\xc3\xa4");
	assert_string_equal(err.message, "a?b?[2J?\xc3\xa4: no");
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(cow_errno_text(-ENOENT), "No such file or directory");
	assert_string_equal(cow_errno_text(ENOENT), "No such file or directory");
	assert_string_equal(cow_errno_text(-99999), "Unknown error");
	assert_string_equal(cow_errno_name(-ENOENT), "ENOENT");
	assert_string_equal(cow_errno_name(-99999), "E?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_failure_wins),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_cause),
		cmocka_unit_test(test_long_text_is_cut),
		cmocka_unit_test(test_long_text_keeps_both_ends),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
