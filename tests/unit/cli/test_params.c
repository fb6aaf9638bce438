/* SPDX-License-Identifier: MIT */
#include "cli/filter.h"
#include "cli/params.h"
#include "tests/alloc_fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>

#define WORDS_MAX 40

static const struct cow_params_place place = { .cwd = "/here", .height = 24, .width = 80 };

struct line {
	char *argv[WORDS_MAX];
	int argc;
};

static int params(enum cow_command_id id, const struct line *line, struct cow_strbuf *out,
		  struct cow_error *err)
{
	struct line copy = *line; /* the parser sorts the words */
	struct cow_args args;
	int r = cow_args_parse(&cow_commands[id], NULL, copy.argc, copy.argv, &args, err);

	if (r)
		return r;
	if (id == COW_COMMAND_EXEC)
		r = cow_params_exec(&args, &place, out, err);
	else
		r = cow_params_create(&args, &place, out, err);
	cow_args_finish(&args);
	return r;
}

static struct line words(char *first, ...)
{
	struct line line = { .argc = 0 };
	va_list list;

	va_start(list, first);
	for (char *word = first; word; word = va_arg(list, char *))
		line.argv[line.argc++] = word;
	va_end(list);
	return line;
}

/* The parameters are this JSON; and with each allocation failing, they are it or there is an error. */
static void expect(enum cow_command_id id, const struct line line, const char *json)
{
	struct json_object *want = json_tokener_parse(json);

	assert_non_null(want);
	alloc_fail_each(n)
	{
		struct cow_strbuf out = COW_STRBUF_INIT;
		struct cow_error err = { 0 };
		int r = params(id, &line, &out, &err);
		bool failed = alloc_fail_stop();
		struct json_object *got;

		if (r) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(err.code, -ENOMEM);
			assert_true(failed);
		} else {
			got = json_tokener_parse(out.data);
			if (!got || !json_object_equal(got, want))
				fail_msg("got %s, want %s", out.data, json);
			json_object_put(got);
		}
		cow_strbuf_finish(&out);
	}
	json_object_put(want);
}

static void refuse(const struct line line, const char *message)
{
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct cow_error err = { 0 };

	assert_int_equal(params(COW_COMMAND_CREATE, &line, &out, &err), -EINVAL);
	assert_string_equal(err.message, message);
	cow_strbuf_finish(&out);
}

static void sources(void **state)
{
	(void)state;
	expect(COW_COMMAND_CREATE, words("--rootfs", "r", NULL), "{\"rootfs\":\"/here/r\"}");
	expect(COW_COMMAND_CREATE, words("--rootfs", "/r", "sh", "-c", "x", NULL),
	       "{\"rootfs\":\"/r\",\"args\":[\"sh\",\"-c\",\"x\"]}");
	expect(COW_COMMAND_CREATE, words("-b", "../b", NULL), "{\"bundle\":\"/b\"}");
	expect(COW_COMMAND_CREATE, words("debian", "ls", NULL),
	       "{\"image\":\"debian\",\"args\":[\"ls\"]}");
	expect(COW_COMMAND_CREATE, words("--entrypoint", "e", "--rootfs", "/r", "a", NULL),
	       "{\"rootfs\":\"/r\",\"args\":[\"e\",\"a\"]}");
	refuse(words("--rootfs", "/r", "-b", "b", NULL),
	       "--bundle and --rootfs exclude each other");
	refuse(words(NULL),
	       "what is to run? --bundle DIR, --rootfs DIR or an IMAGE is needed");
}

static void environment(void **state)
{
	(void)state;
	assert_int_equal(setenv("COW_TEST_SET", "own", 1), 0);
	assert_int_equal(unsetenv("COW_TEST_UNSET"), 0);
	expect(COW_COMMAND_CREATE,
	       words("--rootfs", "/r", "-eA=1", "-e", "COW_TEST_SET", "-e", "COW_TEST_UNSET", "-e",
		     "B=", NULL),
	       "{\"rootfs\":\"/r\",\"env\":[\"A=1\",\"COW_TEST_SET=own\",\"B=\"]}");
	refuse(words("--rootfs", "/r", "-e", "=x", NULL), "--env: \"=x\" has no name");
}

static void mounts(void **state)
{
	(void)state;
	expect(COW_COMMAND_CREATE,
	       words("--rootfs", "/r", "-v", "a:/b", "-v", "/c:/d:ro,Z,nosuid", NULL),
	       "{\"rootfs\":\"/r\",\"mounts\":[{\"source\":\"/here/a\",\"target\":\"/"
	       "b\"},{\"source\":\"/c\","
	       "\"target\":\"/d\",\"read_only\":true,\"options\":[\"rbind\",\"nosuid\"]}]}");
	refuse(words("--rootfs", "/r", "-v", "a", NULL),
	       "--volume: \"a\" is not SOURCE:/TARGET[:ro]");
	refuse(words("--rootfs", "/r", "-v", ":/x", NULL),
	       "--volume: \":/x\" is not SOURCE:/TARGET[:ro]");
	refuse(words("--rootfs", "/r", "-v", "a:b", NULL),
	       "--volume: \"a:b\" is not SOURCE:/TARGET[:ro]");
}

static void the_rest(void **state)
{
	(void)state;
	expect(COW_COMMAND_CREATE,
	       words("--rootfs", "/r", "-t", "-m", "1g", "--cpus", ".5", "--pids-limit", "-1", "-l",
		     "a=b=c", "-l", "d", "--health-cmd", "x", "--health-timeout", "250ms",
		     "--cap-drop", "ALL", "--init=true", "--rm", NULL),
	       "{\"rootfs\":\"/"
	       "r\",\"terminal\":true,\"height\":24,\"width\":80,\"memory\":1073741824,\"cpus\":0."
	       "5,"
	       "\"labels\":{\"a\":\"b=c\",\"d\":\"\"},\"health\":{\"test\":\"x\",\"timeout_s\":0."
	       "25},"
	       "\"cap_drop\":[\"ALL\"],\"auto_remove\":true}");
	refuse(words("--rootfs", "/r", "-l", "=x", NULL), "--label: a name is missing");
	refuse(words("--rootfs", "/r", "--health-retries", "2", NULL),
	       "--health-retries needs --health-cmd");
}

static void exec(void **state)
{
	(void)state;
	expect(COW_COMMAND_EXEC, words("-t", "-u", "1", "c", "ls", "-l", NULL),
	       "{\"container\":\"c\",\"args\":[\"ls\",\"-l\"],\"user\":\"1\",\"terminal\":true,"
	       "\"height\":24,\"width\":80}");
	expect(COW_COMMAND_EXEC, words("-dt", "c", "ls", NULL),
	       "{\"container\":\"c\",\"args\":[\"ls\"],\"detach\":true,\"fds\":[\"stdin\","
	       "\"stdout\",\"stderr\"]}");
}

/* ---- filters */

static const struct cow_filter_key keys[] = {
	{ "name", "name", COW_FILTER_PART },
	{ "id", "id", COW_FILTER_PREFIX },
	{ "exited", "exit_code", COW_FILTER_EQUAL },
	{ "label", "labels", COW_FILTER_LABEL },
	{ NULL, NULL, COW_FILTER_EQUAL },
};

static bool holds(const struct line line)
{
	struct json_object *row =
		json_tokener_parse("{\"name\":\"webserver\",\"id\":\"abc\",\"exit_code\":3,"
				   "\"labels\":{\"a\":\"1\",\"b\":\"2\"}}");
	struct line copy = line;
	struct cow_args args;
	bool result;

	assert_int_equal(cow_args_parse(&cow_commands[COW_COMMAND_PS], NULL, copy.argc, copy.argv,
					&args, NULL),
			 0);
	assert_int_equal(cow_filter_check(&args, keys, NULL), 0);
	result = cow_filter_holds(&args, keys, row);
	cow_args_finish(&args);
	json_object_put(row);
	return result;
}

static void filters(void **state)
{
	struct line wrong = words("-f", "colour=red", NULL);
	struct cow_args args;

	(void)state;
	assert_true(holds(words(NULL)));
	assert_true(holds(words("-f", "name=serv", NULL)));
	assert_false(holds(words("-f", "name=db", NULL)));
	/* Values of one key are alternatives, keys are not. */
	assert_true(holds(words("-f", "name=db", "-f", "name=web", NULL)));
	assert_false(holds(words("-f", "name=web", "-f", "exited=0", NULL)));
	assert_true(holds(words("-f", "exited=3", "-f", "id=ab", NULL)));
	assert_false(holds(words("-f", "id=bc", NULL)));
	assert_true(holds(words("-f", "label=a", "-f", "label=b=2", NULL)));
	assert_false(holds(words("-f", "label=a", "-f", "label=b=3", NULL)));
	assert_false(holds(words("-f", "label=c", NULL)));
	assert_int_equal(cow_args_parse(&cow_commands[COW_COMMAND_PS], NULL, wrong.argc, wrong.argv,
					&args, NULL),
			 0);
	assert_int_equal(cow_filter_check(&args, keys, NULL), -EINVAL);
	cow_args_finish(&args);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources), cmocka_unit_test(environment),
		cmocka_unit_test(mounts),  cmocka_unit_test(the_rest),
		cmocka_unit_test(exec),    cmocka_unit_test(filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
