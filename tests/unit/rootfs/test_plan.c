/* SPDX-License-Identifier: MIT */
#include "rootfs/plan.h"

#include "common/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int read_it(const char *spec, const char *options, struct st_plan *ret, struct plug_error *err)
{
	const struct cowherd_request request = {
		.size = sizeof(request), .container = "c", .name = "c", .bundle = "/bundle",
		.spec = spec, .options = options, .run_dir = "/run/c", .state_dir = "/var/c",
	};

	*err = (struct plug_error){ 0 };
	return st_plan_read(&request, 0, ret, err);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
	} cases[] = {
		{ "1", 1 }, { "512k", 512 << 10 }, { "10M", 10 << 20 }, { "1G", 1 << 30 },
		{ "1GB", 1 << 30 }, { "1GiB", 1 << 30 }, { "2t", UINT64_C(2) << 40 }, { "7b", 7 },
		{ "", 0 }, { "0", 0 }, { "g", 0 }, { "-1", 0 }, { "1x", 0 }, { "1 g", 0 },
		{ "99999999999999999999", 0 }, { "99999999999p", 0 },
	};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(st_size_parse(cases[i].text, &bytes),
				 cases[i].bytes ? 0 : -EINVAL);
		if (cases[i].bytes)
			assert_true(bytes == cases[i].bytes);
	}
}

static void paths(void **state)
{
	static const char *const cases[][2] = {
		{ "/data", "/data" }, { "data", "/data" }, { "/../../etc", "/etc" }, { "/", "/" },
		{ "", "/" }, { "..", "/" }, { "/a/./b//c/", "/a/b/c" }, { "/a/../b", "/b" },
		{ "/a/b/../../..", "/" }, { "/...", "/..." }, { "/a..b/.c", "/a..b/.c" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *clean = st_path_clean(cases[i][0]);

		assert_string_equal(clean, cases[i][1]);
		free(clean);
	}
}

static void not_ours(void **state)
{
	static const char *const specs[] = {
		"{}", "{\"root\":{\"path\":\"rootfs\"},\"linux\":{}}",
		"{\"windows\":{\"layerFolders\":[\"C:\\\\x\"]}}", /* a Windows container */
		"{\"annotations\":{\"a\":\"windows\"}}", "[\"windows\"]",
	};
	struct plug_error err;
	struct st_plan plan;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
		assert_int_equal(read_it(specs[i], "{}", &plan, &err), 0);
	assert_int_equal(read_it("{", "{\"resolved\":1}", &plan, &err), -EBADMSG);
	assert_int_equal(read_it("{}", "{\"resolved\":1}", &plan, &err), 0);
}

static void images(void **state)
{
	static const char *const want[] = { "/a", "/a/b", "/etc", NULL };
	struct plug_error err;
	struct st_plan plan;
	size_t i;

	(void)state;
	assert_int_equal(
		read_it("{\"mounts\":[{\"destination\":\"/proc\"}]}",
			"{\"storage_opt\":{\"size\":\"1g\"},\"resolved\":{\"digest\":\"sha256:1\",\"config\":"
			"{\"config\":{\"Volumes\":{\"/a/b\":{},\"/\":{},\"a\":{},\"/../etc\":{},"
			"\"/etc/\":{},\"/a/b/\":{}}}}}}",
			&plan, &err),
		1);
	assert_int_equal(plan.root, ST_ROOT_IMAGE);
	assert_string_equal(plan.digest, "sha256:1");
	assert_true(plan.scratch_bytes == 1 << 30);
	assert_false(plan.lcow);
	for (i = 0; plan.volumes[i]; i++)
		assert_string_equal(plan.volumes[i], want[i]);
	assert_null(want[i]);
	assert_int_equal(plug_json_length(plan.mounts), 1);
	st_plan_finish(&plan);
	assert_int_equal(read_it("{}",
				 "{\"storage_opt\":{\"x\":\"1\"},\"resolved\":{\"digest\":\"sha256:1\"}}",
				 &plan, &err),
			 -EINVAL);
	assert_string_equal(err.text, "storage_opt: unknown option: x");
	assert_int_equal(read_it("{}",
				 "{\"storage_opt\":{\"size\":\"x\"},\"resolved\":{\"digest\":\"d\"}}",
				 &plan, &err),
			 -EINVAL);
	assert_string_equal(err.text, "storage_opt: size: not a size like 10g: \"x\"");
}

static void windows(void **state)
{
	struct plug_error err;
	struct st_plan plan;

	(void)state;
	assert_int_equal(read_it("{\"linux\":{},\"root\":{\"path\":\"r\"},\"windows\":{\"layerFolders\":"
				 "[\"/top\",\"/base\",\"/s\"],\"resources\":{\"storage\":"
				 "{\"sandboxSize\":1048576}}},\"annotations\":{"
				 "\"io.kubernetes.cri.sandbox-id\":\"pod\"}}",
				 "{}", &plan, &err),
			 1);
	assert_int_equal(plan.root, ST_ROOT_LAYERS); /* layers win */
	assert_int_equal(plan.folder_count, 3);
	assert_string_equal(plan.folders[0], "/top");
	assert_string_equal(plan.folders[2], "/s");
	assert_true(plan.scratch_bytes == 1 << 20);
	assert_string_equal(plan.sandbox, "pod");
	assert_true(plan.lcow);
	st_plan_finish(&plan);
	assert_int_equal(read_it("{\"linux\":{},\"root\":{\"path\":\"r\",\"readonly\":true},"
				 "\"windows\":{}}",
				 "{}", &plan, &err),
			 1);
	assert_int_equal(plan.root, ST_ROOT_SHARE);
	assert_string_equal(plan.share, "r");
	assert_true(plan.share_read_only);
	assert_string_equal(plan.sandbox, "c");
	st_plan_finish(&plan);
	assert_int_equal(read_it("{\"linux\":{},\"windows\":{}}", "{}", &plan, &err), -EINVAL);
	assert_string_equal(err.text, "must provide either Windows.LayerFolders or Root.Path");
	assert_int_equal(read_it("{\"linux\":{},\"windows\":{\"layerFolders\":[1]}}", "{}", &plan, &err),
			 -EINVAL);
	assert_int_equal(read_it("{\"linux\":{},\"windows\":{\"layerFolders\":[\"rel\"]}}", "{}", &plan,
				 &err),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),  cmocka_unit_test(paths),   cmocka_unit_test(not_ours),
		cmocka_unit_test(images), cmocka_unit_test(windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
