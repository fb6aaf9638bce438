/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <ctype.h>
#include <string.h>

/* Running text: what mdoc would take for markup is escaped; each sentence starts a line, as mdoc has it. */
static void prose(struct cow_strbuf *out, const char *text)
{
	bool start = true;

	for (const char *p = text; *p; p++) {
		if (p[0] == '\n' && p[1] == '\n') {
			cow_strbuf_add(out, "\n.Pp\n");
			p++;
			start = true;
			continue;
		}
		if (start && (*p == '.' || *p == '\''))
			cow_strbuf_add(out, "\\&");
		start = false;
		if (*p == '\\')
			cow_strbuf_add(out, "\\e");
		else
			cow_strbuf_addn(out, p, 1);
		if (*p == '.' && p[1] == ' ' && isupper((unsigned char)p[2])) {
			cow_strbuf_add(out, "\n");
			p++;
			start = true;
		}
	}
	cow_strbuf_add(out, "\n");
}

static void upper(struct cow_strbuf *out, const char *text)
{
	for (; *text; text++) {
		char c = (char)toupper((unsigned char)*text);

		cow_strbuf_addn(out, &c, 1);
	}
}

static void head(struct cow_strbuf *out, const struct cow_command *command, const char *date)
{
	cow_strbuf_addf(out, ".Dd %s\n.Dt COWHERD", date);
	if (*command->name) {
		cow_strbuf_add(out, "-");
		upper(out, command->name);
	}
	cow_strbuf_addf(out, " 1\n.Os cowherd\n.Sh NAME\n.Nm cowherd%s%s\n.Nd ",
			*command->name ? "-" : "", command->name);
	prose(out, command->summary);
}

static void options(struct cow_strbuf *out, const struct cow_option *o)
{
	for (; o->name; o++) {
		if (!o->help)
			continue;
		cow_strbuf_add(out, ".It ");
		if (o->letter)
			cow_strbuf_addf(out, "Fl %c , ", o->letter);
		cow_strbuf_addf(out, "Fl -%s", o->name);
		if (o->argument)
			cow_strbuf_addf(out, " Ar %s", o->argument);
		cow_strbuf_add(out, "\n");
		prose(out, o->help);
	}
}

static void both_options(struct cow_strbuf *out, const struct cow_command *command)
{
	cow_strbuf_add(out, ".Bl -tag -width Ds\n");
	options(out, command->options);
	options(out, cow_options_common);
	cow_strbuf_add(out, ".El\n");
}

void cow_man_overview(struct cow_strbuf *out, const char *date)
{
	head(out, &cow_command_top, date);
	cow_strbuf_add(
		out,
		".Sh SYNOPSIS\n.Nm\n.Op Fl H Ar unix:///PATH\n.Ar VERB\n.Op Ar ARG ...\n"
		".Sh DESCRIPTION\n.Nm\n"
		"is a supervisor of containers and its client in one program.\nThe verbs are:\n"
		".Bl -tag -width completion\n");
	for (int i = 0; i < COW_COMMAND_COUNT; i++) {
		cow_strbuf_addf(out, ".It Xr cowherd-%s 1\n", cow_commands[i].name);
		prose(out, cow_commands[i].summary);
	}
	cow_strbuf_add(out,
		       ".El\n.Pp\nPlugins may add verbs:\n.Nm Cm help\nlists those of the "
		       "supervisor that runs."
		       "\n.Pp\nThe options are:\n");
	both_options(out, &cow_command_top);
	cow_strbuf_add(
		out,
		".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev COWHERD_HOST\n"
		"Socket of the supervisor, as\n.Pa unix:///PATH ,\nwhere no\n.Fl -host\nis "
		"given.\n.El\n"
		".Sh FILES\n.Bl -tag -width Ds\n.It Pa /run/cowherd/cowherd.sock\n"
		"Default socket of the supervisor.\n.El\n"
		".Sh EXIT STATUS\n0 on success.\n1 or 125 where cowherd failed.\n"
		"125 is used for wrong options, and by\n.Cm run ,\n.Cm create\nand\n.Cm exec\n"
		"for every failure of their own, since their exit status is otherwise the "
		"command's.\n");
}

void cow_man_command(struct cow_strbuf *out, const struct cow_command *command, const char *date)
{
	head(out, command, date);
	cow_strbuf_addf(out, ".Sh SYNOPSIS\n.Nm cowherd %s\n.Op Ar OPTIONS\n", command->name);
	if (*command->usage) {
		cow_strbuf_add(out, ".Ar ");
		prose(out, command->usage);
	}
	cow_strbuf_add(out, ".Sh DESCRIPTION\n");
	prose(out, command->summary);
	if (command->alias)
		cow_strbuf_addf(out, ".Pp\nAlso called\n.Cm %s .\n", command->alias);
	if (command->details) {
		cow_strbuf_add(out, ".Pp\n");
		prose(out, command->details);
	}
	cow_strbuf_add(out, ".Pp\nThe options are:\n");
	both_options(out, command);
	cow_strbuf_add(out, ".Sh SEE ALSO\n.Xr cowherd 1\n");
}
