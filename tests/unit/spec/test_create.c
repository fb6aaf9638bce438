/* SPDX-License-Identifier: MIT */
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
#include <unistd.h>
#include <cmocka.h>

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define ID "\"id\":\"c0ffee00-0000\","

static char root[64];

static void put_file(const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(cow_fs_write_atomic(path, text, strlen(text), 0644, 0), 0);
}

static int make_root(void **state)
{
	char path[256];

	(void)state;
	(void)strcpy(root, "/tmp/cow-test-create-XXXXXX");
	assert_non_null(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/etc", root);
	assert_int_equal(mkdir(path, 0755), 0);
	put_file("etc/passwd",
		 "root:x:0:0:root:/root:/bin/sh\nbroken line\nbig:x:99999999999:1::/:\n"
		 "web:x:33:34:Web:/var/www:/bin/false\nlast:x:77:78::/home/last:");
	put_file(
		"etc/group",
		"root:x:0:\nwww:x:34:\nmedia:x:44:last,web\naudio:x:29:web\nhuge:x:4294967295:web\n");
	return 0;
}

static int remove_root(void **state)
{
	(void)state;
	return cow_fs_remove_tree(root);
}

/* %R in params becomes the root directory. */
static int create(const char *params, struct cow_create **ret, struct cow_error *err)
{
	char text[4096];
	size_t n = 0;
	struct json_object *value;
	struct cow_json at;
	int r;

	for (const char *p = params; *p; p++) {
		if (p[0] == '%' && p[1] == 'R')
			n += (size_t)sprintf(text + n, "%s", root), p++;
		else
			text[n++] = *p;
	}
	memset(err, 0, sizeof(*err));
	r = cow_json_parse("p", text, n, &value, err);
	assert_int_equal(r, 0);
	at = (struct cow_json){ .value = value };
	r = cow_create_parse(&at, NULL, ret, err);
	json_object_put(value);
	if (r == 0) {
		r = cow_create_compile(*ret, err);
		if (r < 0)
			cow_create_destroy(*ret);
	}
	return r;
}

static void refuses_wrong_parameters(void **state)
{
	static const struct {
		const char *params, *message;
	} cases[] = {
		{ "5", "not an object" },
		{ "{}", "spec must be supplied: one of bundle, spec, rootfs, image" },
		{ "{\"rootfs\":\"/\",\"bundle\":\"/\"}",
		  "only one of bundle, spec, rootfs, image goes" },
		{ "{\"image\":\"\"}", "/image: empty" },
		{ "{\"image\":\"alpine\",\"pull\":\"always\"}",
		  "/pull: nothing here fetches images: `cowherd image load` takes them in" },
		{ "{\"image\":\"alpine\",\"storage_opt\":{\"size\":1}}",
		  "/storage_opt/size: not a string" },
		{ "{\"rootfs\":\"/\",\"entrypoint\":\"x\"}",
		  "/entrypoint: goes with \"image\" only" },
		{ "{\"rootfs\":\"/\",\"health\":{\"disable\":true,\"test\":\"x\"}}",
		  "/health/test: there is none with \"disable\"" },
		{ "{\"rootfs\":\"/\",\"health\":{\"retries\":2}}", "/health/test: missing" },
		{ "{\"rootfs\":\"/\",\"colour\":1}", "/colour: unknown key" },
		{ "{\"rootfs\":\"rel\"}", "/rootfs: not an absolute path" },
		{ "{\"rootfs\":7}", "/rootfs: not a string" },
		{ "{\"rootfs\":\"/\",\"id\":\"a/b\"}",
		  "/id: \"a/b\" is not 1 to 128 of [A-Za-z0-9_.+-], a letter or digit first" },
		{ "{\"rootfs\":\"/\",\"name\":\"..\"}",
		  "/name: \"..\" is not 1 to 128 of [A-Za-z0-9_.+-], a letter or digit first" },
		{ "{\"rootfs\":\"/\",\"args\":[]}", "/args: empty" },
		{ "{\"rootfs\":\"/\",\"args\":[1]}", "/args/0: not a string" },
		{ "{\"rootfs\":\"/\",\"env\":[\"A=b\",\"X\"]}", "/env/1: not NAME=VALUE" },
		{ "{\"rootfs\":\"/\",\"env\":[\"=b\"]}", "/env/0: not NAME=VALUE" },
		{ "{\"rootfs\":\"/\",\"cwd\":\"x\"}", "/cwd: not an absolute path" },
		{ "{\"rootfs\":\"/\",\"terminal\":1}", "/terminal: not true or false" },
		{ "{\"rootfs\":\"/\",\"memory\":\"64q\"}", "/memory: not a size like 64m" },
		{ "{\"rootfs\":\"/\",\"memory\":-5}",
		  "/memory: -5 is not between 0 and 9223372036854775807" },
		{ "{\"rootfs\":\"/\",\"cpus\":0}", "/cpus: not between 0.01 and 65536" },
		{ "{\"rootfs\":\"/\",\"pids\":0}", "/pids: 0 is not between 1 and 2147483647" },
		{ "{\"rootfs\":\"/\",\"mounts\":{}}", "/mounts: not an array" },
		{ "{\"rootfs\":\"/\",\"mounts\":[{\"source\":\"/a\"}]}",
		  "/mounts/0/target: missing" },
		{ "{\"rootfs\":\"/\",\"mounts\":[{\"target\":\"/a\"}]}",
		  "/mounts/0/source: missing" },
		{ "{\"rootfs\":\"/\",\"mounts\":[{\"target\":\"/a\",\"source\":\"b\"}]}",
		  "/mounts/0/source: not an absolute path" },
		{ "{\"rootfs\":\"/\",\"mounts\":[{\"type\":\"nfs\"}]}",
		  "/mounts/0/type: \"nfs\" is not one of bind, tmpfs" },
		{ "{\"rootfs\":\"/\",\"cap_add\":[\"FLY\"]}",
		  "/cap_add/0: unknown capability \"FLY\"" },
		{ "{\"rootfs\":\"/\",\"network\":\"-moon\"}",
		  "/network: \"-moon\" is not none, host, container:NAME, ns:/PATH or a network's "
		  "NAME[:KEY=VALUE,…]" },
		{ "{\"rootfs\":\"/\",\"labels\":{\"a\":1}}", "/labels/a: not a string" },
		{ "{\"rootfs\":\"/\",\"stop_signal\":\"HUPP\"}",
		  "/stop_signal: unknown signal \"HUPP\"" },
		{ "{\"rootfs\":\"/\",\"stop_signal\":[]}", "/stop_signal: not a signal" },
		{ "{\"rootfs\":\"/\",\"stop_timeout_s\":\"5\"}", "/stop_timeout_s: not a number" },
		{ "{\"rootfs\":\"/\",\"stop_timeout_s\":-1}",
		  "/stop_timeout_s: not between 0 seconds and 30 days" },
		{ "{\"rootfs\":\"/\",\"restart\":\"on-failure:x\"}",
		  "/restart: \"on-failure:x\" is not one of no, on-failure[:N], always, unless-stopped" },
		{ "{\"rootfs\":\"/\",\"restart\":\"always:3\"}",
		  "/restart: \"always:3\" is not one of no, on-failure[:N], always, unless-stopped" },
		{ "{\"rootfs\":\"/\",\"restart\":{}}", "/restart/policy: missing" },
		{ "{\"rootfs\":\"/\",\"restart\":{\"policy\":\"x\"}}",
		  "/restart/policy: \"x\" is not one of no, on-failure, always, unless-stopped" },
		{ "{\"rootfs\":\"/\",\"health\":{}}", "/health/test: missing" },
		{ "{\"rootfs\":\"/\",\"health\":{\"test\":[]}}", "/health/test: empty" },
		{ "{\"rootfs\":\"/\",\"health\":{\"test\":\"x\",\"interval_s\":\"1\"}}",
		  "/health/interval_s: not a number" },
		{ "{\"rootfs\":\"/\",\"health\":{\"test\":\"x\",\"retries\":0}}",
		  "/health/retries: 0 is not between 1 and 1000000" },
		{ "{\"rootfs\":\"/\",\"log\":{\"files\":0}}",
		  "/log/files: 0 is not between 1 and 1000" },
		{ "{\"rootfs\":\"/\",\"schema_version\":\"two\"}",
		  "/schema_version: not a version like 2.1" },
		{ "{\"rootfs\":\"/\",\"isolation\":\"cage\"}",
		  "/isolation: \"cage\" is not one of process, vm, hyperv" },
		{ "{\"rootfs\":\"/nonexistent\"}",
		  "rootfs /nonexistent: No such file or directory" },
		{ "{\"rootfs\":\"/proc/version\"}", "rootfs /proc/version: Not a directory" },
		{ "{\"bundle\":\"/nonexistent\"}",
		  "/nonexistent: JSON specification file config.json not found" },
		{ "{\"spec\":{\"root\":{\"path\":\"rootfs\"}}}",
		  "spec: /root/path: not an absolute path, and there is no bundle" },
		{ "{\"spec\":{\"process\":5}}", "spec: /process: not an object" },
		{ "{\"spec\":{\"mounts\":[{\"options\":\"ro\"}]}}",
		  "spec: /mounts/0/options: not an array" },
		{ "{\"spec\":{\"process\":{\"capabilities\":{\"bounding\":5}}}}",
		  "spec: /process/capabilities/bounding: not an array" },
		{ "{\"spec\":{\"linux\":{\"namespaces\":[null]}}}",
		  "spec: /linux/namespaces/0: not an object" },
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct cow_create *c = NULL;
		struct cow_error err;

		assert_true(create(cases[i].params, &c, &err) < 0);
		assert_string_equal(err.message, cases[i].message);
	}
}

#define TEXT(o) \
	json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

static struct json_object *at(struct json_object *o, const char *path)
{
	struct json_object *value = NULL;

	(void)json_pointer_get(o, path, &value);
	return value;
}

static void assert_at(struct json_object *o, const char *path, const char *json)
{
	struct json_object *value = at(o, path);

	assert_string_equal(value ? TEXT(value) : "absent", json);
}

static void makes_a_default_spec(void **state)
{
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	assert_int_equal(create("{" ID "\"rootfs\":\"%R\"}", &c, &err), 0);
	assert_string_equal(c->id, "c0ffee00-0000");
	assert_string_equal(c->name, c->id);
	assert_string_equal(c->owner, "cowherd");
	assert_string_equal(c->image, root);
	assert_true(c->init);
	assert_false(c->terminal);
	assert_int_equal(c->stop_timeout_ms, 10000);
	assert_int_equal(c->restart.policy, COW_RESTART_NO);
	assert_null(c->health.test);
	assert_string_equal(json_object_get_string(at(c->spec, "/root/path")), root);
	assert_at(c->spec, "/process/args", "[ \"/bin/sh\" ]");
	assert_at(c->spec, "/process/env/1", "\"HOME=/root\"");
	assert_at(c->spec, "/process/noNewPrivileges", "true");
	assert_at(c->spec, "/hostname", "\"c0ffee00-000\"");
	assert_int_equal(json_object_array_length(at(c->spec, "/process/capabilities/bounding")),
			 14);
	assert_int_equal(json_object_array_length(at(c->spec, "/linux/namespaces")), 6);
	assert_int_equal(json_object_array_length(at(c->spec, "/mounts")), 7);
	assert_at(c->spec, "/linux/resources/devices",
		  "[ { \"allow\": false, \"access\": \"rwm\" } ]");
	cow_create_destroy(c);

	/* Without an id one is made up, and the name is it. */
	assert_int_equal(create("{\"rootfs\":\"%R\"}", &c, &err), 0);
	assert_int_equal(strlen(c->id), 36);
	assert_string_equal(c->name, c->id);
	cow_create_destroy(c);
}

static void options_shape_the_spec(void **state)
{
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	assert_int_equal(
		create("{" ID "\"name\":\"web\",\"rootfs\":\"%R\",\"args\":[\"a\",\"b\"],"
		       "\"env\":[\"PATH=/x\",\"A=b=c\",\"A=d\"],\"cwd\":\"/tmp\",\"user\":\"web\","
		       "\"terminal\":true,\"height\":24,\"width\":80,\"memory\":\"64m\",\"cpus\":1.5,"
		       "\"pids\":50,\"read_only\":true,\"hostname\":\"h\",\"domainname\":\"d\","
		       "\"annotations\":{\"k\":\"v\"},\"network\":\"host\","
		       "\"cap_add\":[\"net_admin\"],\"cap_drop\":[\"ALL\"],"
		       "\"mounts\":[{\"source\":\"/srv\",\"target\":\"/data\",\"read_only\":true},"
		       "{\"type\":\"tmpfs\",\"target\":\"/dev/shm\",\"options\":[\"size=1m\"]}]}",
		       &c, &err),
		0);
	assert_true(c->terminal);
	assert_at(c->spec, "/process/args", "[ \"a\", \"b\" ]");
	assert_at(c->spec, "/process/env",
		  "[ \"PATH=/x\", \"A=d\", \"HOME=/var/www\", \"TERM=xterm\" ]");
	assert_at(c->spec, "/process/cwd", "\"/tmp\"");
	assert_at(c->spec, "/process/user",
		  "{ \"uid\": 33, \"gid\": 34, \"additionalGids\": [ 44, 29 ] }");
	assert_at(c->spec, "/process/consoleSize", "{ \"height\": 24, \"width\": 80 }");
	assert_at(c->spec, "/process/capabilities",
		  "{ \"bounding\": [ \"CAP_NET_ADMIN\" ], \"effective\": [ \"CAP_NET_ADMIN\" ], "
		  "\"permitted\": [ \"CAP_NET_ADMIN\" ] }");
	assert_at(c->spec, "/linux/resources/memory", "{ \"limit\": 67108864 }");
	assert_at(c->spec, "/linux/resources/cpu", "{ \"period\": 100000, \"quota\": 150000 }");
	assert_at(c->spec, "/linux/resources/pids", "{ \"limit\": 50 }");
	assert_at(c->spec, "/root/readonly", "true");
	assert_at(c->spec, "/hostname", "\"h\"");
	assert_at(c->spec, "/domainname", "\"d\"");
	assert_at(c->spec, "/annotations", "{ \"k\": \"v\" }");
	assert_int_equal(json_object_array_length(at(c->spec, "/linux/namespaces")), 5);
	/* The mount at the same place was replaced. */
	assert_int_equal(json_object_array_length(at(c->spec, "/mounts")), 8);
	assert_at(c->spec, "/mounts/6",
		  "{ \"destination\": \"/data\", \"type\": \"bind\", \"source\": "
		  "\"/srv\", \"options\": [ \"rbind\", \"rprivate\", \"ro\" ] }");
	assert_at(c->spec, "/mounts/7",
		  "{ \"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": "
		  "\"tmpfs\", \"options\": [ \"size=1m\" ] }");
	cow_create_destroy(c);
}

static void privileged_frees(void **state)
{
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	assert_int_equal(create("{" ID "\"rootfs\":\"%R\",\"privileged\":true}", &c, &err), 0);
	assert_at(c->spec, "/process/noNewPrivileges", "false");
	assert_at(c->spec, "/linux/maskedPaths", "absent");
	assert_at(c->spec, "/linux/readonlyPaths", "absent");
	assert_at(c->spec, "/linux/resources/devices",
		  "[ { \"allow\": true, \"access\": \"rwm\" } ]");
	assert_true(json_object_array_length(at(c->spec, "/process/capabilities/bounding")) > 35);
	cow_create_destroy(c);

	put_file("config.json", "{\"process\":{\"args\":[\"x\"],\"noNewPrivileges\":true},"
				"\"mounts\":[{\"type\":\"sysfs\",\"options\":[\"nosuid\",\"ro\"]},"
				"{\"type\":\"proc\",\"options\":[\"ro\"]}],"
				"\"linux\":{\"seccomp\":{},\"maskedPaths\":[\"/x\"]}}");
	assert_int_equal(create("{" ID "\"bundle\":\"%R\",\"privileged\":true}", &c, &err), 0);
	assert_at(c->spec, "/mounts/0/options", "[ \"nosuid\" ]");
	assert_at(c->spec, "/mounts/1/options", "[ \"ro\" ]");
	assert_at(c->spec, "/linux/seccomp", "absent");
	assert_at(c->spec, "/process/noNewPrivileges", "false");
	cow_create_destroy(c);
}

static void a_bundle_stays_as_it_is(void **state)
{
	static const char text[] =
		"{ \"ociVersion\": \"1.0.2\", \"process\": { \"terminal\": true, \"args\": [ \"x\" ], "
		"\"cwd\": \"/\" }, \"root\": { \"path\": \"rootfs\" }, \"odd\": [ 1 ] }";
	struct cow_create *c;
	struct cow_error err;
	char want[256];

	(void)state;
	put_file("config.json", text);
	assert_int_equal(create("{" ID "\"bundle\":\"%R\"}", &c, &err), 0);
	assert_string_equal(TEXT(c->spec), text);
	assert_true(c->terminal);
	cow_create_destroy(c);

	assert_int_equal(create("{" ID "\"bundle\":\"%R\",\"terminal\":false,\"args\":[\"y\"],"
				"\"network\":\"none\"}", &c, &err), 0);
	assert_false(c->terminal);
	assert_at(c->spec, "/process/args", "[ \"y\" ]");
	assert_at(c->spec, "/process/env", "absent");
	assert_at(c->spec, "/linux/namespaces", "[ { \"type\": \"network\" } ]");
	cow_create_destroy(c);

	put_file("config.json", "{\n\"process\":\n{\"env\":[5]}}");
	assert_int_equal(create("{\"bundle\":\"%R\"}", &c, &err), -EINVAL);
	(void)snprintf(want, sizeof(want), "%s/config.json:3: /process/env/0: not a string", root);
	assert_string_equal(err.message, want);
	put_file("config.json", "{\n\"process\":\n{");
	assert_int_equal(create("{\"bundle\":\"%R\"}", &c, &err), -EINVAL);
	(void)snprintf(want, sizeof(want), "%s/config.json:3:2: /process: expected a key in quotes",
		       root);
	assert_string_equal(err.message, want);

	/* A FIFO would block for ever. */
	(void)snprintf(want, sizeof(want), "%s/config.json", root);
	assert_int_equal(unlink(want), 0);
	assert_int_equal(mkfifo(want, 0600), 0);
	assert_int_equal(create("{\"bundle\":\"%R\"}", &c, &err), -ENOENT);
	assert_int_equal(unlink(want), 0);
}

static void takes_a_whole_spec(void **state)
{
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	assert_int_equal(
		create("{\"spec\":{\"root\":{\"path\":\"/r\"}},\"env\":[\"A=b\"]}", &c, &err), 0);
	assert_null(c->bundle);
	assert_string_equal(c->image, "");
	assert_at(c->spec, "/root/path", "\"/r\"");
	assert_at(c->spec, "/process/env", "[ \"A=b\" ]");
	cow_create_destroy(c);
}

static void keeps_what_concerns_the_supervisor(void **state)
{
	struct cow_create *c;
	struct cow_error err;

	(void)state;
	assert_int_equal(
		create("{\"rootfs\":\"/\",\"owner\":\"me\",\"init\":false,\"open_stdin\":true,"
		       "\"keep_on_failure\":true,\"auto_remove\":true,\"backend\":\"lcow\","
		       "\"isolation\":\"hyperv\",\"stop_signal\":\"sigusr1\",\"stop_timeout_s\":0.25,"
		       "\"labels\":{\"a\":\"b\"},\"log\":{\"max_bytes\":\"1k\",\"files\":7},"
		       "\"restart\":{\"policy\":\"on-failure\",\"max_retries\":4,\"delay_s\":0.5,"
		       "\"max_delay_s\":9,\"reset_after_s\":3},"
		       "\"health\":{\"test\":\"true\",\"interval_s\":0.1,\"timeout_s\":2,"
		       "\"start_period_s\":3,\"retries\":5,\"on_unhealthy\":\"restart\"},"
		       "\"schema_version\":{\"Major\":2,\"Minor\":1}}",
		       &c, &err),
		0);
	assert_string_equal(c->owner, "me");
	assert_false(c->init);
	assert_true(c->open_stdin && c->keep_on_failure && c->auto_remove);
	assert_string_equal(c->backend, "lcow");
	assert_string_equal(c->isolation, "vm");
	assert_int_equal(c->stop_signal, SIGUSR1);
	assert_int_equal(c->stop_timeout_ms, 250);
	assert_int_equal(c->log_max_bytes, 1024);
	assert_int_equal(c->log_files, 7);
	assert_int_equal(c->restart.policy, COW_RESTART_ON_FAILURE);
	assert_int_equal(c->restart.max_retries, 4);
	assert_int_equal(c->restart.delay_ms, 500);
	assert_int_equal(c->restart.max_delay_ms, 9000);
	assert_int_equal(c->restart.reset_after_ms, 3000);
	assert_string_equal(c->health.test[0], "/bin/sh");
	assert_string_equal(c->health.test[2], "true");
	assert_null(c->health.test[3]);
	assert_int_equal(c->health.interval_ms, 100);
	assert_int_equal(c->health.retries, 5);
	assert_int_equal(c->health.on_unhealthy, COW_UNHEALTHY_RESTART);
	assert_int_equal(c->schema_major, 2);
	assert_false(c->schema_ignored);
	cow_create_destroy(c);

	assert_int_equal(
		create("{\"rootfs\":\"/\",\"restart\":\"on-failure:5\",\"schema_version\":\"3.0\","
		       "\"health\":{\"test\":[\"a\",\"b\"]}}",
		       &c, &err),
		0);
	assert_int_equal(c->restart.max_retries, 5);
	assert_true(c->schema_ignored);
	assert_string_equal(c->health.test[1], "b");
	assert_null(c->health.test[2]);
	cow_create_destroy(c);
}

static void finds_users_inside_the_root(void **state)
{
	static const struct {
		const char *user;
		int code;
		const char *json;
	} cases[] = {
		{ "root", 0, "{ \"uid\": 0, \"gid\": 0 }" },
		{ "web", 0, "{ \"uid\": 33, \"gid\": 34, \"additionalGids\": [ 44, 29 ] }" },
		{ "33", 0, "{ \"uid\": 33, \"gid\": 34, \"additionalGids\": [ 44, 29 ] }" },
		{ "last", 0, "{ \"uid\": 77, \"gid\": 78, \"additionalGids\": [ 44 ] }" },
		{ "web:media", 0, "{ \"uid\": 33, \"gid\": 44 }" },
		{ "web:7", 0, "{ \"uid\": 33, \"gid\": 7 }" },
		{ "1234", 0, "{ \"uid\": 1234, \"gid\": 0 }" },
		{ "1234:5678", 0, "{ \"uid\": 1234, \"gid\": 5678 }" },
		{ "ghost", -ENOENT, NULL },
		{ "web:ghosts", -ENOENT, NULL },
		{ "big", -ENOENT, NULL },
		{ "web:huge", -ENOENT, NULL },
		{ "4294967295", -ENOENT, NULL },
		{ "", -EINVAL, NULL },
		{ ":5", -EINVAL, NULL },
		{ "web:", -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct cow_user user = { 0 };
		struct cow_error err = { 0 };
		struct json_object *json;

		assert_int_equal(cow_user_resolve(root, cases[i].user, &user, &err), cases[i].code);
		if (cases[i].code < 0)
			continue;
		json = cow_user_json(&user);
		assert_string_equal(json_object_to_json_string(json), cases[i].json);
		json_object_put(json);
		cow_user_finish(&user);
	}
}

/* A hostile root file system: links out of it, a FIFO, a directory, no files at all. */
static void users_cannot_be_led_out(void **state)
{
	char path[128], other[128];
	struct cow_user user = { 0 };
	struct cow_error err = { 0 };

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/etc/passwd", root);
	(void)snprintf(other, sizeof(other), "%s/etc/real", root);
	assert_int_equal(rename(path, other), 0);

	/* An absolute link is taken inside the root: found; one that climbs stays at the top. */
	assert_int_equal(symlink("/etc/real", path), 0);
	assert_int_equal(cow_user_resolve(root, "web", &user, &err), 0);
	cow_user_finish(&user);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("../../../../../../etc/real", path), 0);
	assert_int_equal(cow_user_resolve(root, "web", &user, &err), 0);
	cow_user_finish(&user);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/proc/self/root/etc/passwd", path), 0);
	assert_int_equal(cow_user_resolve(root, "daemon", &user, &err), -ENOENT);
	assert_int_equal(unlink(path), 0);

	assert_int_equal(mkfifo(path, 0644), 0);
	assert_int_equal(cow_user_resolve(root, "web", &user, &err), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(cow_user_resolve(root, "web", &user, &err), -EINVAL);
	assert_int_equal(rmdir(path), 0);

	/* No database: numbers still work. */
	assert_int_equal(cow_user_resolve(root, "5:6", &user, &err), 0);
	assert_int_equal(user.gid, 6);
	cow_user_finish(&user);
	assert_int_equal(cow_user_resolve(root, "web", &user, &err), -ENOENT);
	assert_int_equal(rename(other, path), 0);
}

static void an_exec_starts_from_the_container(void **state)
{
	static const char spec_text[] =
		"{\"process\":{\"args\":[\"x\"],\"env\":[\"A=1\",\"HOME=/root\"],\"cwd\":\"/w\","
		"\"user\":{\"uid\":5},\"terminal\":true,\"rlimits\":[]}}";
	static const struct {
		const char *params, *json;
	} cases[] = {
		{ "{\"args\":[\"y\"]}",
		  "{ \"env\": [ \"A=1\", \"HOME=/root\" ], \"cwd\": \"/w\", \"user\": { "
		  "\"uid\": 5 }, \"args\": [ \"y\" ] }" },
		{ "{\"container\":\"c\",\"args\":[\"y\"],\"env\":[\"A=2\",\"B=3\"],\"cwd\":"
		  "\"/\",\"user\":\"web\","
		  "\"terminal\":true,\"detach\":true,\"height\":2,\"width\":3}",
		  "{ \"env\": [ \"A=2\", \"HOME=/var/www\", \"B=3\" ], \"cwd\": \"/\", "
		  "\"user\": { \"uid\": 33, \"gid\": "
		  "34, \"additionalGids\": [ 44, 29 ] }, \"args\": [ \"y\" ], \"terminal\": true, "
		  "\"consoleSize\": { \"height\": 2, \"width\": 3 } }" },
		{ "{\"process\":{\"args\":[\"z\"],\"env\":[]}}",
		  "{ \"args\": [ \"z\" ], \"env\": [ ] }" },
	};
	struct json_object *spec = json_tokener_parse(spec_text), *process, *value;
	struct cow_error err = { 0 };
	struct cow_json params;

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		params = (struct cow_json){ .value = value = json_tokener_parse(cases[i].params) };
		assert_int_equal(cow_create_exec_process(&params, spec, root, &process, &err), 0);
		assert_string_equal(TEXT(process), cases[i].json);
		json_object_put(process);
		json_object_put(value);
	}
	params = (struct cow_json){ .value = value = json_tokener_parse("{}") };
	assert_int_equal(cow_create_exec_process(&params, spec, root, &process, &err), -EINVAL);
	assert_string_equal(err.message, "/args: missing");
	json_object_put(value);
	/* Wrong shapes in a process given as a whole are not walked into. */
	params.value = value =
		json_tokener_parse("{\"process\":{\"capabilities\":{\"bounding\":5},\"env\":1},"
				   "\"env\":[\"A=b\"],\"privileged\":true}");
	assert_int_equal(cow_create_exec_process(&params, spec, root, &process, &err), 0);
	json_object_put(process);
	json_object_put(value);
	json_object_put(spec);
}

static void reads_signals(void **state)
{
	static const struct {
		const char *text;
		int signo;
	} cases[] = {
		{ "KILL", 9 },	 { "sigterm", 15 }, { "9", 9 },		{ "Hup", 1 },
		{ "RTMIN", -2 }, { "RTMIN+3", -5 }, { "", 0 },		{ "0", 0 },
		{ "65", 0 },	 { "-9", 0 },	    { "9x", 0 },	{ "SIG", 0 },
		{ "RTMIN+", 0 }, { "RTMIN+99", 0 }, { "TERMINATE", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		int signo = 0,
		    want = cases[i].signo < 0 ? SIGRTMIN - 2 - cases[i].signo : cases[i].signo;

		assert_int_equal(cow_signal_parse(cases[i].text, &signo), want ? 0 : -EINVAL);
		assert_int_equal(signo, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_wrong_parameters),
		cmocka_unit_test(makes_a_default_spec),
		cmocka_unit_test(options_shape_the_spec),
		cmocka_unit_test(privileged_frees),
		cmocka_unit_test(a_bundle_stays_as_it_is),
		cmocka_unit_test(takes_a_whole_spec),
		cmocka_unit_test(keeps_what_concerns_the_supervisor),
		cmocka_unit_test(finds_users_inside_the_root),
		cmocka_unit_test(users_cannot_be_led_out),
		cmocka_unit_test(an_exec_starts_from_the_container),
		cmocka_unit_test(reads_signals),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
