/* SPDX-License-Identifier: MIT */
/* Events: told to subscribers at once, and kept in a ring for those who come later. */
#include "engine/container.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct event {
	uint64_t time_ns;
	char *container; /* id, or NULL */
	char *json;
};

struct cow_subscription {
	struct cow_list link;
	struct cow_engine *engine;
	cow_event_cb cb;
	void *arg;
	bool gone; /* unsubscribed while events are being told */
};

static void ring_put(struct cow_engine *e, uint64_t now, const struct container *c, char *json)
{
	struct event *slot;

	if (!e->ring)
		e->ring = calloc(EVENT_RING, sizeof(*e->ring));
	if (!e->ring) {
		free(json);
		return;
	}
	slot = &e->ring[e->events++ % EVENT_RING];
	free(slot->container);
	free(slot->json);
	*slot = (struct event){ .time_ns = now,
				.container = c ? strdup(c->def->id) : NULL,
				.json = json };
}

static void subscriptions_sweep(struct cow_engine *e)
{
	cow_list_for_safe(l, tmp, &e->subscriptions) {
		struct cow_subscription *s = cow_container_of(l, struct cow_subscription, link);

		if (!s->gone)
			continue;
		cow_list_del(l);
		free(s);
	}
}

static void publish(struct cow_engine *e, const struct container *c, const char *json)
{
	e->telling++;
	cow_list_for(l, &e->subscriptions) {
		struct cow_subscription *s = cow_container_of(l, struct cow_subscription, link);

		if (!s->gone)
			s->cb(s->arg, c ? c->def->id : NULL, json);
	}
	if (--e->telling == 0)
		subscriptions_sweep(e);
}

void event_tell(struct cow_engine *e, const struct container *c, const char *event,
		const char *detail)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	uint64_t now = cow_realtime_ns();
	_cleanup_free_ char *copy = NULL;
	char *json;

	cow_strbuf_addf(&b, "{\"time_ns\":%" PRIu64 ",\"event\":", now);
	cow_strbuf_json(&b, event);
	if (c) {
		cow_strbuf_add(&b, ",\"container\":");
		cow_strbuf_json(&b, c->def->id);
		cow_strbuf_add(&b, ",\"name\":");
		cow_strbuf_json(&b, c->def->name);
		if (*c->txn_id)
			cow_strbuf_addf(&b, ",\"txn\":\"%s\"", c->txn_id);
	}
	if (detail)
		cow_strbuf_addf(&b, ",%s", detail);
	cow_strbuf_add(&b, "}");
	json = cow_strbuf_take(&b);
	if (!json)
		return;
	/* The ring may turn while subscribers are told: they get a copy. */
	copy = cow_list_empty(&e->subscriptions) ? NULL : strdup(json);
	ring_put(e, now, c, json);
	if (copy)
		publish(e, c, copy);
}

/* The docker client's word for having entered a state. */
static const char *event_name(enum cow_state from, enum cow_state to)
{
	switch (to) {
	case COW_STATE_CREATED:
		return from == COW_STATE_CREATING ? "create" : "state";
	case COW_STATE_RUNNING:
		return from == COW_STATE_STARTING ? "start" :
		       from == COW_STATE_RESUMING ? "unpause" :
						    "state";
	case COW_STATE_PAUSED:
		return from == COW_STATE_PAUSING ? "pause" : "state";
	case COW_STATE_STOPPING:
		return "stop";
	case COW_STATE_KILLING:
		return "kill";
	case COW_STATE_STOPPED:
		return from == COW_STATE_DRAINING ? "die" : "state";
	case COW_STATE_RESTARTING:
		return "restart";
	case COW_STATE_DELETED:
		return "destroy";
	default:
		return "state";
	}
}

void event_state(struct container *c, enum cow_state from, enum cow_state to, bool failed)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	cow_strbuf_addf(&b, "\"state_from\":\"%s\",\"state_to\":\"%s\"", cow_state_info(from)->name,
			cow_state_info(to)->name);
	if (to == COW_STATE_STOPPED)
		ending_json(&c->ending, &b);
	if (failed && c->error) {
		cow_strbuf_add(&b, ",\"msg\":");
		cow_strbuf_json(&b, c->error->message);
	}
	if (!b.error)
		event_tell(c->engine, c, event_name(from, to), b.data);
}

struct cow_subscription *cow_engine_subscribe(struct cow_engine *e, uint64_t since_ns,
					      cow_event_cb cb, void *arg)
{
	struct cow_subscription *s = calloc(1, sizeof(*s));
	uint64_t first = e->events > EVENT_RING ? e->events - EVENT_RING : 0;

	if (!s)
		return NULL;
	s->engine = e;
	s->cb = cb;
	s->arg = arg;
	for (uint64_t i = first; since_ns && i < e->events; i++) {
		const struct event *event = &e->ring[i % EVENT_RING];

		if (event->time_ns >= since_ns && event->json)
			cb(arg, event->container, event->json);
	}
	cow_list_add(&e->subscriptions, &s->link);
	return s;
}

void cow_engine_unsubscribe(struct cow_subscription *s)
{
	if (!s)
		return;
	s->gone = true;
	if (s->engine->telling == 0)
		subscriptions_sweep(s->engine);
}

void events_last(struct cow_engine *e, const char *container, struct cow_strbuf *out)
{
	uint64_t first = e->events > EVENT_RING ? e->events - EVENT_RING : 0;
	uint64_t begin = e->events;
	uint32_t found = 0;
	const char *between = "";

	/* The last so many, oldest first. */
	while (begin > first && found < EVENTS_SHOWN) {
		const struct event *event = &e->ring[--begin % EVENT_RING];

		found += event->container && strcmp(event->container, container) == 0;
	}
	for (uint64_t i = begin; i < e->events; i++) {
		const struct event *event = &e->ring[i % EVENT_RING];

		if (!event->container || strcmp(event->container, container) != 0)
			continue;
		cow_strbuf_addf(out, "%s%s", between, event->json);
		between = ",";
	}
}

void events_finish(struct cow_engine *e)
{
	cow_list_for_safe(l, tmp, &e->subscriptions) {
		cow_list_del(l);
		free(cow_container_of(l, struct cow_subscription, link));
	}
	for (uint32_t i = 0; e->ring && i < EVENT_RING; i++) {
		free(e->ring[i].container);
		free(e->ring[i].json);
	}
	free(e->ring);
	e->ring = NULL;
}
