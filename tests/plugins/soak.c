/* SPDX-License-Identifier: MIT */
/*
 * A verb as plugins of size have them: `soak copy` passes its client's standard input on, however much it
 * is, tells how far it is, and can be given up while it waits; `soak status N` ends with a status.
 */
#include <cowherd/plugin.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CHUNK (16u << 20)

static const struct cowherd_host *host;
static struct cowherd_self *self;

struct copy {
	cowherd_op op;
	int in, out, stop;
	bool quiet, json, end;
	uint64_t bytes;
	struct copy *next;
};
static struct copy *copies;

static int put(int fd, const char *p, size_t n)
{
	while (n) {
		struct pollfd f = { .fd = fd, .events = POLLOUT };
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EAGAIN)
			(void)poll(&f, 1, -1);
		else if (w < 0 && errno != EINTR)
			return -errno;
		else if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

/* On the pool: a chunk, or until the input ends or nobody wants it any more. */
static int copy_some(void *arg)
{
	static _Thread_local char buf[65536];
	struct copy *c = arg;
	uint64_t until = c->bytes + CHUNK;

	while (c->bytes < until) {
		struct pollfd f[] = { { .fd = c->in, .events = POLLIN },
				      { .fd = c->stop, .events = POLLIN } };
		ssize_t n;
		int r;

		if (poll(f, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (f[1].revents)
			return -ECANCELED;
		n = read(c->in, buf, until - c->bytes < sizeof(buf) ? until - c->bytes : sizeof(buf));
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n == 0) {
			c->end = true;
			return 0;
		}
		r = n > 0 && c->out >= 0 ? put(c->out, buf, (size_t)n) : 0;
		if (r < 0)
			return r;
		c->bytes += n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

static void copy_over(struct copy *c, int code)
{
	char text[64];

	for (struct copy **p = &copies; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	(void)snprintf(text, sizeof(text), c->json ? "{\"bytes\":%llu}" : "%llu bytes",
		       (unsigned long long)c->bytes);
	host->log(self, COWHERD_LOG_INFO, NULL, "soak.over", code ? strerror(-code) : text);
	(void)host->answer(self, c->op,
			   &(struct cowherd_answer){ .size = sizeof(struct cowherd_answer),
						     .code = code,
						     .message = code ? "input: given up" : NULL,
						     .result = c->quiet ? NULL : text });
	(void)close(c->stop);
	free(c);
}

static void copied(void *arg, int result)
{
	struct copy *c = arg;
	char text[64];

	(void)snprintf(text, sizeof(text), "{\"bytes\":%llu}", (unsigned long long)c->bytes);
	if (!c->end && result == 0 && !c->quiet)
		(void)host->progress(self, c->op, text);
	if (c->end || result < 0 || host->offload(self, copy_some, copied, c) < 0)
		copy_over(c, result);
}

static void cancel(void *arg, cowherd_op op)
{
	(void)arg;
	for (struct copy *c = copies; c; c = c->next)
		if (c->op == op)
			(void)eventfd_write(c->stop, 1);
}

static int answer(cowherd_op op, int code, int exit_code, const char *text)
{
	(void)host->answer(self, op,
			   &(struct cowherd_answer){ .size = sizeof(struct cowherd_answer),
						     .code = code,
						     .exit_code = exit_code,
						     .message = code ? text : NULL,
						     .result = code ? NULL : text });
	return COWHERD_LATER;
}

static int call(void *arg, cowherd_op op, const struct cowherd_call *call)
{
	struct copy *c;
	const char *n = strpbrk(call->args, "0123456789");

	(void)arg;
	if (strstr(call->args, "\"--help\""))
		return answer(op, 0, 0, "help of its own");
	if (strstr(call->args, "\"status\""))
		return answer(op, strstr(call->args, "\"fail\"") ? -ENOENT : 0, n ? atoi(n) : 0,
			      "thing: it is so");
	if (!strstr(call->args, "\"copy\""))
		return answer(op, -EINVAL, 2, "soak: copy or status");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct copy){ .op = op, .in = call->in, .out = call->out, .stop = eventfd(0, EFD_CLOEXEC) };
	c->quiet = strstr(call->args, "\"-q\"") != NULL;
	c->json = strstr(call->args, "\"json\"") != NULL;
	if (strstr(call->args, "\"--sink\""))
		c->out = -1;
	c->next = copies;
	copies = c;
	if (host->offload(self, copy_some, copied, c) < 0)
		copy_over(c, -EAGAIN);
	return COWHERD_LATER;
}

static const struct cowherd_verb verb = {
	.size = sizeof(verb),
	.name = "soak",
	.usage = "soak copy|status [OPTIONS]",
	.help = "Pass standard input on",
	.details = "Options:\n  -q       say nothing\n  --sink   keep it\n",
	.call = call,
	.cancel = cancel,
};

static int init(const struct cowherd_host *h, struct cowherd_self *s)
{
	host = h;
	self = s;
	return host->register_verb(self, &verb, NULL);
}

static const struct cowherd_plugin plugin = {
	.size = sizeof(plugin),
	.abi_major = COWHERD_ABI_MAJOR,
	.abi_minor = COWHERD_ABI_MINOR,
	.name = "soak",
	.version = "1.0",
	.init = init,
};

COWHERD_EXPORT const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	(void)host_minor;
	return host_major == COWHERD_ABI_MAJOR ? &plugin : NULL;
}
