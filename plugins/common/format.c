/* SPDX-License-Identifier: MIT */
#include "common/format.h"
#include "util.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define COLUMNS_MAX 16
#define CELL_MIN 10
#define CELL_GAP 3

static void json_print(FILE *out, struct json_object *value)
{
	const char *text = json_object_to_json_string_ext(
		value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	(void)fputs(text ? text : "null", out);
}

static struct json_object *member(struct json_object *o, const char *name, size_t len)
{
	if (!json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_foreach(o, key, v)
		if (strlen(key) == len && !strncasecmp(key, name, len))
			return v;
	return NULL;
}

/* ".A.B" of value; NULL: there is none. */
static struct json_object *lookup(struct json_object *value, const char *path, size_t len)
{
	const char *end = path + len;

	while (value && path < end) {
		const char *next = memchr(path + 1, '.', (size_t)(end - path - 1));

		if (!next)
			next = end;
		if (next > path + 1)
			value = member(value, path + 1, (size_t)(next - path - 1));
		path = next;
	}
	return value;
}

/* `index .Path N` or `index .Path "key"`, without the first word. */
static struct json_object *indexed(struct json_object *value, const char *text, size_t len)
{
	const char *space = memchr(text, ' ', len), *what;
	struct json_object *o;
	char key[128];
	size_t n;

	if (!space || *text != '.')
		return NULL;
	o = lookup(value, text, (size_t)(space - text));
	what = space + strspn(space, " ");
	n = len - (size_t)(what - text);
	if (n >= 2 && *what == '"' && what[n - 1] == '"') {
		(void)snprintf(key, sizeof(key), "%.*s", (int)n - 2, what + 1);
		return plug_json_get(o, key);
	}
	if (!json_object_is_type(o, json_type_array) || n >= sizeof(key))
		return NULL;
	(void)snprintf(key, sizeof(key), "%.*s", (int)n, what);
	n = strtoul(key, NULL, 10);
	return n < json_object_array_length(o) ? json_object_array_get_idx(o, n) : NULL;
}

static bool begins(const char **text, size_t *len, const char *word)
{
	size_t n = strlen(word);

	if (*len <= n || strncmp(*text, word, n) != 0)
		return false;
	*text += n;
	*len -= n;
	while (*len && **text == ' ') {
		++*text;
		--*len;
	}
	return true;
}

static void value_print(FILE *out, struct json_object *v, bool json)
{
	if (json)
		json_print(out, v);
	else if (!v)
		(void)fputs("<no value>", out);
	else if (json_object_is_type(v, json_type_string))
		(void)fputs(json_object_get_string(v), out);
	else
		json_print(out, v);
}

static const char *title_of(const struct plug_column *c, const char *name, size_t len)
{
	for (; c && c->key; c++)
		if (strlen(c->key) == len && !strncasecmp(c->key, name, len))
			return c->title;
	return NULL;
}

static bool is_path(const char *text, size_t len)
{
	return len && *text == '.' && !memchr(text, ' ', len) && !memchr(text, '|', len);
}

/* What stands between {{ and }}; columns: print the titles. */
static int action(FILE *out, const char *text, size_t len, struct json_object *value,
		  const struct plug_column *columns, struct plug_error *err)
{
	const char *title;
	bool json;

	(void)begins(&text, &len, " ");
	while (len && text[len - 1] == ' ')
		len--;
	json = begins(&text, &len, "json ");
	if (begins(&text, &len, "index ")) {
		value_print(out, indexed(value, text, len), json);
		return 0;
	}
	if (!is_path(text, len))
		return plug_error_set(err, -EINVAL,
				      "--format: \"{{%.*s}}\" is not {{.NAME}}, {{json .NAME}} or "
				      "{{index .NAME N}}",
				      (int)len, text);
	title = title_of(columns, text + 1, len - 1);
	if (title)
		(void)fputs(title, out);
	else
		value_print(out, lookup(value, text, len), json);
	return 0;
}

static int expand(FILE *out, const char *template, struct json_object *value,
		  const struct plug_column *columns, struct plug_error *err)
{
	for (const char *p = template; *p;) {
		const char *end;
		int r;

		if (p[0] == '\\' && (p[1] == 't' || p[1] == 'n')) {
			(void)fputc(p[1] == 't' ? '\t' : '\n', out);
			p += 2;
			continue;
		}
		if (p[0] != '{' || p[1] != '{') {
			(void)fputc(*p++, out);
			continue;
		}
		end = strstr(p, "}}");
		if (!end)
			return plug_error_set(err, -EINVAL, "--format: \"{{\" without \"}}\"");
		r = action(out, p + 2, (size_t)(end - p - 2), value, columns, err);
		if (r < 0)
			return r;
		p = end + 2;
	}
	(void)fputc('\n', out);
	return 0;
}

int plug_format_value(FILE *out, const char *template, struct json_object *value,
		      struct plug_error *err)
{
	return expand(out, template, value, NULL, err);
}

static int table_print(FILE *out, const char *template, const struct plug_column *columns,
		       struct json_object *rows, struct plug_error *err)
{
	char *text = NULL;
	size_t size;
	FILE *cells = open_memstream(&text, &size);
	int r = cells ? expand(cells, template, NULL, columns, err) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < plug_json_length(rows); i++)
		r = expand(cells, template, json_object_array_get_idx(rows, i), NULL, err);
	if (cells && fclose(cells))
		r = -ENOMEM;
	if (r == 0)
		plug_format_align(out, text);
	free(text);
	return r;
}

int plug_format_rows(FILE *out, const char *format, const struct plug_column *columns,
		     struct json_object *rows, struct plug_error *err)
{
	char template[512] = "";
	int r = 0;

	if (format && !strcmp(format, "json")) {
		for (size_t i = 0; i < plug_json_length(rows); i++) {
			json_print(out, json_object_array_get_idx(rows, i));
			(void)fputc('\n', out);
		}
		return 0;
	}
	if (format && !strncmp(format, "table ", 6))
		return table_print(out, format + 6, columns, rows, err);
	if (format && *format && strcmp(format, "table") != 0) {
		for (size_t i = 0; r == 0 && i < plug_json_length(rows); i++)
			r = expand(out, format, json_object_array_get_idx(rows, i), NULL, err);
		return r;
	}
	for (const struct plug_column *c = columns; c->key; c++)
		(void)snprintf(template + strlen(template), sizeof(template) - strlen(template),
			       "%s{{.%s}}", *template ? "\t" : "", c->key);
	return table_print(out, template, columns, rows, err);
}

static void widths_find(const char *text, size_t widths[COLUMNS_MAX])
{
	for (size_t column = 0; *text; text++) {
		size_t n = strcspn(text, "\t\n");

		if (text[n] == '\t' && column < COLUMNS_MAX) {
			if (widths[column] < n + CELL_GAP)
				widths[column] = n + CELL_GAP;
			if (widths[column] < CELL_MIN)
				widths[column] = CELL_MIN;
		}
		column = text[n] == '\t' ? column + 1 : 0;
		text += n;
		if (!*text)
			break;
	}
}

void plug_format_align(FILE *out, const char *text)
{
	size_t widths[COLUMNS_MAX] = { 0 }, column = 0;

	widths_find(text, widths);
	for (; *text; text++) {
		size_t n = strcspn(text, "\t\n");

		if (text[n] == '\t')
			(void)fprintf(out, "%-*.*s", column < COLUMNS_MAX ? (int)widths[column] : 1,
				      (int)n, text);
		else
			(void)fprintf(out, "%.*s%s", (int)n, text, text[n] ? "\n" : "");
		column = text[n] == '\t' ? column + 1 : 0;
		text += n;
		if (!*text)
			break;
	}
}

void plug_format_bytes(uint64_t bytes, char ret[16])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double n = (double)bytes;
	size_t i = 0;

	for (; n >= 1000 && i < PLUG_ELEMENTS(units) - 1; i++)
		n /= 1000;
	(void)snprintf(ret, 16, "%.3g%s", n, units[i]);
}

int64_t plug_format_time(const char *text)
{
	struct tm tm = { 0 };
	char *rest;
	int64_t zone = 0;

	if (!text || !(rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)))
		return INT64_MIN;
	rest += strspn(rest, ".0123456789");
	if ((*rest == '+' || *rest == '-') && strlen(rest) == 6)
		zone = (*rest == '-' ? -60 : 60) * (60 * strtol(rest + 1, NULL, 10) +
						    strtol(rest + 4, NULL, 10));
	return (int64_t)timegm(&tm) - zone;
}

void plug_format_ago(const char *text, char ret[48])
{
	static const struct {
		int64_t below, seconds;
		const char *unit;
	} steps[] = { { 60, 1, "second" },	  { 3600, 60, "minute" },
		      { 48 * 3600, 3600, "hour" }, { 14 * 86400, 86400, "day" },
		      { 60 * 86400, 7 * 86400, "week" }, { 730 * 86400, 30 * 86400, "month" },
		      { INT64_MAX, 365 * 86400, "year" } };
	int64_t at = plug_format_time(text), ago = (int64_t)time(NULL) - at, n;
	size_t i = 0;

	/* Go's zero time is "none". */
	if (at == INT64_MIN || at < -62135596800 + 86400) {
		(void)snprintf(ret, 48, "N/A");
		return;
	}
	if (ago < 1) {
		(void)snprintf(ret, 48, "Less than a second ago");
		return;
	}
	while (ago >= steps[i].below)
		i++;
	n = ago / steps[i].seconds;
	if (n == 1 && i)
		(void)snprintf(ret, 48, "About %s %s ago", i == 2 ? "an" : "a", steps[i].unit);
	else
		(void)snprintf(ret, 48, "%lld %s%s ago", (long long)n, steps[i].unit, n == 1 ? "" : "s");
}
