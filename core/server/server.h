/* SPDX-License-Identifier: MIT */
/*
 * The control socket of docs/protocol.md: JSON-RPC 2.0 lines over a Unix stream socket.  The only
 * place that talks to clients.  Handlers are thin: decode, call the engine or the host, encode.
 *
 * Everything runs on the loop thread.  A client that goes away, or is cut off because it does not
 * read, gives up its waits, streams, follows and verb calls; operations on containers go on.
 */
#ifndef COW_SERVER_SERVER_H
#define COW_SERVER_SERVER_H

#include "base/error.h"
#include "base/timers.h"
#include "engine/engine.h"
#include "txn/txn.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct cow_server;
struct cow_host;

/* What the server asks of the program around it.  Each answers `done` exactly once, also inline. */
struct cow_server_callbacks {
	/* Read the configuration again, apply the difference; result as docs/protocol.md has it. */
	void (*reload)(void *arg, cow_engine_cb done, void *done_arg);
	/* Stop everything; after done the program ends.  timeout_ms < 0: the default. */
	void (*shutdown)(void *arg, int64_t timeout_ms, bool kill, cow_engine_cb done,
			 void *done_arg);
	void *arg;
};

struct cow_server_setup {
	uv_loop_t *loop;
	struct cow_timers *timers;
	struct cow_ops *ops;
	struct cow_engine *engine;
	struct cow_host *host;
	const char *socket_path; /* absolute; missing parents are made 0700; NULL: no socket */
	const char *owner, *run_root, *state_root; /* for `version`; copied */
	uint32_t max_connections; /* 0: 256 */
	/* A NULL member: the method answers -ENOSYS. */
	struct cow_server_callbacks callbacks;
};

/*
 * Make the socket, mode 0600, and listen.  The socket of a dead supervisor is replaced; a live one
 * is -EADDRINUSE, anything else at that place -EEXIST, a path that cannot be bound -ENAMETOOLONG.
 */
int cow_server_create(const struct cow_server_setup *setup, struct cow_server **ret,
		      struct cow_error *err);
/*
 * After the engine's shutdown.  Cut off all clients, remove the socket, then done on a later turn;
 * the server is gone afterwards. What the engine still answers later finds nobody and is dropped.
 */
void cow_server_close(struct cow_server *server, void (*done)(void *arg), void *arg);

#endif
