/* SPDX-License-Identifier: MIT */
/* Each allocation fails once: while disks are attached, images written and read back, and layers packed. */
#include "disk/attach.h"
#include "disk/ext4.h"
#include "disk/vhd.h"
#include "disk/verity.h"
#include "tests/alloc_fail_json.h"
#include "tests/scratch.h"
#include "tests/unit/archive/make.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

static int enter(void **state)
{
	(void)state;
	return scratch_enter() ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	return scratch_leave() ? 0 : -1;
}

/* ---- attached disks: a real loop device each time */

static void raw_make(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	(void)close(fd);
}

static void expect_detached(void)
{
	struct st_attachment a;

	assert_int_equal(st_attached("disks", "raw", &a), -ENOENT);
}

static void attach_without_memory(void **state)
{
	char error[256];

	(void)state;
	if (geteuid() != 0 || access("/dev/loop-control", W_OK) < 0)
		skip();
	raw_make("raw");
	alloc_fail_each(n) {
		const struct st_attach_options o = { .dir = "disks", .owner = "c/1", .path = "raw" },
					       second = { .dir = "disks", .owner = "d/1", .path = "raw" };
		struct st_attachment a = { 0 };
		int r = st_attach(&o, &a, error, sizeof(error));

		if (r == 0)
			r = st_attach(&second, &a, error, sizeof(error));
		if (r == 0)
			r = st_detach("disks", "c/1", "raw", error, sizeof(error));
		if (r == 0)
			r = st_detach_owner("disks", "d", error, sizeof(error));
		assert_true(alloc_fail_stop() ? r <= 0 : r == 0);
		/* Whatever it was that failed, the owners can let go. */
		assert_int_equal(st_attach_sweep("disks", error, sizeof(error)), 0);
		assert_int_equal(st_detach_owner("disks", "c", error, sizeof(error)), 0);
		assert_int_equal(st_detach_owner("disks", "d", error, sizeof(error)), 0);
		expect_detached();
	}
	assert_int_equal(unlink("disks/table.json"), 0);
	assert_int_equal(unlink("disks/lock"), 0);
	assert_int_equal(rmdir("disks"), 0);
	assert_int_equal(unlink("raw"), 0);
}

/* ---- ext4 there and back */

static void archive_make(struct mem *mem)
{
	(void)mem_header(mem, "d/", '5', 0, NULL);
	mem_pax(mem, "SCHILY.xattr.user.note", "yes");
	mem_file(mem, "d/file", "longer than what fits into an inode of its own, so that it has a block");
	(void)mem_header(mem, "d/hard", '1', 0, "d/file");
	(void)mem_header(mem, "d/soft", '2', 0, "file");
	(void)mem_header(mem, "d/.wh.gone", '0', 0, NULL);
	mem_file(mem, "implied/by/this", "x");
	mem_end(mem);
}

static int count_cb(void *arg, const char *path, const struct st_ext4_stat *st)
{
	(void)path;
	(void)st;
	++*(unsigned *)arg;
	return 0;
}

static int read_back(int fd, unsigned *count, char *error, size_t size)
{
	struct st_source source;
	struct st_ext4 *fs;
	char text[4096];
	uint32_t ino;
	int r;

	st_source_fd(&source, &fd, (uint64_t)lseek(fd, 0, SEEK_END));
	r = st_ext4_open(&source, &fs, error, size);
	if (r < 0)
		return r;
	r = st_ext4_walk(fs, count_cb, count);
	if (r == 0)
		r = st_ext4_lookup(fs, "d/soft", &ino) ?: st_ext4_readlink(fs, ino, text);
	if (r == 0)
		r = st_ext4_lookup(fs, "d/file", &ino);
	if (r == 0)
		r = st_ext4_read(fs, ino, text, sizeof(text), 0) > 0 ? 0 : -ENOMEM;
	st_ext4_close(fs);
	return r;
}

static void ext4_without_memory(void **state)
{
	const struct st_ext4_options options = { .max_bytes = 64 << 20, .whiteouts = true };
	struct mem mem = { 0 };
	char error[256];

	(void)state;
	archive_make(&mem);
	alloc_fail_each(n) {
		int fd = open("image", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r;
		struct st_ext4_result result;
		struct st_verity verity;
		struct st_tar *tar = NULL;
		unsigned count = 0;

		mem.at = 0;
		r = st_tar_open(mem_read, &mem, NULL, &tar);
		if (r == 0)
			r = st_ext4_write(tar, fd, &options, &result, error, sizeof(error));
		st_tar_close(tar);
		if (r == 0)
			r = st_verity_append(fd, result.bytes, options.uuid, &verity);
		if (r == 0)
			r = st_vhd_append_footer(fd, result.bytes + verity.hash_bytes);
		if (r == 0)
			r = read_back(fd, &count, error, sizeof(error));
		if (alloc_fail_stop()) {
			assert_true(r == 0 || r == -ENOMEM);
		} else {
			assert_int_equal(r, 0);
			assert_true(count >= 8);
		}
		(void)close(fd);
	}
	assert_int_equal(unlink("image"), 0);
	mem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(attach_without_memory, enter, leave),
		cmocka_unit_test_setup_teardown(ext4_without_memory, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
