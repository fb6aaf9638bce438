/* SPDX-License-Identifier: MIT */
#include "cli/session.h"
#include "base/cleanup.h"
#include "cli/pump.h"
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

#define ENOUGH 3 /* so many requests to end, and the client leaves alone */

static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };

enum { IN, OUT, ERR, PUMPS };

struct cow_session {
	struct cow_session_setup setup;
	sigset_t mask_before;
	int signals;   /* signalfd, or -1 */
	int signo;     /* the last one */
	int asked;     /* how often the user asked for the end */
	uint64_t held; /* signals that came before the process did */

	char *container;
	int64_t exec;
	bool terminal;
	int master; /* pty of an exec; owned by pumps[OUT]; -1: none */
	struct cow_pump pumps[PUMPS];
	struct cow_detach detach;

	uint64_t start_id, wait_id;
	bool exited;
	int status;     /* -1: lost */
	char lost[256]; /* why */
};

int cow_session_create(const struct cow_session_setup *setup, struct cow_session **ret,
		       struct cow_error *err)
{
	const char *keys = setup->detach_keys ? setup->detach_keys : COW_DETACH_KEYS;
	struct cow_session *s = calloc(1, sizeof(*s));
	sigset_t set;
	int r = 0;

	if (!s)
		return cow_error_errno(err, -ENOMEM, "session");
	s->setup = *setup;
	s->signals = s->master = -1;
	for (int i = 0; i < PUMPS; i++)
		s->pumps[i] = (struct cow_pump)COW_PUMP_INIT;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < COW_ELEMENTS(watched); i++)
		(void)sigaddset(&set, watched[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &s->mask_before);
	if (cow_detach_parse(keys, &s->detach))
		r = cow_error_set(err, -EINVAL, "--detach-keys: \"%s\" is not like %s", keys,
				  COW_DETACH_KEYS);
	else if ((s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		r = cow_error_errno(err, -errno, "signalfd");
	if (r)
		cow_session_destroy(s);
	else
		*ret = s;
	return r;
}

void cow_session_destroy(struct cow_session *s)
{
	if (!s)
		return;
	cow_terminal_restore();
	for (int i = 0; i < PUMPS; i++)
		cow_pump_finish(&s->pumps[i]);
	if (s->signals >= 0)
		(void)close(s->signals);
	(void)sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
	free(s->container);
	free(s);
}

/* The next pending signal, or 0. */
static int next_signal(struct cow_session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

static bool wants_end(int signo)
{
	return signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT;
}

/* Signals during a call: the first one for the end waits for the answer, the second does not. */
static int call_signals(struct cow_session *s)
{
	for (int signo; (signo = next_signal(s));) {
		if (!wants_end(signo))
			continue;
		if (s->signo)
			return -EINTR;
		s->signo = signo;
	}
	return 0;
}

int cow_session_call(struct cow_session *s, const char *method, const char *params, const int *fds,
		     unsigned fd_count, struct cow_message *ret, struct cow_error *err)
{
	struct pollfd p[2] = { { .fd = cow_client_fd(s->setup.client), .events = POLLIN },
			       { .fd = s->signals, .events = POLLIN } };
	uint64_t id;
	int r = cow_client_send(s->setup.client, method, params, fds, fd_count, &id, err);

	while (!r) {
		struct cow_message m = COW_MESSAGE_INIT;

		r = cow_client_receive(s->setup.client, false, &m, err);
		if (r > 0 && m.id == id && !m.is_event) {
			r = m.error.code;
			if (r && err)
				*err = m.error;
			if (r)
				cow_message_finish(&m);
			else
				*ret = m;
			return r ? r : s->signo ? -EINTR : 0;
		}
		if (r > 0) {
			cow_message_finish(&m);
			r = 0;
		} else if (!r && poll(p, 2, -1) > 0 && p[1].revents) {
			r = call_signals(s);
		}
	}
	return r;
}

void cow_session_hold(struct cow_session *s)
{
	s->held |= 1ull << s->signo;
	s->signo = 0;
}

int cow_session_target(struct cow_session *s, const char *container, int64_t exec,
		       struct cow_error *err)
{
	s->container = strdup(container);
	s->exec = exec;
	return s->container ? 0 : cow_error_errno(err, -ENOMEM, "session");
}

/* What is not to be seen is read all the same: the process must not wait for a reader. */
static int pump_to(struct cow_pump *pump, int from, bool mute, int own)
{
	_cleanup_close_ int nowhere = mute ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	if (mute && nowhere < 0)
		return -errno;
	return cow_pump_out(pump, from, true, mute ? nowhere : own);
}

int cow_session_streams(struct cow_session *s, int in, int out, int err_fd, bool terminal,
			bool master, struct cow_error *err)
{
	struct cow_pump *p = s->pumps;
	int r = 0;

	s->terminal = terminal;
	s->master = master ? out : -1;
	/* Before anything can fail each descriptor has an owner. */
	p[IN].to = in;
	p[IN].close_to = in >= 0 && in != out;
	p[OUT].from = out;
	p[OUT].close_from = true;
	p[ERR].from = err_fd;
	p[ERR].close_from = true;
	if (in >= 0)
		r = cow_pump_in(&p[IN], STDIN_FILENO, in, in != out);
	if (!r && out >= 0)
		r = pump_to(&p[OUT], out, s->setup.mute_out, STDOUT_FILENO);
	if (!r && err_fd >= 0)
		r = pump_to(&p[ERR], err_fd, s->setup.mute_err, STDERR_FILENO);
	if (terminal && isatty(STDIN_FILENO))
		p[IN].detach = &s->detach;
	return r ? cow_error_errno(err, r, "standard streams") : 0;
}

int cow_session_input(struct cow_session *s, int in, struct cow_error *err)
{
	int r = cow_pump_in(&s->pumps[IN], STDIN_FILENO, in, true);

	if (s->terminal && isatty(STDIN_FILENO))
		s->pumps[IN].detach = &s->detach;
	return r ? cow_error_errno(err, r, "standard input") : 0;
}

void cow_session_expect(struct cow_session *s, uint64_t start_id, uint64_t wait_id)
{
	s->start_id = start_id;
	s->wait_id = wait_id;
}

/* A request whose answer does not matter: the process may just have ended. */
static void tell(struct cow_session *s, const char *method, struct cow_strbuf *params)
{
	cow_params_string(params, "container", s->container);
	if (s->exec)
		cow_params_int(params, "exec", s->exec);
	cow_strbuf_add(params, "}");
	if (!params->error)
		(void)cow_client_send(s->setup.client, method, params->data, NULL, 0, NULL, NULL);
	cow_strbuf_finish(params);
}

static void pass_signal(struct cow_session *s, int signo)
{
	struct cow_strbuf params = COW_STRBUF_INIT;

	cow_strbuf_add(&params, "{");
	cow_params_int(&params, "signal", signo);
	tell(s, s->exec ? "exec.kill" : "container.kill", &params);
}

static void pass_size(struct cow_session *s)
{
	struct cow_strbuf params = COW_STRBUF_INIT;
	uint16_t height, width;

	cow_terminal_size(STDOUT_FILENO, &height, &width);
	if (!height || !width)
		cow_terminal_size(STDIN_FILENO, &height, &width);
	if (!height || !width)
		return;
	if (s->master >= 0) {
		struct winsize ws = { .ws_row = height, .ws_col = width };

		(void)ioctl(s->master, TIOCSWINSZ, &ws);
		return;
	}
	cow_strbuf_add(&params, "{");
	cow_params_int(&params, "height", height);
	cow_params_int(&params, "width", width);
	tell(s, "container.resize", &params);
}

/* True: the client is to end by it. */
static bool on_signal(struct cow_session *s, int signo)
{
	if (signo == SIGWINCH && s->terminal) {
		pass_size(s);
		return false;
	}
	s->signo = signo;
	/* In raw mode keys go to the container as bytes: a signal is meant for the client. */
	if (!s->setup.sig_proxy || s->terminal)
		return wants_end(signo);
	if (wants_end(signo) && signo != SIGHUP && ++s->asked >= ENOUGH)
		return true;
	if (s->start_id)
		s->held |= 1ull << signo;
	else
		pass_signal(s, signo);
	return false;
}

static void on_started(struct cow_session *s)
{
	s->start_id = 0;
	if (s->terminal)
		pass_size(s);
	for (size_t i = 0; i < COW_ELEMENTS(watched); i++)
		if (s->held >> watched[i] & 1)
			pass_signal(s, watched[i]);
	s->held = 0;
}

static void on_exited(struct cow_session *s, struct json_object *result)
{
	int64_t code = cow_get_int(result, "exit_code", -1);

	s->exited = true;
	s->status = (int)code;
	if (code < 0)
		(void)snprintf(s->lost, sizeof(s->lost), "%s",
			       cow_get_string(result, "reason", "no reason is known"));
}

/* 0, or the end of the session. */
static int on_message(struct cow_session *s, const struct cow_message *m, struct cow_error *err)
{
	if (m->is_event || (m->id != s->start_id && m->id != s->wait_id))
		return 0;
	if (m->error.code) {
		*err = m->error;
		return m->id == s->start_id ? COW_SESSION_START_FAILED : COW_SESSION_FAILED;
	}
	if (m->id == s->start_id)
		on_started(s);
	else
		on_exited(s, m->value);
	return 0;
}

static int read_messages(struct cow_session *s, struct cow_error *err)
{
	struct cow_message m = COW_MESSAGE_INIT;
	int r, end = 0;

	while (!end && (r = cow_client_receive(s->setup.client, false, &m, err))) {
		if (r < 0)
			return COW_SESSION_FAILED;
		end = on_message(s, &m, err);
		cow_message_finish(&m);
	}
	return end;
}

static int pumps_end(struct cow_session *s, struct cow_error *err)
{
	static const char *const names[] = { "standard input", "standard output",
					     "standard error" };

	if (s->pumps[IN].detached && !s->pumps[IN].len)
		return COW_SESSION_DETACHED;
	if (s->pumps[OUT].broken) {
		s->signo = SIGPIPE;
		return COW_SESSION_SIGNAL;
	}
	for (int i = 0; i < PUMPS; i++) {
		int code = s->pumps[i].error;

		if (code && i != IN) {
			(void)cow_error_errno(err, code, "%s", names[i]);
			return COW_SESSION_FAILED;
		}
		if (code || s->pumps[i].broken)
			cow_pump_finish(&s->pumps[i]);
	}
	/* One that is removed because it could not start is told to have ended, before that error comes. */
	if (s->exited && !s->start_id && cow_pump_done(&s->pumps[OUT]) &&
	    cow_pump_done(&s->pumps[ERR]))
		return COW_SESSION_EXITED;
	return 0;
}

/*
 * Once an exec has ended, all it wrote is in its pipes: take what is there.  Whoever else still holds
 * them (a daemon it left behind) is not waited for.
 */
static int run_pumps(struct cow_session *s, const struct pollfd *polled, struct cow_error *err)
{
	for (int i = 0; i < PUMPS; i++) {
		struct cow_pump *p = &s->pumps[i];

		if (s->exited && s->exec && !p->len && !(polled[i].revents & POLLIN))
			p->ended = true;
		cow_pump_run(p, &polled[i]);
	}
	return pumps_end(s, err);
}

static bool waits_to_write(const struct cow_session *s)
{
	return s->pumps[OUT].len || s->pumps[ERR].len;
}

static int turn(struct cow_session *s, struct cow_error *err)
{
	struct pollfd p[2 + PUMPS] = { { .fd = cow_client_fd(s->setup.client), .events = POLLIN },
				       { .fd = s->signals, .events = POLLIN } };
	bool drain;
	/* What came with an earlier answer is in memory, where poll(2) does not see it. */
	int end = read_messages(s, err) ?: pumps_end(s, err);

	if (end)
		return end;
	for (int i = 0; i < PUMPS; i++)
		cow_pump_poll(&s->pumps[i], &p[2 + i]);
	drain = s->exited && s->exec && !waits_to_write(s);
	if (poll(p, 2 + PUMPS, drain ? 0 : -1) < 0 && errno != EINTR) {
		(void)cow_error_errno(err, -errno, "poll");
		return COW_SESSION_FAILED;
	}
	for (int signo; p[1].revents && (signo = next_signal(s));)
		if (on_signal(s, signo))
			return COW_SESSION_SIGNAL;
	return run_pumps(s, p + 2, err);
}

enum cow_session_end cow_session_run(struct cow_session *s, int *ret_status, struct cow_error *err)
{
	int end = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	if (s->terminal && s->setup.interactive)
		(void)cow_terminal_raw(STDIN_FILENO);
	if (!s->start_id)
		on_started(s);
	while (!end)
		end = turn(s, err);
	cow_terminal_restore();
	*ret_status = s->status;
	return (enum cow_session_end)end;
}

int cow_session_status(struct cow_session *s, enum cow_session_end end, int status)
{
	int signo = s->signo;

	switch (end) {
	case COW_SESSION_DETACHED:
		(void)dprintf(STDERR_FILENO, "\ncowherd: detached; %s runs on\n", s->container);
		return 0;
	case COW_SESSION_SIGNAL:
		cow_terminal_restore();
		(void)signal(signo, SIG_DFL);
		(void)sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
		(void)raise(signo);
		return 128 + signo;
	default:
		if (status >= 0)
			return status;
		(void)dprintf(STDERR_FILENO, "cowherd: the exit code is lost: %s\n", s->lost);
		return 125;
	}
}
