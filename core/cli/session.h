/* SPDX-License-Identifier: MIT */
/*
 * A client in the foreground of a container or of an exec: relays its streams, passes signals and the
 * terminal's size on, and ends when the process has ended and everything it wrote is out, or when the
 * user detaches.  One poll(2) loop.
 */
#ifndef COW_CLI_SESSION_H
#define COW_CLI_SESSION_H

#include "cli/client.h"

#include <stdbool.h>
#include <stdint.h>

struct cow_session;

struct cow_session_setup {
	struct cow_client *client; /* borrowed */
	const char *detach_keys;   /* NULL: the usual ones */
	bool interactive;          /* standard input is passed on */
	bool mute_out, mute_err;   /* standard output, or error, shows nothing of it */
	bool sig_proxy;            /* signals go to the process; otherwise they end the client */
};

/* From here on signals wait to be looked at: by cow_session_call() and cow_session_run(). */
int cow_session_create(const struct cow_session_setup *setup, struct cow_session **ret,
		       struct cow_error *err);
/* Gives the terminal back, and the signals. */
void cow_session_destroy(struct cow_session *session); /* NULL is fine */

/*
 * A request whose answer signals do not take away from us: what it made has to be known, to be undone.
 * -EINTR: one came that is meant to end us; *ret is filled where the request went well all the same,
 * and is not where a second signal did not let us wait.
 */
int cow_session_call(struct cow_session *session, const char *method, const char *params,
		     const int *fds, unsigned fd_count, struct cow_message *ret,
		     struct cow_error *err);
/* After -EINTR: the signal is for the process after all. */
void cow_session_hold(struct cow_session *session);

/* The container (id), or with exec > 0 one exec of it, that signals and sizes are for. */
int cow_session_target(struct cow_session *session, const char *container, int64_t exec,
		       struct cow_error *err);
/* Streams of the process, taken over; -1: none.  With a terminal `out` is all, or a pty master. */
int cow_session_streams(struct cow_session *session, int in, int out, int err_fd, bool terminal,
			bool master, struct cow_error *err);
/* A pipe to the process's standard input, taken over, where streams were set without one. */
int cow_session_input(struct cow_session *session, int in, struct cow_error *err);
/* The request that tells the end, to be sent before or right after the one that starts (0: running). */
void cow_session_expect(struct cow_session *session, uint64_t start_id, uint64_t wait_id);

enum cow_session_end {                         /* never 0 */
		       COW_SESSION_EXITED = 1, /* status is the process's */
		       COW_SESSION_DETACHED,   /* by keys */
		       COW_SESSION_FAILED,     /* err says why */
		       COW_SESSION_START_FAILED,
		       COW_SESSION_SIGNAL, /* a signal for the client itself: end by it */
};
enum cow_session_end cow_session_run(struct cow_session *session, int *ret_status,
				     struct cow_error *err);
/* The exit status for an end other than the two failures (125: lost); says on stderr what is to be said. */
int cow_session_status(struct cow_session *session, enum cow_session_end end, int status);

#endif
