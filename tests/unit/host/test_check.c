/* SPDX-License-Identifier: MIT */
/* The sweep of `cowherd plugin check` finds what is wrong, and nothing where nothing is. */
#include "world.h"

#include <fcntl.h>

/* Check a fake; its report in out. */
static int check(const char *name, char *out, size_t size)
{
	char dir[PATH_MAX], path[PATH_MAX + 32];
	int ends = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int saved = dup(STDOUT_FILENO), rc;
	ssize_t n;

	world_find_plugins(dir);
	(void)snprintf(path, sizeof(path), "%s/%s.so", dir, name);
	assert_true(ends >= 0 && saved >= 0);
	(void)fflush(stdout);
	(void)dup2(ends, STDOUT_FILENO);
	rc = cow_host_check_plugin(path, NULL);
	(void)fflush(stdout);
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	n = pread(ends, out, size - 1, 0);
	assert_true(n >= 0);
	out[n] = '\0';
	(void)close(ends);
	return rc;
}

static void passes(const char *name)
{
	char out[8192];

	if (check(name, out, sizeof(out)) != 0 || strstr(out, "FAIL") || !strstr(out, ", 0 failed\n"))
		fail_msg("%s:\n%s", name, out);
}

static void fails(const char *name, const char *text)
{
	char out[8192];

	assert_int_equal(check(name, out, sizeof(out)), -EPROTO);
	if (!strstr(out, text))
		fail_msg("%s does not say \"%s\":\n%s", name, text, out);
}

static void test_good_ones(void **state)
{
	(void)state;
	passes("good");
	passes("slow");
	passes("inline");
	passes("short_table");
	passes("long_table");
	passes("leaky");
	passes("fake_backend");
	passes("needs_a"); /* provides_a is found beside it */
}

static void test_report(void **state)
{
	char out[8192];

	(void)state;
	assert_int_equal(check("good", out, sizeof(out)), 0);
	assert_non_null(strstr(out, "plugin good 1 (ABI 1.2) fake\n"));
	assert_non_null(strstr(out, "     allocator good.file in phase mounts\n     verb good\n"));
	assert_non_null(strstr(out, "PASS loads, starts, stops and leaves nothing\n"));
	assert_non_null(strstr(out, "PASS good.file is killed after each host call\n"));
}

static void test_bad_ones(void **state)
{
	(void)state;
	fails("never", "FAIL never acquires and releases, as often as asked: spec 1: acquire is not "
		       "answered in its 2000 ms");
	fails("late", "acquire is not answered in its 1000 ms");
	fails("busy_fini", "the kettle is on");
	fails("crash_init", "FAIL loads, starts, stops and leaves nothing: it crashes with SIGSEGV");
	fails("fails_init", "its init failed: Input/output error");
	fails("wrong_major", "built for ABI 2.0");
	fails("needs_missing", "it requires \"cap.missing\"");
	fails("forgetful", "release of \"file\", a second time: No such file or directory");
	fails("unannounced", "FAIL unannounced bears the failure of each host call: spec 1, host call 1: "
			     "a file is left behind: c-run/unannounced");
	fails("unannounced", "FAIL unannounced is killed before each host call: spec 1, host call 1: "
			     "a file is left behind");
	fails("hasty", "FAIL hasty is cancelled at each turn of the loop: spec 1, turn 0: a cancelled "
		       "acquire is never answered");
	fails("hasty", "FAIL hasty is given up at each turn of the loop: spec 1, turn 0: a file is left "
		       "behind: c-run/hasty");
	fails("twice", "FAIL twice acquires and releases, as often as asked: spec 1: acquire is answered "
		       "twice");
	fails("orphan", "a process is left behind");
}

static void test_absent(void **state)
{
	char out[256];

	(void)state;
	assert_int_equal(check("absent", out, sizeof(out)), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_ones),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_bad_ones),
		cmocka_unit_test(test_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
