/* SPDX-License-Identifier: MIT */
/* Texts made from the table: help, manual pages (mdoc), completion.  Pure; errors stick in out. */
#ifndef COW_CLI_HELP_H
#define COW_CLI_HELP_H

#include "base/strbuf.h"
#include "cli/options.h"

/* What stands under `cowherd help`, without the verbs of plugins. */
void cow_help_overview(struct cow_strbuf *out);
/* One line of the overview. */
void cow_help_line(struct cow_strbuf *out, const char *name, const char *summary);
void cow_help_usage(struct cow_strbuf *out, const struct cow_command *command);
/* A verb of a plugin, as the `verbs` method has it. */
void cow_help_verb(struct cow_strbuf *out, const char *usage, const char *summary,
		   const char *details);
void cow_help_command(struct cow_strbuf *out, const struct cow_command *command);

/* date: "May 1, 2024". */
void cow_man_overview(struct cow_strbuf *out, const char *date);
void cow_man_command(struct cow_strbuf *out, const struct cow_command *command, const char *date);

void cow_completion_bash(struct cow_strbuf *out);

#endif
