/* SPDX-License-Identifier: MIT */
/*
 * A plugin of ABI 1.0's time: uses every function and struct that ABI has, and sees to it that what
 * the host hands over is at least as large as it was then.  Never adapted to a later header.
 */
#include "cowherd/plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cowherd_host *host;
static struct cowherd_self *self;
static int ends[2] = { -1, -1 };
static uint64_t timer, watch;
static unsigned timers, watches, jobs;

#define GROWN(p) ((p) && (p)->size >= sizeof(*(p)))

static int request_fine(const struct cowherd_request *r)
{
	return GROWN(r) && r->container && r->name && r->owner && r->txn && r->bundle && r->spec &&
	       r->options && r->run_dir && r->state_dir;
}

static int acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	int rc;

	if (arg != &host || !request_fine(request))
		return -EPROTO;
	rc = host->intend(self, op, "nothing", "{\"taken\":false}");
	if (rc == 0)
		rc = host->forget(self, op, "nothing");
	if (rc == 0)
		rc = host->intend(self, op, "something", "{\"taken\":true}");
	return rc == 0 ? host->patch_spec(self, op, "{\"annotations\":{\"abi\":\"1.0\"}}") : rc;
}

static int release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	const struct cowherd_answer answer = { .size = sizeof(answer) };

	if (arg != &host || !GROWN(record) || !strstr(record->record, "\"taken\""))
		return -EPROTO;
	return host->answer(self, op, &answer) == 0 ? COWHERD_LATER : -EPROTO;
}

static void cancel(void *arg, cowherd_op op)
{
	(void)arg;
	(void)op;
}

static int supports(void *arg, const struct cowherd_request *request)
{
	(void)arg;
	return request_fine(request) ? 1 : -EPROTO;
}

static int create(void *arg, cowherd_op op, const struct cowherd_request *request,
		  const struct cowherd_stdio *stdio)
{
	const struct cowherd_answer answer = { .size = sizeof(answer), .handle = 10, .pid = 1, .fd = -1 };

	(void)arg;
	if (!request_fine(request) || !GROWN(stdio))
		return -EPROTO;
	return host->answer(self, op, &answer) == 0 ? COWHERD_LATER : -EPROTO;
}

static int start(void *arg, cowherd_op op, uint64_t system)
{
	const struct cowherd_exit end = { .size = sizeof(end), .code = 5, .time_ns = 1 };

	(void)arg;
	(void)op;
	host->notice(self, system, "abi", "{\"version\":\"1.0\"}");
	host->exited(self, system, 0, &end);
	return 0;
}

static int exec(void *arg, cowherd_op op, uint64_t system, const char *process,
		const struct cowherd_stdio *stdio)
{
	(void)arg;
	(void)op;
	(void)system;
	(void)process;
	(void)stdio;
	return -ENOSYS;
}

static int send_signal(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo,
		       uint32_t flags)
{
	(void)arg;
	(void)op;
	(void)system;
	(void)process;
	(void)signo;
	return flags & COWHERD_SIGNAL_ALL ? 0 : -ESRCH;
}

static int resize(void *arg, cowherd_op op, uint64_t system, uint64_t process, uint16_t height,
		  uint16_t width)
{
	(void)arg;
	(void)op;
	(void)system;
	(void)process;
	return height == 24 && width == 80 ? 0 : -EPROTO;
}

static int with_system(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	(void)op;
	return system == 10 ? 0 : -ESRCH;
}

static int stats(void *arg, cowherd_op op, uint64_t system)
{
	const struct cowherd_answer answer = { .size = sizeof(answer), .result = "{\"pids\":1}" };

	(void)arg;
	(void)system;
	return host->answer(self, op, &answer) == 0 ? COWHERD_LATER : -EPROTO;
}

static int shut_down(void *arg, cowherd_op op, uint64_t system, int signo)
{
	(void)arg;
	(void)op;
	(void)signo;
	return system == 10 ? 0 : -ESRCH;
}

static void close_system(void *arg, uint64_t system)
{
	(void)arg;
	(void)system;
}

static int adopt(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	(void)op;
	return GROWN(record) ? -ESRCH : -EPROTO;
}

static int hook(void *arg, cowherd_op op, const char *container)
{
	(void)arg;
	(void)op;
	host->log(self, COWHERD_LOG_DEBUG, container, "abi.hook", "1.0");
	return 0;
}

static int call(void *arg, cowherd_op op, const struct cowherd_call *c)
{
	char text[64];
	const struct cowherd_answer answer = { .size = sizeof(answer), .result = text };

	(void)arg;
	if (!GROWN(c) || !c->args || !c->cwd || host->progress(self, op, "{}") < 0)
		return -EPROTO;
	(void)snprintf(text, sizeof(text), "%u timers, %u watches, %u jobs", timers, watches, jobs);
	return host->answer(self, op, &answer) == 0 ? COWHERD_LATER : -EPROTO;
}

static int check(void *arg, const char *json, char *message, size_t message_size)
{
	(void)arg;
	(void)snprintf(message, message_size, ": is what it is");
	return strcmp(json, "{}") == 0 ? 0 : -EINVAL;
}

static int apply(void *arg, const char *json)
{
	(void)arg;
	(void)json;
	return 0;
}

static void timer_cb(void *arg)
{
	(void)arg;
	timers++;
	host->timer_stop(self, timer);
}

static void fd_cb(void *arg, int fd, uint32_t events)
{
	(void)arg;
	if (fd == ends[0] && (events & COWHERD_FD_READ))
		watches++;
	host->unwatch_fd(self, watch);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static int work(void *arg)
{
	(void)arg;
	return 42;
}

static void work_done(void *arg, int result)
{
	(void)arg;
	jobs += result == 42;
}

static int register_all(void)
{
	static const struct cowherd_allocator allocator = {
		.size = sizeof(allocator), .name = "abi.thing", .phase = COWHERD_PHASE_IDENTITY,
		.flags = COWHERD_DURABLE, .acquire_ms = 1000, .release_ms = 1000, .acquire = acquire,
		.release = release, .cancel = cancel,
	};
	static const struct cowherd_backend backend = {
		.size = sizeof(backend), .name = "abi", .create_ms = 1, .start_ms = 2, .release_ms = 3,
		.supports = supports, .create = create, .start = start, .exec = exec,
		.signal = send_signal, .resize = resize, .pause = with_system, .resume = with_system,
		.stats = stats, .shutdown = shut_down, .terminate = with_system, .close = close_system,
		.adopt = adopt, .release = release, .cancel = cancel,
	};
	static const struct cowherd_verb verb = {
		.size = sizeof(verb), .name = "abi", .usage = "abi", .help = "Says what it counted",
		.call = call, .cancel = cancel,
	};
	static const struct cowherd_config_section section = {
		.size = sizeof(section), .name = "abi", .check = check, .apply = apply,
	};
	static const struct {
		size_t size;
	} service = { sizeof(service) };
	int rc = host->register_allocator(self, &allocator, &host);

	if (rc == 0)
		rc = host->register_backend(self, &backend, &host);
	if (rc == 0)
		rc = host->register_hook(self, COWHERD_HOOK_CONTAINER_DELETED, hook, NULL);
	if (rc == 0)
		rc = host->register_verb(self, &verb, NULL);
	if (rc == 0)
		rc = host->register_config(self, &section, NULL);
	if (rc == 0)
		rc = host->provide(self, "abi.service", 1, &service);
	if (rc == 0 && host->lookup(self, "abi.service", 1) != &service)
		rc = -EPROTO;
	return rc;
}

static int init(const struct cowherd_host *h, struct cowherd_self *s)
{
	int rc;

	host = h;
	self = s;
	timers = watches = jobs = 0;
	if (!GROWN(h) || h->abi_major != 1 || !h->version || !h->run_dir || !h->state_dir ||
	    !h->libexec_dir)
		return -EPROTO;
	rc = register_all();
	if (rc == 0 && pipe(ends) < 0)
		rc = -errno;
	if (rc == 0)
		rc = h->timer_start(s, 10, 10, timer_cb, NULL, &timer);
	if (rc == 0)
		rc = h->watch_fd(s, ends[0], COWHERD_FD_READ | COWHERD_FD_HANGUP, fd_cb, NULL, &watch);
	if (rc == 0 && write(ends[1], "x", 1) != 1)
		rc = -EIO;
	return rc == 0 ? h->offload(s, work, work_done, NULL) : rc;
}

static int fini(char *message, size_t message_size)
{
	(void)message;
	(void)message_size;
	return 0;
}

const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major, uint32_t host_minor)
{
	static const char *const provides[] = { "abi-1-0", NULL };
	static const char *const requires_[] = { NULL };
	static const struct cowherd_plugin plugin = {
		.size = sizeof(plugin), .abi_major = COWHERD_ABI_MAJOR, .abi_minor = COWHERD_ABI_MINOR,
		.name = "abi10", .version = "1.0", .description = "uses all of ABI 1.0",
		.provides = provides, .requires_ = requires_, .init = init, .fini = fini,
	};

	(void)host_minor;
	return host_major == 1 ? &plugin : NULL;
}
