/* SPDX-License-Identifier: MIT */
/* Paths inside a root that is not to be trusted. */
#include "box.h"

#include "child.h"

static int root_of(const struct box *b)
{
	int fd = open(b->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Where a descriptor leads, as a path. */
static const char *where(int fd)
{
	static char link[PATH_MAX];
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	return link;
}

static void test_resolve(void **state)
{
	struct box *b = *state;
	int root = root_of(b), fd;
	struct {
		const char *link, *target, *path, *ends;
		int how;
	} cases[] = {
		{ NULL, NULL, "/etc", "/rootfs/etc", RESOLVE_MUST_EXIST },
		{ NULL, NULL, "", "/rootfs", RESOLVE_MUST_EXIST },
		{ NULL, NULL, "../../../etc", "/rootfs/etc", RESOLVE_MUST_EXIST },
		{ NULL, NULL, "/a", "/rootfs/a", RESOLVE_MAKE_DIR },
		{ NULL, NULL, "/b/c/d", "/rootfs/b/c/d", RESOLVE_MAKE_DIR },
		{ NULL, NULL, "//b//e/f//", "/rootfs/b/e/f", RESOLVE_MAKE_DIR },
		{ NULL, NULL, "/b/g/file", "/rootfs/b/g/file", RESOLVE_MAKE_FILE },
		{ "up", "../../../../etc", "/up", "/rootfs/etc", RESOLVE_MUST_EXIST },
		{ "abs", "/etc", "/abs", "/rootfs/etc", RESOLVE_MUST_EXIST },
		{ "dangling", "/run/there", "/dangling/x", "/rootfs/run/there/x",
		  RESOLVE_MAKE_DIR },
		{ "resolv", "../run/stub/resolv.conf", "/resolv", "/rootfs/run/stub/resolv.conf",
		  RESOLVE_MAKE_FILE },
		{ "one", "two/x", "/one/y", "/rootfs/two/x/y", RESOLVE_MAKE_DIR },
		{ "link", "/etc", "/link", "/rootfs/link", RESOLVE_NOFOLLOW },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *end;

		if (cases[i].link)
			assert_int_equal(symlinkat(cases[i].target, root, cases[i].link), 0);
		fd = resolve(root, cases[i].path, cases[i].how);
		if (fd < 0)
			fail_msg("%s: %d", cases[i].path, fd);
		end = where(fd) + strlen(b->dir);
		assert_string_equal(end, cases[i].ends);
		(void)close(fd);
	}
	(void)close(root);
}

static void test_errors(void **state)
{
	struct box *b = *state;
	int root = root_of(b);
	char path[2 * PATH_MAX], name[PATH_MAX];

	assert_int_equal(resolve(root, "/not/there", RESOLVE_MUST_EXIST), -ENOENT);
	assert_int_equal(resolve(root, "/etc/passwd/x", RESOLVE_MAKE_DIR), -ENOTDIR);
	assert_int_equal(symlinkat("loop", root, "loop"), 0);
	assert_int_equal(resolve(root, "/loop", RESOLVE_MAKE_DIR), -ELOOP);
	assert_int_equal(symlinkat("/ping/x", root, "pong"), 0);
	assert_int_equal(symlinkat("/pong/x", root, "ping"), 0);
	assert_int_equal(resolve(root, "/ping/y", RESOLVE_MAKE_DIR), -ELOOP);
	/* A magic link is no way out. */
	assert_int_equal(symlinkat("/proc/self/root", root, "magic"), 0);
	assert_true(resolve(root, "/magic/etc", RESOLVE_MUST_EXIST) < 0);
	memset(path, 'x', sizeof(path));
	path[300] = '\0';
	assert_int_equal(resolve(root, path, RESOLVE_MAKE_DIR), -ENAMETOOLONG);
	path[300] = 'x';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(resolve(root, path, RESOLVE_MAKE_DIR), -ENAMETOOLONG);
	assert_int_equal(resolve_parent(root, path, name), -ENAMETOOLONG);
	assert_int_equal(resolve_parent(root, "/", name), -EINVAL);
	assert_int_equal(resolve_parent(root, "/a/..", name), -EINVAL);
	(void)close(root);
}

static void test_parent(void **state)
{
	struct box *b = *state;
	int root = root_of(b), fd;
	char name[PATH_MAX];

	fd = resolve_parent(root, "/x/y/null", name);
	assert_true(fd >= 0);
	assert_string_equal(name, "null");
	assert_string_equal(where(fd) + strlen(b->dir), "/rootfs/x/y");
	(void)close(fd);
	fd = resolve_parent(root, "null", name);
	assert_string_equal(where(fd) + strlen(b->dir), "/rootfs");
	(void)close(fd);
	(void)close(root);
}

/* As deep as a path can be. */
static void test_deep(void **state)
{
	struct box *b = *state;
	int root = root_of(b), fd;
	char path[2000] = "";

	for (size_t i = 0; i + 2 < sizeof(path); i += 2)
		(void)strcpy(path + i, "/d");
	fd = resolve(root, path, RESOLVE_MAKE_DIR);
	assert_true(fd >= 0);
	(void)close(fd);
	(void)close(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_resolve),
		T(test_errors),
		T(test_parent),
		T(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
