/* SPDX-License-Identifier: MIT */
#include "common/json.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

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
		if (depth > PLUG_JSON_DEPTH || values > PLUG_JSON_VALUES)
			return -E2BIG;
	}
	return 0;
}

int plug_json_parse(const char *text, size_t size, const char *what, struct json_object **ret,
		    struct plug_error *err)
{
	struct json_tokener *t;
	struct json_object *o;
	enum json_tokener_error e;
	size_t end;
	int r = bounds(text, size);

	if (r == -E2BIG)
		return plug_error_set(err, r, "%s: too deep, or too many values", what);
	if (r < 0 || size > INT32_MAX || memchr(text, 0, size))
		return plug_error_set(err, -EBADMSG, "%s: not JSON", what);
	t = json_tokener_new_ex(PLUG_JSON_DEPTH + 1);
	if (!t)
		return plug_error_errno(err, -ENOMEM, "%s", what);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, text, (int)size);
	e = json_tokener_get_error(t);
	end = json_tokener_get_parse_end(t);
	json_tokener_free(t);
	while (end < size && strchr(" \t\r\n", text[end]))
		end++;
	if (e != json_tokener_success || end != size || !o) {
		json_object_put(o);
		return plug_error_set(err, -EBADMSG, "%s: not JSON: %s", what,
				      e == json_tokener_success || e == json_tokener_continue
					    ? "cut off, or more than one document"
					    : json_tokener_error_desc(e));
	}
	*ret = o;
	return 0;
}

char *plug_json_print(struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	return text ? strdup(text) : NULL;
}

struct json_object *plug_json_get(struct json_object *o, const char *key)
{
	return json_object_is_type(o, json_type_object) ? json_object_object_get(o, key) : NULL;
}

const char *plug_json_string(struct json_object *o, const char *key)
{
	struct json_object *v = plug_json_get(o, key);

	/* One with a NUL inside is nobody's name or digest. */
	if (!json_object_is_type(v, json_type_string) ||
	    strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v))
		return NULL;
	return json_object_get_string(v);
}

size_t plug_json_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

int64_t plug_json_number(struct json_object *o, const char *key)
{
	struct json_object *v = plug_json_get(o, key);
	int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;

	return n < 0 ? -1 : n;
}

int st_json_put(struct json_object *o, const char *key, struct json_object *value)
{
	if (o && value && json_object_object_add(o, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

int st_json_put_string(struct json_object *o, const char *key, const char *value)
{
	return st_json_put(o, key, value ? json_object_new_string(value) : NULL);
}

int st_json_append(struct json_object *array, struct json_object *value)
{
	if (array && value && json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}
