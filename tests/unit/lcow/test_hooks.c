/* SPDX-License-Identifier: MIT */
/* Hooks: when, where, with what, and what becomes of the bad ones. */
#include "box.h"

static const char *hook(const char *point, const char *script, const char *more)
{
	static char text[4096];

	(void)snprintf(text, sizeof(text),
		       ",\"hooks\":{\"%s\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"%s\"],"
		       "\"env\":[\"PATH=/bin:/usr/bin\"]%s}]},\"annotations\":{\"a.b\":\"c d\"}",
		       point, script, more);
	return text;
}

static void read_file(const struct box *b, const char *name, char *text, size_t size)
{
	int fd = open(box_path(b, "%s", name), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		fail_msg("no file %s", name);
	n = read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	(void)close(fd);
}

static void test_state_on_stdin(void **state)
{
	struct box *b = *state;
	char script[512], text[1024];
	struct box_spec s = { 0 };
	struct box_result r;
	static const char *const points[] = { "prestart", "createRuntime", "createContainer" };

	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(script, sizeof(script),
			       "cat >%s/state; readlink /proc/self/ns/mnt >%s/ns", b->dir, b->dir);
		s.top = hook(points[i], script, "");
		box_run(b, &s, NULL, &r);
		assert_exit(&r, 0);
		read_file(b, "state", text, sizeof(text));
		assert_has(text, "\"ociVersion\":\"1.");
		assert_has(text, "\"id\":\"box\",\"status\":\"creating\",\"pid\":");
		assert_has(text, "\"annotations\":{\"a.b\":\"c d\"}");
		/* The first two in the caller's namespaces, the third in the container's. */
		read_file(b, "ns", text, sizeof(text));
		(void)memset(script, 0, sizeof(script));
		assert_true(readlink("/proc/self/ns/mnt", script, sizeof(script) - 1) > 0);
		if (i < 2)
			assert_has(text, script);
		else
			assert_has_not(text, script);
	}
}

/* In the container, after pivot_root, before the user's program. */
static void test_start_container(void **state)
{
	struct box *b = *state;
	struct box_spec s = { .script = "cat /tmp/order",
			      .top = hook("startContainer",
					  "cat >/tmp/state; echo hook >>/tmp/order; "
					  "test -e /bin/busybox",
					  "") };
	struct box_result r;
	char text[1024];

	box_run(b, &s, NULL, &r);
	assert_exit(&r, 0);
	assert_string_equal(r.out, "hook\n");
	read_file(b, "rootfs/tmp/state", text, sizeof(text));
	assert_has(text, "\"status\":\"created\"");
	s.top = hook("startContainer", "exit 1", "");
	box_run(b, &s, NULL, &r);
	assert_int_equal(r.error, -EIO);
	assert_has(r.err.text, "startContainer hook /bin/sh: exit status 1");
}

static void test_failures(void **state)
{
	struct box_spec s = { 0 };
	struct box_result r;

	s.top = hook("createRuntime", "echo so it goes >&2; exit 3", "");
	box_run(*state, &s, NULL, &r);
	assert_int_equal(r.error, -EIO);
	assert_string_equal(r.err.text, "createRuntime hook /bin/sh: exit status 3: so it goes");
	s.top = hook("createRuntime", "kill -9 $$", "");
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "createRuntime hook /bin/sh: killed by signal 9");
	s.top = hook("createRuntime", "sleep 100 & sleep 100", ",\"timeout\":1");
	box_run(*state, &s, NULL, &r);
	assert_int_equal(r.error, -ETIMEDOUT);
	assert_string_equal(r.err.text, "createRuntime hook /bin/sh: timed out");
	s.top = ",\"hooks\":{\"createRuntime\":[{\"path\":\"/not/there\"}]}";
	box_run(*state, &s, NULL, &r);
	assert_string_equal(r.err.text, "createRuntime hook /not/there: exit status 127");
}

/*
 * One that reads nothing, and one that writes a lot: neither blocks, nor is anybody killed by
 * SIGPIPE.
 */
static void test_careless(void **state)
{
	struct box_spec s = { .top = hook("createRuntime", "exec <&-; head -c 300000 /dev/zero",
					  "") };
	struct box_result r;

	box_run(*state, &s, NULL, &r);
	assert_exit(&r, 0);
}

static void test_poststop(void **state)
{
	struct box *b = *state;
	char script[256], text[512];
	struct box_spec s = { 0 };
	struct launch_run_options o = { .id = "box", .bundle = b->dir };
	struct launch_plan *plan;
	struct launch_error err;

	(void)snprintf(script, sizeof(script), "cat >%s/state", b->dir);
	s.top = hook("poststop", script, "},{\"path\":\"/bin/false\"},{\"path\":\"/bin/true\"");
	plan = box_plan(b, &s);
	/* Called for by whoever deletes; the rest run even if one fails. */
	assert_int_equal(launch_hooks(plan, LAUNCH_HOOK_POSTSTOP, &o, 0, "stopped", &err), -EIO);
	assert_string_equal(err.text, "poststop hook /bin/false: exit status 1");
	read_file(b, "state", text, sizeof(text));
	assert_has(text, "\"status\":\"stopped\",\"bundle\":\"/tmp/");
	assert_int_equal(launch_hooks(plan, LAUNCH_HOOK_POSTSTART, &o, 1, "running", &err), 0);
	free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)
		T(test_state_on_stdin),
		T(test_start_container),
		T(test_failures),
		T(test_careless),
		T(test_poststop),
	};

	return cmocka_run_group_tests(tests, box_warm_up, NULL);
}
