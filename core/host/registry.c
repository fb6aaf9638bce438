/* SPDX-License-Identifier: MIT */
/* What plugins registered, sorted for use; and its undoing. */
#include "host/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct cow_offer *offer_of(const void *shown)
{
	return cow_container_of((char *)(uintptr_t)shown, struct cow_offer, shown);
}

/* Allocators by phase, then everything in order of registration. */
static bool offer_before(const struct cow_offer *a, const struct cow_offer *b)
{
	if (a->kind == OFFER_ALLOCATOR && a->theirs.allocator.phase != b->theirs.allocator.phase)
		return a->theirs.allocator.phase < b->theirs.allocator.phase;
	return a->order < b->order;
}

struct cow_offer *offer_find(struct cow_host *host, enum offer_kind kind, const char *name)
{
	const struct offer_list *list = &host->offers[kind];

	for (uint32_t i = 0; name && i < list->count; i++) {
		struct cow_offer *offer = offer_of(list->items[i]);

		if (strcmp(offer->name, name) == 0)
			return offer;
	}
	return NULL;
}

static bool offer_taken(struct cow_host *host, const struct cow_offer *offer)
{
	if (offer->kind == OFFER_HOOK)
		return false;
	if (offer_find(host, offer->kind, offer->name))
		return true;
	/* The ledger tells allocators and backends apart by name alone. */
	if (offer->kind == OFFER_ALLOCATOR)
		return offer_find(host, OFFER_BACKEND, offer->name) != NULL;
	if (offer->kind == OFFER_BACKEND)
		return offer_find(host, OFFER_ALLOCATOR, offer->name) != NULL;
	return false;
}

static int list_insert(struct offer_list *list, struct cow_offer *offer)
{
	uint32_t at = list->count;

	if (list->count == list->cap) {
		uint32_t cap = list->cap ? list->cap * 2 : 8;
		const void **items = reallocarray(list->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->cap = cap;
	}
	for (; at > 0 && offer_before(offer, offer_of(list->items[at - 1])); at--)
		list->items[at] = list->items[at - 1];
	list->items[at] = &offer->shown;
	list->count++;
	return 0;
}

static void list_remove(struct offer_list *list, const struct cow_offer *offer)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < list->count; i++)
		if (list->items[i] != &offer->shown)
			list->items[kept++] = list->items[i];
	list->count = kept;
}

int offer_register(struct cow_plugin *plugin, struct cow_offer *offer)
{
	struct cow_host *host = plugin->host;
	int rc;

	offer->plugin = plugin;
	offer->order = ++host->next_order;
	rc = offer_taken(host, offer) ? -EEXIST : list_insert(&host->offers[offer->kind], offer);
	if (rc < 0) {
		free(offer);
		return rc;
	}
	cow_list_add(&plugin->offers, &offer->node);
	return 0;
}

void offer_undo_all(struct cow_plugin *plugin)
{
	cow_list_for_safe(node, tmp, &plugin->uses) {
		cow_list_del(node);
		free(cow_container_of(node, struct cow_use, node));
	}
	cow_list_for_safe(node, tmp, &plugin->offers) {
		struct cow_offer *offer = cow_container_of(node, struct cow_offer, node);

		list_remove(&plugin->host->offers[offer->kind], offer);
		cow_list_del(node);
		offer->undone = true;
		cow_list_add(&plugin->host->undone, node);
	}
}

void offer_free_undone(struct cow_host *host)
{
	cow_list_for_safe(node, tmp, &host->undone)
		free(cow_container_of(node, struct cow_offer, node));
	cow_list_init(&host->undone);
}

const struct cow_plugin *offer_user(const struct cow_plugin *plugin, const char **ret_service)
{
	cow_list_for(node, &plugin->host->plugins) {
		const struct cow_plugin *user = cow_container_of(node, struct cow_plugin, node);

		if (user == plugin)
			continue;
		cow_list_for(u, &user->uses) {
			const struct cow_use *use = cow_container_of(u, struct cow_use, node);

			if (use->service->plugin == plugin) {
				*ret_service = use->service->name;
				return user;
			}
		}
	}
	return NULL;
}

/* How often a lookup found the service matters to nobody; who uses it does. */
static int service_use(struct cow_plugin *user, const struct cow_offer *service)
{
	struct cow_use *use;

	cow_list_for(node, &user->uses)
		if (cow_container_of(node, struct cow_use, node)->service == service)
			return 0;
	use = calloc(1, sizeof(*use));
	if (!use)
		return -ENOMEM;
	use->service = service;
	cow_list_add(&user->uses, &use->node);
	return 0;
}

const void *calls_lookup(struct cowherd_self *self, const char *name, uint32_t min_version)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	const struct cow_offer *service;

	if (!plugin)
		return NULL;
	service = offer_find(plugin->host, OFFER_SERVICE, name);
	if (!service || service->shown.service.version < min_version ||
	    service_use(plugin, service) < 0)
		return NULL;
	return service->shown.service.table;
}

/* What the core asks. */

uint32_t cow_host_allocators(struct cow_host *host, const struct cow_allocator *const **ret)
{
	*ret = (const struct cow_allocator *const *)host->offers[OFFER_ALLOCATOR].items;
	return host->offers[OFFER_ALLOCATOR].count;
}

const struct cow_allocator *cow_host_allocator(struct cow_host *host, const char *name)
{
	const struct cow_offer *offer = offer_find(host, OFFER_ALLOCATOR, name);

	return offer ? &offer->shown.allocator : NULL;
}

const struct cow_backend *cow_host_backend(struct cow_host *host, const char *name)
{
	const struct cow_offer *offer = offer_find(host, OFFER_BACKEND, name);

	return offer ? &offer->shown.backend : NULL;
}

const struct cow_backend *cow_host_choose_backend(struct cow_host *host,
						  const struct cowherd_request *request)
{
	const struct offer_list *list = &host->offers[OFFER_BACKEND];
	const struct cow_backend *best = NULL;
	int best_liking = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		const struct cow_backend *backend = list->items[i];
		int liking = backend->table.supports(backend->arg, request);

		if (liking > best_liking) {
			best_liking = liking;
			best = backend;
		}
	}
	return best;
}

uint32_t cow_host_hooks(struct cow_host *host, const struct cow_hook *const **ret)
{
	*ret = (const struct cow_hook *const *)host->offers[OFFER_HOOK].items;
	return host->offers[OFFER_HOOK].count;
}

uint32_t cow_host_verbs(struct cow_host *host, const struct cow_verb *const **ret)
{
	*ret = (const struct cow_verb *const *)host->offers[OFFER_VERB].items;
	return host->offers[OFFER_VERB].count;
}

const struct cow_verb *cow_host_verb(struct cow_host *host, const char *name)
{
	const struct cow_offer *offer = offer_find(host, OFFER_VERB, name);

	return offer ? &offer->shown.verb : NULL;
}

uint32_t cow_host_image_sources(struct cow_host *host, const struct cow_image_source *const **ret)
{
	const struct offer_list *list = &host->offers[OFFER_IMAGE_SOURCE];

	*ret = (const struct cow_image_source *const *)list->items;
	return list->count;
}
