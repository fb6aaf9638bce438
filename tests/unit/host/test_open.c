/* SPDX-License-Identifier: MIT */
/* Which files are mapped at all. */
#include "world.h"

#include <fcntl.h>

static char *copy_of_plugin(struct world *w, const char *dir, const char *name)
{
	_cleanup_free_ char *from = cow_asprintf("%s/%s.so", w->plugins, name), *data = NULL;
	char *to = cow_asprintf("%s/%s.so", dir, name);
	size_t len;

	assert_int_equal(cow_fs_read(from, 16 << 20, &data, &len), 0);
	assert_int_equal(cow_fs_write_atomic(to, data, len, 0644, 0), 0);
	return to;
}

static void refused(struct world *w, const char *path, int code, const char *text)
{
	struct cow_error err = { 0 };

	assert_int_equal(cow_host_load(w->host, path, &err), code);
	if (!strstr(err.message, text) || !strstr(err.message, path))
		fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

static void test_absent(void **state)
{
	struct world *w = *state;

	refused(w, "/nonexistent/x.so", -ENOENT, "No such file");
	/* No search path: a bare name is a file of the working directory. */
	refused(w, "libc.so.6", -ENOENT, "No such file");
}

static void test_mode(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = copy_of_plugin(w, w->root, "good");

	assert_int_equal(chmod(path, 0664), 0);
	refused(w, path, -EPERM, "writable by group or others (mode 0664)");
	assert_int_equal(chmod(path, 0646), 0);
	refused(w, path, -EPERM, "writable by group or others");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(cow_host_load(w->host, path, NULL), 0);
	assert_int_equal(unlink(path), 0);
}

static void test_owner(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = copy_of_plugin(w, w->root, "good");

	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		refused(w, path, -EPERM, "owned by uid 12345, not by root");
	}
	assert_int_equal(unlink(path), 0);
}

static void test_kind(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = cow_asprintf("%s/x.so", w->root);

	assert_int_equal(mkfifo(path, 0600), 0);
	refused(w, path, -EINVAL, "not a regular file"); /* and does not wait for a writer */
	assert_int_equal(unlink(path), 0);
	refused(w, w->root, -EINVAL, "not a regular file");
	assert_int_equal(cow_fs_write_atomic(path, "#!/bin/sh\n", 10, 0600, 0), 0);
	refused(w, path, -ENOEXEC, "");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("x.so", path), 0);
	refused(w, path, -ELOOP, "");
	assert_int_equal(unlink(path), 0);
}

static void test_symlink(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = cow_asprintf("%s/x.so", w->root);
	_cleanup_free_ char *target = cow_asprintf("%s/good.so", w->plugins);

	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(cow_host_load(w->host, path, NULL), 0);
	assert_int_equal(unlink(path), 0);
}

/* Where others could swap the file after it was judged, what was judged is what is mapped. */
static void test_untrusted_directory(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *good = NULL, *busy = NULL;
	const struct cow_plugin *first, *second;

	assert_int_equal(chmod(w->root, 0777), 0);
	good = copy_of_plugin(w, w->root, "good");
	busy = copy_of_plugin(w, w->root, "short_table");
	assert_int_equal(cow_host_load(w->host, good, NULL), 0);
	assert_int_equal(cow_host_load(w->host, busy, NULL), 0);
	first = cow_container_of(w->host->plugins.next, struct cow_plugin, node);
	second = cow_container_of(w->host->plugins.prev, struct cow_plugin, node);
	assert_true(first->fd >= 0 && second->fd >= 0);
	assert_string_equal(cow_plugin_name(first), "good");
	assert_string_equal(cow_plugin_name(second), "short");
	assert_int_equal(cow_host_init_all(w->host, NULL), 0);
	assert_int_equal(unlink(good), 0);
	assert_int_equal(unlink(busy), 0);
}

static void test_trusted_directory(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = copy_of_plugin(w, w->root, "good");

	/* By its name, so that debuggers find it. */
	assert_int_equal(cow_host_load(w->host, path, NULL), 0);
	assert_int_equal(cow_container_of(w->host->plugins.next, struct cow_plugin, node)->fd, -1);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_absent),
		world_test(test_mode),
		world_test(test_owner),
		world_test(test_kind),
		world_test(test_symlink),
		world_test(test_untrusted_directory),
		world_test(test_trusted_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
