/* SPDX-License-Identifier: MIT */
/* Names as docker reads them, platforms, and where JSON stops. */
#include "images.h"

#include "common/format.h"
#include "image/name.h"

static void whole(const char *text, const char *name, const char *familiar)
{
	struct st_reference r;
	struct plug_error err = { 0 };
	char *made;

	assert_int_equal(st_reference_parse(text, &r, &err), 0);
	made = st_reference_name(&r);
	assert_string_equal(made, name);
	assert_string_equal(st_name_familiar(made), familiar);
	free(made);
	st_reference_finish(&r);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "", "A", "a//b", "/a", "a/", "a:", "a:b:c", "a@b", "a..b",
					   "a___b", "-a", "a-", ".a", "a b", "a:-tag", "../a",
					   "a\n", "a\"", "a:\"", "a\\b", "a@sha256:0" };
	struct st_reference r;

	(void)state;
	whole("busybox", "docker.io/library/busybox:latest", "busybox:latest");
	whole("a/b", "docker.io/a/b:latest", "a/b:latest");
	whole("docker.io/busybox:1", "docker.io/library/busybox:1", "busybox:1");
	whole("localhost/a", "localhost/a:latest", "localhost/a:latest");
	whole("localhost:5000/a_b/c--d:T.1", "localhost:5000/a_b/c--d:T.1",
	      "localhost:5000/a_b/c--d:T.1");
	whole("quay.io/a__b.c:latest", "quay.io/a__b.c:latest", "quay.io/a__b.c:latest");
	for (size_t i = 0; i < PLUG_ELEMENTS(bad); i++) {
		struct plug_error err = { 0 };

		assert_int_equal(st_reference_parse(bad[i], &r, &err), -EINVAL);
		assert_true(*err.text);
	}
}

static void test_escape(void **state)
{
	char a[256], b[256], text[400];

	(void)state;
	st_name_escape("docker.io/library/a:b", a);
	assert_string_equal(a, "docker.io%2Flibrary%2Fa%3Ab");
	st_name_escape("..", a);
	assert_string_equal(a, "%2E.");
	/* Long ones stay apart, and short enough. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	st_name_escape(text, a);
	text[sizeof(text) - 2] = 'y';
	st_name_escape(text, b);
	assert_true(strlen(a) < 255 && strcmp(a, b) != 0 && !strncmp(a, b, 100));
	memset(text, '/', sizeof(text) - 1);
	st_name_escape(text, a);
	assert_true(strlen(a) < 255);
}

static int match(const char *want, const char *is)
{
	struct st_platform w, i;

	assert_int_equal(st_platform_parse(want, &w, NULL), 0);
	assert_int_equal(st_platform_parse(is, &i, NULL), 0);
	return st_platform_match(&w, &i);
}

static void test_platforms(void **state)
{
	struct st_platform p;

	(void)state;
	assert_true(match("linux/amd64", "linux/amd64") > match("linux/amd64", "linux/amd64/v3"));
	assert_true(match("linux/amd64", "linux/amd64/v2") > match("linux/amd64", "linux/amd64/v3"));
	assert_int_equal(match("linux/amd64", "linux/arm64"), 0);
	assert_int_equal(match("linux/amd64", "windows/amd64"), 0);
	assert_true(match("linux/arm64", "linux/arm64/v8") == match("aarch64", "linux/arm64"));
	assert_true(match("linux/arm/v7", "linux/arm/v7") > match("linux/arm/v7", "linux/arm/v6"));
	assert_true(match("linux/arm/v7", "linux/arm/v6") > match("linux/arm/v7", "linux/arm/v5"));
	assert_int_equal(match("linux/arm/v6", "linux/arm/v7"), 0);
	for (const char **bad = (const char *[]){ "", "/", "a/", "vax", "a/b/", "a/b/c/d", "a b/c", NULL };
	     *bad; bad++)
		assert_int_equal(st_platform_parse(*bad, &p, NULL), -EINVAL);
}

static int parses(const char *text)
{
	struct json_object *o;
	struct plug_error err = { 0 };
	int r = plug_json_parse(text, strlen(text), "test", &o, &err);

	if (r == 0)
		json_object_put(o);
	else
		assert_true(!strncmp(err.text, "test: ", 6));
	return r;
}

static void test_json(void **state)
{
	char *many = malloc(3 * PLUG_JSON_VALUES + 16), deep[PLUG_JSON_DEPTH * 2 + 8] = "", *p = many;

	(void)state;
	assert_int_equal(parses("{\"a\":[1,\"}]\\\"\"]} \n"), 0);
	for (const char **bad =
		     (const char *[]){ "", "{", "{}x", "{}{}", "nul", "{'a':1}", "[1,]", "\"\xff\"", NULL };
	     *bad; bad++)
		assert_int_equal(parses(*bad), -EBADMSG);
	memset(deep, '[', PLUG_JSON_DEPTH + 1);
	assert_int_equal(parses(deep), -E2BIG);
	memset(deep, '[', PLUG_JSON_DEPTH);
	memset(deep + PLUG_JSON_DEPTH, ']', PLUG_JSON_DEPTH);
	assert_int_equal(parses(deep + 1), -EBADMSG);
	assert_int_equal(parses(deep), 0);
	assert_non_null(many);
	*p++ = '[';
	for (int i = 0; i < PLUG_JSON_VALUES; i++, p += 2)
		memcpy(p, "1,", 2);
	memcpy(p, "1]", 3);
	assert_int_equal(parses(many), -E2BIG);
	free(many);
}

static void test_people(void **state)
{
	char text[48];

	(void)state;
	plug_format_bytes(4261550, text);
	assert_string_equal(text, "4.26MB");
	plug_format_bytes(999, text);
	assert_string_equal(text, "999B");
	assert_int_equal(plug_format_time("1970-01-02T00:00:00.5+01:30"), 86400 - 5400);
	assert_int_equal(plug_format_time("yesterday"), INT64_MIN);
	plug_format_ago("0001-01-01T00:00:00Z", text);
	assert_string_equal(text, "N/A");
	plug_format_ago("1970-01-01T00:00:00Z", text);
	assert_non_null(strstr(text, " years ago"));
}

/* A blob that rots is named; an image with a layer that is gone can lose its name. */
static void test_damage(void **state)
{
	char path[1200], *dir = test_directory();
	struct st_freed freed = { 0 };
	struct plug_error err = { 0 };
	struct st_image *image;
	struct st_store *store;
	struct test_image t;
	struct st_work *w;
	int fd;

	(void)state;
	test_image_make(&t, 4);
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(st_store_open(path, &store, &err), 0);
	assert_int_equal(st_work_begin(store, &w, &err), 0);
	assert_int_equal(test_image_add(w, &t), 0);
	assert_int_equal(st_work_add_name(w, "docker.io/library/t:1", t.digest), 0);
	assert_int_equal(st_work_commit(w, &err), 0);
	st_work_end(w);
	(void)snprintf(path, sizeof(path), "%s/s/blobs/sha256/%s", dir, st_hex(t.id));
	fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0 && write(fd, " ", 1) == 1);
	(void)close(fd);
	assert_int_equal(st_store_resolve(store, "t:1", &image, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "damaged"));
	/* gc does not guess what it would need. */
	assert_int_equal(st_store_gc(store, NULL, &freed, &err), -EUCLEAN);
	assert_int_equal(freed.blobs + freed.layers, 0);
	assert_non_null(strstr(err.text, "image t:1: "));
	assert_int_equal(st_store_untag(store, "docker.io/library/t:1", &err), 0);
	assert_int_equal(st_store_gc(store, NULL, &freed, &err), 0);
	assert_int_equal(freed.blobs, 2 + t.depth);
	assert_int_equal(freed.layers, t.depth);
	st_store_close(store);
	test_image_free(&t);
	test_directory_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_escape),
		cmocka_unit_test(test_platforms), cmocka_unit_test(test_json),
		cmocka_unit_test(test_people), cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
