/* SPDX-License-Identifier: MIT */
#include "spec/json.h"

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/json_scan.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Lines from 1; columns from 1, in characters. */
static unsigned place(const char *text, size_t offset, unsigned *ret_column)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	*ret_column = column;
	return line;
}

int cow_json_parse(const char *name, const char *text, size_t len, struct json_object **ret,
		   struct cow_error *err)
{
	struct cow_json_flaw flaw = { 0 };
	struct json_tokener *tok;
	struct json_object *value;
	enum json_tokener_error code;
	unsigned line, column;
	int r;

	if (len > INT_MAX)
		return cow_error_set(err, -EFBIG, "%s: too big", name);
	r = cow_json_scan(text, len, &flaw);
	if (r == -EINVAL) {
		line = place(text, flaw.offset, &column);
		return cow_error_set(err, r, "%s:%u:%u: %s%s%s", name, line, column,
				     flaw.pointer, *flaw.pointer ? ": " : "", flaw.cause);
	}
	if (r < 0)
		return cow_error_errno(err, r, "%s", name);
	tok = json_tokener_new_ex(COW_JSON_DEPTH + 2);
	if (!tok)
		return cow_error_errno(err, -ENOMEM, "%s", name);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	value = json_tokener_parse_ex(tok, text, (int)len);
	code = json_tokener_get_error(tok);
	/* A number at the very end may go on, for all that the tokener knows: a NUL ends it. */
	if (code == json_tokener_continue) {
		value = json_tokener_parse_ex(tok, "", 1);
		code = json_tokener_get_error(tok);
	}
	json_tokener_free(tok);
	if (code != json_tokener_success) {
		json_object_put(value);
		return cow_error_set(err, -EINVAL, "%s: %s", name, json_tokener_error_desc(code));
	}
	*ret = value;
	return 0;
}

unsigned cow_json_line(const char *text, size_t len, const char *pointer)
{
	unsigned column;
	size_t offset;

	if (cow_json_scan_find(text, len, pointer, &offset) < 0)
		return 0;
	return place(text, offset, &column);
}

static void pointer_token(struct cow_strbuf *b, const struct cow_json *at)
{
	cow_strbuf_add(b, "/");
	if (!at->key) {
		cow_strbuf_addf(b, "%zu", at->index);
		return;
	}
	for (const char *p = at->key; *p; p++) {
		if (*p == '~' || *p == '/')
			cow_strbuf_add(b, *p == '~' ? "~0" : "~1");
		else
			cow_strbuf_addn(b, p, 1);
	}
}

static void pointer_add(struct cow_strbuf *b, const struct cow_json *at)
{
	if (!at->parent)
		return;
	pointer_add(b, at->parent);
	pointer_token(b, at);
}

void cow_json_pointer(const struct cow_json *at, char *buf, size_t size)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;

	pointer_add(&b, at);
	(void)snprintf(buf, size, "%s", b.data ? b.data : "");
}

/* The line of the value, or of the nearest thing around it that is in the text. */
static unsigned nearest_line(const struct cow_json *root, const char *pointer)
{
	_cleanup_free_ char *p = strdup(pointer);
	unsigned line = 0;

	while (p && root->text) {
		char *slash;

		line = cow_json_line(root->text, root->text_len, p);
		slash = strrchr(p, '/');
		if (line || !slash)
			break;
		*slash = 0;
	}
	return line;
}

int cow_json_fail(const struct cow_json *at, struct cow_error *err, int code, const char *format,
		  ...)
{
	const struct cow_json *root = at;
	char pointer[COW_MESSAGE_MAX / 2], cause[COW_MESSAGE_MAX / 2], where[COW_MESSAGE_MAX] = "";
	unsigned line;
	va_list ap;

	if (!err)
		return code;
	while (root->parent)
		root = root->parent;
	cow_json_pointer(at, pointer, sizeof(pointer));
	va_start(ap, format);
	(void)vsnprintf(cause, sizeof(cause), format, ap);
	va_end(ap);
	line = nearest_line(root, pointer);
	if (root->name && line)
		(void)snprintf(where, sizeof(where), "%s:%u: ", root->name, line);
	else if (root->name)
		(void)snprintf(where, sizeof(where), "%s: ", root->name);
	return cow_error_set(err, code, "%s%s%s%s", where, pointer, *pointer ? ": " : "", cause);
}

bool cow_json_member(const struct cow_json *at, const char *key, struct cow_json *ret)
{
	struct json_object *value;

	if (!json_object_is_type(at->value, json_type_object) ||
	    !json_object_object_get_ex(at->value, key, &value) || !value)
		return false;
	*ret = (struct cow_json){ .value = value, .parent = at, .key = key };
	return true;
}

bool cow_json_element(const struct cow_json *at, size_t i, struct cow_json *ret)
{
	if (i >= cow_json_length(at))
		return false;
	*ret = (struct cow_json){
		.value = json_object_array_get_idx(at->value, i), .parent = at, .index = i,
	};
	return true;
}

size_t cow_json_length(const struct cow_json *at)
{
	return json_object_is_type(at->value, json_type_array) ? json_object_array_length(at->value)
							       : 0;
}

static int want_type(const struct cow_json *at, enum json_type type, const char *what,
		     struct cow_error *err)
{
	/* json-c takes NULL for a value of type null. */
	return json_object_is_type(at->value, type)
		       ? 0
		       : cow_json_fail(at, err, -EINVAL, "not %s", what);
}

int cow_json_is_object(const struct cow_json *at, struct cow_error *err)
{
	return want_type(at, json_type_object, "an object", err);
}

int cow_json_is_array(const struct cow_json *at, struct cow_error *err)
{
	return want_type(at, json_type_array, "an array", err);
}

int cow_json_get_string(const struct cow_json *at, const char *key, const char **ret,
			struct cow_error *err)
{
	struct cow_json child;
	int r;

	if (!cow_json_member(at, key, &child))
		return 0;
	r = want_type(&child, json_type_string, "a string", err);
	if (r == 0)
		*ret = json_object_get_string(child.value);
	return r;
}

int cow_json_get_bool(const struct cow_json *at, const char *key, bool *ret, struct cow_error *err)
{
	struct cow_json child;
	int r;

	if (!cow_json_member(at, key, &child))
		return 0;
	r = want_type(&child, json_type_boolean, "true or false", err);
	if (r == 0)
		*ret = json_object_get_boolean(child.value);
	return r;
}

int cow_json_get_int(const struct cow_json *at, const char *key, int64_t min, int64_t max,
		     int64_t *ret, struct cow_error *err)
{
	struct cow_json child;
	int64_t v;
	int r;

	if (!cow_json_member(at, key, &child))
		return 0;
	if (json_object_is_type(child.value, json_type_double))
		return cow_json_fail(&child, err, -EINVAL, "not a whole number");
	r = want_type(&child, json_type_int, "a number", err);
	if (r < 0)
		return r;
	v = json_object_get_int64(child.value);
	/*
	 * What does not fit 64 bits arrives as the largest value, and as one larger when unsigned.
	 */
	if (v < min || v > max ||
	    (v == INT64_MAX && json_object_get_uint64(child.value) > INT64_MAX))
		return cow_json_fail(&child, err, -EINVAL, "%s is not between %lld and %lld",
				     json_object_to_json_string(child.value), (long long)min,
				     (long long)max);
	*ret = v;
	return 0;
}

int cow_json_known(const struct cow_json *at, const char *const *keys, struct cow_error *err)
{
	int r = cow_json_is_object(at, err);

	if (r < 0)
		return r;
	json_object_object_foreach(at->value, key, value) {
		struct cow_json child = { .value = value, .parent = at, .key = key };
		size_t i = 0;

		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i])
			return cow_json_fail(&child, err, -EINVAL, "unknown key");
	}
	return 0;
}
