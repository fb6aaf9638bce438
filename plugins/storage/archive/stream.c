/* SPDX-License-Identifier: MIT */
#include "archive/stream.h"

#include "archive/decode.h"
#include "common/util.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Fits the second-level cache with what reads it; four are enough to even out both sides. */
#define CHUNK_BYTES (256 * 1024)
#define CHUNKS 4

struct chunk {
	uint8_t *data;
	size_t size;
};

struct st_stream {
	struct st_stream_options options;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* for what both sides see, from here on */
	pthread_cond_t filled, freed;
	struct chunk chunks[CHUNKS];
	unsigned first, count; /* filled chunks */
	bool closing, ended;
	int error; /* why it ended; 0: at its end */
	char message[160];

	size_t taken; /* the reader's: bytes of the first chunk */

	/* The thread's own, and the reader's after it ended. */
	struct st_decoder *decoder; /* NULL: plain */
	struct st_hash *raw_hash, *plain_hash;
	uint8_t *raw;
	size_t raw_at, raw_size;
	bool raw_end;
	struct st_stream_result result;
};

static int stream_fail(struct st_stream *stream, int code, const char *what, const char *why)
{
	(void)snprintf(stream->message, sizeof(stream->message), "%s: %s", what, why);
	return code;
}

static int stream_copy(struct st_stream *stream, const uint8_t *data, size_t size)
{
	int r = plug_write_all(stream->options.copy_fd, data, size);

	return r < 0 ? stream_fail(stream, r, "copy", strerror(-r)) : 0;
}

/* One read from the source into a buffer: counted, hashed, copied. */
static int raw_read(struct st_stream *stream, uint8_t *buffer, size_t size, size_t *ret)
{
	ssize_t n = stream->options.read(stream->options.arg, buffer, size);
	int r;

	if (n < 0)
		return stream_fail(stream, (int)n, "read", strerror((int)-n));
	if (!n)
		stream->raw_end = true;
	stream->result.raw_bytes += (size_t)n;
	if (stream->options.max_raw && stream->result.raw_bytes > stream->options.max_raw)
		return stream_fail(stream, -EFBIG, "read", "more bytes than expected");
	st_hash_add(stream->raw_hash, buffer, (size_t)n);
	if (stream->options.copy) {
		r = stream_copy(stream, buffer, (size_t)n);
		if (r)
			return r;
	}
	*ret = (size_t)n;
	return 0;
}

/* Enough bytes to see what they are; they stay in the raw buffer. */
static int raw_detect(struct st_stream *stream)
{
	const char *name;
	int r;

	while (stream->raw_size < ST_DETECT_BYTES && !stream->raw_end) {
		size_t n;

		r = raw_read(stream, stream->raw + stream->raw_size,
			     CHUNK_BYTES - stream->raw_size, &n);
		if (r)
			return r;
		stream->raw_size += n;
	}
	r = st_decode_detect(stream->raw, stream->raw_size, &stream->result.compression, &name);
	if (r)
		return stream_fail(stream, r, name, "this compression is not supported");
	if (stream->result.compression == ST_PLAIN)
		return 0;
	r = st_hash_create(&stream->plain_hash);
	if (!r)
		r = st_decoder_create(stream->result.compression, &stream->decoder);
	return r ? stream_fail(stream, r, "decompress", strerror(-r)) : 0;
}

/* Plain bytes: what was read to look at, then straight from the source. */
static int fill_plain(struct st_stream *stream, struct chunk *chunk)
{
	if (stream->raw_size) {
		memcpy(chunk->data, stream->raw, stream->raw_size);
		chunk->size = stream->raw_size;
		stream->raw_size = 0;
	}
	while (chunk->size < CHUNK_BYTES && !stream->raw_end) {
		size_t n;
		int r = raw_read(stream, chunk->data + chunk->size, CHUNK_BYTES - chunk->size, &n);

		if (r)
			return r;
		chunk->size += n;
	}
	return 0;
}

static int fill_decoded(struct st_stream *stream, struct chunk *chunk)
{
	struct st_piece piece = { .out = chunk->data, .out_size = CHUNK_BYTES };
	bool more = true;
	int r;

	while (piece.out_size && more) {
		size_t room = piece.out_size;

		if (stream->raw_at == stream->raw_size && !stream->raw_end) {
			stream->raw_at = 0;
			r = raw_read(stream, stream->raw, CHUNK_BYTES, &stream->raw_size);
			if (r)
				return r;
		}
		piece.in = stream->raw + stream->raw_at;
		piece.in_size = stream->raw_size - stream->raw_at;
		r = st_decoder_run(stream->decoder, &piece);
		stream->raw_at = stream->raw_size - piece.in_size;
		if (r == -ENOMEM)
			return stream_fail(stream, r, "decompress", strerror(ENOMEM));
		if (r)
			return stream_fail(stream, r, "decompress", st_decoder_error(stream->decoder));
		more = !stream->raw_end || piece.out_size != room;
	}
	chunk->size = CHUNK_BYTES - piece.out_size;
	if (!more && !st_decoder_may_end(stream->decoder))
		return stream_fail(stream, -EBADMSG, "decompress", "ends too early");
	st_hash_add(stream->plain_hash, chunk->data, chunk->size);
	return 0;
}

/* 1: the chunk has bytes; 0: the end. */
static int stream_fill(struct st_stream *stream, struct chunk *chunk)
{
	int r;

	chunk->size = 0;
	r = stream->decoder ? fill_decoded(stream, chunk) : fill_plain(stream, chunk);
	if (r)
		return r;
	stream->result.plain_bytes += chunk->size;
	if (stream->options.max_plain && stream->result.plain_bytes > stream->options.max_plain)
		return stream_fail(stream, -EFBIG, "decompress", "more bytes than the limit allows");
	return chunk->size > 0;
}

static struct chunk *stream_wait_free(struct st_stream *stream)
{
	struct chunk *chunk = NULL;

	(void)pthread_mutex_lock(&stream->lock);
	while (stream->count == CHUNKS && !stream->closing)
		(void)pthread_cond_wait(&stream->freed, &stream->lock);
	if (!stream->closing)
		chunk = &stream->chunks[(stream->first + stream->count) % CHUNKS];
	(void)pthread_mutex_unlock(&stream->lock);
	return chunk;
}

static void *stream_thread(void *arg)
{
	struct st_stream *stream = arg;
	struct chunk *chunk;
	int r = raw_detect(stream);

	if (!r)
		r = 1;
	while (r > 0) {
		chunk = stream_wait_free(stream);
		r = chunk ? stream_fill(stream, chunk) : -ECANCELED;
		(void)pthread_mutex_lock(&stream->lock);
		if (r > 0)
			stream->count++;
		(void)pthread_cond_signal(&stream->filled);
		(void)pthread_mutex_unlock(&stream->lock);
	}
	(void)pthread_mutex_lock(&stream->lock);
	stream->error = r;
	stream->ended = true;
	(void)pthread_cond_signal(&stream->filled);
	(void)pthread_mutex_unlock(&stream->lock);
	return NULL;
}

static int stream_start(struct st_stream *stream)
{
	sigset_t all, before;
	int r;

	/* Signals are for the threads that expect them. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&stream->thread, NULL, stream_thread, stream);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	stream->started = !r;
	return -r;
}

int st_stream_open(const struct st_stream_options *options, struct st_stream **ret)
{
	struct st_stream *stream = calloc(1, sizeof(*stream));
	int r = -ENOMEM;

	if (!stream)
		return r;
	stream->options = *options;
	(void)pthread_mutex_init(&stream->lock, NULL);
	(void)pthread_cond_init(&stream->filled, NULL);
	(void)pthread_cond_init(&stream->freed, NULL);
	stream->raw = malloc((1 + CHUNKS) * (size_t)CHUNK_BYTES);
	if (stream->raw) {
		for (unsigned i = 0; i < CHUNKS; i++)
			stream->chunks[i].data = stream->raw + (1 + i) * (size_t)CHUNK_BYTES;
		r = st_hash_create(&stream->raw_hash);
	}
	if (!r)
		r = stream_start(stream);
	if (r) {
		st_stream_close(stream);
		return r;
	}
	*ret = stream;
	return 0;
}

/* Waits for bytes: 1, the first chunk has some; 0, the end; or the thread's error. */
static int stream_wait_filled(struct st_stream *stream)
{
	int r;

	(void)pthread_mutex_lock(&stream->lock);
	while (!stream->count && !stream->ended)
		(void)pthread_cond_wait(&stream->filled, &stream->lock);
	r = stream->count ? 1 : stream->error;
	(void)pthread_mutex_unlock(&stream->lock);
	return r;
}

static void stream_free_first(struct st_stream *stream)
{
	stream->taken = 0;
	(void)pthread_mutex_lock(&stream->lock);
	stream->first = (stream->first + 1) % CHUNKS;
	stream->count--;
	(void)pthread_cond_signal(&stream->freed);
	(void)pthread_mutex_unlock(&stream->lock);
}

ssize_t st_stream_read(void *arg, void *buffer, size_t size)
{
	struct st_stream *stream = arg;
	uint8_t *to = buffer;
	size_t done = 0;

	while (done < size) {
		struct chunk *chunk;
		size_t n;
		int r = stream_wait_filled(stream);

		if (r < 0)
			return done ? (ssize_t)done : r;
		if (!r)
			break;
		chunk = &stream->chunks[stream->first];
		n = chunk->size - stream->taken;
		if (n > size - done)
			n = size - done;
		memcpy(to + done, chunk->data + stream->taken, n);
		done += n;
		stream->taken += n;
		if (stream->taken == chunk->size)
			stream_free_first(stream);
	}
	return (ssize_t)done;
}

int st_stream_finish(struct st_stream *stream, struct st_stream_result *ret)
{
	int r;

	while ((r = stream_wait_filled(stream)) > 0)
		stream_free_first(stream);
	if (r)
		return r;
	(void)pthread_join(stream->thread, NULL);
	stream->started = false;
	st_hash_end(stream->raw_hash, stream->result.raw);
	if (stream->plain_hash)
		st_hash_end(stream->plain_hash, stream->result.plain);
	else
		memcpy(stream->result.plain, stream->result.raw, sizeof(stream->result.raw));
	*ret = stream->result;
	return 0;
}

const char *st_stream_error(struct st_stream *stream)
{
	bool ended;

	(void)pthread_mutex_lock(&stream->lock);
	ended = stream->ended;
	(void)pthread_mutex_unlock(&stream->lock);
	return ended ? stream->message : ""; /* before that it may be in the writing */
}

void st_stream_close(struct st_stream *stream)
{
	if (!stream)
		return;
	if (stream->started) {
		(void)pthread_mutex_lock(&stream->lock);
		stream->closing = true;
		(void)pthread_cond_signal(&stream->freed);
		(void)pthread_mutex_unlock(&stream->lock);
		(void)pthread_join(stream->thread, NULL);
	}
	st_decoder_destroy(stream->decoder);
	st_hash_destroy(stream->raw_hash);
	st_hash_destroy(stream->plain_hash);
	(void)pthread_cond_destroy(&stream->filled);
	(void)pthread_cond_destroy(&stream->freed);
	(void)pthread_mutex_destroy(&stream->lock);
	free(stream->raw);
	free(stream);
}

ssize_t st_read_fd(void *arg, void *buffer, size_t size)
{
	ssize_t n;

	do
		n = read(*(const int *)arg, buffer, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
