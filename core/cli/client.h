/* SPDX-License-Identifier: MIT */
/*
 * A connection to the supervisor: docs/protocol.md from the client's side.  Sending blocks; receiving
 * blocks or not, as the caller says, so that one poll(2) loop can wait for it and for other things.
 */
#ifndef COW_CLI_CLIENT_H
#define COW_CLI_CLIENT_H

#include "base/error.h"
#include "base/strbuf.h"
#include "cli/options.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#define COW_CLIENT_FDS 4

struct cow_client;

/* --host, COWHERD_HOST, or the default. */
const char *cow_client_host(const struct cow_args *args);
/* -EINVAL: not a unix:// address or an absolute path; otherwise why connecting failed, in words. */
int cow_client_connect(const char *host, struct cow_client **ret, struct cow_error *err);
void cow_client_close(struct cow_client *client); /* NULL is fine */
int cow_client_fd(const struct cow_client *client);

/*
 * params: a JSON object as text, or NULL.  fds stay the caller's.  ret_id (may be NULL): to match the
 * answer and to cancel.
 */
int cow_client_send(struct cow_client *client, const char *method, const char *params,
		    const int *fds, unsigned fd_count, uint64_t *ret_id, struct cow_error *err);
int cow_client_cancel(struct cow_client *client, uint64_t id, struct cow_error *err);

/* What came: an event of request id, its result, or its error. */
struct cow_message {
	uint64_t id;
	bool is_event;
	struct json_object *value; /* the result or the event; borrowed from root; NULL: null */
	struct cow_error error;    /* code 0: none */
	int fds[COW_CLIENT_FDS];   /* -1: none; closed by cow_message_finish() unless taken */
	struct json_object *root;
};
#define COW_MESSAGE_INIT                                                                           \
	{                                                                                          \
		.fds = { -1, -1, -1, -1 }                                                          \
	}

/* 1: *ret is filled; 0: nothing is there yet (only without wait); negative: the connection is done for. */
int cow_client_receive(struct cow_client *client, bool wait, struct cow_message *ret,
		       struct cow_error *err);
void cow_message_finish(struct cow_message *message); /* COW_MESSAGE_INIT is fine; so is twice */

/* Send and wait for the answer; events meanwhile go to on_event (may be NULL). */
typedef int (*cow_client_event_cb)(void *arg, struct json_object *event);
int cow_client_call(struct cow_client *client, const char *method, const char *params,
		    struct cow_message *ret, struct cow_error *err);
int cow_client_stream(struct cow_client *client, const char *method, const char *params,
		      cow_client_event_cb on_event, void *arg, struct cow_error *err);

/* Building params: each adds one member to an object that was begun with "{". */
void cow_params_string(struct cow_strbuf *b, const char *key,
		       const char *value); /* NULL: nothing */
void cow_params_int(struct cow_strbuf *b, const char *key, int64_t value);
void cow_params_bool(struct cow_strbuf *b, const char *key, bool value); /* false: nothing */
/* A key whose value the caller appends. */
void cow_params_key(struct cow_strbuf *b, const char *key);
void cow_params_strings(struct cow_strbuf *b, const char *key, int count, char *const *values);

/* Reading results: absent or of another type gives the last argument. */
const char *cow_get_string(struct json_object *o, const char *key, const char *absent);
int64_t cow_get_int(struct json_object *o, const char *key, int64_t absent);
double cow_get_double(struct json_object *o, const char *key, double absent);
bool cow_get_bool(struct json_object *o, const char *key, bool absent);
struct json_object *cow_get(struct json_object *o, const char *key); /* NULL: absent */

/* "cowherd: MESSAGE" on stderr; returns the verb's status for its own failures. */
int cow_fail(const struct cow_args *args, const struct cow_error *err);
/* Connect, or say why not and how to start a supervisor: then NULL. */
struct cow_client *cow_client_open(const struct cow_args *args);
/* Write all of out to stdout; 0 or the verb's failure status. Finishes out. */
int cow_print(const struct cow_args *args, struct cow_strbuf *out);

#endif
