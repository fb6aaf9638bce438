/* SPDX-License-Identifier: MIT */
#include "base/ids.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_uuid(void **state)
{
	char a[COW_UUID_LEN], b[COW_UUID_LEN];
	(void)state;
	cow_uuid_v4(a);
	cow_uuid_v4(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
}

static void test_valid(void **state)
{
	static const char *const good[] = { "a", "0", "A.b_c+d-e",
					    "7f1b1e5e-0000-4000-8000-000000000000" };
	static const char *const bad[] = {
		"",    ".",   "..",       "../x",  "a/b", "/",  "-a",   "_a",   "+a",  "a b",
		"a\n", "a\t", "\xc3\xa4", "a\xff", "a:b", "a*", "a\\b", "a\"b", "a$b",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(cow_id_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(cow_id_valid(bad[i]));
}

static void test_length(void **state)
{
	char id[4096 + 1];
	(void)state;
	memset(id, 'a', sizeof(id));
	id[4096] = '\0';
	assert_false(cow_id_valid(id));
	id[COW_ID_MAX + 1] = '\0';
	assert_false(cow_id_valid(id));
	id[COW_ID_MAX] = '\0';
	assert_true(cow_id_valid(id));
}

/* Every single byte, first and second; what is behind a NUL is no part of the name. */
static void test_bytes(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		bool letter =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		bool other = c == '_' || c == '.' || c == '+' || c == '-';
		const char first[] = { (char)c, '\0' }, second[] = { 'a', (char)c, '\0' };
		assert_int_equal(cow_id_valid(first), letter);
		assert_int_equal(cow_id_valid(second), letter || other);
	}
	assert_true(cow_id_valid("a\0/../x"));
}

static void test_boot_id(void **state)
{
	(void)state;
	assert_int_equal(strlen(cow_boot_id()), 36);
	assert_ptr_equal(cow_boot_id(), cow_boot_id());
}

static pid_t child_waiting(const char *name)
{
	int gate[2];
	assert_int_equal(pipe(gate), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)prctl(PR_SET_NAME, name);
		(void)close(gate[0]);
		(void)close(gate[1]);
		for (;;)
			(void)pause();
	}
	char c;
	(void)close(gate[1]);
	assert_int_equal(read(gate[0], &c, 1), 0); /* named by now */
	(void)close(gate[0]);
	return pid;
}

static void test_start_time(void **state)
{
	uint64_t mine = 0, child = 0, zombie = 0, untouched = 7;
	(void)state;
	assert_int_equal(cow_pid_start_time(getpid(), &mine), 0);
	assert_true(mine > 0);
	/* A name that looks like the fields behind it. */
	pid_t pid = child_waiting("x) R 1 (2) 3");
	assert_int_equal(cow_pid_start_time(pid, &child), 0);
	assert_true(child >= mine);
	assert_int_equal(kill(pid, SIGKILL), 0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(cow_pid_start_time(pid, &zombie), 0);
	assert_true(zombie == child);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(cow_pid_start_time(pid, &untouched), -ESRCH);
	assert_int_equal(cow_pid_start_time(0, &untouched), -ESRCH);
	assert_int_equal(cow_pid_start_time(-1, &untouched), -ESRCH);
	assert_true(untouched == 7);
}

static void test_clocks(void **state)
{
	(void)state;
	uint64_t before = cow_monotonic_ms();
	assert_true(cow_realtime_ns() > 1600000000ull * 1000000000ull);
	assert_true(cow_monotonic_ms() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uuid),    cmocka_unit_test(test_valid),
		cmocka_unit_test(test_length),  cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_boot_id), cmocka_unit_test(test_start_time),
		cmocka_unit_test(test_clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
