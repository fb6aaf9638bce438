/* SPDX-License-Identifier: MIT */
/* A kernel that only counts, and fails when it is told to. */
#ifndef KERNEL_H
#define KERNEL_H

#include "verbs/api.h"

#include <errno.h>

static struct {
	int plugged, namespaces, calls, fail_at; /* fail_at: the n-th call from now; 0: none */
	int balancers, routes, changes, remotes;
} kernel;

static int called(struct plug_error *err)
{
	kernel.calls++;
	if (kernel.fail_at && --kernel.fail_at == 0)
		return plug_error_set(err, -EIO, "kernel: says no");
	return 0;
}

static int taken(void *arg, struct net_addr **ret, size_t *ret_count, struct plug_error *err)
{
	(void)arg;
	*ret = NULL;
	*ret_count = 0;
	return called(err);
}

static int network(void *arg, const struct net_network *n, struct plug_error *err)
{
	(void)arg;
	(void)n;
	return called(err);
}

static int namespace_make(void *arg, struct net_namespace *ns, struct plug_error *err)
{
	int r = called(err);

	(void)arg;
	if (r == 0) {
		ns->path = strdup("/nowhere");
		kernel.namespaces++;
	}
	return r;
}

static int namespace_remove(void *arg, const struct net_namespace *ns, struct plug_error *err)
{
	int r = called(err);

	(void)arg;
	if (r == 0 && ns->path)
		kernel.namespaces--;
	return r;
}

static int namespace_sync(void *arg, const struct net_namespace *ns, struct plug_error *err)
{
	(void)arg;
	(void)ns;
	return called(err);
}

static char plugged_id[8][NET_ID_SIZE];

static int plug(void *arg, const struct net_network *n, struct net_endpoint *e,
		const struct net_namespace *ns, bool first, struct plug_error *err)
{
	int r = called(err);

	(void)arg;
	assert_string_equal(e->network, n->id);
	assert_string_equal(e->namespace_id, ns->id);
	assert_int_equal(first, !strcmp(e->guest_link, "eth0"));
	for (size_t i = 0; r == 0 && i < 8; i++)
		if (!*plugged_id[i]) {
			(void)snprintf(plugged_id[i], NET_ID_SIZE, "%s", e->id);
			kernel.plugged++;
			break;
		}
	return r;
}

/* Gone already is success. */
static int unplug(void *arg, const struct net_network *n, const struct net_endpoint *e,
		  struct plug_error *err)
{
	int r = called(err);

	(void)arg;
	(void)n;
	for (size_t i = 0; r == 0 && i < 8; i++)
		if (!strcmp(plugged_id[i], e->id)) {
			*plugged_id[i] = 0;
			kernel.plugged--;
		}
	return r;
}

static int endpoint_change(void *arg, const struct net_network *n, struct net_endpoint *e,
			   const struct net_endpoint *was, struct plug_error *err)
{
	(void)arg, (void)n, (void)e, (void)was;
	kernel.changes++;
	return called(err);
}

static int balancer_put(void *arg, const struct net_balancer *b,
			const struct net_endpoint *const *endpoints, size_t count, struct plug_error *err)
{
	(void)arg;
	(void)b;
	(void)endpoints;
	kernel.balancers = (int)count;
	return called(err);
}

static int balancer_remove(void *arg, const struct net_balancer *b, struct plug_error *err)
{
	(void)arg;
	(void)b;
	kernel.balancers = -1;
	return called(err);
}

static int route(void *arg, const struct net_endpoint *e, const struct net_namespace *ns,
		 const struct net_sdn_route *r, bool add, struct plug_error *err)
{
	int code = called(err);

	(void)arg;
	(void)e;
	(void)ns;
	(void)r;
	if (code == 0)
		kernel.routes = add;
	return code;
}

static int network_check(void *arg, const struct net_network *n, struct plug_error *err)
{
	(void)arg;
	assert_true(*n->id);
	(void)err;
	return 0;
}

static int network_known(void *arg, struct net_network *n, struct plug_error *err)
{
	(void)arg;
	(void)n;
	(void)err;
	return 0;
}

static int remote(void *arg, const struct net_network *n, const struct net_endpoint *e, bool add,
		  struct plug_error *err)
{
	int code = called(err);

	(void)arg;
	(void)n;
	assert_true(e->flags & NET_ENDPOINT_REMOTE);
	if (code == 0)
		kernel.remotes += add ? 1 : -1;
	return code;
}

static int stats(void *arg, const struct net_endpoint *e, struct net_stats *ret, struct plug_error *err)
{
	(void)arg;
	(void)e;
	*ret = (struct net_stats){ .rx_bytes = 1, .tx_bytes = 2, .rx_packets = 3, .tx_packets = 4 };
	return called(err);
}

static const struct net_effects effects = {
	.taken = taken,
	.network_check = network_check,
	.network_known = network_known,
	.conflist_check = network,
	.network_remove = network,
	.network_change = network,
	.namespace_make = namespace_make,
	.namespace_remove = namespace_remove,
	.namespace_sync = namespace_sync,
	.plug = plug,
	.unplug = unplug,
	.endpoint_change = endpoint_change,
	.remote = remote,
	.balancer_put = balancer_put,
	.balancer_remove = balancer_remove,
	.route = route,
	.stats = stats,
};

#endif
