/* SPDX-License-Identifier: MIT */
#include "archive/decode.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/*
 * A frame says how much of what it gave must be kept: 8 MiB at most at zstd's levels up to 19 and at the
 * levels that docker, buildkit, podman and skopeo use unless told otherwise; up to 32 MiB at their best ones.
 * What --ultra and --long want beyond that is not given.
 */
#define WINDOW_LOG_MAX 25
#define WINDOW_TOO_LARGE \
	"zstd: it can only be unpacked with more than 32 MiB of memory (made with --long or --ultra)"

enum place {
	INSIDE,  /* a member or frame */
	BETWEEN, /* two of them: the input may end here */
	PADDING, /* behind the last: zeros, as gzip lets them be */
};

struct st_decoder {
	enum st_compression compression;
	enum place place;
	const char *error;
	ZSTD_DCtx *zstd;
	struct inflate_state gzip; /* 84 KiB: the last member, so that zstd need not have it */
};

int st_decode_detect(const uint8_t *data, size_t size, enum st_compression *ret, const char **name)
{
	static const struct {
		const char *name; /* NULL: supported */
		const char *magic;
		uint8_t size;
		enum st_compression compression;
	} known[] = {
		{ NULL, "\x1f\x8b\x08", 3, ST_GZIP },
		{ NULL, "\x28\xb5\x2f\xfd", 4, ST_ZSTD },
		{ "bzip2", "BZh", 3, ST_PLAIN },
		{ "xz", "\xfd" "7zXZ\0", 6, ST_PLAIN },
		{ "lz4", "\x04\x22\x4d\x18", 4, ST_PLAIN },
		{ "lzip", "LZIP", 4, ST_PLAIN },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (size < known[i].size || memcmp(data, known[i].magic, known[i].size) != 0)
			continue;
		if (known[i].name) {
			*name = known[i].name;
			return -EPROTONOSUPPORT;
		}
		*ret = known[i].compression;
		return 0;
	}
	/* zstd:chunked and pzstd begin with frames to be skipped: 0x184D2A50 to …5F. */
	*ret = size >= 4 && (data[0] & 0xf0) == 0x50 && !memcmp(data + 1, "\x2a\x4d\x18", 3)
		       ? ST_ZSTD
		       : ST_PLAIN;
	return 0;
}

int st_decoder_create(enum st_compression compression, struct st_decoder **ret)
{
	size_t size = compression == ST_GZIP ? sizeof(struct st_decoder)
					     : offsetof(struct st_decoder, gzip);
	struct st_decoder *decoder = malloc(size);

	if (!decoder)
		return -ENOMEM;
	decoder->compression = compression;
	decoder->place = INSIDE;
	decoder->error = "";
	decoder->zstd = NULL;
	if (compression == ST_GZIP) {
		isal_inflate_init(&decoder->gzip);
		decoder->gzip.crc_flag = ISAL_GZIP;
	} else {
		decoder->zstd = ZSTD_createDCtx();
		if (!decoder->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(
					      decoder->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
			st_decoder_destroy(decoder);
			return -ENOMEM;
		}
	}
	*ret = decoder;
	return 0;
}

void st_decoder_destroy(struct st_decoder *decoder)
{
	if (!decoder)
		return;
	ZSTD_freeDCtx(decoder->zstd);
	free(decoder);
}

static int decoder_fail(struct st_decoder *decoder, const char *error)
{
	decoder->error = error;
	return -EBADMSG;
}

static const char *gzip_error(int r)
{
	switch (r) {
	case ISAL_INVALID_WRAPPER:
		return "gzip: not a gzip header";
	case ISAL_UNSUPPORTED_METHOD:
		return "gzip: unknown compression method";
	case ISAL_INCORRECT_CHECKSUM:
		return "gzip: the checksum or the length is wrong";
	default:
		return "gzip: invalid compressed data";
	}
}

/* Between members: the next one, or padding up to the end. */
static int gzip_between(struct st_decoder *decoder, struct st_piece *piece)
{
	if (decoder->place == BETWEEN && piece->in[0] == 0x1f) {
		isal_inflate_reset(&decoder->gzip);
		decoder->gzip.crc_flag = ISAL_GZIP;
		decoder->place = INSIDE;
		return 0;
	}
	decoder->place = PADDING;
	while (piece->in_size && !piece->in[0]) {
		piece->in++;
		piece->in_size--;
	}
	return piece->in_size ? decoder_fail(decoder, "gzip: garbage behind the end") : 0;
}

static int gzip_inside(struct st_decoder *decoder, struct st_piece *piece)
{
	struct inflate_state *gzip = &decoder->gzip;
	uint32_t in = piece->in_size > UINT32_MAX ? UINT32_MAX : (uint32_t)piece->in_size;
	uint32_t out = piece->out_size > UINT32_MAX ? UINT32_MAX : (uint32_t)piece->out_size;
	int r;

	gzip->next_in = (uint8_t *)piece->in; /* not written to */
	gzip->avail_in = in;
	gzip->next_out = piece->out;
	gzip->avail_out = out;
	r = isal_inflate(gzip);
	piece->in_size -= in - gzip->avail_in;
	piece->in = gzip->next_in;
	piece->out_size -= out - gzip->avail_out;
	piece->out = gzip->next_out;
	if (r < 0)
		return decoder_fail(decoder, gzip_error(r));
	if (gzip->block_state == ISAL_BLOCK_FINISH)
		decoder->place = BETWEEN;
	return 0;
}

static int gzip_run(struct st_decoder *decoder, struct st_piece *piece)
{
	size_t in, out;

	/* What it holds back of its output comes when there is room, without more input. */
	do {
		int r = 0;

		if (decoder->place != INSIDE && piece->in_size)
			r = gzip_between(decoder, piece);
		in = piece->in_size;
		out = piece->out_size;
		if (!r && decoder->place == INSIDE)
			r = gzip_inside(decoder, piece);
		if (r)
			return r;
	} while (piece->out_size && (piece->in_size != in || piece->out_size != out));
	if (piece->in_size && piece->out_size)
		return decoder_fail(decoder, "gzip: invalid compressed data");
	return 0;
}

static int zstd_run(struct st_decoder *decoder, struct st_piece *piece)
{
	ZSTD_inBuffer in = { piece->in, piece->in_size, 0 };
	ZSTD_outBuffer out = { piece->out, piece->out_size, 0 };
	size_t r, before;

	do {
		if (decoder->place == BETWEEN && in.pos == in.size)
			break;
		before = in.pos + out.pos;
		r = ZSTD_decompressStream(decoder->zstd, &out, &in);
		if (ZSTD_isError(r)) {
			if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
				return -ENOMEM;
			if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
				return decoder_fail(decoder, WINDOW_TOO_LARGE);
			return decoder_fail(decoder, ZSTD_getErrorName(r));
		}
		decoder->place = r ? INSIDE : BETWEEN;
	} while (out.pos < out.size && in.pos + out.pos != before);
	piece->in += in.pos;
	piece->in_size -= in.pos;
	piece->out += out.pos;
	piece->out_size -= out.pos;
	return 0;
}

int st_decoder_run(struct st_decoder *decoder, struct st_piece *piece)
{
	return decoder->compression == ST_GZIP ? gzip_run(decoder, piece) : zstd_run(decoder, piece);
}

bool st_decoder_may_end(const struct st_decoder *decoder)
{
	return decoder->place != INSIDE;
}

const char *st_decoder_error(const struct st_decoder *decoder)
{
	return decoder->error;
}
