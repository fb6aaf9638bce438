/* SPDX-License-Identifier: MIT */
/* A reader of a log, between follow.c (the loop's side) and follow_job.c (the pool's side). */
#ifndef COW_ENGINE_FOLLOW_H
#define COW_ENGINE_FOLLOW_H

#include "engine/container.h"
#include "engine/log.h"

#define PIECE_BYTES (64u << 10)

enum follow_result {
	FOLLOW_IDLE,    /* all that is there was written */
	FOLLOW_BLOCKED, /* a pipe is full */
	FOLLOW_MORE,    /* had its share */
	FOLLOW_LEFT,    /* nobody reads any more, or an error: code says which */
};

struct follow_out {
	struct cow_follow *follow;
	int fd;            /* -1: not wanted, or its reader left */
	bool mid_line;     /* the next byte continues a line */
	bool polled;
	uv_poll_t poll;
};

struct cow_follow {
	struct cow_list link; /* log->followers */
	struct cow_list of_engine;
	struct cow_engine *engine;
	struct container *container; /* NULL: deleted */
	struct log *log;
	struct cow_follow_options options;
	struct follow_out out[2];
	void (*done)(void *arg, int code);
	void *arg;
	uint32_t handles;
	bool busy, again, closing, finished;
	bool ended;            /* snapshot for the job: nothing more will be written */
	uint64_t start_order;  /* of the life that was over when it began */
	uv_work_t work;

	/* the job's */
	enum follow_result result;
	int code;
	int fd;                /* the file, or -1 */
	uint64_t generation, offset;
	uint64_t begin_generation, begin_offset; /* with tail 0: where the end was */
	bool begun;
	uint64_t skip_lines;
	struct log_frame frame; /* under way */
	uint32_t left;         /* bytes of it not yet taken */
	char *pending;         /* to be written before anything else; on the heap while it waits */
	size_t pending_len, pending_at;
	unsigned pending_out;
};

void follow_job(struct cow_follow *f);

#endif
