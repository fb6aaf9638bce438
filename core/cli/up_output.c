/* SPDX-License-Identifier: MIT */
#include "cli/up_output.h"

#include "cli/supervise_place.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FULL_BYTES (64u << 10)

/*
 * A pipe or terminal is opened anew; a socket is told for each write; a regular file never blocks for
 * long, and opened anew would lose its position.
 */
static void open_anew(struct up_output *o, int fd)
{
	struct stat st;

	o->fd = cow_process_reopen(fd);
	o->own = o->fd >= 0;
	if (!o->own)
		o->fd = fd;
	o->socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int up_output_init(struct up_output *o, uv_loop_t *loop, int fd, void (*drained)(void *arg),
		   void *arg)
{
	*o = (struct up_output){ .drained = drained, .arg = arg };
	open_anew(o, fd);
	if (!o->own && !o->socket)
		return 0;
	/* /dev/null and the like cannot be polled, and need not be. */
	if (uv_poll_init(loop, &o->poll, o->fd) == 0) {
		o->polled = true;
		o->poll.data = o;
	}
	return 0;
}

static ssize_t write_some(struct up_output *o, const char *data, size_t len)
{
	ssize_t n;

	do
		n = o->socket ? send(o->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			      : write(o->fd, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void drop_all(struct up_output *o)
{
	cow_strbuf_finish(&o->queue);
	o->queue = (struct cow_strbuf)COW_STRBUF_INIT;
	o->at = 0;
}

static void watch(struct up_output *o, bool wanted);

/* Write what is queued until it is stuck. */
static void flush_queue(struct up_output *o)
{
	while (o->at < o->queue.len) {
		ssize_t n = write_some(o, o->queue.data + o->at, o->queue.len - o->at);

		if (n == -EAGAIN && o->polled) {
			watch(o, true);
			return;
		}
		if (n < 0) {
			o->broken = true;
			break;
		}
		o->at += (size_t)n;
		o->written += (uint64_t)n;
	}
	drop_all(o);
	watch(o, false);
}

static void writable(uv_poll_t *poll, int status, int events)
{
	struct up_output *o = poll->data;
	bool full = up_output_full(o);

	(void)events;
	if (status < 0)
		o->broken = true;
	if (o->broken)
		drop_all(o);
	flush_queue(o);
	if (o->broken || (full && !up_output_full(o)) || up_output_empty(o))
		o->drained(o->arg);
}

static void watch(struct up_output *o, bool wanted)
{
	if (!o->polled || wanted == o->watched)
		return;
	o->watched = wanted;
	if (wanted)
		(void)uv_poll_start(&o->poll, UV_WRITABLE, writable);
	else
		(void)uv_poll_stop(&o->poll);
}

void up_output_add(struct up_output *o, const char *data, size_t len)
{
	if (o->broken)
		return;
	/* What was written already is not kept for ever where the queue never gets empty. */
	if (o->at > FULL_BYTES) {
		memmove(o->queue.data, o->queue.data + o->at, o->queue.len - o->at);
		o->queue.len -= o->at;
		o->at = 0;
	}
	cow_strbuf_addn(&o->queue, data, len);
}

void up_output_flush(struct up_output *o)
{
	bool was_broken = o->broken;

	if (!o->watched && !up_output_empty(o))
		flush_queue(o);
	if (o->broken && !was_broken)
		o->drained(o->arg);
}

bool up_output_full(const struct up_output *o)
{
	return o->queue.len - o->at > FULL_BYTES;
}

bool up_output_empty(const struct up_output *o)
{
	return o->at == o->queue.len;
}

void up_output_close(struct up_output *o)
{
	if (o->polled)
		uv_close((uv_handle_t *)&o->poll, NULL);
	o->polled = false;
	drop_all(o);
	if (o->own)
		(void)close(o->fd);
}
