/* SPDX-License-Identifier: MIT */
/*
 * A container's output on disk: <state_dir>/log, and log.1 ... after rotation.  A file begins with
 * struct log_head and goes on with chunks, each a struct log_frame and its bytes.  One writer at a
 * time (a pool job), any number of readers, who take a chunk only when all of it is there.
 */
#ifndef COW_ENGINE_LOG_H
#define COW_ENGINE_LOG_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_MAGIC 0x31474f4c574f43u /* "COWLOG1" */
#define LOG_CHUNK (1u << 20)        /* the most bytes of one frame */

struct log_head {
	uint64_t magic;
	uint64_t generation; /* counts files; the names of older ones change, this does not */
};

struct log_frame {
	uint32_t length;
	uint8_t stream; /* 1: stdout, 2: stderr */
	uint8_t reserved[3];
	uint64_t time_ns;
};

struct log {
	uint32_t refs;             /* loop */
	char *path;
	uint64_t max_bytes;        /* 0: no bound */
	uint32_t files;
	struct cow_list followers; /* loop */
	/* Descriptors of the files that log_remove took from under followers; set once, by the
	 * loop. */
	int *kept;
	uint32_t kept_count;

	/* of the writing job while there is one, else of the loop */
	int fd;
	uint64_t size, generation;
	uint64_t dropped_bytes;
	uint64_t told_bytes; /* so many of them were told as an event */
};

struct log *log_new(const char *dir, uint64_t max_bytes, uint32_t files);
struct log *log_ref(struct log *log);
void log_unref(struct log *log); /* NULL is fine; files stay */
/*
 * Append the len bytes that follow the room for a struct log_frame in buffer, with one write.  Any
 * thread, one at a time.  Never fails: what cannot be written is dropped and counted.
 */
void log_append(struct log *log, uint8_t stream, void *buffer, size_t len);
/*
 * How many bytes of the next chunk make it end with a page, given a buffer of size: measured to
 * pay.
 */
size_t log_room(const struct log *log, size_t size);
/* Close the file until the next append; loop, no job. */
void log_rest(struct log *log);
/* "log.N", "log" for 0, to be freed. */
char *log_name(const char *path, uint32_t n);
/* Open the oldest file whose generation is at least that; >= 0: descriptor, *ret its generation. */
int log_open_from(const char *path, uint32_t files, uint64_t generation, uint64_t *ret);
/* The same, also when log_keep() was called and the files are gone; any thread. */
int log_open_next(const struct log *log, uint64_t generation, uint64_t *ret);
/* The files are about to be removed: hold them for the followers there are. */
void log_keep(struct log *log);
/* Where the complete chunks of fd end. */
uint64_t log_end(int fd);
void log_remove(const char *path, uint32_t files);

#endif
