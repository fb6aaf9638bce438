/* SPDX-License-Identifier: MIT */
/* Create, start, the end, delete: each success, and the failure of each step. */
#include "fake.h"

static void whole_life(void **state)
{
	(void)state;
	assert_int_equal(fake_create("a", "\"name\":\"web\""), 0);
	assert_non_null(strstr(fake.reply_result, "\"name\":\"web\""));
	assert_string_equal(fake_state("a"), "created");
	assert_int_equal(fake_held(), 3);
	assert_int_equal(FAKE_VERB(start, "web"), 0);
	assert_string_equal(fake_state("a"), "running");
	fake_exit(1, 7, 0);
	fake_until(strcmp(fake_state("a"), "stopped") == 0);
	assert_int_equal(fake_wait("a", COW_WAIT_STOPPED), 0);
	assert_non_null(strstr(fake.reply_result, "\"exit_code\":7"));
	assert_int_equal(fake_held(), 2); /* the compute system is released at its end */
	assert_int_equal(FAKE_VERB(delete, "a", false), 0);
	assert_nothing("a");
	assert_int_equal(fake.stopped_hooks, 1);
	assert_int_equal(fake.deleted_hooks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_life, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
