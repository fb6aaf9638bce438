/* SPDX-License-Identifier: MIT */
/*
 * Inside the server: a connection frames bytes into lines and carries descriptors; a request is one
 * line with an id, from its arrival until whoever works on it has answered.
 *
 * A request may outlive its connection: then `conn` is NULL and its answer is dropped.
 */
#ifndef COW_SERVER_INTERNAL_H
#define COW_SERVER_INTERNAL_H

#include "base/list.h"
#include "base/strbuf.h"
#include "host/host.h"
#include "server/server.h"
#include "spec/json.h"

#include <sys/types.h>

#define CONN_LINE_MAX (16u << 20)
#define CONN_OUTPUT_MAX (1u << 20)
#define CONN_READ_BYTES (64u << 10)
#define CONN_PARSE_INLINE (64u << 10) /* a longer line may take more than a millisecond */
#define CONN_REQUESTS_MAX 1024u
#define CONN_FDS 4u /* in one message */
#define REQUEST_ID_MAX 136u
#define SERVER_CONNECTIONS 256u

enum rpc_code {
	RPC_PARSE = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_NO_METHOD = -32601,
	RPC_INVALID_PARAMS = -32602,
};
/* "ENOENT", "INVALID_PARAMS"; never NULL. */
const char *rpc_code_name(int code);

struct cow_server {
	uv_loop_t *loop;
	struct cow_timers *timers;
	struct cow_ops *ops;
	struct cow_engine *engine;
	struct cow_host *host;
	struct cow_server_callbacks callbacks;
	char *owner, *run_root, *state_root;
	uint64_t started_ms;
	const char *cgroup; /* "v1", "v2", "hybrid" */

	struct cow_list conns;
	struct cow_list
		orphans; /* verb calls whose client went away: to be answered all the same */
	uint32_t conn_count, conn_max;
	uint32_t requests; /* alive, attached or not: each needs this struct */
	uint32_t handles;  /* open uv handles: when the last is closed, the server is gone */
	bool closing, closed;
	void (*close_done)(void *arg);
	void *close_arg;

	uv_idle_t anchor; /* never runs: gives cow_server_close() its later turn */
	uv_poll_t poll;   /* on fd */
	int fd, spare_fd; /* spare: given up for a moment to tell a client that there are no more */
	char *path;
	dev_t dev;
	ino_t ino;
	char *chunk; /* CONN_READ_BYTES, shared by all connections */
};

/* socket.c */
/* A listening socket at path; -EADDRINUSE, -EEXIST, -ENAMETOOLONG, ... */
int server_listen(const char *path, int *ret_fd, dev_t *ret_dev, ino_t *ret_ino,
		  struct cow_error *err);
void server_unlink(const char *path, dev_t dev, ino_t ino);
/* A connection refused before it was one: one error line, no waiting. */
void server_refuse(int fd, int code, const char *message);

/* server.c */
void server_free_if_unused(struct cow_server *server);
void server_handle_closed(struct cow_server *server);

/* conn.c */
struct conn;
/*
 * Takes over fd (also on failure), a connected socket; -1: no transport, bytes come by conn_feed().
 */
int conn_open(struct cow_server *server, int fd, uid_t uid, struct conn **ret);
/* Bytes and descriptors (taken over) from the client. */
void conn_feed(struct conn *c, const char *data, size_t len, const int *fds, uint32_t fd_count);
/* Take over line (malloc'ed, ends in '\n') and fds; sent now or when the client reads. */
void conn_send(struct conn *c, char *line, size_t len, const int *fds, uint32_t fd_count);
/* No more of this client: everything of it is given up on a later turn. */
void conn_doom(struct conn *c);
/* The next n descriptors that came with the line in hand, into fds; -EBADMSG where fewer came. */
int conn_take_fds(struct conn *c, uint32_t n, int *fds);
struct cow_server *conn_server(const struct conn *c);
struct cow_list *conn_requests(struct conn *c);
uid_t conn_uid(const struct conn *c);
/* What waits to be sent, of a connection without transport: for tests. */
size_t conn_waiting(const struct conn *c);

/* request.c */
struct method;
struct request {
	struct cow_list node; /* in conn's list, or the server's orphans */
	struct cow_server *server;
	struct conn *conn; /* NULL: nobody waits for the answer */
	const struct method *method;
	struct json_object *message; /* the whole line; params point into it */
	char id[REQUEST_ID_MAX];     /* as JSON text */
	bool answered;               /* but still alive: a follow */
	int fds[CONN_FDS];           /* the client's, closed with the request; -1: none */
	/* The client cancelled or went away; conn is NULL.  NULL: the operation goes on. */
	void (*give_up)(struct request *r);
	void *state;     /* of the handler; freed with the request */
	uint64_t handle; /* a wait or an operation of the handler */
};

/* A line of c as JSON (borrowed), or why it is none. */
void request_parsed(struct conn *c, struct json_object *message, const struct cow_error *err);
/* The connection is going: detach all its requests and give up what can be given up. */
void request_orphan_all(struct conn *c);
/*
 * Send result (JSON text) or err (when not NULL) to the client, if there is one; the request lives
 * on.
 */
void request_answer(struct request *r, const struct cow_error *err, const char *result);
/* The same with descriptors (taken over) that travel with it; -1 entries are not allowed. */
void request_answer_fds(struct request *r, const char *result, const int *fds, uint32_t n);
void request_event(struct request *r, const char *event);
/* The status its client is to end with, told before the answer (docs/protocol.md, "verb.call"). */
void request_exit(struct request *r, int code);
void request_free(struct request *r);
/* Answer and free: what most handlers end with. */
void request_finish(struct request *r, const struct cow_error *err, const char *result);
/* request_finish() as a cow_engine_cb. */
void request_engine_done(void *arg, const struct cow_error *err, const char *result);
/* request_finish() with an error made here. */
void request_fail(struct request *r, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* args.c: the members of params that more than one method knows, decoded and checked. */
struct args {
	const char *container, *name, *cwd;
	int64_t timeout_ms; /* -1: not given */
	int64_t exec, tail, since_ns, until_ns, height, width;
	int signo; /* 0: not given */
	enum cow_wait condition;
	bool all, force, kill, stream, follow, timestamps, out, err, in, logs;
	struct json_object *words; /* args[] */
};

struct method {
	const char *name;
	const char *const *keys; /* what params may hold; NULL: the engine judges params */
	unsigned flags;
	void (*call)(struct request *r, const struct args *args, struct json_object *params);
};
#define METHOD_CONTAINER 0x1u /* "container" must be given */
#define METHOD_FDS 0x2u       /* may come with descriptors */
#define METHOD_EXEC 0x4u      /* "exec" must be given */
#define METHOD_NAME 0x8u      /* "name" must be given */
#define METHOD_FOLLOW 0x10u   /* "follow" is true where it is not given */

int args_decode(const struct method *method, const struct cow_json *params, struct args *ret,
		struct cow_error *err);

/* The table, and the handlers that stand in files of their own. */
const struct method *method_find(const char *name);
typedef void method_call(struct request *r, const struct args *args, struct json_object *params);
method_call stream_events, stream_stats, stream_logs, stream_attach; /* streams.c */
method_call plugin_list, plugin_unload, verb_list, verb_call;        /* verbs.c */
void verb_abandon_orphans(struct cow_server *server);
/* What a plugin says through host->progress(); -ENOENT: the client is gone. */
int verb_progress(void *server, cow_op op, const char *json);

#endif
