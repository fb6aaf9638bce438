/* SPDX-License-Identifier: MIT */
#include "spec/config.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <dirent.h>
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

static int make_dir(void **state)
{
	char path[128];

	(void)state;
	(void)strcpy(dir, "/tmp/cow-test-config-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/conf.d", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return cow_fs_remove_tree(dir);
}

static void put(const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(cow_fs_write_atomic(path, text, strlen(text), 0644, 0), 0);
}

static int load(struct cow_config **ret, struct cow_config_errors *errors)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/cowherd.json", dir);
	memset(errors, 0, sizeof(*errors));
	return cow_config_load(path, ret, errors);
}

/* Every line of errors, without its directory, is what is wanted. */
static void assert_errors(struct cow_config_errors *errors, const char *want)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf got = COW_STRBUF_INIT;
	char *rest = errors->text.data, *line;
	size_t n = strlen(dir);

	while ((line = strsep(&rest, "\n")) && *line) {
		assert_true(strncmp(line, dir, n) == 0);
		cow_strbuf_addf(&got, "%s\n", line + n + 1);
	}
	assert_string_equal(got.data ? got.data : "", want);
	cow_config_errors_finish(errors);
}

static void assert_text(struct json_object *o, const char *pointer, const char *want)
{
	struct json_object *value = NULL;

	(void)json_pointer_get(o, pointer, &value);
	assert_string_equal(value ? json_object_get_string(value) : "absent", want);
}

static void merges_the_files_of_conf_d(void **state)
{
	struct cow_config_errors errors;
	struct cow_config *c;
	char want[128];

	(void)state;
	put("cowherd.json",
	    "{\"root\":\"/r\",\"state\":\"st\",\"containers\":{\"a\":{\"rootfs\":\"fs\"}},"
	    "\"plugins\":{\"p\":{\"x\":1}}}");
	put("conf.d/20.json",
	    "{\"containers\":{\"c\":{\"rootfs\":\"/fs\",\"depends_on\":[\"b\"]}}}");
	put("conf.d/10.json",
	    "{\"owner\":\"me\",\"containers\":{\"b\":{\"bundle\":\"../bundle\","
	    "\"mounts\":[{\"source\":\"data\",\"target\":\"/d\"},{\"type\":\"tmpfs\",\"source\":"
	    "\"tmpfs\",\"target\":\"/t\"}]}}}");
	put("conf.d/.hidden.json", "no json");
	put("conf.d/README", "no json");
	assert_int_equal(load(&c, &errors), 0);
	assert_int_equal(errors.count, 0);
	assert_string_equal(c->root, "/r");
	(void)snprintf(want, sizeof(want), "%s/st", dir);
	assert_string_equal(c->state, want);
	assert_string_equal(c->owner, "me");
	assert_int_equal(c->file_count, 3);
	assert_int_equal(c->container_count, 3);
	assert_string_equal(c->containers[1].name, "b");
	assert_int_equal(c->containers[2].dependencies[0].index, 1);
	(void)snprintf(want, sizeof(want), "%s/fs", dir);
	assert_text(c->containers[0].params, "/rootfs", want);
	assert_text(c->containers[0].params, "/name", "a");
	assert_text(c->containers[0].params, "/labels/cowherd.config",
		    c->containers[0].fingerprint);
	(void)snprintf(want, sizeof(want), "%s/bundle", dir);
	assert_text(c->containers[1].params, "/bundle", want);
	(void)snprintf(want, sizeof(want), "%s/conf.d/data", dir);
	assert_text(c->containers[1].params, "/mounts/0/source", want);
	assert_text(c->containers[1].params, "/mounts/1/source", "tmpfs");
	assert_text(c->containers[2].params, "/depends_on", "absent");
	assert_int_equal(c->plugin_count, 1);
	assert_string_equal(c->plugins[0].json, "{\"x\":1}");
	cow_config_destroy(c);
}

static void says_which_files_disagree(void **state)
{
	struct cow_config_errors errors;
	struct cow_config *c;
	char want[1024];

	(void)state;
	put("cowherd.json",
	    "{\"root\":\"/r\",\"containers\":{\"a\":{\"rootfs\":\"fs\"}},\"plugins\":{\"p\":{}}}");
	put("conf.d/10.json",
	    "{\n\"root\":\"/s\",\n\"containers\":{\n\"a\":{\"rootfs\":\"fs\"}},\n\"plugins\":{\"p\":{}}}");
	put("conf.d/20.json", "{]");
	assert_int_equal(load(&c, &errors), -EINVAL);
	(void)snprintf(want, sizeof(want),
		       "conf.d/10.json:2: /root: is in %s/cowherd.json too\n"
		       "conf.d/10.json:4: /containers/a: is in %s/cowherd.json too\n"
		       "conf.d/10.json:5: /plugins/p: is in %s/cowherd.json too\n"
		       "conf.d/20.json:1:2: expected a key in quotes\n", dir, dir, dir);
	assert_errors(&errors, want);
	put("conf.d/10.json", "{}");
	put("conf.d/20.json", "{}");
}

static void a_missing_file_is_an_error(void **state)
{
	struct cow_config_errors errors = { 0 };
	struct cow_config *c;
	char path[256];

	(void)state;
	assert_int_equal(cow_config_load("/nonexistent/cowherd.json", &c, &errors), -EINVAL);
	assert_string_equal(errors.text.data,
			    "/nonexistent/cowherd.json: No such file or directory\n");
	cow_config_errors_finish(&errors);
	assert_int_equal(cow_config_load("/", &c, &errors), -EINVAL);
	cow_config_errors_finish(&errors);
	(void)snprintf(path, sizeof(path), "%s/fifo.json", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(cow_config_load(path, &c, &errors), -EINVAL);
	cow_config_errors_finish(&errors);
}

static void fingerprints_tell_changes(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} cases[] = {
		{ "{\"containers\":{\"a\":{\"rootfs\":\"fs\",\"env\":[\"A=1\",\"B=2\"],\"user\":\"0\"}}}",
		  true },
		{ "{\"containers\":{\"a\":{\"user\":\"0\",\n\"env\":[\"A=1\",\"B=2\"],\"rootfs\":\"./fs\"}}}",
		  true },
		{ "{\"containers\":{\"a\":{\"rootfs\":\"fs\",\"env\":[\"B=2\",\"A=1\"],\"user\":\"0\"}}}",
		  false },
		{ "{\"containers\":{\"a\":{\"rootfs\":\"fs\",\"env\":[\"A=1\",\"B=2\"],\"user\":\"1\"}}}",
		  false },
		{ "{\"containers\":{\"a\":{\"rootfs\":\"fs\",\"env\":[\"A=1\",\"B=2\"]}}}", false },
	};
	struct cow_config_errors errors;
	struct cow_config *c;
	char first[32] = "";

	(void)state;
	for (size_t i = 0; i < COW_ELEMENTS(cases); i++) {
		put("cowherd.json", cases[i].text);
		assert_int_equal(load(&c, &errors), 0);
		if (i == 0)
			(void)strcpy(first, c->containers[0].fingerprint);
		assert_int_equal(strcmp(first, c->containers[0].fingerprint) == 0, cases[i].same);
		cow_config_destroy(c);
	}

	/* An edited bundle is a changed container. */
	put("cowherd.json", "{\"containers\":{\"a\":{\"bundle\":\".\"}}}");
	for (int i = 0; i < 3; i++) {
		if (i > 0)
			put("config.json", i == 1 ? "{}" : "{ }");
		assert_int_equal(load(&c, &errors), 0);
		assert_string_not_equal(first, c->containers[0].fingerprint);
		(void)strcpy(first, c->containers[0].fingerprint);
		cow_config_destroy(c);
	}
}

static void puts_dependencies_first(void **state)
{
	enum { LENGTH = 2000 };
	struct cow_config_errors errors;
	struct cow_strbuf text = COW_STRBUF_INIT;
	struct cow_config *c;

	(void)state;
	/* A chain in the wrong order, long enough to find recursion. */
	cow_strbuf_add(&text, "{\"containers\":{");
	for (int i = 0; i < LENGTH; i++)
		cow_strbuf_addf(&text, "\"c%d\":{\"rootfs\":\"r\",\"depends_on\":[\"c%d\"]},", i,
				i + 1);
	cow_strbuf_addf(&text, "\"c%d\":{\"rootfs\":\"r\"}}}", LENGTH);
	put("cowherd.json", text.data);
	cow_strbuf_finish(&text);
	assert_int_equal(load(&c, &errors), 0);
	assert_int_equal(c->container_count, LENGTH + 1);
	for (size_t i = 1; i < c->container_count; i++)
		assert_int_equal(c->containers[i].dependencies[0].index, i - 1);
	cow_config_destroy(c);
}

/*
 * Each sample of tests/data/config: the good ones load, the bad ones say what stands beside them.
 */
static void samples_of(const char *sub, bool good)
{
	char path[512], want_path[1024];
	struct dirent **entries;
	int n, samples = 0;

	(void)snprintf(path, sizeof(path), COW_TEST_DATA "/config/%s", sub);
	n = scandir(path, &entries, NULL, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		struct cow_config_errors errors = { 0 };
		struct cow_config *c = NULL;
		char *name = entries[i]->d_name, *want = NULL, *rest, *line, *got;
		size_t len = strlen(name);

		if (len < 5 || strcmp(name + len - 5, ".json") != 0) {
			free(entries[i]);
			continue;
		}
		samples++;
		(void)snprintf(want_path, sizeof(want_path), "%s/%s", path, name);
		if (good) {
			if (cow_config_load(want_path, &c, &errors) < 0)
				fail_msg("%s: %s", name, errors.text.data);
			cow_config_destroy(c);
			free(entries[i]);
			continue;
		}
		assert_true(cow_config_load(want_path, &c, &errors) < 0);
		(void)strcpy(strrchr(want_path, '.'), ".errors");
		assert_int_equal(cow_fs_read(want_path, 65536, &want, NULL), 0);
		got = errors.text.data;
		for (rest = want; (line = strsep(&rest, "\n")) && *line;) {
			char *end = strchr(got, '\n');

			assert_non_null(end);
			*end = 0;
			if (strlen(got) < strlen(line) ||
			    strcmp(got + strlen(got) - strlen(line), line) != 0)
				fail_msg("%s: \"%s\" instead of \"%s\"", name, got, line);
			got = end + 1;
		}
		if (*got)
			fail_msg("%s: also %s", name, got);
		cow_config_errors_finish(&errors);
		free(want);
		free(entries[i]);
	}
	free(entries);
	assert_true(samples > 5);
}

static void samples(void **state)
{
	(void)state;
	samples_of("good", true);
	samples_of("bad", false);
	samples_of("bad/parser_only", false);
}

static void complaints_have_an_end(void **state)
{
	struct cow_config_errors errors;
	struct cow_strbuf text = COW_STRBUF_INIT;
	struct cow_config *c;
	size_t lines = 0;

	(void)state;
	cow_strbuf_add(&text, "{\"last\":1");
	for (int i = 0; i < 5000; i++)
		cow_strbuf_addf(&text, ",\"k%d\":1", i);
	cow_strbuf_add(&text, "}");
	put("cowherd.json", text.data);
	cow_strbuf_finish(&text);
	assert_int_equal(load(&c, &errors), -EINVAL);
	assert_int_equal(errors.count, 5001);
	for (const char *p = errors.text.data; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 100);
	cow_config_errors_finish(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges_the_files_of_conf_d),
		cmocka_unit_test(says_which_files_disagree),
		cmocka_unit_test(a_missing_file_is_an_error),
		cmocka_unit_test(fingerprints_tell_changes),
		cmocka_unit_test(puts_dependencies_first),
		cmocka_unit_test(samples),
		cmocka_unit_test(complaints_have_an_end),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
