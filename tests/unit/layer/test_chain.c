/* SPDX-License-Identifier: MIT */
#include "layer/chain.h"
#include "layer/tree.h"
#include "tests/alloc_fail.h"
#include "tests/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static int here(void)
{
	return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_there_and_back(void **state)
{
	struct st_chain chain = { 0 }, back;
	struct plug_error err = { 0 };
	int fd;

	(void)state;
	assert_true(scratch_enter());
	fd = here();
	assert_int_equal(st_chain_read(fd, &back, &err), 0);
	assert_int_equal(back.count, 0);
	assert_int_equal(st_chain_add(&chain, "/a/b/", &err), 0);
	assert_int_equal(st_chain_add(&chain, "/c \"d\"", &err), 0);
	assert_int_equal(st_chain_add(&chain, "relative", &err), -EINVAL);
	assert_int_equal(st_chain_write(fd, &chain, &err), 0);
	assert_int_equal(st_chain_read(fd, &back, &err), 0);
	assert_int_equal(back.count, 2);
	assert_string_equal(back.path[0], "/a/b");
	assert_string_equal(back.path[1], "/c \"d\"");
	st_chain_finish(&chain);
	st_chain_finish(&back);
	assert_int_equal(unlinkat(fd, "layerchain.json", 0), 0);
	(void)close(fd);
	assert_true(scratch_leave());
}

static const struct {
	const char *text, *message;
} bad[] = {
	{ "", "Failed to unmarshall layerchain json - " },
	{ "{}", "Failed to unmarshall layerchain json - not an array of paths" },
	{ "[1]", "Failed to unmarshall layerchain json - not an array of paths" },
	{ "[\"a\"]", "Failed to unmarshall layerchain json - layer a: not an absolute path" },
	{ "[\"/a\"", "Failed to unmarshall layerchain json - " },
};

static void test_bad_ones(void **state)
{
	int fd;

	(void)state;
	assert_true(scratch_enter());
	fd = here();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct plug_error err = { 0 };
		struct st_chain chain;

		assert_int_equal(st_tree_write_file(fd, "layerchain.json", 0600, bad[i].text,
						    strlen(bad[i].text)), 0);
		assert_true(st_chain_read(fd, &chain, &err) < 0);
		assert_int_equal(strncmp(err.text, bad[i].message, strlen(bad[i].message)), 0);
	}
	assert_int_equal(unlinkat(fd, "layerchain.json", 0), 0);
	assert_int_equal(mkdirat(fd, "layerchain.json", 0700), 0);
	{
		struct plug_error err = { 0 };
		struct st_chain chain;

		assert_true(st_chain_read(fd, &chain, &err) < 0);
		assert_non_null(strstr(err.text, "Unable to read layerchain file - "));
		chain = (struct st_chain){ 0 };
		assert_true(st_chain_write(fd, &chain, &err) < 0);
		assert_non_null(strstr(err.text, "Unable to write layerchain file - "));
	}
	assert_int_equal(unlinkat(fd, "layerchain.json", AT_REMOVEDIR), 0);
	(void)close(fd);
	assert_true(scratch_leave());
}

static void test_without_memory(void **state)
{
	int fd;

	(void)state;
	assert_true(scratch_enter());
	fd = here();
	alloc_fail_each(n) {
		struct st_chain chain = { 0 }, back = { 0 };
		struct plug_error err = { 0 };
		int r = st_chain_add(&chain, "/a", &err);

		if (r == 0)
			r = st_chain_write(fd, &chain, &err);
		if (r == 0)
			r = st_chain_read(fd, &back, &err);
		assert_true(!alloc_fail_stop() ? r == 0 : r == 0 || r == -ENOMEM);
		st_chain_finish(&chain);
		st_chain_finish(&back);
	}
	(void)unlinkat(fd, "layerchain.json", 0);
	(void)close(fd);
	assert_true(scratch_leave());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_bad_ones),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
