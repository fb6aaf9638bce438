/* SPDX-License-Identifier: MIT */
/* Image and parameters as one: what Docker makes of them, case by case. */
#include "spec/create.h"
#include "spec/options.h"

#include "base/fs.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* params: more members of the create parameters; config: the image's inner configuration. */
static int create(const char *params, const char *config, struct cow_create **ret,
		  struct cow_error *err)
{
	char text[4096], answer[4096];
	struct json_object *value, *image;
	struct cow_json at;
	int r;

	memset(err, 0, sizeof(*err));
	(void)snprintf(text, sizeof(text), "{\"id\":\"c0ffee00-1234-5678\",\"image\":\"x\"%s%s}",
		       *params ? "," : "", params);
	(void)snprintf(answer, sizeof(answer),
		       "{\"digest\":\"sha256:1\",\"name\":\"docker.io/library/x:latest\","
		       "\"config\":{\"os\":\"linux\",\"history\":[],\"config\":%s}}",
		       config);
	assert_int_equal(cow_json_parse("p", text, strlen(text), &value, err), 0);
	at = (struct cow_json){ .value = value };
	r = cow_create_parse(&at, NULL, ret, err);
	json_object_put(value);
	if (r < 0)
		return r;
	assert_int_equal(cow_json_parse("i", answer, strlen(answer), &image, err), 0);
	r = cow_create_take_image(*ret, image, err);
	json_object_put(image);
	if (r == 0)
		r = cow_create_compile(*ret, err);
	if (r < 0)
		cow_create_destroy(*ret);
	return r;
}

static struct json_object *process(struct cow_create *c)
{
	return json_object_object_get(c->spec, "process");
}

static const char *text(struct json_object *o, const char *key)
{
	return json_object_to_json_string_ext(json_object_object_get(o, key),
					      JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void arguments(void **state)
{
	static const struct {
		const char *params, *config, *args; /* NULL: no command specified */
	} cases[] = {
		{ "", "{\"Cmd\":[\"sh\"]}", "[\"sh\"]" },
		{ "", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"b\"]}", "[\"/e\",\"a\",\"b\"]" },
		{ "", "{\"Entrypoint\":[\"/e\",\"-x\"]}", "[\"/e\",\"-x\"]" },
		{ "", "{\"Entrypoint\":null,\"Cmd\":null}", NULL },
		{ "", "{}", NULL },
		{ "\"args\":[\"c\"]", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\"]}", "[\"/e\",\"c\"]" },
		{ "\"args\":[\"c\"]", "{\"Cmd\":[\"a\"]}", "[\"c\"]" },
		{ "\"args\":[\"c\"]", "{}", "[\"c\"]" },
		/* --entrypoint drops the image's Cmd */
		{ "\"entrypoint\":\"/n\"", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\"]}", "[\"/n\"]" },
		{ "\"entrypoint\":[\"/n\",\"-y\"],\"args\":[\"c\"]",
		  "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\"]}", "[\"/n\",\"-y\",\"c\"]" },
		/* --entrypoint "" */
		{ "\"entrypoint\":\"\",\"args\":[\"c\"]",
		  "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\"]}", "[\"c\"]" },
		{ "\"entrypoint\":\"\"", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\"]}", NULL },
		/* "Entrypoint": [] of its API leaves Cmd */
		{ "\"entrypoint\":[]", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\"]}", "[\"a\"]" },
	};
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		int r = create(cases[i].params, cases[i].config, &c, &err);

		if (!cases[i].args) {
			assert_int_equal(r, -EINVAL);
			assert_string_equal(
				err.message,
				"image docker.io/library/x:latest: no command specified");
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(text(process(c), "args"), cases[i].args);
		cow_create_destroy(c);
	}
}

static void environment(void **state)
{
	static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	struct cow_create *c;
	struct cow_error err;
	char want[256];

	(void)state;
	assert_int_equal(create("\"env\":[\"B=mine\",\"D=4\"]",
				"{\"Cmd\":[\"x\"],\"Env\":[\"A=1\",\"B=2\",\"bad\",\"=no\",\"C=\"]}",
				&c, &err),
			 0);
	(void)snprintf(want, sizeof(want),
		       "[\"%s\",\"HOSTNAME=c0ffee00-123\",\"A=1\",\"B=mine\",\"C=\",\"D=4\"]", path);
	assert_string_equal(text(process(c), "env"), want);
	assert_string_equal(text(c->spec, "hostname"), "\"c0ffee00-123\"");
	cow_create_destroy(c);
	assert_int_equal(create("\"hostname\":\"h\",\"terminal\":true",
				"{\"Cmd\":[\"x\"],\"Env\":[\"PATH=/bin\",\"HOSTNAME=image\"]}", &c,
				&err),
			 0);
	assert_string_equal(text(process(c), "env"),
			    "[\"PATH=/bin\",\"HOSTNAME=image\",\"TERM=xterm\"]");
	cow_create_destroy(c);
	assert_int_equal(create("\"hostname\":\"h\"", "{\"Cmd\":[\"x\"]}", &c, &err), 0);
	(void)snprintf(want, sizeof(want), "[\"%s\",\"HOSTNAME=h\"]", path);
	assert_string_equal(text(process(c), "env"), want);
	cow_create_destroy(c);
}

static void the_rest_of_the_process(void **state)
{
	static const struct {
		const char *params, *config, *key, *value;
	} cases[] = {
		{ "", "{\"WorkingDir\":\"/w\"}", "cwd", "\"/w\"" },
		{ "", "{\"WorkingDir\":\"w\"}", "cwd", "\"/w\"" },
		{ "", "{\"WorkingDir\":\"\"}", "cwd", "\"/\"" },
		{ "\"cwd\":\"/mine\"", "{\"WorkingDir\":\"/w\"}", "cwd", "\"/mine\"" },
		{ "", "{\"User\":\"web:www\"}", "user",
		  "{\"uid\":0,\"gid\":0,\"username\":\"web:www\"}" },
		{ "\"user\":\"1:2\"", "{\"User\":\"web\"}", "user",
		  "{\"uid\":0,\"gid\":0,\"username\":\"1:2\"}" },
		{ "", "{\"User\":\"\"}", "user", "{\"uid\":0,\"gid\":0}" },
		{ "", "{}", "noNewPrivileges", "null" },
		{ "\"no_new_privileges\":true", "{}", "noNewPrivileges", "true" },
	};
	struct cow_create *c;
	struct cow_error err;
	char params[256];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		(void)snprintf(params, sizeof(params), "\"args\":[\"x\"]%s%s",
			       *cases[i].params ? "," : "", cases[i].params);
		assert_int_equal(create(params, cases[i].config, &c, &err), 0);
		assert_string_equal(text(process(c), cases[i].key), cases[i].value);
		cow_create_destroy(c);
	}
}

static void what_is_kept(void **state)
{
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	assert_int_equal(create("\"labels\":{\"a\":\"mine\"}",
				"{\"Cmd\":[\"x\"],\"Labels\":{\"a\":\"1\",\"b\":\"2\"},"
				"\"StopSignal\":\"SIGQUIT\",\"Volumes\":{\"/data\":{}},"
				"\"ExposedPorts\":{\"80/tcp\":{}}}",
				&c, &err),
			 0);
	assert_string_equal(json_object_to_json_string_ext(c->labels, JSON_C_TO_STRING_PLAIN),
			    "{\"a\":\"mine\",\"b\":\"2\"}");
	assert_int_equal(c->stop_signal, SIGQUIT);
	assert_string_equal(c->image, "x");
	assert_string_equal(text(c->resolved, "digest"), "\"sha256:1\"");
	assert_non_null(strstr(text(c->resolved, "config"), "\"80/tcp\""));
	assert_null(strstr(text(c->resolved, "config"), "history"));
	assert_int_equal(c->health.interval_ms, 30000);
	assert_null(c->health.test);
	cow_create_destroy(c);
	assert_int_equal(create("\"stop_signal\":\"INT\"",
				"{\"Cmd\":[\"x\"],\"StopSignal\":\"SIGQUIT\"}", &c, &err),
			 0);
	assert_int_equal(c->stop_signal, SIGINT);
	cow_create_destroy(c);
	assert_int_equal(create("", "{\"Cmd\":[\"x\"],\"StopSignal\":\"SIGWHAT\"}", &c, &err), 0);
	assert_int_equal(c->stop_signal, 0);
	cow_create_destroy(c);
}

static void health(void **state)
{
	static const struct {
		const char *params, *config, *test; /* words joined by spaces; NULL: no check */
		uint32_t interval, timeout, start, retries;
	} cases[] = {
		{ "", "{\"Test\":[\"CMD\",\"/h\",\"-q\"]}", "/h -q", 30000, 30000, 0, 3 },
		{ "",
		  "{\"Test\":[\"CMD-SHELL\",\"a b\"],\"Interval\":5000000000,\"Timeout\":1000000,"
		  "\"StartPeriod\":2000000000,\"Retries\":7}",
		  "/bin/sh -c a b", 5000, 1, 2000, 7 },
		{ "", "{\"Test\":[\"NONE\"]}", NULL, 30000, 30000, 0, 3 },
		{ "", "{\"Test\":[]}", NULL, 30000, 30000, 0, 3 },
		{ "", "{\"Test\":[\"HTTP\",\"x\"]}", NULL, 30000, 30000, 0, 3 },
		{ "\"health\":{\"disable\":true}", "{\"Test\":[\"CMD\",\"/h\"]}", NULL, 30000, 30000,
		  0, 3 },
		{ "\"health\":{\"interval_s\":1,\"retries\":2}",
		  "{\"Test\":[\"CMD\",\"/h\"],\"Interval\":5000000000,\"Timeout\":4000000000}", "/h",
		  1000, 4000, 0, 2 },
		{ "\"health\":{\"test\":[\"/mine\"]}",
		  "{\"Test\":[\"CMD\",\"/h\"],\"Retries\":9}", "/mine", 30000, 30000, 0, 9 },
	};
	struct cow_create *c;
	struct cow_error err;
	char config[512], words[128];

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		(void)snprintf(config, sizeof(config), "{\"Cmd\":[\"x\"],\"Healthcheck\":%s}",
			       cases[i].config);
		assert_int_equal(create(cases[i].params, config, &c, &err), 0);
		words[0] = 0;
		for (char **w = c->health.test; w && *w; w++)
			(void)snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s",
				       *words ? " " : "", *w);
		assert_string_equal(words, cases[i].test ? cases[i].test : "");
		assert_int_equal(c->health.interval_ms, cases[i].interval);
		assert_int_equal(c->health.timeout_ms, cases[i].timeout);
		assert_int_equal(c->health.start_period_ms, cases[i].start);
		assert_int_equal(c->health.retries, cases[i].retries);
		cow_create_destroy(c);
	}
	assert_int_equal(create("",
				"{\"Cmd\":[\"x\"],\"Shell\":[\"/bin/bash\",\"-ec\"],"
				"\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"t\"]}}",
				&c, &err),
			 0);
	assert_string_equal(c->health.test[0], "/bin/bash");
	assert_string_equal(c->health.test[1], "-ec");
	assert_string_equal(c->health.test[2], "t");
	assert_null(c->health.test[3]);
	cow_create_destroy(c);
}

static void refuses_malformed_ones(void **state)
{
	static const struct {
		const char *config, *message;
	} cases[] = {
		{ "[]", "its configuration is no object" },
		{ "{\"Cmd\":\"sh\"}", "Cmd is malformed" },
		{ "{\"Cmd\":[1]}", "Cmd is malformed" },
		{ "{\"Entrypoint\":{}}", "Entrypoint is malformed" },
		{ "{\"Env\":[null]}", "Env is malformed" },
		{ "{\"WorkingDir\":1}", "WorkingDir is malformed" },
		{ "{\"User\":[]}", "User is malformed" },
		{ "{\"Volumes\":[]}", "Volumes is malformed" },
		{ "{\"ExposedPorts\":80}", "ExposedPorts is malformed" },
		{ "{\"Labels\":{\"a\":1}}", "Labels is malformed" },
		{ "{\"StopSignal\":9}", "StopSignal is malformed" },
		{ "{\"Healthcheck\":[]}", "Healthcheck is malformed" },
		{ "{\"Healthcheck\":{\"Test\":\"x\"}}", "Healthcheck is malformed" },
		{ "{\"Healthcheck\":{\"Interval\":-1}}", "Healthcheck: Interval is not a number" },
	};
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		assert_int_equal(create("\"args\":[\"x\"]", cases[i].config, &c, &err), -EBADMSG);
		assert_string_equal(err.message + strlen("image docker.io/library/x:latest: "),
				    cases[i].message);
	}
}

static void users_are_settled(void **state)
{
	static const struct {
		const char *process, *user, *env;
	} cases[] = {
		{ "{}", "{\"uid\":0,\"gid\":0,\"additionalGids\":[10]}", "[\"HOME=/root\"]" },
		{ "{\"user\":{\"username\":\"web\"}}",
		  "{\"uid\":33,\"gid\":34,\"additionalGids\":[44]}", "[\"HOME=/var/www\"]" },
		{ "{\"user\":{\"username\":\"web:root\"},\"env\":[\"HOME=/x\"]}",
		  "{\"uid\":33,\"gid\":0}", "[\"HOME=/x\"]" },
		{ "{\"user\":{\"username\":\"33\"}}", "{\"uid\":33,\"gid\":34,\"additionalGids\":[44]}",
		  "[\"HOME=/var/www\"]" },
		{ "{\"user\":{\"username\":\"7:8\"}}", "{\"uid\":7,\"gid\":8}", "[\"HOME=/\"]" },
		{ "{\"user\":{\"username\":\"7\"}}", "{\"uid\":7,\"gid\":0}", "[\"HOME=/\"]" },
	};
	char root[] = "/tmp/cow-test-image-XXXXXX", path[64];
	struct cow_error err = { 0 };
	struct json_object *process_;

	(void)state;
	assert_non_null(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/etc", root);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/etc/passwd", root);
	assert_int_equal(cow_fs_write_atomic(path, "root:x:0:0::/root:\nweb:x:33:34::/var/www:\n", 42,
					     0644, 0),
			 0);
	(void)snprintf(path, sizeof(path), "%s/etc/group", root);
	assert_int_equal(cow_fs_write_atomic(path, "root:x:0:\nbin:x:10:root\nmedia:x:44:web\n", 40, 0644,
					     0),
			 0);
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		process_ = json_tokener_parse(cases[i].process);
		assert_int_equal(cow_create_settle_user(process_, root, &err), 0);
		assert_string_equal(text(process_, "user"), cases[i].user);
		assert_string_equal(text(process_, "env"), cases[i].env);
		json_object_put(process_);
	}
	process_ = json_tokener_parse("{\"user\":{\"username\":\"nobody\"}}");
	assert_int_equal(cow_create_settle_user(process_, root, &err), -ENOENT);
	assert_non_null(strstr(err.message, "user nobody: not in etc/passwd"));
	json_object_put(process_);
	assert_int_equal(cow_fs_remove_tree(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(environment),
		cmocka_unit_test(the_rest_of_the_process),
		cmocka_unit_test(what_is_kept),
		cmocka_unit_test(health),
		cmocka_unit_test(refuses_malformed_ones),
		cmocka_unit_test(users_are_settled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
