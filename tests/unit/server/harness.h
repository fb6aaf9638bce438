/* SPDX-License-Identifier: MIT */
/* A server on a loop turned by hand, and clients at the other ends of socket pairs. */
#ifndef SERVER_HARNESS_H
#define SERVER_HARNESS_H

#include "server/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/server/fake_engine.h"

#include <poll.h>
#include <sys/socket.h>

static struct {
	uv_loop_t loop;
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_server *server;
	bool closed;
	int fds_before;
} h;

static inline int count_fds(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

static inline void turn(void)
{
	cow_timers_advance(&h.timers, h.timers.now_ms);
	for (int i = 0; i < 4; i++)
		(void)uv_run(&h.loop, UV_RUN_NOWAIT);
}

static inline void pass_ms(uint64_t ms)
{
	cow_timers_advance(&h.timers, h.timers.now_ms + ms);
	turn();
}

static inline void start_at(const char *path, uint32_t max)
{
	struct cow_server_setup setup = { .loop = &h.loop,
					  .timers = &h.timers,
					  .socket_path = path,
					  .owner = "tester",
					  .run_root = "/run/x",
					  .state_root = "/var/x",
					  .max_connections = max };
	struct cow_error err = { 0 };

	fake_reset();
	h.fds_before = count_fds();
	h.closed = false;
	assert_int_equal(uv_loop_init(&h.loop), 0);
	cow_timers_init(&h.timers, 1000);
	h.ops = cow_ops_create(&h.timers);
	assert_non_null(h.ops);
	setup.ops = h.ops;
	if (cow_server_create(&setup, &h.server, &err) < 0)
		fail_msg("%s", err.message);
}

static inline void closed_cb(void *arg)
{
	*(bool *)arg = true;
}

/* Nothing is left: no handle, no descriptor, no operation; and no memory, says the sanitizer. */
static inline void stop(void)
{
	cow_server_close(h.server, closed_cb, &h.closed);
	assert_false(h.closed);
	turn();
	assert_true(h.closed);
	assert_int_equal(uv_loop_close(&h.loop), 0);
	assert_int_equal(cow_ops_count(h.ops), 0);
	cow_ops_destroy(h.ops);
	cow_timers_finish(&h.timers);
	assert_int_equal(count_fds(), h.fds_before);
}

/* libuv opens descriptors of the process with the first loop. */
static inline int warm_up(void **state)
{
	uv_loop_t loop;

	(void)state;
	return uv_loop_init(&loop) < 0 || uv_loop_close(&loop) < 0;
}

static inline int setup_server(void **state)
{
	(void)state;
	start_at(NULL, 0);
	return 0;
}

static inline int teardown_server(void **state)
{
	(void)state;
	stop();
	return 0;
}

static inline int client(void)
{
	struct conn *c;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	assert_int_equal(conn_open(h.server, fds[1], 0, &c), 0);
	return fds[0];
}

static inline void put(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
	turn();
}

static inline void put_fds(int fd, const char *text, const int *fds, unsigned n)
{
	char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
	turn();
}

/* Until something comes: for what takes a detour by the thread pool. */
static inline void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (int i = 0; i < 5000 && poll(&p, 1, 1) == 0; i++)
		turn();
}

/* What has come, as text; "" nothing, "EOF" where the server has hung up. */
static inline const char *get(int fd)
{
	static char buf[1 << 20];
	ssize_t n;

	turn();
	n = recv(fd, buf, sizeof(buf) - 1, 0);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return "EOF";
	buf[n < 0 ? 0 : n] = 0;
	return buf;
}

static inline const char *get_fds(int fd, int *fds, unsigned n)
{
	static char buf[4096];
	char control[CMSG_SPACE(16 * sizeof(int))];
	struct iovec iov = { buf, sizeof(buf) - 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t len;

	turn();
	len = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	assert_true(len > 0);
	buf[len] = 0;
	assert_non_null(CMSG_FIRSTHDR(&msg));
	assert_int_equal(CMSG_FIRSTHDR(&msg)->cmsg_len, CMSG_LEN(n * sizeof(int)));
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), n * sizeof(int));
	return buf;
}

static inline void hang_up(int fd)
{
	(void)close(fd);
	turn();
}

static inline void answer_pending(const char *name, int code, const char *text)
{
	struct fake_call *c = fake_pending(name);

	assert_non_null(c);
	fake_answer(c, code, text);
}

#define assert_has(text, part)                                             \
	do {                                                               \
		const char *_text = (text);                                \
		if (!strstr(_text, part))                                  \
			fail_msg("\"%s\" is not in: %.500s", part, _text); \
	} while (0)

#define CALL(id, method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"" method "\",\"params\":" params "}\n"

#endif
