/* SPDX-License-Identifier: MIT */
#include "attach/state.h"

#include "attach/bridge.h"
#include "attach/cni_use.h"
#include "attach/networks.h"
#include "common/util.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The usual place of the only supervisor of most machines. */
#define RUN_DIR "/run/cowherd"
#define TABLE "cowherd"

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static struct net_state *_Atomic state;
static char *state_dir, *run_dir;

int net_state_set_up(const char *state_path, const char *run_path)
{
	free(state_dir);
	free(run_dir);
	state_dir = strdup(state_path);
	run_dir = strdup(run_path);
	return state_dir && run_dir ? 0 : -ENOMEM;
}

const char *net_state_run_dir(void)
{
	return run_dir;
}

int net_state_make_dir(const char *path, struct plug_error *err)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return plug_error_errno(err, -ENOMEM, "%s", path);
	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = 0;
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return plug_error_errno(err, -errno, "%s", copy);
		*p = c;
		if (!c)
			return 0;
	}
}

static void state_free(struct net_state *s)
{
	if (!s)
		return;
	net_ports_destroy(s->ports);
	net_table_close(s->table);
	net_store_close(s->store);
	free(s->run_dir);
	free(s->net_dir);
	free(s->ns_dir);
	free(s);
}

/* Each supervisor has a table of its own: it is replaced as a whole. */
static int table_open(struct net_state *s, struct plug_error *err)
{
	char name[32] = TABLE;

	if (strcmp(s->run_dir, RUN_DIR) != 0)
		(void)snprintf(name, sizeof(name), TABLE "-%08x", plug_hash(s->run_dir));
	return net_table_open(name, &s->table, err);
}

static int state_open(struct net_state **ret, struct plug_error *err)
{
	struct net_state *s = calloc(1, sizeof(*s));
	struct net_foreign foreign;
	int r = -ENOMEM;

	if (s && (s->run_dir = strdup(run_dir)) && asprintf(&s->net_dir, "%s/net", run_dir) > 0 &&
	    asprintf(&s->ns_dir, "%s/netns", run_dir) > 0)
		r = net_state_make_dir(s->net_dir, err) ?: net_state_make_dir(s->ns_dir, err);
	else
		(void)plug_error_errno(err, r, "network");
	if (r == 0)
		r = net_store_open(state_dir, run_dir, &s->store, err);
	foreign = net_cni_foreign(s);
	if (r == 0)
		net_store_foreign(s->store, &foreign);
	if (r == 0)
		r = table_open(s, err);
	if (r == 0 && net_ports_create(&s->ports) < 0)
		r = plug_error_errno(err, -ENOMEM, "ports");
	if (r == 0)
		r = net_state_restore(s, err);
	if (r < 0)
		state_free(s);
	else
		*ret = s;
	return r;
}

int net_state_get(struct net_state **ret, struct plug_error *err)
{
	struct net_state *s = atomic_load(&state);
	int r = 0;

	if (!s) {
		(void)pthread_mutex_lock(&opening);
		s = atomic_load(&state);
		if (!s)
			r = state_open(&s, err);
		if (r == 0)
			atomic_store(&state, s);
		(void)pthread_mutex_unlock(&opening);
	}
	if (r == 0) {
		net_networks_settle(s);
		*ret = s;
	}
	return r;
}

struct net_state *net_state_peek(void)
{
	return atomic_load(&state);
}

static bool none_used(void *arg, const char *network)
{
	(void)arg;
	(void)network;
	return false;
}

/* Whether an endpoint is in some namespace; one that cannot be read may be. */
static bool any_plugged(struct net_state *s)
{
	struct net_entry *endpoints = NULL;
	size_t count = 0;
	bool found = net_store_list(s->store, NET_ENDPOINTS, NULL, &endpoints, &count, NULL) < 0;

	for (size_t i = 0; !found && i < count; i++) {
		struct net_endpoint *e = NULL;
		int r = net_store_endpoint(s->store, endpoints[i].id, &e, NULL);

		found = r < 0 ? r != -ENOENT : *e->guest_link;
		net_endpoint_free(e);
	}
	net_entries_free(endpoints, count);
	return found;
}

/* Only bridges in which nothing is: containers may live on without a supervisor. */
static void let_go(struct net_state *s)
{
	_cleanup_rtnl_ struct net_rtnl *r = NULL;

	if (any_plugged(s))
		return;
	(void)net_table_drop(s->table, NULL);
	if (net_rtnl_open(-1, &r, NULL) == 0)
		(void)net_state_sweep_bridges(s, r, none_used, NULL, NULL);
}

void net_state_close(void)
{
	struct net_state *s = atomic_exchange(&state, NULL);

	if (s) {
		net_networks_let_go(s);
		let_go(s);
	}
	state_free(s);
	free(state_dir);
	free(run_dir);
	state_dir = run_dir = NULL;
}

char *net_state_ns_path(const struct net_state *s, const char *id)
{
	char *path;

	return asprintf(&path, "%s/%s", s->ns_dir, id) < 0 ? NULL : path;
}
