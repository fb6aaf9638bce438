/* SPDX-License-Identifier: MIT */
#include "archive/stream.h"
#include "make.h"
#include "tests/alloc_fail.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <zstd.h>
#include <cmocka.h>

#ifdef COW_SANITIZE /* a byte at a time is slow there */
#define PLAIN_BYTES 300000
#else
#define PLAIN_BYTES 3000000
#endif

static uint8_t *plain;
static char plain_digest[ST_DIGEST_MAX];

static void gzip_to(struct mem *mem, const uint8_t *data, size_t size)
{
	size_t room = size + 1000;
	uint8_t *out = malloc(room);
	struct isal_zstream stream;

	assert_non_null(out);
	isal_deflate_stateless_init(&stream);
	stream.next_in = (uint8_t *)data;
	stream.avail_in = (uint32_t)size;
	stream.next_out = out;
	stream.avail_out = (uint32_t)room;
	stream.gzip_flag = IGZIP_GZIP;
	stream.flush = NO_FLUSH;
	stream.end_of_stream = 1;
	assert_int_equal(isal_deflate_stateless(&stream), COMP_OK);
	assert_int_equal(mem_write(mem, out, room - stream.avail_out), 0);
	free(out);
}

static void zstd_to(struct mem *mem, const uint8_t *data, size_t size)
{
	size_t room = ZSTD_compressBound(size);
	uint8_t *out = malloc(room);

	assert_non_null(out);
	size = ZSTD_compress(out, room, data, size, 3);
	assert_false(ZSTD_isError(size));
	assert_int_equal(mem_write(mem, out, size), 0);
	free(out);
}

/* Reads all in pieces; what came must be `size` bytes of plain. */
static int run(struct st_stream_options *options, size_t piece, size_t size,
	       struct st_stream_result *ret, char error[200])
{
	uint8_t *buffer = malloc(piece);
	struct st_stream *stream;
	size_t done = 0;
	ssize_t n;
	int r;

	error[0] = 0;
	if (!buffer)
		return -ENOMEM;
	r = st_stream_open(options, &stream);
	if (r) {
		free(buffer);
		return r;
	}
	while ((n = st_stream_read(stream, buffer, piece)) > 0) {
		assert_true(done + (size_t)n <= size);
		assert_memory_equal(buffer, plain + done, (size_t)n);
		done += (size_t)n;
	}
	r = (int)n;
	if (!r) {
		assert_int_equal(done, size);
		r = st_stream_finish(stream, ret);
	}
	(void)snprintf(error, 200, "%s", st_stream_error(stream));
	st_stream_close(stream);
	free(buffer);
	return r;
}

static int run_mem(struct mem *mem, size_t size, struct st_stream_result *ret, char error[200])
{
	struct st_stream_options options = { .read = mem_read, .arg = mem };

	mem->at = 0;
	return run(&options, 100000, size, ret, error);
}

static void test_forms(void **state)
{
	static const size_t pieces[] = { 1, 100, 65536, 1 << 20 };
	char digest[ST_DIGEST_MAX], error[200];
	struct st_stream_result result;

	(void)state;
	for (int form = 0; form < 5; form++) {
		struct mem mem = { 0 };
		enum st_compression compression = form == 0 ? ST_PLAIN : form < 3 ? ST_GZIP : ST_ZSTD;

		if (form == 0)
			(void)mem_write(&mem, plain, PLAIN_BYTES);
		else if (form == 1)
			gzip_to(&mem, plain, PLAIN_BYTES);
		else if (form == 3)
			zstd_to(&mem, plain, PLAIN_BYTES);
		for (size_t at = 0; form % 2 == 0 && form && at < PLAIN_BYTES; at += 100000)
			(form == 2 ? gzip_to : zstd_to)(&mem, plain + at, 100000);
		assert_int_equal(st_digest_of(mem.data, mem.size, digest), 0);
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
			struct st_stream_options options = { .read = mem_read, .arg = &mem };

			mem.at = 0;
			mem.piece = form ? pieces[p] : pieces[p] * 10;
			assert_int_equal(run(&options, p ? pieces[p] : 1000, PLAIN_BYTES, &result,
					     error), 0);
			assert_int_equal(result.compression, compression);
			assert_int_equal(result.raw_bytes, mem.size);
			assert_int_equal(result.plain_bytes, PLAIN_BYTES);
			assert_string_equal(result.raw, digest);
			assert_string_equal(result.plain, plain_digest);
		}
		mem_free(&mem);
	}
}

static void test_short(void **state)
{
	char digest[ST_DIGEST_MAX], error[200];
	struct st_stream_result result;

	(void)state;
	for (size_t size = 0; size < 20; size++) {
		struct mem mem = { 0 };

		assert_int_equal(st_digest_of(plain, size, digest), 0);
		(void)mem_write(&mem, plain, size);
		assert_int_equal(run_mem(&mem, size, &result, error), 0);
		assert_string_equal(result.raw, digest);
		mem.size = 0;
		gzip_to(&mem, plain, size);
		assert_int_equal(run_mem(&mem, size, &result, error), 0);
		assert_string_equal(result.plain, digest);
		mem.size = 0;
		zstd_to(&mem, plain, size);
		assert_int_equal(run_mem(&mem, size, &result, error), 0);
		assert_string_equal(result.plain, digest);
		mem_free(&mem);
	}
}

static void test_others(void **state)
{
	static const struct {
		const char *data;
		size_t size;
		int r;
		const char *error;
	} cases[] = {
		{ "BZh91AY", 7, -EPROTONOSUPPORT, "bzip2: this compression is not supported" },
		{ "\xfd" "7zXZ\0\0", 7, -EPROTONOSUPPORT, "xz: this compression is not supported" },
		{ "\x04\x22\x4d\x18zzz", 7, -EPROTONOSUPPORT, "lz4: this compression is not supported" },
		{ "\x1f\x8b\x08", 3, -EBADMSG, "decompress: ends too early" },
		{ "\x1f\x8b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 13, -EBADMSG, NULL },
		{ "\x28\xb5\x2f\xfd", 4, -EBADMSG, "decompress: ends too early" },
		{ "\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff\xff\xff", 13, -EBADMSG, NULL },
		/* A frame to be skipped, and nothing else. */
		{ "\x50\x2a\x4d\x18\2\0\0\0ab", 10, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct st_stream_result result;
		struct mem mem = { 0 };
		char error[200];

		(void)mem_write(&mem, cases[i].data, cases[i].size);
		assert_int_equal(run_mem(&mem, 0, &result, error), cases[i].r);
		if (cases[i].error)
			assert_string_equal(error, cases[i].error);
		else
			assert_true(error[0]);
		mem_free(&mem);
	}
}

/* Any bit of a compressed stream turned, any cut: an error, or (padding, names) the same bytes. */
static void test_damage(void **state)
{
	struct st_stream_result result;
	char error[200];

	(void)state;
	for (int form = 0; form < 2; form++) {
		struct mem mem = { 0 };
		size_t whole;

		(form ? zstd_to : gzip_to)(&mem, plain, 3000);
		whole = mem.size;
		for (mem.size = 4; mem.size < whole; mem.size += 1 + whole / 300) {
			struct st_stream_options options = { .read = mem_read, .arg = &mem };
			struct st_stream *stream;

			mem.at = 0;
			assert_int_equal(st_stream_open(&options, &stream), 0);
			assert_int_equal(st_stream_finish(stream, &result), -EBADMSG);
			assert_string_equal(st_stream_error(stream), "decompress: ends too early");
			st_stream_close(stream);
		}
		mem.size = whole;
		for (size_t at = 20; form == 0 && at < whole; at += 1 + whole / 300) {
			struct st_stream_options options = { .read = mem_read, .arg = &mem };
			struct st_stream *stream;

			mem.at = 0;
			mem.data[at] ^= 0x10;
			assert_int_equal(st_stream_open(&options, &stream), 0);
			assert_int_equal(st_stream_finish(stream, &result), -EBADMSG);
			assert_true(st_stream_error(stream)[0]);
			st_stream_close(stream);
			mem.data[at] ^= 0x10;
		}
		mem_zeros(&mem, 700);
		/* Padded with zeros: gzip lets that be. */
		assert_int_equal(run_mem(&mem, 3000, &result, error), form ? -EBADMSG : 0);
		(void)mem_write(&mem, "x", 1);
		assert_int_equal(run_mem(&mem, 3000, &result, error), -EBADMSG);
		mem_free(&mem);
	}
}

static void test_limits(void **state)
{
	struct mem mem = { 0 };
	struct st_stream_options options = { .read = mem_read, .arg = &mem };
	struct st_stream_result result;
	char error[200];
	uint8_t *zeros = calloc(1, 10 << 20);

	(void)state;
	assert_non_null(zeros);
	gzip_to(&mem, zeros, 10 << 20);
	assert_true(mem.size < 200000); /* the bomb */
	options.max_plain = 1 << 20;
	{
		struct st_stream *stream;
		assert_int_equal(st_stream_open(&options, &stream), 0);
		assert_int_equal(st_stream_finish(stream, &result), -EFBIG);
		assert_string_equal(st_stream_error(stream),
				    "decompress: more bytes than the limit allows");
		st_stream_close(stream);
	}
	mem.size = mem.at = 0;
	gzip_to(&mem, plain, PLAIN_BYTES);
	options.max_plain = PLAIN_BYTES;
	options.max_raw = mem.size;
	assert_int_equal(run(&options, 4096, PLAIN_BYTES, &result, error), 0);
	mem.at = 0;
	options.max_raw--;
	assert_int_equal(run(&options, 4096, PLAIN_BYTES, &result, error), -EFBIG);
	assert_string_equal(error, "read: more bytes than expected");
	mem.at = 0;
	options.max_raw = 0;
	options.max_plain--;
	assert_int_equal(run(&options, 4096, PLAIN_BYTES, &result, error), -EFBIG);
	mem_free(&mem);
	free(zeros);
}

static void test_copy(void **state)
{
	char name[] = "/tmp/cow-test-XXXXXX", error[200];
	int fd = mkstemp(name);
	struct mem mem = { 0 };
	struct st_stream_options options = { .read = mem_read, .arg = &mem, .copy = true,
					     .copy_fd = fd };
	struct st_stream_result result;
	uint8_t *copied;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	gzip_to(&mem, plain, PLAIN_BYTES);
	assert_int_equal(run(&options, 4096, PLAIN_BYTES, &result, error), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), mem.size);
	copied = malloc(mem.size);
	assert_non_null(copied);
	assert_int_equal(pread(fd, copied, mem.size, 0), mem.size);
	assert_memory_equal(copied, mem.data, mem.size);
	free(copied);
	(void)close(fd);
	mem.at = 0;
	options.copy_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(run(&options, 4096, PLAIN_BYTES, &result, error), -ENOSPC);
	assert_string_equal(error, "copy: No space left on device");
	(void)close(options.copy_fd);
	mem_free(&mem);
}

static void test_source_fails(void **state)
{
	struct mem mem = { .fail = -EIO };
	struct st_stream_result result;
	char error[200];

	(void)state;
	assert_int_equal(run_mem(&mem, 0, &result, error), -EIO);
	assert_string_equal(error, "read: Input/output error");
	gzip_to(&mem, plain, PLAIN_BYTES);
	mem.size /= 2;
	assert_int_equal(run_mem(&mem, PLAIN_BYTES, &result, error), -EIO);
	mem_free(&mem);
}

/* Closed at any time, its thread in whatever it is doing. */
static void test_close_early(void **state)
{
	uint8_t *buffer = malloc(2 << 20);
	struct mem mem = { 0 };

	(void)state;
	assert_non_null(buffer);
	gzip_to(&mem, plain, PLAIN_BYTES);
	for (size_t size = 0; size < PLAIN_BYTES && size < 2 << 20; size = 2 * size + 1000) {
		struct st_stream_options options = { .read = mem_read, .arg = &mem };
		struct st_stream *stream;

		mem.at = 0;
		assert_int_equal(st_stream_open(&options, &stream), 0);
		if (size)
			assert_int_equal(st_stream_read(stream, buffer, size), size);
		st_stream_close(stream);
	}
	st_stream_close(NULL);
	mem_free(&mem);
	free(buffer);
}

/* The file that a descriptor reads. */
static void test_fd(void **state)
{
	int ends[2], bad = -1;
	char text[8];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "abc", 3), 3);
	assert_int_equal(st_read_fd(&ends[0], text, sizeof(text)), 3);
	(void)close(ends[1]);
	assert_int_equal(st_read_fd(&ends[0], text, sizeof(text)), 0);
	(void)close(ends[0]);
	assert_int_equal(st_read_fd(&bad, text, sizeof(text)), -EBADF);
}

static void test_without_memory(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	gzip_to(&mem, plain, 100000);
	alloc_fail_each(n)
	{
		struct st_stream_result result;
		char error[200];
		int r = run_mem(&mem, 100000, &result, error);

		assert_int_equal(r, alloc_fail_stop() ? -ENOMEM : 0);
	}
	mem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_source_fails),
		cmocka_unit_test(test_close_early),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_without_memory),
	};
	uint32_t x = 1;

	plain = malloc(PLAIN_BYTES);
	for (size_t i = 0; plain && i < PLAIN_BYTES; i++) { /* compresses, somewhat */
		x = x * 1664525 + 1013904223;
		plain[i] = (uint8_t)((x >> 24 & 15) + (i % 1000 < 500 ? 'a' : 0));
	}
	if (!plain || st_digest_of(plain, PLAIN_BYTES, plain_digest))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
