/* SPDX-License-Identifier: MIT */
/* help and completion. */
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What plugins add, where a supervisor can be asked; nothing is said where not. */
static void plugin_verbs(const struct cow_args *args, struct cow_strbuf *out)
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_client *c = NULL;
	bool titled = false;

	if (cow_client_connect(cow_client_host(args), &c, NULL))
		return;
	if (cow_client_call(c, "verbs", NULL, &m, NULL) ||
	    !json_object_is_type(m.value, json_type_array)) {
		cow_message_finish(&m);
		cow_client_close(c);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(m.value); i++) {
		struct json_object *v = json_object_array_get_idx(m.value, i);
		const char *name = cow_get_string(v, "name", "");

		if (cow_command_find(name) != COW_COMMAND_COUNT)
			continue;
		cow_strbuf_add(out, titled ? "" : "\nVerbs of plugins:\n");
		titled = true;
		cow_help_line(out, name, cow_get_string(v, "help", ""));
	}
	cow_message_finish(&m);
	cow_client_close(c);
}

int cow_cmd_help(const struct cow_args *args)
{
	struct cow_strbuf out = COW_STRBUF_INIT;
	struct cow_error err = { 0 };
	enum cow_command_id id;

	if (!args->argc) {
		cow_help_overview(&out);
		plugin_verbs(args, &out);
		return cow_print(args, &out);
	}
	id = cow_command_find(args->argv[0]);
	if (id == COW_COMMAND_COUNT) {
		(void)cow_error_set(&err, -ENOENT, "no such verb: %s (see `cowherd help`)",
				    args->argv[0]);
		return cow_fail(args, &err);
	}
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
