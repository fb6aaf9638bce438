/* SPDX-License-Identifier: MIT */
/*
 * Lines to standard output, which may be slow or stuck: what it does not take waits here, and
 * whoever writes looks at full() and pauses its own source.
 */
#ifndef COW_CLI_UP_OUTPUT_H
#define COW_CLI_UP_OUTPUT_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <uv.h>

struct up_output {
	uv_poll_t poll;
	bool polled, watched;
	int fd;
	bool own;    /* fd is a description of our own, not blocking */
	bool socket;
	bool broken; /* nobody reads: everything is dropped */
	struct cow_strbuf queue;
	size_t at;   /* of the queue, written already */
	uint64_t written; /* bytes, since the beginning */
	/* There is room again; or nobody reads any more. */
	void (*drained)(void *arg);
	void *arg;
};

/* fd stays the caller's, and keeps its flags: they are shared with the shell. */
int up_output_init(struct up_output *o, uv_loop_t *loop, int fd, void (*drained)(void *arg),
		   void *arg);
/* Queue: whoever has queued all there is now, flushes, for a system call per line is dear. */
void up_output_add(struct up_output *o, const char *data, size_t len);
/* Write what goes of the queue. */
void up_output_flush(struct up_output *o);
bool up_output_full(const struct up_output *o);
bool up_output_empty(const struct up_output *o);
/* Closes on the next turns of the loop; *o has to live until then. */
void up_output_close(struct up_output *o);

#endif
