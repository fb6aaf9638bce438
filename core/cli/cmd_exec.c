/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "cli/commands.h"
#include "cli/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* The three streams: what the process gets, and for a stream that is relayed, our end of a pipe. */
struct streams {
	int theirs[3], ours[3];
};

static void streams_finish(struct streams *s)
{
	for (int i = 0; i < 3; i++) {
		if (s->theirs[i] > STDERR_FILENO)
			(void)close(s->theirs[i]);
		if (s->ours[i] >= 0)
			(void)close(s->ours[i]);
	}
}

static int null_device(int *ret)
{
	*ret = open("/dev/null", O_RDWR | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

/*
 * A terminal of ours is not given away: the process could change its modes, and it would outlive us
 * there.  Anything else is passed as it is, and bytes never come through the client.
 */
static int stream(struct streams *s, int i, bool wanted)
{
	int ends[2];

	if (!wanted)
		return null_device(&s->theirs[i]);
	if (!isatty(i)) {
		s->theirs[i] = i;
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	s->theirs[i] = ends[i != STDIN_FILENO];
	s->ours[i] = ends[i == STDIN_FILENO];
	return 0;
}

static int streams_make(struct streams *s, const struct cow_args *args, struct cow_error *err)
{
	bool detach = cow_args_flag(args, "detach", false);
	int r = stream(s, 0, cow_args_flag(args, "interactive", false) && !detach) ?: stream(s, 1, !detach)
		?: stream(s, 2, !detach);

	return r ? cow_error_errno(err, r, "standard streams") : 0;
}

/* Ask for the process; its number and, with a terminal, the pty master. */
static int ask(struct cow_foreground *f, struct streams *s, bool tty, int64_t *ret_exec,
	       struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_message m = COW_MESSAGE_INIT;
	struct cow_params_place place;
	char cwd[PATH_MAX];
	int r = cow_foreground_place(&place, cwd, err) ?: cow_params_exec(f->args, &place, &b, err);

	if (!r && !tty)
		r = streams_make(s, f->args, err);
	if (r)
		return r;
	r = cow_session_call(f->session, "container.exec", b.data, s->theirs, tty ? 0 : 3, &m, err);
	/* It may have begun to write before the answer came: who interrupts it means it, not us. */
	if (r == -EINTR && m.root) {
		cow_session_hold(f->session);
		r = 0;
	}
	if (!r) {
		*ret_exec = cow_get_int(m.value, "exec", 0);
		if (tty)
			s->ours[1] = cow_take_fd(&m.fds[0]);
	}
	cow_message_finish(&m);
	return r;
}

static int connect_streams(struct cow_foreground *f, struct streams *s, bool tty,
			   struct cow_error *err)
{
	int in = tty && cow_args_flag(f->args, "interactive", false) ? s->ours[1] : s->ours[0];
	int out = s->ours[1], errs = s->ours[2];

	s->ours[0] = s->ours[1] = s->ours[2] = -1;
	/* The process has its own copies: with ours closed the end of its output can be seen. */
	streams_finish(s);
	s->theirs[0] = s->theirs[1] = s->theirs[2] = -1;
	return cow_session_streams(f->session, in, out, errs, tty, tty, err);
}

static int expect_end(struct cow_foreground *f, int64_t exec, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	uint64_t id;
	int r;

	cow_foreground_params(f, &b);
	cow_params_int(&b, "exec", exec);
	cow_strbuf_add(&b, "}");
	if (b.error)
		return cow_error_errno(err, b.error, "exec");
	r = cow_client_send(f->client, "exec.wait", b.data, NULL, 0, &id, err);
	cow_session_expect(f->session, 0, r ? 0 : id);
	return r;
}

int cow_cmd_exec(const struct cow_args *args)
{
	bool detach = cow_args_flag(args, "detach", false);
	bool tty = cow_args_flag(args, "tty", false) && !detach;
	bool interactive = cow_args_flag(args, "interactive", false) && !detach;
	struct streams s = { { -1, -1, -1 }, { -1, -1, -1 } };
	struct cow_foreground f = { 0 };
	struct cow_error err = { 0 };
	int64_t exec = 0;
	int r = cow_foreground_need_terminal(args, tty, interactive)
		?: cow_foreground_open(&f, args, interactive, true);

	if (r)
		return r;
	(void)snprintf(f.id, sizeof(f.id), "%s", args->argv[0]);
	r = ask(&f, &s, tty, &exec, &err);
	if (!r && !detach)
		r = connect_streams(&f, &s, tty, &err) ?: cow_session_target(f.session, f.id, exec, &err)
			?: expect_end(&f, exec, &err);
	streams_finish(&s);
	if (r == -EINTR)
		r = cow_foreground_fail(&f, r, &err);
	else if (r)
		r = cow_foreground_exec_failed(&f, &err);
	else if (!detach)
		r = cow_foreground_run(&f, false);
	cow_foreground_close(&f);
	return r;
}
