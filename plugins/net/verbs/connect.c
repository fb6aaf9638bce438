/* SPDX-License-Identifier: MIT */
/*
 * One network more, or one less, for a container that is there.  While it has a namespace, at once: the
 * namespace's record names the endpoint before it is made, so that whoever gives back the container's network
 * finds it.  For its lives to come it is kept beside its record (attach/changes.h).
 */
#include "verbs/connect.h"
#include "attach/attach.h"
#include "attach/changes.h"
#include "attach/files.h"
#include "attach/plug.h"
#include "common/util.h"
#include "kernel/netns.h"
#include "plugin.h"
#include "verbs/command.h"

#include <stdio.h>
#include <string.h>

const struct plug_option net_connect_options[] = {
	{ "ip", 0, "ADDRESS", "an IPv4 address of the network; as usual the next free one" },
	{ "ip6", 0, "ADDRESS", "an IPv6 address" },
	{ "mac-address", 0, "MAC", "as usual one of our own" },
	{ "alias", 0, "NAME", "a further name for the others of the network" },
	{ 0 },
};

const struct plug_option net_disconnect_options[] = {
	{ "force", 'f', NULL, "not to be in it is no error" },
	{ 0 },
};

/* The container, as the host knew it. */
struct connecting {
	char *name, *id, *run_dir, *state_dir;
	struct net_plan original, now; /* as it was made; with what was changed since */
};

static void connecting_free(struct connecting *c)
{
	if (!c)
		return;
	net_plan_finish(&c->original);
	net_plan_finish(&c->now);
	free(c->name);
	free(c->id);
	free(c->run_dir);
	free(c->state_dir);
	free(c);
}

static int connecting_fill(struct connecting *c, const struct cowherd_request *request,
			   struct plug_error *err)
{
	const struct net_plan_defaults defaults = { .network = net_config()->network,
						    .fallback = NET_FALLBACK_NETWORK };
	int r;

	c->name = strdup(request->name);
	c->id = strdup(request->container);
	c->run_dir = strdup(request->run_dir);
	c->state_dir = strdup(request->state_dir);
	if (!c->name || !c->id || !c->run_dir || !c->state_dir)
		return plug_error_errno(err, -ENOMEM, "container %s", request->name);
	r = net_plan_read(request, &defaults, &c->original, err) ?:
	    net_plan_read(request, &defaults, &c->now, err);
	return r ?: net_changes_apply(&c->now, c->state_dir, err);
}

int net_connect_look(struct plug_run *run)
{
	struct cowherd_request request = { .size = sizeof(request) };
	struct connecting *c;
	int r;

	if (run->word->run != net_connect && run->word->run != net_disconnect)
		return 0;
	r = net_plugin.host->find_container(net_plugin.self, run->words[1], &request, NULL);
	if (r < 0)
		return plug_error_set(&run->error, r, "container %.128s: %s", run->words[1],
				      r == -ENOENT     ? "no such container" :
				      r == -ENOTUNIQ ? "several containers' ids begin so" :
						       "no supervisor is running");
	if (geteuid() != 0)
		return plug_error_set(&run->error, -EPERM,
				      "container %.128s: without root its network is what it was made with",
				      run->words[1]);
	c = calloc(1, sizeof(*c));
	r = c ? connecting_fill(c, &request, &run->error)
	      : plug_error_errno(&run->error, -ENOMEM, "container %.128s", run->words[1]);
	if (r < 0)
		connecting_free(c);
	else
		run->data = c;
	return r;
}

void net_connect_end(struct plug_run *run)
{
	connecting_free(run->data);
	run->data = NULL;
	net_command_end(run);
}

/* ---- the endpoints of a namespace, in order */

struct inside {
	struct net_namespace *ns;
	struct net_network *networks[NET_WANTS_MAX * 2];
	struct net_endpoint *endpoints[NET_WANTS_MAX * 2];
	size_t count;
};

static void inside_finish(struct inside *i)
{
	for (size_t k = 0; k < i->count; k++) {
		net_network_free(i->networks[k]);
		net_endpoint_free(i->endpoints[k]);
	}
	net_namespace_free(i->ns);
}
#define _cleanup_inside_ __attribute__((cleanup(inside_finish)))

static int inside_read(struct net_store *s, const char *ns, struct inside *ret, struct plug_error *err)
{
	int r = net_store_namespace(s, ns, &ret->ns, err);

	for (size_t i = 0; r == 0 && i < ret->ns->resource_count; i++) {
		const struct net_resource *one = &ret->ns->resources[i];
		size_t k = ret->count;

		if (one->container || k == PLUG_ELEMENTS(ret->endpoints) ||
		    net_store_endpoint(s, one->id, &ret->endpoints[k], NULL) < 0)
			continue;
		if (net_store_network(s, ret->endpoints[k]->network, &ret->networks[k], NULL) == 0)
			ret->count++;
		else
			net_endpoint_free(ret->endpoints[k]);
	}
	return r;
}

/* Which of them is this network's; count: none. */
static size_t inside_find(const struct inside *i, const struct net_network *n)
{
	size_t k = 0;

	while (k < i->count && strcmp(i->networks[k]->id, n->id) != 0)
		k++;
	return k;
}

/* The first that leads out has the default route. */
static size_t inside_way_out(const struct inside *i)
{
	size_t k = 0;

	while (k < i->count && !net_type_leads_out(i->networks[k]->type))
		k++;
	return k;
}

static struct net_files_of files_of(const struct inside *i)
{
	return (struct net_files_of){ .networks = (const struct net_network *const *)i->networks,
				      .endpoints = (struct net_endpoint *const *)i->endpoints,
				      .count = i->count,
				      .resolver = true };
}

static int files(const struct connecting *c, const struct inside *before, const struct inside *after,
		 struct plug_error *err)
{
	const struct net_files_of was = files_of(before), is = files_of(after);
	_cleanup_free_ char *dir = NULL;

	if (asprintf(&dir, "%s/net", c->run_dir) < 0)
		return plug_error_errno(err, -ENOMEM, "%s", c->run_dir);
	return net_files_change(&c->original, &was, &is, dir, err);
}

/* ---- connect */

/* "NAME:ip=…,mac=…,alias=…", as the options of a container have it. */
static int wanted_text(struct plug_run *run, const struct net_network *n, struct plug_text *ret)
{
	static const char *const options[][2] = {
		{ "ip", "ip" }, { "ip6", "ip6" }, { "mac-address", "mac" }, { "alias", "alias" },
	};
	const char *value, *before = ":";

	plug_text_add(ret, "%s", n->name);
	for (size_t i = 0; i < PLUG_ELEMENTS(options); i++)
		for (size_t k = 0; (value = plug_run_nth(run, options[i][0], k)); k++) {
			if (strchr(value, ','))
				return plug_error_set(&run->error, -EINVAL, "--%s: \"%.64s\" has a comma",
						      options[i][0], value);
			plug_text_add(ret, "%s%s=%s", before, options[i][1], value);
			before = ",";
		}
	return ret->failed ? plug_error_errno(&run->error, ret->failed, "network %s", n->name) : 0;
}

/* As the allocator names them: the first one like the container, the others with the number of their link. */
static int endpoint_name(const struct connecting *c, const struct inside *i, struct net_endpoint *e)
{
	char link[NET_LINK_SIZE];
	unsigned number = 0;

	for (size_t k = 0; k < i->count; k++) {
		(void)snprintf(link, sizeof(link), "eth%u", number);
		if (!strcmp(i->endpoints[k]->guest_link, link)) {
			number++;
			k = (size_t)-1; /* once more, for the next number */
		}
	}
	if (!number)
		e->name = strdup(c->name);
	else if (asprintf(&e->name, "%s-%u", c->name, number) < 0)
		e->name = NULL;
	return e->name ? 0 : -ENOMEM;
}

/* What the first endpoint of a container has: its published ports. */
static int endpoint_ports(const struct connecting *c, struct net_endpoint *e, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->original.ports.count; i++)
		r = net_ports_parse(c->original.ports.items[i], &e->policies, &e->policy_count, err);
	return r;
}

static int endpoint_fill(const struct connecting *c, const struct inside *i, const struct net_network *n,
			 const struct net_want *w, struct net_endpoint *e, struct plug_error *err)
{
	int r = net_id_make(e->id) ?: endpoint_name(c, i, e) ?: net_strv_add(&e->containers, c->id);

	memcpy(e->network, n->id, sizeof(e->network));
	net_link_name("ve", e->id, e->host_link);
	e->mac = w->mac;
	for (size_t k = 0; r == 0 && k < w->aliases.count; k++)
		r = net_strv_add(&e->aliases, w->aliases.items[k]);
	for (size_t k = 0; r == 0 && k < c->original.dns.count; k++)
		r = net_strv_add(&e->dns.servers, c->original.dns.items[k]);
	if (r < 0)
		return plug_error_errno(err, r, "network %s", n->name);
	return i->count ? 0 : endpoint_ports(c, e, err);
}

static int plug_in(const struct net_api *api, const struct connecting *c, const struct inside *before,
		   const struct net_network *n, const struct net_want *w, struct plug_error *err)
{
	struct net_endpoint *e = calloc(1, sizeof(*e));
	_cleanup_inside_ struct inside after = { 0 };
	int r = e ? endpoint_fill(c, before, n, w, e, err)
		  : plug_error_errno(err, -ENOMEM, "network %s", n->name);

	if (r == 0) {
		r = net_take_addresses(api->arg, n, w, e, err);
		if (r == 0)
			r = net_store_put_endpoint(api->store, e, NET_PUT_ANY, err);
		if (r == 0)
			r = net_api_namespace_add(api, before->ns->id, false, e->id, err);
		if (r == 0)
			r = inside_read(api->store, before->ns->id, &after, err);
		if (r == 0)
			r = files(c, before, &after, err);
		if (r < 0) {
			(void)net_api_namespace_drop(api, before->ns->id, false, e->id, NULL);
			(void)net_endpoint_unmake(api->store, e, NULL);
		}
	}
	net_endpoint_free(e);
	return r;
}

/* A container without a namespace of ours: what it will have. */
static int check_later(const struct net_api *api, const struct connecting *c, const struct net_network *n,
		       bool connect, struct plug_error *err)
{
	bool found = false;

	if (c->now.mode != NET_PLAN_NETWORKS)
		return plug_error_set(err, -EINVAL,
				      "container %s: only one that was made with a network of its own can "
				      "have another",
				      c->name);
	for (size_t i = 0; i < c->now.want_count && !found; i++) {
		struct net_network *other = NULL;

		if (!c->now.wants[i].existing &&
		    net_store_network(api->store, c->now.wants[i].network, &other, NULL) == 0)
			found = !strcmp(other->id, n->id);
		net_network_free(other);
	}
	if (found == connect)
		return plug_error_set(err, connect ? -EEXIST : -ENOTCONN, "container %s: is %s network %s%s",
				      c->name, connect ? "in" : "not in", n->name, connect ? " already" : "");
	return 0;
}

static int connect_locked(const struct net_api *api, const struct connecting *c, const struct net_network *n,
			  const struct net_want *w, struct plug_error *err)
{
	_cleanup_inside_ struct inside before = { 0 };
	char ns[NET_ID_SIZE];
	int r;

	if (net_api_namespace_find(api, c->id, 0, ns, err) < 0)
		return plug_error_none(err) ?: check_later(api, c, n, true, err);
	r = inside_read(api->store, ns, &before, err);
	if (r == 0 && inside_find(&before, n) < before.count)
		r = plug_error_set(err, -EEXIST, "container %s: is in network %s already", c->name, n->name);
	return r ?: plug_in(api, c, &before, n, w, err);
}

/* A network that containers can be plugged into, one after the other. */
static int network_find(struct plug_run *run, const struct net_api *api, struct net_network **ret)
{
	int r = net_find_network(api->arg, run->words[0], ret, &run->error);

	if (r == 0 && (*ret)->type == NET_CNI)
		r = plug_error_set(&run->error, -EOPNOTSUPP,
				   "network %s: a CNI network's endpoints are made with their containers",
				   (*ret)->name);
	return r;
}

int net_connect(struct plug_run *run)
{
	_cleanup_text_ struct plug_text text = { 0 };
	const struct connecting *c = run->data;
	struct net_plan one = { 0 };
	struct net_network *n = NULL;
	struct net_api api;
	int r = net_command_api(run, &api) ?: network_find(run, &api, &n) ?: wanted_text(run, n, &text);

	if (r == 0)
		r = net_plan_add(&one, text.data, &run->error) ?: net_store_lock(api.store, &run->error);
	if (r == 0) {
		r = connect_locked(&api, c, n, &one.wants[0], &run->error);
		if (r == 0)
			r = net_changes_connect(c->state_dir, text.data, &run->error);
		net_store_unlock(api.store);
	}
	net_plan_finish(&one);
	net_network_free(n);
	return r;
}

/* ---- disconnect */

/* The published ports of the one that has gone are the next one's, as Docker does it. */
static int hand_over_ports(const struct net_api *api, const struct net_endpoint *gone,
			   const struct net_endpoint *next, struct plug_error *err)
{
	_cleanup_json_ struct json_object *from = net_hcn_endpoint_print(gone),
					  *to = net_hcn_endpoint_print(next);
	struct json_object *list = net_json_get(from, "Policies"), *all = net_json_get(to, "Policies");
	struct net_endpoint *changed;
	size_t moved = 0;
	int r;

	for (size_t i = 0; all && i < plug_json_length(list); i++) {
		struct json_object *policy = json_object_array_get_idx(list, i);
		const char *type = "";

		(void)net_json_string(policy, "Type", &type, NULL);
		if (!strcmp(type, "PortMapping") && json_object_array_add(all, json_object_get(policy)) == 0)
			moved++;
	}
	if (!moved)
		return 0;
	r = net_hcn_endpoint_parse(to, &changed, err);
	return r ?: net_api_endpoint_update(api, next->id, changed, err);
}

static int hand_over_route(const struct inside *after, size_t next, struct plug_error *err)
{
	_cleanup_close_ int fd = net_ns_open(after->ns->path, err);
	_cleanup_rtnl_ struct net_rtnl *inside = NULL;
	int r = fd < 0 ? fd : net_rtnl_open(fd, &inside, err);

	return r ?: net_plug_default(inside, after->endpoints[next], err);
}

/* What the others have to do from now on: the default route, published ports. */
static void hand_over(struct plug_run *run, const struct net_api *api, const struct inside *before,
		      size_t gone, const struct inside *after)
{
	size_t next = inside_way_out(after);
	struct plug_error err = { 0 };
	int r = 0;

	if (inside_way_out(before) == gone && next < after->count)
		r = hand_over_route(after, next, &err);
	if (next == after->count)
		next = 0;
	if (r == 0 && after->count)
		r = hand_over_ports(api, before->endpoints[gone], after->endpoints[next], &err);
	if (r < 0)
		plug_text_add(&run->notes, "cowherd: %s\n", err.text);
}

/* Out of the kernel and the records: one that was made for the container goes, a user's stays. */
static int plug_out(const struct net_api *api, const struct connecting *c, const struct inside *i, size_t at,
		    struct plug_error *err)
{
	struct net_endpoint *e = NULL;
	const char *id = i->endpoints[at]->id;
	int r = net_api_namespace_drop(api, i->ns->id, false, id, err);

	if (r < 0)
		return r;
	if (!i->endpoints[at]->durable)
		return net_endpoint_unmake(api->store, i->endpoints[at], err);
	r = net_store_endpoint(api->store, id, &e, err);
	if (r == 0 && net_strv_has(&e->containers, c->id)) {
		net_strv_finish(&e->containers);
		r = net_store_put_endpoint(api->store, e, NET_PUT_CHANGE, err);
	}
	net_endpoint_free(e);
	return r;
}

static int disconnect_locked(struct plug_run *run, const struct net_api *api, const struct net_network *n)
{
	_cleanup_inside_ struct inside before = { 0 }, after = { 0 };
	const struct connecting *c = run->data;
	struct plug_error *err = &run->error;
	char ns[NET_ID_SIZE];
	size_t at;
	int r;

	if (net_api_namespace_find(api, c->id, 0, ns, err) < 0)
		return plug_error_none(err) ?: check_later(api, c, n, false, err);
	r = inside_read(api->store, ns, &before, err);
	at = inside_find(&before, n);
	if (r == 0 && at == before.count)
		r = plug_error_set(err, -ENOTCONN, "container %s: is not in network %s", c->name, n->name);
	if (r == 0)
		r = plug_out(api, c, &before, at, err);
	if (r == 0)
		r = inside_read(api->store, ns, &after, err);
	if (r < 0)
		return r;
	hand_over(run, api, &before, at, &after);
	return files(c, &before, &after, err);
}

/* What stands for the network in the options that the container was made with. */
static const char *original_of(const struct net_api *api, const struct connecting *c,
			       const struct net_network *n)
{
	for (size_t i = 0; i < c->original.want_count; i++) {
		const struct net_want *w = &c->original.wants[i];
		struct net_network *other = NULL;
		struct net_endpoint *e = NULL;
		bool same = false;

		if (w->existing && net_store_endpoint(api->store, w->network, &e, NULL) == 0)
			same = !strcmp(e->network, n->id);
		else if (!w->existing && net_store_network(api->store, w->network, &other, NULL) == 0)
			same = !strcmp(other->id, n->id);
		net_endpoint_free(e);
		net_network_free(other);
		if (same)
			return w->network;
	}
	return n->name;
}

int net_disconnect(struct plug_run *run)
{
	const struct connecting *c = run->data;
	struct net_network *n = NULL;
	struct net_api api;
	int r = net_command_api(run, &api);

	if (r == 0)
		r = net_store_network(api.store, run->words[0], &n, &run->error);
	if (r == 0)
		r = net_store_lock(api.store, &run->error);
	if (r == 0) {
		r = disconnect_locked(run, &api, n);
		if (r == -ENOTCONN && plug_run_flag(run, "force"))
			r = plug_error_none(&run->error);
		else if (r == 0)
			r = net_changes_disconnect(c->state_dir, n->name, original_of(&api, c, n),
						   &run->error);
		net_store_unlock(api.store);
	}
	net_network_free(n);
	return r;
}
