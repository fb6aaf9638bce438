/* SPDX-License-Identifier: MIT */
/* A container's streams, between io.c and stdin.c. */
#ifndef COW_ENGINE_IO_H
#define COW_ENGINE_IO_H

#include "engine/container.h"
#include "engine/log.h"

#define BUFFER_BYTES                                                                               \
	(128u << 10) /* stays in a processor's cache between read and write: measured */

struct stream {
	struct io *io;
	uv_poll_t poll;
	int fd;        /* -1: at its end */
	uint8_t id;    /* as in struct log_frame */
	bool polled;   /* the handle is initialised */
	bool ready;    /* has something for the next job */
	bool eof;      /* the job saw its end */
};

struct feed; /* stdin.c */

struct io {
	struct container *container; /* NULL: let go of */
	struct cow_engine *engine;
	struct log *log;
	struct stream streams[2];
	int child[3];                /* the backend's ends, until it has them */
	int in;                      /* where stdin is written to; -1: none */
	struct feed *feed;
	uint32_t handles;            /* not closed yet */
	bool terminal, closing;

	/* the job */
	bool busy;
	uv_work_t work;
	void *buffer;
	bool bulk;                   /* the pipes were enlarged */
};

void feed_destroy(struct io *io); /* stdin.c */
void log_wake(struct log *log);    /* follow.c: there is more */

#endif
