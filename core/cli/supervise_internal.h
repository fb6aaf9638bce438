/* SPDX-License-Identifier: MIT */
/* Between the files of the supervisor: made and unmade in supervise_make.c, run in supervise.c. */
#ifndef COW_CLI_SUPERVISE_INTERNAL_H
#define COW_CLI_SUPERVISE_INTERNAL_H

#include "base/list.h"
#include "base/log.h"
#include "cli/supervise_place.h"
#include "server/server.h"

/* How far it is: each stage is entered once. */
enum stage {
	STAGE_RECOVER,  /* what a predecessor left */
	STAGE_RUN,
	STAGE_STOP,     /* containers, in order */
	STAGE_DRAIN,    /* whoever made us has something to finish */
	STAGE_SHUTDOWN, /* the engine */
	STAGE_CLOSE,    /* the socket */
	STAGE_END,
};

/* Somebody who wants to know when all has stopped. */
struct stop_waiter {
	struct cow_list link;
	cow_engine_cb done;
	void *arg;
};

struct cow_supervisor {
	struct cow_supervise_options options;
	struct cow_place place;
	struct cow_config *config; /* until the reconciler takes it over */
	char *config_path;         /* absolute, or NULL: the default */
	int log_fd;                /* of our own log file; -1: the caller's is used */
	bool log_json;
	enum cow_log_level log_level;

	uv_loop_t loop;
	uv_timer_t wake;
	uv_signal_t signals[3];
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_host *host;
	struct cow_engine *engine;
	struct cow_server *server;
	struct cow_reconcile *reconcile;

	enum stage stage;
	bool stop_wanted, kill_wanted;
	int64_t stop_timeout_ms;
	struct cow_list stop_waiters;
	struct cow_error error; /* what kept it from starting */
};

/* ---- supervise_log.c */
/* Level and format, as the command line and the configuration say. */
int cow_supervisor_log_settings(struct cow_supervisor *s, const struct cow_config *config,
				struct cow_error *err);
/* Open our own log file (again), where the caller gave no other; then write there. */
int cow_supervisor_log_open(struct cow_supervisor *s, struct cow_error *err);
void cow_supervisor_log(enum cow_log_level level, const char *event, const char *text);
/* One line of the log for each line of text. */
void cow_supervisor_log_lines(enum cow_log_level level, const char *event, const char *text);

/* ---- supervise_make.c */
/* Whose containers these are: as configured, else the program's own base name. */
const char *cow_supervise_owner(const struct cow_config *config);

/* ---- supervise.c */
void cow_supervisor_failed(void *arg, const char *container, const char *message);
void cow_supervisor_signal(uv_signal_t *handle, int signo);

#endif
