/* SPDX-License-Identifier: MIT */
/*
 * The pump, the one way of a container's output: pipe -> pool job -> log -> followers.  The loop
 * only sees that there is something, and the end; bytes are moved by at most one job per container,
 * whose buffer is lent for as long as it runs.
 */
#include "engine/io.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#define JOB_BYTES (8u << 20)  /* then others get their turn */
#define BULK_BYTES (64u << 10) /* in one job: then larger pipes pay */
#define BULK_WAIT_MS 1
#define PIPE_BYTES (1 << 20)

/* ---- buffers, lent to jobs */

struct buffer {
	struct cow_list link;
};

static void buffers_tire(struct cow_timer *timer, void *arg)
{
	(void)timer;
	buffers_finish(arg);
}

void *buffer_get(struct cow_engine *e)
{
	struct cow_list *l = e->buffers.next;

	if (cow_list_empty(&e->buffers))
		return malloc(BUFFER_BYTES);
	cow_list_del(l);
	return cow_container_of(l, struct buffer, link);
}

void buffer_put(struct cow_engine *e, void *p)
{
	struct buffer *buffer = p;

	if (!buffer)
		return;
	cow_list_init(&buffer->link);
	cow_list_add(&e->buffers, &buffer->link);
	(void)cow_timer_start(e->setup.timers, &e->buffer_timer, 1000, buffers_tire, e);
}

void buffers_finish(struct cow_engine *e)
{
	cow_timer_stop(e->setup.timers, &e->buffer_timer);
	cow_list_for_safe(l, tmp, &e->buffers) {
		cow_list_del(l);
		free(cow_container_of(l, struct buffer, link));
	}
}

/* ---- life of the streams */

static void close_child_ends(struct io *io)
{
	for (size_t i = 0; i < COW_ELEMENTS(io->child); i++) {
		if (io->child[i] >= 0)
			(void)close(io->child[i]);
		io->child[i] = -1;
	}
}

static void io_free(struct io *io)
{
	if (io->handles || io->busy)
		return;
	close_child_ends(io);
	for (size_t i = 0; i < 2; i++)
		if (io->streams[i].fd >= 0)
			(void)close(io->streams[i].fd);
	if (io->in >= 0)
		(void)close(io->in);
	log_unref(io->log);
	free(io);
}

static void stream_closed(uv_handle_t *handle)
{
	struct stream *s = cow_container_of((uv_poll_t *)handle, struct stream, poll);
	struct io *io = s->io;

	io->handles--;
	io->engine->jobs--;
	if (io->closing)
		io_free(io);
}

static void stream_close(struct stream *s)
{
	if (s->polled) {
		s->polled = false;
		uv_close((uv_handle_t *)&s->poll, stream_closed);
	}
	if (s->fd >= 0 && !s->io->busy) {
		(void)close(s->fd);
		s->fd = -1;
	}
}

static struct io *io_new(struct container *c)
{
	struct io *io = calloc(1, sizeof(*io));

	if (!c->log)
		c->log = log_new(c->state_dir, c->def->log_max_bytes, c->def->log_files);
	if (!io || !c->log) {
		free(io);
		return NULL;
	}
	io->container = c;
	io->engine = c->engine;
	io->log = log_ref(c->log);
	io->terminal = c->def->terminal;
	io->in = -1;
	for (int i = 0; i < 3; i++)
		io->child[i] = -1;
	for (int i = 0; i < 2; i++) {
		io->streams[i].io = io;
		io->streams[i].fd = -1;
		io->streams[i].id = (uint8_t)(i + 1);
	}
	return io;
}

static int io_pipes(struct io *io)
{
	int fds[2];

	for (int i = 0; i < 2; i++) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return -errno;
		io->streams[i].fd = fds[0];
		io->child[i + 1] = fds[1];
	}
	if (!io->container->def->open_stdin)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	io->child[0] = fds[0];
	io->in = fds[1];
	return fcntl(io->in, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int io_prepare(struct container *c, struct cowherd_stdio *ret, struct cow_error *err)
{
	struct io *io;
	int rc;

	io_close(c);
	io = io_new(c);
	if (!io)
		return cow_error_set(err, -ENOMEM, "stdio: out of memory");
	c->io = io;
	rc = io->terminal ? 0 : io_pipes(io);
	if (rc < 0) {
		io_close(c);
		return cow_error_errno(err, rc, "stdio: pipe");
	}
	*ret = (struct cowherd_stdio){ .size = sizeof(*ret),
				       .in = io->child[0],
				       .out = io->child[1],
				       .err = io->child[2],
				       .terminal = io->terminal };
	return 0;
}

static void stream_readable(uv_poll_t *poll, int status, int events);

static int stream_open(struct stream *s)
{
	int rc = uv_poll_init(s->io->engine->setup.loop, &s->poll,
			      s->fd); /* makes it non-blocking */

	if (rc < 0)
		return rc;
	s->polled = true;
	s->io->handles++;
	s->io->engine->jobs++;
	return uv_poll_start(&s->poll, UV_READABLE, stream_readable);
}

int io_made(struct container *c, int master)
{
	struct io *io = c->io;
	int rc = 0;

	close_child_ends(io);
	if (io->terminal && master < 0)
		return -ENOTTY;
	if (master >= 0 && !io->terminal)
		(void)close(master);
	if (io->terminal) {
		io->streams[0].fd = master;
		if (c->def->open_stdin)
			io->in = fcntl(master, F_DUPFD_CLOEXEC, 3);
	}
	for (size_t i = 0; rc == 0 && i < 2; i++)
		if (io->streams[i].fd >= 0)
			rc = stream_open(&io->streams[i]);
	return rc;
}

bool io_open(const struct container *c)
{
	const struct io *io = c->io;

	return io && (io->busy || io->streams[0].fd >= 0 || io->streams[1].fd >= 0);
}

void io_close(struct container *c)
{
	struct io *io = c->io;

	if (!io)
		return;
	c->io = NULL;
	io->container = NULL;
	io->closing = true;
	feed_destroy(io);
	for (size_t i = 0; i < 2; i++)
		stream_close(&io->streams[i]);
	if (!io->busy)
		log_rest(io->log);
	io_free(io);
}

/* ---- the job */

/* In the middle of much: a moment's wait is cheaper than the way over the loop and back. */
static bool more_soon(const struct stream *s, size_t total)
{
	struct pollfd look = { .fd = s->fd, .events = POLLIN };

	return total >= BULK_BYTES && poll(&look, 1, BULK_WAIT_MS) > 0;
}

/* 0: nothing there now; 1: more than its share; 2: at its end. */
static int pump_stream(struct io *io, struct stream *s)
{
	char *data = (char *)io->buffer + sizeof(struct log_frame);
	size_t total = 0;

	while (total < JOB_BYTES) {
		ssize_t n = read(s->fd, data, log_room(io->log, BUFFER_BYTES));

		if (n < 0 && (errno == EINTR || (errno == EAGAIN && more_soon(s, total))))
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return 2; /* a terminal whose last slave is closed says EIO */
		log_append(io->log, s->id, io->buffer, (size_t)n);
		total += (size_t)n;
		if (!io->bulk && !io->terminal && total >= BULK_BYTES) {
			io->bulk = true;
			(void)fcntl(s->fd, F_SETPIPE_SZ, PIPE_BYTES);
		}
	}
	return 1;
}

static void pump_work(uv_work_t *work)
{
	struct io *io = cow_container_of(work, struct io, work);

	for (size_t i = 0; i < 2; i++) {
		struct stream *s = &io->streams[i];
		int r;

		if (!s->ready)
			continue;
		r = pump_stream(io, s);
		s->ready = r == 1;
		s->eof = r == 2;
	}
}

static void pump_start(struct io *io);

static void tell_dropped(struct io *io)
{
	struct log *log = io->log;
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	bool first = log->told_bytes == 0;

	if (log->dropped_bytes == log->told_bytes)
		return;
	log->told_bytes = log->dropped_bytes;
	cow_strbuf_addf(&b, "\"dropped_bytes\":%llu", (unsigned long long)log->dropped_bytes);
	if (first && !b.error)
		event_tell(io->engine, io->container, "log.dropped", b.data);
}

static void stream_resume(struct stream *s)
{
	if (s->eof) {
		stream_close(s);
		return;
	}
	if (s->polled && !s->ready)
		(void)uv_poll_start(&s->poll, UV_READABLE, stream_readable);
}

static void pump_done(uv_work_t *work, int status)
{
	struct io *io = cow_container_of(work, struct io, work);
	struct container *c = io->container;

	(void)status;
	io->busy = false;
	io->engine->jobs--;
	buffer_put(io->engine, io->buffer);
	io->buffer = NULL;
	if (!c) {
		log_rest(io->log);
		io_free(io);
		return;
	}
	tell_dropped(io);
	for (size_t i = 0; i < 2; i++)
		stream_resume(&io->streams[i]);
	if (io->streams[0].ready || io->streams[1].ready)
		pump_start(io);
	log_wake(io->log);
	if (!io_open(c))
		container_look(c);
}

static void pump_start(struct io *io)
{
	if (io->busy)
		return;
	io->buffer = buffer_get(io->engine);
	if (!io->buffer ||
	    uv_queue_work(io->engine->setup.loop, &io->work, pump_work, pump_done) < 0) {
		buffer_put(io->engine, io->buffer); /* the poll stays armed: it is tried again */
		io->buffer = NULL;
		return;
	}
	for (size_t i = 0; i < 2; i++)
		if (io->streams[i].ready && io->streams[i].polled)
			(void)uv_poll_stop(&io->streams[i].poll);
	io->busy = true;
	io->engine->jobs++;
}

static void stream_readable(uv_poll_t *poll, int status, int events)
{
	struct stream *s = cow_container_of(poll, struct stream, poll);
	struct io *io = s->io;
	struct pollfd look = { .fd = s->fd, .events = POLLIN };

	(void)status;
	(void)events;
	if (io->busy) {
		(void)uv_poll_stop(poll); /* pump_done() arms it again */
		return;
	}
	/* Only a hang-up, nothing to read: the end, known without a job. */
	if (ppoll(&look, 1, &(struct timespec){ 0 }, NULL) == 1 && !(look.revents & POLLIN)) {
		stream_close(s);
		if (!io_open(io->container))
			container_look(io->container);
		return;
	}
	s->ready = true;
	pump_start(io);
}

uint64_t log_dropped(const struct container *c)
{
	return c->log ? c->log->dropped_bytes : 0;
}
