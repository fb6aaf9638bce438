/* SPDX-License-Identifier: MIT */
#include "cli/pump.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	return 0;
}

/* A descriptor to write to own's file by, that no other process shares the flags of. */
static int reopen(struct cow_pump *p, int own)
{
	char path[40];
	struct stat st;
	int fd = -1;

	if (fstat(own, &st))
		return -errno;
	p->chunk = COW_PUMP_BYTES;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
		fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	if (fd < 0) {
		fd = fcntl(own, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		if (!S_ISREG(st.st_mode))
			p->chunk = PIPE_BUF;
	}
	p->to = fd;
	p->close_to = true;
	return 0;
}

static int make_buffer(struct cow_pump *p)
{
	p->buf = malloc(COW_PUMP_BYTES + COW_DETACH_MAX);
	return p->buf ? 0 : -ENOMEM;
}

int cow_pump_in(struct cow_pump *p, int own, int to, bool close_to)
{
	p->from = own;
	p->to = to;
	p->close_to = close_to;
	p->chunk = COW_PUMP_BYTES;
	return set_nonblocking(to) ?: make_buffer(p);
}

int cow_pump_out(struct cow_pump *p, int from, bool close_from, int own)
{
	p->from = from;
	p->close_from = close_from;
	return set_nonblocking(from) ?: reopen(p, own) ?: make_buffer(p);
}

static void close_to(struct cow_pump *p)
{
	if (p->close_to && p->to >= 0)
		(void)close(p->to);
	p->to = -1;
}

void cow_pump_finish(struct cow_pump *p)
{
	close_to(p);
	if (p->close_from && p->from >= 0)
		(void)close(p->from);
	p->from = -1;
	free(p->buf);
	p->buf = NULL;
	p->len = 0;
	p->ended = true;
}

bool cow_pump_done(const struct cow_pump *p)
{
	return p->to < 0 || p->from < 0 || p->broken || p->error || (p->ended && !p->len);
}

void cow_pump_poll(const struct cow_pump *p, struct pollfd *ret)
{
	ret->fd = cow_pump_done(p) ? -1 : p->len ? p->to : p->from;
	ret->events = p->len ? POLLOUT : POLLIN;
	ret->revents = 0;
}

static void take(struct cow_pump *p)
{
	unsigned char raw[COW_PUMP_BYTES];
	bool filtered = p->detach && p->detach->count;
	ssize_t n = read(p->from, filtered ? raw : p->buf, COW_PUMP_BYTES);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A pty master says EIO once nobody has the other side open. */
	if (n <= 0) {
		if (n < 0 && errno != EIO)
			p->error = -errno;
		p->ended = true;
		return;
	}
	p->offset = 0;
	p->len = (size_t)n;
	if (filtered)
		p->detached = cow_detach_feed(p->detach, raw, (size_t)n, p->buf, &p->len);
}

static void give(struct cow_pump *p)
{
	size_t want = p->len < p->chunk ? p->len : p->chunk;
	ssize_t n = write(p->to, p->buf + p->offset, want);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		if (errno == EPIPE || errno == EIO)
			p->broken = true;
		else
			p->error = -errno;
		p->len = 0;
		return;
	}
	p->offset += (size_t)n;
	p->len -= (size_t)n;
}

void cow_pump_run(struct cow_pump *p, const struct pollfd *polled)
{
	if (polled->fd < 0 || !polled->revents)
		return;
	if (!p->len)
		take(p);
	/* What cannot block may be tried at once: one turn of the loop instead of two. */
	if (p->len && (polled->events & POLLOUT || p->chunk == COW_PUMP_BYTES))
		give(p);
	/* The end is passed on as soon as everything before it was. */
	if ((p->ended && !p->len) || p->broken)
		close_to(p);
}
