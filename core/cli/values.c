/* SPDX-License-Identifier: MIT */
/* Members of requests and answers, and what every verb does with success and failure. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void cow_params_key(struct cow_strbuf *b, const char *key)
{
	if (b->len && b->data[b->len - 1] != '{')
		cow_strbuf_add(b, ",");
	cow_strbuf_json(b, key);
	cow_strbuf_add(b, ":");
}

void cow_params_string(struct cow_strbuf *b, const char *key, const char *value)
{
	if (!value)
		return;
	cow_params_key(b, key);
	cow_strbuf_json(b, value);
}

void cow_params_int(struct cow_strbuf *b, const char *key, int64_t value)
{
	cow_params_key(b, key);
	cow_strbuf_addf(b, "%lld", (long long)value);
}

void cow_params_bool(struct cow_strbuf *b, const char *key, bool value)
{
	if (!value)
		return;
	cow_params_key(b, key);
	cow_strbuf_add(b, "true");
}

void cow_params_strings(struct cow_strbuf *b, const char *key, int count, char *const *values)
{
	cow_params_key(b, key);
	cow_strbuf_add(b, "[");
	for (int i = 0; i < count; i++) {
		cow_strbuf_add(b, i ? "," : "");
		cow_strbuf_json(b, values[i]);
	}
	cow_strbuf_add(b, "]");
}

struct json_object *cow_get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	if (o && json_object_is_type(o, json_type_object))
		(void)json_object_object_get_ex(o, key, &v);
	return v;
}

const char *cow_get_string(struct json_object *o, const char *key, const char *absent)
{
	struct json_object *v = cow_get(o, key);

	return v && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : absent;
}

int64_t cow_get_int(struct json_object *o, const char *key, int64_t absent)
{
	struct json_object *v = cow_get(o, key);

	return v && json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : absent;
}

double cow_get_double(struct json_object *o, const char *key, double absent)
{
	struct json_object *v = cow_get(o, key);

	if (!v ||
	    !(json_object_is_type(v, json_type_int) || json_object_is_type(v, json_type_double)))
		return absent;
	return json_object_get_double(v);
}

bool cow_get_bool(struct json_object *o, const char *key, bool absent)
{
	struct json_object *v = cow_get(o, key);

	return v && json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : absent;
}

int cow_fail(const struct cow_args *args, const struct cow_error *err)
{
	/* An empty one: it was said already. */
	if (*err->message)
		(void)fprintf(stderr, "cowherd: %s\n", err->message);
	return args->command->failure;
}

struct cow_client *cow_client_open(const struct cow_args *args)
{
	struct cow_error err = { 0 };
	struct cow_client *c;

	if (!cow_client_connect(cow_client_host(args), &c, &err))
		return c;
	(void)cow_fail(args, &err);
	if (err.code == -ENOENT || err.code == -ECONNREFUSED)
		(void)fprintf(
			stderr,
			"Start one with `cowherd daemon` (in the background) or `cowherd up FILE` "
			"(in the foreground).\n");
	return NULL;
}

int cow_print(const struct cow_args *args, struct cow_strbuf *out)
{
	struct cow_error err = { 0 };
	int r = out->error;

	if (!r && out->len)
		r = cow_fs_write_all(STDOUT_FILENO, out->data, out->len);
	cow_strbuf_finish(out);
	if (!r || r == -EPIPE)
		return r ? args->command->failure : 0;
	(void)cow_error_errno(&err, r, "standard output");
	return cow_fail(args, &err);
}
