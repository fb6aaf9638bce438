/* SPDX-License-Identifier: MIT */
/*
 * Where a supervisor lives: its directories, its socket, its lock; and what it asks of the process.
 */
#ifndef COW_CLI_SUPERVISE_PLACE_H
#define COW_CLI_SUPERVISE_PLACE_H

#include "cli/supervise.h"
#include "spec/config.h"

struct cow_place {
	char *root, *state, *socket, *plugins, *libexec;
	int lock;     /* -1: not held */
	bool crashed; /* a supervisor of this boot left the lock behind */
};

/* Command line before configuration before default.  Makes nothing. */
int cow_place_init(struct cow_place *place, const struct cow_supervise_options *options,
		   const struct cow_config *config, struct cow_error *err);
/* Make the directories, take the lock: -EBUSY says who has it. */
int cow_place_take(struct cow_place *place, struct cow_error *err);
/* Give the lock back; with remove also the directories that are empty then. */
void cow_place_release(struct cow_place *place, bool remove);
void cow_place_finish(struct cow_place *place);

/* Limits, allocator and threads of this process.  -EMFILE: it may open too few files to do its work. */
int cow_process_prepare(struct cow_error *err);
/* How many containers it can bring up at a time. */
uint32_t cow_process_parallel(void);
/*
 * A description of our own of the pipe or terminal that fd is, which does not block: O_NONBLOCK set on
 * fd itself would be shared with the shell and with whoever writes beside us.  -1: fd is something
 * else, or cannot be opened anew.
 */
int cow_process_reopen(int fd);
/* "READY=1" and the like to $NOTIFY_SOCKET, where there is one. */
void cow_process_notify(const char *state);

#endif
