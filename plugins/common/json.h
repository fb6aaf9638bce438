/* SPDX-License-Identifier: MIT */
/* JSON of strangers: bounded before it is parsed, and read member by member. */
#ifndef PLUG_JSON_H
#define PLUG_JSON_H

#include "common/error.h"

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#define PLUG_JSON_DEPTH 32
#define PLUG_JSON_VALUES 65536 /* members and elements of one document: about 10 MiB of memory */

/* One whole document; what: its name in errors.  -EBADMSG: it is none; -E2BIG: too deep, too many. */
int plug_json_parse(const char *text, size_t size, const char *what, struct json_object **ret,
		    struct plug_error *err);
static inline void plug_json_putp(struct json_object **o)
{
	json_object_put(*o);
}
#define _cleanup_json_ __attribute__((cleanup(plug_json_putp)))

/* Compact, to be freed; NULL: out of memory. */
char *plug_json_print(struct json_object *o);

/* A member of an object, or NULL. */
struct json_object *plug_json_get(struct json_object *o, const char *key);
/* The same, a string; absent: NULL, or where it is something else. */
const char *plug_json_string(struct json_object *o, const char *key);
/* Elements of an array; 0 for anything else. */
size_t plug_json_length(struct json_object *array);
/* A whole number that is not negative; -1 otherwise. */
int64_t plug_json_number(struct json_object *o, const char *key);

/*
 * Into an object, at the end of an array: value is taken in any case.  NULL is what making either gives
 * without memory: -ENOMEM then, so that calls may be nested.
 */
int st_json_put(struct json_object *o, const char *key, struct json_object *value);
int st_json_put_string(struct json_object *o, const char *key, const char *value);
int st_json_append(struct json_object *array, struct json_object *value);

#endif
