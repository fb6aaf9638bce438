/* SPDX-License-Identifier: MIT */
#include "tests/alloc_fail.h"
#include "unpack_in.h"

#include <sys/sysmacros.h>

static void test_replaced(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	/* Each kind in the place of each other one. */
	for (const char *a = "02356"; *a; a++) {
		for (const char *b = "02356"; *b; b++) {
			(void)mem_header(&mem, "n", *a, 0, "x");
			if (*a == '5')
				mem_file(&mem, "n/deep/file", "x");
			if (*b == '0')
				mem_file(&mem, "n", "text");
			else
				(void)mem_header(&mem, "n", *b, 0, "x");
			assert_int_equal(unpack(&mem), 0);
			if (*b == '0')
				holds("t/n", "text");
			if (*b == '5' && *a == '5')
				holds("t/n/deep/file", "x");
			assert_int_equal(S_ISDIR(stat_of("t/n").st_mode), *b == '5');
		}
	}
	/* A directory that was open goes, and is another one later. */
	mem_file(&mem, "d/e/f", "1");
	mem_file(&mem, "d", "a file");
	(void)mem_header(&mem, "d/", '5', 0, NULL);
	mem_file(&mem, "d/e/f", "2");
	assert_int_equal(unpack(&mem), 0);
	holds("t/d/e/f", "2");
	/* A file is no directory. */
	mem_file(&mem, "g", "file");
	mem_file(&mem, "g/h", "no");
	assert_int_equal(unpack(&mem), -ENOTDIR);
	mem_free(&mem);
}

static void test_whiteouts_overlay(void **state)
{
	static const char *const bad[] = { ".wh.", "d/.wh.", ".wh..", ".wh...", "d/.wh...", "/.wh.." };
	struct mem mem = { 0 };

	(void)state;
	mem_file(&mem, "d/.wh.gone", "");
	mem_file(&mem, ".wh.whole", "whatever");
	(void)mem_header(&mem, "o/", '5', 0, NULL);
	mem_file(&mem, "o/.wh..wh..opq", "");
	mem_file(&mem, ".wh..wh.plnk", "aufs");
	mem_file(&mem, ".wh..wh.orph/x", "aufs");
	assert_int_equal(unpack(&mem), 0);
	assert_true(is_whiteout("t/d/gone") && is_whiteout("t/whole"));
	assert_true(is_opaque("t/o") && !is_opaque("t/d"));
	assert_true(gone("t/.wh..wh.plnk"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mem_file(&mem, bad[i], "");
		assert_int_equal(unpack(&mem), -EINVAL);
	}
	/* Of the same layer, in either order: the file counts; a directory hides what is below it. */
	mem_file(&mem, ".wh.f", "");
	mem_file(&mem, "f", "new");
	mem_file(&mem, "g", "new");
	mem_file(&mem, ".wh.g", "");
	mem_file(&mem, ".wh.h", "");
	(void)mem_header(&mem, "h/", '5', 0, NULL);
	(void)mem_header(&mem, "i/", '5', 0, NULL);
	mem_file(&mem, ".wh.i", "");
	mem_file(&mem, ".wh.j", "");
	mem_file(&mem, "j/k", "implied");
	assert_int_equal(unpack(&mem), 0);
	holds("t/f", "new");
	holds("t/g", "new");
	holds("t/j/k", "implied");
	assert_true(is_opaque("t/h") && is_opaque("t/i") && is_opaque("t/j"));
	/* Kept as names. */
	options.whiteouts = ST_WHITEOUT_KEEP;
	mem_file(&mem, "k/.wh.f", "x");
	assert_int_equal(unpack(&mem), 0);
	holds("t/k/.wh.f", "x");
	mem_free(&mem);
}

static void test_whiteouts_apply(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	mem_file(&mem, "a/b/c", "old");
	mem_file(&mem, "a/f", "old");
	mem_file(&mem, "g/h/i", "old");
	mem_file(&mem, "k", "old");
	assert_int_equal(unpack(&mem), 0);
	options.whiteouts = ST_WHITEOUT_APPLY;
	mem_file(&mem, ".wh.k", "");
	mem_file(&mem, ".wh.nothing", "");
	mem_file(&mem, "a/new/file", "new");
	mem_file(&mem, "a/b/new", "new");
	mem_file(&mem, "a/.wh..wh..opq", "");
	mem_file(&mem, "g/h/new", "new");
	mem_file(&mem, ".wh.g", "");
	assert_int_equal(unpack(&mem), 0);
	assert_true(gone("t/k") && gone("t/a/f") && gone("t/a/b/c") && gone("t/g/h/i"));
	holds("t/a/new/file", "new");
	holds("t/a/b/new", "new");
	holds("t/g/h/new", "new");
	/* The root: refused by name, emptied by its marker. */
	mem_file(&mem, ".wh.", "");
	assert_int_equal(unpack(&mem), -EINVAL);
	mem_file(&mem, "kept", "new");
	mem_file(&mem, ".wh..wh..opq", "");
	assert_int_equal(unpack(&mem), 0);
	assert_true(gone("t/a") && gone("t/g"));
	holds("t/kept", "new");
	mem_free(&mem);
}

static void test_metadata(void **state)
{
	struct mem mem = { 0 };
	struct stat st;
	mode_t mask = umask(077);
	size_t at;

	(void)state;
	mem_pax(&mem, "mtime", "-1.25");
	at = mem_header(&mem, "suid", '0', 3, NULL);
	set(&mem, at, 100, "0006755");
	set(&mem, at, 108, "0001750");
	mem_data(&mem, "abc", 3);
	mem_pax(&mem, "uid", "4294967294");
	at = mem_header(&mem, "d/", '5', 0, NULL);
	set(&mem, at, 100, "0003777");
	mem_file(&mem, "d/f", "after the directory's times");
	mem_pax(&mem, "gid", "3000000000");
	(void)mem_header(&mem, "s", '2', 0, "nowhere");
	at = mem_header(&mem, "dev", '4', 0, NULL);
	set(&mem, at, 329, "0000377");
	set(&mem, at, 337, "0001000");
	set(&mem, at, 100, "0000666");
	(void)mem_header(&mem, "./", '5', 0, NULL);
	assert_int_equal(unpack(&mem), 0);
	(void)umask(mask);
	st = stat_of("t/suid");
	assert_int_equal(st.st_mode & 07777, 06755);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_mtim.tv_sec, -2);
	assert_int_equal(st.st_mtim.tv_nsec, 750000000);
	st = stat_of("t/d");
	assert_int_equal(st.st_mode & 07777, 03777);
	assert_int_equal(st.st_uid, 4294967294u);
	assert_int_equal(st.st_mtime, 15);
	assert_int_equal(stat_of("t/d/f").st_mode & 07777, 0644);
	assert_int_equal(stat_of("t/d/f").st_gid, 0); /* not the directory's, though it is set-gid */
	assert_int_equal(stat_of("t/s").st_gid, 3000000000u);
	assert_int_equal(stat_of("t/s").st_mtime, 15);
	assert_int_equal(stat_of("t/dev").st_rdev, makedev(255, 512));
	assert_int_equal(stat_of("t/dev").st_mode & 07777, 0666);
	assert_int_equal(stat_of("t").st_mtime, 15);
	assert_int_equal(stat_of("t").st_mode & 07777, 0644);
	/* The kernel's "no change" is no owner. */
	mem_pax(&mem, "uid", "4294967295");
	mem_file(&mem, "x", "");
	assert_int_equal(unpack(&mem), -EOVERFLOW);
	mem_free(&mem);
}

static void test_xattrs(void **state)
{
	/* cap_net_raw+ep, version 2 (vfs_cap_data). */
	static const char cap[] = "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	char text[512], value[64];
	struct mem mem = { 0 };
	size_t n;

	(void)state;
	n = record_of(text, sizeof(text), "SCHILY.xattr.user.a", "x\0y", 3);
	n += record_of(text + n, sizeof(text) - n, "SCHILY.xattr.security.capability", cap, 20);
	n += record_of(text + n, sizeof(text) - n, "SCHILY.xattr.trusted.overlay.redirect", "/x", 2);
	n += record_of(text + n, sizeof(text) - n, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
	n += record_of(text + n, sizeof(text) - n, "SCHILY.xattr.security.ima", "zz", 2);
	mem_extended(&mem, 'x', text, n);
	mem_pax(&mem, "uid", "1000"); /* changing the owner takes capabilities away: they come after */
	mem_file(&mem, "f", "text");
	assert_int_equal(unpack(&mem), 0);
	assert_int_equal(lgetxattr("t/f", "user.a", value, sizeof(value)), 3);
	assert_memory_equal(value, "x\0y", 3);
	assert_int_equal(lgetxattr("t/f", "security.capability", value, sizeof(value)), 20);
	assert_memory_equal(value, cap, 20);
	assert_int_equal(stat_of("t/f").st_uid, 1000);
	assert_int_equal(lgetxattr("t/f", "trusted.overlay.redirect", value, sizeof(value)), -1);
	assert_int_equal(result.xattrs_skipped, 3);
	n = record_of(text, sizeof(text), "SCHILY.xattr.user.d", "dir", 3);
	n += record_of(text + n, sizeof(text) - n, "SCHILY.xattr.trusted.overlay.opaque", "y", 1);
	mem_extended(&mem, 'x', text, n);
	(void)mem_header(&mem, "d/", '5', 0, NULL);
	mem_extended(&mem, 'x', text, n);
	(void)mem_header(&mem, "s", '2', 0, "f");
	assert_int_equal(unpack(&mem), 0);
	assert_int_equal(lgetxattr("t/d", "user.d", value, sizeof(value)), 3);
	assert_false(is_opaque("t/d"));
	assert_int_equal(lgetxattr("t/f", "user.d", value, sizeof(value)), -1);
	mem_free(&mem);
}

static void test_sparse(void **state)
{
	static const struct st_extent extents[] = { { 1 << 20, 3 }, { 100 << 20, 2 } };
	const struct st_entry sparse = { .path = (char *)"s", .type = '0', .mode = 0644,
					 .size = 200 << 20, .stored = 5,
					 .extents = (struct st_extent *)extents, .extent_count = 2 },
			      hole = { .path = (char *)"h", .type = '0', .mode = 0644,
				       .size = 1ull << 33 };
	struct mem mem = { 0 };
	struct st_tar_writer *writer;
	char bytes[4] = { 0 };
	int fd;

	(void)state;
	assert_int_equal(st_tar_writer_open(mem_write, &mem, &writer), 0);
	assert_int_equal(st_tar_put(writer, &sparse), 0);
	assert_int_equal(st_tar_put_data(writer, "abcde", 5), 0);
	assert_int_equal(st_tar_put(writer, &hole), 0);
	assert_int_equal(st_tar_finish(writer), 0);
	st_tar_writer_close(writer);
	mem.piece = 1;
	assert_int_equal(unpack(&mem), 0);
	assert_int_equal(stat_of("t/s").st_size, 200 << 20);
	assert_true(stat_of("t/s").st_blocks <= 64);
	assert_int_equal(stat_of("t/h").st_size, 1ull << 33);
	assert_int_equal(stat_of("t/h").st_blocks, 0);
	fd = open("t/s", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, bytes, 3, 1 << 20), 3);
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(pread(fd, bytes, 3, 100 << 20), 3);
	assert_memory_equal(bytes, "de", 3);
	(void)close(fd);
	mem_free(&mem);
}

static void test_implied(void **state)
{
	struct mem mem = { 0 };
	int to, lower[2];
	char value[8];

	(void)state;
	mem_file(&mem, "tmp/a/b", "x");
	(void)mem_header(&mem, "tmp/a/", '5', 0, NULL); /* described later */
	mem_file(&mem, "etc/f", "x");
	mem_file(&mem, "own/f", "x");
	assert_int_equal(unpack(&mem), 0);
	assert_int_equal(result.implied_size, sizeof("tmp\0tmp/a\0etc\0own"));
	assert_memory_equal(result.implied, "tmp\0tmp/a\0etc\0own", result.implied_size);
	assert_int_equal(mkdir("outside/l0", 0755), 0);
	assert_int_equal(mkdir("outside/l0/etc", 0711), 0);
	assert_int_equal(chown("outside/l0/etc", 5, 6), 0);
	assert_int_equal(mkdir("outside/l1", 0755), 0);
	assert_int_equal(mkdir("outside/l1/tmp", 0755), 0);
	assert_int_equal(chmod("outside/l1/tmp", 01777), 0);
	assert_int_equal(setxattr("outside/l1/tmp", "user.a", "v", 1, 0), 0);
	assert_int_equal(mkdir("outside/l1/etc", 0700), 0);
	lower[0] = open("outside/l0", O_PATH | O_CLOEXEC);
	lower[1] = open("outside/l1", O_PATH | O_CLOEXEC);
	to = open("t", O_PATH | O_CLOEXEC);
	assert_int_equal(st_unpack_implied(to, &result, lower, 2), 0);
	assert_int_equal(stat_of("t/tmp").st_mode & 07777, 01777);
	assert_int_equal(lgetxattr("t/tmp", "user.a", value, sizeof(value)), 1);
	assert_int_equal(stat_of("t/tmp/a").st_mode & 07777, 0644);
	assert_int_equal(stat_of("t/etc").st_mode & 07777, 0711);
	assert_int_equal(stat_of("t/etc").st_uid, 5);
	assert_int_equal(stat_of("t/etc").st_gid, 6);
	assert_int_equal(stat_of("t/own").st_mode & 07777, 0755);
	(void)close(lower[0]);
	(void)close(lower[1]);
	(void)close(to);
	assert_int_equal(st_remove_tree(AT_FDCWD, "outside"), 0);
	assert_int_equal(mkdir("outside", 0755), 0);
	put("outside/file", "untouched");
	mem_free(&mem);
}

static int stop_at(void *arg, uint64_t bytes)
{
	uint64_t *last = arg;

	assert_true(bytes >= *last);
	*last = bytes;
	return bytes > 3 << 20 ? -ECANCELED : 0;
}

static void test_progress(void **state)
{
	struct mem mem = { 0 };
	uint64_t last = 0;

	(void)state;
	options.progress = stop_at;
	options.arg = &last;
	(void)mem_header(&mem, "f", '0', 10 << 20, NULL);
	mem_zeros(&mem, 10 << 20);
	assert_int_equal(unpack(&mem), -ECANCELED);
	assert_true(last > 3 << 20 && last < 5 << 20);
	mem_free(&mem);
}

/* More directories than are kept open or in memory, then times for all of them. */
static void test_many_directories(void **state)
{
	static const char pad[] = "a-name-that-is-rather-long-so-that-fewer-of-them-are-enough-to-fill-it";
	struct mem mem = { 0 };
	char name[128];

	(void)state;
	for (int i = 0; i < 2500; i++) {
		(void)snprintf(name, sizeof(name), "d%d/%d-%s/", i % 100, i, pad);
		(void)mem_header(&mem, name, '5', 0, NULL);
	}
	mem_file(&mem, "d7/7-f", "");
	assert_int_equal(unpack(&mem), 0);
	assert_int_equal(result.entries, 2501);
	for (int i = 0; i < 2500; i++) {
		(void)snprintf(name, sizeof(name), "t/d%d/%d-%s", i % 100, i, pad);
		assert_int_equal(stat_of(name).st_mtime, 15);
	}
	mem_free(&mem);
}

static void test_without_memory(void **state)
{
	struct mem mem = { .cap = 1 << 20, .data = malloc(1 << 20) };

	(void)state;
	assert_non_null(mem.data);
	alloc_fail_each(n)
	{
		int to = open("t", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
		struct st_tar *tar;

		options.whiteouts = ST_WHITEOUT_APPLY;
		mem.size = mem.at = 0;
		mem_file(&mem, "a/b/c", "x");
		(void)mem_header(&mem, "d/", '5', 0, NULL);
		(void)mem_header(&mem, "d/l", '1', 0, "a/b/c");
		mem_file(&mem, "d/.wh.x", "");
		mem_end(&mem);
		r = st_tar_open(mem_read, &mem, NULL, &tar);
		if (!r) {
			r = st_unpack(tar, to, &options, &result, error, sizeof(error));
			st_tar_close(tar);
		}
		if (alloc_fail_stop())
			assert_int_equal(r, -ENOMEM);
		else
			assert_int_equal(r, 0);
		if (!r)
			free(result.implied);
		result.implied = NULL;
		(void)close(to);
		assert_int_equal(st_remove_tree(AT_FDCWD, "t"), 0);
		assert_int_equal(mkdir("t", 0755), 0);
	}
	mem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_replaced),
		test(test_whiteouts_overlay),
		test(test_whiteouts_apply),
		test(test_metadata),
		test(test_xattrs),
		test(test_sparse),
		test(test_implied),
		test(test_progress),
		test(test_many_directories),
		test(test_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
