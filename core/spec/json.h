/* SPDX-License-Identifier: MIT */
/*
 * JSON with errors that point: the one place that knows json-c's parser.  A cursor knows the way
 * from the root, so that every complaint names the JSON pointer; with the text at hand, also the
 * line.
 */
#ifndef COW_SPEC_JSON_H
#define COW_SPEC_JSON_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

/*
 * Strict JSON: one value, UTF-8, no duplicate keys, depth at most 64.  name is what errors call the
 * text ("config.json"): "config.json:12:5: ...".  *ret is to be released with json_object_put().
 */
int cow_json_parse(const char *name, const char *text, size_t len, struct json_object **ret,
		   struct cow_error *err);
/*
 * The line (from 1) on which the value at a JSON pointer starts in valid JSON text; 0: not there.
 */
unsigned cow_json_line(const char *text, size_t len, const char *pointer);

/* A position in a document.  Made on the stack; parent must outlive it. */
struct cow_json {
	struct json_object *value;     /* borrowed; NULL: JSON null or absent */
	const struct cow_json *parent; /* NULL: the root */
	const char *key;               /* in an object; NULL: index counts */
	size_t index;
	/* of the root only */
	const char *name, *text;       /* for "name:line: "; may be NULL */
	size_t text_len;
};

/* "/linux/resources/memory" into buf; "" is the root. */
void cow_json_pointer(const struct cow_json *at, char *buf, size_t size);
/* "name:line: /pointer: cause"; returns code. */
int cow_json_fail(const struct cow_json *at, struct cow_error *err, int code, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));

/* The member `key`; false where absent or null. */
bool cow_json_member(const struct cow_json *at, const char *key, struct cow_json *ret);
/* Element i of an array; false beyond its end. */
bool cow_json_element(const struct cow_json *at, size_t i, struct cow_json *ret);
size_t cow_json_length(const struct cow_json *at);

/* at must be of that type: -EINVAL with a message otherwise. */
int cow_json_is_object(const struct cow_json *at, struct cow_error *err);
int cow_json_is_array(const struct cow_json *at, struct cow_error *err);

/*
 * Optional members: absent leaves *ret as it is and succeeds; a wrong type is -EINVAL.  Strings are
 * borrowed.
 */
int cow_json_get_string(const struct cow_json *at, const char *key, const char **ret,
			struct cow_error *err);
int cow_json_get_bool(const struct cow_json *at, const char *key, bool *ret, struct cow_error *err);
int cow_json_get_int(const struct cow_json *at, const char *key, int64_t min, int64_t max,
		     int64_t *ret, struct cow_error *err);
/*
 * Every key of the object must be in the NULL-terminated list: the others are -EINVAL "unknown
 * key".
 */
int cow_json_known(const struct cow_json *at, const char *const *keys, struct cow_error *err);

#endif
