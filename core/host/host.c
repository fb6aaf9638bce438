/* SPDX-License-Identifier: MIT */
/* The host itself: made, described, taken down. */
#include "base/cleanup.h"
#include "base/log.h"
#include "host/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long the end waits for work that a plugin has running on the thread pool. */
#define DRAIN_MS 5000

void host_log(const struct cow_plugin *plugin, int level, const char *event, const char *msg)
{
	cow_log(.level = (enum cow_log_level)level, .event = event, .msg = msg, .plugin = plugin->name);
}

const char *cow_plugin_name(const struct cow_plugin *plugin)
{
	return plugin->name;
}

/* *text is a copy of what it was, or NULL; the first failure is kept in *rc. */
static void text_copy(const char **text, int *rc)
{
	if (!*text)
		return;
	*text = strdup(*text);
	if (!*text)
		*rc = -ENOMEM;
}

static void host_free(struct cow_host *host)
{
	for (int kind = 0; kind < OFFER_KIND_COUNT; kind++)
		free(host->offers[kind].items);
	cow_map_finish(&host->calls);
	cow_map_finish(&host->timers);
	cow_map_finish(&host->watches);
	free((char *)(uintptr_t)host->setup.run_root);
	free((char *)(uintptr_t)host->setup.state_root);
	free((char *)(uintptr_t)host->setup.libexec_dir);
	free(host);
}

static int host_setup(struct cow_host *host, const struct cow_host_setup *setup)
{
	int rc = 0;

	host->setup = *setup;
	text_copy(&host->setup.run_root, &rc);
	text_copy(&host->setup.state_root, &rc);
	text_copy(&host->setup.libexec_dir, &rc);
	if (rc < 0)
		return rc;
	calls_fill(&host->table);
	host->table.run_dir = host->setup.run_root;
	host->table.state_dir = host->setup.state_root;
	host->table.libexec_dir = host->setup.libexec_dir;
	host->thread = pthread_self();
	host->stray = calloc(1, sizeof(*host->stray));
	if (!host->stray)
		return -ENOMEM;
	rc = uv_async_init(host->setup.loop, host->stray, calls_stray_cb);
	if (rc < 0) {
		free(host->stray);
		return rc;
	}
	host->stray->data = host;
	host->open_handles++;
	uv_unref((uv_handle_t *)host->stray);
	return 0;
}

int cow_host_create(const struct cow_host_setup *setup, struct cow_host **ret, struct cow_error *err)
{
	struct cow_host *host = calloc(1, sizeof(*host));
	int rc = host ? host_setup(host, setup) : -ENOMEM;

	if (rc < 0) {
		if (host)
			host_free(host);
		return cow_error_errno(err, rc, "plugin host");
	}
	cow_list_init(&host->plugins);
	cow_list_init(&host->undone);
	crash_report_last(host);
	*ret = host;
	return 0;
}

void cow_host_set_events(struct cow_host *host, const struct cow_host_events *events, void *arg)
{
	host->events = *events;
	host->events_arg = arg;
}

/* The configuration's plugin sections. */

int cow_host_config_check(struct cow_host *host, const char *section, const char *json,
			  struct cow_error *err)
{
	struct cow_offer *offer = offer_find(host, OFFER_CONFIG, section);
	char message[512] = "";
	int rc;

	if (!offer)
		return cow_error_set(err, -ENOENT, "no plugin has a section \"%s\"", section);
	if (!offer->theirs.config.check)
		return 0;
	guard_enter(offer->plugin);
	rc = offer->theirs.config.check(offer->arg, json, message, sizeof(message));
	guard_leave(offer->plugin);
	message[sizeof(message) - 1] = '\0';
	if (rc == 0)
		return 0;
	return cow_error_set(err, rc < 0 ? rc : -EINVAL, "%s",
			     message[0] ? message : "the plugin does not accept its section");
}

int cow_host_config_apply(struct cow_host *host, const char *section, const char *json,
			  struct cow_error *err)
{
	struct cow_offer *offer = offer_find(host, OFFER_CONFIG, section);
	int rc;

	if (!offer)
		return cow_error_set(err, -ENOENT, "no plugin has a section \"%s\"", section);
	guard_enter(offer->plugin);
	rc = offer->theirs.config.apply(offer->arg, json);
	guard_leave(offer->plugin);
	if (rc == 0)
		return 0;
	return cow_error_errno(err, rc < 0 ? rc : -EPROTO, "plugin %s: its section \"%s\"",
			       offer->plugin->name, section);
}

/* The list for people and clients. */

static void list_words(struct cow_strbuf *out, const char *key, const char *const *words)
{
	cow_strbuf_addf(out, ",\"%s\":[", key);
	for (const char *const *w = words; w && *w; w++) {
		cow_strbuf_add(out, w == words ? "" : ",");
		cow_strbuf_json(out, *w);
	}
	cow_strbuf_add(out, "]");
}

static void list_offers(struct cow_strbuf *out, const char *key, const struct cow_plugin *plugin,
			enum offer_kind kind)
{
	bool first = true;

	cow_strbuf_addf(out, ",\"%s\":[", key);
	cow_list_for(node, &plugin->offers) {
		const struct cow_offer *offer = cow_container_of(node, struct cow_offer, node);

		if (offer->kind != kind)
			continue;
		cow_strbuf_add(out, first ? "" : ",");
		cow_strbuf_json(out, offer->name);
		first = false;
	}
	cow_strbuf_add(out, "]");
}

static void list_text(struct cow_strbuf *out, const char *key, const char *text)
{
	cow_strbuf_addf(out, ",\"%s\":", key);
	cow_strbuf_json(out, text ? text : "");
}

static void list_plugin(struct cow_strbuf *out, struct cow_plugin *plugin)
{
	static const char *const states[PLUGIN_STATE_COUNT] = {
		[PLUGIN_LOADED] = "loaded",       [PLUGIN_INITIALISING] = "initialising",
		[PLUGIN_ACTIVE] = "active",       [PLUGIN_FINISHING] = "finishing",
		[PLUGIN_UNLOADED] = "unloaded",   [PLUGIN_FAILED] = "failed",
	};
	const struct cowherd_plugin *t = &plugin->table;
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf which = COW_STRBUF_INIT;

	cow_strbuf_add(out, "{\"name\":");
	cow_strbuf_json(out, plugin->name);
	list_text(out, "version", t->version);
	if (t->size)
		cow_strbuf_addf(out, ",\"abi\":\"%u.%u\"", t->abi_major, t->abi_minor);
	else /* it never got so far as to say */
		list_text(out, "abi", "");
	list_text(out, "path", plugin->path);
	list_text(out, "description", t->description);
	list_text(out, "state", states[plugin->state]);
	if (plugin->reason)
		list_text(out, "reason", plugin->reason);
	list_words(out, "provides", t->provides);
	list_words(out, "requires", t->requires_);
	cow_strbuf_addf(out, ",\"resources\":%u", plugin_resources(plugin, &which));
	list_offers(out, "verbs", plugin, OFFER_VERB);
	list_offers(out, "allocators", plugin, OFFER_ALLOCATOR);
	list_offers(out, "backends", plugin, OFFER_BACKEND);
	list_offers(out, "services", plugin, OFFER_SERVICE);
	list_offers(out, "sections", plugin, OFFER_CONFIG);
	list_offers(out, "image_sources", plugin, OFFER_IMAGE_SOURCE);
	cow_strbuf_add(out, "}");
}

int cow_host_list(struct cow_host *host, struct cow_strbuf *out)
{
	cow_strbuf_add(out, "[");
	cow_list_for(node, &host->plugins) {
		cow_strbuf_add(out, node == host->plugins.next ? "" : ",");
		list_plugin(out, cow_container_of(node, struct cow_plugin, node));
	}
	cow_strbuf_add(out, "]");
	return out->error;
}

/* The end. */

static void stray_closed(uv_handle_t *handle)
{
	((struct cow_host *)handle->data)->open_handles--;
	free(handle);
}

static void drain_late(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void drain_closed(uv_handle_t *timer)
{
	*(bool *)timer->data = true;
}

static bool has_jobs(const struct cow_host *host)
{
	cow_list_for(node, &host->plugins)
		if (!cow_list_empty(&cow_container_of(node, struct cow_plugin, node)->jobs))
			return true;
	return false;
}

static bool has_handles(const struct cow_host *host)
{
	return host->open_handles > 0;
}

/* Turn the loop while the host is busy; false: it still is after DRAIN_MS. */
static bool host_drain(const struct cow_host *host, bool (*busy)(const struct cow_host *host))
{
	bool late = false, closed = false;
	uv_timer_t timer;

	if (uv_timer_init(host->setup.loop, &timer) < 0)
		return !busy(host);
	timer.data = &late;
	(void)uv_timer_start(&timer, drain_late, DRAIN_MS, 0);
	while (busy(host) && !late)
		(void)uv_run(host->setup.loop, UV_RUN_ONCE);
	/* The timer is on this stack: libuv has to be done with it. */
	timer.data = &closed;
	uv_close((uv_handle_t *)&timer, drain_closed);
	while (!closed)
		(void)uv_run(host->setup.loop, UV_RUN_ONCE);
	return !busy(host);
}

static struct cow_plugin *last_finishing(struct cow_host *host)
{
	struct cow_plugin *last = NULL;

	cow_list_for(node, &host->plugins) {
		struct cow_plugin *plugin = cow_container_of(node, struct cow_plugin, node);

		if (plugin->state == PLUGIN_FINISHING && (!last || plugin->rank > last->rank))
			last = plugin;
	}
	return last;
}

static void plugin_free(struct cow_plugin *plugin)
{
	cow_map_finish(&plugin->systems);
	/* A sanitizer needs the file to name what leaked in it. */
#ifndef COW_SANITIZE
	if (plugin->handle)
		(void)dlclose(plugin->handle);
#endif
	if (plugin->fd >= 0)
		(void)close(plugin->fd);
	free(plugin->path);
	free(plugin->name);
	free(plugin->reason);
	free(plugin);
}

static void plugins_quiet(struct cow_host *host)
{
	cow_list_for(node, &host->plugins) {
		struct cow_plugin *plugin = cow_container_of(node, struct cow_plugin, node);

		guard_forget(plugin);
		sources_stop(plugin);
		if (plugin->state == PLUGIN_ACTIVE)
			plugin->state = PLUGIN_FINISHING;
	}
}

static void plugins_finish(struct cow_host *host)
{
	for (struct cow_plugin *plugin; (plugin = last_finishing(host));) {
		struct cow_error err = { 0 };

		if (plugin_finish(plugin, &err) < 0)
			host_log(plugin, COW_LOG_WARN, "plugin.busy", err.message);
		plugin_undo(plugin);
	}
}

void cow_host_destroy(struct cow_host *host)
{
	if (!host)
		return;
	plugins_quiet(host);
	/* A plugin's code and data must stay while a thread runs in it; so must all of the host. */
	if (!host_drain(host, has_jobs)) {
		cow_log(.level = COW_LOG_ERROR, .event = "host.stuck",
			.msg = "work of a plugin does not end; the plugins are left as they are");
		return;
	}
	plugins_finish(host);
	uv_close((uv_handle_t *)host->stray, stray_closed);
	(void)host_drain(host, has_handles);
	cow_list_for_safe(node, tmp, &host->plugins)
		plugin_free(cow_container_of(node, struct cow_plugin, node));
	offer_free_undone(host);
	host_free(host);
}
