/* SPDX-License-Identifier: MIT */
/* Input: what an attached client sends, at the pace the container takes it. */
#include "engine/io.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FEED_BYTES (16u << 10)

struct feed {
	struct io *io;     /* NULL: let go of */
	struct cow_engine *engine;
	int from, to;      /* to is a duplicate of io->in */
	uv_poll_t in, out;
	uint32_t handles;
	size_t at, len;
	char data[FEED_BYTES];
};

static void feed_closed(uv_handle_t *handle)
{
	struct feed *f = handle->data;

	f->engine->jobs--;
	if (--f->handles > 0)
		return;
	(void)close(f->from);
	(void)close(f->to);
	free(f);
}

static void feed_end(struct feed *f)
{
	if (f->io)
		f->io->feed = NULL;
	f->io = NULL;
	uv_close((uv_handle_t *)&f->in, feed_closed);
	uv_close((uv_handle_t *)&f->out, feed_closed);
}

void feed_destroy(struct io *io)
{
	if (io->feed)
		feed_end(io->feed);
}

/* End of input: a pipe is closed, so that its reader sees it; a terminal stays. */
static void feed_eof(struct feed *f)
{
	struct io *io = f->io;

	if (!io->terminal && io->in >= 0) {
		(void)close(io->in);
		io->in = -1;
	}
	feed_end(f);
}

static void feed_readable(uv_poll_t *poll, int status, int events);

static void feed_flush(struct feed *f)
{
	while (f->at < f->len) {
		ssize_t n = write(f->to, f->data + f->at, f->len - f->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) { /* nobody reads it any more */
			feed_end(f);
			return;
		}
		f->at += (size_t)n;
	}
	f->at = f->len = 0;
	(void)uv_poll_stop(&f->out);
	(void)uv_poll_start(&f->in, UV_READABLE, feed_readable);
}

static void feed_writable(uv_poll_t *poll, int status, int events)
{
	struct feed *f = poll->data;

	(void)events;
	if (status < 0)
		feed_end(f);
	else
		feed_flush(f);
}

static void feed_readable(uv_poll_t *poll, int status, int events)
{
	struct feed *f = poll->data;
	ssize_t n;

	(void)events;
	n = status < 0 ? 0 : read(f->from, f->data, sizeof(f->data));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		feed_eof(f);
		return;
	}
	f->at = 0;
	f->len = (size_t)n;
	(void)uv_poll_stop(&f->in);
	(void)uv_poll_start(&f->out, UV_WRITABLE, feed_writable);
	feed_flush(f);
}

static int feed_open(struct feed *f)
{
	uv_loop_t *loop = f->engine->setup.loop;
	int rc = uv_poll_init(loop, &f->in, f->from);

	if (rc < 0)
		return rc;
	f->in.data = f->out.data = f;
	f->handles = 1;
	f->engine->jobs++;
	rc = uv_poll_init(loop, &f->out, f->to);
	if (rc < 0) {
		uv_close((uv_handle_t *)&f->in, feed_closed);
		return rc;
	}
	f->handles = 2;
	f->engine->jobs++;
	return 0;
}

int cow_engine_attach_stdin(struct cow_engine *e, const char *key, int fd, struct cow_error *err)
{
	_cleanup_close_ int from = fd;
	struct container *c = container_find(e, key, err);
	struct io *io = c ? c->io : NULL;
	struct feed *f;
	int rc;

	if (!c)
		return -ENOENT;
	if (!c->def->open_stdin)
		return cow_error_set(err, -ENXIO, "container %s: has no open stdin", c->def->name);
	if (!io || io->in < 0)
		return cow_error_set(err, -EPIPE, "container %s: its stdin is closed",
				     c->def->name);
	if (io->feed)
		return cow_error_set(err, -EBUSY, "container %s: its stdin has a writer",
				     c->def->name);
	f = calloc(1, sizeof(*f));
	if (!f)
		return cow_error_set(err, -ENOMEM, "stdin: out of memory");
	f->engine = e;
	f->from = cow_take_fd(&from);
	f->to = fcntl(io->in, F_DUPFD_CLOEXEC, 3);
	rc = f->to < 0 ? -errno : feed_open(f);
	if (rc < 0) {
		if (f->handles == 0) {
			(void)close(f->from);
			if (f->to >= 0)
				(void)close(f->to);
			free(f);
		}
		return cow_error_errno(err, rc, "container %s: stdin", c->def->name);
	}
	f->io = io;
	io->feed = f;
	return uv_poll_start(&f->in, UV_READABLE, feed_readable);
}
