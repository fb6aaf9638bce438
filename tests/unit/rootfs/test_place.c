/* SPDX-License-Identifier: MIT */
/* Overlays of up to 128 layers, by the new mount API and the old one; copies; places cleared. */
#include "rootfs/copy.h"
#include "rootfs/place.h"
#include "rootfs/plan.h"

#include "archive/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#define LAYERS 128

static char root[64];
static struct plug_error err;

static char *path_of(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

static void put(const char *name, const char *text)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static void says(const char *name, const char *want)
{
	char text[64] = "";
	int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	(void)close(fd);
	assert_string_equal(text, want);
}

/* A mount namespace of its own: nothing is left whatever happens. */
static int make_root(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	(void)strcpy(root, "/tmp/cow-test-place-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	return st_place_remove(root, &err);
}

static void overlay(bool classic, const char *kind)
{
	static char dirs[LAYERS][600];
	const char *lower[LAYERS];
	char name[300], text[16], place[256];
	struct st_overlay o = { .lower = lower, .lower_count = LAYERS, .classic = classic };

	/* Long names with what options are parted by, but for a kernel that unescapes them. */
	(void)snprintf(place, sizeof(place), "%s-%0200d", kind, 0);
	assert_int_equal(st_place_make(path_of(place), 0700, &err), 0);
	for (int i = 0; i < LAYERS; i++) {
		(void)snprintf(name, sizeof(name), "%s/%d:,\\", place, i);
		(void)snprintf(dirs[i], sizeof(dirs[i]), "%s", path_of(name));
		assert_int_equal(mkdir(dirs[i], 0755), 0);
		lower[i] = dirs[i];
		(void)snprintf(name, sizeof(name), "%s/%d:,\\/own-%d", place, i, i);
		(void)snprintf(text, sizeof(text), "%d", i);
		put(name, text);
		(void)snprintf(name, sizeof(name), "%s/%d:,\\/all", place, i);
		put(name, text);
	}
	assert_int_equal(st_place_make(path_of("u"), 0755, &err), 0);
	assert_int_equal(st_place_make(path_of("w"), 0700, &err), 0);
	assert_int_equal(st_place_make(path_of("target"), 0755, &err), 0);
	o.upper = path_of("u");
	o.work = path_of("w");
	o.links = path_of("links");
	if (st_overlay_mount(&o, path_of("target"), &err) < 0)
		fail_msg("%s", err.text);
	assert_true(st_place_mounted(path_of("target")));
	says("target/all", "0");
	says("target/own-127", "127");
	put("target/own-1", "changed");
	says("u/own-1", "changed");
	assert_int_equal(st_place_clear(path_of("target"), &err), 0);
	assert_int_equal(st_place_clear(path_of("target"), &err), 0); /* again: nothing there */
	assert_int_equal(access(path_of("target"), F_OK), -1);
	assert_int_equal(st_place_clear_all(path_of("links"), &err), 0);
	assert_int_equal(access(path_of("links"), F_OK), -1);
	assert_int_equal(st_place_remove(path_of("u"), &err), 0);
	assert_int_equal(st_place_remove(path_of("w"), &err), 0);
}

static void many_layers(void **state)
{
	(void)state;
	overlay(false, "new");
}

static void many_layers_of_old(void **state)
{
	(void)state;
	overlay(true, "old");
}

static void what_fails_says_why(void **state)
{
	const char *lower[] = { path_of("missing") };
	struct st_overlay o = { .lower = lower, .lower_count = 1, .upper = path_of("u2"),
				.work = path_of("w2") };

	(void)state;
	assert_int_equal(st_place_make(path_of("t2"), 0755, &err), 0);
	assert_int_equal(st_overlay_mount(&o, path_of("t2"), &err), -ENOENT);
	assert_non_null(strstr(err.text, "missing"));
	assert_false(st_place_mounted(path_of("t2")));
	assert_int_equal(st_bind_mount("/no/such", path_of("t2"), false, true, &err), -ENOENT);
	assert_string_equal(err.text, "/no/such: No such file or directory");
	assert_int_equal(st_place_clear(path_of("t2"), &err), 0);
}

/* Mounts upon mounts, a file's place in a directory, somebody inside. */
static void places_are_cleared(void **state)
{
	int inside;

	(void)state;
	assert_int_equal(st_place_make(path_of("src"), 0755, &err), 0);
	put("src/file", "x");
	assert_int_equal(st_place_make(path_of("all"), 0755, &err), 0);
	assert_int_equal(st_place_make(path_of("all/dir"), 0755, &err), 0);
	assert_int_equal(st_place_make(path_of("all/one"), 0755, &err), 0);
	put("all/one/file", "");
	for (int i = 0; i < 3; i++)
		assert_int_equal(st_bind_mount(path_of("src"), path_of("all/dir"), false, true, &err),
				 0);
	assert_int_equal(st_bind_mount(path_of("src/file"), path_of("all/one/file"), true, false, &err),
			 0);
	says("all/one/file", "x");
	assert_int_equal(open(path_of("all/one/file"), O_WRONLY | O_CLOEXEC), -1);
	assert_int_equal(errno, EROFS);
	inside = open(path_of("all/dir/file"), O_RDONLY | O_CLOEXEC);
	assert_true(inside >= 0);
	assert_int_equal(st_place_clear_all(path_of("all"), &err), 0);
	assert_int_equal(access(path_of("all"), F_OK), -1);
	(void)close(inside);
	says("src/file", "x"); /* what was shown is still there */
	assert_int_equal(st_place_clear_all(path_of("all"), &err), 0);
}

static void copies_are_exact(void **state)
{
	atomic_bool stop = false;
	struct stat a, b;
	char value[8];
	int from, to;

	(void)state;
	assert_int_equal(mkdir(path_of("from"), 0755), 0);
	assert_int_equal(mkdir(path_of("from/sub"), 0711), 0);
	put("from/file", "content");
	assert_int_equal(link(path_of("from/file"), path_of("from/sub/again")), 0);
	assert_int_equal(symlink("/etc/passwd", path_of("from/out")), 0);
	assert_int_equal(mknod(path_of("from/fifo"), S_IFIFO | 0604, 0), 0);
	assert_int_equal(setxattr(path_of("from/file"), "user.a", "b", 1, 0), 0);
	assert_int_equal(chown(path_of("from/file"), 5, 6), 0);
	assert_int_equal(chmod(path_of("from/file"), 04751), 0);
	assert_int_equal(chown(path_of("from"), 7, 8), 0);
	assert_int_equal(chmod(path_of("from"), 02750), 0);
	to = open(path_of("from/hole"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(to, 100 << 20), 0);
	assert_int_equal(pwrite(to, "end", 3, 90 << 20), 3);
	(void)close(to);
	assert_int_equal(mkdir(path_of("to"), 0700), 0);
	from = open(path_of("from"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to = open(path_of("to"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = (struct plug_error){ 0 };
	if (st_copy_tree(from, to, &stop, &err) < 0)
		fail_msg("%s", err.text);
	says("to/file", "content");
	assert_int_equal(stat(path_of("to/file"), &a), 0);
	assert_int_equal(stat(path_of("to/sub/again"), &b), 0);
	assert_true(a.st_ino == b.st_ino && a.st_uid == 5 && a.st_gid == 6);
	assert_int_equal(a.st_mode & 07777, 04751);
	assert_int_equal(stat(path_of("to"), &a), 0);
	assert_true(a.st_uid == 7 && a.st_gid == 8 && (a.st_mode & 07777) == 02750);
	assert_int_equal(lstat(path_of("to/fifo"), &a), 0);
	assert_int_equal(a.st_mode, S_IFIFO | 0604);
	assert_int_equal(getxattr(path_of("to/file"), "user.a", value, sizeof(value)), 1);
	assert_int_equal(stat(path_of("to/hole"), &a), 0);
	assert_true(a.st_size == 100 << 20 && a.st_blocks < 2048);
	assert_int_equal(readlink(path_of("to/out"), value, sizeof(value)), 8);
	(void)close(to);
	stop = true;
	assert_int_equal(mkdir(path_of("not"), 0700), 0);
	to = open(path_of("not"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = (struct plug_error){ 0 };
	assert_int_equal(st_copy_tree(from, to, &stop, &err), -ECANCELED);
	(void)close(from);
	(void)close(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_layers),        cmocka_unit_test(many_layers_of_old),
		cmocka_unit_test(what_fails_says_why), cmocka_unit_test(places_are_cleared),
		cmocka_unit_test(copies_are_exact),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
