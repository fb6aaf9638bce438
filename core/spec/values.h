/* SPDX-License-Identifier: MIT */
/*
 * Kinds of values that parameters and the configuration have in common.  As in json.h: an absent
 * member leaves *ret as it is and succeeds.
 */
#ifndef COW_SPEC_VALUES_H
#define COW_SPEC_VALUES_H

#include "spec/json.h"

/* A number of seconds, fractions allowed, as whole milliseconds. */
int cow_value_seconds(const struct cow_json *at, const char *key, uint32_t min_ms, uint32_t *ret_ms,
		      struct cow_error *err);
/* Bytes: a number, or "64m" (b, k, m, g, t: powers of 1024). */
int cow_value_size(const struct cow_json *at, const char *key, uint64_t *ret,
		   struct cow_error *err);
/* A copy; *ret is replaced and the caller's. */
int cow_value_string(const struct cow_json *at, const char *key, char **ret, struct cow_error *err);
/* The same, of an absolute path. */
int cow_value_path(const struct cow_json *at, const char *key, char **ret, struct cow_error *err);
/* An array of strings as a NULL-terminated vector: cow_strv_free(). */
int cow_value_strings(const struct cow_json *at, const char *key, char ***ret,
		      struct cow_error *err);
/* The number of one of the NULL-terminated names. */
int cow_value_choice(const struct cow_json *at, const char *key, const char *const *names, int *ret,
		     struct cow_error *err);
/* An object whose members are all strings, as a deep copy. */
int cow_value_string_map(const struct cow_json *at, const char *key, struct json_object **ret,
			 struct cow_error *err);
/* -1 becomes 0 or 1. */
int cow_value_flag(const struct cow_json *at, const char *key, int *ret, struct cow_error *err);

void cow_strv_free(char **strings); /* NULL is fine */

/*
 * json-c's setters with the checks they want: they own value whatever happens, and a NULL value is
 * an allocation that failed.  0 or -ENOMEM.
 */
int cow_json_put(struct json_object *object, const char *key, struct json_object *value);
int cow_json_append(struct json_object *array, struct json_object *value);
/*
 * The member, made as an empty object or array where it is absent; borrowed, NULL: out of memory.
 */
struct json_object *cow_json_want_object(struct json_object *object, const char *key);
struct json_object *cow_json_want_array(struct json_object *object, const char *key);
struct json_object *cow_json_from_strings(char *const *strings);

/* An RFC 7396 merge patch into an object.  -EINVAL: target is none; after -ENOMEM it is half changed. */
int cow_json_merge_patch(struct json_object *target, struct json_object *patch);

#endif
