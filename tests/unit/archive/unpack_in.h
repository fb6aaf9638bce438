/* SPDX-License-Identifier: MIT */
/* Unpacking as root into a directory of the test's own, beside which lies what must not be touched. */
#ifndef ST_TESTS_ARCHIVE_UNPACK_H
#define ST_TESTS_ARCHIVE_UNPACK_H

#include "archive/unpack.h"
#include "make.h"
#include "tests/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <cmocka.h>

static struct st_unpack_options options;
static struct st_unpack_result result;
static char error[512];

/* Unpacks the archive (its end is added) into t/, then forgets it. */
static inline int unpack(struct mem *mem)
{
	int to = open("t", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct st_tar *tar;

	assert_true(to >= 0);
	mem_end(mem);
	mem->at = 0;
	assert_int_equal(st_tar_open(mem_read, mem, NULL, &tar), 0);
	free(result.implied);
	memset(&result, 0, sizeof(result));
	r = st_unpack(tar, to, &options, &result, error, sizeof(error));
	st_tar_close(tar);
	(void)close(to);
	mem->size = 0;
	if (!r)
		assert_string_equal(error, "");
	else
		assert_true(error[0]);
	return r;
}

static inline void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline void holds(const char *path, const char *text)
{
	char buffer[256] = { 0 };
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		print_error("%s: %s\n", path, strerror(errno));
	assert_true(fd >= 0);
	assert_true(read(fd, buffer, sizeof(buffer) - 1) >= 0);
	(void)close(fd);
	assert_string_equal(buffer, text);
}

static inline struct stat stat_of(const char *path)
{
	struct stat st = { 0 };

	if (lstat(path, &st))
		print_error("%s: %s\n", path, strerror(errno));
	return st;
}

static inline bool gone(const char *path)
{
	struct stat st;

	return lstat(path, &st) && errno == ENOENT;
}

/* t/ is the directory; outside/ and its file are never to change. */
static inline int setup(void **state)
{
	(void)state;
	memset(&options, 0, sizeof(options));
	if (!scratch_enter() || mkdir("t", 0755) || mkdir("outside", 0755))
		return -1;
	put("outside/file", "untouched");
	return 0;
}

static inline int teardown(void **state)
{
	static const char *const names[] = { "t", "outside" };

	(void)state;
	holds("outside/file", "untouched");
	assert_int_equal(stat_of("outside").st_nlink, 2);
	assert_int_equal(stat_of("outside/file").st_nlink, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(st_remove_tree(AT_FDCWD, names[i]), 0);
	free(result.implied);
	result.implied = NULL;
	return scratch_leave() ? 0 : -1; /* and nothing else lies there */
}

static inline void set(struct mem *mem, size_t at, unsigned field, const char *text)
{
	memcpy(mem->data + at + field, text, strlen(text) + 1);
	mem_sum(mem->data + at);
}

static inline bool is_whiteout(const char *path)
{
	struct stat st = stat_of(path);

	return S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static inline bool is_opaque(const char *path)
{
	char value;

	return lgetxattr(path, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
