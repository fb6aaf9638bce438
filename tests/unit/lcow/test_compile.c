/* SPDX-License-Identifier: MIT */
/* The text of a spec: strict JSON, versions, limits, errors that point; hooks and annotations. */
#include "spec.h"

#include <errno.h>
#include <time.h>

static void refuses_bad_json(void **state)
{
	static const struct refusal rows[] = {
		{ "", "spec: not an object" },
		{ " \n\t", "spec: not an object" },
		{ "[]", "spec: not an object" },
		{ "null", "spec: not an object" },
		{ "1", "spec: not an object" },
		{ "{", "spec: line 1: the JSON text ends too early" },
		{ "{'a':1", "spec: line 1: the JSON text ends too early" },
		{ "{\n'a':\n1,\n", "spec: line 3: the JSON text ends too early" },
		{ "{\n\n'a':tru}", "spec: line 3: ..." },
		{ "{'a':1} x", "spec: line 1: ..." },
		{ "{'a':1}{}", "spec: line 1: ..." },
		{ "{'a':1,}", "spec: line 1: ..." },
		{ "{a:1}", "spec: line 1: ..." },
		{ "{'a':[1,]}", "spec: line 1: ..." },
		{ "/* c */{}", "spec: not an object" },
		{ "{/* c */}", "spec: line 1: ..." },
		{ "{'a':NaN}", "spec: line 1: ..." },
		{ "{'a':-Infinity}", "spec: line 1: ..." },
		{ "{'a':nan}", "spec: line 1: ..." },
		{ "{'a':TRUE}", "spec: line 1: ..." },
		{ "{'a':+1}", "spec: line 1: ..." },
		{ "{'a':0x1}", "spec: line 1: ..." },
		{ "{'a':.5}", "spec: line 1: ..." },
		{ "{'a':18446744073709551616}", "spec: line 1: a number too large" },
		{ "{'a':[\n-9223372036854775809]}", "spec: line 2: a number too large" },
		{ "{'a':100000000000000000000}", "spec: line 1: a number too large" },
		{ "{'a':'x", "spec: line 1: the JSON text ends too early" },
		{ "{'a':'\\", "spec: line 1: the JSON text ends too early" },
		{ "{'a':'x\ny'}", "spec: line 1: a control character in a string" },
		{ "{'a':'\\u0000'}", "spec: line 1: a NUL character in a string" },
		{ "{\n'a\\u0000b':1}", "spec: line 2: a NUL character in a string" },
		{ "{'a':'\xff'}", "spec: line 1: ..." },
		{ "{'a':'\xc3'}", "spec: line 1: ..." },
	};

	(void)state;
	ALL_REFUSED(rows);
}

static void an_escaped_backslash_is_no_nul(void **state)
{
	struct launch_plan *plan = spec_plan(SPEC(",'hostname':'a\\\\u0000'", "", ""));

	(void)state;
	assert_string_equal(launch_text(plan, plan->hostname), "a\\u0000");
	free(plan);
}

static void refuses_a_nul_byte(void **state)
{
	static const char text[] = "{\n\"a\":\0}";
	struct launch_plan *plan = NULL;
	struct launch_error err;

	(void)state;
	assert_int_equal(launch_compile(text, sizeof(text) - 1, NULL, &plan, &err), -EINVAL);
	assert_string_equal(err.text, "spec: line 2: a NUL byte");
	assert_int_equal(launch_compile(text, sizeof(text) - 1, NULL, &plan, NULL), -EINVAL);
}

static void knows_its_versions(void **state)
{
	static const char *const good[] = { "1.0.0", "1.0.2-dev", "1.1.0", "1.2.0+dev",
					    "1.10.33-rc.1" };
	static const char *const bad[] = { "1",	    "1.0",    "1.0.",	"1..0",
					   "0.9.0", "2.0.0",  "10.0.0", "1.0.0.0",
					   "1.0.x", "1.0.0-", " 1.0.0", "1.0.0 " };
	char text[256], expected[128];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(text, sizeof(text), "{'ociVersion':'%s','root':{'path':'/r'}}",
			       good[i]);
		free(spec_plan(text));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "{'ociVersion':'%s','root':{'path':'/r'}}",
			       bad[i]);
		(void)snprintf(expected, sizeof(expected), "/ociVersion: \"%s\" is not 1.x.y",
			       bad[i]);
		spec_refused(text, -EINVAL, expected);
	}
	spec_refused("{}", -EINVAL, "/ociVersion: is missing");
	spec_refused("{'ociVersion':''}", -EINVAL, "/ociVersion: is missing");
	spec_refused("{'ociVersion':1}", -EINVAL, "/ociVersion: not a string");
}

static void points_at_wrong_types(void **state)
{
	static const struct refusal rows[] = {
		{ SPEC(",'root':[]", "", ""), "/root: not an object" },
		{ SPEC(",'root':null", "", ""), "/root: is missing" },
		{ SPEC(",'root':{'path':''}", "", ""), "/root/path: is missing" },
		{ SPEC(",'root':{'path':1}", "", ""), "/root/path: not a string" },
		{ SPEC(",'root':{'path':'a','readonly':1}", "", ""),
		  "/root/readonly: not true or false" },
		{ SPEC(",'root':{'path':'a','readonly':'true'}", "", ""),
		  "/root/readonly: not true or false" },
		{ SPEC(",'process':[]", "", ""), "/process: not an object" },
		{ SPEC(",'linux':3", "", ""), "/linux: not an object" },
		{ SPEC(",'hooks':[]", "", ""), "/hooks: not an object" },
		{ SPEC(",'hooks':{'poststop':{}}", "", ""), "/hooks/poststop: not an array" },
		{ SPEC(",'hooks':{'poststop':[1]}", "", ""), "/hooks/poststop/0: not an object" },
		{ SPEC(",'hooks':{'poststop':[{}]}", "", ""),
		  "/hooks/poststop/0/path: is missing" },
		{ SPEC(",'hooks':{'prestart':[{'path':'h'}]}", "", ""),
		  "/hooks/prestart/0/path: h is not absolute" },
		{ SPEC(",'hooks':{'prestart':[{'path':'/h','timeout':0}]}", "", ""),
		  "/hooks/prestart/0/timeout: not between 1 and 2147483647" },
		{ SPEC(",'hooks':{'prestart':[{'path':'/h','args':['a',null]}]}", "", ""),
		  "/hooks/prestart/0/args/1: not a string" },
		{ SPEC(",'annotations':{'a~/b':1}", "", ""), "/annotations/a~0~1b: not a string" },
		{ SPEC(",'annotations':{'a':null}", "", ""), "/annotations/a: not a string" },
		{ SPEC(",'annotations':{'':'x'}", "", ""), "/annotations/: an empty key" },
		{ SPEC(",'annotations':{'\\u001b[2J':1}", "", ""),
		  "/annotations/?[2J: not a string" },
		{ SPEC("", "", ",'intelRdt':{'l3CacheSchema':'L3:0=f'}"), NULL },
	};

	(void)state;
	spec_all_refused(rows, sizeof(rows) / sizeof(rows[0]) - 1);
	spec_refused(rows[sizeof(rows) / sizeof(rows[0]) - 1].spec, -ENOTSUP,
		     "/linux/intelRdt: cache allocation (resctrl) is not supported");
}

static void ignores_what_it_does_not_know(void **state)
{
	struct launch_plan *plan =
		spec_plan(SPEC(",'vm':{'kernel':{}},'x':1.5,'n':[18446744073709551615,-"
			       "9223372036854775808,0.1234567890123456789012345,1e40],'hooks':{'"
			       "later':[1]},'hostname':null,'mounts':null",
			       ",'y':[],'env':null,'user':{'username':'u'},'capabilities':null",
			       ",'z':{},'seccomp':null,'devices':null,'intelRdt':{}") "\n\r\t ");

	(void)state;
	assert_int_equal(plan->hostname, 0);
	assert_int_equal(plan->mounts.n, 0);
	free(plan);
}

static void a_spec_needs_neither_linux_nor_process(void **state)
{
	struct launch_plan *plan = spec_plan("{'ociVersion':'1.0.0','root':{'path':'r'}}");

	(void)state;
	assert_int_equal(plan->has_process, 0);
	assert_int_equal(plan->clone_flags, 0);
	assert_int_equal(plan->devices.n, 0); /* the host's /dev is not touched */
	assert_int_equal(plan->symlinks.n, 0);
	assert_string_equal(launch_text(plan, plan->rootfs), "/b/r");
	free(plan);
}

static void the_root_may_be_anywhere(void **state)
{
	static const char relative[] = "{'ociVersion':'1.0.0','root':{'path':'r'}}";
	struct launch_plan *plan =
		spec_plan("{'ociVersion':'1.0.0','root':{'path':'/x/y','readonly':true}}");
	struct launch_error err;

	(void)state;
	assert_string_equal(launch_text(plan, plan->rootfs), "/x/y");
	assert_int_equal(plan->rootfs_readonly, 1);
	free(plan);
	plan = NULL;
	assert_int_equal(spec_try(relative, NULL, &plan, &err), -EINVAL);
	assert_string_equal(err.text, "/root/path: r is relative, and there is no bundle");
	assert_null(plan);
}

static void hooks_and_annotations(void **state)
{
	static const char *const keys[LAUNCH_HOOK_COUNT] = { "prestart",	"createRuntime",
							     "createContainer", "startContainer",
							     "poststart",	"poststop" };
	struct launch_plan *plan;
	const struct launch_hook *hook;
	char text[512];

	(void)state;
	for (unsigned i = 0; i < LAUNCH_HOOK_COUNT; i++) {
		(void)snprintf(
			text, sizeof(text),
			"{'ociVersion':'1.0.0','root':{'path':'/r'},'hooks':{'%s':[{'path':'/a',"
			"'args':['a','b'],'env':['K=V'],'timeout':3},{'path':'/c'}]},"
			"'annotations':{'k':'v','e':''}}",
			keys[i]);
		plan = spec_plan(text);
		for (unsigned k = 0; k < LAUNCH_HOOK_COUNT; k++)
			assert_int_equal(plan->hooks[k].n, k == i ? 2 : 0);
		hook = launch_at(plan, plan->hooks[i], struct launch_hook, 0);
		assert_string_equal(launch_text(plan, hook->path), "/a");
		assert_int_equal(hook->args.n, 2);
		assert_string_equal(plan_string(plan, hook->args, 1), "b");
		assert_string_equal(plan_string(plan, hook->env, 0), "K=V");
		assert_int_equal(hook->timeout_s, 3);
		hook = launch_at(plan, plan->hooks[i], struct launch_hook, 1);
		assert_int_equal(hook->args.n, 1); /* a program always has a name */
		assert_string_equal(plan_string(plan, hook->args, 0), "/c");
		assert_int_equal(hook->timeout_s, 0);
		assert_int_equal(plan->annotations.n, 4);
		assert_string_equal(plan_string(plan, plan->annotations, 0), "k");
		assert_string_equal(plan_string(plan, plan->annotations, 1), "v");
		assert_string_equal(plan_string(plan, plan->annotations, 3), "");
		free(plan);
	}
}

/* head, n times row, tail: with ' for ". */
static char *text_repeat(const char *head, const char *row, size_t n, const char *tail)
{
	size_t size = strlen(head) + n * (strlen(row) + 1) + strlen(tail) + 1;
	char *text = malloc(size), *p = text;

	assert_non_null(text);
	p = stpcpy(p, head);
	for (size_t i = 0; i < n; i++) {
		if (i)
			*p++ = ',';
		p = stpcpy(p, row);
	}
	(void)stpcpy(p, tail);
	return text;
}

static void big_specs_compile(void **state)
{
	static const char mount[] =
		"{'destination':'/m','type':'tmpfs','options':['nosuid','mode=755']}";
	struct launch_plan *plan;
	char *text, *huge;

	(void)state;
	text = text_repeat("{'ociVersion':'1.0.0','root':{'path':'/r'},'linux':{" NAMESPACES
			   "},'mounts':[",
			   mount, 100000, "]}");
	plan = spec_plan(text);
	assert_int_equal(plan->mounts.n, 100000);
	assert_string_equal(
		launch_text(plan, launch_at(plan, plan->mounts, struct launch_mount, 99999)->data),
		"mode=755");
	free(plan);
	free(text);
	/* one string of 10 MB, and 10 MB of short ones */
	huge = malloc(10000001);
	assert_non_null(huge);
	memset(huge, 'x', 10000000);
	huge[10000000] = '\0';
	text = text_repeat("{'ociVersion':'1.0.0','root':{'path':'/r'},'annotations':{'a':'", huge,
			   1, "'}}");
	plan = spec_plan(text);
	assert_int_equal(strlen(plan_string(plan, plan->annotations, 1)), 10000000);
	free(plan);
	free(text);
	free(huge);
	text = text_repeat(
		"{'ociVersion':'1.0.0','root':{'path':'/r'},'process':{'cwd':'/','args':['a'],"
		"'user':{'additionalGids':[",
		"7", 65537, "]}}}");
	spec_refused(text, -EINVAL, "/process/user/additionalGids: more than 65536 groups");
	free(text);
	text = text_repeat(
		" \n{'ociVersion':'1.0.0','root':{'path':'/r'},'process':{'cwd':'/','args':[",
		"'1234567'", 1000000, "]}}");
	plan = spec_plan(text);
	assert_int_equal(plan->process.args.n, 1000000);
	free(plan);
	free(text);
}

static void long_pointers_are_cut(void **state)
{
	char *key = malloc(2001), *text;
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };

	(void)state;
	assert_non_null(key);
	memset(key, '/', 2000);
	key[2000] = '\0';
	text = text_repeat(
		"{'ociVersion':'1.0.0','root':{'path':'/r'},'linux':{'resources':{'rdma':{'", key,
		1, "':{'hcaHandles':'x'}}}}}");
	assert_int_equal(spec_try(text, &spec_options, &plan, &err), -EINVAL);
	assert_true(strlen(err.text) < sizeof(err.text) - 1);
	assert_int_equal(strncmp(err.text, "/linux/resources/rdma/~1~1", 26), 0);
	free(text);
	free(key);
}

static void bombs_are_refused(void **state)
{
	char *text = text_repeat("{'a':[", "{}", 300000, "]}");
	char *spaces = malloc((17u << 20) + 1);

	(void)state;
	spec_refused(text, -E2BIG, "spec: more than 262144 objects and arrays, or 2000000 values");
	free(text);
	text = text_repeat("{'a':[", "1", 2100000, "]}");
	spec_refused(text, -E2BIG, "spec: more than 262144 objects and arrays, or 2000000 values");
	free(text);
	assert_non_null(spaces);
	memset(spaces, ' ', 17u << 20);
	spaces[0] = '{';
	spaces[(17u << 20) - 1] = '}';
	spaces[17u << 20] = '\0';
	spec_refused(spaces, -E2BIG, "spec: larger than 16 MiB");
	memset(spaces, '[', 200);
	memcpy(spaces, "{'a':", 5);
	spaces[200] = '\0';
	spec_refused(spaces, -EINVAL, "spec: line 1: ...");
	free(spaces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_json),
		cmocka_unit_test(an_escaped_backslash_is_no_nul),
		cmocka_unit_test(refuses_a_nul_byte),
		cmocka_unit_test(knows_its_versions),
		cmocka_unit_test(points_at_wrong_types),
		cmocka_unit_test(ignores_what_it_does_not_know),
		cmocka_unit_test(a_spec_needs_neither_linux_nor_process),
		cmocka_unit_test(the_root_may_be_anywhere),
		cmocka_unit_test(hooks_and_annotations),
		cmocka_unit_test(big_specs_compile),
		cmocka_unit_test(long_pointers_are_cut),
		cmocka_unit_test(bombs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
