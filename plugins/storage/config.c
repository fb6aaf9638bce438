/* SPDX-License-Identifier: MIT */
/* The section "storage" of the configuration. */
#include "plugin.h"
#include "rootfs/plan.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

struct settings {
	enum st_verify verify;
	uint64_t scratch_bytes;
};

static int verify_read(struct json_object *value, struct settings *s)
{
	int r = json_object_is_type(value, json_type_string)
			? st_verify_parse(json_object_get_string(value))
			: -EINVAL;

	if (r >= 0)
		s->verify = (enum st_verify)r;
	return r < 0 ? r : 0;
}

static int scratch_read(struct json_object *value, struct settings *s)
{
	if (json_object_is_type(value, json_type_string))
		return st_size_parse(json_object_get_string(value), &s->scratch_bytes);
	if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return -EINVAL;
	s->scratch_bytes = (uint64_t)json_object_get_int64(value);
	return 0;
}

static const struct {
	const char *key, *cause;
	int (*read)(struct json_object *value, struct settings *s);
} members[] = {
	{ "verify_layers", "not none, digest or verity", verify_read },
	{ "scratch_size", "not a size like 10g", scratch_read },
};

static int member_read(const char *key, struct json_object *value, struct settings *s, char *message,
		       size_t size)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (strcmp(members[i].key, key) != 0)
			continue;
		if (members[i].read(value, s) == 0)
			return 0;
		(void)snprintf(message, size, "/%s: %s", key, members[i].cause);
		return -EINVAL;
	}
	(void)snprintf(message, size, "/%s: unknown key", key);
	return -EINVAL;
}

static int section_read(const char *json, struct settings *ret, char *message, size_t size)
{
	struct json_object *root = json_tokener_parse(json);
	struct settings s = { ST_VERIFY_NONE, 0 };
	int r = 0;

	if (!json_object_is_type(root, json_type_object)) {
		(void)snprintf(message, size, ": not an object");
		json_object_put(root);
		return -EINVAL;
	}
	json_object_object_foreach(root, key, value) {
		if (r == 0)
			r = member_read(key, value, &s, message, size);
	}
	json_object_put(root);
	if (r == 0)
		*ret = s;
	return r;
}

static int section_check(void *arg, const char *json, char *message, size_t size)
{
	struct settings s;

	(void)arg;
	return section_read(json, &s, message, size);
}

static int section_apply(void *arg, const char *json)
{
	struct settings s;
	char message[128];
	int r = section_read(json, &s, message, sizeof(message));

	(void)arg;
	if (r < 0)
		return r;
	atomic_store(&st_plugin.verify, s.verify);
	st_rootfs_configure(s.verify, s.scratch_bytes);
	return 0;
}

int st_config_register(void)
{
	static const struct cowherd_config_section section = { .size = sizeof(section),
							       .name = "storage",
							       .check = section_check,
							       .apply = section_apply };

	return st_plugin.host->register_config(st_plugin.self, &section, NULL);
}
