/* SPDX-License-Identifier: MIT */
#include "cli/format.h"
#include "base/cleanup.h"
#include "cli/template.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define CELL_MIN 10
#define CELL_GAP 3
#define COLUMNS_MAX 32

static bool same_name(const char *key, const char *name, size_t len)
{
	for (;; key++) {
		while (*key == '_')
			key++;
		while (len && *name == '_') {
			name++;
			len--;
		}
		if (!*key || !len)
			return !*key && !len;
		if (tolower((unsigned char)*key) != tolower((unsigned char)*name))
			return false;
		name++;
		len--;
	}
}

static struct json_object *member(struct json_object *o, const char *name, size_t len)
{
	if (!o || !json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_foreach(o, key, v)
		if (same_name(key, name, len))
			return v;
	return NULL;
}

struct json_object *cow_format_lookup(struct json_object *value, const char *path, size_t len)
{
	const char *end = path + len;

	while (value && path < end) {
		const char *name = path + 1, *next;
		struct json_object *v;

		next = memchr(name, '.', (size_t)(end - name));
		if (!next)
			next = end;
		if (name == next)
			break;
		v = member(value, name, (size_t)(next - name));
		if (next == end || json_object_is_type(v, json_type_object))
			value = v;
		path = next;
	}
	return value;
}

void cow_format_json(struct cow_strbuf *out, struct json_object *value)
{
	const char *text = json_object_to_json_string_ext(
		value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (text)
		cow_strbuf_add(out, text);
	else
		out->error = -ENOMEM;
}

/* How a template is expanded: with a row's values, or with the titles of columns. */
struct expansion {
	const struct cow_column *titles; /* NULL: values */
	bool strict;                     /* an unknown name is an error */
};

static struct json_object *title(const struct expansion *x, const char *name, size_t len)
{
	for (const struct cow_column *c = x->titles; c->key; c++)
		if (same_name(c->key, name, len))
			return json_object_new_string(c->title ? c->title : c->key);
	return json_object_new_string_len(name, (int)len);
}

static int field(void *arg, struct json_object *root, const char *path, size_t len,
		 struct json_object **ret, struct cow_error *err)
{
	const struct expansion *x = arg;

	if (x->titles) {
		*ret = title(x, path + 1, len - 1);
		return *ret ? 0 : cow_error_errno(err, -ENOMEM, "--format");
	}
	*ret = x->strict ? json_object_get(cow_format_lookup(root, path, len))
			 : cow_docker_lookup(root, path, len);
	if (!*ret && x->strict)
		return cow_error_set(err, -EINVAL, "--format: there is no %.*s here", (int)len,
				     path);
	return 0;
}

static int expand(struct cow_strbuf *out, const char *template, struct expansion *x,
		  struct json_object *value, struct cow_error *err)
{
	int r = cow_template_run(out, template, value, field, x, err);

	if (!r)
		cow_strbuf_add(out, "\n");
	return r;
}

/* The length of the cell at p; *ret_last: no tab ends it, so nothing stands behind it in its line. */
static size_t cell(const char *p, bool *ret_last)
{
	size_t len = strcspn(p, "\t\n");

	*ret_last = p[len] != '\t';
	return len;
}

static size_t cell_width(const char *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)p[i] & 0xc0u) != 0x80u;
	return n;
}

void cow_format_align(struct cow_strbuf *out, const char *text)
{
	size_t widths[COLUMNS_MAX] = { 0 }, column = 0, len;
	bool last;

	for (const char *p = text; *p; p += len + 1) {
		size_t w;

		len = cell(p, &last);
		w = cell_width(p, len) + CELL_GAP;
		if (!last && column < COLUMNS_MAX && widths[column] < w)
			widths[column] = w;
		column = last ? 0 : column + 1;
		if (!p[len])
			break;
	}
	column = 0;
	for (const char *p = text; *p; p += len + 1) {
		size_t w, want;

		len = cell(p, &last);
		w = cell_width(p, len);
		want = column < COLUMNS_MAX ? widths[column] : 0;
		if (want < CELL_MIN)
			want = CELL_MIN;
		cow_strbuf_addn(out, p, len);
		if (!last)
			cow_strbuf_addf(out, "%*s", (int)(want > w ? want - w : 1), "");
		else if (p[len])
			cow_strbuf_add(out, "\n");
		column = last ? 0 : column + 1;
		if (!p[len])
			break;
	}
}

/* "{{.ID}}\t{{.Image}}": the default table as a template. */
static void default_template(struct cow_strbuf *out, const struct cow_column *columns)
{
	for (; columns->key; columns++)
		if (columns->title)
			cow_strbuf_addf(out, "%s{{.%s}}", out->len ? "\t" : "", columns->key);
}

static int expand_rows(struct cow_strbuf *out, const char *template,
		       const struct cow_column *titles, struct json_object *rows,
		       struct cow_error *err)
{
	struct expansion x = { .titles = titles, .strict = true };
	struct json_object *none = json_object_new_object();
	int r = !none ? cow_error_errno(err, -ENOMEM, "--format")
		: titles ? expand(out, template, &x, none, err)
			 : 0;

	json_object_put(none);
	x.titles = NULL;
	for (size_t i = 0; !r && i < json_object_array_length(rows); i++)
		r = expand(out, template, &x, json_object_array_get_idx(rows, i), err);
	return r;
}

int cow_format_rows(struct cow_strbuf *out, const char *format, const struct cow_column *columns,
		    struct json_object *rows, struct cow_error *err)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf template = COW_STRBUF_INIT,
							text = COW_STRBUF_INIT;
	bool table =
		!format || !*format || !strcmp(format, "table") || !strncmp(format, "table ", 6);
	int r;

	if (!table && !strcmp(format, "json")) {
		for (size_t i = 0; i < json_object_array_length(rows); i++) {
			cow_format_json(out, json_object_array_get_idx(rows, i));
			cow_strbuf_add(out, "\n");
		}
		return out->error;
	}
	if (!table)
		return expand_rows(out, format, NULL, rows, err);
	if (format && !strncmp(format, "table ", 6))
		cow_strbuf_add(&template, format + 6);
	else
		default_template(&template, columns);
	if (template.error)
		return cow_error_errno(err, template.error, "--format");
	r = expand_rows(&text, template.data, columns, rows, err);
	if (!r && text.error)
		r = cow_error_errno(err, text.error, "--format");
	if (!r)
		cow_format_align(out, text.data);
	return r;
}

int cow_format_value(struct cow_strbuf *out, const char *format, struct json_object *value,
		     struct cow_error *err)
{
	struct expansion x = { 0 };

	return expand(out, format, &x, value, err);
}
