/* SPDX-License-Identifier: MIT */
#include "cli/client.h"
#include "base/cleanup.h"
#include "spec/json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES (16u << 20)
#define READ_BYTES (16u << 10)
#define DEFAULT_HOST "unix:///run/cowherd/cowherd.sock"

struct cow_client {
	int fd;
	uint64_t next_id;
	char *buf; /* bytes not yet taken: [start, len) */
	size_t start, scanned, len, cap;
	int fds[COW_CLIENT_FDS * 4]; /* came with bytes not yet taken, in order */
	unsigned fd_count;
};

const char *cow_client_host(const struct cow_args *args)
{
	const char *host = cow_args_string(args, "host");

	if (!host)
		host = getenv("COWHERD_HOST");
	return host && *host ? host : DEFAULT_HOST;
}

int cow_client_connect(const char *host, struct cow_client **ret, struct cow_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = !strncmp(host, "unix://", 7) ? host + 7 : host;
	_cleanup_close_ int fd = -1;
	struct cow_client *c;

	if (*path != '/')
		return cow_error_set(err, -EINVAL, "%s: a host is unix:///PATH", host);
	if (strlen(path) >= sizeof(sa.sun_path))
		return cow_error_errno(err, -ENAMETOOLONG, "%s", host);
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cow_error_errno(err, -errno, "socket");
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)))
		return cow_error_errno(err, -errno, "no supervisor answers at %s", host);
	c = calloc(1, sizeof(*c));
	if (!c)
		return cow_error_errno(err, -ENOMEM, "connection");
	c->fd = cow_take_fd(&fd);
	*ret = c;
	return 0;
}

void cow_client_close(struct cow_client *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->fd_count; i++)
		(void)close(c->fds[i]);
	(void)close(c->fd);
	free(c->buf);
	free(c);
}

int cow_client_fd(const struct cow_client *c)
{
	return c->fd;
}

static ssize_t send_some(int fd, const char *data, size_t len, const int *fds, unsigned fd_count)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * COW_CLIENT_FDS)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd_count) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static int send_line(struct cow_client *c, struct cow_strbuf *line, const int *fds,
		     unsigned fd_count, struct cow_error *err)
{
	size_t done = 0;

	cow_strbuf_add(line, "\n");
	if (line->error)
		return cow_error_errno(err, line->error, "request");
	if (line->len > LINE_MAX_BYTES)
		return cow_error_set(err, -E2BIG, "the request is larger than 16 MiB");
	while (done < line->len) {
		ssize_t n = send_some(c->fd, line->data + done, line->len - done, fds,
				      done ? 0 : fd_count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cow_error_errno(err, -errno,
					       "the supervisor does not listen any more");
		done += (size_t)n;
	}
	return 0;
}

int cow_client_send(struct cow_client *c, const char *method, const char *params, const int *fds,
		    unsigned fd_count, uint64_t *ret_id, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf line = COW_STRBUF_INIT;
	uint64_t id = ++c->next_id;
	int r;

	cow_strbuf_addf(&line,
			"{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":", (unsigned long long)id);
	cow_strbuf_json(&line, method);
	if (params) {
		cow_strbuf_add(&line, ",\"params\":");
		cow_strbuf_add(&line, params);
	}
	cow_strbuf_add(&line, "}");
	r = send_line(c, &line, fds, fd_count, err);
	if (!r && ret_id)
		*ret_id = id;
	return r;
}

int cow_client_cancel(struct cow_client *c, uint64_t id, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf line = COW_STRBUF_INIT;

	cow_strbuf_addf(&line,
			"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":%llu}}",
			(unsigned long long)id);
	return send_line(c, &line, NULL, 0, err);
}

/* Keep the descriptors of one message; those there is no room for are closed. */
static void collect_fds(struct cow_client *c, struct msghdr *msg)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		size_t n;

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(m) + i * sizeof(int), sizeof(fd));
			if (c->fd_count < COW_ELEMENTS(c->fds))
				c->fds[c->fd_count++] = fd;
			else
				(void)close(fd);
		}
	}
}

static int make_room(struct cow_client *c)
{
	char *grown;
	size_t cap;

	if (c->start) {
		memmove(c->buf, c->buf + c->start, c->len - c->start);
		c->len -= c->start;
		c->scanned -= c->start;
		c->start = 0;
	}
	if (c->cap - c->len >= READ_BYTES)
		return 0;
	cap = c->cap ? c->cap * 2 : 2 * READ_BYTES;
	if (cap > 2 * LINE_MAX_BYTES)
		return -EMSGSIZE;
	grown = realloc(c->buf, cap);
	if (!grown)
		return -ENOMEM;
	c->buf = grown;
	c->cap = cap;
	return 0;
}

/* 1: bytes came; 0: none yet. */
static int read_some(struct cow_client *c, bool wait, struct cow_error *err)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * COW_CLIENT_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	ssize_t n;
	int r = make_room(c);

	if (r)
		return cow_error_errno(err, r, "answer of the supervisor");
	iov.iov_base = c->buf + c->len;
	iov.iov_len = c->cap - c->len;
	do
		n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return cow_error_set(err, n ? -errno : -ECONNRESET,
				     "the supervisor closed the connection");
	collect_fds(c, &msg);
	c->len += (size_t)n;
	return 1;
}

static void take_fds(struct cow_client *c, struct cow_message *m)
{
	struct json_object *names = cow_get(m->value, "fds");
	size_t n = names && json_object_is_type(names, json_type_array)
		? json_object_array_length(names)
		: 0;

	if (n > c->fd_count)
		n = c->fd_count;
	if (n > COW_CLIENT_FDS)
		n = COW_CLIENT_FDS;
	memcpy(m->fds, c->fds, n * sizeof(int));
	c->fd_count -= (unsigned)n;
	memmove(c->fds, c->fds + n, c->fd_count * sizeof(int));
}

static void take_error(struct json_object *o, struct cow_error *ret)
{
	int code = (int)cow_get_int(o, "code", -EIO);
	struct json_object *data = cow_get(o, "data");

	(void)cow_error_set(ret, code ? code : -EIO, "%s",
			    cow_get_string(o, "message", "unknown error"));
	(void)snprintf(ret->step, sizeof(ret->step), "%s", cow_get_string(data, "step", ""));
}

static int take_line(struct cow_client *c, const char *line, size_t len, struct cow_message *ret,
		     struct cow_error *err)
{
	struct cow_message m = COW_MESSAGE_INIT;
	struct json_object *o = NULL;
	int r = cow_json_parse("answer of the supervisor", line, len, &m.root, err);

	if (r)
		return r;
	if (cow_get(m.root, "method")) {
		o = cow_get(m.root, "params");
		m.is_event = true;
		m.id = (uint64_t)cow_get_int(o, "id", 0);
		m.value = cow_get(o, "event");
	} else {
		m.id = (uint64_t)cow_get_int(m.root, "id", 0);
		m.value = cow_get(m.root, "result");
		o = cow_get(m.root, "error");
		if (o)
			take_error(o, &m.error);
	}
	take_fds(c, &m);
	*ret = m;
	return 1;
}

int cow_client_receive(struct cow_client *c, bool wait, struct cow_message *ret,
		       struct cow_error *err)
{
	for (;;) {
		char *end = c->len > c->scanned
			? memchr(c->buf + c->scanned, '\n', c->len - c->scanned)
			: NULL;
		int r;

		if (end) {
			const char *line = c->buf + c->start;

			c->start = c->scanned = (size_t)(end + 1 - c->buf);
			return take_line(c, line, (size_t)(end - line), ret, err);
		}
		c->scanned = c->len;
		r = read_some(c, wait, err);
		if (r <= 0)
			return r;
	}
}

void cow_message_finish(struct cow_message *m)
{
	json_object_put(m->root);
	m->root = m->value = NULL;
	for (unsigned i = 0; i < COW_CLIENT_FDS; i++) {
		if (m->fds[i] >= 0)
			(void)close(m->fds[i]);
		m->fds[i] = -1;
	}
}

static int await(struct cow_client *c, uint64_t id, cow_client_event_cb on_event, void *arg,
		 struct cow_message *ret, struct cow_error *err)
{
	for (;;) {
		struct cow_message m = COW_MESSAGE_INIT;
		int r = cow_client_receive(c, true, &m, err);

		if (r < 0)
			return r;
		if (m.id == id && !m.is_event) {
			r = m.error.code;
			if (r && err)
				*err = m.error;
			if (r)
				cow_message_finish(&m);
			else
				*ret = m;
			return r;
		}
		r = m.id == id && on_event ? on_event(arg, m.value) : 0;
		cow_message_finish(&m);
		if (r)
			return r;
	}
}

int cow_client_call(struct cow_client *c, const char *method, const char *params,
		    struct cow_message *ret, struct cow_error *err)
{
	uint64_t id;
	int r = cow_client_send(c, method, params, NULL, 0, &id, err);

	return r ? r : await(c, id, NULL, NULL, ret, err);
}

int cow_client_stream(struct cow_client *c, const char *method, const char *params,
		      cow_client_event_cb on_event, void *arg, struct cow_error *err)
{
	struct cow_message m = COW_MESSAGE_INIT;
	uint64_t id;
	int r = cow_client_send(c, method, params, NULL, 0, &id, err);

	if (!r)
		r = await(c, id, on_event, arg, &m, err);
	cow_message_finish(&m);
	return r;
}
