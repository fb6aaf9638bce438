/* SPDX-License-Identifier: MIT */
/*
 * The verbs on containers, each a transaction on the loop.  Nothing here talks to clients; the
 * server, the reconciler (configuration) and `cowherd up` are the callers.
 *
 * Every verb calls its callback exactly once, on a later turn of the loop.  err is NULL on success;
 * err and result are borrowed for the call.  result is a JSON object of docs/protocol.md.
 * Reads are answered at once from memory and never wait for an operation in flight.
 */
#ifndef COW_ENGINE_ENGINE_H
#define COW_ENGINE_ENGINE_H

#include "base/error.h"
#include "base/strbuf.h"
#include "base/timers.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct cow_engine;
struct cow_host; /* host/host.h: plugins and their registry */
struct cow_ops;
struct json_object;

struct cow_engine_setup {
	uv_loop_t *loop;
	struct cow_timers *timers;
	struct cow_ops *ops;
	struct cow_host *host;
	const char *run_root, *state_root; /* exist, 0700 */
	const char *owner;
	uint32_t windows_build; /* emulated, decides the schema version; 0: COW_WINDOWS_BUILD */
};
#define COW_WINDOWS_BUILD 20348 /* Windows Server 2022 */

typedef void (*cow_engine_cb)(void *arg, const struct cow_error *err, const char *result);

int cow_engine_create(const struct cow_engine_setup *setup, struct cow_engine **ret,
		      struct cow_error *err);
/*
 * Where host->progress() of a plugin's verb goes: the server.  -ENOENT: nobody waits for op any
 * more.
 */
typedef int (*cow_engine_progress_cb)(void *arg, uint64_t op, const char *json);
void cow_engine_on_progress(struct cow_engine *engine, cow_engine_progress_cb cb, void *arg);
/* Read what a predecessor left; adopt what lives, finish or release the rest; then done. */
void cow_engine_recover(struct cow_engine *engine, cow_engine_cb done, void *arg);
/* Stop everything (reverse order of start), run the shutdown hooks, close; then done. */
void cow_engine_shutdown(struct cow_engine *engine, uint32_t timeout_ms, bool kill,
			 cow_engine_cb done, void *arg);
/*
 * After shutdown's done, or to leave containers as they are, for a successor to adopt.  Callbacks
 * that are still due are not called.  Turns the loop until jobs of the pool have ended: not from
 * inside a callback of it.
 */
void cow_engine_destroy(struct cow_engine *engine);

/* params: as docs/protocol.md has them for the method; borrowed. */
void cow_engine_container_create(struct cow_engine *engine, struct json_object *params,
				 cow_engine_cb cb, void *arg);
void cow_engine_container_start(struct cow_engine *engine, const char *container, cow_engine_cb cb,
				void *arg);
/* timeout_ms < 0: as the container says; signo 0 likewise. */
void cow_engine_container_stop(struct cow_engine *engine, const char *container, int64_t timeout_ms,
			       int signo, cow_engine_cb cb, void *arg);
void cow_engine_container_restart(struct cow_engine *engine, const char *container,
				  int64_t timeout_ms, cow_engine_cb cb, void *arg);
void cow_engine_container_kill(struct cow_engine *engine, const char *container, int signo,
			       bool all, cow_engine_cb cb, void *arg);
void cow_engine_container_delete(struct cow_engine *engine, const char *container, bool force,
				 cow_engine_cb cb, void *arg);
void cow_engine_container_release(struct cow_engine *engine, const char *container,
				  cow_engine_cb cb, void *arg);
void cow_engine_container_pause(struct cow_engine *engine, const char *container, cow_engine_cb cb,
				void *arg);
void cow_engine_container_resume(struct cow_engine *engine, const char *container, cow_engine_cb cb,
				 void *arg);
enum cow_wait { COW_WAIT_STOPPED, COW_WAIT_HEALTHY, COW_WAIT_RUNNING, COW_WAIT_REMOVED };
/*
 * ret_wait (may be NULL): to give up with cow_engine_wait_cancel(); 0 where it was answered
 * already.
 */
void cow_engine_container_wait(struct cow_engine *engine, const char *container,
			       enum cow_wait condition, cow_engine_cb cb, void *arg,
			       uint64_t *ret_wait);
void cow_engine_wait_cancel(struct cow_engine *engine, uint64_t wait);
void cow_engine_container_resize(struct cow_engine *engine, const char *container, uint64_t exec,
				 uint16_t height, uint16_t width, cow_engine_cb cb, void *arg);
void cow_engine_container_stats(struct cow_engine *engine, const char *container, cow_engine_cb cb,
				void *arg);
void cow_engine_container_top(struct cow_engine *engine, const char *container, cow_engine_cb cb,
			      void *arg);

/*
 * Descriptors stay the caller's until the callback.  *fd of the result: a pty master, caller owns,
 * or -1.
 */
typedef void (*cow_engine_exec_cb)(void *arg, const struct cow_error *err, uint64_t exec,
				   int64_t pid, int fd);
void cow_engine_exec(struct cow_engine *engine, const char *container, struct json_object *params,
		     int in, int out, int errfd, cow_engine_exec_cb cb, void *arg);
void cow_engine_exec_wait(struct cow_engine *engine, const char *container, uint64_t exec,
			  cow_engine_cb cb, void *arg, uint64_t *ret_wait);
void cow_engine_exec_kill(struct cow_engine *engine, const char *container, uint64_t exec,
			  int signo, cow_engine_cb cb, void *arg);

/* Reads: at once, from memory. */
int cow_engine_list(struct cow_engine *engine, bool all, struct cow_strbuf *out);
int cow_engine_inspect(struct cow_engine *engine, const char *container, struct cow_strbuf *out,
		       struct cow_error *err);

/*
 * Output: everything a container writes goes to its log; readers follow the log, each at its own
 * pace.
 */
struct cow_follow_options {
	bool follow, timestamps, out, err;
	int64_t tail;                /* last n lines; -1: all */
	uint64_t since_ns, until_ns; /* 0: no bound */
	bool await_start; /* of a stopped container: do not end before its next life does */
};
struct cow_follow;
/*
 * Takes over out_fd and err_fd (pipes; either may be -1), also on failure.  done comes on a later
 * turn: all is written (0), or the reader left (-EPIPE); *ret is gone with it.  Without `follow`
 * the end is what is there now; with it, the end of the container's output.
 */
int cow_engine_follow(struct cow_engine *engine, const char *container,
		      const struct cow_follow_options *options, int out_fd, int err_fd,
		      void (*done)(void *arg, int code), void *arg, struct cow_follow **ret,
		      struct cow_error *err);
/* done is not called any more. */
void cow_follow_close(struct cow_follow *follow);
/* Feed what comes from fd (taken over) to the container's stdin, until EOF. */
int cow_engine_attach_stdin(struct cow_engine *engine, const char *container, int fd,
			    struct cow_error *err);

/* Events: each as one JSON object.  The ring keeps the last 1,024. */
struct cow_subscription;
typedef void (*cow_event_cb)(void *arg, const char *container, const char *json);
/*
 * since_ns not 0: those in the ring from then on are told before this returns.  NULL: out of
 * memory.
 */
struct cow_subscription *cow_engine_subscribe(struct cow_engine *engine, uint64_t since_ns,
					      cow_event_cb cb, void *arg);
void cow_engine_unsubscribe(struct cow_subscription *subscription);

#endif
