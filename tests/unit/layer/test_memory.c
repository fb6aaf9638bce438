/* SPDX-License-Identifier: MIT */
/* Each allocation fails once in a layer's life: it is there whole or not at all, and can be removed. */
#include "layer/compare.h"
#include "layer/import.h"
#include "layer/layer.h"
#include "layer/life.h"
#include "layer/pack.h"
#include "layer/stage.h"
#include "tests/alloc_fail_json.h"
#include "tests/scratch.h"
#include "tests/unit/archive/make.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char base[128], upper[128], scratch[128];

static int enter(void **state)
{
	(void)state;
	if (!scratch_enter() || !scratch_own_mounts())
		return -1;
	(void)snprintf(base, sizeof(base), "%s/base", scratch_dir);
	(void)snprintf(upper, sizeof(upper), "%s/upper", scratch_dir);
	(void)snprintf(scratch, sizeof(scratch), "%s/scratch", scratch_dir);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	return scratch_leave() ? 0 : -1;
}

static void archive_make(struct mem *mem, bool windows)
{
	if (windows) {
		(void)mem_header(mem, "Files/", '5', 0, NULL);
		mem_pax(mem, "MSWINDOWS.fileattr", "32");
		mem_file(mem, "Files/a", "text");
		mem_file(mem, "Files/a:stream", "more");
		(void)mem_header(mem, "Hives/", '5', 0, NULL);
	} else {
		(void)mem_header(mem, "d/", '5', 0, NULL);
		mem_pax(mem, "SCHILY.xattr.user.note", "yes");
		mem_file(mem, "d/a", "text");
		(void)mem_header(mem, "d/link", '1', 0, "d/a");
		mem_file(mem, "implied/b", "x");
		mem_file(mem, "d/.wh.c", "");
	}
	mem_end(mem);
}

static int import(struct mem *mem, const char *path, bool vhd, const struct st_chain *parents,
		  struct plug_error *err)
{
	const struct st_layer_import i = { .path = path, .parents = parents, .vhd = vhd,
					   .read = mem_read, .arg = mem };
	struct st_layer_imported done;

	mem->at = 0;
	return st_layer_import(&i, &done, err);
}

static void expect_gone(const char *path)
{
	struct plug_error err = { 0 };
	struct dirent *e;
	DIR *d;

	if (st_life_remove(path, &err) < 0)
		fail_msg("%s", err.text);
	d = opendir(scratch_dir);
	assert_non_null(d);
	while ((e = readdir(d)))
		assert_null(strstr(e->d_name, strrchr(path, '/') + 1));
	(void)closedir(d);
}

/* Failing it says that it was memory; there are threads, so that it may be said with other words. */
static void expect(bool failed, unsigned n, int r, const struct plug_error *err)
{
	if (!failed && r)
		fail_msg("%d: %s", r, err->text);
	if (r && r != -ENOMEM)
		fail_msg("allocation %u: %d: %s", n, r, err->text);
}

static void import_sweep(bool windows, bool vhd)
{
	struct mem mem = { 0 };

	archive_make(&mem, windows);
	alloc_fail_each(n) {
		struct plug_error err = { 0 };
		int r = import(&mem, base, vhd, NULL, &err);
		bool failed = alloc_fail_stop();
		struct st_layer_at at;

		expect(failed, n, r, &err);
		if (r < 0) {
			assert_int_equal(access(base, F_OK), -1);
		} else {
			assert_int_equal(st_layer_find(base, &at, &err), 0);
			assert_int_equal(at.form, vhd ? ST_FORM_PACKED :
						  windows ? ST_FORM_WINDOWS : ST_FORM_DIR);
			st_layer_leave(&at);
		}
		expect_gone(base);
	}
	mem_free(&mem);
}

static void imports(void **state)
{
	(void)state;
	import_sweep(false, false);
	import_sweep(false, true);
	import_sweep(true, false);
}

static int mem_pack(void *arg, const void *data, size_t size)
{
	(void)arg;
	(void)data;
	(void)size;
	return 0;
}

static int pack(int fd, struct plug_error *err)
{
	struct st_tar_writer *writer = NULL;
	struct st_pack *packed = NULL;
	int r = st_tar_writer_open(mem_pack, NULL, &writer);

	if (r == 0)
		r = st_pack_open(fd, writer, &packed);
	if (r == 0)
		r = st_pack_tree(packed, "", err);
	if (r == 0)
		r = st_tar_finish(writer);
	st_pack_close(packed);
	st_tar_writer_close(writer);
	return r;
}

static int compare(int fd, int lower, struct plug_error *err)
{
	struct st_changes changes;
	int r = st_compare(fd, false, &lower, 1, &changes, err);

	if (r == 0)
		st_changes_finish(&changes);
	return r;
}

static void looked_at(void **state)
{
	struct mem mem = { 0 };
	struct plug_error err = { 0 };
	char path[160];
	int fd;

	(void)state;
	archive_make(&mem, false);
	assert_int_equal(import(&mem, base, false, NULL, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/fs", base);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	alloc_fail_each(n) {
		int r = pack(fd, &err);

		expect(alloc_fail_stop(), n, r, &err);
	}
	alloc_fail_each(n) {
		int empty, r;

		empty = open("/proc/self/ns", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = compare(fd, empty, &err);
		expect(alloc_fail_stop(), n, r, &err);
		(void)close(empty);
	}
	(void)close(fd);
	expect_gone(base);
	mem_free(&mem);
}

/* Created, mounted elsewhere too, and taken down, with whatever was made by then. */
static int live(struct plug_error *err)
{
	struct st_chain parents = { 0 };
	char target[160], *shown = NULL;
	int r = st_chain_add(&parents, base, err);

	(void)snprintf(target, sizeof(target), "%s/target", scratch_dir);
	if (r == 0)
		r = st_layer_create(upper, &parents, err);
	if (r == 0)
		r = st_life_create(scratch, &parents, 0, err);
	if (r == 0)
		r = st_life_mount(scratch, &parents, ST_VERIFY_NONE, target, &shown, err);
	free(shown);
	shown = NULL;
	if (r == 0)
		r = st_life_path(scratch, &shown, err);
	free(shown);
	if (r == 0)
		r = st_life_unmount(scratch, NULL, err);
	st_chain_finish(&parents);
	return r;
}

static void lives(void **state)
{
	struct plug_error err = { 0 };
	struct mem mem = { 0 };

	(void)state;
	archive_make(&mem, false);
	assert_int_equal(import(&mem, base, false, NULL, &err), 0);
	assert_int_equal(mkdir("target", 0755), 0);
	alloc_fail_each(n) {
		int r;

		err = (struct plug_error){ 0 };
		r = live(&err);
		expect(alloc_fail_stop(), n, r, &err);
		expect_gone(scratch);
		expect_gone(upper);
	}
	/* Nothing is mounted on it. */
	assert_int_equal(rmdir("target"), 0);
	expect_gone(base);
	mem_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(imports, enter, leave),
		cmocka_unit_test_setup_teardown(looked_at, enter, leave),
		cmocka_unit_test_setup_teardown(lives, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
