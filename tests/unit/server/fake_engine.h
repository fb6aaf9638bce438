/* SPDX-License-Identifier: MIT */
/*
 * A scripted engine and host behind the server: each call is noted, and answered when the test says
 * so. Definitions, not declarations: include it once per program.
 */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include "engine/engine.h"
#include "host/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FAKE_CALLS 4096

struct fake_call {
	const char *name;
	char detail[128];
	cow_engine_cb cb;
	cow_engine_exec_cb exec_cb;
	void *arg;
	uint64_t wait; /* not 0: can be given up */
	bool over;
};

struct cow_follow {
	int out, err;
	void (*done)(void *arg, int code);
	void *arg;
	struct cow_follow_options options;
};

struct cow_subscription {
	cow_event_cb cb;
	void *arg;
};

static struct {
	struct fake_call calls[FAKE_CALLS];
	unsigned count, waits_cancelled, follows_closed, subscriptions;
	struct cow_subscription *subscription; /* the newest */
	struct cow_follow *follow;             /* the newest */
	int exec_fds[3], stdin_fd;
	bool fail_reads;
	const char *list, *inspect;
	struct cow_verb verb;
	cow_engine_progress_cb progress;
	void *progress_arg;
} fake;

static inline void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.stdin_fd = -1;
	fake.list = "[]";
	fake.inspect = "{\"id\":\"c1\",\"terminal\":false}";
}

static inline struct fake_call *fake_note(const char *name, const char *detail, cow_engine_cb cb,
					  void *arg)
{
	struct fake_call *c = &fake.calls[fake.count++ % FAKE_CALLS];

	*c = (struct fake_call){ .name = name, .cb = cb, .arg = arg };
	(void)snprintf(c->detail, sizeof(c->detail), "%s", detail ? detail : "");
	return c;
}

/* The newest call of that name that is still to be answered. */
static inline struct fake_call *fake_pending(const char *name)
{
	for (unsigned i = fake.count; i-- > 0;) {
		struct fake_call *c = &fake.calls[i % FAKE_CALLS];

		if (!c->over && strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static inline void fake_answer(struct fake_call *c, int code, const char *text)
{
	struct cow_error err = { .code = code };

	c->over = true;
	if (code)
		(void)snprintf(err.message, sizeof(err.message), "%s", text);
	if (c->exec_cb)
		c->exec_cb(c->arg, code ? &err : NULL, 7, 4711, -1);
	else
		c->cb(c->arg, code ? &err : NULL, code ? NULL : text);
}

static inline void fake_answer_all(const char *text)
{
	for (unsigned i = 0; i < fake.count && i < FAKE_CALLS; i++) {
		if (!fake.calls[i].over)
			fake_answer(&fake.calls[i], 0, text);
	}
}

#define FAKE_VERB(verb)                                                                    \
	void cow_engine_container_##verb(struct cow_engine *engine, const char *container, \
					 cow_engine_cb cb, void *arg)                      \
	{                                                                                  \
		(void)engine;                                                              \
		(void)fake_note(#verb, container, cb, arg);                                \
	}
FAKE_VERB(start)
FAKE_VERB(release)
FAKE_VERB(pause)
FAKE_VERB(resume)
FAKE_VERB(stats)
FAKE_VERB(top)

void cow_engine_on_progress(struct cow_engine *engine, cow_engine_progress_cb cb, void *arg)
{
	(void)engine;
	fake.progress = cb;
	fake.progress_arg = arg;
}

void cow_engine_container_create(struct cow_engine *engine, struct json_object *params,
				 cow_engine_cb cb, void *arg)
{
	(void)engine;
	(void)fake_note("create", json_object_to_json_string(params), cb, arg);
}

void cow_engine_container_stop(struct cow_engine *engine, const char *container, int64_t timeout_ms,
			       int signo, cow_engine_cb cb, void *arg)
{
	struct fake_call *c = fake_note("stop", NULL, cb, arg);

	(void)engine;
	(void)snprintf(c->detail, sizeof(c->detail), "%.60s %lld %d", container,
		       (long long)timeout_ms, signo);
}

void cow_engine_container_restart(struct cow_engine *engine, const char *container,
				  int64_t timeout_ms, cow_engine_cb cb, void *arg)
{
	struct fake_call *c = fake_note("restart", NULL, cb, arg);

	(void)engine;
	(void)snprintf(c->detail, sizeof(c->detail), "%.60s %lld", container,
		       (long long)timeout_ms);
}

void cow_engine_container_kill(struct cow_engine *engine, const char *container, int signo,
			       bool all, cow_engine_cb cb, void *arg)
{
	struct fake_call *c = fake_note("kill", NULL, cb, arg);

	(void)engine;
	(void)snprintf(c->detail, sizeof(c->detail), "%.60s %d %d", container, signo, all);
}

void cow_engine_container_delete(struct cow_engine *engine, const char *container, bool force,
				 cow_engine_cb cb, void *arg)
{
	(void)engine;
	(void)fake_note(force ? "delete force" : "delete", container, cb, arg);
}

void cow_engine_container_wait(struct cow_engine *engine, const char *container,
			       enum cow_wait condition, cow_engine_cb cb, void *arg,
			       uint64_t *ret_wait)
{
	struct fake_call *c = fake_note("wait", container, cb, arg);

	(void)engine;
	(void)condition;
	*ret_wait = c->wait = fake.count;
}

void cow_engine_wait_cancel(struct cow_engine *engine, uint64_t wait)
{
	(void)engine;
	fake.waits_cancelled++;
	fake.calls[(wait - 1) % FAKE_CALLS].over = true;
}

void cow_engine_container_resize(struct cow_engine *engine, const char *container, uint64_t exec,
				 uint16_t height, uint16_t width, cow_engine_cb cb, void *arg)
{
	struct fake_call *c = fake_note("resize", NULL, cb, arg);

	(void)engine;
	(void)snprintf(c->detail, sizeof(c->detail), "%.60s %llu %u %u", container,
		       (unsigned long long)exec, height, width);
}

void cow_engine_exec(struct cow_engine *engine, const char *container, struct json_object *params,
		     int in, int out, int errfd, cow_engine_exec_cb cb, void *arg)
{
	struct fake_call *c = fake_note("exec", container, NULL, arg);

	(void)engine;
	(void)params;
	c->exec_cb = cb;
	fake.exec_fds[0] = in;
	fake.exec_fds[1] = out;
	fake.exec_fds[2] = errfd;
}

void cow_engine_exec_wait(struct cow_engine *engine, const char *container, uint64_t exec,
			  cow_engine_cb cb, void *arg, uint64_t *ret_wait)
{
	struct fake_call *c = fake_note("exec wait", container, cb, arg);

	(void)engine;
	(void)exec;
	*ret_wait = c->wait = fake.count;
}

void cow_engine_exec_kill(struct cow_engine *engine, const char *container, uint64_t exec,
			  int signo, cow_engine_cb cb, void *arg)
{
	struct fake_call *c = fake_note("exec kill", NULL, cb, arg);

	(void)engine;
	(void)snprintf(c->detail, sizeof(c->detail), "%.60s %llu %d", container,
		       (unsigned long long)exec, signo);
}

int cow_engine_list(struct cow_engine *engine, bool all, struct cow_strbuf *out)
{
	(void)engine;
	(void)all;
	if (fake.fail_reads)
		return -ENOMEM;
	cow_strbuf_add(out, fake.list);
	return 0;
}

int cow_engine_inspect(struct cow_engine *engine, const char *container, struct cow_strbuf *out,
		       struct cow_error *err)
{
	(void)engine;
	if (fake.fail_reads)
		return cow_error_set(err, -ENOENT, "container %s: no such container", container);
	cow_strbuf_add(out, fake.inspect);
	return 0;
}

int cow_engine_follow(struct cow_engine *engine, const char *container,
		      const struct cow_follow_options *options, int out_fd, int err_fd,
		      void (*done)(void *arg, int code), void *arg, struct cow_follow **ret,
		      struct cow_error *err)
{
	struct cow_follow *f = calloc(1, sizeof(*f));

	(void)engine;
	if (!f || fake.fail_reads) {
		free(f);
		(void)close(out_fd);
		(void)close(err_fd);
		return cow_error_set(err, -ENOENT, "container %s: no such container", container);
	}
	*f = (struct cow_follow){
		.out = out_fd, .err = err_fd, .done = done, .arg = arg, .options = *options
	};
	*ret = fake.follow = f;
	return 0;
}

void cow_follow_close(struct cow_follow *f)
{
	fake.follows_closed++;
	(void)close(f->out);
	(void)close(f->err);
	if (fake.follow == f)
		fake.follow = NULL;
	free(f);
}

int cow_engine_attach_stdin(struct cow_engine *engine, const char *container, int fd,
			    struct cow_error *err)
{
	(void)engine;
	if (strcmp(container, "closed") == 0) {
		(void)close(fd);
		return cow_error_set(err, -EINVAL, "container %s: stdin is not open", container);
	}
	if (fake.stdin_fd >= 0)
		(void)close(fake.stdin_fd);
	fake.stdin_fd = fd;
	return 0;
}

struct cow_subscription *cow_engine_subscribe(struct cow_engine *engine, uint64_t since_ns,
					      cow_event_cb cb, void *arg)
{
	struct cow_subscription *s = calloc(1, sizeof(*s));

	(void)engine;
	if (!s)
		return NULL;
	*s = (struct cow_subscription){ .cb = cb, .arg = arg };
	fake.subscriptions++;
	fake.subscription = s;
	if (since_ns) /* what the ring holds comes from inside this call */
		cb(arg, "c1", "{\"time_ns\":5,\"event\":\"replayed\",\"name\":\"web\"}");
	return s;
}

void cow_engine_unsubscribe(struct cow_subscription *s)
{
	fake.subscriptions--;
	if (fake.subscription == s)
		fake.subscription = NULL;
	free(s);
}

int cow_host_list(struct cow_host *host, struct cow_strbuf *out)
{
	(void)host;
	if (fake.fail_reads)
		return -ENOMEM;
	cow_strbuf_add(out, "[]");
	return 0;
}

int cow_host_unload(struct cow_host *host, const char *name, struct cow_error *err)
{
	(void)host;
	if (strcmp(name, "idle") == 0)
		return 0;
	return cow_error_set(err, -EBUSY, "plugin %s: container c1 holds net0", name);
}

const char *cow_plugin_name(const struct cow_plugin *plugin)
{
	(void)plugin;
	return "fake";
}

uint32_t cow_host_verbs(struct cow_host *host, const struct cow_verb *const **ret)
{
	static const struct cow_verb *list[1];

	(void)host;
	list[0] = &fake.verb;
	*ret = list;
	return fake.verb.table.name ? 1 : 0;
}

const struct cow_verb *cow_host_verb(struct cow_host *host, const char *name)
{
	(void)host;
	return fake.verb.table.name && strcmp(name, fake.verb.table.name) == 0 ? &fake.verb : NULL;
}

#endif
