/* SPDX-License-Identifier: MIT */
/* help and completion. */
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What plugins add, where a supervisor can be asked; nothing is said where not. */
static void plugin_verbs(const struct cow_args *args, struct cow_strbuf *out,
			 void (*line)(struct cow_strbuf *out, const char *name, const char *help))
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_client *c = NULL;
	int r = cow_client_connect(cow_client_host(args), &c, NULL)
		?: cow_client_call(c, "verbs", NULL, &m, NULL);

	if (!r && json_object_is_type(m.value, json_type_array))
		for (size_t i = 0; i < json_object_array_length(m.value); i++) {
			struct json_object *v = json_object_array_get_idx(m.value, i);
			const char *name = cow_get_string(v, "name", "");

			if (cow_command_find(name) == COW_COMMAND_COUNT)
				line(out, name, cow_get_string(v, "help", ""));
		}
	cow_message_finish(&m);
	cow_client_close(c);
}

static void name_line(struct cow_strbuf *out, const char *name, const char *help)
{
	(void)help;
	cow_strbuf_addf(out, "%s\n", name);
}

int cow_plugin_verbs(const struct cow_args *top)
{
	struct cow_strbuf out = COW_STRBUF_INIT;

	plugin_verbs(top, &out, name_line);
	return cow_print(top, &out);
}

int cow_cmd_help(const struct cow_args *args)
{
	struct cow_strbuf out = COW_STRBUF_INIT, verbs = COW_STRBUF_INIT;
	enum cow_command_id id;

	if (!args->argc) {
		cow_help_overview(&out);
		plugin_verbs(args, &verbs, cow_help_line);
		if (verbs.len)
			cow_strbuf_addf(&out, "\nVerbs of plugins:\n%s", verbs.data);
		cow_strbuf_finish(&verbs);
		return cow_print(args, &out);
	}
	id = cow_command_find(args->argv[0]);
	if (id == COW_COMMAND_COUNT)
		return cow_verb_help(args, cow_client_host(args), args->argv[0]);
	cow_help_command(&out, &cow_commands[id]);
	return cow_print(args, &out);
}

int cow_cmd_completion(const struct cow_args *args)
{
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct cow_error err = { 0 };

	if (strcmp(args->argv[0], "bash")) {
		(void)cow_error_set(&err, -ENOTSUP,
				    "completion: there is one for bash, none for %s",
				    args->argv[0]);
		return cow_fail(args, &err);
	}
	cow_completion_bash(&out);
	return cow_print(args, &out);
}
