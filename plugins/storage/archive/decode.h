/* SPDX-License-Identifier: MIT */
/* Decompression as a stream of bytes: gzip (RFC 1952, any number of members) and zstd (RFC 8878). */
#ifndef ST_ARCHIVE_DECODE_H
#define ST_ARCHIVE_DECODE_H

#include "archive/stream.h"

#include <stdbool.h>

/* Bytes that st_decode_detect() wants to see, if there are as many. */
#define ST_DETECT_BYTES 6

/*
 * What the first bytes of a stream say: *ret, or -EPROTONOSUPPORT and *name for a compression that
 * is known and not supported.  What looks like nothing is ST_PLAIN.
 */
int st_decode_detect(const uint8_t *data, size_t size, enum st_compression *ret, const char **name);

struct st_decoder;

/* ST_GZIP or ST_ZSTD.  The caller destroys.  -ENOMEM. */
int st_decoder_create(enum st_compression compression, struct st_decoder **ret);
void st_decoder_destroy(struct st_decoder *decoder); /* NULL: nothing */

struct st_piece {
	const uint8_t *in; /* advances */
	size_t in_size;
	uint8_t *out; /* advances */
	size_t out_size;
};

/*
 * Decompresses until the input is used up or the output is full.  0, or a negative errno: -EBADMSG
 * (see st_decoder_error()), -ENOMEM.
 */
int st_decoder_run(struct st_decoder *decoder, struct st_piece *piece);
/* Whether the input may end here: at the end of a member or frame. */
bool st_decoder_may_end(const struct st_decoder *decoder);
const char *st_decoder_error(const struct st_decoder *decoder);

#endif
