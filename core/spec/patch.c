/* SPDX-License-Identifier: MIT */
/* JSON merge patch (RFC 7396). */
#include "spec/values.h"

#include <errno.h>

static int merge_object(struct json_object *target, struct json_object *patch);

static int merge_member(struct json_object *target, const char *key, struct json_object *value)
{
	struct json_object *old = NULL, *fresh = NULL;

	if (!value) {
		json_object_object_del(target, key);
		return 0;
	}
	if (!json_object_is_type(value, json_type_object)) {
		if (json_object_deep_copy(value, &fresh, NULL) < 0)
			return -ENOMEM;
		return json_object_object_add(target, key, fresh) < 0 ? -ENOMEM : 0;
	}
	if (!json_object_object_get_ex(target, key, &old) ||
	    !json_object_is_type(old, json_type_object)) {
		/* Also below: what is absent starts as {}, so that nulls in the patch vanish. */
		old = json_object_new_object();
		if (!old || json_object_object_add(target, key, old) < 0)
			return -ENOMEM;
	}
	return merge_object(old, value);
}

static int merge_object(struct json_object *target, struct json_object *patch)
{
	json_object_object_foreach(patch, key, value) {
		int rc = merge_member(target, key, value);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int cow_json_merge_patch(struct json_object *target, struct json_object *patch)
{
	if (!json_object_is_type(target, json_type_object))
		return -EINVAL;
	return merge_object(target, patch);
}
