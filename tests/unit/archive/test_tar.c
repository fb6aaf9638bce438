/* SPDX-License-Identifier: MIT */
#include "archive/tar.h"
#include "make.h"
#include "tests/alloc_fail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char long_name[3000];

static const struct st_extent map[] = { { 0, 10 }, { 4096, 1000 }, { 1 << 20, 1 } };
static struct st_pax attributes[] = {
	{ (char *)"SCHILY.xattr.user.a", (char *)"one\0two\n=", 9 },
	{ (char *)"MSWINDOWS.rawsd", (char *)"AQ==", 4 },
	{ (char *)"path", (char *)"ignored", 7 },
	{ (char *)"LIBARCHIVE.creationtime", (char *)"", 0 },
};

/* One of each kind, and of each thing that ustar cannot say. */
static const struct st_entry kinds[] = {
	{ .path = (char *)"d/", .type = ST_TAR_DIRECTORY, .mode = 01777, .uid = 1, .gid = 2,
	  .uname = (char *)"root", .gname = (char *)"wheel" },
	{ .path = (char *)"d/empty", .type = ST_TAR_FILE, .mode = 0600 },
	{ .path = (char *)"d/file", .type = ST_TAR_FILE, .mode = 04755, .size = 1000, .stored = 1000,
	  .mtime = { 1700000000, 0 } },
	{ .path = (char *)"d/hard", .type = ST_TAR_HARD_LINK, .link = (char *)"d/file" },
	{ .path = (char *)"d/soft", .type = ST_TAR_SYMLINK, .link = (char *)"../../x", .mode = 0777 },
	{ .path = (char *)"null", .type = ST_TAR_CHAR, .major = 1, .minor = 3 },
	{ .path = (char *)"disk", .type = ST_TAR_BLOCK, .major = 4095, .minor = 4294967295u },
	{ .path = (char *)"pipe", .type = ST_TAR_FIFO },
	{ .path = (char *)"old", .type = ST_TAR_FILE, .mtime = { -1, 250000000 } },
	{ .path = (char *)"older", .type = ST_TAR_FILE, .mtime = { -3000000000, 0 } },
	{ .path = (char *)"late", .type = ST_TAR_FILE, .mtime = { 99999999999, 999999999 },
	  .has_atime = true, .atime = { 5, 1 }, .has_ctime = true, .ctime = { -5, 500000000 } },
	{ .path = (char *)"ids", .type = ST_TAR_FILE, .uid = 4294967294, .gid = 1ull << 40 },
	{ .path = (char *)"pax", .type = ST_TAR_FILE, .pax = attributes, .pax_count = 4 },
	{ .path = (char *)"sparse", .type = ST_TAR_FILE, .size = 1 << 21, .stored = 1011,
	  .extents = (struct st_extent *)map, .extent_count = 3 },
	{ .path = (char *)"hole", .type = ST_TAR_FILE, .size = 1ull << 40 },
	{ .path = long_name, .type = ST_TAR_SYMLINK, .link = long_name + 1 },
	{ .path = (char *)"\xff\xfe not utf-8 \n", .type = ST_TAR_FILE },
	{ .path = (char *)"names", .type = ST_TAR_FILE, .uname = long_name + 2900,
	  .gname = (char *)"a name that has a good deal more than 32 bytes" },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static int write_kinds(struct mem *mem)
{
	struct st_tar_writer *writer;
	int r = st_tar_writer_open(mem_write, mem, &writer);

	if (r)
		return r;
	for (size_t i = 0; !r && i < KINDS; i++) {
		r = st_tar_put(writer, &kinds[i]);
		for (size_t at = 0; !r && at < kinds[i].stored; at++) {
			uint8_t byte = byte_at(at);
			r = st_tar_put_data(writer, &byte, 1);
		}
	}
	if (!r)
		r = st_tar_finish(writer);
	st_tar_writer_close(writer);
	return r;
}

static void same_text(const char *a, const char *b)
{
	assert_string_equal(a ? a : "", b ? b : "");
}

static void same_time(struct timespec a, struct timespec b)
{
	assert_int_equal(a.tv_sec, b.tv_sec);
	assert_int_equal(a.tv_nsec, b.tv_nsec);
}

static void same_entry(const struct st_entry *a, const struct st_entry *b)
{
	same_text(a->path, b->path);
	same_text(a->link, b->link);
	same_text(a->uname, b->uname);
	same_text(a->gname, b->gname);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->stored, b->stored);
	assert_int_equal(a->major, b->major);
	assert_int_equal(a->minor, b->minor);
	assert_int_equal(a->has_atime, b->has_atime);
	assert_int_equal(a->has_ctime, b->has_ctime);
	same_time(a->mtime, b->mtime);
	same_time(a->atime, b->atime);
	same_time(a->ctime, b->ctime);
	assert_int_equal(a->extent_count, b->extent_count);
	for (size_t i = 0; i < a->extent_count; i++)
		assert_memory_equal(&a->extents[i], &b->extents[i], sizeof(a->extents[i]));
}

static void same_data(struct st_tar *tar, const struct st_entry *entry)
{
	uint8_t bytes[333];
	size_t done = 0;
	ssize_t n;

	while ((n = st_tar_read(tar, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], byte_at(done++));
	assert_int_equal(n, 0);
	assert_int_equal(done, entry->stored);
}

static void test_round_trip(void **state)
{
	static const size_t pieces[] = { 0, 1, 7, 511, 512, 513 };
	struct mem mem = { 0 }, again = { 0 };
	const struct st_entry *entry;

	(void)state;
	assert_int_equal(write_kinds(&mem), 0);
	assert_int_equal(mem.size % 512, 0);
	assert_int_equal(write_kinds(&again), 0);
	assert_int_equal(mem.size, again.size);
	assert_memory_equal(mem.data, again.data, mem.size);
	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		for (int skip = 0; skip < 2; skip++) {
			const struct st_limits limits = { .max_bytes = 1ull << 41 };
			struct st_tar *tar;

			mem.at = 0;
			mem.piece = pieces[p];
			assert_int_equal(st_tar_open(mem_read, &mem, &limits, &tar), 0);
			for (size_t i = 0; i < KINDS; i++) {
				assert_int_equal(st_tar_next(tar, &entry), 1);
				same_entry(&kinds[i], entry);
				if (!skip)
					same_data(tar, entry);
			}
			assert_int_equal(st_tar_next(tar, &entry), 0);
			assert_int_equal(st_tar_next(tar, &entry), 0);
			assert_int_equal(st_tar_read(tar, again.data, 1), 0);
			assert_string_equal(st_tar_error(tar), "");
			st_tar_close(tar);
		}
	}
	mem_free(&mem);
	mem_free(&again);
}

static void test_pax_is_kept(void **state)
{
	struct st_entry pax = { .path = (char *)"f", .type = ST_TAR_FILE, .pax = attributes,
				.pax_count = 4 };
	struct mem mem = { 0 };
	struct st_tar_writer *writer;
	struct st_tar *tar;
	const struct st_entry *entry;

	(void)state;
	assert_int_equal(st_tar_writer_open(mem_write, &mem, &writer), 0);
	assert_int_equal(st_tar_put(writer, &pax), 0);
	assert_int_equal(st_tar_finish(writer), 0);
	st_tar_writer_close(writer);
	assert_int_equal(st_tar_open(mem_read, &mem, NULL, &tar), 0);
	assert_int_equal(st_tar_next(tar, &entry), 1);
	assert_int_equal(entry->pax_count, 3);
	assert_memory_equal(st_entry_pax(entry, "SCHILY.xattr.user.a")->value, "one\0two\n=", 10);
	assert_int_equal(st_entry_pax(entry, "SCHILY.xattr.user.a")->size, 9);
	assert_string_equal(st_entry_pax(entry, "MSWINDOWS.rawsd")->value, "AQ==");
	assert_int_equal(st_entry_pax(entry, "LIBARCHIVE.creationtime")->size, 0);
	assert_null(st_entry_pax(entry, "path"));
	st_tar_close(tar);
	mem_free(&mem);
}

/* Every length around where a name no longer fits, and where a record's own length grows. */
static void test_every_length(void **state)
{
	static const size_t slashes[] = { 0, 1, 50, 99, 100, 101, 154, 155, 156 };
	char name[400];

	(void)state;
	for (size_t s = 0; s < sizeof(slashes) / sizeof(slashes[0]); s++) {
		for (size_t n = 1; n < 300; n++) {
			struct st_entry link = { .path = name, .link = name, .type = ST_TAR_SYMLINK };
			struct mem mem = { 0 };
			struct st_tar_writer *writer;
			struct st_tar *tar;
			const struct st_entry *entry;

			memset(name, 'n', n);
			if (slashes[s] < n)
				name[slashes[s]] = '/';
			name[n] = 0;
			assert_int_equal(st_tar_writer_open(mem_write, &mem, &writer), 0);
			assert_int_equal(st_tar_put(writer, &link), 0);
			assert_int_equal(st_tar_finish(writer), 0);
			st_tar_writer_close(writer);
			assert_int_equal(st_tar_open(mem_read, &mem, NULL, &tar), 0);
			assert_int_equal(st_tar_next(tar, &entry), 1);
			assert_string_equal(entry->path, name);
			assert_string_equal(entry->link, name);
			assert_int_equal(st_tar_next(tar, &entry), 0);
			st_tar_close(tar);
			mem_free(&mem);
		}
	}
}

static void test_writer_refuses(void **state)
{
	const struct st_extent overlap[] = { { 0, 10 }, { 9, 1 } }, beyond[] = { { 95, 6 } };
	struct st_pax no_key = { (char *)"", (char *)"", 0 }, equals = { (char *)"a=b", (char *)"", 0 };
	struct st_entry bad[] = {
		{ .path = NULL, .type = '0' },
		{ .path = (char *)"", .type = '0' },
		{ .path = (char *)"a/", .type = '0' },
		{ .path = (char *)"a", .type = 0 },
		{ .path = (char *)"a", .type = 'x' },
		{ .path = (char *)"a", .type = '0', .mode = 010000 },
		{ .path = (char *)"a", .type = '0', .size = 5, .stored = 4 },
		{ .path = (char *)"a", .type = '0', .size = 0, .stored = 4 },
		{ .path = (char *)"a", .type = '5', .size = 1, .stored = 1 },
		{ .path = (char *)"a", .type = '0', .size = UINT64_MAX, .stored = UINT64_MAX },
		{ .path = (char *)"a", .type = '0', .size = 100, .stored = 11,
		  .extents = (struct st_extent *)overlap, .extent_count = 2 },
		{ .path = (char *)"a", .type = '0', .size = 100, .stored = 6,
		  .extents = (struct st_extent *)beyond, .extent_count = 1 },
		{ .path = (char *)"a", .type = '0', .pax = &no_key, .pax_count = 1 },
		{ .path = (char *)"a", .type = '0', .pax = &equals, .pax_count = 1 },
	};
	struct st_entry file = { .path = (char *)"a", .type = '0', .size = 2, .stored = 2 };
	struct mem mem = { 0 };
	struct st_tar_writer *writer;

	(void)state;
	assert_int_equal(st_tar_writer_open(mem_write, &mem, &writer), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(st_tar_put(writer, &bad[i]), -EINVAL);
	assert_int_equal(st_tar_put(writer, &file), 0);
	assert_int_equal(st_tar_put_data(writer, "abc", 3), -EPROTO);
	assert_int_equal(st_tar_put_data(writer, "a", 1), 0);
	assert_int_equal(st_tar_put(writer, &file), -EPROTO);
	assert_int_equal(st_tar_finish(writer), -EPROTO);
	assert_int_equal(st_tar_put_data(writer, "b", 1), 0);
	assert_int_equal(st_tar_finish(writer), 0);
	assert_int_equal(mem.size, 512 + 512 + 1024);
	st_tar_writer_close(writer);
	st_tar_writer_close(NULL);
	mem_free(&mem);
}

static int write_fails(void *arg, const void *data, size_t size)
{
	(void)data;
	(void)size;
	return (*(int *)arg)-- > 0 ? 0 : -ENOSPC;
}

static void test_writer_out_of_space(void **state)
{
	static uint8_t big[100000];
	struct st_entry file = { .path = (char *)"a", .type = '0', .size = sizeof(big),
				 .stored = sizeof(big) };

	(void)state;
	for (int after = 0; after < 4; after++) {
		struct st_tar_writer *writer;
		int left = after, r;

		assert_int_equal(st_tar_writer_open(write_fails, &left, &writer), 0);
		r = st_tar_put(writer, &file);
		if (!r)
			r = st_tar_put_data(writer, big, sizeof(big));
		if (!r)
			r = st_tar_finish(writer);
		assert_int_equal(r, after < 3 ? -ENOSPC : 0);
		if (r)
			assert_int_equal(st_tar_finish(writer), -ENOSPC);
		st_tar_writer_close(writer);
	}
}

static int read_all(struct mem *mem)
{
	const struct st_limits limits = { .max_bytes = 1ull << 41 };
	const struct st_entry *entry;
	struct st_tar *tar;
	int r;

	mem->at = 0;
	r = st_tar_open(mem_read, mem, &limits, &tar);
	if (r)
		return r;
	while ((r = st_tar_next(tar, &entry)) > 0)
		;
	st_tar_close(tar);
	return r;
}

static void test_without_memory(void **state)
{
	struct mem mem = { .cap = 1 << 20, .data = malloc(1 << 20) };

	(void)state;
	assert_non_null(mem.data);
	alloc_fail_each(n)
	{
		int r;

		mem.size = 0;
		r = write_kinds(&mem);
		assert_int_equal(r, alloc_fail_stop() ? -ENOMEM : 0);
	}
	alloc_fail_each(n)
	{
		int r = read_all(&mem);
		assert_int_equal(r, alloc_fail_stop() ? -ENOMEM : 0);
	}
	mem_free(&mem);
}

/* umoci's archives end so: behind the data of the last file nothing. */
static bool ends_with_data(const struct mem *mem)
{
	const char *bytes = (const char *)mem->data;
	size_t n = mem->size;

	while (n % 512 && !bytes[n])
		n++;
	return n % 512 == 0 && bytes[mem->size - 1];
}

/* Cut off anywhere: an error, unless nothing but the zeros at the end is missing. */
static void test_cut_anywhere(void **state)
{
	struct mem mem = { 0 };
	size_t whole;

	(void)state;
	assert_int_equal(write_kinds(&mem), 0);
	whole = mem.size;
	for (mem.size = 1; mem.size < whole; mem.size++) {
		int r = read_all(&mem);

		if (!r && mem.size % 512)
			assert_true(ends_with_data(&mem));
		else if (mem.size % 512 || (r && mem.size < whole - 1024))
			assert_int_equal(r, -EBADMSG);
		else
			assert_int_equal(r, 0);
	}
	mem.fail = -EIO;
	mem.size = whole / 2;
	assert_int_equal(read_all(&mem), -EIO);
	mem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_pax_is_kept),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_writer_refuses),
		cmocka_unit_test(test_writer_out_of_space),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_cut_anywhere),
	};
	for (size_t i = 0; i + 1 < sizeof(long_name); i++)
		long_name[i] = i % 80 == 79 ? '/' : 'x';
	return cmocka_run_group_tests(tests, NULL, NULL);
}
