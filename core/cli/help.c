/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <string.h>

#define SUMMARY_COLUMN 14
#define WRAP 80

static const struct {
	const char *title;
	enum cow_command_id first;
} groups[] = {
	{ "Supervisor", COW_COMMAND_UP },
	{ "Containers", COW_COMMAND_RUN },
	{ "What they do", COW_COMMAND_PS },
	{ "Plugins and help", COW_COMMAND_PLUGINS },
};

/* Words from text up to the column WRAP, indented; paragraphs keep their empty line. */
static void wrapped(struct cow_strbuf *out, const char *text, size_t indent)
{
	size_t column = indent;

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (column > indent && column + 1 + len > WRAP) {
			cow_strbuf_addf(out, "\n%*s", (int)indent, "");
			column = indent;
		}
		if (column > indent) {
			cow_strbuf_add(out, " ");
			column++;
		}
		cow_strbuf_addn(out, text, len);
		column += len;
		text += len;
		for (; *text == ' '; text++)
			;
		if (text[0] == '\n' && text[1] == '\n') {
			cow_strbuf_addf(out, "\n\n%*s", (int)indent, "");
			column = indent;
			text += 2;
		}
	}
	cow_strbuf_add(out, "\n");
}

void cow_help_line(struct cow_strbuf *out, const char *name, const char *summary)
{
	cow_strbuf_addf(out, "  %-*s%s\n", SUMMARY_COLUMN - 2, name, summary);
}

static size_t option_label(struct cow_strbuf *out, const struct cow_option *o)
{
	size_t before = out->len;

	if (o->letter)
		cow_strbuf_addf(out, "  -%c, ", o->letter);
	else
		cow_strbuf_add(out, "      ");
	cow_strbuf_addf(out, "--%s", o->name);
	if (o->argument)
		cow_strbuf_addf(out, " %s", o->argument);
	return out->len - before;
}

static size_t label_width(const struct cow_option *o)
{
	return 8 + strlen(o->name) + (o->argument ? 1 + strlen(o->argument) : 0);
}

static size_t widest(const struct cow_option *o, size_t width)
{
	for (; o->name; o++)
		if (o->help && label_width(o) > width)
			width = label_width(o);
	return width;
}

static void options(struct cow_strbuf *out, const struct cow_option *o, size_t column)
{
	for (; o->name; o++) {
		size_t n;

		if (!o->help)
			continue;
		n = option_label(out, o);
		cow_strbuf_addf(out, "%*s", (int)(column > n ? column - n : 1), "");
		wrapped(out, o->help, column);
	}
}

static void both_options(struct cow_strbuf *out, const struct cow_command *command)
{
	size_t column = widest(cow_options_common, widest(command->options, 0)) + 2;

	cow_strbuf_add(out, "\nOptions:\n");
	options(out, command->options, column);
	options(out, cow_options_common, column);
}

void cow_help_overview(struct cow_strbuf *out)
{
	size_t g = 0;

	cow_strbuf_addf(out, "Usage: cowherd [OPTIONS] %s\n\n%s\n", cow_command_top.usage,
			cow_command_top.summary);
	for (int i = 0; i < COW_COMMAND_COUNT; i++) {
		if (g < sizeof(groups) / sizeof(groups[0]) &&
		    groups[g].first == (enum cow_command_id)i)
			cow_strbuf_addf(out, "\n%s:\n", groups[g++].title);
		cow_help_line(out, cow_commands[i].name, cow_commands[i].summary);
	}
	both_options(out, &cow_command_top);
	cow_strbuf_add(out, "\n`cowherd VERB --help` tells more about a verb.\n");
}

void cow_help_usage(struct cow_strbuf *out, const struct cow_command *command)
{
	cow_strbuf_addf(out, "Usage: cowherd %s [OPTIONS]%s%s\n", command->name,
			*command->usage ? " " : "", command->usage);
}

void cow_help_verb(struct cow_strbuf *out, const char *usage, const char *summary,
		   const char *details)
{
	cow_strbuf_addf(out, "Usage: cowherd %s\n", usage);
	if (*summary)
		cow_strbuf_addf(out, "\n%s\n", summary);
	/* The plugin's own lines: tables of options stay as they are. */
	if (*details)
		cow_strbuf_addf(out, "\n%s%s", details,
				details[strlen(details) - 1] == '\n' ? "" : "\n");
}

void cow_help_command(struct cow_strbuf *out, const struct cow_command *command)
{
	cow_help_usage(out, command);
	cow_strbuf_addf(out, "\n%s\n", command->summary);
	if (command->alias)
		cow_strbuf_addf(out, "\nAlso called: %s\n", command->alias);
	if (command->details) {
		cow_strbuf_add(out, "\n");
		wrapped(out, command->details, 0);
	}
	both_options(out, command);
}
