/* SPDX-License-Identifier: MIT */
/* The plugin: tables for the host, its configuration section. */
#include "lcow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct lcow_config defaults = { .cgroup_parent = "cowherd", .init = true };
struct lcow lcow;

int reply_answer(const struct reply *reply, const struct cowherd_answer *answer)
{
	if (!reply->cb)
		return lcow.host->answer(lcow.self, reply->op, answer);
	reply->cb(reply->arg, answer);
	return 0;
}

int reply_code(const struct reply *reply, int code, const char *message)
{
	struct cowherd_answer answer = { .size = sizeof(answer),
					 .code = code,
					 .fd = -1,
					 .message = message && *message ? message : NULL };

	return reply_answer(reply, &answer);
}

/* The backend's functions: find the system, do it, answer by operation. */

static int backend_supports(void *arg, const struct cowherd_request *request)
{
	(void)arg;
	return spec_is_for_us(request->spec, request->options) ? 10 : 0;
}

static int backend_create(void *arg, cowherd_op op, const struct cowherd_request *request,
			  const struct cowherd_stdio *stdio)
{
	(void)arg;
	return lcow_create(request, stdio, &(struct reply){ .op = op }, NULL, NULL, NULL);
}

static int backend_start(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	return lcow_start(system, &(struct reply){ .op = op });
}

static int backend_exec(void *arg, cowherd_op op, uint64_t system, const char *process,
			const struct cowherd_stdio *stdio)
{
	(void)arg;
	return lcow_exec(system, process, stdio, &(struct reply){ .op = op });
}

static int backend_signal(void *arg, cowherd_op op, uint64_t system, uint64_t process, int signo,
			  uint32_t flags)
{
	(void)arg;
	return lcow_signal(system, process, signo, flags, &(struct reply){ .op = op });
}

static int backend_resize(void *arg, cowherd_op op, uint64_t system, uint64_t process,
			  uint16_t height, uint16_t width)
{
	(void)arg;
	(void)op;
	return lcow_resize(system, process, height, width);
}

static int backend_pause(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	return lcow_freeze(system, true, &(struct reply){ .op = op });
}

static int backend_resume(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	return lcow_freeze(system, false, &(struct reply){ .op = op });
}

static int backend_stats(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	return lcow_stats(system, &(struct reply){ .op = op });
}

static int backend_shutdown(void *arg, cowherd_op op, uint64_t system, int signo)
{
	(void)arg;
	return lcow_signal(system, 0, signo ? signo : 15, 0, &(struct reply){ .op = op });
}

static int backend_terminate(void *arg, cowherd_op op, uint64_t system)
{
	(void)arg;
	return lcow_terminate(system, &(struct reply){ .op = op });
}

static void backend_close(void *arg, uint64_t system)
{
	struct system *s = system_find(system);

	(void)arg;
	if (s)
		system_close(s);
}

static int backend_adopt(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	return lcow_adopt(record, &(struct reply){ .op = op }, NULL, NULL);
}

static int backend_release(void *arg, cowherd_op op, const struct cowherd_record *record)
{
	(void)arg;
	return lcow_release(record, &(struct reply){ .op = op });
}

static void backend_cancel(void *arg, cowherd_op op)
{
	(void)arg;
	create_cancel(op);
}

static const struct cowherd_backend backend = {
	.size = sizeof(backend),
	.name = "lcow",
	.supports = backend_supports,
	.create = backend_create,
	.start = backend_start,
	.exec = backend_exec,
	.signal = backend_signal,
	.resize = backend_resize,
	.pause = backend_pause,
	.resume = backend_resume,
	.stats = backend_stats,
	.shutdown = backend_shutdown,
	.terminate = backend_terminate,
	.close = backend_close,
	.adopt = backend_adopt,
	.release = backend_release,
	.cancel = backend_cancel,
};

/* The section "lcow" of the configuration. */

static int config_bool(const char *key, struct json_object *value, bool *ret, char *message,
		       size_t size)
{
	if (!json_object_is_type(value, json_type_boolean)) {
		(void)snprintf(message, size, "/%s: not true or false", key);
		return -EINVAL;
	}
	*ret = json_object_get_boolean(value);
	return 0;
}

static int config_parent(struct json_object *value, struct lcow_config *ret, char *message,
			 size_t size)
{
	const char *text =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

	if (!*text || *text == '/' || strstr(text, "..") ||
	    strlen(text) >= sizeof(ret->cgroup_parent)) {
		(void)snprintf(message, size, "/cgroup_parent: not a relative path without \"..\"");
		return -EINVAL;
	}
	(void)snprintf(ret->cgroup_parent, sizeof(ret->cgroup_parent), "%s", text);
	return 0;
}

static int config_parse(const char *json, struct lcow_config *ret, char *message, size_t size)
{
	struct json_object *root = json_tokener_parse(json);
	struct lcow_config c = defaults;
	int r = 0;

	if (!json_object_is_type(root, json_type_object)) {
		(void)snprintf(message, size, ": not an object");
		json_object_put(root);
		return -EINVAL;
	}
	json_object_object_foreach(root, key, value) {
		if (r < 0)
			break;
		if (strcmp(key, "cgroup_parent") == 0) {
			r = config_parent(value, &c, message, size);
		} else if (strcmp(key, "init_default") == 0) {
			r = config_bool(key, value, &c.init, message, size);
		} else if (strcmp(key, "no_pivot") == 0) {
			r = config_bool(key, value, &c.no_pivot, message, size);
		} else if (strcmp(key, "accounting") == 0) {
			r = config_bool(key, value, &c.accounting, message, size);
		} else {
			(void)snprintf(message, size, "/%s: unknown key", key);
			r = -EINVAL;
		}
	}
	json_object_put(root);
	if (r == 0)
		*ret = c;
	return r;
}

static int config_check(void *arg, const char *json, char *message, size_t size)
{
	struct lcow_config c;

	(void)arg;
	return config_parse(json, &c, message, size);
}

static int config_apply(void *arg, const char *json)
{
	char message[128];

	(void)arg;
	return config_parse(json, &lcow.config, message, sizeof(message));
}

static const struct cowherd_config_section section = {
	.size = sizeof(section),
	.name = "lcow",
	.check = config_check,
	.apply = config_apply,
};

/* As a mask; 0 where the kernel does not say: then all that are known at compile time. */
static uint64_t kernel_capabilities(void)
{
	FILE *f = fopen("/proc/sys/kernel/cap_last_cap", "re");
	unsigned last = 0;
	int n;

	if (!f)
		return 0;
	n = fscanf(f, "%u", &last);
	(void)fclose(f);
	return n != 1 || last > 63 ? 0 : UINT64_MAX >> (63 - last);
}

static int lcow_init(const struct cowherd_host *host, struct cowherd_self *self)
{
	int r;

	lcow = (struct lcow){ .host = host,
			      .self = self,
			      .config = defaults,
			      .caps_possible = kernel_capabilities() };
	r = host->register_backend(self, &backend, NULL);
	if (r == 0)
		r = host->register_config(self, &section, NULL);
	if (r == 0)
		r = host->register_verb(self, &lcow_explain_verb, NULL);
	if (r == 0)
		r = host->register_hook(self, COWHERD_HOOK_CONTAINER_DELETED, lcow_deleted, NULL);
	if (r == 0)
		r = host->provide(self, COWHERD_SERVICE_LAUNCHER, 1, &lcow_launcher);
	return r;
}

static int lcow_fini(char *message, size_t size)
{
	(void)message;
	(void)size;
	creates_drop();
	launch_netns_spare_drop();
	systems_drop();
	plans_drop();
	return 0;
}

static const char *const provides[] = { "backend.lcow", "launcher", NULL };

static const struct cowherd_plugin plugin = {
	.size = sizeof(plugin),
	.abi_major = COWHERD_ABI_MAJOR,
	.abi_minor = COWHERD_ABI_MINOR,
	.name = "lcow",
	.version = "1.0.0",
	.description = "Linux containers, isolated by namespaces of this host",
	.provides = provides,
	.init = lcow_init,
	.fini = lcow_fini,
};

COWHERD_EXPORT const struct cowherd_plugin *cowherd_plugin_entry(uint32_t host_major,
								 uint32_t host_minor)
{
	(void)host_minor;
	return host_major == COWHERD_ABI_MAJOR ? &plugin : NULL;
}
