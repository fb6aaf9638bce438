/* SPDX-License-Identifier: MIT */
/* Windows layers there and back in memory, names that are refused, and each allocation failing. */
#include "layer/tree.h"
#include "layer/win_private.h"
#include "tests/alloc_fail.h"
#include "tests/scratch.h"
#include "tests/unit/archive/make.h"

#include <archive/unpack.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct st_extent map[] = { { 0, 3 }, { 8192, 3 } };
static char large[6000];
static struct st_pax attributes[] = {
	{ (char *)"LIBARCHIVE.creationtime", (char *)"-11644473600.5", 14 },
	{ (char *)"MSWINDOWS.fileattr", (char *)"39", 2 },
	{ (char *)"MSWINDOWS.rawsd", (char *)"AQAEgA==", 8 },
	{ (char *)"MSWINDOWS.xattr.EA", (char *)"AAEC", 4 },
	{ (char *)"SCHILY.xattr.user.n", (char *)"a\0b\n=", 5 },
};
static struct st_pax oversized[] = { { (char *)"MSWINDOWS.rawsd", large, sizeof(large) - 1 } };
static struct st_pax junction[] = {
	{ (char *)"MSWINDOWS.fileattr", (char *)"1040", 4 },
	{ (char *)"MSWINDOWS.mountpoint", (char *)"1", 1 },
};

#define TIME { 1500000000, 123456700 }
#define TIMES .mtime = TIME, .atime = { -11644473600, 0 }, .has_atime = true, .ctime = TIME, .has_ctime = true
#define TEXT "abcdef"

static const struct st_entry base_layer[] = {
	{ .path = (char *)"Files/", .type = ST_TAR_DIRECTORY, .type_bits = S_IFDIR, TIMES,
	  .pax = attributes + 1, .pax_count = 2 },
	{ .path = (char *)"Files/z", .type = ST_TAR_FILE, .type_bits = S_IFREG, TIMES, .size = 6,
	  .stored = 6, .pax = attributes, .pax_count = 5 },
	{ .path = (char *)"Files/z:two", .type = ST_TAR_FILE, .type_bits = S_IFREG, .size = 6, .stored = 6 },
	{ .path = (char *)"Files/z:one", .type = ST_TAR_FILE, .mtime = { 1, 0 } },
	{ .path = (char *)"Files/a", .type = ST_TAR_HARD_LINK, .link = (char *)"Files/z" },
	{ .path = (char *)"Files/large", .type = ST_TAR_FILE, .mode = 0555, .uid = 7, .gid = 1000000000,
	  .uname = (char *)"u", .gname = (char *)"g", .pax = oversized, .pax_count = 1 },
	{ .path = (char *)"Files/sparse", .type = ST_TAR_FILE, .size = 10000, .stored = 6,
	  .extents = (struct st_extent *)map, .extent_count = 2 },
	{ .path = (char *)"Files/hole", .type = ST_TAR_FILE, .size = 1 << 20 },
	{ .path = (char *)"Files/j", .type = ST_TAR_SYMLINK, .link = (char *)"\\??\\C:\\x", TIMES,
	  .type_bits = S_IFLNK, .pax = junction, .pax_count = 2 },
	{ .path = (char *)"Hives/", .type = ST_TAR_DIRECTORY },
	{ .path = (char *)"UtilityVM/", .type = ST_TAR_DIRECTORY },
	{ .path = (char *)"UtilityVM/Files/", .type = ST_TAR_DIRECTORY },
};

static int archive_make(struct mem *mem, const struct st_entry *entries, size_t count)
{
	struct st_tar_writer *writer;
	int r = st_tar_writer_open(mem_write, mem, &writer);

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = st_tar_put(writer, &entries[i]);
		if (r == 0)
			r = st_tar_put_data(writer, TEXT, (size_t)entries[i].stored);
	}
	if (r == 0)
		r = st_tar_finish(writer);
	st_tar_writer_close(writer);
	return r;
}

static int import(struct mem *mem, const char *name, int parent, uint64_t *size, struct plug_error *err)
{
	struct st_tar *tar = NULL;
	int fd, r = st_tar_open(mem_read, mem, NULL, &tar);

	mem->at = 0;
	if (r < 0)
		return r;
	assert_int_equal(mkdir(name, 0700), 0);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = st_win_import(tar, fd, &parent, parent >= 0, size, err);
	st_tar_close(tar);
	(void)close(fd);
	return r;
}

static int export(const char *name, struct mem *mem, struct plug_error *err)
{
	struct st_tar_writer *writer;
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = st_tar_writer_open(mem_write, mem, &writer);

	if (r == 0) {
		r = st_win_export(fd, writer, err);
		if (r == 0)
			r = st_tar_finish(writer);
		st_tar_writer_close(writer);
	}
	(void)close(fd);
	return r;
}

static void wipe(const char *name)
{
	int r = st_remove_tree(AT_FDCWD, name);

	assert_true(r == 0 || r == -ENOENT);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_there_and_back(void **state)
{
	struct mem in = { 0 }, out = { 0 };
	struct plug_error err = { 0 };
	uint64_t size = 0;

	(void)state;
	assert_true(scratch_enter());
	memset(large, 'A', sizeof(large) - 1);
	assert_int_equal(archive_make(&in, base_layer, COUNT(base_layer)), 0);
	assert_int_equal(import(&in, "base", -1, &size, &err), 0);
	assert_int_equal(size, 6 + 10000 + (1 << 20));
	assert_int_equal(export("base", &out, &err), 0);
	assert_int_equal(in.size, out.size);
	assert_memory_equal(in.data, out.data, in.size);
	wipe("base");
	mem_free(&in);
	mem_free(&out);
	assert_true(scratch_leave());
}

static void test_without_memory(void **state)
{
	struct mem in = { 0 };

	(void)state;
	assert_true(scratch_enter());
	memset(large, 'A', sizeof(large) - 1);
	assert_int_equal(archive_make(&in, base_layer, COUNT(base_layer)), 0);
	alloc_fail_each(n) {
		struct plug_error err = { 0 };
		struct mem out = { 0 };
		uint64_t size;
		int r = import(&in, "base", -1, &size, &err);

		if (r == 0)
			r = export("base", &out, &err);
		if (!alloc_fail_stop())
			assert_int_equal(r, 0);
		assert_true(r == 0 || r == -ENOMEM);
		if (r == 0) {
			assert_int_equal(in.size, out.size);
			assert_memory_equal(in.data, out.data, in.size);
		}
		wipe("base");
		mem_free(&out);
	}
	mem_free(&in);
	assert_true(scratch_leave());
}

static const struct {
	const char *text, *path, *cause;
} names[] = {
	{ "Files", "Files", NULL },
	{ "./Files//a/./b/", "Files/a/b", NULL },
	{ "Hives/.x", "Hives/.x", NULL },
	{ "UtilityVM/Files/con1", "UtilityVM/Files/con1", NULL },
	{ "", NULL, "not below" },
	{ "files/x", NULL, "not below" },
	{ "Filesx", NULL, "not below" },
	{ "/Files/x", NULL, "expected relative path" },
	{ "Files/../x", NULL, "path leads upwards" },
	{ "Files/a:b", NULL, "path contains invalid character `:`" },
	{ "Files/a\\b", NULL, "path contains invalid character `\\`" },
	{ "Files/a\x01", NULL, "path contains an invalid character" },
	{ "Files/a*", NULL, "path contains an invalid character" },
	{ "Files/NUL", NULL, "name is reserved for a device" },
	{ "Files/lpt9.x/y", NULL, "name is reserved for a device" },
	{ "Files/aux .c", NULL, "name is reserved for a device" },
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *cause = NULL;
		char *path = NULL;
		int r = win_name_clean(names[i].text, &path, &cause);

		assert_int_equal(r, names[i].path ? 0 : -EINVAL);
		if (names[i].path)
			assert_string_equal(path, names[i].path);
		else
			assert_int_equal(strncmp(cause, names[i].cause, strlen(names[i].cause)), 0);
		free(path);
	}
}

static void test_targets(void **state)
{
	static const char *const targets[][3] = {
		{ "Files/Users", "\\??\\C:\\Windows", "Windows" },
		{ "Files/a/b/c", "\\??\\C:\\x\\y", "../../x/y" },
		{ "Files/a", "C:\\", "." },
		{ "Files/a/b", "c:/x", "../x" },
		{ "Files/a/b", "..\\x", "../x" },
		{ "Files/a", "\\??\\Volume{1}\\x", "/?\?/Volume{1}/x" },
		{ "Hives/a", "\\\\?\\C:\\x", "x" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++) {
		char *text = win_name_target(targets[i][0], targets[i][1]);

		assert_string_equal(text, targets[i][2]);
		free(text);
	}
}

/* What a broken or hostile list of entries says is refused, not followed. */
static void test_entries(void **state)
{
	static const char *const bad[] = {
		"x", "99999999999999999999 path=x\n", "12 path=Files", "4 =\n", "13 path=Files",
		"13 mswin.x=1\n", "13 path=Files\n10 foo=1\n", "13 path=Files\n",
		"21 path=../../etc/evil\n9 type=0\n", "20 path=/etc/passwd\n9 type=0\n",
	};

	(void)state;
	assert_true(scratch_enter());
	assert_int_equal(mkdir("base", 0700), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct plug_error err = { 0 };
		struct mem out = { 0 };
		FILE *file = fopen("base/entries", "we");

		assert_non_null(file);
		assert_true(fputs(bad[i], file) >= 0);
		assert_int_equal(fclose(file), 0);
		assert_true(export("base", &out, &err) < 0);
		mem_free(&out);
	}
	wipe("base");
	assert_true(scratch_leave());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_names),	       cmocka_unit_test(test_targets),
		cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
