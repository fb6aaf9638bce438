/* SPDX-License-Identifier: MIT */
#include "attach/join.h"

#include "common/util.h"
#include "kernel/netns.h"

#include <stdio.h>
#include <string.h>

void net_joined_finish(struct net_joined *j)
{
	net_rtnl_close(j->inside);
	plug_closep(&j->fd);
	net_namespace_free(j->ns);
	free(j->path);
	*j = (struct net_joined){ .fd = -1 };
}

const char *net_join_id(const struct net_state *s, const char *ref)
{
	size_t n = strlen(s->ns_dir);
	char id[NET_ID_SIZE];

	if (*ref != '/')
		return ref;
	return strncmp(ref, s->ns_dir, n) == 0 && ref[n] == '/' && net_id_parse(&ref[n + 1], id) == 0 ?
		       &ref[n + 1] :
		       NULL;
}

static int find(struct net_state *s, const char *ref, struct net_joined *j, struct plug_error *err)
{
	const char *id = net_join_id(s, ref);
	int r = id ? net_store_namespace(s->store, id, &j->ns, err) : 0;

	if (r < 0)
		return r;
	if (j->ns && !j->ns->path)
		return plug_error_set(err, -ENOENT, "namespace %s: has no network namespace", j->ns->id);
	j->path = strdup(j->ns ? j->ns->path : ref);
	if (!j->path)
		return plug_error_errno(err, -ENOMEM, "namespace %s", ref);
	if (j->ns && !net_ns_is_bound(j->path))
		return plug_error_set(err, -ENOENT, "namespace %s: is gone: nothing is bound at %s",
				      j->ns->id, j->path);
	return 0;
}

static int see_default(void *arg, const struct net_addr *destination, int link)
{
	bool *routed = arg;

	(void)link;
	*routed = *routed || destination->prefix == 0;
	return 0;
}

static bool is_host(const struct net_joined *j)
{
	return j->ns && j->ns->type == NET_NS_HOST_DEFAULT;
}

int net_join_open(struct net_state *s, const char *ref, struct net_joined *ret, struct plug_error *err)
{
	struct net_joined j = { .fd = -1 };
	int r = find(s, ref, &j, err);

	if (r == 0) {
		j.fd = net_ns_open(j.path, err);
		r = j.fd < 0 ? j.fd : net_rtnl_open(j.fd, &j.inside, err);
	}
	if (r == 0)
		r = net_route_list(j.inside, see_default, &j.routed, err);
	/* Nobody's endpoint is the host's way out. */
	j.routed = j.routed || is_host(&j);
	if (r < 0)
		net_joined_finish(&j);
	else
		*ret = j;
	return r;
}

int net_join_link(struct net_joined *j, const char *id, size_t *next, char ret[NET_LINK_SIZE],
		  struct plug_error *err)
{
	if (is_host(j)) {
		net_link_name("vh", id, ret);
		return 0;
	}
	for (;;) {
		struct net_link_info info;
		int r;

		(void)snprintf(ret, NET_LINK_SIZE, "eth%zu", (*next)++);
		r = net_link_find(j->inside, ret, &info, err);
		if (r == -ENODEV)
			return plug_error_none(err);
		if (r < 0)
			return r;
	}
}

/* In the store at once for all: others may come and go meanwhile. */
static int enter(struct net_state *s, struct net_joined *j, const char *container,
		 struct net_endpoint *const *endpoints, size_t count, struct plug_error *err)
{
	struct net_namespace *now;
	int r = net_store_namespace(s->store, j->ns->id, &now, err);

	if (r < 0)
		return r;
	net_namespace_free(j->ns);
	j->ns = now;
	r = net_namespace_add(now, true, container);
	for (size_t i = 0; (r == 0 || r == -EEXIST) && i < count; i++)
		r = net_namespace_add(now, false, endpoints[i]->id);
	if (r == 0 || r == -EEXIST)
		return net_store_put_namespace(s->store, now, NET_PUT_CHANGE, err);
	return plug_error_errno(err, r, "namespace %s", now->id);
}

int net_join_enter(struct net_state *s, struct net_joined *j, const char *container,
		   struct net_endpoint *const *endpoints, size_t count, struct plug_error *err)
{
	int r = j->ns ? net_store_lock(s->store, err) : 0;

	if (r < 0 || !j->ns)
		return r;
	r = enter(s, j, container, endpoints, count, err);
	net_store_unlock(s->store);
	return r;
}
