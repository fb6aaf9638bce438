/* SPDX-License-Identifier: MIT */
/* Nothing outside of the directory is made, changed or removed. */
#include "unpack_in.h"

#include <sys/wait.h>

static void test_names_refused(void **state)
{
	static const char *const bad[] = {
		"..", "../x", "../outside/file", "a/../../x", "a/..", "/..", "/../x", "./../x", "a/b/../..",
		"../../../../../../../../tmp/x",
	};
	struct mem mem = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (const char *type = "0123456"; *type; type++) {
			(void)mem_header(&mem, bad[i], *type, 0, "target");
			assert_int_equal(unpack(&mem), -EINVAL);
			assert_non_null(strstr(error, "refused"));
		}
		(void)mem_header(&mem, "link", '1', 0, bad[i]);
		assert_int_equal(unpack(&mem), -EINVAL);
	}
	/* In place of the root itself. */
	for (const char *type = "012346"; *type; type++) {
		static const char *const root[] = { "", ".", "/", "./", "//", "./." };

		for (size_t i = 0; i < sizeof(root) / sizeof(root[0]); i++) {
			(void)mem_header(&mem, root[i], *type, 0, "f");
			if (*type == '0' && strchr(root[i], '/') && root[i][strlen(root[i]) - 1] == '/')
				assert_int_equal(unpack(&mem), 0); /* an old directory */
			else
				assert_int_equal(unpack(&mem), -EINVAL);
		}
	}
	(void)mem_header(&mem, "l", '1', 0, "/");
	assert_int_equal(unpack(&mem), -EINVAL);
	(void)mem_header(&mem, "x", 'Q', 0, NULL);
	assert_int_equal(unpack(&mem), -EINVAL);
	assert_int_equal(stat_of("t").st_nlink, 2);
	mem_free(&mem);
}

static void test_names_taken(void **state)
{
	static const char *const good[][2] = {
		{ "/abs", "t/abs" },
		{ "./dot/./f", "t/dot/f" },
		{ "///s//f", "t/s/f" },
		{ "C:\\windows\\..\\x", "t/C:\\windows\\..\\x" }, /* CVE-2018-8115: just a name here */
		{ "..\\..\\x", "t/..\\..\\x" },
		{ "name:with:colons", "t/name:with:colons" },
		{ "stream.txt:ads:$DATA", "t/stream.txt:ads:$DATA" },
		{ "...", "t/..." },
		{ "..x/f", "t/..x/f" },
		{ "\xff\n", "t/\xff\n" },
		{ "-rf", "t/-rf" },
	};
	struct mem mem = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		mem_file(&mem, good[i][0], "text");
		assert_int_equal(unpack(&mem), 0);
		holds(good[i][1], "text");
	}
	assert_int_equal(result.entries, 1);
	assert_int_equal(result.bytes, 4);
	mem_free(&mem);
}

/* What leads out, in one archive and in two: the kernel takes it as from within. */
static void test_symlink_escapes(void **state)
{
	static const char *const out[] = { "..", "../outside", "/", "../../../..", ".", "x/../..", "" };
	char absolute[128];
	struct mem mem = { 0 };

	(void)state;
	(void)snprintf(absolute, sizeof(absolute), "%s/outside", scratch_dir);
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		const char *target = out[i][0] ? out[i] : absolute;

		for (int two = 0; two < 2; two++) {
			static const struct {
				char type;
				const char *name, *link;
			} second[] = {
				{ '0', "l/file", "" },
				{ '0', "l/outside/file", "" },
				{ '5', "l/dir/", "" },
				{ '2', "l/soft", "x" },
				{ '1', "l/hard", "l/file" },
				{ '1', "stolen", "l/outside/file" },
				{ '6', "l/fifo", "" },
				{ '0', "l/.wh.file", "" },
				{ '0', "l/outside/.wh.file", "" },
				{ '0', "l/.wh..wh..opq", "" },
				{ '0', "l/../outside/file", "" },
			};
			for (size_t k = 0; k < sizeof(second) / sizeof(second[0]); k++) {
				for (int mode = 0; mode < 2; mode++) {
					options.whiteouts = mode ? ST_WHITEOUT_APPLY
								 : ST_WHITEOUT_OVERLAY;
					(void)mem_header(&mem, "l", '2', 0, target);
					if (two)
						assert_int_equal(unpack(&mem), 0);
					(void)mem_header(&mem, second[k].name, second[k].type, 0,
							 second[k].link);
					(void)unpack(&mem);
					holds("outside/file", "untouched");
					assert_int_equal(stat_of("outside").st_nlink, 2);
					assert_int_equal(stat_of("outside/file").st_nlink, 1);
					assert_true(gone("file") && gone("soft") && gone("stolen") &&
						    gone("hard") && gone("fifo") && gone("dir"));
					assert_true(gone("outside/soft") && gone("outside/dir"));
				}
			}
		}
		assert_int_equal(st_remove_tree(AT_FDCWD, "t"), 0);
		assert_int_equal(mkdir("t", 0755), 0);
	}
	mem_free(&mem);
}

/* CVE-2025-45582: a symlink by the first archive, through it by the second. */
static void test_two_steps(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	(void)mem_header(&mem, "x", '2', 0, "../outside");
	assert_int_equal(unpack(&mem), 0);
	mem_file(&mem, "x/file", "owned");
	assert_int_equal(unpack(&mem), -ENOENT); /* within t there is no "outside" */
	(void)mem_header(&mem, "outside/", '5', 0, NULL);
	mem_file(&mem, "x/file", "inside");
	assert_int_equal(unpack(&mem), 0);
	holds("t/outside/file", "inside");
	/* The symlink itself is replaced, not followed. */
	(void)mem_header(&mem, "y", '2', 0, "../outside/file");
	mem_file(&mem, "y", "a file");
	assert_int_equal(unpack(&mem), 0);
	holds("t/y", "a file");
	(void)mem_header(&mem, "z", '2', 0, "../outside");
	(void)mem_header(&mem, "z/", '5', 0, NULL);
	mem_file(&mem, "z/file", "in a directory");
	assert_int_equal(unpack(&mem), 0);
	holds("t/z/file", "in a directory");
	mem_free(&mem);
}

static void test_hard_links(void **state)
{
	struct mem mem = { 0 };

	(void)state;
	mem_file(&mem, "f", "text");
	(void)mem_header(&mem, "a/b", '1', 0, "./f");
	(void)mem_header(&mem, "a/c", '1', 0, "/a/b");
	(void)mem_header(&mem, "a/c", '1', 0, "f"); /* is already */
	(void)mem_header(&mem, "f", '1', 0, "f");   /* of itself */
	(void)mem_header(&mem, "s", '2', 0, "f");
	(void)mem_header(&mem, "hs", '1', 0, "s"); /* of the symlink, not of the file */
	assert_int_equal(unpack(&mem), 0);
	assert_int_equal(stat_of("t/f").st_nlink, 3);
	assert_true(S_ISLNK(stat_of("t/hs").st_mode));
	holds("t/a/c", "text");
	/* In a circle, and of nothing. */
	(void)mem_header(&mem, "p", '1', 0, "q");
	assert_int_equal(unpack(&mem), -EXDEV);
	(void)mem_header(&mem, "p", '1', 0, "p");
	assert_int_equal(unpack(&mem), -EXDEV);
	assert_non_null(strstr(error, "not in this layer"));
	(void)mem_header(&mem, "p", '1', 0, "no/such/dir");
	assert_int_equal(unpack(&mem), -EXDEV);
	(void)mem_header(&mem, "p", '1', 0, "a");
	assert_int_equal(unpack(&mem), -EPERM); /* of a directory */
	/* What is linked is replaced: the old bytes stay under the other names. */
	mem_file(&mem, "f", "new");
	assert_int_equal(unpack(&mem), 0);
	holds("t/f", "new");
	holds("t/a/b", "text");
	/* A symlink that leads out, linked and then written through: replaced. */
	(void)mem_header(&mem, "out", '2', 0, "../outside/file");
	(void)mem_header(&mem, "out2", '1', 0, "out");
	mem_file(&mem, "out2", "owned");
	assert_int_equal(unpack(&mem), 0);
	mem_free(&mem);
}

/* In a child that is nobody, in a directory of its own. */
static void as_nobody(int (*run)(struct mem *mem))
{
	int status;
	pid_t pid;

	assert_int_equal(chown("t", 65534, 65534), 0);
	assert_int_equal(chmod(".", 0755), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct mem mem = { 0 };

		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(100);
		_exit(run(&mem));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(".", 0700), 0);
}

static int run_devices(struct mem *mem)
{
	size_t at = mem_header(mem, "dev", '3', 0, NULL);

	set(mem, at, 337, "0000003"); /* no whiteout, which anyone may make */
	options.no_owner = true;
	if (unpack(mem) != -EPERM ||
	    strcmp(error, "entry dev: cannot be made: Operation not permitted") != 0)
		return 1;
	(void)mem_header(mem, "dev", '4', 0, NULL);
	mem_file(mem, "f", "x");
	options.skip_devices = true;
	return unpack(mem) ? 2 : 0;
}

static int run_owner(struct mem *mem)
{
	size_t at;

	mem_file(mem, "f", "x"); /* root's */
	if (unpack(mem) != -EPERM)
		return 1;
	options.no_owner = true;
	at = mem_header(mem, "d/", '5', 0, NULL);
	set(mem, at, 100, "0000500"); /* nothing can be made in it, once it is so */
	mem_file(mem, "d/e/f", "x");
	mem_file(mem, ".wh.gone", "");
	options.user_xattr = true;
	mem_file(mem, "d/e/.wh..wh..opq", "");
	if (unpack(mem))
		return 2;
	if ((stat_of("t/d").st_mode & 07777) != 0500)
		return 3;
	return stat_of("t/d").st_mtime == 15 && is_whiteout("t/gone") ? 0 : 4;
}

static void test_unprivileged(void **state)
{
	char value[8];

	(void)state;
	as_nobody(run_devices);
	holds("t/f", "x");
	assert_true(gone("t/dev"));
	as_nobody(run_owner);
	assert_int_equal(stat_of("t/d/e/f").st_uid, 65534);
	assert_int_equal(lgetxattr("t/d/e", "user.overlay.opaque", value, sizeof(value)), 1);
}

/* Deeper than a path may be: an error, and it can be removed again. */
static void test_deep(void **state)
{
	char *path = malloc(20001);
	struct mem mem = { 0 };

	(void)state;
	assert_non_null(path);
	for (int i = 0; i < 10000; i++)
		memcpy(path + 2 * (size_t)i, "d/", 2);
	path[2000] = 0;
	mem_pax(&mem, "path", path);
	(void)mem_header(&mem, "x", '5', 0, NULL);
	assert_int_equal(unpack(&mem), 0);
	path[2000] = 'd';
	path[20000] = 0;
	mem_extended(&mem, 'L', path, 20001);
	(void)mem_header(&mem, "x", '5', 0, NULL);
	assert_int_equal(unpack(&mem), -ENAMETOOLONG);
	free(path);
	mem_free(&mem);
}

static void test_remove(void **state)
{
	(void)state;
	assert_int_equal(st_remove_tree(AT_FDCWD, "no-such"), 0);
	assert_int_equal(st_remove_tree(AT_FDCWD, "t/x"), -EINVAL);
	assert_int_equal(st_remove_tree(AT_FDCWD, ""), -EINVAL);
	assert_int_equal(st_remove_tree(AT_FDCWD, "."), -EINVAL);
	assert_int_equal(st_remove_tree(AT_FDCWD, ".."), -EINVAL);
	assert_int_equal(mkdir("t/d", 0), 0);
	assert_int_equal(symlink("../../outside", "t/d/l"), 0);
	assert_int_equal(symlink("../outside", "t/l"), 0);
	assert_int_equal(mknod("t/d/w", S_IFCHR, 0), 0);
	assert_int_equal(st_remove_tree(AT_FDCWD, "t"), 0);
	assert_int_equal(mkdir("t", 0755), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_names_refused),
		test(test_names_taken),
		test(test_symlink_escapes),
		test(test_two_steps),
		test(test_hard_links),
		test(test_unprivileged),
		test(test_deep),
		test(test_remove),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
