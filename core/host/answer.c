/* SPDX-License-Identifier: MIT */
/* Answers of plugins: read size-first, judged by what was asked, passed on once. */
#include "host/internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int cow_host_take_fd(const struct cow_answer *answer)
{
	/* The payload is the struct on the stack of calls_answer(). */
	struct cowherd_answer *payload = (struct cowherd_answer *)(uintptr_t)answer->payload;
	int fd = payload ? payload->fd : -1;

	if (payload)
		payload->fd = -1;
	return fd;
}

static void answer_fail(struct cowherd_answer *a, int code, const char *message)
{
	a->code = code;
	a->message = message;
	a->result = NULL;
	a->handle = 0;
	a->pid = 0;
	a->exit_code = a->exit_code > 0 && a->exit_code <= 255 ? a->exit_code : 0;
}

static void answer_judge(struct cowherd_answer *a, enum guard_call call)
{
	bool makes_handle = call == CALL_CREATE || call == CALL_ADOPT || call == CALL_EXEC;

	if (a->code > 0)
		answer_fail(a, -EPROTO, "the plugin answered with a positive code");
	else if (a->code < 0)
		answer_fail(a, a->code, a->message ? a->message : cow_errno_text(a->code));
	else if (makes_handle && !a->handle)
		answer_fail(a, -EPROTO, "the plugin answered without a handle");
	else if (call == CALL_VERB && (a->exit_code < 0 || a->exit_code > 255))
		answer_fail(a, -EPROTO, "the plugin answered with an exit code that is none");
	else if (call == CALL_STATS && table_json(a->result, true) < 0)
		answer_fail(a, -EPROTO, "the plugin's statistics are not a JSON object");
	else if (call == CALL_RESOLVE && table_json(a->result, true) < 0)
		answer_fail(a, -EPROTO, "the plugin's image is not a JSON object");
}

/* fd: 0 or less is none, so that a zeroed struct is right; and where the struct is too short for it. */
static int answer_read(struct cowherd_answer *ret, const struct cowherd_answer *theirs)
{
	int rc = table_copy(ret, sizeof(*ret), theirs);

	if (rc == 0 && ret->fd <= 0)
		ret->fd = -1;
	return rc;
}

/* Hand it to whoever asked; the system a backend made is known before that one is told. */
static int answer_pass(struct cow_offer *offer, enum guard_call call, cowherd_op op,
		       struct cowherd_answer *a)
{
	struct cow_plugin *plugin = offer->plugin;
	bool opens = a->code == 0 && (call == CALL_CREATE || call == CALL_ADOPT);
	uint64_t system = a->handle;
	int rc = opens ? cow_map_put(&plugin->systems, system, offer, 0) : 0;

	if (rc < 0)
		answer_fail(a, rc, NULL);
	rc = cow_ops_answer(plugin->host->setup.ops, op,
			    &(struct cow_answer){ .code = a->code, .message = a->message, .payload = a });
	if (rc < 0 && opens)
		cow_map_del(&plugin->systems, system);
	return rc;
}

static int answer_deliver(struct cowherd_self *self, cowherd_op op, struct cowherd_answer *a)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	const struct cow_map_entry *entry;
	struct cow_offer *offer;
	enum guard_call call;

	if (!plugin)
		return rc;
	if (plugin->host->events.answers)
		plugin->host->events.answers(plugin->host->events_arg, op);
	entry = cow_map_get(&plugin->host->calls, op);
	offer = entry ? entry->value : NULL;
	if (!offer || offer->plugin != plugin)
		return -ENOENT;
	call = entry->tag;
	cow_map_del(&plugin->host->calls, op);
	answer_judge(a, call);
	return answer_pass(offer, call, op, a);
}

int calls_answer(struct cowherd_self *self, cowherd_op op, const struct cowherd_answer *answer)
{
	struct cowherd_answer a;
	int rc = answer_read(&a, answer);

	if (rc < 0)
		return rc;
	rc = answer_deliver(self, op, &a);
	if (a.fd >= 0)
		(void)close(a.fd);
	return rc;
}
