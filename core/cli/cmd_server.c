/* SPDX-License-Identifier: MIT */
/* reload and shutdown. */
#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>

static int ask(const struct cow_args *args, const char *method, const char *params,
	       struct cow_message *ret)
{
	struct cow_error err = { 0 };
	struct cow_client *c = cow_client_open(args);
	int r;

	if (!c)
		return args->command->failure;
	r = cow_client_call(c, method, params, ret, &err);
	cow_client_close(c);
	return r ? cow_fail(args, &err) : 0;
}

int cow_cmd_reload(const struct cow_args *args)
{
	static const char *const kinds[] = { "added", "removed", "changed", "kept" };
	struct cow_message m = COW_MESSAGE_INIT;
	int status = ask(args, "reload", NULL, &m);

	for (size_t k = 0; !status && k < COW_ELEMENTS(kinds); k++) {
		struct json_object *list = cow_get(m.value, kinds[k]);

		if (!list || !json_object_is_type(list, json_type_array))
			continue;
		for (size_t i = 0; i < json_object_array_length(list); i++)
			(void)printf("%-8s %s\n", kinds[k],
				     json_object_get_string(json_object_array_get_idx(list, i)));
	}
	cow_message_finish(&m);
	return status;
}

int cow_cmd_shutdown(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	int status;

	cow_strbuf_add(&b, "{");
	if (cow_args_has(args, "timeout"))
		cow_params_int(&b, "timeout_s", cow_args_int(args, "timeout", 0));
	cow_params_bool(&b, "kill", cow_args_flag(args, "kill", false));
	cow_strbuf_add(&b, "}");
	status = ask(args, "shutdown", b.data, &m);
	cow_message_finish(&m);
	return status;
}
