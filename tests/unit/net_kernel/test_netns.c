/* SPDX-License-Identifier: MIT */
/* Namespaces on disk, so to speak: made, entered, moved, gone. */
#include "kernel/netns.h"
#include "tests/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct plug_error err;

static ino_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static int own_inode(void *arg)
{
	struct stat st;
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (stat("/proc/thread-self/ns/net", &st) < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	(void)close(fd);
	*(ino_t *)arg = st.st_ino;
	return request.ifr_flags & IFF_UP ? 1 : 0;
}

static void test_life(void **state)
{
	ino_t before, inside, after;
	int fd, again;

	(void)state;
	(void)own_inode(&before);
	assert_int_equal(net_ns_make("one", &fd, &err), 0);
	assert_true(net_ns_is_bound("one"));
	assert_int_equal(net_ns_call(fd, own_inode, &inside), 1);
	assert_true(inside != before);
	assert_true(inside == inode(fd));
	(void)own_inode(&after);
	assert_true(before == after);

	assert_int_equal(net_ns_make("one", NULL, &err), -EEXIST);
	assert_int_equal(net_ns_move("one", "two", &err), 0);
	assert_false(net_ns_is_bound("one"));
	assert_int_equal(access("one", F_OK), -1);
	again = net_ns_open("two", &err);
	assert_true(again >= 0);
	assert_true(inode(again) == inside);
	(void)close(again);
	(void)close(fd);
	for (int i = 0; i < 2; i++)
		assert_int_equal(net_ns_delete("two", &err), 0);
	assert_int_equal(access("two", F_OK), -1);
}

static void test_refusals(void **state)
{
	int fd = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(net_ns_open("file", &err), -EINVAL);
	assert_string_equal(err.text, "file: is not a network namespace");
	assert_int_equal(net_ns_open("/proc/self/ns/mnt", &err), -EINVAL);
	assert_int_equal(net_ns_open("nowhere", &err), -ENOENT);
	assert_int_equal(net_ns_make("nowhere/one", NULL, &err), -ENOENT);
	assert_int_equal(net_ns_move("nowhere", "two", &err), -ENOENT);
	assert_int_equal(access("two", F_OK), -1);
	assert_int_equal(net_ns_call(fd, own_inode, NULL), -EINVAL);
	assert_int_equal(net_ns_call(-1, own_inode, NULL), -EBADF);
	assert_false(net_ns_is_bound("file"));
	/* A file that was never bound goes, too. */
	assert_int_equal(net_ns_delete("file", &err), 0);
	assert_int_equal(access("file", F_OK), -1);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_life), cmocka_unit_test(test_refusals) };
	int failed;

	if (!scratch_own_mounts() || !scratch_enter())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return scratch_leave() ? failed : 1;
}
