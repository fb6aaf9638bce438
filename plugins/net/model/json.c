/* SPDX-License-Identifier: MIT */
#include "model/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct json_object *net_json_get(struct json_object *o, const char *key)
{
	struct json_object *exact;

	if (!json_object_is_type(o, json_type_object))
		return NULL;
	if (json_object_object_get_ex(o, key, &exact))
		return exact;
	json_object_object_foreach(o, name, value)
		if (!strcasecmp(name, key))
			return value;
	return NULL;
}

int net_json_string(struct json_object *o, const char *key, const char **ret, struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	/* One with a NUL inside is nobody's name. */
	if (!json_object_is_type(v, json_type_string) ||
	    strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v))
		return plug_error_set(err, -EINVAL, "%s: not a string", key);
	*ret = json_object_get_string(v);
	return 0;
}

int net_json_bool(struct json_object *o, const char *key, bool *ret, struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_boolean))
		return plug_error_set(err, -EINVAL, "%s: not true or false", key);
	*ret = json_object_get_boolean(v);
	return 0;
}

int net_json_number(struct json_object *o, const char *key, uint64_t max, uint64_t *ret,
		    struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);
	const char *text;
	uint64_t n = 0;
	bool good = false;

	if (!v)
		return 0;
	if (json_object_is_type(v, json_type_int)) {
		/* json-c clamps: both ends say what the number is not. */
		good = json_object_get_int64(v) >= 0;
		n = json_object_get_uint64(v);
	} else if (json_object_is_type(v, json_type_string)) {
		char *end;

		text = json_object_get_string(v);
		good = *text >= '0' && *text <= '9' && strlen(text) < 20;
		n = good ? strtoull(text, &end, 10) : 0;
		good = good && !*end;
	}
	if (!good || n > max)
		return plug_error_set(err, -EINVAL, "%s: not a number from 0 to %llu", key,
				      (unsigned long long)max);
	*ret = n;
	return 0;
}

int net_json_array(struct json_object *o, const char *key, struct json_object **ret,
		   struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_array))
		return plug_error_set(err, -EINVAL, "%s: not a list", key);
	*ret = v;
	return 0;
}

int net_json_object(struct json_object *o, const char *key, struct json_object **ret,
		    struct plug_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_object))
		return plug_error_set(err, -EINVAL, "%s: not an object", key);
	*ret = v;
	return 0;
}

void net_json_add(struct json_object **o, const char *key, struct json_object *value)
{
	if (*o && value && json_object_object_add(*o, key, value) == 0)
		return;
	json_object_put(value);
	json_object_put(*o);
	*o = NULL;
}

void net_json_add_string(struct json_object **o, const char *key, const char *text)
{
	if (text && *text)
		net_json_add(o, key, json_object_new_string(text));
}

void net_json_append(struct json_object **array, struct json_object *value)
{
	if (*array && value && json_object_array_add(*array, value) == 0)
		return;
	json_object_put(value);
	json_object_put(*array);
	*array = NULL;
}
