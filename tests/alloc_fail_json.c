/* SPDX-License-Identifier: MIT */
/* Linked with -Wl,--wrap=NAME, as alloc_fail.c is. */
#include "tests/alloc_fail_json.h"

#include <json-c/json.h>
#include <stddef.h>

#define STAND_IN(type, name, parameters, arguments, failure)   \
	type __real_##name parameters;                          \
	type __wrap_##name parameters;                          \
	type __wrap_##name parameters                           \
	{                                                       \
		return alloc_fail_now() ? failure : __real_##name arguments; \
	}

typedef struct json_object *object;
typedef const char *string;

STAND_IN(object, json_object_new_object, (void), (), NULL)
STAND_IN(object, json_object_new_array, (void), (), NULL)
STAND_IN(object, json_object_new_string, (string text), (text), NULL)
STAND_IN(object, json_object_new_int, (int32_t n), (n), NULL)
STAND_IN(object, json_object_new_int64, (int64_t n), (n), NULL)
STAND_IN(object, json_object_new_boolean, (json_bool b), (b), NULL)
STAND_IN(string, json_object_to_json_string_ext, (object o, int flags), (o, flags), NULL)
STAND_IN(int, json_object_object_add, (object o, string key, object value), (o, key, value), -1)
STAND_IN(int, json_object_array_add, (object array, object value), (array, value), -1)
