/* SPDX-License-Identifier: MIT */
/* The host function table: log lines, registrations, facts; each call checked before it is believed. */
#include "base/log.h"
#include "host/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX_BYTES 255

struct cow_plugin *calls_enter(struct cowherd_self *self, bool adding, int *ret_rc)
{
	struct cow_plugin *plugin = (struct cow_plugin *)self;

	if (!plugin) {
		*ret_rc = -EINVAL;
		return NULL;
	}
	if (!pthread_equal(plugin->host->thread, pthread_self())) {
		/* Nothing else of the host may be touched from here. */
		if (!atomic_exchange(&plugin->stray, true))
			(void)uv_async_send(plugin->host->stray);
		*ret_rc = -EPERM;
		return NULL;
	}
	if (plugin->state != PLUGIN_INITIALISING && plugin->state != PLUGIN_ACTIVE &&
	    (adding || plugin->state != PLUGIN_FINISHING)) {
		*ret_rc = -ESHUTDOWN;
		return NULL;
	}
	*ret_rc = 0;
	return plugin;
}

void calls_stray_cb(uv_async_t *async)
{
	struct cow_host *host = async->data;

	cow_list_for(node, &host->plugins) {
		struct cow_plugin *plugin = cow_container_of(node, struct cow_plugin, node);

		if (!atomic_load(&plugin->stray) || plugin->stray_told)
			continue;
		plugin->stray_told = true;
		host_log(plugin, COW_LOG_ERROR, "plugin.thread",
			 "a host function was called on another thread than the loop's, and refused");
	}
}

static void calls_log(struct cowherd_self *self, int level, const char *container, const char *event,
		      const char *msg)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);

	if (!plugin)
		return;
	if (level < COW_LOG_ERROR || level > COW_LOG_DEBUG)
		level = COW_LOG_INFO;
	cow_log(.level = (enum cow_log_level)level, .event = event ? event : "plugin.log",
		.msg = msg ? msg : "", .container = container, .plugin = plugin->name);
}

/* Registrations. */

static int offer_start(struct cowherd_self *self, enum offer_kind kind, void *arg,
		       struct cow_plugin **ret_plugin, struct cow_offer **ret)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, true, &rc);
	struct cow_offer *offer;

	if (!plugin)
		return rc;
	offer = calloc(1, sizeof(*offer));
	if (!offer)
		return -ENOMEM;
	offer->plugin = plugin;
	offer->kind = kind;
	offer->arg = arg;
	offer->name = "";
	*ret_plugin = plugin;
	*ret = offer;
	return 0;
}

int calls_register_allocator(struct cowherd_self *self, const struct cowherd_allocator *allocator,
			     void *arg)
{
	struct cow_plugin *plugin;
	struct cow_offer *offer;
	int rc = offer_start(self, OFFER_ALLOCATOR, arg, &plugin, &offer);

	if (rc < 0)
		return rc;
	rc = table_read_allocator(&offer->theirs.allocator, allocator);
	if (rc < 0) {
		free(offer);
		return rc;
	}
	offer->name = offer->theirs.allocator.name;
	guard_allocator(offer);
	return offer_register(plugin, offer);
}

int calls_register_backend(struct cowherd_self *self, const struct cowherd_backend *backend, void *arg)
{
	struct cow_plugin *plugin;
	struct cow_offer *offer;
	int rc = offer_start(self, OFFER_BACKEND, arg, &plugin, &offer);

	if (rc < 0)
		return rc;
	rc = table_read_backend(&offer->theirs.backend, backend);
	if (rc < 0) {
		free(offer);
		return rc;
	}
	offer->name = offer->theirs.backend.name;
	guard_backend(offer);
	return offer_register(plugin, offer);
}

int calls_register_hook(struct cowherd_self *self, int hook, cowherd_hook_cb cb, void *arg)
{
	struct cow_plugin *plugin;
	struct cow_offer *offer;
	int rc;

	if (hook < COWHERD_HOOK_CONTAINER_STOPPED || hook > COWHERD_HOOK_CONTAINER_START || !cb)
		return -EINVAL;
	rc = offer_start(self, OFFER_HOOK, arg, &plugin, &offer);
	if (rc < 0)
		return rc;
	offer->theirs.hook = cb;
	guard_hook(offer, hook);
	return offer_register(plugin, offer);
}

int calls_register_verb(struct cowherd_self *self, const struct cowherd_verb *verb, void *arg)
{
	struct cow_plugin *plugin;
	struct cow_offer *offer;
	int rc = offer_start(self, OFFER_VERB, arg, &plugin, &offer);

	if (rc < 0)
		return rc;
	rc = table_read_verb(&offer->theirs.verb, verb);
	if (rc < 0) {
		free(offer);
		return rc;
	}
	offer->name = offer->theirs.verb.name;
	guard_verb(offer);
	return offer_register(plugin, offer);
}

int calls_register_config(struct cowherd_self *self, const struct cowherd_config_section *section,
			  void *arg)
{
	struct cow_plugin *plugin;
	struct cow_offer *offer;
	int rc = offer_start(self, OFFER_CONFIG, arg, &plugin, &offer);

	if (rc < 0)
		return rc;
	rc = table_read_config(&offer->theirs.config, section);
	if (rc < 0) {
		free(offer);
		return rc;
	}
	offer->name = offer->theirs.config.name;
	return offer_register(plugin, offer);
}

int calls_register_image_source(struct cowherd_self *self,
				const struct cowherd_image_source *source, void *arg)
{
	struct cow_plugin *plugin;
	struct cow_offer *offer;
	int rc = offer_start(self, OFFER_IMAGE_SOURCE, arg, &plugin, &offer);

	if (rc < 0)
		return rc;
	rc = table_read_image_source(&offer->theirs.image_source, source);
	if (rc < 0) {
		free(offer);
		return rc;
	}
	offer->name = offer->theirs.image_source.name;
	guard_image_source(offer);
	return offer_register(plugin, offer);
}

int calls_provide(struct cowherd_self *self, const char *name, uint32_t version, const void *table)
{
	struct cow_plugin *plugin;
	struct cow_offer *offer;
	int rc;

	if (!table || !table_name_valid(name, true))
		return -EINVAL;
	rc = offer_start(self, OFFER_SERVICE, NULL, &plugin, &offer);
	if (rc < 0)
		return rc;
	offer->name = name;
	offer->shown.service = (struct cow_service){ .table = table, .version = version };
	return offer_register(plugin, offer);
}

/* Operations. */

/* The offer behind an operation given to this plugin; -ENOENT: not waited for any more. */
static int call_find(struct cowherd_self *self, cowherd_op op, struct cow_plugin **ret_plugin,
		     const struct cow_offer **ret)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	const struct cow_map_entry *entry;
	const struct cow_offer *offer;

	if (!plugin)
		return rc;
	entry = cow_map_get(&plugin->host->calls, op);
	offer = entry ? entry->value : NULL;
	if (!offer || offer->plugin != plugin)
		return -ENOENT;
	*ret_plugin = plugin;
	*ret = offer;
	return 0;
}

static int key_check(const char *key)
{
	return key && key[0] && strnlen(key, KEY_MAX_BYTES + 1) <= KEY_MAX_BYTES ? 0 : -EINVAL;
}

static int calls_intend(struct cowherd_self *self, cowherd_op op, const char *key, const char *record)
{
	struct cow_plugin *plugin;
	const struct cow_offer *offer;
	int rc = call_find(self, op, &plugin, &offer);

	if (rc == 0)
		rc = key_check(key);
	if (rc == 0)
		rc = table_json(record, false);
	if (rc < 0 || !plugin->host->events.intend)
		return rc;
	return plugin->host->events.intend(plugin->host->events_arg, op, offer->name, key, record);
}

static int calls_forget(struct cowherd_self *self, cowherd_op op, const char *key)
{
	struct cow_plugin *plugin;
	const struct cow_offer *offer;
	int rc = call_find(self, op, &plugin, &offer);

	if (rc == 0)
		rc = key_check(key);
	if (rc < 0 || !plugin->host->events.forget)
		return rc;
	return plugin->host->events.forget(plugin->host->events_arg, op, offer->name, key);
}

static int calls_patch_spec(struct cowherd_self *self, cowherd_op op, const char *patch)
{
	struct cow_plugin *plugin;
	const struct cow_offer *offer;
	int rc = call_find(self, op, &plugin, &offer);

	if (rc == 0)
		rc = table_json(patch, true);
	if (rc < 0 || !plugin->host->events.patch_spec)
		return rc;
	return plugin->host->events.patch_spec(plugin->host->events_arg, op, patch);
}

static int calls_progress(struct cowherd_self *self, cowherd_op op, const char *json)
{
	struct cow_plugin *plugin;
	const struct cow_offer *offer;
	int rc = call_find(self, op, &plugin, &offer);

	if (rc == 0)
		rc = table_json(json, false);
	if (rc < 0 || !plugin->host->events.progress)
		return rc;
	return plugin->host->events.progress(plugin->host->events_arg, op, json);
}

/* Facts. */

static const struct cow_offer *system_find(struct cow_plugin *plugin, uint64_t system)
{
	const struct cow_map_entry *entry = cow_map_get(&plugin->systems, system);

	if (entry)
		return entry->value;
	host_log(plugin, COW_LOG_WARN, "plugin.protocol",
		 "a fact about a compute system that is not open was dropped");
	return NULL;
}

static void calls_exited(struct cowherd_self *self, uint64_t system, uint64_t process,
			 const struct cowherd_exit *status)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	const struct cow_offer *backend = plugin ? system_find(plugin, system) : NULL;
	struct cowherd_exit exit;

	if (!backend || !plugin->host->events.exited)
		return;
	if (table_copy(&exit, sizeof(exit), status) < 0)
		exit = (struct cowherd_exit){ .size = sizeof(exit), .code = -1,
					      .reason = "the backend told an end without its status" };
	if (exit.code < -1 || exit.code > 255) {
		exit.code = -1;
		exit.reason = "the backend told an exit code out of range";
	}
	if (exit.code == -1 && !exit.reason)
		exit.reason = "the backend does not say why";
	plugin->host->events.exited(plugin->host->events_arg, backend->name, system, process, &exit);
}

static void calls_notice(struct cowherd_self *self, uint64_t system, const char *event,
			 const char *detail)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	const struct cow_offer *backend;

	if (!plugin || !event || !event[0] || (detail && table_json(detail, false) < 0))
		return;
	backend = system_find(plugin, system);
	if (backend && plugin->host->events.notice)
		plugin->host->events.notice(plugin->host->events_arg, backend->name, system, event,
					    detail);
}

static int calls_find_container(struct cowherd_self *self, const char *ref,
				struct cowherd_request *ret, int64_t *ret_pid)
{
	int rc;
	struct cow_plugin *plugin = calls_enter(self, false, &rc);
	struct cowherd_request found;
	int64_t pid = 0;
	size_t size;

	if (!plugin)
		return rc;
	if (!ref || !ret || ret->size < sizeof(ret->size))
		return -EINVAL;
	if (!plugin->host->events.find)
		return -ENOTSUP;
	rc = plugin->host->events.find(plugin->host->events_arg, ref, &found, &pid);
	if (rc < 0)
		return rc;
	size = ret->size < sizeof(found) ? ret->size : sizeof(found);
	memcpy(ret, &found, size);
	ret->size = size;
	if (ret_pid)
		*ret_pid = pid;
	return 0;
}

void calls_fill(struct cowherd_host *table)
{
	*table = (struct cowherd_host){
		.size = sizeof(*table),
		.abi_major = COWHERD_ABI_MAJOR,
		.abi_minor = COWHERD_ABI_MINOR,
		.version = COW_VERSION,
		.log = calls_log,
		.register_allocator = calls_register_allocator,
		.register_backend = calls_register_backend,
		.register_hook = calls_register_hook,
		.register_verb = calls_register_verb,
		.register_config = calls_register_config,
		.provide = calls_provide,
		.lookup = calls_lookup,
		.answer = calls_answer,
		.intend = calls_intend,
		.forget = calls_forget,
		.patch_spec = calls_patch_spec,
		.progress = calls_progress,
		.timer_start = calls_timer_start,
		.timer_stop = calls_timer_stop,
		.watch_fd = calls_watch_fd,
		.unwatch_fd = calls_unwatch_fd,
		.offload = calls_offload,
		.exited = calls_exited,
		.notice = calls_notice,
		.register_image_source = calls_register_image_source,
		.find_container = calls_find_container,
	};
}
