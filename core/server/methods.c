/* SPDX-License-Identifier: MIT */
#include "server/internal.h"

#include "base/cleanup.h"
#include "base/ids.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/utsname.h>

#define ENGINE(r) ((r)->server->engine)

static void call_version(struct request *r, const struct args *a, struct json_object *params)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_server *s = r->server;
	struct utsname name;

	(void)a;
	(void)params;
	cow_strbuf_add(&b, "{\"version\":\"" COW_VERSION "\",\"api\":\"1.0\"");
	cow_strbuf_addf(&b, ",\"abi\":\"%d.%d\",\"owner\":", COWHERD_ABI_MAJOR, COWHERD_ABI_MINOR);
	cow_strbuf_json(&b, s->owner);
	cow_strbuf_addf(&b, ",\"pid\":%d,\"run_root\":", (int)getpid());
	cow_strbuf_json(&b, s->run_root);
	cow_strbuf_add(&b, ",\"state_root\":");
	cow_strbuf_json(&b, s->state_root);
	cow_strbuf_add(&b, ",\"boot_id\":");
	cow_strbuf_json(&b, cow_boot_id());
	cow_strbuf_addf(&b, ",\"uptime_s\":%llu,\"kernel\":",
			(unsigned long long)((cow_monotonic_ms() - s->started_ms) / 1000));
	cow_strbuf_json(&b, uname(&name) == 0 ? name.release : "");
	cow_strbuf_addf(&b, ",\"cgroup\":\"%s\"}", s->cgroup);
	if (b.error)
		request_fail(r, b.error, "version: %s", cow_errno_text(b.error));
	else
		request_finish(r, NULL, b.data);
}

static void call_create(struct request *r, const struct args *a, struct json_object *params)
{
	(void)a;
	cow_engine_container_create(ENGINE(r), params, request_engine_done, r);
}

static void call_start(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_start(ENGINE(r), a->container, request_engine_done, r);
}

static void call_stop(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_stop(ENGINE(r), a->container, a->timeout_ms, a->signo,
				  request_engine_done, r);
}

static void call_restart(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_restart(ENGINE(r), a->container, a->timeout_ms, request_engine_done,
				     r);
}

static void call_kill(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_kill(ENGINE(r), a->container, a->signo ? a->signo : SIGKILL, a->all,
				  request_engine_done, r);
}

static void call_delete(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_delete(ENGINE(r), a->container, a->force, request_engine_done, r);
}

static void call_release(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_release(ENGINE(r), a->container, request_engine_done, r);
}

static void call_pause(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_pause(ENGINE(r), a->container, request_engine_done, r);
}

static void call_resume(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_resume(ENGINE(r), a->container, request_engine_done, r);
}

/* A wait that was answered already has no handle, but its callback is still to come. */
static void wait_give_up(struct request *r)
{
	if (!r->handle)
		return;
	cow_engine_wait_cancel(ENGINE(r), r->handle);
	request_free(r);
}

static void call_wait(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	r->give_up = wait_give_up;
	cow_engine_container_wait(ENGINE(r), a->container, a->condition, request_engine_done, r,
				  &r->handle);
}

static void call_list(struct request *r, const struct args *a, struct json_object *params)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	int e;

	(void)params;
	e = cow_engine_list(ENGINE(r), a->all, &b);
	if (e == 0)
		e = b.error;
	if (e < 0)
		request_fail(r, e, "list: %s", cow_errno_text(e));
	else
		request_finish(r, NULL, b.data ? b.data : "[]");
}

static void call_inspect(struct request *r, const struct args *a, struct json_object *params)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct cow_error err = { 0 };
	int e;

	(void)params;
	e = cow_engine_inspect(ENGINE(r), a->container, &b, &err);
	if (e == 0 && b.error)
		e = cow_error_errno(&err, b.error, "container %s", a->container);
	request_finish(r, e < 0 ? &err : NULL, b.data);
}

static void call_top(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_top(ENGINE(r), a->container, request_engine_done, r);
}

static void call_resize(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_container_resize(ENGINE(r), a->container, (uint64_t)a->exec, (uint16_t)a->height,
				    (uint16_t)a->width, request_engine_done, r);
}

static void exec_done(void *arg, const struct cow_error *err, uint64_t exec, int64_t pid, int fd)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct request *r = arg;

	if (err) {
		request_finish(r, err, NULL);
		return;
	}
	cow_strbuf_addf(&b, "{\"exec\":%llu,\"pid\":%lld%s}", (unsigned long long)exec,
			(long long)pid, fd >= 0 ? ",\"fds\":[\"terminal\"]" : "");
	request_answer_fds(r, b.data, &fd, fd >= 0);
	request_free(r);
}

static void call_exec(struct request *r, const struct args *a, struct json_object *params)
{
	cow_engine_exec(ENGINE(r), a->container, params, r->fds[0], r->fds[1], r->fds[2], exec_done,
			r);
}

static void call_exec_wait(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	r->give_up = wait_give_up;
	cow_engine_exec_wait(ENGINE(r), a->container, (uint64_t)a->exec, request_engine_done, r,
			     &r->handle);
}

static void call_exec_kill(struct request *r, const struct args *a, struct json_object *params)
{
	(void)params;
	cow_engine_exec_kill(ENGINE(r), a->container, (uint64_t)a->exec,
			     a->signo ? a->signo : SIGKILL, request_engine_done, r);
}

static void call_reload(struct request *r, const struct args *a, struct json_object *params)
{
	const struct cow_server_callbacks *cb = &r->server->callbacks;

	(void)a;
	(void)params;
	if (cb->reload)
		cb->reload(cb->arg, request_engine_done, r);
	else
		request_fail(r, -ENOSYS, "reload: this supervisor has no configuration");
}

static void call_shutdown(struct request *r, const struct args *a, struct json_object *params)
{
	const struct cow_server_callbacks *cb = &r->server->callbacks;

	(void)params;
	if (cb->shutdown)
		cb->shutdown(cb->arg, a->timeout_ms, a->kill, request_engine_done, r);
	else
		request_fail(r, -ENOSYS, "shutdown: not offered here");
}

#define KEYS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

/* clang-format off */
static const struct method methods[] = {
	{ "version", KEYS(), 0, call_version },
	{ "container.create", NULL, 0, call_create },
	{ "container.start", KEYS("container"), METHOD_CONTAINER, call_start },
	{ "container.stop", KEYS("container", "timeout_s", "signal"), METHOD_CONTAINER, call_stop },
	{ "container.kill", KEYS("container", "signal", "all"), METHOD_CONTAINER, call_kill },
	{ "container.delete", KEYS("container", "force"), METHOD_CONTAINER, call_delete },
	{ "container.release", KEYS("container"), METHOD_CONTAINER, call_release },
	{ "container.pause", KEYS("container"), METHOD_CONTAINER, call_pause },
	{ "container.resume", KEYS("container"), METHOD_CONTAINER, call_resume },
	{ "container.wait", KEYS("container", "condition"), METHOD_CONTAINER, call_wait },
	{ "container.restart", KEYS("container", "timeout_s"), METHOD_CONTAINER, call_restart },
	{ "container.list", KEYS("all"), 0, call_list },
	{ "container.inspect", KEYS("container"), METHOD_CONTAINER, call_inspect },
	{ "container.top", KEYS("container"), METHOD_CONTAINER, call_top },
	{ "container.stats", KEYS("container", "stream"), 0, stream_stats },
	{ "container.logs",
	  KEYS("container", "follow", "tail", "since_ns", "until_ns", "timestamps", "stdout",
	       "stderr"),
	  METHOD_CONTAINER, stream_logs },
	{ "container.attach", KEYS("container", "stdin", "logs"), METHOD_CONTAINER, stream_attach },
	{ "container.resize", KEYS("container", "exec", "height", "width"), METHOD_CONTAINER,
	  call_resize },
	{ "container.exec", NULL, METHOD_CONTAINER | METHOD_FDS, call_exec },
	{ "exec.wait", KEYS("container", "exec"), METHOD_CONTAINER | METHOD_EXEC, call_exec_wait },
	{ "exec.kill", KEYS("container", "exec", "signal"), METHOD_CONTAINER | METHOD_EXEC,
	  call_exec_kill },
	{ "events", KEYS("since_ns", "until_ns", "container", "follow"), METHOD_FOLLOW,
	  stream_events },
	{ "plugins.list", KEYS(), 0, plugin_list },
	{ "plugins.unload", KEYS("name"), METHOD_NAME, plugin_unload },
	{ "verbs", KEYS(), 0, verb_list },
	{ "verb.call", KEYS("name", "args", "cwd", "fds"), METHOD_NAME | METHOD_FDS, verb_call },
	{ "reload", KEYS(), 0, call_reload },
	{ "shutdown", KEYS("timeout_s", "kill"), 0, call_shutdown },
};
/* clang-format on */

const struct method *method_find(const char *name)
{
	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	}
	return NULL;
}
