/* SPDX-License-Identifier: MIT */
#include "spec/values.h"

#include "base/cleanup.h"
#include "base/strbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cow_value_seconds(const struct cow_json *at, const char *key, uint32_t min_ms, uint32_t *ret_ms,
		      struct cow_error *err)
{
	struct cow_json child;
	double s;

	if (!cow_json_member(at, key, &child))
		return 0;
	if (!json_object_is_type(child.value, json_type_int) &&
	    !json_object_is_type(child.value, json_type_double))
		return cow_json_fail(&child, err, -EINVAL, "not a number");
	s = json_object_get_double(child.value);
	if (!(s * 1000 >= min_ms) || s > 30 * 86400)
		return cow_json_fail(&child, err, -EINVAL, "not between %g seconds and 30 days",
				     min_ms / 1000.0);
	*ret_ms = (uint32_t)(s * 1000 + 0.5);
	return 0;
}

int cow_value_size(const struct cow_json *at, const char *key, uint64_t *ret, struct cow_error *err)
{
	static const char units[] = "bkmgt";
	struct cow_json child;
	const char *text, *unit = units;
	char *end;
	uint64_t v;

	if (!cow_json_member(at, key, &child))
		return 0;
	if (!json_object_is_type(child.value, json_type_string)) {
		int64_t n = 0;
		int r = cow_json_get_int(at, key, 0, INT64_MAX, &n, err);

		if (r == 0)
			*ret = (uint64_t)n;
		return r;
	}
	text = json_object_get_string(child.value);
	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno ||
	    (*end && (end[1] || !(unit = strchr(units, *end | 0x20)))) ||
	    v > (uint64_t)INT64_MAX >> 10 * (unit - units))
		return cow_json_fail(&child, err, -EINVAL, "not a size like 64m");
	*ret = v << 10 * (unit - units);
	return 0;
}

int cow_value_string(const struct cow_json *at, const char *key, char **ret, struct cow_error *err)
{
	const char *text = NULL;
	char *copy;
	int r = cow_json_get_string(at, key, &text, err);

	if (r < 0 || !text)
		return r;
	copy = strdup(text);
	if (!copy)
		return cow_error_errno(err, -ENOMEM, "%s", key);
	free(*ret);
	*ret = copy;
	return 0;
}

int cow_value_path(const struct cow_json *at, const char *key, char **ret, struct cow_error *err)
{
	struct cow_json child;

	if (cow_json_member(at, key, &child) &&
	    json_object_is_type(child.value, json_type_string) &&
	    *json_object_get_string(child.value) != '/')
		return cow_json_fail(&child, err, -EINVAL, "not an absolute path");
	return cow_value_string(at, key, ret, err);
}

void cow_strv_free(char **strings)
{
	for (size_t i = 0; strings && strings[i]; i++)
		free(strings[i]);
	free(strings);
}

int cow_value_strings(const struct cow_json *at, const char *key, char ***ret,
		      struct cow_error *err)
{
	struct cow_json array, element;
	size_t n;
	char **v;
	int r;

	if (!cow_json_member(at, key, &array))
		return 0;
	r = cow_json_is_array(&array, err);
	if (r < 0)
		return r;
	n = cow_json_length(&array);
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		return cow_error_errno(err, -ENOMEM, "%s", key);
	for (size_t i = 0; i < n; i++) {
		(void)cow_json_element(&array, i, &element);
		if (!json_object_is_type(element.value, json_type_string)) {
			r = cow_json_fail(&element, err, -EINVAL, "not a string");
			break;
		}
		v[i] = strdup(json_object_get_string(element.value));
		if (!v[i]) {
			r = cow_error_errno(err, -ENOMEM, "%s", key);
			break;
		}
	}
	if (r < 0) {
		cow_strv_free(v);
		return r;
	}
	cow_strv_free(*ret);
	*ret = v;
	return 0;
}

int cow_value_choice(const struct cow_json *at, const char *key, const char *const *names, int *ret,
		     struct cow_error *err)
{
	struct cow_json child = { .parent = at, .key = key };
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf list = COW_STRBUF_INIT;
	const char *text = NULL;
	int r = cow_json_get_string(at, key, &text, err);

	if (r < 0 || !text)
		return r;
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0) {
			*ret = i;
			return 0;
		}
		cow_strbuf_addf(&list, "%s%s", i ? ", " : "", names[i]);
	}
	return cow_json_fail(&child, err, -EINVAL, "\"%s\" is not one of %s", text,
			     list.data ? list.data : "");
}

int cow_value_string_map(const struct cow_json *at, const char *key, struct json_object **ret,
			 struct cow_error *err)
{
	struct json_object *copy = NULL;
	struct cow_json map;
	int r;

	if (!cow_json_member(at, key, &map))
		return 0;
	r = cow_json_is_object(&map, err);
	if (r < 0)
		return r;
	json_object_object_foreach(map.value, name, value) {
		struct cow_json child = { .value = value, .parent = &map, .key = name };

		if (!json_object_is_type(value, json_type_string))
			return cow_json_fail(&child, err, -EINVAL, "not a string");
	}
	if (json_object_deep_copy(map.value, &copy, NULL) < 0)
		return cow_error_errno(err, -ENOMEM, "%s", key);
	json_object_put(*ret);
	*ret = copy;
	return 0;
}

int cow_value_flag(const struct cow_json *at, const char *key, int *ret, struct cow_error *err)
{
	bool v = *ret > 0;
	struct cow_json child;
	int r = cow_json_get_bool(at, key, &v, err);

	if (r == 0 && cow_json_member(at, key, &child))
		*ret = v;
	return r;
}

int cow_json_put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && object && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

int cow_json_append(struct json_object *array, struct json_object *value)
{
	if (value && array && json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static struct json_object *want(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value;

	if (json_object_object_get_ex(object, key, &value) && json_object_is_type(value, type))
		return value;
	value = type == json_type_object ? json_object_new_object() : json_object_new_array();
	return cow_json_put(object, key, value) < 0 ? NULL : value;
}

struct json_object *cow_json_want_object(struct json_object *object, const char *key)
{
	return want(object, key, json_type_object);
}

struct json_object *cow_json_want_array(struct json_object *object, const char *key)
{
	return want(object, key, json_type_array);
}

struct json_object *cow_json_from_strings(char *const *strings)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; array && strings && strings[i]; i++) {
		if (cow_json_append(array, json_object_new_string(strings[i])) < 0) {
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}
