/* SPDX-License-Identifier: MIT */
/*
 * A pipeline that is pulled: bytes as they came (a blob) go through a hash and optionally into a
 * file, are decompressed, hashed again, and read.  All of it but the reading happens on a thread of
 * its own, a bounded number of bytes ahead, so that two processors are used.
 *
 *     source -> [hash, copy] -> gzip | zstd | plain -> [hash] -> st_stream_read()
 */
#ifndef ST_ARCHIVE_STREAM_H
#define ST_ARCHIVE_STREAM_H

#include "archive/digest.h"

#include <stdint.h>
#include <sys/types.h>

/* Up to size bytes; 0: the end; a negative errno.  Fewer bytes than asked for is no end. */
typedef ssize_t (*st_read_cb)(void *arg, void *buffer, size_t size);

enum st_compression {
	ST_PLAIN,
	ST_GZIP,
	ST_ZSTD,
};

struct st_stream_options {
	st_read_cb read; /* called on the stream's thread, never after st_stream_close() */
	void *arg;
	bool copy;           /* write the bytes as they came into copy_fd, which stays the caller's */
	int copy_fd;
	uint64_t max_raw;    /* more bytes from the source are -EFBIG; 0: no limit */
	uint64_t max_plain;  /* more decompressed bytes are -EFBIG (bombs); 0: no limit */
};

struct st_stream_result {
	enum st_compression compression;
	uint64_t raw_bytes, plain_bytes;
	char raw[ST_DIGEST_MAX];   /* of the bytes as they came: the blob's digest */
	char plain[ST_DIGEST_MAX]; /* of the decompressed bytes: the layer's diff id */
};

struct st_stream;

/* Starts the thread.  The caller closes.  -ENOMEM, -EAGAIN (no thread). */
int st_stream_open(const struct st_stream_options *options, struct st_stream **ret);
/* Decompressed bytes; stream is a struct st_stream *, so that this is an st_read_cb itself. */
ssize_t st_stream_read(void *stream, void *buffer, size_t size);
/* Reads what is left to its end (a tar's padding is part of its digest) and tells the digests. */
int st_stream_finish(struct st_stream *stream, struct st_stream_result *ret);
/* Why reading or finishing failed: "gzip: the checksum is wrong"; "" if it did not. */
const char *st_stream_error(struct st_stream *stream);
/* Ends the thread, which may have to return from the source's read first.  NULL: nothing. */
void st_stream_close(struct st_stream *stream);

/* For a source that is a file descriptor: arg points to an int. */
ssize_t st_read_fd(void *arg, void *buffer, size_t size);

#endif
