/* SPDX-License-Identifier: MIT */
/* The table is whole, and nothing in it is missing from help, manual pages and completion. */
#include "cli/help.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

static void every_verb_is_described(void **state)
{
	(void)state;
	for (int i = 0; i < COW_COMMAND_COUNT; i++) {
		const struct cow_command *c = &cow_commands[i];

		assert_non_null(c->name);
		assert_non_null(c->usage);
		assert_non_null(c->summary);
		assert_non_null(c->options);
		assert_true(c->failure == 1 || c->failure == 125);
		assert_true(c->max == -1 || c->min <= c->max);
		assert_true(c->summary[strlen(c->summary) - 1] != '.');
		assert_int_equal(cow_command_find(c->name), i);
		if (c->alias)
			assert_int_equal(cow_command_find(c->alias), i);
	}
	assert_int_equal(cow_command_find("nonsense"), COW_COMMAND_COUNT);
}

static void differ(const struct cow_option *a, const struct cow_option *b)
{
	for (; b->name; b++) {
		assert_string_not_equal(a->name, b->name);
		assert_true(!a->letter || a->letter != b->letter);
	}
}

static void one_name_one_option(const struct cow_option *list)
{
	for (const struct cow_option *a = list; a->name; a++) {
		assert_true((a->type == COW_OPTION_FLAG) == !a->argument);
		differ(a, a + 1);
		if (list != cow_options_common)
			differ(a, cow_options_common);
	}
}

static void options_are_unambiguous(void **state)
{
	(void)state;
	one_name_one_option(cow_options_common);
	one_name_one_option(cow_command_top.options);
	for (int i = 0; i < COW_COMMAND_COUNT; i++)
		one_name_one_option(cow_commands[i].options);
}

static void expect(const char *where, const char *text, const char *needle)
{
	if (!strstr(text, needle))
		fail_msg("%s lacks \"%s\":\n%s", where, needle, text);
}

/* Between the verb's case and the next one. */
static char *completion_of(const char *completion, const char *verb)
{
	char label[64];
	const char *begin, *end;

	(void)snprintf(label, sizeof(label), "\n\t%s", verb);
	begin = strstr(completion, label);
	assert_non_null(begin);
	end = strstr(begin, ";;");
	assert_non_null(end);
	return strndup(begin, (size_t)(end - begin));
}

static void check_option(const struct cow_option *o, const char *verb, const char *help, const char *man,
			 const char *completion)
{
	char text[128];

	if (!o->help)
		return;
	(void)snprintf(text, sizeof(text), "--%s", o->name);
	expect(verb, help, text);
	expect(verb, completion, text);
	(void)snprintf(text, sizeof(text), "Fl -%s", o->name);
	expect(verb, man, text);
	if (!o->letter)
		return;
	(void)snprintf(text, sizeof(text), "-%c, --%s", o->letter, o->name);
	expect(verb, help, text);
	(void)snprintf(text, sizeof(text), "Fl %c , Fl -%s", o->letter, o->name);
	expect(verb, man, text);
	(void)snprintf(text, sizeof(text), " -%c", o->letter);
	expect(verb, completion, text);
}

static void every_option_everywhere(void **state)
{
	struct cow_strbuf completion = COW_STRBUF_INIT, overview = COW_STRBUF_INIT, man = COW_STRBUF_INIT;

	(void)state;
	cow_completion_bash(&completion);
	cow_help_overview(&overview);
	cow_man_overview(&man, "May 1, 2024");
	for (int i = 0; i < COW_COMMAND_COUNT; i++) {
		const struct cow_command *c = &cow_commands[i];
		struct cow_strbuf help = COW_STRBUF_INIT, page = COW_STRBUF_INIT;
		char *own = completion_of(completion.data, c->name);

		cow_help_command(&help, c);
		cow_man_command(&page, c, "May 1, 2024");
		expect("overview", overview.data, c->summary);
		expect("manual", man.data, c->name);
		for (const struct cow_option *o = c->options; o->name; o++)
			check_option(o, c->name, help.data, page.data, own);
		for (const struct cow_option *o = cow_options_common; o->name; o++)
			check_option(o, c->name, help.data, page.data, completion.data);
		assert_int_equal(help.error + page.error, 0);
		free(own);
		cow_strbuf_finish(&help);
		cow_strbuf_finish(&page);
	}
	cow_strbuf_finish(&completion);
	cow_strbuf_finish(&overview);
	cow_strbuf_finish(&man);
}

static void help_fits_a_terminal(void **state)
{
	(void)state;
	for (int i = 0; i < COW_COMMAND_COUNT; i++) {
		struct cow_strbuf help = COW_STRBUF_INIT;
		char *rest, *line;

		cow_help_command(&help, &cow_commands[i]);
		for (rest = help.data; (line = strsep(&rest, "\n"));)
			if (strlen(line) > 80 && strncmp(line, "Usage:", 6))
				fail_msg("%s: too wide: %s", cow_commands[i].name, line);
		cow_strbuf_finish(&help);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_is_described),
		cmocka_unit_test(options_are_unambiguous),
		cmocka_unit_test(every_option_everywhere),
		cmocka_unit_test(help_fits_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
