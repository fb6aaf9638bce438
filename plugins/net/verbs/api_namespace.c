/* SPDX-License-Identifier: MIT */
/* Namespaces, and what is plugged into them. */
#include "common/util.h"
#include "verbs/api.h"

#include <stdio.h>
#include <string.h>

static const char *name_of(const struct net_endpoint *e)
{
	return e->name ? e->name : e->id;
}

/* Each namespace, until see() says so by something else than 0. */
static int namespaces_each(const struct net_api *api,
			   int (*see)(void *arg, const struct net_namespace *ns), void *arg,
			   struct plug_error *err)
{
	struct net_entry *entries;
	size_t count;
	int r = net_store_list(api->store, NET_NAMESPACES, NULL, &entries, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct net_namespace *ns;

		if (net_store_namespace(api->store, entries[i].id, &ns, NULL) < 0)
			continue;
		r = see(arg, ns);
		net_namespace_free(ns);
	}
	net_entries_free(entries, count);
	return r;
}

struct search {
	const char *container;
	uint32_t number;
	bool host;
	uint32_t most;
	char id[NET_ID_SIZE];
};

static int namespace_matches(void *arg, const struct net_namespace *ns)
{
	struct search *search = arg;
	bool found = search->host ? ns->type == NET_NS_HOST_DEFAULT
				  : !search->container && search->number && ns->number == search->number;

	for (size_t i = 0; search->container && i < ns->resource_count; i++)
		found = found || (ns->resources[i].container &&
				  !strcmp(ns->resources[i].id, search->container));
	if (ns->number > search->most)
		search->most = ns->number;
	if (found)
		(void)snprintf(search->id, sizeof(search->id), "%s", ns->id);
	return found;
}

int net_api_namespace_find(const struct net_api *api, const char *container, uint32_t number,
			   char ret[NET_ID_SIZE], struct plug_error *err)
{
	struct search search = { .container = container, .number = number };
	int r = namespaces_each(api, namespace_matches, &search, err);

	if (r == 0 && container)
		return plug_error_set(err, -ENOENT, "container %.64s: has no namespace", container);
	if (r == 0)
		return plug_error_set(err, -ENOENT, "compartment %u: is no namespace's", number);
	if (r > 0)
		memcpy(ret, search.id, NET_ID_SIZE);
	return r < 0 ? r : 0;
}

int net_api_namespace_host(const struct net_api *api, char ret[NET_ID_SIZE], struct plug_error *err)
{
	struct search search = { .host = true };
	struct net_namespace *ns = NULL, *made = NULL;
	int r = namespaces_each(api, namespace_matches, &search, err);

	if (r == 0) {
		ns = calloc(1, sizeof(*ns));
		if (!ns)
			return plug_error_errno(err, -ENOMEM, "namespace");
		ns->type = NET_NS_HOST_DEFAULT;
		r = net_api_namespace_create(api, ns, &made, err);
		if (r == 0)
			memcpy(search.id, made->id, NET_ID_SIZE);
		net_namespace_free(made);
	}
	if (r >= 0)
		memcpy(ret, search.id, NET_ID_SIZE);
	return r < 0 ? r : 0;
}

/* A number that no other has, as Windows' compartments have one. */
static int number_choose(const struct net_api *api, struct net_namespace *ns, struct plug_error *err)
{
	struct search search = { .most = 1 };
	int r = ns->number ? 0 : namespaces_each(api, namespace_matches, &search, err);

	if (r == 0 && !ns->number)
		ns->number = search.most + 1;
	return r;
}

static int namespace_make(const struct net_api *api, struct net_namespace *ns, struct plug_error *err)
{
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	r = number_choose(api, ns, err);
	if (r == 0)
		r = net_store_put_namespace(api->store, ns, NET_PUT_NEW, err);
	if (r == 0) {
		r = api->effects->namespace_make(api->arg, ns, err);
		if (r == 0)
			r = net_store_put_namespace(api->store, ns, NET_PUT_CHANGE, err);
		if (r < 0) {
			(void)api->effects->namespace_remove(api->arg, ns, NULL);
			(void)net_store_remove(api->store, NET_NAMESPACES, ns->id, NULL);
		}
	}
	net_store_unlock(api->store);
	return r;
}

int net_api_namespace_create(const struct net_api *api, struct net_namespace *ns,
			     struct net_namespace **ret, struct plug_error *err)
{
	struct net_resource *wanted = plug_take_ptr(ns->resources);
	size_t count = ns->resource_count;
	int r = 0;

	ns->resource_count = 0;
	ns->durable = false; /* the kernel's object does not outlive a reboot either */
	free(plug_take_ptr(ns->path));
	if (!*ns->id && net_id_make(ns->id) < 0)
		r = plug_error_errno(err, -EIO, "namespace: id");
	if (r == 0)
		r = namespace_make(api, ns, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = net_api_namespace_add(api, ns->id, wanted[i].container, wanted[i].id, err);
		/* What was added so far goes with it. */
		if (r < 0)
			(void)net_api_namespace_remove(api, ns->id, NULL);
	}
	if (r == 0 && ret && count)
		r = net_store_namespace(api->store, ns->id, ret, err);
	else if (r == 0 && ret)
		*ret = plug_take_ptr(ns);
	for (size_t i = 0; i < count; i++)
		free(wanted[i].id);
	free(wanted);
	net_namespace_free(ns);
	return r;
}

/* Out of the kernel, and its record says so.  Under the lock. */
static int endpoint_unplug(const struct net_api *api, const char *id, struct plug_error *err)
{
	struct net_endpoint *e = NULL;
	struct net_network *n = NULL;
	int r = net_store_endpoint(api->store, id, &e, err);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = net_store_network(api->store, e->network, &n, err);
	if (r == 0)
		r = api->effects->unplug(api->arg, n, e, err);
	if (r == 0) {
		*e->namespace_id = *e->guest_link = 0;
		r = net_store_put_endpoint(api->store, e, NET_PUT_CHANGE, err);
	}
	if (r == 0)
		r = net_api_endpoint_moved(api, e, false, err);
	net_endpoint_free(e);
	net_network_free(n);
	return r;
}

static int namespace_clear(const struct net_api *api, struct net_namespace *ns, struct plug_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ns->resource_count; i++)
		if (ns->resources[i].container)
			r = plug_error_set(err, -EBUSY, "namespace %s: container %.64s is in it", ns->id,
					   ns->resources[i].id);
	/* The last one first, each noted when it is out, so that a failure can be tried again. */
	while (r == 0 && ns->resource_count) {
		r = endpoint_unplug(api, ns->resources[ns->resource_count - 1].id, err);
		if (r == 0)
			free(ns->resources[--ns->resource_count].id);
		if (r == 0)
			r = net_store_put_namespace(api->store, ns, NET_PUT_CHANGE, err);
	}
	return r;
}

int net_api_namespace_remove(const struct net_api *api, const char *ref, struct plug_error *err)
{
	struct net_namespace *ns = NULL;
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	r = net_store_namespace(api->store, ref, &ns, err);
	if (r == 0)
		r = namespace_clear(api, ns, err);
	if (r == 0)
		r = api->effects->namespace_remove(api->arg, ns, err);
	if (r == 0)
		r = net_store_remove(api->store, NET_NAMESPACES, ns->id, err);
	net_store_unlock(api->store);
	net_namespace_free(ns);
	return r;
}

int net_api_namespace_sync(const struct net_api *api, const char *ref, struct plug_error *err)
{
	struct net_namespace *ns = NULL;
	int r = net_store_namespace(api->store, ref, &ns, err);

	/* Others have nobody to be in step with. */
	if (r == 0 && ns->type == NET_NS_GUEST)
		r = api->effects->namespace_sync(api->arg, ns, err);
	net_namespace_free(ns);
	return r;
}

static bool leads_out(const struct net_api *api, const struct net_endpoint *e)
{
	struct net_network *n = NULL;
	bool yes = net_store_network(api->store, e->network, &n, NULL) < 0 || net_type_leads_out(n->type);

	net_network_free(n);
	return yes;
}

/*
 * "eth0", or the first one after that nobody in there has.  first: it gets the default route, as the first
 * one that leads out.
 */
static int guest_link_choose(const struct net_api *api, const struct net_namespace *ns,
			     struct net_endpoint *e, bool *ret_first, struct plug_error *err)
{
	bool used[64] = { false };
	size_t i;

	*ret_first = ns->type != NET_NS_HOST_DEFAULT && leads_out(api, e);
	/* The host has links of its own, and a default route. */
	if (ns->type == NET_NS_HOST_DEFAULT) {
		net_link_name("vh", e->id, e->guest_link);
		return 0;
	}
	for (i = 0; i < ns->resource_count; i++) {
		struct net_endpoint *other;
		unsigned number;

		if (ns->resources[i].container || !strcmp(ns->resources[i].id, e->id) ||
		    net_store_endpoint(api->store, ns->resources[i].id, &other, NULL) < 0)
			continue;
		*ret_first = *ret_first && !leads_out(api, other);
		if (sscanf(other->guest_link, "eth%u", &number) == 1 && number < PLUG_ELEMENTS(used))
			used[number] = true;
		net_endpoint_free(other);
	}
	for (i = 0; i < PLUG_ELEMENTS(used) && used[i]; i++)
		;
	if (i == PLUG_ELEMENTS(used))
		return plug_error_set(err, -E2BIG, "namespace %s: more than %zu endpoints", ns->id,
				      PLUG_ELEMENTS(used));
	(void)snprintf(e->guest_link, sizeof(e->guest_link), "eth%zu", i);
	return 0;
}

/* Both records say it before the kernel has it: whoever dies here leaves what can be undone. */
static int endpoint_plug(const struct net_api *api, struct net_namespace *ns, struct net_endpoint *e,
			 const struct net_network *n, struct plug_error *err)
{
	bool first;
	int r = guest_link_choose(api, ns, e, &first, err);

	if (r < 0)
		return r;
	(void)snprintf(e->namespace_id, sizeof(e->namespace_id), "%s", ns->id);
	r = net_store_put_endpoint(api->store, e, NET_PUT_CHANGE, err);
	if (r == 0)
		r = net_store_put_namespace(api->store, ns, NET_PUT_CHANGE, err);
	if (r == 0)
		r = api->effects->plug(api->arg, n, e, ns, first, err);
	/* Ports that were chosen are known now. */
	if (r == 0)
		r = net_store_put_endpoint(api->store, e, NET_PUT_CHANGE, err);
	if (r == 0)
		r = net_api_endpoint_moved(api, e, false, err);
	if (r < 0)
		(void)api->effects->unplug(api->arg, n, e, NULL);
	return r;
}

static int endpoint_add(const struct net_api *api, struct net_namespace *ns, const char *id,
			struct plug_error *err)
{
	struct net_endpoint *e = NULL;
	struct net_network *n = NULL;
	int r = net_store_endpoint(api->store, id, &e, err);

	if (r == 0 && *e->namespace_id)
		r = plug_error_set(err, strcmp(e->namespace_id, ns->id) ? -EBUSY : -EEXIST,
				   "endpoint %s: is in namespace %s already", name_of(e),
				   e->namespace_id);
	if (r == 0)
		r = net_endpoint_check_here(e, err);
	if (r == 0)
		r = net_store_network(api->store, e->network, &n, err);
	if (r == 0) {
		r = net_namespace_add(ns, false, e->id);
		if (r < 0 && r != -EEXIST)
			(void)plug_error_errno(err, r, "namespace %s", ns->id);
		else
			r = endpoint_plug(api, ns, e, n, err);
		if (r < 0) {
			(void)net_namespace_drop(ns, false, e->id);
			*e->namespace_id = *e->guest_link = 0;
			(void)net_store_put_endpoint(api->store, e, NET_PUT_CHANGE, NULL);
			(void)net_store_put_namespace(api->store, ns, NET_PUT_CHANGE, NULL);
		}
	}
	net_endpoint_free(e);
	net_network_free(n);
	return r;
}

int net_api_namespace_add(const struct net_api *api, const char *ref, bool container, const char *id,
			  struct plug_error *err)
{
	struct net_namespace *ns = NULL;
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	r = net_store_namespace(api->store, ref, &ns, err);
	if (r == 0 && !container) {
		r = endpoint_add(api, ns, id, err);
	} else if (r == 0) {
		r = net_namespace_add(ns, true, id);
		if (r == -EEXIST)
			(void)plug_error_set(err, r, "namespace %s: container %.64s is in it already",
					     ns->id, id);
		if (r == 0)
			r = net_store_put_namespace(api->store, ns, NET_PUT_CHANGE, err);
	}
	net_store_unlock(api->store);
	net_namespace_free(ns);
	return r;
}

int net_api_namespace_drop(const struct net_api *api, const char *ref, bool container, const char *id,
			   struct plug_error *err)
{
	struct net_namespace *ns = NULL;
	struct net_endpoint *e = NULL;
	int r = net_store_lock(api->store, err);

	if (r < 0)
		return r;
	r = net_store_namespace(api->store, ref, &ns, err);
	if (r == 0 && !container)
		r = net_store_endpoint(api->store, id, &e, err);
	if (r == 0) {
		r = net_namespace_drop(ns, container, e ? e->id : id);
		if (r < 0)
			(void)plug_error_set(err, r, "namespace %s: %s %.64s is not in it", ns->id,
					     container ? "container" : "endpoint", e ? name_of(e) : id);
	}
	if (r == 0 && e)
		r = endpoint_unplug(api, e->id, err);
	if (r == 0)
		r = net_store_put_namespace(api->store, ns, NET_PUT_CHANGE, err);
	net_store_unlock(api->store);
	net_endpoint_free(e);
	net_namespace_free(ns);
	return r;
}
