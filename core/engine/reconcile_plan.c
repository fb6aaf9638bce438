/* SPDX-License-Identifier: MIT */
/* What is wanted, against what is there: the items of an apply or a stop. */
#include "engine/reconcile_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void cow_reconcile_drop_items(struct cow_reconcile *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].name);
		free(r->items[i].blockers);
		free(r->items[i].message);
	}
	free(r->items);
	r->items = NULL;
	r->count = 0;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) && value ? json_object_get_string(value)
								  : "";
}

static struct json_object *list_containers(struct cow_reconcile *r)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf text = COW_STRBUF_INIT;

	if (cow_engine_list(r->setup.engine, true, &text) < 0 || text.error)
		return NULL;
	return json_tokener_parse(text.data ? text.data : "[]");
}

/* The fingerprint that made it; "": the configuration did not. */
static const char *fingerprint_of(struct json_object *container)
{
	struct json_object *labels;

	return json_object_object_get_ex(container, "labels", &labels)
		       ? text_of(labels, COW_CONFIG_LABEL)
		       : "";
}

static enum listed listed_as(struct json_object *container)
{
	static const char *const resting[] = { "created", "stopped", "exited" };
	static const char *const broken[] = { "failed", "dead", "unknown", "deleting" };
	const char *state = text_of(container, "state");

	for (size_t i = 0; i < COW_ELEMENTS(resting); i++)
		if (strcmp(state, resting[i]) == 0)
			return LISTED_RESTING;
	for (size_t i = 0; i < COW_ELEMENTS(broken); i++)
		if (strcmp(state, broken[i]) == 0)
			return LISTED_BROKEN;
	return LISTED_RUNNING;
}

static struct json_object *find_listed(struct json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *container = json_object_array_get_idx(list, i);

		if (strcmp(text_of(container, "name"), name) == 0)
			return container;
	}
	return NULL;
}

bool cow_reconcile_rests(struct cow_reconcile *r, const char *name)
{
	struct json_object *list = list_containers(r),
			   *container = list ? find_listed(list, name) : NULL;
	bool rests = !container || listed_as(container) != LISTED_RUNNING;

	json_object_put(list);
	return rests;
}

/* The lists of the result. */
enum group { ADDED, REMOVED, CHANGED, KEPT, GROUP_COUNT };
struct groups {
	struct cow_strbuf lists[GROUP_COUNT];
};

static void note(struct groups *groups, enum group group, const char *name)
{
	struct cow_strbuf *list = &groups->lists[group];

	if (list->len)
		cow_strbuf_add(list, ",");
	cow_strbuf_json(list, name);
}

static void write_groups(struct groups *groups, struct cow_strbuf *out)
{
	static const char *const names[] = { "added", "removed", "changed", "kept" };

	cow_strbuf_finish(out);
	*out = (struct cow_strbuf)COW_STRBUF_INIT;
	for (size_t i = 0; i < GROUP_COUNT; i++) {
		cow_strbuf_addf(out, "%s\"%s\":[%s]", i ? "," : "{", names[i],
				groups->lists[i].data ? groups->lists[i].data : "");
		cow_strbuf_finish(&groups->lists[i]);
	}
}

static int item_init(struct item *item, const char *name, const struct cow_config_container *want,
		     enum phase phase)
{
	*item = (struct item){ .name = strdup(name), .want = want, .phase = phase };
	return item->name ? 0 : -ENOMEM;
}

/* A plan in the making. */
struct plan {
	struct cow_reconcile *r;
	struct json_object *list; /* what the engine has */
	const struct item *old;   /* of the plan before */
	size_t old_count;
	struct groups groups;
};

static bool failed_before(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->old_count; i++)
		if (strcmp(plan->old[i].name, name) == 0)
			return plan->old[i].phase == PHASE_FAILED;
	return false;
}

/* Does one that matches, and does not run, have to be started? */
static bool wants_start(const struct plan *plan, struct json_object *there, const char *name)
{
	if (listed_as(there) != LISTED_RESTING)
		return false;
	return plan->r->next.start_resting || strcmp(text_of(there, "state"), "created") == 0 ||
	       failed_before(plan, name);
}

/* One that the configuration wants: is it there, and the same? */
static int plan_wanted(struct plan *plan, struct item *item,
		       const struct cow_config_container *want)
{
	struct json_object *there = find_listed(plan->list, want->name);
	struct groups *groups = &plan->groups;
	const char *fingerprint = there ? fingerprint_of(there) : "";
	enum listed listed = there ? listed_as(there) : NOT_LISTED;

	/* One of that name that is somebody else's stays: the create says so. */
	if (!there || !*fingerprint) {
		note(groups, ADDED, want->name);
		return item_init(item, want->name, want, PHASE_WAIT);
	}
	if (listed == LISTED_BROKEN || strcmp(fingerprint, want->fingerprint) != 0) {
		note(groups, CHANGED, want->name);
		if (item_init(item, want->name, want, PHASE_STOP) < 0)
			return -ENOMEM;
	} else {
		bool start = wants_start(plan, there, want->name);

		note(groups, KEPT, want->name);
		if (item_init(item, want->name, want, start ? PHASE_WAIT : PHASE_UP) < 0)
			return -ENOMEM;
	}
	item->exists = true;
	return 0;
}

static const struct cow_config_container *container_named(const struct cow_config *config,
							  const char *name)
{
	size_t i = config ? cow_config_find(config, name) : 0;

	return config && i < config->container_count ? &config->containers[i] : NULL;
}

static bool depends_on(const struct cow_config_container *c, const char *name)
{
	for (size_t i = 0; i < c->dependency_count; i++)
		if (strcmp(c->dependencies[i].name, name) == 0)
			return true;
	return false;
}

/* Among the items to be stopped: dependents, by config, go before what they depend on. */
static int plan_blockers(struct cow_reconcile *r, const struct cow_config *config)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct cow_config_container *c = container_named(config, r->items[i].name);

		if (r->items[i].down || !c || !c->dependency_count)
			continue;
		for (size_t j = 0; j < r->count; j++) {
			struct item *on = &r->items[j];
			size_t *more;

			if (j == i || !depends_on(c, on->name))
				continue;
			more = reallocarray(on->blockers, on->blocker_count + 1, sizeof(*more));
			if (!more)
				return -ENOMEM;
			more[on->blocker_count++] = i;
			on->blockers = more;
		}
	}
	return 0;
}

static int plan_items(struct plan *plan, const struct cow_config *config)
{
	struct cow_reconcile *r = plan->r;

	for (size_t i = 0; i < config->container_count; i++) {
		if (plan_wanted(plan, &r->items[r->count], &config->containers[i]) < 0)
			return -ENOMEM;
		r->count++;
	}
	for (size_t i = 0; i < json_object_array_length(plan->list); i++) {
		struct json_object *container = json_object_array_get_idx(plan->list, i);
		const char *name = text_of(container, "name");

		if (!*fingerprint_of(container) || container_named(config, name))
			continue;
		note(&plan->groups, REMOVED, name);
		if (item_init(&r->items[r->count], name, NULL, PHASE_STOP) < 0)
			return -ENOMEM;
		r->items[r->count++].exists = true;
	}
	for (size_t i = 0; i < r->count; i++)
		r->items[i].down = r->items[i].phase != PHASE_STOP;
	return plan_blockers(r, r->config);
}

int cow_reconcile_plan(struct cow_reconcile *r)
{
	struct cow_config *config = r->next.config;
	struct plan plan = {
		.r = r, .list = list_containers(r), .old = r->items, .old_count = r->count
	};
	struct item *old = r->items, *items = NULL;
	size_t old_count = r->count, count;
	int code;

	if (plan.list)
		items = calloc(config->container_count + json_object_array_length(plan.list) + 1,
			       sizeof(*items));
	if (!items) {
		json_object_put(plan.list);
		return -ENOMEM;
	}
	r->items = items;
	r->count = 0;
	code = plan_items(&plan, config);
	write_groups(&plan.groups, &r->result);
	json_object_put(plan.list);
	if (code < 0) {
		/* As it was. */
		cow_reconcile_drop_items(r);
		r->items = old;
		r->count = old_count;
		return code;
	}
	count = r->count;
	r->items = old;
	r->count = old_count;
	cow_reconcile_drop_items(r);
	r->items = items;
	r->count = count;
	r->generation++;
	cow_config_destroy(r->config);
	r->config = config;
	return 0;
}

/* Those that no item stands for: made by clients. */
static int adopt_others(struct cow_reconcile *r, struct json_object *list)
{
	size_t n = json_object_array_length(list), count = r->count;
	struct item *more = reallocarray(r->items, count + n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	r->items = more;
	for (size_t i = 0; i < n; i++) {
		const char *name = text_of(json_object_array_get_idx(list, i), "name");
		size_t j = 0;

		while (j < count && strcmp(r->items[j].name, name) != 0)
			j++;
		if (j < count) {
			r->items[j].exists = true;
			continue;
		}
		if (item_init(&r->items[r->count], name, NULL, PHASE_STOP) < 0)
			return -ENOMEM;
		r->items[r->count++].exists = true;
	}
	return 0;
}

int cow_reconcile_plan_stop(struct cow_reconcile *r)
{
	struct json_object *list = list_containers(r);
	int code = list ? adopt_others(r, list) : -ENOMEM;

	json_object_put(list);
	for (size_t i = 0; i < r->count; i++) {
		struct item *item = &r->items[i];

		item->blocker_count = 0;
		/* What a verb is at work on takes its turn when that verb answers. */
		item->down = false;
		if (item->phase == PHASE_UP || item->phase == PHASE_FAILED ||
		    item->phase == PHASE_WAIT)
			item->phase = item->exists ? PHASE_STOP : PHASE_GONE;
		if (item->phase == PHASE_GONE || item->phase == PHASE_DELETING)
			item->down = true;
	}
	return code < 0 ? code : plan_blockers(r, r->config);
}
