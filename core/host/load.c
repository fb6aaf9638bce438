/* SPDX-License-Identifier: MIT */
/* The life of a plugin: mapped, started in the order its needs give, refused or allowed to go. */
#include "base/log.h"
#include "host/internal.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef const struct cowherd_plugin *(*entry_fn)(uint32_t host_major, uint32_t host_minor);

/* "foo" of "/lib/cowherd/foo.so": what it is called until it says so itself. */
static char *name_of_path(const char *path)
{
	const char *base = strrchr(path, '/');
	char *name = strdup(base ? base + 1 : path);
	size_t n = name ? strlen(name) : 0;

	if (n > 3 && strcmp(name + n - 3, ".so") == 0)
		name[n - 3] = '\0';
	return name;
}

static struct cow_plugin *plugin_add(struct cow_host *host, const char *path)
{
	struct cow_plugin *plugin = calloc(1, sizeof(*plugin));

	if (!plugin)
		return NULL;
	plugin->host = host;
	plugin->fd = -1;
	plugin->state = PLUGIN_FAILED;
	plugin->path = strdup(path);
	plugin->name = name_of_path(path);
	cow_list_init(&plugin->offers);
	cow_list_init(&plugin->timers);
	cow_list_init(&plugin->watches);
	cow_list_init(&plugin->jobs);
	cow_list_init(&plugin->uses);
	if (!plugin->path || !plugin->name) {
		free(plugin->path);
		free(plugin->name);
		free(plugin);
		return NULL;
	}
	cow_list_add(&host->plugins, &plugin->node);
	return plugin;
}

static void plugin_fail(struct cow_plugin *plugin, const char *reason)
{
	plugin->state = PLUGIN_FAILED;
	free(plugin->reason);
	plugin->reason = strdup(reason);
	host_log(plugin, COW_LOG_ERROR, "plugin.failed", reason);
}

static bool plugin_counts(const struct cow_plugin *plugin)
{
	return plugin->state != PLUGIN_FAILED && plugin->state != PLUGIN_UNLOADED;
}

static struct cow_plugin *plugin_find(struct cow_host *host, const char *name)
{
	cow_list_for(node, &host->plugins) {
		struct cow_plugin *plugin = cow_container_of(node, struct cow_plugin, node);

		if (plugin_counts(plugin) && strcmp(plugin->name, name) == 0)
			return plugin;
	}
	return NULL;
}

static int plugin_enter_table(struct cow_plugin *plugin, struct cow_error *err)
{
	const struct cowherd_plugin *theirs;
	struct cow_plugin *other;
	entry_fn entry;
	char *name;
	int rc;

	*(void **)&entry = dlsym(plugin->handle, "cowherd_plugin_entry");
	if (!entry)
		return cow_error_set(err, -ENOEXEC, "it does not export cowherd_plugin_entry");
	theirs = entry(COWHERD_ABI_MAJOR, COWHERD_ABI_MINOR);
	rc = table_read_plugin(&plugin->table, theirs, err);
	if (rc < 0)
		return rc;
	other = plugin_find(plugin->host, plugin->table.name);
	if (other)
		return cow_error_set(err, -EEXIST, "a plugin %s is loaded already, from %s", other->name,
				     other->path);
	name = strdup(plugin->table.name);
	if (!name)
		return cow_error_errno(err, -ENOMEM, "cannot load it");
	free(plugin->name);
	plugin->name = name;
	return 0;
}

int cow_host_load(struct cow_host *host, const char *path, struct cow_error *err)
{
	struct cow_plugin *plugin = plugin_add(host, path);
	struct cow_error why = { 0 };
	int rc;

	if (!plugin)
		return cow_error_errno(err, -ENOMEM, "plugin %s", path);
	crash_guard_enter(host, path, "load");
	rc = plugin_file_open(path, &plugin->handle, &plugin->fd, &why);
	if (rc == 0)
		rc = plugin_enter_table(plugin, &why);
	crash_guard_leave(host);
	if (rc < 0) {
		plugin_fail(plugin, why.message);
		return cow_error_set(err, rc, "plugin %s: %s", path, why.message);
	}
	plugin->state = PLUGIN_LOADED;
	return 0;
}

static int is_plugin_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 3 && strcmp(d->d_name + n - 3, ".so") == 0;
}

/* alphasort() would follow the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int cow_host_load_dir(struct cow_host *host, const char *dir)
{
	struct dirent **found;
	int n = scandir(dir, &found, is_plugin_file, by_name), rc = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		char *path = cow_asprintf("%s/%s", dir, found[i]->d_name);

		if (path)
			(void)cow_host_load(host, path, NULL); /* kept in the list, and logged */
		else
			rc = -ENOMEM;
		free(path);
		free(found[i]);
	}
	free(found);
	return rc;
}

/* Needs. */

static bool has_capability(const char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

/* A plugin in `state` other than `self` that provides it. */
static const struct cow_plugin *provider_in(const struct cow_plugin *self, enum plugin_state state,
					    const char *capability)
{
	cow_list_for(node, &self->host->plugins) {
		const struct cow_plugin *p = cow_container_of(node, struct cow_plugin, node);

		if (p != self && p->state == state && has_capability(p->table.provides, capability))
			return p;
	}
	return NULL;
}

/* Everybody who provides what it needs has been started, and it needs nothing else. */
static bool plugin_ready(const struct cow_plugin *plugin)
{
	for (const char *const *need = plugin->table.requires_; need && *need; need++)
		if (provider_in(plugin, PLUGIN_LOADED, *need) ||
		    !provider_in(plugin, PLUGIN_ACTIVE, *need))
			return false;
	return true;
}

/* What it needs and will not come; NULL: all may come yet. */
static const char *plugin_lacks(const struct cow_plugin *plugin)
{
	for (const char *const *need = plugin->table.requires_; need && *need; need++)
		if (!provider_in(plugin, PLUGIN_LOADED, *need) &&
		    !provider_in(plugin, PLUGIN_ACTIVE, *need))
			return *need;
	return NULL;
}

static int plugin_fail_lacking(struct cow_plugin *plugin, const char *need, struct cow_error *err)
{
	const struct cow_plugin *failed = provider_in(plugin, PLUGIN_FAILED, need);
	struct cow_error why = { 0 };

	if (failed)
		(void)cow_error_set(&why, -ENOENT, "it requires \"%s\", whose provider %s failed", need,
				    failed->name);
	else
		(void)cow_error_set(&why, -ENOENT, "it requires \"%s\", which no plugin provides", need);
	plugin_fail(plugin, why.message);
	return cow_error_set(err, why.code, "plugin %s: %s", plugin->name, why.message);
}

static int plugin_fail_cycle(struct cow_plugin *plugin, struct cow_error *err)
{
	struct cow_error why = { 0 };

	for (const char *const *need = plugin->table.requires_; need && *need; need++) {
		const struct cow_plugin *other = provider_in(plugin, PLUGIN_LOADED, *need);

		if (other)
			(void)cow_error_set(&why, -ELOOP,
					    "it requires \"%s\" of %s: a cycle of requirements", *need,
					    other->name);
	}
	/* The others of its cycle were failed before it and say the same. */
	if (!why.code)
		(void)cow_error_set(&why, -ELOOP, "it is in a cycle of requirements");
	plugin_fail(plugin, why.message);
	return cow_error_set(err, why.code, "plugin %s: %s", plugin->name, why.message);
}

static int plugin_init(struct cow_plugin *plugin, struct cow_error *err)
{
	struct cow_host *host = plugin->host;
	struct cow_error why = { 0 };
	int rc;

	plugin->state = PLUGIN_INITIALISING;
	crash_guard_enter(host, plugin->name, "init");
	guard_enter(plugin);
	rc = plugin->table.init(&host->table, (struct cowherd_self *)plugin);
	guard_leave(plugin);
	crash_guard_leave(host);
	if (rc == 0) {
		plugin->state = PLUGIN_ACTIVE;
		plugin->rank = ++host->next_rank;
		return 0;
	}
	if (rc > 0)
		rc = -EPROTO;
	sources_stop(plugin);
	offer_undo_all(plugin);
	(void)cow_error_errno(&why, rc, "its init failed");
	plugin_fail(plugin, why.message);
	return cow_error_set(err, rc, "plugin %s: %s", plugin->name, why.message);
}

/* Start or fail one plugin whose turn it is; none: *ret_moved is false. */
static int plugin_step_once(struct cow_host *host, bool *ret_moved, struct cow_error *err)
{
	*ret_moved = true;
	cow_list_for(node, &host->plugins) {
		struct cow_plugin *plugin = cow_container_of(node, struct cow_plugin, node);
		const char *need;

		if (plugin->state != PLUGIN_LOADED)
			continue;
		if (plugin_ready(plugin))
			return plugin_init(plugin, err);
		need = plugin_lacks(plugin);
		if (need)
			return plugin_fail_lacking(plugin, need, err);
	}
	*ret_moved = false;
	return 0;
}

int cow_host_init_all(struct cow_host *host, struct cow_error *err)
{
	bool moved = true;
	int first = 0;

	while (moved) {
		int rc = plugin_step_once(host, &moved, err);

		first = first ? first : rc;
	}
	/* Whoever still waits does so for itself. */
	cow_list_for(node, &host->plugins) {
		struct cow_plugin *plugin = cow_container_of(node, struct cow_plugin, node);

		if (plugin->state == PLUGIN_LOADED) {
			int rc = plugin_fail_cycle(plugin, err);

			first = first ? first : rc;
		}
	}
	return first;
}

/* Leaving. */

/* An active plugin that requires something of this one. */
static const struct cow_plugin *plugin_dependant(const struct cow_plugin *plugin)
{
	cow_list_for(node, &plugin->host->plugins) {
		const struct cow_plugin *user = cow_container_of(node, struct cow_plugin, node);

		if (user == plugin || user->state != PLUGIN_ACTIVE)
			continue;
		for (const char *const *need = user->table.requires_; need && *need; need++)
			if (has_capability(plugin->table.provides, *need))
				return user;
	}
	return NULL;
}

uint32_t plugin_resources(struct cow_plugin *plugin, struct cow_strbuf *which)
{
	struct cow_host *host = plugin->host;
	uint32_t n = 0;

	if (!host->events.held)
		return 0;
	cow_list_for(node, &plugin->offers) {
		const struct cow_offer *offer = cow_container_of(node, struct cow_offer, node);

		if (offer->kind == OFFER_ALLOCATOR || offer->kind == OFFER_BACKEND)
			n += host->events.held(host->events_arg, offer->name, which);
	}
	return n;
}

static int plugin_busy(struct cow_plugin *plugin, struct cow_error *err)
{
	struct cow_strbuf which = COW_STRBUF_INIT;
	const struct cow_plugin *user;
	const char *service;
	uint32_t n = plugin_resources(plugin, &which);
	int rc = 0;

	if (n)
		rc = cow_error_set(err, -EBUSY, "plugin %s: %u %s live%s%s", plugin->name, n,
				   n == 1 ? "resource" : "resources", which.len ? ": " : "",
				   which.len ? which.data : "");
	cow_strbuf_finish(&which);
	if (rc < 0)
		return rc;
	user = offer_user(plugin, &service);
	if (user)
		return cow_error_set(err, -EBUSY, "plugin %s: its service %s is used by plugin %s",
				     plugin->name, service, user->name);
	user = plugin_dependant(plugin);
	if (user)
		return cow_error_set(err, -EBUSY, "plugin %s: plugin %s requires it", plugin->name,
				     user->name);
	if (plugin->systems.count)
		return cow_error_set(err, -EBUSY, "plugin %s: %u compute systems are open", plugin->name,
				     plugin->systems.count);
	n = guard_in_flight(plugin);
	if (n || plugin->depth)
		return cow_error_set(err, -EBUSY, "plugin %s: an operation is in flight", plugin->name);
	if (!cow_list_empty(&plugin->jobs))
		return cow_error_set(err, -EBUSY, "plugin %s: it has work on the thread pool",
				     plugin->name);
	return 0;
}

int plugin_finish(struct cow_plugin *plugin, struct cow_error *err)
{
	char message[256] = "";
	int rc = 0;

	plugin->state = PLUGIN_FINISHING;
	guard_enter(plugin);
	if (plugin->table.fini)
		rc = plugin->table.fini(message, sizeof(message));
	guard_leave(plugin);
	message[sizeof(message) - 1] = '\0';
	if (rc == 0)
		return 0;
	return cow_error_set(err, -EBUSY, "plugin %s: %s", plugin->name,
			     message[0] ? message : "it refuses to be unloaded");
}

void plugin_undo(struct cow_plugin *plugin)
{
	sources_stop(plugin);
	guard_forget(plugin);
	offer_undo_all(plugin);
	cow_map_finish(&plugin->systems);
	plugin->state = PLUGIN_UNLOADED;
}

int cow_host_unload(struct cow_host *host, const char *name, struct cow_error *err)
{
	struct cow_plugin *plugin = plugin_find(host, name);
	int rc;

	if (!plugin || plugin->state != PLUGIN_ACTIVE)
		return cow_error_set(err, -ENOENT, "plugin %s: not loaded", name);
	rc = plugin_busy(plugin, err);
	if (rc < 0)
		return rc;
	rc = plugin_finish(plugin, err);
	if (rc < 0) {
		plugin->state = PLUGIN_ACTIVE;
		return rc;
	}
	plugin_undo(plugin);
	host_log(plugin, COW_LOG_INFO, "plugin.unloaded", "unloaded");
	return 0;
}
