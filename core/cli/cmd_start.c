/* SPDX-License-Identifier: MIT */
/* start and attach. */
#include "base/cleanup.h"
#include "base/ids.h"
#include "cli/commands.h"
#include "cli/each.h"
#include "cli/foreground.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct facts {
	char state[32];
	bool stdin_open, terminal;
};

/* The container's full id into f, and what it takes to attach. */
static int look(struct cow_foreground *f, const char *container, struct facts *ret,
		struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	int r;

	cow_strbuf_add(&b, "{");
	cow_params_string(&b, "container", container);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "inspect");
	r = cow_session_call(f->session, "container.inspect", b.data, NULL, 0, &m, err);
	if (!r) {
		(void)snprintf(f->id, sizeof(f->id), "%s",
			       cow_get_string(m.value, "id", container));
		(void)snprintf(ret->state, sizeof(ret->state), "%s",
			       cow_get_string(m.value, "state", ""));
		ret->stdin_open = cow_get_bool(m.value, "open_stdin", true);
		ret->terminal = cow_get_bool(m.value, "terminal", false);
	}
	cow_message_finish(&m);
	return r;
}

/*
 * A container that has run has no streams until it runs again: what it writes until they are
 * connected comes from its log.  A new one is connected, and waited for, before it starts.
 */
static int start_again(struct cow_foreground *f, const struct facts *facts, bool interactive,
		       struct cow_error *err)
{
	uint64_t since = cow_realtime_ns();

	return cow_foreground_call(f, "container.start", err)
		?: cow_foreground_follow(f, since, facts->terminal, err)
		?: (interactive ? cow_foreground_input(f, err) : 0)
		?: cow_foreground_begin(f, false, false, err);
}

static int start_attached(const struct cow_args *args)
{
	bool interactive = cow_args_flag(args, "interactive", false);
	struct cow_foreground f = { 0 };
	struct cow_error err = { 0 };
	struct facts facts;
	int r;

	if (args->argc != 1) {
		(void)cow_error_set(&err, -EINVAL, "start: only one container can be attached to");
		return cow_fail(args, &err);
	}
	r = cow_foreground_open(&f, args, interactive, cow_args_flag(args, "sig-proxy", true));
	if (r)
		return r;
	r = look(&f, args->argv[0], &facts, &err);
	interactive = interactive && !r && facts.stdin_open;
	if (!r && strcmp(facts.state, "created"))
		r = start_again(&f, &facts, interactive, &err);
	else if (!r)
		r = cow_foreground_attach(&f, interactive, true, &err)
			?: cow_foreground_begin(&f, true, true, &err);
	r = r ? cow_foreground_fail(&f, r, &err) : cow_foreground_run(&f, false);
	cow_foreground_close(&f);
	return r;
}

int cow_cmd_start(const struct cow_args *args)
{
	if (cow_args_flag(args, "attach", false) || cow_args_flag(args, "interactive", false))
		return start_attached(args);
	return cow_each_container(args, "container.start", NULL, true);
}

int cow_cmd_attach(const struct cow_args *args)
{
	struct cow_foreground f = { 0 };
	struct cow_error err = { 0 };
	struct facts facts = { .stdin_open = false };
	int r = cow_foreground_open(&f, args, true, cow_args_flag(args, "sig-proxy", true));

	if (r)
		return r;
	r = look(&f, args->argv[0], &facts, &err);
	if (!r && strcmp(facts.state, "running") && strcmp(facts.state, "paused"))
		r = cow_error_set(&err, -EINVAL, "container %s: is %s, not running", args->argv[0],
				  facts.state);
	facts.stdin_open = facts.stdin_open && !cow_args_flag(args, "no-stdin", false);
	r = r ?: cow_foreground_attach(&f, facts.stdin_open, false, &err)
		?: cow_foreground_begin(&f, false, false, &err);
	r = r ? cow_foreground_fail(&f, r, &err) : cow_foreground_run(&f, false);
	cow_foreground_close(&f);
	return r;
}
