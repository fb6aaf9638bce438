/* SPDX-License-Identifier: MIT */
#include "cli/foreground.h"
#include "base/cleanup.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool cow_foreground_attached(const struct cow_args *args, const char *stream)
{
	const char *v;
	size_t i = 0;

	/* Elsewhere `--attach` is a flag. */
	if (args->command != &cow_commands[COW_COMMAND_RUN])
		return true;
	for (; (v = cow_args_nth(args, "attach", i)); i++)
		if (!strcasecmp(v, stream))
			return true;
	return i == 0;
}

int cow_foreground_open(struct cow_foreground *f, const struct cow_args *args, bool interactive,
			bool sig_proxy)
{
	struct cow_session_setup setup = { .interactive = interactive, .sig_proxy = sig_proxy };
	struct cow_error err = { 0 };

	setup.mute_out = !cow_foreground_attached(args, "stdout");
	setup.mute_err = !cow_foreground_attached(args, "stderr");
	f->args = args;
	f->client = setup.client = cow_client_open(args);
	if (!f->client)
		return args->command->failure;
	/* `create` has no keys to detach with. */
	if (args->command != &cow_commands[COW_COMMAND_CREATE])
		setup.detach_keys = cow_args_string(args, "detach-keys");
	if (!cow_session_create(&setup, &f->session, &err))
		return 0;
	cow_foreground_close(f);
	return cow_fail(args, &err);
}

void cow_foreground_close(struct cow_foreground *f)
{
	cow_session_destroy(f->session);
	cow_client_close(f->client);
	f->session = NULL;
	f->client = NULL;
}

void cow_foreground_params(const struct cow_foreground *f, struct cow_strbuf *b)
{
	cow_strbuf_add(b, "{");
	cow_params_string(b, "container", f->id);
}

int cow_foreground_call(struct cow_foreground *f, const char *method, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	int r;

	cow_foreground_params(f, &b);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "%s", method);
	r = cow_session_call(f->session, method, b.data, NULL, 0, &m, err);
	cow_message_finish(&m);
	return r;
}

void cow_foreground_discard(struct cow_foreground *f)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;

	if (!*f->id)
		return;
	cow_foreground_params(f, &b);
	cow_params_bool(&b, "force", true);
	cow_strbuf_add(&b, "}");
	if (!b.error)
		(void)cow_client_call(f->client, "container.delete", b.data, &m, NULL);
	cow_message_finish(&m);
}

int cow_foreground_attach(struct cow_foreground *f, bool interactive, bool logs,
			  struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	int in = -1, out, errs, at = 0, r;

	cow_foreground_params(f, &b);
	cow_params_bool(&b, "stdin", interactive);
	cow_params_bool(&b, "logs", logs);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "attach");
	r = cow_session_call(f->session, "container.attach", b.data, NULL, 0, &m, err);
	if (!r) {
		if (interactive)
			in = cow_take_fd(&m.fds[at++]);
		out = cow_take_fd(&m.fds[at++]);
		errs = cow_take_fd(&m.fds[at]);
		r = cow_session_streams(f->session, in, out, errs,
					cow_get_bool(m.value, "terminal", false), false, err);
	}
	cow_message_finish(&m);
	return r ?: cow_session_target(f->session, f->id, 0, err);
}

int cow_foreground_follow(struct cow_foreground *f, uint64_t since_ns, bool terminal,
			  struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	int out, errs, r;

	cow_foreground_params(f, &b);
	cow_params_bool(&b, "follow", true);
	cow_params_int(&b, "since_ns", (int64_t)since_ns);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "logs");
	r = cow_session_call(f->session, "container.logs", b.data, NULL, 0, &m, err);
	if (!r) {
		out = cow_take_fd(&m.fds[0]);
		errs = cow_take_fd(&m.fds[1]);
		r = cow_session_streams(f->session, -1, out, errs, terminal, false, err);
	}
	cow_message_finish(&m);
	return r ?: cow_session_target(f->session, f->id, 0, err);
}

int cow_foreground_input(struct cow_foreground *f, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	int r;

	cow_foreground_params(f, &b);
	cow_params_bool(&b, "stdin", true);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "attach");
	r = cow_session_call(f->session, "container.attach", b.data, NULL, 0, &m, err);
	if (!r)
		r = cow_session_input(f->session, cow_take_fd(&m.fds[0]), err);
	cow_message_finish(&m);
	return r;
}

static int send_about(struct cow_foreground *f, const char *method, uint64_t *ret_id,
		      struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	cow_foreground_params(f, &b);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "%s", method);
	return cow_client_send(f->client, method, b.data, NULL, 0, ret_id, err);
}

/*
 * Waiting begins before starting: a container that is removed when it ends could otherwise be gone
 * before anybody asked for its exit code.  One that has ended once would answer that at once.
 */
int cow_foreground_begin(struct cow_foreground *f, bool start, bool never_ran,
			 struct cow_error *err)
{
	uint64_t start_id = 0, wait_id = 0;
	int r = 0;

	if (never_ran)
		r = send_about(f, "container.wait", &wait_id, err);
	if (!r && start)
		r = send_about(f, "container.start", &start_id, err);
	if (!r && !never_ran)
		r = send_about(f, "container.wait", &wait_id, err);
	cow_session_expect(f->session, start_id, wait_id);
	return r;
}

int cow_foreground_run(struct cow_foreground *f, bool discard_failed)
{
	struct cow_error err = { 0 };
	int status = 0;
	enum cow_session_end end = cow_session_run(f->session, &status, &err);

	switch (end) {
	case COW_SESSION_START_FAILED:
		if (discard_failed)
			cow_foreground_discard(f);
		return cow_foreground_start_failed(f->args, &err);
	case COW_SESSION_FAILED:
		return cow_fail(f->args, &err);
	default:
		return cow_session_status(f->session, end, status);
	}
}

int cow_foreground_fail(struct cow_foreground *f, int r, const struct cow_error *err)
{
	if (r != -EINTR)
		return cow_fail(f->args, err);
	return cow_session_status(f->session, COW_SESSION_SIGNAL, 0);
}

static int exec_status(const struct cow_args *args, int code)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
		return 127;
	case -EACCES:
	case -EPERM:
	case -ENOEXEC:
	case -EISDIR:
		return 126;
	default:
		return args->command->failure;
	}
}

int cow_foreground_start_failed(const struct cow_args *args, const struct cow_error *err)
{
	(void)cow_fail(args, err);
	/* An earlier step (a mount whose source is absent) fails for reasons that are not the command's. */
	return strcmp(err->step, "start") ? args->command->failure : exec_status(args, err->code);
}

int cow_foreground_exec_failed(struct cow_foreground *f, const struct cow_error *err)
{
	(void)cow_fail(f->args, err);
	/* No such command, or no such container? */
	if (err->code == -ENOENT && cow_foreground_call(f, "container.inspect", NULL))
		return f->args->command->failure;
	return exec_status(f->args, err->code);
}

int cow_foreground_need_terminal(const struct cow_args *args, bool tty, bool interactive)
{
	if (!tty || !interactive || isatty(STDIN_FILENO))
		return 0;
	(void)fprintf(stderr, "cowherd: -i with -t: standard input is not a terminal\n");
	return args->command->failure;
}

int cow_foreground_place(struct cow_params_place *ret, char *cwd, struct cow_error *err)
{
	if (!getcwd(cwd, PATH_MAX))
		return cow_error_errno(err, -errno, "working directory");
	ret->cwd = cwd;
	cow_terminal_size(STDOUT_FILENO, &ret->height, &ret->width);
	if (!ret->height)
		cow_terminal_size(STDIN_FILENO, &ret->height, &ret->width);
	return 0;
}
