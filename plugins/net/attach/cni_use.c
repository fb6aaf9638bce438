/* SPDX-License-Identifier: MIT */
#include "attach/cni_use.h"

#include "common/util.h"
#include "model/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_S_MAX 3600

struct net_cni_config {
	unsigned users; /* by `lock` */
	struct net_strv plugin_dirs;
	const char **plugins; /* those, and NULL; or NULL */
	char *conf;
	uint32_t timeout_ms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct net_cni_config *current;

static struct net_cni_config *config_hold(void)
{
	struct net_cni_config *c;

	(void)pthread_mutex_lock(&lock);
	c = current;
	if (c)
		c->users++;
	(void)pthread_mutex_unlock(&lock);
	return c;
}

static void config_drop(struct net_cni_config *c)
{
	bool last;

	if (!c)
		return;
	(void)pthread_mutex_lock(&lock);
	last = --c->users == 0;
	(void)pthread_mutex_unlock(&lock);
	if (!last)
		return;
	net_strv_finish(&c->plugin_dirs);
	free(c->plugins);
	free(c->conf);
	free(c);
}

void net_cni_config_apply(struct net_cni_config *config)
{
	struct net_cni_config *old;

	(void)pthread_mutex_lock(&lock);
	old = current;
	current = config;
	(void)pthread_mutex_unlock(&lock);
	config_drop(old);
}

/* ---- the section */

static int read_path(struct json_object *o, const char *pointer, const char **ret, struct plug_error *err)
{
	const char *text = json_object_is_type(o, json_type_string) ? json_object_get_string(o) : NULL;

	if (!text || *text != '/' || strchr(text, ':') || strlen(text) > 1024)
		return plug_error_set(err, -EINVAL, "%s: not an absolute path", pointer);
	*ret = text;
	return 0;
}

static int read_dirs(struct json_object *o, struct net_cni_config *c, struct plug_error *err)
{
	size_t n = plug_json_length(o);

	if (!json_object_is_type(o, json_type_array) || !n || n > 16)
		return plug_error_set(err, -EINVAL, "/plugin_dirs: not an array of 1 to 16 paths");
	for (size_t i = 0; i < n; i++) {
		const char *path = NULL;
		char pointer[40];
		int r;

		(void)snprintf(pointer, sizeof(pointer), "/plugin_dirs/%zu", i);
		r = read_path(json_object_array_get_idx(o, i), pointer, &path, err);
		if (r == 0 && net_strv_add(&c->plugin_dirs, path) < 0)
			r = plug_error_errno(err, -ENOMEM, "%s", pointer);
		if (r < 0)
			return r;
	}
	c->plugins = calloc(n + 1, sizeof(*c->plugins));
	for (size_t i = 0; c->plugins && i < n; i++)
		c->plugins[i] = c->plugin_dirs.items[i];
	return c->plugins ? 0 : plug_error_errno(err, -ENOMEM, "/plugin_dirs");
}

static int read_conf(struct json_object *o, struct net_cni_config *c, struct plug_error *err)
{
	const char *path = NULL;
	int r = read_path(o, "/config_dir", &path, err);

	if (r < 0)
		return r;
	c->conf = strdup(path);
	return c->conf ? 0 : plug_error_errno(err, -ENOMEM, "/config_dir");
}

static int read_timeout(struct json_object *o, struct net_cni_config *c, struct plug_error *err)
{
	bool number = json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double);
	double s = number ? json_object_get_double(o) : 0;

	if (!(s >= 0.1 && s <= TIMEOUT_S_MAX))
		return plug_error_set(err, -EINVAL, "/timeout_s: not a number from 0.1 to %d", TIMEOUT_S_MAX);
	c->timeout_ms = (uint32_t)(s * 1000);
	return 0;
}

static int read_member(const char *key, struct json_object *o, struct net_cni_config *c,
		       struct plug_error *err)
{
	static const struct {
		const char *key;
		int (*read)(struct json_object *o, struct net_cni_config *c, struct plug_error *err);
	} members[] = {
		{ "config_dir", read_conf },
		{ "plugin_dirs", read_dirs },
		{ "timeout_s", read_timeout },
	};

	for (size_t i = 0; i < PLUG_ELEMENTS(members); i++) {
		if (!strcmp(key, members[i].key))
			return members[i].read(o, c, err);
	}
	return plug_error_set(err, -EINVAL, "/%.64s: unknown key", key);
}

int net_cni_config_read(struct json_object *o, struct net_cni_config **ret, struct plug_error *err)
{
	struct net_cni_config *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c)
		return plug_error_errno(err, -ENOMEM, "cni");
	c->users = 1;
	if (o && !json_object_is_type(o, json_type_object))
		r = plug_error_set(err, -EINVAL, ": not an object");
	if (o && r == 0) {
		json_object_object_foreach(o, key, value) {
			r = r ?: read_member(key, value, c, err);
		}
	}
	if (r == 0 && ret)
		*ret = plug_take_ptr(c);
	config_drop(c);
	return r;
}

/* ---- a job's */

int net_cni_use_begin(const struct net_state *s, struct net_cni_use *ret, struct plug_error *err)
{
	struct net_cni_use use = { 0 };

	if (asprintf(&use.cache, "%s/cni", s->net_dir) < 0) {
		use.cache = NULL;
		return plug_error_errno(err, -ENOMEM, "cni");
	}
	use.config = config_hold();
	use.paths.cache = use.cache;
	if (use.config) {
		use.paths.plugins = use.config->plugins;
		use.paths.conf = use.config->conf;
		use.timeout_ms = use.config->timeout_ms;
	}
	*ret = use;
	return 0;
}

void net_cni_use_end(struct net_cni_use *use)
{
	config_drop(use->config);
	free(use->cache);
	*use = (struct net_cni_use){ 0 };
}
