/* SPDX-License-Identifier: MIT */
/*
 * What is alive on the loop besides names: the configuration's networks, and the watch over our rules, which
 * come back when somebody has flushed them.  After a start, who has which name is read from the store again.
 */
#include "attach/attach.h"
#include "attach/rootless.h"
#include "attach/cards.h"

#include "attach/names.h"
#include "attach/worker.h"
#include "common/util.h"
#include "model/json.h"

#include <stdio.h>
#include <string.h>

static struct {
	const struct cowherd_host *host;
	struct cowherd_self *self;
	int watch_fd;
	uint64_t watch, begin;
	bool rebuilding, again;
} live = { .watch_fd = -1 };

int net_live_add(const struct net_part *part, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < part->count; i++)
		if (net_part_owns(part, i))
			r = net_names_add(part->networks[i], part->endpoints[i], &part->plan.dns, err);
	return r;
}

/* ---- the configuration's networks */

void net_live_tell(void)
{
	_cleanup_text_ struct plug_text told = { 0 };
	char *rest, *line;

	net_networks_told(&told);
	rest = told.data;
	while (rest && (line = strsep(&rest, "\n")))
		if (*line)
			live.host->log(live.self, COWHERD_LOG_WARN, NULL, "net.network", line);
}

static int networks_work(void *arg)
{
	struct plug_error *err = arg;
	struct net_state *s;

	return net_state_get(&s, err);
}

static void networks_done(void *arg, int result)
{
	struct plug_error *err = arg;

	if (result < 0 && result != -ECANCELED)
		live.host->log(live.self, COWHERD_LOG_ERROR, NULL, "net.network", err->text);
	free(err);
	net_live_tell();
	net_names_settle();
}

void net_live_networks(struct net_networks *networks)
{
	struct plug_error *err;

	if (geteuid() != 0) {
		if (networks->count)
			live.host->log(live.self, COWHERD_LOG_WARN, NULL, "net.network",
				       "networks: without root there is only nat");
		net_networks_free(networks);
		return;
	}
	if (!net_networks_want(networks))
		return;
	err = calloc(1, sizeof(*err));
	if (!err || live.host->offload(live.self, networks_work, networks_done, err) < 0)
		free(err);
}

/* ---- our rules */

static int rebuild_work(void *arg)
{
	struct plug_error *err = arg;
	struct net_state *s = net_state_peek();

	return s ? net_table_rebuild(s->table, err) : 0;
}

static void rebuild_done(void *arg, int result);

static void rebuild(void)
{
	struct plug_error *err = calloc(1, sizeof(*err));

	if (!err || live.host->offload(live.self, rebuild_work, rebuild_done, err) < 0)
		free(err);
	else
		live.rebuilding = true;
}

static void rebuild_done(void *arg, int result)
{
	struct plug_error *err = arg;
	bool again = live.again;

	live.host->log(live.self, result < 0 ? COWHERD_LOG_ERROR : COWHERD_LOG_WARN, NULL, "net.rules",
		       result < 0 ? err->text : "somebody changed our rules: they are as they were");
	free(err);
	live.rebuilding = live.again = false;
	if (again && result != -ECANCELED)
		rebuild();
}

static void watch_readable(void *arg, int fd, uint32_t events)
{
	struct net_state *s = net_state_peek();
	bool lost;

	(void)arg;
	(void)events;
	lost = s && net_table_lost(s->table, fd);
	if (s && net_table_hindered(s->table))
		net_obstacles_look(live.host, live.self, s);
	if (!lost)
		return;
	if (live.rebuilding)
		live.again = true;
	else
		rebuild();
}

void net_live_watch(void)
{
	struct net_state *s = net_state_peek();
	struct plug_error err = { 0 };
	int r;

	if (live.watch_fd >= 0 || !s)
		return;
	r = net_table_watch(s->table, &live.watch_fd, &err);
	if (r == 0)
		r = live.host->watch_fd(live.self, live.watch_fd, COWHERD_FD_READ, watch_readable, NULL,
					&live.watch);
	if (r < 0)
		live.host->log(live.self, COWHERD_LOG_WARN, NULL, "net.rules", err.text);
	net_obstacles_look(live.host, live.self, s);
}

/* ---- the start */

/* What the store has, for the loop. */
struct beginning {
	struct net_part part; /* only its networks and endpoints */
	struct beginning *next;
};

static int begin_one(struct net_state *s, const char *id, struct beginning **list)
{
	struct beginning *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->part.count = 1;
	b->next = *list;
	*list = b;
	if (net_store_endpoint(s->store, id, &b->part.endpoints[0], NULL) < 0 ||
	    net_store_network(s->store, b->part.endpoints[0]->network, &b->part.networks[0], NULL) < 0)
		b->part.count = 0;
	return 0;
}

static int begin_work(void *arg)
{
	struct beginning **list = arg;
	struct net_entry *entries = NULL;
	struct net_state *s;
	struct plug_error err;
	size_t count = 0;
	int r = net_state_get(&s, &err);

	if (r == 0)
		r = net_store_list(s->store, NET_ENDPOINTS, NULL, &entries, &count, &err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = begin_one(s, entries[i].id, list);
	net_entries_free(entries, count);
	net_worker_wake();
	return r;
}

static void begin_done(void *arg, int result)
{
	struct beginning **list = arg, *next;

	if (result != -ECANCELED)
		net_live_watch();
	for (struct beginning *b = *list; b; b = next) {
		struct plug_error err;

		next = b->next;
		if (result == 0 && b->part.count && *b->part.endpoints[0]->guest_link &&
		    net_live_add(&b->part, &err) < 0)
			live.host->log(live.self, COWHERD_LOG_WARN, NULL, "net.resolver", err.text);
		net_part_finish(&b->part);
		free(b);
	}
	free(list);
}

/* Only where somebody had a network since the machine was started: most supervisors have none. */
static void begin(void *arg)
{
	_cleanup_free_ char *dir = NULL;
	struct beginning **list;

	(void)arg;
	live.begin = 0;
	if (asprintf(&dir, "%s/net", live.host->run_dir) < 0 || access(dir, F_OK) < 0)
		return;
	if (geteuid() != 0) {
		net_rootless_begin(live.host, live.self);
		return;
	}
	list = calloc(1, sizeof(*list));
	if (!list || live.host->offload(live.self, begin_work, begin_done, list) < 0)
		free(list);
}

void net_live_start(const struct cowherd_host *host, struct cowherd_self *self)
{
	live.host = host;
	live.self = self;
	live.watch_fd = -1;
	live.watch = 0;
	live.rebuilding = live.again = false;
	net_cards_start(host, self);
	net_names_start(host, self);
	(void)host->timer_start(self, 0, 0, begin, NULL, &live.begin);
}

void net_live_finish(void)
{
	net_cards_finish();
	if (live.begin)
		live.host->timer_stop(live.self, live.begin);
	if (live.watch)
		live.host->unwatch_fd(live.self, live.watch);
	if (live.watch_fd >= 0)
		(void)close(live.watch_fd);
	net_names_finish();
	live.watch_fd = -1;
	live.watch = live.begin = 0;
}
