/* SPDX-License-Identifier: MIT */
/* On a pool thread: read chunks, choose, format, write until the pipe is full or all is written. */
#include "engine/follow.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SHARE_BYTES (8u << 20)
#define STAMP_BYTES 40

static bool wanted(const struct cow_follow *f, const struct log_frame *frame)
{
	const struct cow_follow_options *o = &f->options;

	if (frame->stream < 1 || frame->stream > 2 || f->out[frame->stream - 1].fd < 0)
		return false;
	if (!(frame->stream == 1 ? o->out : o->err))
		return false;
	return (!o->since_ns || frame->time_ns >= o->since_ns) &&
	       (!o->until_ns || frame->time_ns <= o->until_ns);
}

/* ---- where to begin */

static uint64_t lines_of(int fd, const struct log_frame *frame, uint64_t at, char *buffer,
			 bool *mid_line)
{
	uint64_t lines = 0;

	for (uint32_t done = 0; done < frame->length;) {
		size_t want =
			frame->length - done < PIECE_BYTES ? frame->length - done : PIECE_BYTES;
		ssize_t n = pread(fd, buffer, want, (off_t)(at + done));

		if (n <= 0)
			break;
		for (const char *p = buffer, *end = buffer + n; p && p < end;) {
			lines += !*mid_line;
			p = memchr(p, '\n', (size_t)(end - p));
			*mid_line = !p;
			p = p ? p + 1 : NULL;
		}
		done += (uint32_t)n;
	}
	return lines;
}

/* Lines that are there now; each stream has its own. */
static uint64_t count_lines(struct cow_follow *f, char *buffer)
{
	uint64_t lines = 0, generation = 0, at;
	bool mid_line[2] = { false, false };

	for (;;) {
		_cleanup_close_ int fd =
			log_open_next(f->log, generation, &generation);
		uint64_t end = fd >= 0 ? log_end(fd) : 0;
		struct log_frame frame;

		if (fd < 0)
			return lines;
		for (at = sizeof(struct log_head); at < end; at += sizeof(frame) + frame.length) {
			if (pread(fd, &frame, sizeof(frame), (off_t)at) != (ssize_t)sizeof(frame))
				break;
			if (wanted(f, &frame))
				lines += lines_of(fd, &frame, at + sizeof(frame), buffer,
						  &mid_line[frame.stream - 1]);
		}
		generation++;
	}
}

static void begin(struct cow_follow *f, char *buffer)
{
	f->begun = true;
	if (f->options.tail > 0) {
		uint64_t lines = count_lines(f, buffer);

		f->skip_lines =
			lines > (uint64_t)f->options.tail ? lines - (uint64_t)f->options.tail : 0;
	}
	if (f->options.tail == 0) {
		f->generation = f->begin_generation;
		f->offset = f->begin_offset;
	}
}

/* ---- reading */

static bool open_next(struct cow_follow *f)
{
	uint64_t generation;
	int fd = log_open_next(f->log, f->generation + (f->fd >= 0), &generation);

	if (fd < 0)
		return false;
	if (f->fd >= 0)
		(void)close(f->fd);
	if (generation != f->generation || f->offset == 0)
		f->offset = sizeof(struct log_head);
	f->fd = fd;
	f->generation = generation;
	f->left = 0;
	return true;
}

/* The head of the next chunk that is wholly there. */
static bool next_frame(struct cow_follow *f)
{
	struct stat st;

	for (;;) {
		if (f->fd < 0 && !open_next(f))
			return false;
		if (pread(f->fd, &f->frame, sizeof(f->frame), (off_t)f->offset) ==
			    (ssize_t)sizeof(f->frame) &&
		    f->frame.length <= LOG_CHUNK && fstat(f->fd, &st) == 0 &&
		    f->offset + sizeof(f->frame) + f->frame.length <= (uint64_t)st.st_size) {
			f->offset += sizeof(f->frame);
			f->left = f->frame.length;
			return true;
		}
		if (!open_next(f)) /* a newer file? then this one is complete */
			return false;
	}
}

/* ---- formatting into pending */

static size_t stamp(char *to, uint64_t time_ns)
{
	time_t s = (time_t)(time_ns / 1000000000u);
	struct tm tm;
	size_t n;

	(void)gmtime_r(&s, &tm);
	n = strftime(to, STAMP_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	return n + (size_t)snprintf(to + n, STAMP_BYTES - n, ".%09uZ ",
				    (unsigned)(time_ns % 1000000000u));
}

/* Bytes of one chunk as they are to be written; pending has room for a stamp on each. */
static void format(struct cow_follow *f, const char *data, size_t len)
{
	struct follow_out *out = &f->out[f->frame.stream - 1];

	for (const char *end = data + len; data < end;) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		size_t n = (size_t)((newline ? newline + 1 : end) - data);

		if (f->skip_lines == 0) {
			if (f->options.timestamps && !out->mid_line)
				f->pending_len +=
					stamp(f->pending + f->pending_len, f->frame.time_ns);
			memcpy(f->pending + f->pending_len, data, n);
			f->pending_len += n;
		} else if (newline) {
			f->skip_lines--;
		}
		out->mid_line = !newline;
		data += n;
	}
}

static bool plain(const struct cow_follow *f)
{
	return !f->options.timestamps && f->skip_lines == 0;
}

/* Take one piece of the chunk under way.  false: the file cannot be read. */
static bool take_piece(struct cow_follow *f, char *buffer)
{
	size_t room = f->options.timestamps ? PIECE_BYTES / STAMP_BYTES : PIECE_BYTES;
	size_t want = f->left < room ? f->left : room;
	char *into = plain(f) ? f->pending : buffer;
	ssize_t n = pread(f->fd, into, want, (off_t)f->offset);

	if (n <= 0)
		return false;
	f->offset += (uint64_t)n;
	f->left -= (uint32_t)n;
	f->pending_out = f->frame.stream - 1u;
	f->pending_at = f->pending_len = 0;
	if (plain(f)) {
		f->pending_len = (size_t)n;
		f->out[f->pending_out].mid_line = into[n - 1] != '\n';
	} else {
		format(f, buffer, (size_t)n);
	}
	return true;
}

/* ---- writing */

/* true: all of pending is out. */
static bool flush(struct cow_follow *f)
{
	struct follow_out *out = &f->out[f->pending_out];

	while (f->pending_at < f->pending_len) {
		ssize_t n = out->fd < 0 ? (ssize_t)(f->pending_len - f->pending_at) :
					  write(out->fd, f->pending + f->pending_at,
						f->pending_len - f->pending_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			f->result = FOLLOW_BLOCKED;
			return false;
		}
		if (n <
		    0) { /* the reader of this stream left; its descriptor is closed by the loop */
			f->result = FOLLOW_LEFT;
			f->code = -errno;
			return false;
		}
		f->pending_at += (size_t)n;
	}
	f->pending_len = f->pending_at = 0;
	return true;
}

static bool past_until(const struct cow_follow *f)
{
	return f->options.until_ns && f->frame.time_ns > f->options.until_ns;
}

static void follow_run(struct cow_follow *f, char *buffer)
{
	size_t share = 0;

	while (flush(f)) {
		if (share >= SHARE_BYTES) {
			f->result = FOLLOW_MORE;
			return;
		}
		if (f->left == 0 && (!next_frame(f) || past_until(f)))
			return; /* idle */
		if (f->left > 0 && !wanted(f, &f->frame)) {
			f->offset += f->left;
			f->left = 0;
			continue;
		}
		if (f->left > 0 && !take_piece(f, buffer))
			return;
		share += f->pending_len;
	}
}

void follow_job(struct cow_follow *f)
{
	_cleanup_free_ char *buffer = malloc(PIECE_BYTES);

	f->result = FOLLOW_IDLE;
	if (!f->pending)
		f->pending = malloc(2 * PIECE_BYTES);
	if (!buffer || !f->pending) {
		f->result = FOLLOW_LEFT;
		f->code = -ENOMEM;
		return;
	}
	if (!f->begun)
		begin(f, buffer);
	follow_run(f, buffer);
	if (f->pending_at == f->pending_len) {
		free(f->pending);
		f->pending = NULL;
	}
}
