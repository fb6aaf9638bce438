/* SPDX-License-Identifier: MIT */
#include "attach/rootless.h"
#include "common/files.h"
#include "common/util.h"
#include "model/json.h"
#include "policy/ports.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int port_add(struct net_rootless_request *r, const struct net_policy_port *p, const char *text,
		    struct plug_error *err)
{
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return plug_error_set(err, -EOPNOTSUPP, "port %s: without root only tcp and udp", text);
	if (!p->external)
		return plug_error_set(err, -EOPNOTSUPP, "port %s: without root, the host's port is named",
				      text);
	for (uint16_t i = 0; i < p->count; i++) {
		size_t n = r->q.port_count;

		if (n == NET_ROOTLESS_PORTS_MAX)
			return plug_error_set(err, -E2BIG, "port %s: without root there are at most %d", text,
					      NET_ROOTLESS_PORTS_MAX);
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

static int ports_add(struct net_rootless_request *q, const struct net_strv *texts, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < texts->count; i++) {
		struct net_policy *policies = NULL;
		size_t count = 0;

		r = net_ports_parse(texts->items[i], &policies, &count, err);
		for (size_t k = 0; r == 0 && k < count; k++)
			r = port_add(q, &policies[k].port, texts->items[i], err);
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

int net_rootless_request_make(struct net_rootless_request *q, enum net_rootless_kind kind,
			      const char *run_dir, const struct net_strv *ports, struct plug_error *err)
{
	int r;

	*q = (struct net_rootless_request){ 0 };
	r = ports_add(q, ports, err);
	if (r < 0)
		return r;
	if (asprintf(&q->dir, "%s/rootless", run_dir) < 0) {
		q->dir = NULL;
		return plug_error_errno(err, -ENOMEM, "network");
	}
	q->q.kind = kind;
	q->q.dir = q->dir;
	q->q.userns = q->userns;
	q->q.netns = q->netns;
	q->q.ifname = "eth0";
	q->q.ports = q->ports;
	return 0;
}

void net_rootless_request_holder(struct net_rootless_request *q, pid_t holder)
{
	(void)snprintf(q->userns, sizeof(q->userns), "/proc/%d/ns/user", holder);
	(void)snprintf(q->netns, sizeof(q->netns), "/proc/%d/ns/net", holder);
}

void net_rootless_request_finish(struct net_rootless_request *q)
{
	free(q->dir);
	q->dir = NULL;
}

/* ---- noted for the next supervisor: RUN_DIR/net/rootless/CONTAINER */

static int notes_open(struct plug_error *err)
{
	_cleanup_free_ char *path = net_rootless_notes();
	int r = path ? net_state_make_dir(path, err) : plug_error_errno(err, -ENOMEM, "network"), fd;

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? plug_error_errno(err, -errno, "%s", path) : fd;
}

static int note(const struct net_part *part, struct plug_error *err)
{
	struct json_object *o = json_object_new_object(), *ports = json_object_new_array();
	_cleanup_close_ int dir = notes_open(err);
	_cleanup_free_ char *making = NULL, *text = NULL;
	int r = dir < 0 ? dir : 0;

	for (size_t i = 0; i < part->plan.ports.count; i++)
		net_json_append(&ports, json_object_new_string(part->plan.ports.items[i]));
	net_json_add_string(&o, "run_dir", part->run_dir);
	net_json_add_string(&o, "kind", net_rootless_kind_name(part->rootless));
	net_json_add(&o, "ports", ports);
	text = o ? plug_json_print(o) : NULL;
	json_object_put(o);
	if (asprintf(&making, ".%s", part->plan.container) < 0)
		making = NULL;
	if (r == 0)
		r = text && making ? 0 : -ENOMEM;
	if (r == 0)
		r = plug_file_write(dir, part->plan.container, making, text, PLUG_FILE_REPLACE);
	return r < 0 && dir >= 0 ? plug_error_errno(err, r, "net/rootless/%s", part->plan.container) : r;
}

static int forget(const char *container, struct plug_error *err)
{
	_cleanup_close_ int dir = notes_open(err);

	if (dir < 0)
		return dir;
	return unlinkat(dir, container, 0) < 0 && errno != ENOENT
		       ? plug_error_errno(err, -errno, "net/rootless/%s", container)
		       : 0;
}

/* ---- taking and giving */

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

static int patch_make(struct net_part *part, const struct net_rootless_request *q)
{
	_cleanup_free_ char *resolv = NULL, *hosts = NULL, *userns = NULL, *netns = NULL;

	if (asprintf(&userns, "%s/" NET_ROOTLESS_USERNS, q->dir) < 0)
		userns = NULL;
	if (asprintf(&netns, "%s/" NET_ROOTLESS_NETNS, q->dir) < 0)
		netns = NULL;
	if (asprintf(&resolv, "%s/net/resolv.conf", part->run_dir) < 0)
		resolv = NULL;
	if (asprintf(&hosts, "%s/net/hosts", part->run_dir) < 0)
		hosts = NULL;
	if (resolv && hosts && userns && netns)
		part->patch = net_plan_patch(&part->plan, netns, resolv, hosts);
	if (!part->patch || patch_user(part->patch, userns) < 0)
		return plug_error_errno(&part->err, -ENOMEM, "spec");
	return 0;
}

int net_rootless_take(struct net_part *part)
{
	__attribute__((cleanup(net_rootless_request_finish))) struct net_rootless_request q = { 0 };
	pid_t holder, program;
	int r = wants_check(part, &part->err);

	if (r == 0)
		r = net_rootless_choose(part->rootless, &part->rootless, &part->err);
	if (r == 0)
		r = net_rootless_request_make(&q, part->rootless, part->run_dir, &part->plan.ports,
					      &part->err);
	if (r == 0)
		r = note(part, &part->err);
	if (r == 0)
		r = net_rootless_hold(q.dir, &holder, &part->err);
	if (r < 0)
		return r;
	net_rootless_request_holder(&q, holder);
	r = net_rootless_start(&q.q, &program, &part->err);
	if (r == 0)
		r = net_take_files(part, false);
	return r < 0 ? r : patch_make(part, &q);
}

int net_rootless_give(const char *container, const char *run_dir, struct plug_error *err)
{
	_cleanup_free_ char *dir = NULL;
	int r;

	if (asprintf(&dir, "%s/rootless", run_dir) < 0) {
		dir = NULL;
		return plug_error_errno(err, -ENOMEM, "%s", run_dir);
	}
	r = net_rootless_stop(dir, err);
	return r < 0 ? r : forget(container, err);
}
