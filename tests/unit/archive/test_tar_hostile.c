/* SPDX-License-Identifier: MIT */
/* Archives that are broken, or made to break their reader. */
#include "archive/tar.h"
#include "make.h"
#include "tests/alloc_fail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct st_limits no_limits;

/* Reads all of it; *ret: what the last entry was. */
static int read_with(struct mem *mem, const struct st_limits *limits, struct st_entry *ret,
		     char *error)
{
	const struct st_entry *entry;
	struct st_tar *tar;
	const void *data;
	int r;

	mem->at = 0;
	assert_int_equal(st_tar_open(mem_read, mem, limits, &tar), 0);
	while ((r = st_tar_next(tar, &entry)) > 0) {
		ssize_t n;

		*ret = *entry;
		while ((n = st_tar_take(tar, &data)) > 0)
			;
		if (n < 0) {
			r = (int)n;
			break;
		}
	}
	(void)snprintf(error, 320, "%s", st_tar_error(tar));
	if (r) { /* it stays so */
		assert_int_equal(st_tar_next(tar, &entry), r);
		assert_int_equal(st_tar_read(tar, error + 319, 1), r);
		assert_int_equal(st_tar_take(tar, &data), r);
		assert_true(error[0]);
	} else {
		assert_string_equal(error, "");
	}
	st_tar_close(tar);
	return r;
}

static int read_it(struct mem *mem)
{
	struct st_entry last;
	char error[320];
	int r = read_with(mem, &no_limits, &last, error);

	mem_free(mem);
	return r;
}

static void test_numbers(void **state)
{
	static const struct {
		const char *field; /* of 12 bytes: the size */
		size_t length;
		int64_t size; /* negative: an error */
	} cases[] = {
		{ "00000000005", 12, 5 },
		{ "5 ", 2, 5 },
		{ "     5\0    8", 12, 5 },
		{ "000000000005", 12, 5 },
		{ "", 0, 0 },
		{ "            ", 12, 0 },
		{ "9", 1, -1 },
		{ "-1", 2, -1 },
		{ "5x", 2, -1 },
		{ "5 5", 3, -1 },
		{ "\x80\0\0\0\0\0\0\0\0\0\0\5", 12, 5 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, -1 }, /* -1 */
		{ "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12, -1 },
		{ "\x80\0\0\1\0\0\0\0\0\0\0\0", 12, -1 }, /* 2^64 */
		{ "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, -1 },
		{ "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, -1 },
		{ "\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, -1 },
		{ "\xc0\0\0\0\0\0\0\0\0\0\0\5", 12, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mem mem = { 0 };
		struct st_entry last;
		char error[320];
		size_t at = mem_header(&mem, "f", '0', 0, NULL);
		int r;

		memset(mem.data + at + 124, 0, 12);
		memcpy(mem.data + at + 124, cases[i].field, cases[i].length);
		mem_sum(mem.data + at);
		mem_data(&mem, "12345", cases[i].size > 0 ? 5 : 0);
		mem_end(&mem);
		r = read_with(&mem, NULL, &last, error);
		assert_int_equal(r, cases[i].size < 0 ? -EBADMSG : 0);
		if (!r)
			assert_int_equal(last.size, cases[i].size);
		mem_free(&mem);
	}
}

/* Every value of every byte of a header: an answer, whatever it is. */
static void test_every_byte(void **state)
{
	(void)state;
	for (size_t at = 0; at < 512; at++) {
		for (unsigned value = 0; value < 256; value += at == 156 ? 1 : 17) {
			struct mem mem = { 0 };

			(void)mem_header(&mem, "file", '0', 5, "link");
			mem.data[at] = (uint8_t)value;
			mem_sum(mem.data);
			mem_data(&mem, "12345", 5);
			mem_end(&mem);
			(void)read_it(&mem);
		}
	}
}

static void test_checksum(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	mem_file(&mem, "f", "text");
	mem.data[0] ^= 1;
	assert_int_equal(read_it(&mem), -EBADMSG);
	mem_zeros(&mem, 512);
	mem_file(&mem, "f", "text");
	assert_int_equal(read_it(&mem), -EBADMSG); /* a lone block of zeros */
	(void)mem_write(&mem, "not a tar", 9);
	mem_pad(&mem);
	assert_int_equal(read_it(&mem), -EBADMSG);
	assert_int_equal(read_it(&mem), 0); /* nothing at all */
	mem_end(&mem);
	(void)mem_write(&mem, "whatever comes behind the end", 29);
	assert_int_equal(read_it(&mem), 0);
}

static void test_pax_records(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		int r;
	} cases[] = {
		{ "6 a=b\n", 6, 0 },
		{ "5 a=\n", 5, 0 },
		{ "06 a=b\n", 7, -EBADMSG }, /* 6 ends before its newline */
		{ "007 a=\n", 7, 0 },
		{ "7 a=b\n", 6, -EBADMSG }, /* beyond the end */
		{ "5 a=b\n", 6, -EBADMSG }, /* does not end in a newline */
		{ "6 a=b ", 6, -EBADMSG },
		{ "0 a=b\n", 6, -EBADMSG },
		{ "1 a=b\n", 6, -EBADMSG },
		{ "-6 a=b\n", 7, -EBADMSG },
		{ "6\ta=b\n", 6, -EBADMSG },
		{ " 6 a=b\n", 7, -EBADMSG },
		{ "6", 1, -EBADMSG },
		{ "6 ", 2, -EBADMSG },
		{ "5 =b\n", 5, -EBADMSG },
		{ "5 ab\n", 5, -EBADMSG },
		{ "3 \n", 3, -EBADMSG },
		{ "99999999999999999999999 a=b\n", 28, -EBADMSG },
		{ "18446744073709551622 a=b\n", 25, -EBADMSG }, /* 2^64 + 6 */
		{ "6 a=b\n\0\0\0", 9, -EBADMSG },
		{ "7 a\0=b\n", 7, -EBADMSG },
		{ "11 path=a\0b\n", 12, -EBADMSG },
		{ "12 path=a\0b\n", 12, -EBADMSG }, /* a name with a NUL */
		{ "9 size=x\n", 9, -EBADMSG },
		{ "10 size=-1\n", 11, -EBADMSG },
		{ "11 size=-1\n", 11, -EBADMSG },
		{ "29 size=18446744073709551615\n", 29, -EBADMSG },
		{ "28 size=9223372036854775807\n", 28, -EBADMSG },
		{ "8 uid=x\n", 8, -EBADMSG },
		{ "10 mtime=\n", 10, 0 }, /* empty: as if it were not there */
		{ "11 mtime=-\n", 11, -EBADMSG },
		{ "12 mtime=.5\n", 12, -EBADMSG },
		{ "13 mtime=1.x\n", 13, -EBADMSG },
		{ "12 mtime=1.\n", 12, 0 },
		{ "26 mtime=1.12345678999999\n", 26, 0 },
		{ "32 mtime=99999999999999999999.0\n", 32, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int global = 0; global < 2; global++) {
			struct mem mem = { 0 };
			int r;

			mem_extended(&mem, global ? 'g' : 'x', cases[i].text, cases[i].size);
			mem_file(&mem, "f", "");
			mem_end(&mem);
			r = read_it(&mem);
			if (r != cases[i].r)
				print_error("record: %s\n", cases[i].text);
			assert_int_equal(r, cases[i].r);
		}
	}
}

static void test_pax_precedence(void **state)
{
	struct mem mem = { 0 };
	struct st_entry last;
	char error[320], text[256];
	size_t n;

	(void)state;
	/* The local one counts, an empty one takes the global one back, the last of two counts. */
	mem_extended(&mem, 'g', "12 gname=gg\n12 uname=gu\n11 mtime=7\n", 35);
	n = record_of(text, sizeof(text), "gname", "", 0);
	n += record_of(text + n, sizeof(text) - n, "uname", "one", 3);
	n += record_of(text + n, sizeof(text) - n, "uname", "two", 3);
	mem_extended(&mem, 'x', text, n);
	mem_file(&mem, "f", "");
	mem_end(&mem);
	assert_int_equal(read_with(&mem, NULL, &last, error), 0);
	assert_int_equal(last.mtime.tv_sec, 7);
	assert_int_equal(last.pax_count, 6);
	mem_free(&mem);
}

static void test_extended_without_entry(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	mem_pax(&mem, "path", "x");
	mem_end(&mem);
	assert_int_equal(read_it(&mem), -EBADMSG);
	mem_extended(&mem, 'L', "name", 5);
	assert_int_equal(read_it(&mem), -EBADMSG);
	mem_extended(&mem, 'g', "6 a=b\n", 6); /* git writes such an archive of nothing */
	mem_end(&mem);
	assert_int_equal(read_it(&mem), 0);
	(void)mem_header(&mem, "f", 'M', 0, NULL);
	assert_int_equal(read_it(&mem), -EBADMSG);
}

static void test_limits(void **state)
{
	const struct st_limits few = { .max_entries = 10 }, bytes = { .max_bytes = 100 },
			       names = { .max_name = 50 }, pax = { .max_pax_bytes = 2048 };
	char error[320], *text = calloc(1, 2 << 20);
	struct mem mem = { 0 };
	struct st_entry last;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < 10; i++)
		mem_file(&mem, "f", "");
	assert_int_equal(read_with(&mem, &few, &last, error), 0);
	mem_extended(&mem, 'g', "6 a=b\n", 6); /* headers without end are none the better */
	assert_int_equal(read_with(&mem, &few, &last, error), -E2BIG);
	assert_non_null(strstr(error, "more than 10 entries"));
	mem_free(&mem);

	(void)mem_header(&mem, "f", '0', 60, NULL);
	mem_zeros(&mem, 512);
	assert_int_equal(read_with(&mem, &bytes, &last, error), 0);
	(void)mem_header(&mem, "bomb", '0', 60, NULL);
	mem_zeros(&mem, 512);
	assert_int_equal(read_with(&mem, &bytes, &last, error), -EFBIG);
	assert_string_equal(error, "entry bomb: more than 100 bytes, which is the limit");
	mem_free(&mem);

	/* Attributes are bytes too, and global ones count for each entry. */
	memset(text, 'v', 60);
	text[60] = 0;
	(void)record_of(text + 100, 200, "SCHILY.xattr.user.a", text, 60);
	mem_extended(&mem, 'g', text + 100, strlen(text + 100));
	mem_file(&mem, "a", "");
	assert_int_equal(read_with(&mem, &bytes, &last, error), 0);
	mem_file(&mem, "b", "");
	assert_int_equal(read_with(&mem, &bytes, &last, error), -EFBIG);
	mem_free(&mem);

	memset(text, 'n', 51);
	text[51] = 0;
	mem_pax(&mem, "path", text);
	mem_file(&mem, "f", "");
	assert_int_equal(read_with(&mem, &names, &last, error), -ENAMETOOLONG);
	mem_free(&mem);
	mem_file(&mem, text, "");
	assert_int_equal(read_with(&mem, &names, &last, error), -ENAMETOOLONG);
	mem_free(&mem);
	mem_extended(&mem, 'L', text, 53);
	mem_file(&mem, "f", "");
	assert_int_equal(read_with(&mem, &names, &last, error), -E2BIG);
	mem_free(&mem);

	memset(text, 0, 2 << 20);
	mem_extended(&mem, 'x', text, 4096);
	assert_int_equal(read_with(&mem, &pax, &last, error), -E2BIG);
	mem_free(&mem);
	/* A size that says more than there is costs nothing. */
	(void)mem_header(&mem, "x", 'x', 077777777777, NULL);
	assert_int_equal(read_with(&mem, NULL, &last, error), -E2BIG);
	mem_free(&mem);
	(void)mem_header(&mem, "x", '0', 077777777777, NULL);
	assert_int_equal(read_with(&mem, NULL, &last, error), -EBADMSG);
	mem_free(&mem);
	free(text);
}

/* A global header before each of many entries: each costs what it is, not what all are. */
static void test_many_globals(void **state)
{
	struct mem mem = { 0 };
	char text[16];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(text, sizeof(text), "8 a%02d=b\n", i % 100);
		mem_extended(&mem, 'g', text, 8);
	}
	mem_file(&mem, "f", "");
	assert_int_equal(read_it(&mem), -E2BIG);
}

static void sparse_pax(struct mem *mem, const char *records, const char *data, size_t size)
{
	mem_extended(mem, 'x', records, strlen(records));
	(void)mem_header(mem, "GNUSparseFile.0/s", '0', size, NULL);
	mem_data(mem, data, size);
	mem_end(mem);
}

static void test_sparse_pax(void **state)
{
	static const struct {
		const char *records, *data;
		size_t size;
		int r;
	} cases[] = {
		{ "25 GNU.sparse.map=0,1,9,1\n26 GNU.sparse.numblocks=2\n22 GNU.sparse.size=10\n",
		  "ab", 2, -EBADMSG }, /* wrong length of a record */
		{ "27 GNU.sparse.map=0,1,9,1\n", "ab", 2, -EBADMSG },
		{ "26 GNU.sparse.map=0,1,9,1\n22 GNU.sparse.size=10\n", "ab", 2, 0 },
		{ "26 GNU.sparse.map=0,1,9,1\n22 GNU.sparse.size=10\n", "abc", 3, -EBADMSG },
		{ "26 GNU.sparse.map=0,1,9,2\n22 GNU.sparse.size=10\n", "abc", 3, -EBADMSG },
		{ "26 GNU.sparse.map=9,1,0,1\n22 GNU.sparse.size=10\n", "ab", 2, -EBADMSG },
		{ "26 GNU.sparse.map=0,2,1,1\n22 GNU.sparse.size=10\n", "abc", 3, -EBADMSG },
		{ "24 GNU.sparse.map=0,1,9\n22 GNU.sparse.size=10\n", "a", 1, -EBADMSG },
		{ "24 GNU.sparse.map=0,,,1\n22 GNU.sparse.size=10\n", "a", 1, -EBADMSG },
		{ "26 GNU.sparse.map=0,1,9,1\n", "ab", 2, -EBADMSG }, /* no size */
		{ "26 GNU.sparse.map=0,1,9,1\n21 GNU.sparse.size=x\n", "ab", 2, -EBADMSG },
		{ "56 GNU.sparse.map=9223372036854775807,1,9223372036854775807,1\n"
		  "22 GNU.sparse.size=10\n", "ab", 2, -EBADMSG },
		{ "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.realsize=10\n",
		  "", 0, -EBADMSG }, /* no map */
		{ "22 GNU.sparse.major=2\n22 GNU.sparse.minor=0\n26 GNU.sparse.realsize=10\n",
		  "", 0, -EBADMSG },
		{ "22 GNU.sparse.major=1\n22 GNU.sparse.minor=1\n26 GNU.sparse.realsize=10\n",
		  "", 0, -EBADMSG },
		{ "25 GNU.sparse.numblocks=1\n22 GNU.sparse.size=10\n23 GNU.sparse.offset=0\n"
		  "25 GNU.sparse.numbytes=1\n", "a", 1, -EBADMSG },
		{ "26 GNU.sparse.numblocks=1\n22 GNU.sparse.size=10\n23 GNU.sparse.offset=0\n"
		  "25 GNU.sparse.numbytes=1\n", "a", 1, 0 },
		{ "26 GNU.sparse.numblocks=1\n22 GNU.sparse.size=10\n23 GNU.sparse.offset=0\n"
		  "23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=1\n", "a", 1, -EBADMSG },
		{ "26 GNU.sparse.numblocks=1\n22 GNU.sparse.size=10\n25 GNU.sparse.numbytes=1\n",
		  "a", 1, -EBADMSG },
		{ "26 GNU.sparse.numblocks=1\n22 GNU.sparse.size=10\n23 GNU.sparse.offset=0\n",
		  "", 0, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mem mem = { 0 };
		int r;

		sparse_pax(&mem, cases[i].records, cases[i].data, cases[i].size);
		r = read_it(&mem);
		if (r != cases[i].r)
			print_error("case %zu: %s\n", i, cases[i].records);
		assert_int_equal(r, cases[i].r);
	}
}

static void test_sparse_1_0(void **state)
{
	static const struct {
		const char *map;
		size_t stored;
		int r;
	} cases[] = {
		{ "1\n0\n5\n", 512 + 5, 0 },
		{ "0\n", 512, 0 },
		{ "1\n0\n5\n", 512 + 4, -EBADMSG },
		{ "2\n0\n5\n", 512 + 5, -EBADMSG },
		{ "1\n-1\n5\n", 512 + 5, -EBADMSG },
		{ "\n", 512, -EBADMSG },
		{ "1\n6\n5\n", 512 + 5, -EBADMSG }, /* beyond the size, which is 10 */
		{ "9223372036854775807\n", 512, -EBADMSG },
		{ "99999999999999999999999\n", 512, -EBADMSG },
		{ "1\n0\n5\n", 511, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mem mem = { 0 };
		char data[1024] = { 0 };
		int r;

		(void)snprintf(data, sizeof(data), "%s", cases[i].map);
		sparse_pax(&mem, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
				 "26 GNU.sparse.realsize=10\n25 GNU.sparse.name=other\n",
			   data, cases[i].stored);
		r = read_it(&mem);
		if (r != cases[i].r)
			print_error("case %zu\n", i);
		assert_int_equal(r, cases[i].r);
	}
}

/* A map that goes on and on, in blocks behind the old header. */
static void test_sparse_old(void **state)
{
	struct mem mem = { 0 };
	size_t at = mem_header(&mem, "s", 'S', 2, NULL);
	uint8_t *block = mem.data + at, next[512] = { 0 };

	(void)state;
	memcpy(block + 257, "ustar  ", 8);
	memset(block + 345, 0, 512 - 345);
	memcpy(block + 386, "00000000000\00000000000001", 24);
	memcpy(block + 386 + 24, "00000000011\00000000000001", 24);
	memcpy(block + 483, "00000000012", 12);
	mem_sum(block);
	mem_data(&mem, "ab", 2);
	mem_end(&mem);
	{
		struct st_entry last;
		char error[320];
		assert_int_equal(read_with(&mem, NULL, &last, error), 0);
		assert_int_equal(last.size, 10);
		assert_int_equal(last.extent_count, 2);
	}
	block = mem.data; /* it moved */
	block[482] = 1;
	mem_sum(block);
	mem.size = 512;
	next[504] = 1;
	assert_int_equal(read_with(&mem, NULL, &(struct st_entry){ 0 }, (char[320]){ 0 }), -EBADMSG);
	for (int i = 0; i < 3000; i++)
		(void)mem_write(&mem, next, 512);
	assert_int_equal(read_it(&mem), -E2BIG);
}

/* Types that have no data: a size there is not skipped (Go, libarchive); others' is. */
static void test_sizes_of_types(void **state)
{
	struct mem mem = { 0 };
	struct st_entry last = { 0 };
	char error[320];

	(void)state;
	(void)mem_header(&mem, "label", 'V', 0, NULL); /* is no entry */
	mem_end(&mem);
	assert_int_equal(read_with(&mem, NULL, &last, error), 0);
	assert_int_equal(last.type, 0);
	mem_free(&mem);
	for (const char *type = "123456"; *type; type++)
		(void)mem_header(&mem, "n", *type, 512, "l");
	mem_file(&mem, "last", "");
	(void)mem_header(&mem, "old/", 0, 5, NULL);
	mem_data(&mem, "names", 5);
	(void)mem_header(&mem, "dump/", 'D', 5, NULL);
	mem_data(&mem, "names", 5);
	(void)mem_header(&mem, "unknown", 'Q', 5, NULL);
	mem_data(&mem, "bytes", 5);
	mem_end(&mem);
	assert_int_equal(read_with(&mem, NULL, &last, error), 0);
	assert_int_equal(last.type, 'Q');
	assert_int_equal(last.stored, 5);
	mem_free(&mem);
}

static void test_shown_names(void **state)
{
	struct mem mem = { 0 };
	struct st_entry last;
	char error[320], name[512];

	(void)state;
	(void)mem_header(&mem, "\033]0;evil\a\n", '0', 1ull << 30, NULL);
	assert_int_equal(read_with(&mem, NULL, &last, error), -EBADMSG);
	assert_string_equal(error, "entry ?]0;evil??: the archive ends too early");
	mem_free(&mem);
	memset(name, 'n', 500);
	memcpy(name + 495, "+end", 5);
	mem_pax(&mem, "path", name);
	(void)mem_header(&mem, "f", '0', 1ull << 30, NULL);
	assert_int_equal(read_with(&mem, NULL, &last, error), -EBADMSG);
	assert_non_null(strstr(error, "entry ...nnn"));
	assert_non_null(strstr(error, "n+end: the archive"));
	mem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_pax_records),
		cmocka_unit_test(test_pax_precedence),
		cmocka_unit_test(test_extended_without_entry),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_globals),
		cmocka_unit_test(test_sparse_pax),
		cmocka_unit_test(test_sparse_1_0),
		cmocka_unit_test(test_sparse_old),
		cmocka_unit_test(test_sizes_of_types),
		cmocka_unit_test(test_shown_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
