/* SPDX-License-Identifier: MIT */
/* JSON of strangers, read member by member; and JSON of ours, built. */
#ifndef NET_MODEL_JSON_H
#define NET_MODEL_JSON_H

#include "common/json.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A member of an object, or NULL: absent, null.  As both services (and Go) read names: where none is spelled
 * like this, whatever the case.
 */
struct json_object *net_json_get(struct json_object *o, const char *key);

/*
 * Members that have to be of a type where they are there; absent leaves *ret alone.  -EINVAL with "KEY: not
 * a string" and the like.  Numbers: also as decimal strings, which some clients send.
 */
int net_json_string(struct json_object *o, const char *key, const char **ret, struct plug_error *err);
int net_json_bool(struct json_object *o, const char *key, bool *ret, struct plug_error *err);
int net_json_number(struct json_object *o, const char *key, uint64_t max, uint64_t *ret,
		    struct plug_error *err);
int net_json_array(struct json_object *o, const char *key, struct json_object **ret,
		   struct plug_error *err);
int net_json_object(struct json_object *o, const char *key, struct json_object **ret,
		    struct plug_error *err);

/*
 * Building: value changes owner.  Where memory is missing *o is put and becomes NULL, and so it stays:
 * look once, at the end.
 */
void net_json_add(struct json_object **o, const char *key, struct json_object *value);
void net_json_add_string(struct json_object **o, const char *key, const char *text); /* NULL, "": not */
void net_json_append(struct json_object **array, struct json_object *value);

#endif
