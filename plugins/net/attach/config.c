/* SPDX-License-Identifier: MIT */
/* "plugins": {"net": {"default": "nat", "pool": 4, "networks": [], "cni": {…}, "rootless": "pasta", …}} */
#include "attach/attach.h"
#include "attach/cni_use.h"

#include "attach/networks.h"
#include "attach/rootless.h"
#include "common/util.h"
#include "model/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POOL 4
#define POOL_MAX 64

static struct net_config config = { .pool = POOL };

const struct net_config *net_config(void)
{
	return &config;
}

static int fail(const struct plug_error *err, const char *pointer, char *message, size_t size)
{
	(void)snprintf(message, size, "%s: %s", pointer, err->text);
	return -EINVAL;
}

static int known(struct json_object *o, char *message, size_t size)
{
	static const char *const keys[] = { "default", "pool", "tp4_ports", "networks", "cni", "rootless" };

	json_object_object_foreach(o, key, value) {
		bool found = false;

		(void)value;
		for (size_t i = 0; i < PLUG_ELEMENTS(keys) && !found; i++)
			found = strcmp(key, keys[i]) == 0;
		if (!found) {
			(void)snprintf(message, size, "/%s: unknown key", key);
			return -EINVAL;
		}
	}
	return 0;
}

static int read_networks(struct json_object *o, struct net_networks *ret, char *message, size_t size)
{
	struct json_object *list = NULL;
	struct plug_error err = { 0 };

	if (net_json_array(o, "networks", &list, &err) < 0)
		return fail(&err, "/networks", message, size);
	if (net_networks_parse(list, ret, &err) < 0) {
		(void)snprintf(message, size, "%s", err.text);
		return -EINVAL;
	}
	return 0;
}

static const char *const kinds[] = { [NET_ROOTLESS_ANY] = "any", [NET_ROOTLESS_PASTA] = "pasta",
				     [NET_ROOTLESS_SLIRP] = "slirp4netns" };

const char *net_rootless_kind_name(enum net_rootless_kind kind)
{
	return kinds[kind];
}

int net_rootless_kind_parse(const char *name, enum net_rootless_kind *ret)
{
	for (size_t i = 0; i < PLUG_ELEMENTS(kinds); i++) {
		if (strcmp(name, kinds[i]) != 0)
			continue;
		*ret = (enum net_rootless_kind)i;
		return 0;
	}
	return -EINVAL;
}

static int read_rootless(struct json_object *o, enum net_rootless_kind *ret, struct plug_error *err)
{
	const char *text = kinds[NET_ROOTLESS_ANY];
	int r = net_json_string(o, "rootless", &text, err);

	if (r < 0 || net_rootless_kind_parse(text, ret) == 0)
		return r;
	return plug_error_set(err, -EINVAL, "\"%.64s\" is not any, pasta or slirp4netns", text);
}

static int read_section(const char *json, struct net_config *ret, struct net_networks *ret_networks,
			struct net_cni_config **ret_cni, char *message, size_t size)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct plug_error err = { 0 };
	const char *network = NULL;
	uint64_t pool = POOL;

	if (plug_json_parse(json, strlen(json), "net", &o, &err) < 0)
		return fail(&err, "", message, size);
	if (known(o, message, size) < 0)
		return -EINVAL;
	if (net_json_string(o, "default", &network, &err) < 0)
		return fail(&err, "/default", message, size);
	if (network && (!net_name_valid(network) || strcmp(network, "host") == 0)) {
		(void)snprintf(message, size, "/default: \"%s\" is not none or the name of a network",
			       network);
		return -EINVAL;
	}
	if (net_json_number(o, "pool", POOL_MAX, &pool, &err) < 0)
		return fail(&err, "/pool", message, size);
	if (net_json_bool(o, "tp4_ports", &ret->tp4_ports, &err) < 0)
		return fail(&err, "/tp4_ports", message, size);
	if (read_networks(o, ret_networks, message, size) < 0)
		return -EINVAL;
	if (read_rootless(o, &ret->rootless, &err) < 0)
		return fail(&err, "/rootless", message, size);
	if (net_cni_config_read(net_json_get(o, "cni"), ret_cni, &err) < 0) {
		(void)snprintf(message, size, "/cni%s", err.text);
		return -EINVAL;
	}
	ret->pool = (uint32_t)pool;
	ret->network = network && strcmp(network, "none") != 0 ? strdup(network) : NULL;
	return 0;
}

static int check(void *arg, const char *json, char *message, size_t size)
{
	struct net_networks networks = { 0 };
	struct net_config c = { 0 };
	int r = read_section(json, &c, &networks, NULL, message, size);

	(void)arg;
	free(c.network);
	net_networks_free(&networks);
	return r;
}

static int apply(void *arg, const char *json)
{
	struct net_networks networks = { 0 };
	struct net_config c = { 0 };
	struct net_cni_config *cni = NULL;
	char message[256];
	int r = read_section(json, &c, &networks, &cni, message, sizeof(message));

	(void)arg;
	if (r < 0) {
		net_networks_free(&networks);
		return r;
	}
	free(config.network);
	config = c;
	net_cni_config_apply(cni);
	net_live_networks(&networks);
	/* The default network is warm before anybody asks. */
	if (geteuid() == 0)
		net_pool_resize(config.pool);
	if (config.network && config.pool && geteuid() == 0)
		net_pool_prefer(config.network);
	return 0;
}

int net_config_register(const struct cowherd_host *host, struct cowherd_self *self)
{
	static const struct cowherd_config_section section = { .size = sizeof(section),
							       .name = "net",
							       .check = check,
							       .apply = apply };

	config = (struct net_config){ .pool = POOL };
	return host->register_config(self, &section, NULL);
}

void net_config_finish(void)
{
	net_cni_config_apply(NULL);
	free(config.network);
	config = (struct net_config){ .pool = POOL };
}
