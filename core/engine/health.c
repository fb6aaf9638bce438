/* SPDX-License-Identifier: MIT */
/* Health checks: a command in the container every so often, and what to do when it keeps failing.
 */
#include "engine/container.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX 4096u
#define LOG_MAX 5u
#define FIRST_MS 200u

/* What a probe prints: the beginning is kept, the rest only read, so that it is not held up. */
struct output {
	struct cow_engine *engine;
	uv_poll_t poll;
	int fd;
	size_t len;
	char text[OUTPUT_MAX + 1];
};

struct probe_result {
	uint64_t start_ns, end_ns;
	int code;
	char *output;
};

enum health_status { STARTING, HEALTHY, UNHEALTHY };

/* One run of the check.  It may outlast its use: its answer and its end are waited for. */
struct probe {
	struct cow_list link;    /* health->probes */
	struct health *health;   /* NULL: nobody wants to know any more */
	struct process *process;
	struct output *output;
	int out;                 /* the probe's own end, the backend's until it has answered */
	uint64_t start_ns;
	bool late;
};

struct health {
	struct container *container;
	enum health_status status;
	uint32_t failing;        /* in a row */
	uint64_t order;          /* of the life it is about */
	uint64_t since_ms;       /* when that began */
	struct cow_timer next, limit;
	struct cow_list probes;
	struct probe *probe;     /* the one under way */
	struct probe_result log[LOG_MAX];
	uint32_t judged;         /* so many were */
};

static const char *const status_names[] = { "starting", "healthy", "unhealthy" };

const char *health_status(const struct container *c)
{
	return c->health && cow_state_info(c->state)->timers & COW_TIMER_STABLE ?
		       status_names[c->health->status] :
		       "none";
}

static void output_read(struct output *o)
{
	char rest[4096];
	ssize_t n;

	do {
		char *into = o->len < OUTPUT_MAX ? o->text + o->len : rest;

		n = read(o->fd, into, o->len < OUTPUT_MAX ? OUTPUT_MAX - o->len : sizeof(rest));
		if (n > 0 && into != rest)
			o->len += (size_t)n;
	} while (n > 0);
	if (n == 0)
		(void)uv_poll_stop(&o->poll);
}

static void output_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	output_read(cow_container_of(poll, struct output, poll));
}

static void output_closed(uv_handle_t *handle)
{
	struct output *o = cow_container_of((uv_poll_t *)handle, struct output, poll);

	o->engine->jobs--;
	(void)close(o->fd);
	free(o);
}

/* Takes over fd, also on failure. */
static struct output *output_new(struct cow_engine *e, int fd)
{
	struct output *o = calloc(1, sizeof(*o));

	if (!o || uv_poll_init(e->setup.loop, &o->poll, fd) < 0) {
		(void)close(fd);
		free(o);
		return NULL;
	}
	o->engine = e;
	o->fd = fd;
	e->jobs++;
	(void)uv_poll_start(&o->poll, UV_READABLE, output_readable);
	return o;
}

static void probe_free(struct probe *p)
{
	if (p->out >= 0)
		(void)close(p->out);
	if (p->output)
		uv_close((uv_handle_t *)&p->output->poll, output_closed);
	cow_list_del(&p->link);
	free(p);
}

/* What it will say is of no interest any more. */
static void probe_leave(struct health *h)
{
	if (h->probe)
		h->probe->health = NULL;
	h->probe = NULL;
	cow_timer_stop(h->container->engine->setup.timers, &h->limit);
}

static char *probe_output(const struct probe *p)
{
	if (!p->output)
		return NULL;
	output_read(p->output);
	return strdup(p->output->text);
}

static void react(struct container *c)
{
	switch (c->def->health.on_unhealthy) {
	case COW_UNHEALTHY_RESTART:
		c->restarts++;
		container_cycle(c, -1);
		break;
	case COW_UNHEALTHY_STOP:
		c->stopped_by_user = true;
		c->stop_signal = 0;
		c->stop_ms = UINT32_MAX;
		c->wishes |= COW_FACT_STOP;
		container_look(c);
		break;
	case COW_UNHEALTHY_NONE:
		break;
	}
}

static void health_is(struct health *h, enum health_status status)
{
	struct container *c = h->container;
	_cleanup_free_ char *detail = NULL;

	if (h->status == status)
		return;
	h->status = status;
	detail = cow_asprintf("\"health\":\"%s\"", status_names[status]);
	event_tell(c->engine, c, "health_status", detail);
	if (status == HEALTHY)
		waiters_answer(c, WAIT_FOR_HEALTHY, NULL);
	if (status == UNHEALTHY)
		react(c);
}

static void probe_next(struct health *h);

static void probe_judge(struct health *h, int code, uint64_t start_ns, char *output)
{
	const struct cow_health *d = &h->container->def->health;
	uint64_t now = h->container->engine->setup.timers->now_ms;
	struct probe_result *slot = &h->log[h->judged++ % LOG_MAX];

	free(slot->output);
	*slot = (struct probe_result){ start_ns, cow_realtime_ns(), code, output };
	if (h->container->state != COW_STATE_RUNNING)
		return; /* paused, or about to end: no fault of its own */
	probe_next(h);
	if (code == 0) {
		h->failing = 0;
		health_is(h, HEALTHY);
		return;
	}
	if (h->status == STARTING && now - h->since_ms < d->start_period_ms)
		return;
	h->failing++;
	if (h->failing >= d->retries)
		health_is(h, UNHEALTHY);
}

/* It has come to its end, this way or that. */
static void probe_over(struct probe *p, int code, char *output)
{
	struct health *h = p->health;
	uint64_t start_ns = p->start_ns;

	if (h)
		probe_leave(h);
	probe_free(p);
	if (h)
		probe_judge(h, code, start_ns, output);
	else
		free(output);
}

static void probe_ended(void *arg, struct process *process)
{
	struct probe *p = arg;
	int code = p->late ? -1 : process->ending.code;

	process_forget(process);
	probe_over(p, code, probe_output(p));
}

static void probe_answered(void *arg, const struct cow_answer *answer)
{
	struct probe *p = arg;

	(void)close(cow_take_fd(&p->out));
	process_take(p->process, answer, probe_ended, p);
	if (!p->process->failed)
		return;
	process_forget(p->process);
	probe_over(p, -1, strdup(answer->message ? answer->message : cow_errno_text(answer->code)));
}

static void probe_late(struct cow_timer *timer, void *arg)
{
	struct health *h = arg;
	struct container *c = h->container;
	const struct cow_backend *backend = container_backend(c);
	struct process *process = h->probe->process;
	cow_op op;

	(void)timer;
	h->probe->late = true;
	if (!process->alive || !backend ||
	    call_open(c, backend->table.name, 0, call_ignored, NULL, &op) < 0)
		return;
	call_returned(c->engine, op,
		      backend->table.signal(backend->arg, op, c->system, process->handle, SIGKILL,
					    0));
}

static char *probe_process(const struct container *c)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_add(&b, "{\"args\":[");
	for (char **s = c->def->health.test; *s; s++) {
		cow_strbuf_add(&b, s == c->def->health.test ? "" : ",");
		cow_strbuf_json(&b, *s);
	}
	cow_strbuf_add(&b, "]}");
	return cow_strbuf_take(&b);
}

static int probe_exec(struct probe *p, struct container *c)
{
	_cleanup_free_ char *process = probe_process(c);
	int fds[2];

	if (!process)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	(void)fcntl(fds[1], F_SETFL, 0); /* the probe's own end blocks, as programs expect */
	p->output = output_new(c->engine, fds[0]);
	p->out = fds[1];
	return exec_internal(c, process, fds[1], probe_answered, p, &p->process);
}

static void probe(struct cow_timer *timer, void *arg)
{
	struct health *h = arg;
	struct container *c = h->container;
	struct probe *p = calloc(1, sizeof(*p));
	int rc;

	(void)timer;
	if (!p) {
		probe_judge(h, -1, cow_realtime_ns(), NULL);
		return;
	}
	p->health = h;
	p->out = -1;
	p->start_ns = cow_realtime_ns();
	cow_list_add(&h->probes, &p->link);
	h->probe = p;
	(void)cow_timer_start(c->engine->setup.timers, &h->limit, c->def->health.timeout_ms,
			      probe_late, h);
	rc = probe_exec(p, c); /* where it succeeds, p may be over already */
	if (rc < 0)
		probe_over(p, -1, strdup(cow_errno_text(rc)));
}

static void probe_next(struct health *h)
{
	struct container *c = h->container;

	if (c->state == COW_STATE_RUNNING)
		(void)cow_timer_start(c->engine->setup.timers, &h->next, c->def->health.interval_ms,
				      probe, h);
}

/* A short first interval: what is up at once is healthy at once. */
void health_running(struct container *c)
{
	const struct cow_health *d = &c->def->health;
	struct health *h = c->health;

	if (!d->test)
		return;
	if (!h) {
		h = c->health = calloc(1, sizeof(*h));
		if (!h)
			return;
		h->container = c;
		cow_list_init(&h->probes);
	}
	if (h->order != c->start_order) {
		h->order = c->start_order;
		h->status = STARTING;
		h->failing = 0;
		h->since_ms = c->engine->setup.timers->now_ms;
	}
	if (h->probe)
		return; /* the one from before the pause decides when the next one is */
	(void)cow_timer_start(c->engine->setup.timers, &h->next,
			      d->interval_ms < FIRST_MS ? d->interval_ms : FIRST_MS, probe, h);
}

void health_leave(struct container *c)
{
	struct health *h = c->health;

	if (!h)
		return;
	cow_timer_stop(c->engine->setup.timers, &h->next);
	if (!container_alive(c))
		probe_leave(h);
}

void health_inspect(const struct container *c, struct cow_strbuf *out)
{
	const struct health *h = c->health;
	uint32_t first = h && h->judged > LOG_MAX ? h->judged - LOG_MAX : 0;

	cow_strbuf_addf(out, "{\"status\":\"%s\",\"failing\":%u,\"log\":[", health_status(c),
			h ? h->failing : 0);
	for (uint32_t i = first; h && i < h->judged; i++) {
		const struct probe_result *r = &h->log[i % LOG_MAX];

		cow_strbuf_addf(out,
				"%s{\"start_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64
				",\"exit_code\":%d,\"output\":",
				i == first ? "" : ",", r->start_ns, r->end_ns, r->code);
		cow_strbuf_json(out, r->output ? r->output : "");
		cow_strbuf_add(out, "}");
	}
	cow_strbuf_add(out, "]}");
}

void health_destroy(struct container *c)
{
	struct health *h = c->health;

	if (!h)
		return;
	cow_timer_stop(c->engine->setup.timers, &h->next);
	probe_leave(h);
	while (!cow_list_empty(&h->probes))
		probe_free(cow_container_of(h->probes.next, struct probe, link));
	for (uint32_t i = 0; i < LOG_MAX; i++)
		free(h->log[i].output);
	free(h);
	c->health = NULL;
}
