/* SPDX-License-Identifier: MIT */
/* What run, start, attach and exec share: one container (or exec) and a session with it. */
#ifndef COW_CLI_FOREGROUND_H
#define COW_CLI_FOREGROUND_H

#include "cli/client.h"
#include "cli/params.h"
#include "cli/session.h"

#include <limits.h>

struct cow_foreground {
	const struct cow_args *args;
	struct cow_client *client;
	struct cow_session *session;
	char id[160]; /* of the container; "": there is none */
};

/* Connect and make the session; the exit status where that fails (said already), else 0. */
int cow_foreground_open(struct cow_foreground *f, const struct cow_args *args, bool interactive,
			bool sig_proxy);
/* `run --attach`: is that stream ours? All are, where none is named. */
bool cow_foreground_attached(const struct cow_args *args, const char *stream);
void cow_foreground_close(struct cow_foreground *f);

/* "{"container":ID", to be gone on with. */
void cow_foreground_params(const struct cow_foreground *f, struct cow_strbuf *b);
/* A call about the container that needs no result; -EINTR as cow_session_call() has it. */
int cow_foreground_call(struct cow_foreground *f, const char *method, struct cow_error *err);
/* Remove the container by force; a failure is not worth telling beside the one that led here. */
void cow_foreground_discard(struct cow_foreground *f);
/* Connect its streams to ours. */
int cow_foreground_attach(struct cow_foreground *f, bool interactive, bool logs,
			  struct cow_error *err);
/* In two pieces, for one that was started again: its output from a time on; then its input. */
int cow_foreground_follow(struct cow_foreground *f, uint64_t since_ns, bool terminal,
			  struct cow_error *err);
int cow_foreground_input(struct cow_foreground *f, struct cow_error *err);
/* Send what starts and what tells the end; `start` false: it runs already. */
int cow_foreground_begin(struct cow_foreground *f, bool start, bool never_ran,
			 struct cow_error *err);
/* Relay until the end; the exit status.  discard_failed: remove it where it could not be started. */
int cow_foreground_run(struct cow_foreground *f, bool discard_failed);
/* The exit status of an error before that: told, or the client's end by a signal. */
int cow_foreground_fail(struct cow_foreground *f, int r, const struct cow_error *err);

/* Tell why a command could not be executed: 126, 127 or the verb's own status. */
int cow_foreground_start_failed(const struct cow_args *args, const struct cow_error *err);
int cow_foreground_exec_failed(struct cow_foreground *f, const struct cow_error *err);
/* -t with -i on something else than a terminal: complains and returns the exit status; else 0. */
int cow_foreground_need_terminal(const struct cow_args *args, bool tty, bool interactive);
/* cwd: room for PATH_MAX. */
int cow_foreground_place(struct cow_params_place *ret, char *cwd, struct cow_error *err);

#endif
