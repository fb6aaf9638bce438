/* SPDX-License-Identifier: MIT */
/* The network of a container: whose namespace it joins, and who has to be there to make one. */
#include "base/strbuf.h"
#include "engine/container.h"
#include "spec/values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool somebody_makes_networks(struct cow_host *host)
{
	const struct cow_allocator *const *all;
	uint32_t n = cow_host_allocators(host, &all);

	for (uint32_t i = 0; i < n; i++)
		if (all[i]->table.phase == COWHERD_PHASE_NETWORK)
			return true;
	return false;
}

/* Replaces the network namespace of a spec's list by the one at path. */
static int join(struct json_object *spec, const char *path)
{
	struct json_object *list = cow_json_want_array(cow_json_want_object(spec, "linux"), "namespaces");
	struct json_object *entry = json_object_new_object();
	int r = cow_json_put(entry, "type", json_object_new_string("network"));

	if (r == 0)
		r = cow_json_put(entry, "path", json_object_new_string(path));
	if (r < 0 || !list) {
		json_object_put(entry);
		return -ENOMEM;
	}
	for (size_t i = json_object_array_length(list); i-- > 0;) {
		struct json_object *one = json_object_array_get_idx(list, i), *type = NULL;

		if (json_object_is_type(one, json_type_object))
			type = json_object_object_get(one, "type");
		if (type && strcmp(json_object_get_string(type), "network") == 0)
			(void)json_object_array_del_idx(list, i, 1);
	}
	return cow_json_append(list, entry);
}

/* Who shares its files with it, for plugins. */
static int tell_joined(struct container *c, const struct container *other)
{
	const char *options = c->def->request_options ? c->def->request_options : c->def->options;
	int n = (int)strlen(options) - 1; /* without the brace */
	struct cow_strbuf b = { 0 };

	cow_strbuf_addf(&b, "%.*s%s\"joined\":{\"id\":\"%s\",\"run_dir\":", n, options, n > 1 ? "," : "",
			other->def->id);
	cow_strbuf_json(&b, other->run_dir);
	cow_strbuf_add(&b, "}}");
	free(c->joined_options);
	c->joined_options = cow_strbuf_take(&b);
	return c->joined_options ? 0 : -ENOMEM;
}

/* For each compute system anew: the other one may have been started again since. */
static int join_container(struct container *c, struct cow_error *err)
{
	struct container *other = container_find(c->engine, c->def->network_of, err);
	char path[64];
	int r;

	if (!other)
		return err->code;
	if (other == c)
		return cow_error_set(err, -EINVAL, "network container:%s: is the container itself",
				     c->def->network_of);
	if (other->pid <= 0)
		return cow_error_set(err, -ESRCH, "network container:%s: is not running",
				     c->def->network_of);
	(void)snprintf(path, sizeof(path), "/proc/%lld/ns/net", (long long)other->pid);
	r = container_tree(c);
	if (r == 0)
		r = join(c->tree, path);
	if (r == 0)
		r = tell_joined(c, other);
	if (r < 0)
		return cow_error_errno(err, r, "network container:%s", c->def->network_of);
	c->tree_changed = true;
	return 0;
}

int network_begin(struct container *c, struct cow_error *err)
{
	if (c->def->network_of)
		return join_container(c, err);
	if (c->def->network_plugin && !somebody_makes_networks(c->engine->setup.host))
		return cow_error_set(err, -ENOTSUP,
				     "container %s: no plugin here makes networks: only none, host, "
				     "container:NAME and ns:/PATH are there",
				     c->def->name);
	return 0;
}
