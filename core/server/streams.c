/* SPDX-License-Identifier: MIT */
/* What goes on after the request: events, statistics each second, log pipes. */
#include "server/internal.h"

#include "base/cleanup.h"
#include "base/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define STATS_PERIOD_MS 1000

/* events */

struct events {
	struct cow_subscription *subscription;
	struct cow_timer timer; /* the end: when until_ns is here */
	uint64_t until_ns;      /* UINT64_MAX: no end */
	char container[];       /* an id, the beginning of one, or a name; "": all */
};

static void events_end(struct request *r)
{
	struct events *e = r->state;

	cow_timer_stop(r->server->timers, &e->timer);
	cow_engine_unsubscribe(e->subscription);
	request_finish(r, NULL, "{}");
}

static void events_timer_cb(struct cow_timer *timer, void *arg)
{
	(void)timer;
	events_end(arg);
}

static bool events_wanted(const struct events *e, const char *container, const char *json)
{
	struct json_object *event = NULL;
	struct cow_json root;
	const char *name = "";
	int64_t time_ns = 0;
	bool wanted;

	if (!*e->container && e->until_ns == UINT64_MAX)
		return true;
	if (cow_json_parse("event", json, strlen(json), &event, NULL) < 0)
		return false;
	root = (struct cow_json){ .value = event };
	(void)cow_json_get_string(&root, "name", &name, NULL);
	(void)cow_json_get_int(&root, "time_ns", 0, INT64_MAX, &time_ns, NULL);
	wanted = (uint64_t)time_ns <= e->until_ns;
	if (*e->container && strcmp(name, e->container) != 0)
		wanted = wanted && container &&
			 strncmp(container, e->container, strlen(e->container)) == 0;
	json_object_put(event);
	return wanted;
}

static void events_cb(void *arg, const char *container, const char *json)
{
	struct request *r = arg;

	if (events_wanted(r->state, container, json))
		request_event(r, json);
}

void stream_events(struct request *r, const struct args *a, struct json_object *params)
{
	const char *container = a->container ? a->container : "";
	size_t len = strlen(container) + 1;
	struct events *e = calloc(1, sizeof(*e) + len);
	uint64_t now = cow_realtime_ns(), after_ms = 0;
	int code = 0;

	(void)params;
	if (!e) {
		request_fail(r, -ENOMEM, "events: %s", cow_errno_text(-ENOMEM));
		return;
	}
	r->state = e;
	r->give_up = events_end;
	memcpy(e->container, container, len);
	e->until_ns = a->until_ns ? (uint64_t)a->until_ns : UINT64_MAX;
	if (a->follow && e->until_ns > now)
		after_ms = (e->until_ns - now) / 1000000 + 1;
	if (after_ms == 0 || e->until_ns != UINT64_MAX)
		code = cow_timer_start(r->server->timers, &e->timer, after_ms, events_timer_cb, r);
	if (code == 0)
		e->subscription = cow_engine_subscribe(r->server->engine, (uint64_t)a->since_ns,
						       events_cb, r);
	if (e->subscription)
		return;
	cow_timer_stop(r->server->timers, &e->timer);
	request_fail(r, -ENOMEM, "events: %s", cow_errno_text(-ENOMEM));
}

/* container.stats */

struct stats {
	struct cow_timer timer;
	struct cow_strbuf samples;
	uint32_t pending; /* answers of the engine that are still to come */
	bool stream;
	struct cow_error err;
	char container[]; /* "": all that run */
};

static void stats_round(struct request *r);

static void stats_free(struct request *r)
{
	struct stats *s = r->state;

	cow_timer_stop(r->server->timers, &s->timer);
	cow_strbuf_finish(&s->samples);
	request_free(r);
}

/* With answers to come, the last of them frees the request. */
static void stats_give_up(struct request *r)
{
	struct stats *s = r->state;

	if (s->pending == 0)
		stats_free(r);
}

static void stats_timer_cb(struct cow_timer *timer, void *arg)
{
	(void)timer;
	stats_round(arg);
}

static void stats_rounded(struct request *r)
{
	struct stats *s = r->state;

	cow_strbuf_add(&s->samples, "]");
	if (s->samples.error)
		(void)cow_error_errno(&s->err, s->samples.error, "stats");
	if (r->conn && s->err.code == 0 && s->stream) {
		request_event(r, s->samples.data);
		if (cow_timer_start(r->server->timers, &s->timer, STATS_PERIOD_MS, stats_timer_cb,
				    r) == 0)
			return;
		(void)cow_error_errno(&s->err, -ENOMEM, "stats");
	}
	request_answer(r, s->err.code ? &s->err : NULL, s->samples.data);
	stats_free(r);
}

static void stats_done(void *arg, const struct cow_error *err, const char *result)
{
	struct request *r = arg;
	struct stats *s = r->state;

	if (!err) {
		if (s->samples.len > 1)
			cow_strbuf_add(&s->samples, ",");
		cow_strbuf_add(&s->samples, result);
	} else if (*s->container && s->err.code == 0) {
		s->err = *err; /* of all containers, one that ended meanwhile is only left out */
	}
	if (--s->pending == 0)
		stats_rounded(r);
}

static void stats_ask(struct request *r, const char *container)
{
	struct stats *s = r->state;

	s->pending++;
	cow_engine_container_stats(r->server->engine, container, stats_done, r);
}

static int stats_ask_all(struct request *r)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct json_object *list = NULL;
	struct cow_json root, item;
	const char *id;
	int e;

	e = cow_engine_list(r->server->engine, false, &b);
	if (e == 0)
		e = b.error;
	if (e == 0)
		e = cow_json_parse("list", b.data ? b.data : "[]", b.data ? b.len : 2, &list, NULL);
	if (e < 0)
		return e;
	root = (struct cow_json){ .value = list };
	for (size_t i = 0; cow_json_element(&root, i, &item); i++) {
		id = NULL;
		(void)cow_json_get_string(&item, "id", &id, NULL);
		if (id)
			stats_ask(r, id);
	}
	json_object_put(list);
	return 0;
}

static void stats_round(struct request *r)
{
	struct stats *s = r->state;
	int e = 0;

	cow_strbuf_finish(&s->samples);
	s->samples = (struct cow_strbuf)COW_STRBUF_INIT;
	cow_strbuf_add(&s->samples, "[");
	if (*s->container)
		stats_ask(r, s->container);
	else
		e = stats_ask_all(r);
	if (e < 0)
		(void)cow_error_errno(&s->err, e, "stats");
	if (s->pending == 0)
		stats_rounded(r);
}

void stream_stats(struct request *r, const struct args *a, struct json_object *params)
{
	const char *container = a->container ? a->container : "";
	size_t len = strlen(container) + 1;
	struct stats *s = calloc(1, sizeof(*s) + len);

	(void)params;
	if (!s) {
		request_fail(r, -ENOMEM, "stats: %s", cow_errno_text(-ENOMEM));
		return;
	}
	memcpy(s->container, container, len);
	s->stream = a->stream;
	r->state = s;
	r->give_up = stats_give_up;
	stats_round(r);
}

/* container.logs, container.attach: pipes; the request lives until all is written. */

/* [0]: the client's end; [1]: ours, which does not block. */
static int make_pipe(int fds[2], int ours)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	if (fcntl(fds[ours], F_SETFL, O_NONBLOCK) == 0)
		return 0;
	(void)close(fds[0]);
	(void)close(fds[1]);
	fds[0] = fds[1] = -1;
	return -EIO;
}

static void follow_done(void *arg, int code)
{
	struct request *r = arg;

	(void)code;
	r->state = NULL;
	request_free(r);
}

static void follow_give_up(struct request *r)
{
	cow_follow_close(r->state);
	r->state = NULL;
	request_free(r);
}

static int follow_start(struct request *r, const char *container,
			const struct cow_follow_options *o, int *ret_out, int *ret_err,
			struct cow_error *err)
{
	struct cow_follow *follow = NULL;
	int out[2] = { -1, -1 }, errs[2] = { -1, -1 }, e;

	e = make_pipe(out, 1);
	if (e == 0)
		e = make_pipe(errs, 1);
	if (e < 0) {
		if (out[0] >= 0) {
			(void)close(out[0]);
			(void)close(out[1]);
		}
		return cow_error_errno(err, e, "container %s: pipe", container);
	}
	e = cow_engine_follow(r->server->engine, container, o, out[1], errs[1], follow_done, r,
			      &follow, err);
	if (e < 0) {
		(void)close(out[0]);
		(void)close(errs[0]);
		return e;
	}
	r->state = follow;
	r->give_up = follow_give_up;
	*ret_out = out[0];
	*ret_err = errs[0];
	return 0;
}

void stream_logs(struct request *r, const struct args *a, struct json_object *params)
{
	struct cow_follow_options options = {
		.follow = a->follow,
		.timestamps = a->timestamps,
		.out = a->out,
		.err = a->err,
		.tail = a->tail,
		.since_ns = (uint64_t)a->since_ns,
		.until_ns = (uint64_t)a->until_ns,
	};
	struct cow_error err = { 0 };
	int fds[2];

	(void)params;
	if (follow_start(r, a->container, &options, &fds[0], &fds[1], &err) < 0)
		request_finish(r, &err, NULL);
	else
		request_answer_fds(r, "{\"fds\":[\"stdout\",\"stderr\"]}", fds, 2);
}

static int attach_stdin(struct request *r, const char *container, int *ret, struct cow_error *err)
{
	int fds[2], e;

	e = make_pipe(fds, 0);
	if (e < 0)
		return cow_error_errno(err, e, "container %s: pipe", container);
	e = cow_engine_attach_stdin(r->server->engine, container, fds[0], err);
	if (e < 0) {
		(void)close(fds[1]);
		return e;
	}
	*ret = fds[1];
	return 0;
}

static int has_terminal(struct request *r, const char *container, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	struct json_object *inspect = NULL;
	bool terminal = false;
	int e;

	e = cow_engine_inspect(r->server->engine, container, &b, err);
	if (e < 0)
		return e;
	e = b.error ? b.error : cow_json_parse("inspect", b.data, b.len, &inspect, err);
	if (e < 0)
		return cow_error_errno(err, e, "container %s", container);
	(void)cow_json_get_bool(&(struct cow_json){ .value = inspect }, "terminal", &terminal,
				NULL);
	json_object_put(inspect);
	return terminal;
}

void stream_attach(struct request *r, const struct args *a, struct json_object *params)
{
	struct cow_follow_options options = {
		.follow = true, .out = true, .err = true, .tail = a->logs ? -1 : 0
	};
	const char *names = a->in ? "\"stdin\",\"stdout\",\"stderr\"" : "\"stdout\",\"stderr\"";
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	int fds[3], n = a->in ? 1 : 0, terminal;
	struct cow_error err = { 0 };

	(void)params;
	terminal = has_terminal(r, a->container, &err);
	if (terminal < 0 || (a->in && attach_stdin(r, a->container, &fds[0], &err) < 0)) {
		request_finish(r, &err, NULL);
		return;
	}
	if (follow_start(r, a->container, &options, &fds[n], &fds[n + 1], &err) < 0) {
		if (a->in)
			(void)close(fds[0]);
		request_finish(r, &err, NULL);
		return;
	}
	cow_strbuf_addf(&b, "{\"fds\":[%s],\"terminal\":%s}", names, terminal ? "true" : "false");
	request_answer_fds(r, b.data, fds, (uint32_t)n + 2);
}
