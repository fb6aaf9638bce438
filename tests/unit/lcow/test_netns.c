/* SPDX-License-Identifier: MIT */
/* Network namespaces made beside: one at a time, taken or dropped. */
#include "plugins/lcow/launch/parent.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void test_taken(void **state)
{
	ino_t own = inode_of("/proc/self/ns/net");
	struct stat st[2];
	int fd[2], lo = -1;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_true(parent_netns_begin());
		assert_false(parent_netns_begin()); /* until it is taken */
		fd[i] = parent_netns_take(false, &lo);
		assert_true(fd[i] >= 0);
		assert_int_equal(lo, 0);
		assert_int_equal(ioctl(fd[i], NS_GET_NSTYPE), CLONE_NEWNET);
		assert_int_equal(fstat(fd[i], &st[i]), 0);
		assert_int_not_equal(st[i].st_ino, own);
	}
	assert_int_not_equal(st[0].st_ino, st[1].st_ino);
	assert_int_equal(inode_of("/proc/self/ns/net"), own);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

/* Whether it is made already or not, it is closed, and the next one can be had. */
static void test_dropped(void **state)
{
	int before = dup(0), after, lo;

	(void)state;
	assert_true(before >= 0);
	(void)close(before);
	for (int i = 0; i < 20; i++) {
		while (!parent_netns_begin())
			(void)sched_yield(); /* one that was dropped is still being made */
		for (int turn = 0; turn < i * 200; turn++)
			(void)sched_yield();
		parent_netns_drop();
	}
	while (!parent_netns_begin())
		(void)sched_yield();
	after = parent_netns_take(false, &lo);
	assert_true(after >= 0);
	(void)close(after);
	after = dup(0);
	assert_int_equal(after, before);
	(void)close(after);
}

/* Asked for, the next one is there already; it goes when it is told to. */
static void test_spare(void **state)
{
	int before = dup(0), after, first, second, lo = -1;
	struct stat st[2];

	(void)state;
	(void)close(before);
	assert_true(parent_netns_begin());
	first = parent_netns_take(true, &lo);
	assert_true(first >= 0);
	while (!parent_netns_spare())
		(void)sched_yield();
	assert_true(parent_netns_begin());
	assert_false(parent_netns_spare());
	second = parent_netns_take(true, &lo);
	assert_true(second >= 0);
	assert_int_equal(lo, 0);
	assert_int_equal(fstat(first, &st[0]), 0);
	assert_int_equal(fstat(second, &st[1]), 0);
	assert_int_not_equal(st[0].st_ino, st[1].st_ino);
	(void)close(first);
	(void)close(second);
	launch_netns_spare_drop();
	assert_false(parent_netns_spare());
	after = dup(0);
	assert_int_equal(after, before);
	(void)close(after);
}

/* Dropped, and not wanted any more: also while it is being made. */
static void test_spare_dropped_early(void **state)
{
	int before = dup(0), after, fd, lo;

	(void)state;
	(void)close(before);
	for (int i = 0; i < 20; i++) {
		assert_true(parent_netns_begin());
		fd = parent_netns_take(true, &lo);
		assert_true(fd >= 0);
		(void)close(fd);
		for (int turn = 0; turn < i * 200; turn++)
			(void)sched_yield();
		launch_netns_spare_drop();
		assert_false(parent_netns_spare());
	}
	after = dup(0);
	assert_int_equal(after, before);
	(void)close(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_spare),
		cmocka_unit_test(test_spare_dropped_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
