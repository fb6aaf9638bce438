/* SPDX-License-Identifier: MIT */
/* Dependencies: do they exist, can they be met, and in which order do they come? */
#include "spec/config_parse.h"
#include "spec/values.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void complain(struct cow_config_errors *errors, const struct cow_config_container *c,
		     const char *cause)
{
	_cleanup_free_ char *pointer = cow_asprintf("/containers/%s/depends_on", c->name);

	cow_config_complain_at(errors, c->file, pointer ? pointer : "", cause);
}

static bool restarts_for_ever(const struct cow_config_container *c)
{
	struct json_object *restart = json_object_object_get(c->params, "restart");
	const char *policy;

	if (json_object_is_type(restart, json_type_object))
		restart = json_object_object_get(restart, "policy");
	policy = restart ? json_object_get_string(restart) : "no";
	return strcmp(policy, "always") == 0 || strcmp(policy, "unless-stopped") == 0;
}

/* NULL: nothing is wrong with it. */
static char *dependency_flaw(const struct cow_config *config, const struct cow_config_dependency *d)
{
	const struct cow_config_container *on = &config->containers[d->index];

	if (d->index == config->container_count)
		return cow_asprintf("%s: there is no such container", d->name);
	if (d->condition == COW_CONDITION_HEALTHY && !json_object_object_get(on->params, "health"))
		return cow_asprintf("%s: has no health check, so it never gets healthy", d->name);
	if (d->condition == COW_CONDITION_COMPLETED && restarts_for_ever(on))
		return cow_asprintf("%s: restarts for ever, so it never completes", d->name);
	return NULL;
}

static bool resolve(struct cow_config *config, struct cow_config_errors *errors)
{
	bool good = true;

	for (size_t i = 0; i < config->container_count; i++) {
		struct cow_config_container *c = &config->containers[i];

		for (size_t j = 0; j < c->dependency_count; j++) {
			_cleanup_free_ char *flaw = NULL;

			c->dependencies[j].index = cow_config_find(config, c->dependencies[j].name);
			flaw = dependency_flaw(config, &c->dependencies[j]);
			if (!flaw)
				continue;
			complain(errors, c, flaw);
			good = false;
		}
	}
	return good;
}

/* A depth-first walk without recursion: a chain may be as long as the configuration. */
struct walk {
	const struct cow_config *config;
	struct frame {
		size_t container, next; /* the dependency to look at next */
	} *stack;
	size_t depth;
	unsigned char *seen; /* 0: not yet, 1: on the stack, 2: done */
	size_t *order, ordered;
};

static void report_cycle(const struct walk *w, size_t to, struct cow_config_errors *errors)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf cause = COW_STRBUF_INIT;
	size_t i = 0;

	while (w->stack[i].container != to)
		i++;
	cow_strbuf_add(&cause, "cycle: ");
	for (; i < w->depth; i++)
		cow_strbuf_addf(&cause, "%s -> ",
				w->config->containers[w->stack[i].container].name);
	cow_strbuf_add(&cause, w->config->containers[to].name);
	complain(errors, &w->config->containers[to], cause.data ? cause.data : "cycle");
}

static void push(struct walk *w, size_t container)
{
	w->seen[container] = 1;
	w->stack[w->depth++] = (struct frame){ .container = container };
}

static void visit(struct walk *w, size_t from, struct cow_config_errors *errors)
{
	push(w, from);
	while (w->depth) {
		struct frame *top = &w->stack[w->depth - 1];
		const struct cow_config_container *c = &w->config->containers[top->container];
		size_t to;

		if (top->next == c->dependency_count) {
			w->seen[top->container] = 2;
			w->order[w->ordered++] = top->container;
			w->depth--;
			continue;
		}
		to = c->dependencies[top->next++].index;
		if (w->seen[to] == 1)
			report_cycle(w, to, errors);
		else if (!w->seen[to])
			push(w, to);
	}
}

/* Put the containers into the order found, and their dependencies' indexes with them. */
static int reorder(struct cow_config *config, const size_t *order)
{
	size_t n = config->container_count;
	struct cow_config_container *sorted = calloc(n, sizeof(*sorted));
	size_t *where = calloc(n, sizeof(*where));

	if (!sorted || !where) {
		free(sorted);
		free(where);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		sorted[i] = config->containers[order[i]];
		where[order[i]] = i;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < sorted[i].dependency_count; j++)
			sorted[i].dependencies[j].index = where[sorted[i].dependencies[j].index];
	free(config->containers);
	config->containers = sorted;
	free(where);
	return 0;
}

int cow_config_order(struct cow_config *config, struct cow_config_errors *errors)
{
	size_t n = config->container_count;
	struct walk w = { .config = config };
	int r = 0;

	if (n == 0 || !resolve(config, errors))
		return 0;
	w.stack = calloc(n, sizeof(*w.stack));
	w.seen = calloc(n, sizeof(*w.seen));
	w.order = calloc(n, sizeof(*w.order));
	if (w.stack && w.seen && w.order) {
		for (size_t i = 0; i < n; i++)
			if (!w.seen[i])
				visit(&w, i, errors);
		r = reorder(config, w.order);
	} else {
		r = -ENOMEM;
	}
	free(w.stack);
	free(w.seen);
	free(w.order);
	return r;
}
