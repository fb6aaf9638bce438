/* SPDX-License-Identifier: MIT */
#include "model/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What parsing would cost, looked at before it is paid: depth and number of values. */
static int bounds(const char *text, size_t size)
{
	size_t depth = 0, values = 0;
	bool string = false;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (string) {
			if (c == '\\')
				i++;
			else
				string = c != '"';
			continue;
		}
		/* json-c knows strings in these as well; nobody else does. */
		if (c == '\'')
			return -EBADMSG;
		if (c == '"')
			string = true;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		values += c == ',' || c == '{' || c == '[';
		if (depth > NET_JSON_DEPTH || values > NET_JSON_VALUES)
			return -E2BIG;
	}
	return 0;
}

int net_json_parse(const char *text, size_t size, const char *what, struct json_object **ret,
		   struct net_error *err)
{
	struct json_tokener *t;
	struct json_object *o;
	enum json_tokener_error e;
	size_t end;
	int r = bounds(text, size);

	if (r == -E2BIG)
		return net_error_set(err, r, "%s: too deep, or too many values", what);
	if (r < 0 || size > INT32_MAX || memchr(text, 0, size))
		return net_error_set(err, -EBADMSG, "%s: not JSON", what);
	t = json_tokener_new_ex(NET_JSON_DEPTH + 1);
	if (!t)
		return net_error_errno(err, -ENOMEM, "%s", what);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, text, (int)size);
	e = json_tokener_get_error(t);
	end = json_tokener_get_parse_end(t);
	json_tokener_free(t);
	while (end < size && strchr(" \t\r\n", text[end]))
		end++;
	if (e != json_tokener_success || end != size || !o) {
		json_object_put(o);
		return net_error_set(err, -EBADMSG, "%s: not JSON: %s", what,
				     e == json_tokener_success || e == json_tokener_continue
					     ? "cut off, or more than one document"
					     : json_tokener_error_desc(e));
	}
	*ret = o;
	return 0;
}

char *net_json_print(struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	return text ? strdup(text) : NULL;
}

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

size_t net_json_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

int net_json_string(struct json_object *o, const char *key, const char **ret, struct net_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	/* One with a NUL inside is nobody's name. */
	if (!json_object_is_type(v, json_type_string) ||
	    strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v))
		return net_error_set(err, -EINVAL, "%s: not a string", key);
	*ret = json_object_get_string(v);
	return 0;
}

int net_json_bool(struct json_object *o, const char *key, bool *ret, struct net_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_boolean))
		return net_error_set(err, -EINVAL, "%s: not true or false", key);
	*ret = json_object_get_boolean(v);
	return 0;
}

int net_json_number(struct json_object *o, const char *key, uint64_t max, uint64_t *ret,
		    struct net_error *err)
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
		return net_error_set(err, -EINVAL, "%s: not a number from 0 to %llu", key,
				     (unsigned long long)max);
	*ret = n;
	return 0;
}

int net_json_array(struct json_object *o, const char *key, struct json_object **ret,
		   struct net_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_array))
		return net_error_set(err, -EINVAL, "%s: not a list", key);
	*ret = v;
	return 0;
}

int net_json_object(struct json_object *o, const char *key, struct json_object **ret,
		    struct net_error *err)
{
	struct json_object *v = net_json_get(o, key);

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_object))
		return net_error_set(err, -EINVAL, "%s: not an object", key);
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
