/* SPDX-License-Identifier: MIT */
/* Processes in a running container. */
#include "engine/container.h"

#include "base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LINGER_MS 60000 /* an exit code that nobody asked for yet */

/* An exec whose backend has not answered. */
struct exec_call {
	struct process *process;
	cow_engine_exec_cb cb;
	void *arg;
	struct waiter *waiter; /* brings the answer on a later turn */
	int fd;
	struct cow_error err;
};

struct process *process_find(struct container *c, uint64_t id)
{
	cow_list_for(l, &c->processes) {
		struct process *p = cow_container_of(l, struct process, link);

		if (p->id == id && !p->internal)
			return p;
	}
	return NULL;
}

void process_forget(struct process *p)
{
	cow_timer_stop(p->container->engine->setup.timers, &p->linger);
	cow_list_del(&p->link);
	waiters_drop(&p->waiters);
	ending_finish(&p->ending);
	free(p);
}

static void process_linger(struct cow_timer *timer, void *arg)
{
	(void)timer;
	process_forget(arg);
}

static char *process_result(const struct process *p)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_addf(&b, "{\"exec\":%llu", (unsigned long long)p->id);
	ending_json(&p->ending, &b);
	cow_strbuf_add(&b, "}");
	return cow_strbuf_take(&b);
}

static void process_look(struct process *p)
{
	uint32_t facts = (p->busy ? COW_FACT_BUSY : 0) | (p->failed ? COW_FACT_FAILED : 0) |
			 (p->alive ? COW_FACT_ALIVE : 0);
	enum cow_process_state to = cow_process_step(p->state, facts);

	if (to == p->state)
		return;
	p->state = to;
	if (to == COW_PROCESS_EXITED) {
		cow_list_for_safe(l, tmp, &p->waiters)
			waiter_ok(cow_container_of(l, struct waiter, link), process_result(p));
		if (p->ended)
			p->ended(p->arg, p); /* forgets it */
		else
			(void)cow_timer_start(p->container->engine->setup.timers, &p->linger,
					      LINGER_MS, process_linger, p);
		return;
	}
	process_look(p);
}

void process_exited(struct container *c, uint64_t handle, const struct cowherd_exit *status)
{
	cow_list_for(l, &c->processes) {
		struct process *p = cow_container_of(l, struct process, link);

		if (p->handle != handle || !p->alive)
			continue;
		p->alive = false;
		(void)ending_set(&p->ending, status);
		process_look(p);
		return;
	}
}

void processes_end(struct container *c, const char *why)
{
	const struct cowherd_exit lost = { .size = sizeof(lost), .code = -1, .reason = why };

	/* A backend may still be about to tell; what was told counts. */
	cow_list_for_safe(l, tmp, &c->processes) {
		struct process *p = cow_container_of(l, struct process, link);

		if (!p->alive)
			continue;
		p->alive = false;
		(void)ending_set(&p->ending, &lost);
		process_look(p);
	}
}

void processes_free(struct container *c)
{
	while (!cow_list_empty(&c->processes))
		process_forget(cow_container_of(c->processes.next, struct process, link));
}

/* ---- exec */

static int exec_begin(struct container *c, const char *process, const struct cowherd_stdio *stdio,
		      void (*cb)(void *arg, const struct cow_answer *answer), void *arg,
		      struct process **ret, struct cow_error *err)
{
	const struct cow_backend *backend = container_backend(c);
	struct process *p;
	cow_op op;
	int rc;

	if (c->state != COW_STATE_RUNNING || !backend)
		return cow_error_set(err, -ESRCH, "container is %s",
				     c->state == COW_STATE_PAUSED ? "paused" : "stopped");
	if (!backend->table.exec)
		return cow_error_set(err, -ENOTSUP, "backend %s: has no exec", c->backend);
	p = calloc(1, sizeof(*p));
	if (!p)
		return cow_error_set(err, -ENOMEM, "exec: out of memory");
	p->container = c;
	p->id = ++c->engine->next_exec;
	p->busy = true;
	cow_list_init(&p->waiters);
	*ret = p; /* the answer may come from inside */
	rc = call_open(c, backend->table.name, 0, cb, arg, &op);
	if (rc < 0) {
		free(p);
		return cow_error_errno(err, rc, "exec");
	}
	cow_list_add(&c->processes, &p->link);
	call_returned(c->engine, op,
		      backend->table.exec(backend->arg, op, c->system, process, stdio));
	return 0;
}

static void exec_taken(struct process *p, const struct cow_answer *answer)
{
	const struct cowherd_answer *payload = answer->payload;

	p->busy = false;
	p->failed = answer->code < 0 || !payload || !payload->handle;
	if (!p->failed) {
		p->handle = payload->handle;
		p->pid = payload->pid;
		p->alive = true;
	}
	p->state = cow_process_step(p->state, (p->failed ? COW_FACT_FAILED : 0) |
						      (p->alive ? COW_FACT_ALIVE : 0));
}

static void exec_dropped(void *arg)
{
	struct exec_call *x = arg;

	if (x->fd >= 0)
		(void)close(x->fd);
	free(x);
}

static void exec_told(void *arg, const struct cow_error *err, const char *result)
{
	struct exec_call *x = arg;
	struct process *p = x->process;

	(void)result;
	if (err || !p)
		x->cb(x->arg, err ? err : &x->err, 0, 0, -1);
	else
		x->cb(x->arg, NULL, p->id, p->pid, cow_take_fd(&x->fd));
	exec_dropped(x);
}

static void exec_answered(void *arg, const struct cow_answer *answer)
{
	struct exec_call *x = arg;
	struct process *p = x->process;
	struct cow_error err = { 0 };

	x->fd = cow_host_take_fd(answer);
	exec_taken(p, answer);
	if (!p->failed) {
		waiter_ok(x->waiter, NULL);
		return;
	}
	if (answer->code < 0)
		call_error(answer, &err);
	else
		(void)cow_error_set(&err, -EPROTO, "backend: answered without a process");
	x->process = NULL;
	process_forget(p);
	waiter_fail(x->waiter, &err);
}

static int exec_text(struct container *c, struct json_object *params, struct json_object **ret,
		     struct cow_error *err)
{
	struct cow_json at = { .value = params };
	const char *text = c->patched ? c->patched : c->def->spec;
	_cleanup_free_ char *rootfs = container_rootfs(c);
	struct json_object *spec;
	int rc = rootfs ? cow_json_parse("spec", text, strlen(text), &spec, err) :
			  cow_error_set(err, -ENOMEM, "exec: out of memory");

	if (rc < 0)
		return rc;
	rc = cow_create_exec_process(&at, spec, rootfs, ret, err);
	json_object_put(spec);
	return rc;
}

static int64_t get_int(struct json_object *params, const char *key)
{
	struct json_object *value = json_object_object_get(params, key);

	return value ? json_object_get_int64(value) : 0;
}

static int exec_go(struct exec_call *x, struct container *c, struct json_object *params,
		   struct cowherd_stdio *stdio, struct cow_error *err)
{
	struct json_object *process;
	int rc = exec_text(c, params, &process, err);

	if (rc < 0)
		return rc;
	stdio->terminal = json_object_get_boolean(json_object_object_get(process, "terminal"));
	stdio->height = (uint16_t)get_int(params, "height");
	stdio->width = (uint16_t)get_int(params, "width");
	rc = exec_begin(c, json_object_to_json_string_ext(process, JSON_PLAIN), stdio,
			exec_answered, x, &x->process, err);
	json_object_put(process);
	return rc;
}

void cow_engine_exec(struct cow_engine *e, const char *key, struct json_object *params, int in,
		     int out, int errfd, cow_engine_exec_cb cb, void *arg)
{
	const struct cow_error no_memory = { .code = -ENOMEM, .message = "exec: out of memory" };
	struct cowherd_stdio stdio = { .size = sizeof(stdio), .in = in, .out = out, .err = errfd };
	struct exec_call *x = calloc(1, sizeof(*x));
	struct cow_error err = { 0 };
	struct container *c;

	if (!x) {
		cb(arg, &no_memory, 0, 0, -1);
		return;
	}
	x->cb = cb;
	x->arg = arg;
	x->fd = -1;
	x->waiter = waiter_new(e, WAIT_CALL, exec_told, x);
	if (!x->waiter)
		return; /* told from inside */
	x->waiter->drop = exec_dropped;
	c = container_find(e, key, &err);
	if (!c) {
		waiter_fail(x->waiter, &err);
		return;
	}
	cow_list_add(&c->waiters, &x->waiter->link);
	if (exec_go(x, c, params, &stdio, &err) < 0)
		waiter_fail(x->waiter, &err);
}

int exec_internal(struct container *c, const char *process, int out,
		  void (*cb)(void *arg, const struct cow_answer *answer), void *arg,
		  struct process **ret)
{
	const struct cowherd_stdio stdio = {
		.size = sizeof(stdio), .in = -1, .out = out, .err = out
	};
	int rc = exec_begin(c, process, &stdio, cb, arg, ret, NULL);

	if (rc < 0)
		*ret = NULL;
	return rc;
}

void process_take(struct process *p, const struct cow_answer *answer,
		  void (*ended)(void *arg, struct process *process), void *arg)
{
	p->internal = true;
	p->ended = ended;
	p->arg = arg;
	exec_taken(p, answer);
}

/* ---- verbs on a process */

static struct process *verb_process(struct cow_engine *e, const char *key, uint64_t exec,
				    struct waiter *w)
{
	struct cow_error err = { 0 };
	struct container *c = container_find(e, key, &err);
	struct process *p = c ? process_find(c, exec) : NULL;

	if (!c)
		waiter_fail(w, &err);
	else if (!p)
		waiter_refuse(w, -ENOENT, "container %s: no such exec", c->def->name);
	return p;
}

void cow_engine_exec_wait(struct cow_engine *e, const char *key, uint64_t exec, cow_engine_cb cb,
			  void *arg, uint64_t *ret_wait)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, cb, arg);
	struct process *p = w ? verb_process(e, key, exec, w) : NULL;

	if (ret_wait)
		*ret_wait = 0;
	if (!p)
		return;
	if (cow_process_state_final(p->state)) {
		waiter_ok(w, process_result(p));
		return;
	}
	if (ret_wait)
		*ret_wait = w->id;
	cow_list_add(&p->waiters, &w->link);
}

void cow_engine_exec_kill(struct cow_engine *e, const char *key, uint64_t exec, int signo,
			  cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, cb, arg);
	struct process *p = w ? verb_process(e, key, exec, w) : NULL;
	const struct cow_backend *backend = p ? container_backend(p->container) : NULL;
	cow_op op;
	int rc;

	if (!p)
		return;
	if (!p->alive || !backend) {
		waiter_refuse(w, -ESRCH, "exec %llu: is not running", (unsigned long long)exec);
		return;
	}
	rc = call_open(p->container, backend->table.name, 0, waiter_answered, w, &op);
	if (rc < 0) {
		waiter_refuse(w, rc, "exec: %s", cow_errno_text(rc));
		return;
	}
	cow_list_add(&p->container->waiters, &w->link);
	call_returned(e, op,
		      backend->table.signal(backend->arg, op, p->container->system, p->handle,
					    signo ? signo : SIGKILL, 0));
}
