/* SPDX-License-Identifier: MIT */
#include "cli/up_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES (16u << 10) /* a longer one is cut in two */
#define PARTIAL_MS 500             /* a prompt, say, is shown after a while */
#define SENTENCE_MS 100            /* how long to wait for output that is on its way */
#define READ_BYTES (32u << 10)

struct up_pipe {
	uv_poll_t poll;
	struct up_stream *stream;
	int fd; /* -1: closed */
	bool reading;
	bool shown; /* the line's beginning, before its end came */
	struct cow_strbuf line;
	struct cow_timer timer; /* for a partial line */
};

struct up_stream {
	struct cow_list link;
	struct up_screen *screen;
	char *name;
	unsigned color;
	struct cow_follow *follow;
	struct up_pipe *pipes[2]; /* NULL: not open */
	unsigned closing;         /* handles that libuv still has */
	char *sentence;
	struct cow_list told;     /* in the screen's, while there is a sentence */
	bool due;                 /* it waits for nothing but those told before it */
	struct cow_timer timer;   /* for the sentence */
	bool gone;
	/* Follow again when what was followed is read to its end. */
	bool again;
	uint64_t again_since_ns;
};

/* ---- lines */

/* Queued only: the caller flushes. */
static void put_line(struct up_stream *s, const char *text, size_t len)
{
	struct up_screen *screen = s->screen;
	struct cow_strbuf b = COW_STRBUF_INIT;

	if (screen->colors)
		cow_strbuf_addf(&b, "\033[%um%-*s |\033[0m ", s->color, screen->name_width,
				s->name);
	else
		cow_strbuf_addf(&b, "%-*s | ", screen->name_width, s->name);
	/* A terminal's line ends in CR LF. */
	while (len && text[len - 1] == '\r')
		len--;
	cow_strbuf_addn(&b, text, len);
	cow_strbuf_addn(&b, "\n", 1);
	if (!b.error)
		up_output_add(&screen->output, b.data, b.len);
	cow_strbuf_finish(&b);
}

static void flush_line(struct up_pipe *p)
{
	cow_timer_stop(p->stream->screen->timers, &p->timer);
	if (p->line.len)
		put_line(p->stream, p->line.data, p->line.len);
	/* Also forgets that memory was short, if it was. */
	cow_strbuf_finish(&p->line);
	p->line = (struct cow_strbuf)COW_STRBUF_INIT;
}

/* Show the beginning of a line whose end has not come yet. */
static void flush_partial(struct up_pipe *p)
{
	if (!p->line.len)
		return;
	flush_line(p);
	p->shown = true;
}

static void partial_late(struct cow_timer *timer, void *arg)
{
	struct up_pipe *p = arg;
	struct up_screen *screen = p->stream->screen;

	/* The rest of the line may be there, and only we do not read it. */
	if (screen->paused) {
		(void)cow_timer_start(screen->timers, timer, PARTIAL_MS, partial_late, p);
		return;
	}
	flush_partial(p);
	up_output_flush(&screen->output);
}

static void end_line(struct up_pipe *p, const char *rest, size_t len)
{
	/* The end of a line that is on the screen is no line. */
	if (p->line.len) {
		cow_strbuf_addn(&p->line, rest, len);
		flush_line(p);
	} else if (len || !p->shown) {
		put_line(p->stream, rest, len);
	}
	p->shown = false;
}

static void feed(struct up_pipe *p, const char *data, size_t len)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		if (end) {
			end_line(p, data, n++);
		} else {
			cow_strbuf_addn(&p->line, data, n);
			if (p->line.len > LINE_MAX_BYTES || p->line.error)
				flush_line(p);
		}
		data += n;
		len -= n;
	}
	if (p->line.len)
		(void)cow_timer_start(p->stream->screen->timers, &p->timer, PARTIAL_MS,
				      partial_late, p);
}

/* ---- the sentence about the end */

static void say_sentence(struct up_stream *s)
{
	cow_list_del(&s->told);
	cow_timer_stop(s->screen->timers, &s->timer);
	for (int i = 0; i < 2; i++)
		if (s->pipes[i])
			flush_partial(s->pipes[i]);
	up_output_add(&s->screen->output, s->sentence, strlen(s->sentence));
	up_output_flush(&s->screen->output);
	free(s->sentence);
	s->sentence = NULL;
	s->due = false;
}

/* As they were told: the end that led to another stands above it, however late its output ended. */
static void say_due(struct up_screen *screen)
{
	while (!cow_list_empty(&screen->told)) {
		struct up_stream *s = cow_container_of(screen->told.next, struct up_stream, told);

		if (!s->due)
			return;
		say_sentence(s);
	}
}

static void sentence_due(struct up_stream *s)
{
	if (!s->sentence)
		return;
	s->due = true;
	say_due(s->screen);
}

/* What comes next of this stream belongs below its sentence. */
static void sentence_now(struct up_stream *s)
{
	if (!s->sentence)
		return;
	say_sentence(s);
	say_due(s->screen);
}

static void sentence_late(struct cow_timer *timer, void *arg)
{
	struct up_stream *s = arg;

	if (s->screen->paused)
		(void)cow_timer_start(s->screen->timers, timer, SENTENCE_MS, sentence_late, s);
	else
		sentence_due(s);
}

void up_stream_tell(struct up_stream *s, const char *sentence)
{
	sentence_now(s);
	s->sentence = strdup(sentence);
	if (!s->sentence)
		return;
	cow_list_add(&s->screen->told, &s->told);
	if (!s->pipes[0] && !s->pipes[1])
		sentence_due(s);
}

void up_stream_goes_on(struct up_stream *s)
{
	if (s->sentence)
		(void)cow_timer_start(s->screen->timers, &s->timer, SENTENCE_MS, sentence_late, s);
}

/* ---- pipes */

static void stream_free(struct up_stream *s)
{
	if (!s->gone || s->closing)
		return;
	free(s->name);
	free(s->sentence);
	free(s);
}

static void pipe_closed(uv_handle_t *handle)
{
	struct up_pipe *p = handle->data;
	struct up_stream *s = p->stream;

	free(p);
	s->closing--;
	stream_free(s);
}

static void pipe_close(struct up_stream *s, int which)
{
	struct up_pipe *p = s->pipes[which];

	if (!p)
		return;
	flush_line(p);
	up_output_flush(&s->screen->output);
	s->pipes[which] = NULL;
	s->closing++;
	(void)close(p->fd);
	cow_strbuf_finish(&p->line);
	uv_close((uv_handle_t *)&p->poll, pipe_closed);
}

static void stream_ended(struct up_stream *s)
{
	if (s->pipes[0] || s->pipes[1])
		return;
	sentence_due(s);
	if (s->again && !s->follow) {
		s->again = false;
		(void)up_stream_follow(s, false, s->again_since_ns);
	}
	s->screen->ended(s->screen->arg);
}

static void readable(uv_poll_t *poll, int status, int events);

static void pipe_read(struct up_pipe *p, bool wanted)
{
	if (wanted == p->reading)
		return;
	p->reading = wanted;
	if (!wanted) {
		(void)uv_poll_stop(&p->poll);
		return;
	}
	(void)uv_poll_start(&p->poll, UV_READABLE, readable);
	if (cow_timer_active(&p->timer))
		(void)cow_timer_start(p->stream->screen->timers, &p->timer, PARTIAL_MS, partial_late, p);
}

static void read_all(struct up_screen *screen, bool wanted)
{
	screen->paused = !wanted;
	cow_list_for(l, &screen->streams) {
		struct up_stream *s = cow_container_of(l, struct up_stream, link);

		for (int i = 0; i < 2; i++)
			if (s->pipes[i])
				pipe_read(s->pipes[i], wanted);
	}
}

static void readable(uv_poll_t *poll, int status, int events)
{
	struct up_pipe *p = poll->data;
	struct up_stream *s = p->stream;
	char buf[READ_BYTES];
	ssize_t n = read(p->fd, buf, sizeof(buf));

	(void)status;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		pipe_close(s, s->pipes[1] == p);
		stream_ended(s);
		return;
	}
	feed(p, buf, (size_t)n);
	up_output_flush(&s->screen->output);
	/* More output is on its way: what is to be said waits for it. */
	if (cow_timer_active(&s->timer))
		(void)cow_timer_start(s->screen->timers, &s->timer, SENTENCE_MS, sentence_late, s);
	if (up_output_full(&s->screen->output))
		read_all(s->screen, false);
}

/* A pipe read here; its other end is for the engine. */
static int pipe_open(struct up_stream *s, int which, int *ret_fd)
{
	struct up_pipe *p = calloc(1, sizeof(*p));
	int fds[2], r;

	if (!p)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		r = -errno;
		free(p);
		return r;
	}
	r = uv_poll_init(s->screen->loop, &p->poll, fds[0]);
	if (r < 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		free(p);
		return r;
	}
	p->poll.data = p;
	p->stream = s;
	p->fd = fds[0];
	s->pipes[which] = p;
	pipe_read(p, !s->screen->paused);
	*ret_fd = fds[1];
	return 0;
}

/* ---- streams */

struct up_stream *up_stream_get(struct up_screen *screen, const char *name)
{
	static const unsigned colors[] = { 36, 33, 32, 35, 34, 96, 93, 92, 95, 94 };
	struct up_stream *s;

	cow_list_for(l, &screen->streams) {
		s = cow_container_of(l, struct up_stream, link);
		if (strcmp(s->name, name) == 0)
			return s;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->screen = screen;
	s->name = strdup(name);
	s->color = colors[screen->next_color++ % (sizeof(colors) / sizeof(colors[0]))];
	if (!s->name) {
		free(s);
		return NULL;
	}
	cow_list_add(&screen->streams, &s->link);
	return s;
}

/* The pipes end by themselves when the engine has closed its ends. */
static void follow_done(void *arg, int code)
{
	struct up_stream *s = arg;
	char sentence[256];

	s->follow = NULL;
	if (code >= 0 || code == -EPIPE)
		return;
	(void)snprintf(sentence, sizeof(sentence), "%s: its output cannot be shown: %s\n", s->name,
		       cow_errno_text(code));
	up_stream_tell(s, sentence);
}

int up_stream_follow(struct up_stream *s, bool from_start, uint64_t since_ns)
{
	const struct cow_follow_options options = {
		.follow = true,
		.out = true,
		.err = true,
		.tail = -1,
		.since_ns = since_ns,
		.await_start = from_start,
	};
	int fds[2] = { -1, -1 }, r;

	if (s->follow) {
		/* A new life begins: what is to be said about the last one belongs before it. */
		sentence_now(s);
		return 0;
	}
	if (s->pipes[0] || s->pipes[1]) {
		s->again = true;
		s->again_since_ns = since_ns;
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		r = pipe_open(s, i, &fds[i]);
		if (r < 0) {
			pipe_close(s, 0);
			if (fds[0] >= 0)
				(void)close(fds[0]);
			return r;
		}
	}
	return cow_engine_follow(s->screen->engine, s->name, &options, fds[0], fds[1], follow_done,
				 s, &s->follow, NULL);
}

void up_screen_resume(struct up_screen *screen)
{
	if (screen->paused && !up_output_full(&screen->output))
		read_all(screen, true);
}

bool up_screen_idle(const struct up_screen *screen)
{
	cow_list_for(l, &screen->streams) {
		const struct up_stream *s = cow_container_of(l, struct up_stream, link);

		if (s->pipes[0] || s->pipes[1])
			return false;
	}
	return up_output_empty(&screen->output);
}

void up_screen_close(struct up_screen *screen)
{
	while (!cow_list_empty(&screen->told))
		say_sentence(cow_container_of(screen->told.next, struct up_stream, told));
	cow_list_for_safe(l, tmp, &screen->streams) {
		struct up_stream *s = cow_container_of(l, struct up_stream, link);

		cow_list_del(l);
		cow_follow_close(s->follow);
		pipe_close(s, 0);
		pipe_close(s, 1);
		s->gone = true;
		stream_free(s);
	}
	up_output_close(&screen->output);
}
