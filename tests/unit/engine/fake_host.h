/* SPDX-License-Identifier: MIT */
/*
 * A host without plugins: the registry functions the engine uses, on one scripted backend and a few
 * scripted allocators, on virtual time.  It keeps the books of what was taken and not given back.
 *
 * It defines the functions of host/host.h itself, so a program that includes it must not link the
 * real ones by other symbols.
 */
#ifndef TESTS_ENGINE_FAKE_HOST_H
#define TESTS_ENGINE_FAKE_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/ids.h"
#include "base/strbuf.h"
#include "engine/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* No test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define FAKE_ALLOCATORS 4
#define FAKE_TAKEN 256

enum fake_op {
	OP_ACQUIRE, /* + index of the allocator */
	OP_CREATE = OP_ACQUIRE + FAKE_ALLOCATORS,
	OP_START,
	OP_EXEC,
	OP_SIGNAL,
	OP_RESIZE,
	OP_PAUSE,
	OP_RESUME,
	OP_STATS,
	OP_SHUTDOWN,
	OP_TERMINATE,
	OP_ADOPT,
	OP_RELEASE,      /* the backend's */
	OP_GIVE,         /* + index of the allocator */
	OP_COUNT = OP_GIVE + FAKE_ALLOCATORS,
};
enum fake_how { BY_RETURN, INLINE, LATER, NEVER };

struct fake_system {
	uint64_t handle;
	char container[64];
	bool used, started, ended, closed;
	int out, err, in;
};

static struct fake {
	uv_loop_t loop;
	struct cow_timers timers;
	struct cow_ops *ops;
	struct cow_engine *engine;
	char root[64], run[80], state[80];
	const struct cow_host_events *events;
	void *events_arg;

	/* the script */
	enum fake_how how[OP_COUNT];
	int code[OP_COUNT];         /* 0 or negative errno */
	bool shutdown_ends, terminate_ends; /* the process obeys */
	bool fail_after_taking;     /* a failing acquire or create has taken something */
	bool adopt_alive;
	uint32_t allocators;
	const char *image;          /* the JSON that every image is */
	cow_op image_op;
	const char *patch;          /* what the first allocator does to the spec */
	const char *answer_result;
	bool master;                /* create answers with a descriptor (a terminal) */

	/* the books */
	char taken[FAKE_TAKEN][96]; /* "allocator/container"; "" is free */
	struct fake_system systems[64];
	uint64_t next_handle;
	uint32_t calls[OP_COUNT];
	struct { enum fake_op op; cow_op handle; uint64_t system; } pending[64];
	uint32_t pending_count;
	uint32_t live_max;          /* most live systems of one container at a time */
	char last_spec[8192];
	char last_process[4096];
	int last_signal;
	bool keep_out;              /* of an exec: a copy to last_out */
	int last_out;
	int last_exec_out;          /* as it was given */
	uint32_t stopped_hooks, deleted_hooks, shutdown_hooks;

	/* the last reply */
	uint32_t replies;
	int reply_code;
	char reply_message[1100], reply_step[64], reply_result[4096];
} fake;

static char fake_names[FAKE_ALLOCATORS][16];
static struct cow_allocator fake_table[FAKE_ALLOCATORS];
static const struct cow_allocator *fake_list[FAKE_ALLOCATORS];
static struct cow_backend fake_backend;
static struct cow_hook fake_hooks[3];
static const struct cow_hook *fake_hook_list[3];

/* ---- the books */

static void fake_take(const char *who, const char *container)
{
	for (uint32_t i = 0; i < FAKE_TAKEN; i++) {
		if (fake.taken[i][0])
			continue;
		(void)snprintf(fake.taken[i], sizeof(fake.taken[i]), "%s/%s", who, container);
		return;
	}
	fail_msg("too much taken");
}

static void fake_give(const char *who, const char *container)
{
	char name[96];

	(void)snprintf(name, sizeof(name), "%s/%s", who, container);
	for (uint32_t i = 0; i < FAKE_TAKEN; i++)
		if (strcmp(fake.taken[i], name) == 0)
			fake.taken[i][0] = '\0';
}

static uint32_t fake_held(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < FAKE_TAKEN; i++)
		n += fake.taken[i][0] != '\0';
	return n;
}

static uint32_t fake_held_by(const char *container)
{
	size_t len = strlen(container);
	uint32_t n = 0;

	for (uint32_t i = 0; i < FAKE_TAKEN; i++) {
		size_t all = strlen(fake.taken[i]);

		n += all > len && fake.taken[i][all - len - 1] == '/' &&
		     strcmp(fake.taken[i] + all - len, container) == 0;
	}
	return n;
}

static struct fake_system *fake_system(uint64_t handle)
{
	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		if (fake.systems[i].used && fake.systems[i].handle == handle)
			return &fake.systems[i];
	return NULL;
}

static struct fake_system *fake_system_of(const char *container)
{
	struct fake_system *best = NULL;

	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++) {
		struct fake_system *s = &fake.systems[i];

		if (s->used && !s->ended && strcmp(s->container, container) == 0 &&
		    (!best || s->handle > best->handle))
			best = s;
	}
	return best;
}

static void fake_system_streams(struct fake_system *s)
{
	int *fds[] = { &s->out, &s->err, &s->in };

	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}

/* The process is gone: its streams with it. */
static void fake_exit(uint64_t handle, int code, int signo)
{
	const struct cowherd_exit end = { .size = sizeof(end), .code = code, .signal = signo,
					  .time_ns = cow_realtime_ns() };
	struct fake_system *s = fake_system(handle);

	if (!s || s->ended)
		return;
	s->ended = true;
	fake_system_streams(s);
	if (!s->closed)
		fake.events->exited(fake.events_arg, "fake", handle, 0, &end);
}

/* ---- answers */

static int fake_reply(enum fake_op op, cow_op handle, uint64_t system, int fd)
{
	struct cowherd_answer payload = { .size = sizeof(payload),
					  .code = fake.code[op],
					  .handle = system,
					  .pid = 0,
					  .fd = fd,
					  .result = fake.answer_result };

	fake.calls[op]++;
	switch (fake.how[op]) {
	case BY_RETURN:
		if (fake.code[op] < 0)
			return fake.code[op];
		if (!system)
			return 0;
		/* A result can only be handed over by an answer: fall through. */
		__attribute__((fallthrough));
	case INLINE:
		(void)cow_ops_answer(
			fake.ops, handle,
			&(struct cow_answer){ .code = fake.code[op],
					      .message = fake.code[op] ? "fake: no" : NULL,
					      .payload = &payload });
		if (payload.fd >= 0)
			(void)close(payload.fd);
		return COW_LATER;
	case LATER:
		fake.pending[fake.pending_count].op = op;
		fake.pending[fake.pending_count].system = system;
		fake.pending[fake.pending_count++].handle = handle;
		return COW_LATER;
	case NEVER:
		break;
	}
	return COW_LATER;
}

/* Answer the oldest operation of that kind; false: none is pending. */
static bool fake_answer(enum fake_op op)
{
	for (uint32_t i = 0; i < fake.pending_count; i++) {
		struct cowherd_answer payload = { .size = sizeof(payload), .code = fake.code[op],
						  .handle = fake.pending[i].system, .fd = -1,
						  .result = fake.answer_result };
		cow_op handle = fake.pending[i].handle;

		if (fake.pending[i].op != op)
			continue;
		memmove(&fake.pending[i], &fake.pending[i + 1],
			(--fake.pending_count - i) * sizeof(fake.pending[0]));
		(void)cow_ops_answer(
			fake.ops, handle,
			&(struct cow_answer){ .code = fake.code[op],
					      .message = fake.code[op] ? "fake: no" : NULL,
					      .payload = &payload });
		return true;
	}
	return false;
}

/* ---- allocators */

static int fake_acquire(void *arg, cowherd_op op, const struct cowherd_request *request)
{
	size_t i = (size_t)(uintptr_t)arg;
	int rc = fake.events->intend(fake.events_arg, op, fake_names[i], "thing", "{\"n\":1}");

	assert_int_equal(rc, 0);
	if (fake.code[OP_ACQUIRE + i] == 0 || fake.fail_after_taking) {
		fake_give(fake_names[i], request->container); /* what is there is taken up again */
		fake_take(fake_names[i], request->container);
	}
	if (i == 0 && fake.patch)
		assert_int_equal(fake.events->patch_spec(fake.events_arg, op, fake.patch), 0);
	return fake_reply(OP_ACQUIRE + (enum fake_op)i, op, 0, -1);
}

static int fake_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	size_t i = (size_t)(uintptr_t)arg;

	if (fake.code[OP_GIVE + i] == 0)
		fake_give(fake_names[i], record->container);
	return fake_reply(OP_GIVE + (enum fake_op)i, op, 0, -1);
}

/* ---- the backend */

static int backend_supports(void *arg, const struct cowherd_request *request)
{
	(void)arg;
	(void)snprintf(fake.last_spec, sizeof(fake.last_spec), "%s", request->spec);
	return 1;
}

static uint32_t fake_lives(const char *container)
{
	uint32_t n = 0;

	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++)
		n += fake.systems[i].used && !fake.systems[i].ended &&
		     strcmp(fake.systems[i].container, container) == 0;
	return n;
}

static uint64_t fake_system_add(const char *container)
{
	for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++) {
		struct fake_system *s = &fake.systems[i];

		if (s->used)
			continue;
		*s = (struct fake_system){
			.used = true, .handle = ++fake.next_handle, .out = -1, .err = -1, .in = -1
		};
		(void)snprintf(s->container, sizeof(s->container), "%s", container);
		if (fake_lives(container) > fake.live_max)
			fake.live_max = fake_lives(container);
		return s->handle;
	}
	fail_msg("too many systems");
	return 0;
}

static int fake_dup(int fd)
{
	return fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
}

static int backend_create(void *arg, cowherd_op op, const struct cowherd_request *request,
			  const struct cowherd_stdio *stdio)
{
	uint64_t handle;
	struct fake_system *s;
	int fds[2] = { -1, -1 };

	(void)arg;
	(void)snprintf(fake.last_spec, sizeof(fake.last_spec), "%s", request->spec);
	assert_int_equal(fake.events->intend(fake.events_arg, op, "fake", "system", "{}"), 0);
	if (fake.code[OP_CREATE] < 0 && !fake.fail_after_taking)
		return fake_reply(OP_CREATE, op, 0, -1);
	fake_take("fake", request->container);
	handle = fake_system_add(request->container);
	s = fake_system(handle);
	if (fake.master) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		s->out = fds[1];
	} else {
		s->in = fake_dup(stdio->in);
		s->out = fake_dup(stdio->out);
		s->err = fake_dup(stdio->err);
	}
	return fake_reply(OP_CREATE, op, handle, fds[0]);
}

static int backend_start(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	assert_non_null(fake_system(system));
	if (fake.code[OP_START] == 0)
		fake_system(system)->started = true;
	return fake_reply(OP_START, op, 0, -1);
}

static int backend_exec(void *arg, cowherd_op op, uint64_t system, const char *process,
			const struct cowherd_stdio *stdio)
{
	(void)arg;
	(void)system;
	fake.last_exec_out = stdio->out;
	if (fake.keep_out)
		fake.last_out = fake_dup(stdio->out);
	(void)snprintf(fake.last_process, sizeof(fake.last_process), "%s", process);
	return fake_reply(OP_EXEC, op, fake.code[OP_EXEC] ? 0 : ++fake.next_handle, -1);
}

static int backend_signal(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo,
			  uint32_t flags)
{
	(void)arg;
	(void)system;
	(void)process;
	(void)flags;
	fake.last_signal = signo;
	return fake_reply(OP_SIGNAL, op, 0, -1);
}

static int backend_resize(void *arg, cowherd_op op, uint64_t system, uint64_t process,
			  uint16_t height, uint16_t width)
{
	(void)arg;
	(void)system;
	(void)process;
	(void)height;
	(void)width;
	return fake_reply(OP_RESIZE, op, 0, -1);
}

static int backend_pause(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	(void)system;
	return fake_reply(OP_PAUSE, op, 0, -1);
}

static int backend_resume(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	(void)system;
	return fake_reply(OP_RESUME, op, 0, -1);
}

static int backend_stats(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	(void)system;
	return fake_reply(OP_STATS, op, 0, -1);
}

static int backend_shutdown(void *arg, cowherd_op op, uint64_t system, int signo)
{
	(void)arg;
	fake.last_signal = signo;
	if (fake.shutdown_ends)
		fake_exit(system, 128 + signo, signo);
	return fake_reply(OP_SHUTDOWN, op, 0, -1);
}

static int backend_terminate(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	if (fake.terminate_ends && fake.code[OP_TERMINATE] == 0)
		fake_exit(system, 137, SIGKILL);
	return fake_reply(OP_TERMINATE, op, 0, -1);
}

static void backend_close(void *arg, uint64_t system)
{
	(void)arg;
	assert_non_null(fake_system(system));
	assert_false(fake_system(system)->closed);
	fake_system(system)->closed = true;
}

static int backend_adopt(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	struct fake_system *s = fake_system_of(record->container);

	(void)arg;
	if (fake.code[OP_ADOPT] == 0 && (!fake.adopt_alive || !s))
		return -ESRCH;
	if (s)
		s->closed = false;
	return fake_reply(OP_ADOPT, op, s ? s->handle : 0, -1);
}

static int backend_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	if (fake.code[OP_RELEASE] == 0) {
		for (size_t i = 0; i < COW_ELEMENTS(fake.systems); i++) {
			struct fake_system *s = &fake.systems[i];

			if (!s->used || strcmp(s->container, record->container) != 0)
				continue;
			fake_exit(s->handle, 137, SIGKILL);
			fake_system_streams(s);
			s->used = false;
		}
		fake_give("fake", record->container);
	}
	return fake_reply(OP_RELEASE, op, 0, -1);
}

static int fake_hook(void *arg, cowherd_op op, const char *container)
{
	(void)op;
	(void)container;
	++*(uint32_t *)arg;
	return 0;
}

/* ---- host/host.h, as far as the engine goes */

uint32_t cow_host_allocators(struct cow_host *host, const struct cow_allocator *const **ret)
{
	(void)host;
	*ret = fake_list;
	return fake.allocators;
}

const struct cow_allocator *cow_host_allocator(struct cow_host *host, const char *name)
{
	(void)host;
	for (uint32_t i = 0; i < fake.allocators; i++)
		if (strcmp(fake_names[i], name) == 0)
			return &fake_table[i];
	return NULL;
}

const struct cow_backend *cow_host_backend(struct cow_host *host, const char *name)
{
	(void)host;
	return strcmp(name, "fake") == 0 ? &fake_backend : NULL;
}

const struct cow_backend *cow_host_choose_backend(struct cow_host *host,
						  const struct cowherd_request *request)
{
	(void)host;
	(void)backend_supports(NULL, request);
	return &fake_backend;
}

/* ---- images: by name; "later" is never answered, but by fake.image_op */

static int fake_resolve(void *arg, cowherd_op op, const char *reference, const char *platform)
{
	const char *result = fake.image;

	(void)arg;
	(void)platform;
	fake.image_op = op;
	if (strcmp(reference, "later") == 0)
		return COW_LATER;
	if (!result || strcmp(reference, "none") == 0)
		return -ENOENT;
	(void)cow_ops_answer(fake.ops, op,
			     &(struct cow_answer){
				     .payload = &(struct cowherd_answer){
					     .size = sizeof(struct cowherd_answer),
					     .result = result } });
	return COW_LATER;
}

static const struct cow_image_source fake_source = {
	.table = { .size = sizeof(fake_source.table), .name = "fake", .resolve_ms = 5000,
		   .resolve = fake_resolve },
};
static const struct cow_image_source *const fake_sources[] = { &fake_source };

uint32_t cow_host_image_sources(struct cow_host *host, const struct cow_image_source *const **ret)
{
	(void)host;
	*ret = fake_sources;
	return fake.image ? 1 : 0;
}

uint32_t cow_host_hooks(struct cow_host *host, const struct cow_hook *const **ret)
{
	(void)host;
	*ret = fake_hook_list;
	return 3;
}

void cow_host_set_events(struct cow_host *host, const struct cow_host_events *events, void *arg)
{
	(void)host;
	fake.events = events;
	fake.events_arg = arg;
}

int cow_host_take_fd(const struct cow_answer *answer)
{
	struct cowherd_answer *payload = (struct cowherd_answer *)(uintptr_t)answer->payload;
	int fd = payload ? payload->fd : -1;

	if (payload)
		payload->fd = -1;
	return fd;
}

#endif
