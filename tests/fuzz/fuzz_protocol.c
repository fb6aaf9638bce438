/* SPDX-License-Identifier: MIT */
/*
 * What clients may send: bytes of the control socket, cut anywhere, while the engine answers late, never
 * or with an error, events come, and clients go away.  Whatever it was, closing leaves nothing.
 *
 * The input is what the client sends, but for 0xff (in no UTF-8 text), which begins a command:
 *	0xff '0'..'3'   the bytes that follow come from this client
 *	0xff 'f' N      with the bytes before it, N (0 to 7) descriptors
 *	0xff 'a' N      the engine answers its Nth call that is open; 'e' N: with an error
 *	0xff 'p'        the plugin answers its newest call; 'P': with an error
 *	0xff 'v'        an event; 'o': the end of the newest output; 'n': a second passes
 *	0xff 'x'        the client hangs up
 * and any other: the bytes before it and after it are read apart.
 */
#include "server/internal.h"

#include "base/cleanup.h"
#include "tests/unit/server/fake_engine.h"

#include <fcntl.h>
#include <stdlib.h>

#define CLIENTS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uv_loop_t loop;
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_server *server;
	struct conn *clients[CLIENTS];
	unsigned client;
	cow_op verb; /* the newest call of the plugin's verb */
	bool closed;
} f;

static void must(bool good)
{
	if (!good)
		abort();
}

static void turn(void)
{
	cow_timers_advance(&f.timers, f.timers.now_ms);
	for (int i = 0; i < 4; i++)
		(void)uv_run(&f.loop, UV_RUN_NOWAIT);
}

/* A connection that was given up is freed on a later turn. */
static struct conn *client(void)
{
	struct conn **c = &f.clients[f.client];
	bool alive = false;

	cow_list_for(e, &f.server->conns)
		alive = alive || *c == (struct conn *)e;
	if (!alive)
		must(conn_open(f.server, -1, 0, c) == 0);
	return *c;
}

static void feed(const uint8_t *data, size_t size, unsigned fds)
{
	int list[8];

	for (unsigned i = 0; i < fds; i++)
		must((list[i] = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0);
	if (size > 0)
		conn_feed(client(), (const char *)data, size, list, fds);
	else
		while (fds > 0)
			(void)close(list[--fds]);
	turn();
}

static void answer(unsigned n, int code)
{
	for (unsigned i = 0; i < fake.count && i < FAKE_CALLS; i++) {
		if (fake.calls[i].over || n-- > 0)
			continue;
		fake_answer(&fake.calls[i], code, code ? "fake: no" : "{\"id\":\"c1\"}");
		return;
	}
}

static void end_output(void)
{
	struct cow_follow *follow = fake.follow;

	if (!follow)
		return;
	fake.follow = NULL;
	(void)close(follow->out);
	(void)close(follow->err);
	follow->done(follow->arg, 0);
	free(follow);
}

/* One command behind 0xff; how many bytes it took. */
static size_t command(const uint8_t *data, size_t size)
{
	unsigned n = size > 1 ? data[1] : 0;

	switch (size > 0 ? data[0] : 0) {
	case '0' ... '3':
		f.client = data[0] - '0';
		return 1;
	case 'a':
	case 'e':
		answer(n, data[0] == 'e' ? -EIO : 0);
		return size > 1 ? 2 : 1;
	case 'p':
	case 'P':
		(void)cow_ops_answer(f.ops, f.verb, &(struct cow_answer){ .code = *data == 'P' ? -EIO : 0 });
		return 1;
	case 'v':
		(void)verb_progress(f.server, f.verb, "{\"done\":1}");
		if (fake.subscription)
			fake.subscription->cb(fake.subscription->arg, "c1",
					      "{\"time_ns\":7,\"event\":\"stopped\",\"name\":\"web\"}");
		return 1;
	case 'o':
		end_output();
		return 1;
	case 'n':
		cow_timers_advance(&f.timers, f.timers.now_ms + 1000);
		return 1;
	case 'x':
		conn_doom(client());
		return 1;
	default:
		return size > 0;
	}
}

static void run(const uint8_t *data, size_t size)
{
	while (size > 0) {
		const uint8_t *end = memchr(data, 0xff, size);
		size_t n = end ? (size_t)(end - data) : size;
		unsigned fds = size > n + 2 && data[n + 1] == 'f' ? data[n + 2] % 8 : 0;

		feed(data, n, fds);
		data += n;
		size -= n;
		if (size > 0) {
			n = 1 + command(data + 1, size - 1);
			turn();
			data += n;
			size -= n;
		}
	}
}

static void reload(void *arg, cow_engine_cb done, void *done_arg)
{
	(void)arg;
	done(done_arg, NULL, "{\"added\":[]}");
}

static void stop(void *arg, int64_t timeout_ms, bool kill, cow_engine_cb done, void *done_arg)
{
	static const struct cow_error busy = { .code = -EBUSY, .message = "busy" };

	(void)arg;
	(void)timeout_ms;
	done(done_arg, kill ? &busy : NULL, "{}");
}

/* A verb that its plugin answers later, if at all; asked to finish, at once. */
static int verb(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	(void)arg;
	(void)call;
	f.verb = op;
	return COWHERD_LATER;
}

static void verb_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	(void)cow_ops_answer(f.ops, op, &(struct cow_answer){ .code = -ECANCELED });
}

static void begin(void)
{
	struct cow_server_setup setup = { .loop = &f.loop, .timers = &f.timers, .owner = "tester",
					  .run_root = "/run/x", .state_root = "/var/x",
					  .callbacks = { .reload = reload, .shutdown = stop } };
	struct cow_error err = { 0 };

	fake_reset();
	fake.verb.table = (struct cowherd_verb){ .size = sizeof(fake.verb.table), .name = "verb", .usage = "",
						 .help = "", .call = verb, .cancel = verb_cancel };
	memset(f.clients, 0, sizeof(f.clients));
	f.client = 0;
	f.closed = false;
	must(uv_loop_init(&f.loop) == 0);
	cow_timers_init(&f.timers, 1000);
	must((setup.ops = f.ops = cow_ops_create(&f.timers)));
	must(cow_server_create(&setup, &f.server, &err) == 0);
}

static void closed_cb(void *arg)
{
	*(bool *)arg = true;
}

/* The server goes with its last answer. */
static void end(void)
{
	cow_server_close(f.server, closed_cb, &f.closed);
	turn();
	must(f.closed);
	fake_answer_all("{}");
	if (fake.stdin_fd >= 0)
		(void)close(fake.stdin_fd);
	must(fake.subscriptions == 0 && !fake.follow);
	must(uv_loop_close(&f.loop) == 0);
	must(cow_ops_count(f.ops) == 0);
	cow_ops_destroy(f.ops);
	cow_timers_finish(&f.timers);
}

/* Which of the first 64 are open. */
static uint64_t open_fds(void)
{
	uint64_t fds = 0;

	for (int fd = 0; fd < 64; fd++)
		fds |= (uint64_t)(fcntl(fd, F_GETFD) >= 0) << fd;
	return fds;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool warm; /* libuv keeps some from the first loop on */
	uint64_t before;

	if (!warm) {
		begin();
		end();
		warm = true;
	}
	before = open_fds();
	begin();
	run(data, size);
	end();
	must(open_fds() == before);
	return 0;
}
