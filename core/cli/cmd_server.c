/* SPDX-License-Identifier: MIT */
/* reload and shutdown. */
#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/commands.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GONE_MS 10000

static int ask(const struct cow_args *args, struct cow_client *c, const char *method,
	       const char *params, struct cow_message *ret)
{
	struct cow_error err = { 0 };
	int r = cow_client_call(c, method, params, ret, &err);

	return r ? cow_fail(args, &err) : 0;
}

int cow_cmd_reload(const struct cow_args *args)
{
	static const char *const kinds[] = { "added", "removed", "changed", "kept" };
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_client *c = cow_client_open(args);
	int status = c ? ask(args, c, "reload", NULL, &m) : args->command->failure;

	for (size_t k = 0; !status && k < COW_ELEMENTS(kinds); k++) {
		struct json_object *list = cow_get(m.value, kinds[k]);

		if (!list || !json_object_is_type(list, json_type_array))
			continue;
		for (size_t i = 0; i < json_object_array_length(list); i++)
			(void)printf("%-8s %s\n", kinds[k],
				     json_object_get_string(json_object_array_get_idx(list, i)));
	}
	cow_message_finish(&m);
	cow_client_close(c);
	return status;
}

/* A pidfd of the supervisor, or -1: it is in a pid namespace that we do not see. */
static int open_peer(const struct cow_client *c)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(cow_client_fd(c), SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

int cow_cmd_shutdown(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_client *c = cow_client_open(args);
	_cleanup_close_ int peer = -1;
	int status;

	if (!c)
		return args->command->failure;
	peer = open_peer(c);
	cow_strbuf_add(&b, "{");
	if (cow_args_has(args, "timeout"))
		cow_params_int(&b, "timeout_s", cow_args_int(args, "timeout", 0));
	cow_params_bool(&b, "kill", cow_args_flag(args, "kill", false));
	cow_strbuf_add(&b, "}");
	status = ask(args, c, "shutdown", b.data, &m);
	cow_message_finish(&m);
	cow_client_close(c);
	/* So that the next command finds no socket, and the next supervisor no lock. */
	if (status == 0 && peer >= 0)
		(void)poll(&(struct pollfd){ .fd = peer, .events = POLLIN }, 1, GONE_MS);
	return status;
}
