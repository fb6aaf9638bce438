/* SPDX-License-Identifier: MIT */
#include "attach/rootless.h"
#include "common/util.h"
#include "model/json.h"
#include "policy/ports.h"
#include "rootless/rootless.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS_MAX 16
#define RESTARTS_MAX 5

/* What the program is started with; and the texts of it. */
struct request {
	struct net_rootless q;
	struct net_rootless_port ports[PORTS_MAX];
	char hosts[PORTS_MAX][NET_ADDR_TEXT];
	char *dir, userns[48], netns[48];
};

static int port_add(struct request *r, const struct net_policy_port *p, const char *text,
		    struct plug_error *err)
{
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return plug_error_set(err, -EOPNOTSUPP, "port %s: without root only tcp and udp", text);
	if (!p->external)
		return plug_error_set(err, -EOPNOTSUPP, "port %s: without root, the host's port is named",
				      text);
	for (uint16_t i = 0; i < p->count; i++) {
		size_t n = r->q.port_count;

		if (n == PORTS_MAX)
			return plug_error_set(err, -E2BIG, "port %s: without root there are at most %d", text,
					      PORTS_MAX);
		if (net_addr_is_set(&p->host))
			net_addr_format(&p->host, r->hosts[n]);
		r->ports[n] = (struct net_rootless_port){
			.udp = p->protocol == IPPROTO_UDP,
			.host = *r->hosts[n] ? r->hosts[n] : NULL,
			.external = (uint16_t)(p->external + i),
			.internal = (uint16_t)(p->internal + i),
		};
		r->q.port_count++;
	}
	return 0;
}

static int ports_add(struct request *q, const struct net_part *part, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < part->plan.ports.count; i++) {
		const char *text = part->plan.ports.items[i];
		struct net_policy *policies = NULL;
		size_t count = 0;

		r = net_ports_parse(text, &policies, &count, err);
		for (size_t k = 0; r == 0 && k < count; k++)
			r = port_add(q, &policies[k].port, text, err);
		net_policies_free(policies, count);
	}
	return r;
}

static int wants_check(const struct net_part *part, struct plug_error *err)
{
	const struct net_want *w = &part->plan.wants[0];

	if (part->plan.namespace_ref || w->existing || part->plan.want_count > 1 ||
	    strcmp(w->network, NET_FALLBACK_NETWORK) != 0)
		return plug_error_set(err, -EPERM, "network %s: only root has others than \"%s\"",
				      part->plan.namespace_ref ? part->plan.namespace_ref : w->network,
				      NET_FALLBACK_NETWORK);
	if (net_addr_is_set(&w->ip) || net_addr_is_set(&w->ip6) || w->mac.set)
		return plug_error_set(err, -EPERM, "network %s: only root chooses addresses", w->network);
	return 0;
}

static int request_make(struct request *q, const struct net_part *part, struct plug_error *err)
{
	int r = wants_check(part, err);

	*q = (struct request){ 0 };
	if (r == 0)
		r = ports_add(q, part, err);
	if (r < 0)
		return r;
	if (asprintf(&q->dir, "%s/rootless", part->run_dir) < 0) {
		q->dir = NULL;
		return plug_error_errno(err, -ENOMEM, "network");
	}
	q->q.dir = q->dir;
	q->q.userns = q->userns;
	q->q.netns = q->netns;
	q->q.ifname = "eth0";
	q->q.ports = q->ports;
	return 0;
}

static void request_holder(struct request *q, pid_t holder)
{
	(void)snprintf(q->userns, sizeof(q->userns), "/proc/%d/ns/user", holder);
	(void)snprintf(q->netns, sizeof(q->netns), "/proc/%d/ns/net", holder);
}

static void request_finish(struct request *q)
{
	free(q->dir);
}

static int put_text(struct json_object *o, const char *key, const char *text)
{
	struct json_object *value = json_object_new_string(text);

	if (value && json_object_object_add(o, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

/* The container joins the holder's user namespace, whose maps are not its own to write. */
static int patch_user(struct json_object *patch, const char *path)
{
	struct json_object *linux_ = net_json_get(patch, "linux");
	struct json_object *list = net_json_get(linux_, "namespaces"), *user = NULL;

	for (size_t i = 0; i < plug_json_length(list); i++) {
		struct json_object *ns = json_object_array_get_idx(list, i), *type = net_json_get(ns, "type");

		if (type && !strcmp(json_object_get_string(type), "user"))
			user = ns;
	}
	if (!user) {
		user = json_object_new_object();
		if (!user || json_object_array_add(list, user) < 0) {
			json_object_put(user);
			return -ENOMEM;
		}
		if (put_text(user, "type", "user") < 0)
			return -ENOMEM;
	}
	return put_text(user, "path", path) < 0 ||
			       json_object_object_add(linux_, "uidMappings", NULL) < 0 ||
			       json_object_object_add(linux_, "gidMappings", NULL) < 0
		       ? -ENOMEM
		       : 0;
}

static int patch_make(struct net_part *part, const struct request *q)
{
	_cleanup_free_ char *resolv = NULL, *hosts = NULL;

	if (asprintf(&resolv, "%s/net/resolv.conf", part->run_dir) < 0)
		resolv = NULL;
	if (asprintf(&hosts, "%s/net/hosts", part->run_dir) < 0)
		hosts = NULL;
	if (resolv && hosts)
		part->patch = net_plan_patch(&part->plan, q->netns, resolv, hosts);
	if (!part->patch || patch_user(part->patch, q->userns) < 0)
		return plug_error_errno(&part->err, -ENOMEM, "spec");
	return 0;
}

int net_rootless_take(struct net_part *part)
{
	__attribute__((cleanup(request_finish))) struct request q;
	pid_t holder, program;
	int r = request_make(&q, part, &part->err);

	if (r == 0)
		r = net_rootless_hold(q.dir, &holder, &part->err);
	if (r < 0)
		return r;
	request_holder(&q, holder);
	r = net_rootless_start(&q.q, &program, &part->err);
	if (r == 0)
		r = net_take_files(part, false);
	return r < 0 ? r : patch_make(part, &q);
}

int net_rootless_give(const char *run_dir, struct plug_error *err)
{
	_cleanup_free_ char *dir = NULL;

	if (asprintf(&dir, "%s/rootless", run_dir) < 0) {
		dir = NULL;
		return plug_error_errno(err, -ENOMEM, "%s", run_dir);
	}
	return net_rootless_stop(dir, err);
}

/* ---- on the loop */

struct guard {
	struct guard *next;
	const struct cowherd_host *host;
	struct cowherd_self *self;
	char *container, *run_dir;
	struct request q;
	struct plug_error err;
	int pidfd;
	uint64_t watch;
	unsigned restarts;
	bool working, gone;
};

static struct guard *guards;

static void guard_free(struct guard *g)
{
	if (g->watch)
		g->host->unwatch_fd(g->self, g->watch);
	plug_closep(&g->pidfd);
	request_finish(&g->q);
	free(g->container);
	free(g->run_dir);
	free(g);
}

static void guard_watch(struct guard *g, pid_t pid);

static int guard_work(void *arg)
{
	struct guard *g = arg;
	pid_t pid;

	return net_rootless_start(&g->q.q, &pid, &g->err) ?: pid;
}

/* The release came while it was being started again, and may not have seen it. */
static int guard_end_work(void *arg)
{
	struct guard *g = arg;

	return net_rootless_stop(g->q.dir, NULL);
}

static void guard_end_done(void *arg, int result)
{
	(void)result;
	guard_free(arg);
}

static void guard_done(void *arg, int result)
{
	struct guard *g = arg;

	g->working = false;
	if (g->gone) {
		if (g->host->offload(g->self, guard_end_work, guard_end_done, g) < 0)
			guard_free(g);
		return;
	}
	if (result < 0)
		g->host->log(g->self, COWHERD_LOG_ERROR, g->container, "net.rootless", g->err.text);
	else
		g->host->log(g->self, COWHERD_LOG_WARN, g->container, "net.rootless",
			     "the program that carries its packets had ended: started again");
	if (result > 0)
		guard_watch(g, result);
}

static void guard_cb(void *arg, int fd, uint32_t events)
{
	struct guard *g = arg;
	siginfo_t info;

	(void)events;
	g->host->unwatch_fd(g->self, g->watch);
	g->watch = 0;
	(void)waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
	plug_closep(&g->pidfd);
	g->pidfd = -1;
	if (g->restarts++ < RESTARTS_MAX && g->host->offload(g->self, guard_work, guard_done, g) == 0)
		g->working = true;
	else
		g->host->log(g->self, COWHERD_LOG_ERROR, g->container, "net.rootless",
			     "the program that carries its packets has ended, and not for the first time");
}

static void guard_watch(struct guard *g, pid_t pid)
{
	g->pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
	if (g->pidfd >= 0)
		(void)g->host->watch_fd(g->self, g->pidfd, COWHERD_FD_READ, guard_cb, g, &g->watch);
}

int net_rootless_guard(const struct cowherd_host *host, struct cowherd_self *self,
		       const struct net_part *part, struct plug_error *err)
{
	struct guard *g = calloc(1, sizeof(*g));
	pid_t holder, pid;
	int r = g ? 0 : -ENOMEM;

	if (r < 0)
		return plug_error_errno(err, r, "network");
	*g = (struct guard){ .host = host, .self = self, .pidfd = -1 };
	g->container = strdup(part->plan.container);
	g->run_dir = strdup(part->run_dir);
	r = g->container && g->run_dir ? request_make(&g->q, part, err)
				       : plug_error_errno(err, -ENOMEM, "network");
	if (r == 0)
		r = net_rootless_find(g->q.dir, &pid);
	if (r == 0)
		r = net_rootless_holder(g->q.dir, &holder);
	if (r < 0) {
		guard_free(g);
		return r;
	}
	request_holder(&g->q, holder);
	g->next = guards;
	guards = g;
	guard_watch(g, pid);
	return 0;
}

static void guard_leave(struct guard *g)
{
	g->gone = true;
	if (!g->working)
		guard_free(g);
}

void net_rootless_unguard(const char *run_dir)
{
	for (struct guard **p = &guards, *g; (g = *p); p = &g->next) {
		if (strcmp(g->run_dir, run_dir) != 0)
			continue;
		*p = g->next;
		guard_leave(g);
		return;
	}
}

void net_rootless_unguard_all(void)
{
	while (guards)
		net_rootless_unguard(guards->run_dir);
}
