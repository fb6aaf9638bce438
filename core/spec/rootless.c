/* SPDX-License-Identifier: MIT */
/* What a spec needs where the supervisor is not root: a user namespace, no mounts for root only. */
#include "spec/options.h"
#include "spec/values.h"

#include <errno.h>
#include <string.h>

static int add_mapping(struct json_object *linux_, const char *key, uint32_t outside)
{
	struct json_object *maps = json_object_new_array(), *map = json_object_new_object();
	int r = cow_json_put(linux_, key, maps);

	if (r == 0)
		r = cow_json_append(maps, map);
	else
		json_object_put(map);
	if (r == 0)
		r = cow_json_put(map, "containerID", json_object_new_int(0));
	if (r == 0)
		r = cow_json_put(map, "hostID", json_object_new_uint64(outside));
	if (r == 0)
		r = cow_json_put(map, "size", json_object_new_int(1));
	return r;
}

/* The group of terminals is not mapped: they are of the user's own. */
static void drop_group(struct json_object *options)
{
	for (size_t i = json_object_array_length(options); i-- > 0;) {
		const char *option = json_object_get_string(json_object_array_get_idx(options, i));

		if (!strncmp(option, "gid=", 4))
			(void)json_object_array_del_idx(options, i, 1);
	}
}

int cow_spec_rootless(struct json_object *spec, uint32_t uid, uint32_t gid)
{
	struct json_object *linux_ = json_object_object_get(spec, "linux");
	struct json_object *mounts = json_object_object_get(spec, "mounts");
	struct json_object *user = json_object_new_object();
	int r = user ? cow_json_put(user, "type", json_object_new_string("user")) : -ENOMEM;

	if (r == 0)
		r = cow_json_append(json_object_object_get(linux_, "namespaces"), user);
	else
		json_object_put(user);
	if (r == 0)
		r = add_mapping(linux_, "uidMappings", uid);
	if (r == 0)
		r = add_mapping(linux_, "gidMappings", gid);
	for (size_t i = 0; r == 0 && i < json_object_array_length(mounts); i++) {
		struct json_object *options, *mount = json_object_array_get_idx(mounts, i);

		if (json_object_object_get_ex(mount, "options", &options))
			drop_group(options);
	}
	return r;
}
