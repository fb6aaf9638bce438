/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#define WORDS_MAX 32

struct line {
	char *argv[WORDS_MAX];
	int argc;
	struct cow_args args;
	struct cow_error err;
};

/* Parse what stands behind the verb; the words end with NULL. */
static int parse(struct line *l, enum cow_command_id id, ...)
{
	va_list list;
	char *word;

	memset(l, 0, sizeof(*l));
	va_start(list, id);
	while ((word = va_arg(list, char *)))
		l->argv[l->argc++] = word;
	va_end(list);
	return cow_args_parse(&cow_commands[id], NULL, l->argc, l->argv, &l->args, &l->err);
}

static void short_ones_together(void **state)
{
	struct line l;

	(void)state;
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "-dit", "-eA=1", "-e", "B=2", "--name=web",
			       "--rootfs", "/r", "sh", "-c", "x", NULL),
			 0);
	assert_true(cow_args_flag(&l.args, "detach", false));
	assert_true(cow_args_flag(&l.args, "interactive", false));
	assert_true(cow_args_flag(&l.args, "tty", false));
	assert_string_equal(cow_args_nth(&l.args, "env", 0), "A=1");
	assert_string_equal(cow_args_nth(&l.args, "env", 1), "B=2");
	assert_null(cow_args_nth(&l.args, "env", 2));
	assert_string_equal(cow_args_string(&l.args, "name"), "web");
	/* What follows the first word belongs to the container. */
	assert_int_equal(l.args.argc, 3);
	assert_string_equal(l.args.argv[1], "-c");
	cow_args_finish(&l.args);
}

static void flags_with_values(void **state)
{
	struct line l;

	(void)state;
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "--init=false", "-d=true", NULL), 0);
	assert_false(cow_args_flag(&l.args, "init", true));
	assert_true(cow_args_flag(&l.args, "detach", false));
	assert_true(cow_args_flag(&l.args, "sig-proxy", true));
	cow_args_finish(&l.args);
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "--init=maybe", NULL), -EINVAL);
	assert_string_equal(l.err.message, "--init: \"maybe\" is not true or false");
}

static void words_between_options(void **state)
{
	struct line l;

	(void)state;
	assert_int_equal(parse(&l, COW_COMMAND_STOP, "a", "-t", "5", "b", "--", "-c", NULL), 0);
	assert_int_equal(l.args.argc, 3);
	assert_string_equal(l.args.argv[2], "-c");
	assert_int_equal(cow_args_int(&l.args, "timeout", -1), 5);
	cow_args_finish(&l.args);
	assert_int_equal(parse(&l, COW_COMMAND_LOGS, "-n", "-1", "-", NULL), 0);
	assert_string_equal(cow_args_string(&l.args, "tail"), "-1");
	assert_string_equal(l.args.argv[0], "-");
	cow_args_finish(&l.args);
}

static void typed_values(void **state)
{
	struct line l;

	(void)state;
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "-m", "64m", "--cpus=1.5", "--health-interval",
			       "1m30s", "--pids-limit", "-1", NULL),
			 0);
	assert_int_equal(cow_args_int(&l.args, "memory", 0), 64 << 20);
	assert_int_equal(cow_args_int(&l.args, "health-interval", 0), 90000);
	assert_int_equal(cow_args_int(&l.args, "pids-limit", 0), -1);
	assert_int_equal((int)(cow_args_decimal(&l.args, "cpus", 0) * 10), 15);
	assert_int_equal(cow_args_int(&l.args, "stop-timeout", 7), 7);
	cow_args_finish(&l.args);
}

static void mistakes(void **state)
{
	struct line l;

	(void)state;
	assert_int_equal(parse(&l, COW_COMMAND_PS, "--bogus", NULL), -EINVAL);
	assert_string_equal(l.err.message, "no such option: --bogus");
	assert_int_equal(parse(&l, COW_COMMAND_PS, "-ax", NULL), -EINVAL);
	assert_string_equal(l.err.message, "no such option: -x in -ax");
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "--name", NULL), -EINVAL);
	assert_string_equal(l.err.message, "--name needs a value (NAME)");
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "-m", "much", NULL), -EINVAL);
	assert_string_equal(l.err.message, "--memory: \"much\" is not a size like 512, 64m or 1g");
	assert_int_equal(parse(&l, COW_COMMAND_STOP, "-t", "soon", NULL), -EINVAL);
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "--cpus", "-2", NULL), -EINVAL);
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "--nam=x", NULL), -EINVAL);
}

static void help_by_letter(void **state)
{
	struct line l;

	(void)state;
	/* -h is help, except where it is the host name. */
	assert_int_equal(parse(&l, COW_COMMAND_PS, "-h", NULL), 0);
	assert_true(cow_args_flag(&l.args, "help", false));
	cow_args_finish(&l.args);
	assert_int_equal(parse(&l, COW_COMMAND_RUN, "-h", "box", NULL), 0);
	assert_false(cow_args_flag(&l.args, "help", false));
	assert_string_equal(cow_args_string(&l.args, "hostname"), "box");
	cow_args_finish(&l.args);
}

static void host_before_or_after(void **state)
{
	char *before[] = { "--host", "unix:///a", "ps", "-a" };
	struct cow_args top, args;
	char *after[] = { "-H", "unix:///b" };

	(void)state;
	assert_int_equal(cow_args_parse(&cow_command_top, NULL, 4, before, &top, NULL), 0);
	assert_int_equal(top.argc, 2);
	assert_string_equal(top.argv[1], "-a");
	assert_int_equal(cow_args_parse(&cow_commands[COW_COMMAND_PS], &top, 0, NULL, &args, NULL),
			 0);
	assert_string_equal(cow_args_string(&args, "host"), "unix:///a");
	cow_args_finish(&args);
	assert_int_equal(cow_args_parse(&cow_commands[COW_COMMAND_PS], &top, 2, after, &args, NULL),
			 0);
	assert_string_equal(cow_args_string(&args, "host"), "unix:///b");
	cow_args_finish(&args);
	cow_args_finish(&top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_ones_together),
		cmocka_unit_test(flags_with_values),
		cmocka_unit_test(words_between_options),
		cmocka_unit_test(typed_values),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(help_by_letter),
		cmocka_unit_test(host_before_or_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
