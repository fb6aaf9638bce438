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

struct probe_result {
	uint64_t start_ns, end_ns;
	int code;
	char *output;
};

enum health_status { STARTING, HEALTHY, UNHEALTHY };

struct health {
	struct container *container;
	enum health_status status;
	uint32_t failing;        /* in a row */
	uint64_t order;          /* of the life it is about */
	uint64_t since_ms;       /* when that began */
	struct cow_timer next, limit;
	struct process *process; /* the probe under way */
	bool late;
	int out;                 /* read end of its output */
	uint64_t start_ns;
	struct probe_result log[LOG_MAX];
	uint32_t probes;         /* so many were made */
};

static const char *const status_names[] = { "starting", "healthy", "unhealthy" };

const char *health_status(const struct container *c)
{
	return c->health && cow_state_info(c->state)->timers & COW_TIMER_STABLE ?
		       status_names[c->health->status] :
		       "none";
}

static void probe_drop(struct health *h)
{
	if (h->out >= 0)
		(void)close(h->out);
	h->out = -1;
	h->process = NULL;
	cow_timer_stop(h->container->engine->setup.timers, &h->limit);
}

static char *probe_output(struct health *h)
{
	char *text = calloc(1, OUTPUT_MAX + 1);
	ssize_t n = text && h->out >= 0 ? read(h->out, text, OUTPUT_MAX) : 0;

	if (text)
		text[n > 0 ? n : 0] = '\0';
	return text;
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

static void probe_judge(struct health *h, int code, char *output)
{
	const struct cow_health *d = &h->container->def->health;
	uint64_t now = h->container->engine->setup.timers->now_ms;
	struct probe_result *slot = &h->log[h->probes++ % LOG_MAX];

	free(slot->output);
	*slot = (struct probe_result){ h->start_ns, cow_realtime_ns(), code, output };
	probe_drop(h);
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

static void probe_ended(void *arg, struct process *p)
{
	struct health *h = arg;
	int code = h && h->late ? -1 : p->ending.code;

	process_forget(p);
	if (h)
		probe_judge(h, code, probe_output(h));
}

static void probe_answered(void *arg, const struct cow_answer *answer)
{
	struct health *h = arg;
	struct process *p = h->process;

	process_take(p, answer, probe_ended, h);
	if (!p->failed)
		return;
	process_forget(p);
	probe_judge(h, -1,
		    strdup(answer->message ? answer->message : cow_errno_text(answer->code)));
}

static void probe_late(struct cow_timer *timer, void *arg)
{
	struct health *h = arg;
	struct container *c = h->container;
	const struct cow_backend *backend = container_backend(c);
	cow_op op;

	(void)timer;
	h->late = true;
	if (!h->process || !h->process->alive || !backend ||
	    call_open(c, backend->table.name, 0, call_ignored, NULL, &op) < 0)
		return;
	call_returned(
		c->engine, op,
		backend->table.signal(backend->arg, op, c->system, h->process->handle, SIGKILL, 0));
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

static void probe(struct cow_timer *timer, void *arg)
{
	struct health *h = arg;
	struct container *c = h->container;
	_cleanup_free_ char *process = probe_process(c);
	int fds[2], rc;

	(void)timer;
	h->start_ns = cow_realtime_ns();
	h->late = false;
	if (!process || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		probe_judge(h, -1, strdup("no memory or descriptors for a probe"));
		return;
	}
	/*
	 * The probe's own end blocks, as programs expect; what it writes beyond a pipe's size waits
	 * for its kill.
	 */
	(void)fcntl(fds[1], F_SETFL, 0);
	h->out = fds[0];
	(void)cow_timer_start(c->engine->setup.timers, &h->limit, c->def->health.timeout_ms,
			      probe_late, h);
	rc = exec_internal(c, process, fds[1], probe_answered, h, &h->process);
	(void)close(fds[1]);
	if (rc < 0)
		probe_judge(h, -1, strdup(cow_errno_text(rc)));
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
		h->out = -1;
	}
	if (h->order != c->start_order) {
		h->order = c->start_order;
		h->status = STARTING;
		h->failing = 0;
		h->since_ms = c->engine->setup.timers->now_ms;
	}
	(void)cow_timer_start(c->engine->setup.timers, &h->next,
			      d->interval_ms < FIRST_MS ? d->interval_ms : FIRST_MS, probe, h);
}

void health_leave(struct container *c)
{
	struct health *h = c->health;

	if (!h)
		return;
	cow_timer_stop(c->engine->setup.timers, &h->next);
}

void health_inspect(const struct container *c, struct cow_strbuf *out)
{
	const struct health *h = c->health;
	uint32_t first = h && h->probes > LOG_MAX ? h->probes - LOG_MAX : 0;

	cow_strbuf_addf(out, "{\"status\":\"%s\",\"failing\":%u,\"log\":[", health_status(c),
			h ? h->failing : 0);
	for (uint32_t i = first; h && i < h->probes; i++) {
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
	probe_drop(h);
	for (uint32_t i = 0; i < LOG_MAX; i++)
		free(h->log[i].output);
	free(h);
	c->health = NULL;
}
