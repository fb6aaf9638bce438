/* SPDX-License-Identifier: MIT */
#include "base/fs.h"
#include "tests/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
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

static void touch(const char *path)
{
	assert_int_equal(cow_fs_write_atomic(path, "x", 1, 0600, 0), 0);
}

static bool exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static int open_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void test_simple(void **state)
{
	int fds = open_fds();
	(void)state;
	assert_int_equal(cow_fs_remove_tree("absent"), 0);
	assert_int_equal(cow_fs_remove_tree("absent/too"), 0);
	touch("file");
	assert_int_equal(cow_fs_remove_tree("file"), 0);
	assert_false(exists("file"));
	assert_int_equal(cow_fs_mkdirs("t/a/b", 0700), 0);
	touch("t/f");
	touch("t/a/.hidden");
	touch("t/a/b/g");
	assert_int_equal(mkfifo("t/a/fifo", 0600), 0);
	assert_int_equal(cow_fs_remove_tree("t/"), 0);
	assert_false(exists("t"));
	assert_int_equal(cow_fs_remove_tree(""), -EINVAL);
	assert_int_equal(cow_fs_remove_tree("."), -EINVAL);
	assert_int_equal(cow_fs_remove_tree(".."), -EINVAL);
	assert_int_equal(cow_fs_remove_tree("/"), -EINVAL);
	assert_int_equal(open_fds(), fds);
}

static void test_symlinks_to_outside(void **state)
{
	(void)state;
	assert_int_equal(cow_fs_mkdirs("outside/d", 0700), 0);
	touch("outside/f");
	assert_int_equal(mkdir("t", 0700), 0);
	assert_int_equal(symlink("../outside", "t/dir"), 0);
	assert_int_equal(symlink("../outside/f", "t/file"), 0);
	assert_int_equal(symlink("nowhere", "t/dangling"), 0);
	assert_int_equal(symlink(".", "t/loop"), 0);
	assert_int_equal(symlink("/", "t/root"), 0);
	assert_int_equal(cow_fs_remove_tree("t"), 0);
	assert_false(exists("t"));
	assert_true(exists("outside/f"));
	/* The tree's own name may be one, too. */
	assert_int_equal(symlink("outside", "t"), 0);
	assert_int_equal(cow_fs_remove_tree("t"), 0);
	assert_false(exists("t"));
	assert_true(exists("outside/d"));
	assert_int_equal(cow_fs_remove_tree("outside"), 0);
}

static void test_many_entries(void **state)
{
	(void)state;
	assert_int_equal(mkdir("t", 0700), 0);
	for (int i = 0; i < 3000; i++) {
		char path[32];
		(void)snprintf(path, sizeof(path), "t/%d", i);
		assert_int_equal(i % 3 == 0 ? mkdir(path, 0700) : symlink("x", path), 0);
	}
	assert_int_equal(cow_fs_remove_tree("t"), 0);
	assert_false(exists("t"));
}

/* Deeper than any path can say and than there are descriptors, with files on the way. */
static void test_deep(void **state)
{
	struct rlimit before, few;
	(void)state;
	assert_int_equal(mkdir("t", 0700), 0);
	int at = open("t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2500; i++) {
		assert_int_equal(mkdirat(at, "d", 0700), 0);
		if (i % 10 == 0)
			assert_int_equal(symlinkat("x", at, "s"), 0);
		int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(at);
		at = next;
	}
	(void)close(at);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ 32, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	int r = cow_fs_remove_tree("t");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, 0);
	assert_false(exists("t"));
}

static void test_mounts_inside(void **state)
{
	(void)state;
	if (!scratch_own_mounts())
		skip();
	assert_int_equal(cow_fs_mkdirs("t/a/mnt", 0700), 0);
	assert_int_equal(cow_fs_mkdirs("t/bind", 0700), 0);
	assert_int_equal(cow_fs_mkdirs("outside", 0700), 0);
	touch("outside/f");
	touch("t/a/sibling");
	touch("t/mounted-file");
	assert_int_equal(mount("x", "t/a/mnt", "tmpfs", 0, NULL), 0);
	touch("t/a/mnt/inside");
	/* The same filesystem under another name: no device number tells. */
	assert_int_equal(mount("outside", "t/bind", NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount("outside/f", "t/mounted-file", NULL, MS_BIND, NULL), 0);

	assert_int_equal(cow_fs_remove_tree("t"), -EBUSY);
	assert_true(exists("t/a/mnt/inside"));
	assert_true(exists("t/bind/f"));
	assert_true(exists("t/mounted-file"));
	assert_false(exists("t/a/sibling")); /* went on */
	/* A tree whose root is a mount is not entered, either. */
	assert_int_equal(cow_fs_remove_tree("t/bind"), -EBUSY);
	assert_true(exists("outside/f"));

	assert_int_equal(umount("t/a/mnt"), 0);
	assert_int_equal(umount("t/bind"), 0);
	assert_int_equal(umount("t/mounted-file"), 0);
	assert_int_equal(cow_fs_remove_tree("t"), 0);
	assert_int_equal(cow_fs_remove_tree("outside"), 0);
}

static void test_read_only(void **state)
{
	(void)state;
	if (!scratch_own_mounts())
		skip();
	assert_int_equal(mkdir("ro", 0700), 0);
	assert_int_equal(mount("x", "ro", "tmpfs", 0, NULL), 0);
	assert_int_equal(cow_fs_mkdirs("ro/t/d", 0700), 0);
	assert_int_equal(mount(NULL, "ro", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(cow_fs_remove_tree("ro/t"), -EROFS);
	assert_int_equal(cow_fs_mkdirs("ro/t/d", 0700), 0); /* all there already */
	assert_int_equal(cow_fs_mkdirs("ro/new", 0700), -EROFS);
	assert_int_equal(umount("ro"), 0);
	assert_int_equal(rmdir("ro"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),        cmocka_unit_test(test_symlinks_to_outside),
		cmocka_unit_test(test_many_entries),  cmocka_unit_test(test_deep),
		cmocka_unit_test(test_mounts_inside), cmocka_unit_test(test_read_only),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
