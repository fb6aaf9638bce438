/* SPDX-License-Identifier: MIT */
/* The output of one container, line by line, each line with the container's name in front. */
#ifndef COW_CLI_UP_STREAM_H
#define COW_CLI_UP_STREAM_H

#include "base/list.h"
#include "base/timers.h"
#include "cli/up_output.h"
#include "engine/engine.h"

struct up_screen {
	uv_loop_t *loop;
	struct cow_timers *timers;
	struct cow_engine *engine;
	struct up_output output;
	struct cow_list streams;
	struct cow_list told; /* streams with a sentence that is not said yet, in order */
	int name_width;
	bool colors, paused;
	unsigned next_color;
	/* A stream has come to its end. */
	void (*ended)(void *arg);
	void *arg;
};

struct up_stream;

/* The stream of that container, made where there is none; NULL: out of memory. */
struct up_stream *up_stream_get(struct up_screen *screen, const char *name);
/*
 * Read the container's output: all that it will say until it rests (from_start), or from since_ns
 * on. Reading already is success.
 */
int up_stream_follow(struct up_stream *stream, bool from_start, uint64_t since_ns);
/*
 * It ended; the sentence comes behind the output it made before, when that has come to its end, and
 * behind what was told of others before: causes stand above what they led to.
 */
void up_stream_tell(struct up_stream *stream, const char *sentence);
/* It will be started again, so that its output has no end yet: the sentence comes soon. */
void up_stream_goes_on(struct up_stream *stream);
/* Standard output has room again. */
void up_screen_resume(struct up_screen *screen);
/* Nothing more is to come: all is written, no stream is read. */
bool up_screen_idle(const struct up_screen *screen);
/* Let go of everything; memory goes with the loop's next turns. */
void up_screen_close(struct up_screen *screen);

#endif
