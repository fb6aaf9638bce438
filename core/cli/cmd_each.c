/* SPDX-License-Identifier: MIT */
/* stop, restart, kill, pause, resume, rm, release, wait. */
#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/each.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void timeout(const struct cow_args *args, struct cow_strbuf *b)
{
	const char *name = cow_args_has(args, "timeout") ? "timeout" : "time";

	if (!cow_args_has(args, name))
		return;
	cow_strbuf_add(b, ",");
	cow_strbuf_addf(b, "\"timeout_s\":%lld", (long long)cow_args_int(args, name, 0));
}

static void signal_member(const struct cow_args *args, struct cow_strbuf *b)
{
	const char *name = cow_args_string(args, "signal");

	if (!name)
		return;
	cow_strbuf_add(b, ",\"signal\":");
	cow_strbuf_json(b, name);
}

static int each_with(const struct cow_args *args, const char *method, struct cow_strbuf *b)
{
	struct cow_error err = { 0 };
	int status;

	if (b->error) {
		(void)cow_error_errno(&err, b->error, "%s", method);
		return cow_fail(args, &err);
	}
	status = cow_each_container(args, method, b->data, true);
	cow_strbuf_finish(b);
	return status;
}

int cow_cmd_stop(const struct cow_args *args)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	timeout(args, &b);
	signal_member(args, &b);
	return each_with(args, "container.stop", &b);
}

int cow_cmd_restart(const struct cow_args *args)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	timeout(args, &b);
	return each_with(args, "container.restart", &b);
}

int cow_cmd_kill(const struct cow_args *args)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	signal_member(args, &b);
	if (cow_args_flag(args, "all", false))
		cow_strbuf_add(&b, ",\"all\":true");
	return each_with(args, "container.kill", &b);
}

int cow_cmd_pause(const struct cow_args *args)
{
	return cow_each_container(args, "container.pause", NULL, true);
}

int cow_cmd_resume(const struct cow_args *args)
{
	return cow_each_container(args, "container.resume", NULL, true);
}

int cow_cmd_release(const struct cow_args *args)
{
	return cow_each_container(args, "container.release", NULL, true);
}

static void print_name(void *arg, const char *container, struct json_object *result)
{
	(void)arg;
	(void)result;
	(void)printf("%s\n", container);
}

int cow_cmd_rm(const struct cow_args *args)
{
	bool force = cow_args_flag(args, "force", false);
	struct cow_each each = { .method = "container.delete",
				 .params = force ? ",\"force\":true" : NULL,
				 .on_result = print_name,
				 .ignore = force ? -ENOENT : 0 };
	struct cow_client *c = cow_client_open(args);
	int status;

	if (!c)
		return args->command->failure;
	status = cow_each_run(args, c, &each);
	cow_client_close(c);
	return status;
}

/* As docker: a line with the exit code for each; other conditions have none to print. */
static void print_code(void *arg, const char *container, struct json_object *result)
{
	int64_t code = cow_get_int(result, "exit_code", -1);
	int *status = arg;

	if (code >= 0) {
		(void)printf("%lld\n", (long long)code);
		return;
	}
	(void)fprintf(stderr, "cowherd: container %s: the exit code is lost: %s\n", container,
		      cow_get_string(result, "reason", "no reason is known"));
	*status = 1;
}

int cow_cmd_wait(const struct cow_args *args)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	const char *condition = cow_args_string(args, "condition");
	struct cow_each each = { .method = "container.wait",
				 .deadline_ms = cow_args_int(args, "timeout", 0) };
	struct cow_client *c;
	int status, lost = 0;

	if (cow_args_flag(args, "healthy", false))
		condition = "healthy";
	if (!condition || !strcmp(condition, "stopped")) {
		each.on_result = print_code;
	} else {
		cow_strbuf_add(&b, ",\"condition\":");
		cow_strbuf_json(&b, condition);
	}
	each.arg = &lost;
	c = cow_client_open(args);
	if (!c)
		return args->command->failure;
	each.params = b.data;
	status = cow_each_run(args, c, &each);
	cow_client_close(c);
	return status ? status : lost;
}
