/* SPDX-License-Identifier: MIT */
/* Memory runs out at every single allocation: an error each time, and nothing lost. */
#include "spec/config.h"
#include "spec/create.h"
#include "spec/options.h"
#include "tests/alloc_fail.h"

#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];

static void put(const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(cow_fs_write_atomic(path, text, strlen(text), 0644, 0), 0);
}

static int make_dir(void **state)
{
	char path[256];

	(void)state;
	(void)strcpy(dir, "/tmp/cow-test-memory-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/conf.d", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/etc", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/var/www:/bin/false\n");
	put("etc/group", "root:x:0:\nmedia:x:44:web\naudio:x:29:web\n");
	put("config.json",
	    "{\"process\":{\"args\":[\"x\"],\"env\":[\"A=b\"],\"capabilities\":{\"bounding\":"
	    "[\"CAP_KILL\"],\"ambient\":[\"CAP_KILL\"]}},\"root\":{\"path\":\".\"},\"mounts\":["
	    "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"options\":[\"ro\"]}],\"linux\":{"
	    "\"namespaces\":[{\"type\":\"network\"}]}}");
	put("cowherd.json",
	    "{\"root\":\"r\",\"host\":\"unix:///x\",\"log\":{\"level\":\"warn\"},\"emulate\":{"
	    "\"build\":\"RS1\"},\"containers\":{\"b\":{\"rootfs\":\"fs\",\"depends_on\":[\"a\"],"
	    "\"mounts\":[{\"source\":\"s\",\"target\":\"/t\"}]},\"a\":{\"bundle\":\".\","
	    "\"labels\":{\"x\":\"y\"}}},\"plugins\":{\"p\":{\"q\":[1]}}}");
	put("conf.d/1.json", "{\"state\":\"s\",\"containers\":{\"c\":{\"rootfs\":\"/fs\","
			     "\"depends_on\":{\"b\":{\"condition\":\"completed\"}}}}}");
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return cow_fs_remove_tree(dir);
}

static void configuration(void **state)
{
	char path[256];
	int good = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/cowherd.json", dir);
	alloc_fail_each (n) {
		struct cow_config_errors errors = { 0 };
		struct cow_config *config = NULL;
		int r = cow_config_load(path, &config, &errors);

		(void)alloc_fail_stop();
		if (r == 0) {
			good++;
			cow_config_destroy(config);
		} else {
			assert_true(errors.count > 0);
		}
		cow_config_errors_finish(&errors);
	}
	/* Short memory where only the words of a message were made is no failure; mostly it is. */
	assert_true(good >= 1 && good < 12);
}

static void wrong_configuration(void **state)
{
	char path[256];

	(void)state;
	put("bad.json", "{\"x\":1,\"containers\":{\"a\":{\"rootfs\":\"r\",\"health\":{}},\"b\":{"
			"\"rootfs\":\"r\",\"depends_on\":[\"b\"]},\"c\":{\"depends_on\":5}}}");
	(void)snprintf(path, sizeof(path), "%s/bad.json", dir);
	alloc_fail_each (n) {
		struct cow_config_errors errors = { 0 };
		struct cow_config *config = NULL;
		int r = cow_config_load(path, &config, &errors);

		(void)alloc_fail_stop();
		assert_true(r < 0 && errors.count > 0);
		cow_config_errors_finish(&errors);
	}
}

static void create_with(const char *format)
{
	char text[1024];
	struct json_object *value;
	int good = 0;

	(void)snprintf(text, sizeof(text), format, dir);
	value = json_tokener_parse(text);
	assert_non_null(value);
	alloc_fail_each (n) {
		const struct cow_json at = { .value = value };
		struct cow_create *create = NULL;
		struct cow_error err = { 0 };
		int r = cow_create_parse(&at, NULL, &create, &err);

		if (r == 0)
			r = cow_create_compile(create, &err);
		(void)alloc_fail_stop();
		assert_true(r == 0 || (r == err.code && *err.message));
		good += r == 0;
		cow_create_destroy(create);
	}
	assert_true(good >= 1);
	json_object_put(value);
}

static void create(void **state)
{
	(void)state;
	create_with("{\"rootfs\":\"%s\",\"args\":[\"a\",\"b\"],\"env\":[\"A=b\",\"C=d\"],\"user\":"
		    "\"web\",\"terminal\":true,\"height\":1,\"width\":2,\"memory\":\"1m\",\"cpus\":1,"
		    "\"pids\":5,\"cap_add\":[\"ALL\"],\"mounts\":[{\"source\":\"/s\",\"target\":\"/t\","
		    "\"read_only\":true}],\"health\":{\"test\":\"x\"},\"labels\":{\"a\":\"b\"},"
		    "\"isolation\":\"vm\",\"network\":\"host\",\"annotations\":{\"a\":\"b\"}}");
	create_with("{\"bundle\":\"%s\",\"privileged\":true,\"hostname\":\"h\",\"network\":\"none\","
		    "\"health\":{\"test\":[\"x\"]},\"backend\":\"b\",\"id\":\"i\",\"name\":\"n\"}");
	create_with("{\"spec\":{\"root\":{\"path\":\"%s\"}},\"user\":\"33:44\"}");
}

static void exec(void **state)
{
	struct json_object *params = json_tokener_parse(
		"{\"args\":[\"x\"],\"user\":\"web\",\"env\":[\"A=c\",\"D=e\"],\"privileged\":true}");
	struct json_object *spec = json_tokener_parse("{\"process\":{\"env\":[\"A=b\"],\"cwd\":\"/\"}}");

	(void)state;
	alloc_fail_each (n) {
		const struct cow_json at = { .value = params };
		struct json_object *process = NULL;
		struct cow_error err = { 0 };
		int r = cow_create_exec_process(&at, spec, dir, &process, &err);

		(void)alloc_fail_stop();
		assert_true(r == 0 || (r == err.code && *err.message));
		json_object_put(process);
	}
	json_object_put(params);
	json_object_put(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration),
		cmocka_unit_test(wrong_configuration),
		cmocka_unit_test(create),
		cmocka_unit_test(exec),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
