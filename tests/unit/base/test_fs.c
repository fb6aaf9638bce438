/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/fs.h"
#include "tests/alloc_fail.h"
#include "tests/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

static int enter(void **state)
{
	(void)state;
	return scratch_enter() ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	return scratch_leave() ? 0 : -1;
}

static void content_is(const char *path, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	assert_int_equal(cow_fs_read(path, 1 << 20, &text, &len), 0);
	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
}

static void test_read(void **state)
{
	_cleanup_free_ char *text = NULL;
	char *untouched = NULL;
	(void)state;
	assert_int_equal(cow_fs_read("absent", 10, &untouched, NULL), -ENOENT);
	assert_int_equal(cow_fs_read(".", 10, &untouched, NULL), -EISDIR);
	assert_int_equal(cow_fs_write_atomic("f", "12345", 5, 0600, 0), 0);
	assert_int_equal(cow_fs_read("f", 4, &untouched, NULL), -EFBIG);
	assert_null(untouched);
	assert_int_equal(cow_fs_read("f", 5, &text, NULL), 0);
	assert_string_equal(text, "12345");
	/* Files of /proc have no size. */
	_cleanup_free_ char *proc = NULL;
	size_t len;
	assert_int_equal(cow_fs_read("/proc/self/maps", 1 << 24, &proc, &len), 0);
	assert_true(len > 1000 && strlen(proc) == len);
	assert_int_equal(unlink("f"), 0);
}

static void test_read_lengths(void **state)
{
	static char data[5000];
	(void)state;
	memset(data, 'x', sizeof(data));
	for (size_t n = 0; n < sizeof(data); n += n < 1000 || n > 1030 ? 97 : 1) {
		_cleanup_free_ char *text = NULL;
		size_t len;
		assert_int_equal(cow_fs_write_atomic("f", data, n, 0600, 0), 0);
		assert_int_equal(cow_fs_read("f", n, &text, &len), 0);
		assert_int_equal(len, n);
		assert_int_equal(strlen(text), n);
	}
	assert_int_equal(unlink("f"), 0);
}

static void test_write_mode_and_durability(void **state)
{
	struct stat st;
	(void)state;
	mode_t mask = umask(077);
	assert_int_equal(cow_fs_write_atomic("f", "a", 1, 0644, COW_FS_DURABLE), 0);
	umask(mask);
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(cow_fs_write_atomic("./f", "bc", 2, 0600, 0), 0);
	content_is("f", "bc");
	assert_int_equal(unlink("f"), 0);
}

static void test_write_takes_over_what_a_dead_one_left(void **state)
{
	(void)state;
	assert_int_equal(cow_fs_write_atomic("victim", "v", 1, 0600, 0), 0);
	assert_int_equal(symlink("victim", ".f.tmp"), 0);
	assert_int_equal(cow_fs_write_atomic("f", "new", 3, 0600, 0), 0);
	content_is("f", "new");
	content_is("victim", "v");
	assert_int_equal(access(".f.tmp", F_OK), -1);
	assert_int_equal(unlink("f"), 0);
	assert_int_equal(unlink("victim"), 0);
}

static void test_write_failures_leave_the_old(void **state)
{
	struct rlimit before, small;
	char data[1000];
	(void)state;
	memset(data, 'x', sizeof(data));
	assert_int_equal(cow_fs_write_atomic("f", "old", 3, 0600, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 100, before.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(cow_fs_write_atomic("f", data, sizeof(data), 0600, 0), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	content_is("f", "old");
	assert_int_equal(access(".f.tmp", F_OK), -1);
	assert_int_equal(unlink("f"), 0);

	assert_int_equal(mkdir("d", 0700), 0);
	assert_int_equal(cow_fs_write_atomic("d", "x", 1, 0600, 0), -EISDIR);
	assert_int_equal(access(".d.tmp", F_OK), -1);
	assert_int_equal(rmdir("d"), 0);
	assert_int_equal(cow_fs_write_atomic("absent/f", "x", 1, 0600, 0), -ENOENT);
	assert_int_equal(cow_fs_write_atomic("", "x", 1, 0600, 0), -EINVAL);
	assert_int_equal(cow_fs_write_atomic("..", "x", 1, 0600, 0), -EINVAL);
	assert_int_equal(cow_fs_write_atomic("/", "x", 1, 0600, 0), -EINVAL);
}

static void test_write_disk_full(void **state)
{
	static char data[256 * 1024];
	(void)state;
	if (!scratch_own_mounts())
		skip();
	assert_int_equal(mkdir("tiny", 0700), 0);
	assert_int_equal(mount("tiny", "tiny", "tmpfs", 0, "size=64k"), 0);
	assert_int_equal(cow_fs_write_atomic("tiny/f", "old", 3, 0600, 0), 0);
	assert_int_equal(cow_fs_write_atomic("tiny/f", data, sizeof(data), 0600, 0), -ENOSPC);
	content_is("tiny/f", "old");
	assert_int_equal(access("tiny/.f.tmp", F_OK), -1);
	assert_int_equal(umount("tiny"), 0);
	assert_int_equal(rmdir("tiny"), 0);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	alloc_fail_each(n) {
		_cleanup_free_ char *text = NULL, *joined = cow_fs_join("/a", "b");
		_cleanup_free_ char *absolute = cow_fs_absolute("/a", "b");
		int made = cow_fs_mkdirs("d/e", 0700);
		int written = cow_fs_write_atomic("d/e/f", "text", 4, 0600, COW_FS_DURABLE);
		int read = cow_fs_read("d/e/f", 100, &text, NULL);
		int removed = cow_fs_remove_tree("d");
		bool failed = alloc_fail_stop();
		bool nomem = !joined || !absolute || made == -ENOMEM || written == -ENOMEM ||
			     read == -ENOMEM || removed == -ENOMEM;
		assert_int_equal(failed, nomem);
		assert_int_equal(cow_fs_remove_tree("d"), 0);
	}
}

static void test_mkdirs(void **state)
{
	struct stat st;
	char path[128];
	(void)state;
	assert_int_equal(cow_fs_mkdirs("a//b/c/", 0750), 0);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(cow_fs_mkdirs("a/b/c", 0700), 0);
	assert_int_equal(cow_fs_mkdirs("/", 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/a/x/y", scratch_dir);
	assert_int_equal(cow_fs_mkdirs(path, 0700), 0);
	assert_int_equal(cow_fs_write_atomic("a/f", "", 0, 0600, 0), 0);
	assert_int_equal(cow_fs_mkdirs("a/f", 0700), -ENOTDIR);
	assert_int_equal(cow_fs_mkdirs("a/f/g", 0700), -ENOTDIR);
	assert_int_equal(symlink("nowhere", "a/dangling"), 0);
	assert_int_equal(cow_fs_mkdirs("a/dangling", 0700), -ENOENT);
	assert_int_equal(cow_fs_mkdirs("", 0700), -EINVAL);
	assert_int_equal(cow_fs_remove_tree("a"), 0);
}

static void joined_is(const char *dir, const char *name, const char *expected)
{
	_cleanup_free_ char *path = cow_fs_join(dir, name);
	assert_string_equal(path, expected);
}

static void absolute_is(const char *cwd, const char *path, const char *expected)
{
	_cleanup_free_ char *absolute = cow_fs_absolute(cwd, path);
	assert_string_equal(absolute, expected);
}

static void test_paths(void **state)
{
	(void)state;
	joined_is("/a", "b", "/a/b");
	joined_is("/a/", "b", "/a/b");
	joined_is("/", "b", "/b");
	joined_is("/a", "/b", "/b");
	joined_is("", "b", "b");
	absolute_is("/cwd", "f", "/cwd/f");
	absolute_is("/cwd", "/f", "/f");
	absolute_is("/cwd", "", "/cwd");
	absolute_is("/cwd", ".", "/cwd");
	absolute_is("/cwd", "..", "/");
	absolute_is("/cwd", "../../../..", "/");
	absolute_is("/a/b", "../c/./d//e/", "/a/c/d/e");
	absolute_is("/a", "...", "/a/...");
	absolute_is("/a", "..b/.c", "/a/..b/.c");
	absolute_is("/", "/", "/");
	absolute_is("relative", "x", "/relative/x");
	absolute_is("/a", "b/../../../c", "/c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_lengths),
		cmocka_unit_test(test_write_mode_and_durability),
		cmocka_unit_test(test_write_takes_over_what_a_dead_one_left),
		cmocka_unit_test(test_write_failures_leave_the_old),
		cmocka_unit_test(test_write_disk_full),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_mkdirs),
		cmocka_unit_test(test_paths),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
