/* SPDX-License-Identifier: MIT */
#include "server/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define READS_PER_TURN 4 /* one busy client does not keep the others waiting */
#define HELD_FDS (2 * CONN_FDS)
#define KEEP_BYTES (64u << 10)

/* A line on its way out, with the descriptors that go with its first byte. */
struct output {
	struct cow_list node;
	char *data;
	size_t len, sent;
	int fds[CONN_FDS];
	uint32_t fd_count;
};

/* A descriptor that came, and the stream offset behind the bytes it came with. */
struct held_fd {
	int fd;
	uint64_t end;
};

/* A long line, which is parsed on the pool; its connection reads no further meanwhile. */
struct parse {
	uv_work_t work;
	struct cow_server *server;
	struct conn *conn; /* NULL: it went away */
	char *line;
	size_t len;
	struct json_object *message;
	struct cow_error err;
};

struct conn {
	struct cow_list node; /* first: the server's list is a list of these */
	struct cow_server *server;
	union {
		uv_handle_t any;
		uv_poll_t poll;
		uv_idle_t idle; /* without transport: only to be closed on a later turn */
	} handle;
	int fd;
	uid_t uid;
	int polled; /* the events that the loop looks for */
	bool doomed;
	struct cow_list requests;

	char *in; /* a line that has not ended yet */
	size_t in_len, in_cap;
	uint64_t line_start, received; /* stream offsets */
	struct parse *parse;           /* under way */
	char *rest;                    /* what came behind that line already */
	size_t rest_len;
	struct held_fd held[HELD_FDS];
	uint32_t held_count;

	struct cow_list out;
	size_t out_bytes;
};

struct cow_server *conn_server(const struct conn *c)
{
	return c->server;
}

struct cow_list *conn_requests(struct conn *c)
{
	return &c->requests;
}

uid_t conn_uid(const struct conn *c)
{
	return c->uid;
}

size_t conn_waiting(const struct conn *c)
{
	return c->out_bytes;
}

static void close_fds(const int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)close(fds[i]);
}

static void output_free(struct output *o)
{
	cow_list_del(&o->node);
	close_fds(o->fds, o->fd_count);
	free(o->data);
	free(o);
}

static void conn_drop_held(struct conn *c, uint64_t up_to)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->held_count; i++) {
		if (c->held[i].end <= up_to)
			(void)close(c->held[i].fd);
		else
			c->held[kept++] = c->held[i];
	}
	c->held_count = kept;
}

static void conn_closed_cb(uv_handle_t *handle)
{
	struct conn *c = handle->data;
	struct cow_server *s = c->server;

	request_orphan_all(c);
	cow_list_for_safe(e, next, &c->out)
		output_free(cow_container_of(e, struct output, node));
	conn_drop_held(c, UINT64_MAX);
	cow_list_del(&c->node);
	s->conn_count--;
	if (c->parse)
		c->parse->conn = NULL;
	free(c->rest);
	free(c->in);
	free(c);
	server_handle_closed(s);
}

void conn_doom(struct conn *c)
{
	if (c->doomed)
		return;
	c->doomed = true;
	uv_close(&c->handle.any, conn_closed_cb);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

int conn_take_fds(struct conn *c, uint32_t n, int *fds)
{
	if (n > c->held_count)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++)
		fds[i] = c->held[i].fd;
	c->held_count -= n;
	memmove(c->held, c->held + n, c->held_count * sizeof(c->held[0]));
	return 0;
}

/* An error that belongs to no request, and the end of the connection. */
static void conn_refuse(struct conn *c, const char *message)
{
	if (c->fd >= 0 && cow_list_empty(&c->out))
		server_refuse(c->fd, RPC_INVALID_REQUEST, message);
	conn_doom(c);
}

static int conn_keep(struct conn *c, const char *data, size_t len)
{
	size_t need = c->in_len + len, cap = c->in_cap ? c->in_cap : 512;
	char *grown;

	if (need > CONN_LINE_MAX)
		return -EMSGSIZE;
	while (cap < need)
		cap *= 2;
	if (cap > c->in_cap) {
		grown = realloc(c->in, cap);
		if (!grown)
			return -ENOMEM;
		c->in = grown;
		c->in_cap = cap;
	}
	memcpy(c->in + c->in_len, data, len);
	c->in_len = need;
	return 0;
}

static void conn_line_end(struct conn *c, size_t len)
{
	c->line_start += len + 1;
	c->in_len = 0;
	if (c->in_cap > KEEP_BYTES) {
		free(c->in);
		c->in = NULL;
		c->in_cap = 0;
	}
}

static void conn_poll(struct conn *c);
static void conn_frame(struct conn *c, const char *data, size_t len);

static void parse_work(uv_work_t *work)
{
	struct parse *p = work->data;

	(void)cow_json_parse("request", p->line, p->len, &p->message, &p->err);
}

static void conn_resume(struct conn *c, struct parse *p)
{
	char *rest = cow_take_ptr(c->rest);
	size_t len = c->rest_len;

	c->rest_len = 0;
	c->parse = NULL;
	if (!c->doomed)
		request_parsed(c, p->message, &p->err);
	conn_line_end(c, p->len);
	conn_frame(c, rest, len);
	free(rest);
	conn_poll(c);
}

static void parse_done(uv_work_t *work, int status)
{
	struct parse *p = work->data;
	struct conn *c = p->conn;

	(void)status;
	if (c)
		conn_resume(c, p);
	json_object_put(p->message);
	free(p->line);
	p->server->requests--;
	server_free_if_unused(p->server);
	free(p);
}

/* Takes over the line that is in c->in. */
static int conn_parse_later(struct conn *c)
{
	struct parse *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->work.data = p;
	p->server = c->server;
	p->conn = c;
	p->line = c->in;
	p->len = c->in_len;
	if (uv_queue_work(c->server->loop, &p->work, parse_work, parse_done) < 0) {
		free(p);
		return -ENOMEM;
	}
	c->in = NULL;
	c->in_len = c->in_cap = 0;
	c->parse = p;
	c->server->requests++;
	return 0;
}

static void conn_line(struct conn *c, const char *line, size_t len)
{
	struct json_object *message = NULL;
	struct cow_error err = { 0 };

	/* Those that came before this line began, and nobody took. */
	conn_drop_held(c, c->line_start);
	if (len > CONN_PARSE_INLINE && line == c->in && conn_parse_later(c) == 0)
		return;
	if (len > 0) {
		(void)cow_json_parse("request", line, len, &message, &err);
		request_parsed(c, message, &err);
		json_object_put(message);
	}
	conn_line_end(c, len);
}

/* Lines that are whole in the chunk, and not long, are read where they are. */
static int conn_next_line(struct conn *c, const char **data, size_t *len)
{
	const char *end = memchr(*data, '\n', *len);
	size_t n = end ? (size_t)(end - *data) : *len;
	bool keep = !end || c->in_len > 0 || n > CONN_PARSE_INLINE;
	int r = keep ? conn_keep(c, *data, n) : 0;

	if (r < 0)
		return r;
	if (end)
		conn_line(c, keep ? c->in : *data, keep ? c->in_len : n);
	*data += n + (end != NULL);
	*len -= n + (end != NULL);
	return 0;
}

static int conn_put_off(struct conn *c, const char *data, size_t len)
{
	char *grown = len ? realloc(c->rest, c->rest_len + len) : c->rest;

	if (len && !grown)
		return -ENOMEM;
	if (len)
		memcpy(grown + c->rest_len, data, len);
	c->rest = grown;
	c->rest_len += len;
	return 0;
}

static void conn_frame(struct conn *c, const char *data, size_t len)
{
	int r = 0;

	while (r == 0 && len > 0 && !c->doomed && !c->parse)
		r = conn_next_line(c, &data, &len);
	if (r == 0 && c->parse)
		r = conn_put_off(c, data, len);
	if (r == -EMSGSIZE)
		conn_refuse(c, "a message is longer than 16 MiB");
	else if (r < 0)
		conn_refuse(c, "out of memory");
	if (!c->doomed && !c->parse && c->in_len == 0)
		conn_drop_held(c, c->line_start);
}

void conn_feed(struct conn *c, const char *data, size_t len, const int *fds, uint32_t fd_count)
{
	if (c->doomed || c->held_count + fd_count > HELD_FDS) {
		close_fds(fds, fd_count);
		if (!c->doomed)
			conn_refuse(c, "more descriptors than messages");
		return;
	}
	c->received += len;
	for (uint32_t i = 0; i < fd_count; i++)
		c->held[c->held_count++] = (struct held_fd){ .fd = fds[i], .end = c->received };
	conn_frame(c, data, len);
}

static uint32_t control_fds(struct msghdr *msg, int *fds)
{
	uint32_t n = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (uint32_t)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(h), n * sizeof(int));
	}
	return n;
}

/* False: nothing more to read now, or the connection is over. */
static bool conn_read(struct conn *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CONN_FDS * sizeof(int))];
	} control;
	struct iovec iov = { c->server->chunk, CONN_READ_BYTES };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int fds[CONN_FDS];
	ssize_t n;

	do
		n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		conn_doom(c);
		return false;
	}
	/*
	 * What does not fit (more than four, or no descriptors left here) the kernel has closed;
	 * the request that names them is told that fewer came.
	 */
	conn_feed(c, c->server->chunk, (size_t)n, fds, control_fds(&msg, fds));
	return !c->doomed && n == CONN_READ_BYTES;
}

/* 1: all of it; 0: the client does not read; <0: the connection is over. */
static int output_write(struct conn *c, struct output *o)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CONN_FDS * sizeof(int))];
	} control;

	while (o->sent < o->len) {
		struct iovec iov = { o->data + o->sent, o->len - o->sent };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (o->fd_count > 0) {
			memset(&control, 0, sizeof(control));
			msg.msg_control = &control;
			msg.msg_controllen = CMSG_SPACE(o->fd_count * sizeof(int));
			control.align =
				(struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(o->fd_count * sizeof(int)) };
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), o->fds, o->fd_count * sizeof(int));
		}
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		close_fds(o->fds, o->fd_count);
		o->fd_count = 0;
		o->sent += (size_t)n;
		c->out_bytes -= (size_t)n;
	}
	return 1;
}

static void conn_poll_cb(uv_poll_t *handle, int status, int events);

static void conn_poll(struct conn *c)
{
	int events = (c->parse ? UV_DISCONNECT : UV_READABLE) |
		     (cow_list_empty(&c->out) ? 0 : UV_WRITABLE);

	/* libuv goes to the kernel each time it is told. */
	if (events != c->polled && !c->doomed && c->fd >= 0)
		(void)uv_poll_start(&c->handle.poll, events, conn_poll_cb);
	c->polled = events;
}

static void conn_flush(struct conn *c)
{
	while (!cow_list_empty(&c->out)) {
		struct output *o = cow_container_of(c->out.next, struct output, node);
		int r = output_write(c, o);

		if (r < 0)
			conn_doom(c);
		if (r <= 0)
			return;
		output_free(o);
	}
}

static void conn_poll_cb(uv_poll_t *handle, int status, int events)
{
	struct conn *c = handle->data;

	if (status < 0) {
		conn_doom(c);
		return;
	}
	if (events & UV_WRITABLE)
		conn_flush(c);
	if (events & UV_DISCONNECT)
		conn_doom(c);
	for (int i = 0; events & UV_READABLE && i < READS_PER_TURN && !c->doomed && !c->parse;
	     i++) {
		if (!conn_read(c))
			break;
	}
	conn_poll(c);
}

void conn_send(struct conn *c, char *line, size_t len, const int *fds, uint32_t fd_count)
{
	bool idle = cow_list_empty(&c->out);
	struct output *o = NULL;

	/* One line may be longer than the limit; no second one waits behind it. */
	if (!c->doomed && c->out_bytes > CONN_OUTPUT_MAX)
		conn_doom(c);
	if (!c->doomed)
		o = calloc(1, sizeof(*o));
	if (!o) {
		close_fds(fds, fd_count);
		free(line);
		conn_doom(c); /* out of memory: an answer was lost, so the client must know */
		return;
	}
	o->data = line;
	o->len = len;
	if (fd_count > 0)
		memcpy(o->fds, fds, fd_count * sizeof(int));
	o->fd_count = fd_count;
	c->out_bytes += len;
	cow_list_add(&c->out, &o->node);
	if (c->fd < 0 || !idle)
		return;
	conn_flush(c);
	conn_poll(c);
}

int conn_open(struct cow_server *s, int fd, uid_t uid, struct conn **ret)
{
	struct conn *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	if (r == 0 && fd >= 0)
		r = uv_poll_init(s->loop, &c->handle.poll, fd);
	else if (r == 0)
		r = uv_idle_init(s->loop, &c->handle.idle);
	if (r < 0) {
		free(c);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	c->handle.any.data = c;
	c->server = s;
	c->fd = fd;
	c->uid = uid;
	cow_list_init(&c->requests);
	cow_list_init(&c->out);
	cow_list_add(&s->conns, &c->node);
	s->conn_count++;
	s->handles++;
	conn_poll(c);
	*ret = c;
	return 0;
}
