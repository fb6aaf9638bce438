/* SPDX-License-Identifier: MIT */
/* The functions of templates, and how values look. */
#include "base/cleanup.h"
#include "cli/format.h"
#include "cli/template_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAD_MAX 10000

static const char *text_of(struct json_object *o)
{
	const char *s = o ? json_object_get_string(o) : NULL;

	return s ? s : "";
}

static bool is(struct json_object *o, enum json_type type)
{
	return json_object_is_type(o, type);
}

static bool is_number(struct json_object *o)
{
	return is(o, json_type_int) || is(o, json_type_double);
}

bool template_truth(struct json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_boolean:
		return json_object_get_boolean(v);
	case json_type_int:
	case json_type_double:
		return json_object_get_double(v) < 0 || json_object_get_double(v) > 0;
	case json_type_string:
		return json_object_get_string_len(v) > 0;
	case json_type_array:
		return json_object_array_length(v) > 0;
	case json_type_object:
		return json_object_object_length(v) > 0;
	default:
		return false;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_map(struct cow_strbuf *out, struct json_object *v)
{
	size_t n = (size_t)json_object_object_length(v), i = 0;
	_cleanup_free_ const char **keys = calloc(n + 1, sizeof(*keys));

	if (!keys) {
		out->error = -ENOMEM;
		return;
	}
	json_object_object_foreach(v, key, value) {
		(void)value;
		keys[i++] = key;
	}
	qsort(keys, n, sizeof(*keys), by_name);
	cow_strbuf_add(out, "map[");
	for (i = 0; i < n; i++) {
		cow_strbuf_addf(out, "%s%s:", i ? " " : "", keys[i]);
		template_print(out, json_object_object_get(v, keys[i]));
	}
	cow_strbuf_add(out, "]");
}

void template_print(struct cow_strbuf *out, struct json_object *v)
{
	if (!v) {
		cow_strbuf_add(out, "<no value>");
	} else if (is(v, json_type_string)) {
		cow_strbuf_add(out, json_object_get_string(v));
	} else if (is(v, json_type_array)) {
		cow_strbuf_add(out, "[");
		for (size_t i = 0; i < json_object_array_length(v); i++) {
			cow_strbuf_add(out, i ? " " : "");
			template_print(out, json_object_array_get_idx(v, i));
		}
		cow_strbuf_add(out, "]");
	} else if (is(v, json_type_object)) {
		print_map(out, v);
	} else {
		cow_format_json(out, v);
	}
}

/* Takes what was written. */
static int string_from(struct cow_strbuf *b, struct json_object **ret)
{
	struct json_object *v =
		b->error ? NULL : json_object_new_string_len(b->data ? b->data : "", (int)b->len);

	cow_strbuf_finish(b);
	*ret = v;
	return v ? 0 : -ENOMEM;
}

static int give(struct json_object *v, struct json_object **ret)
{
	*ret = v;
	return v ? 0 : -ENOMEM;
}

static int f_json(struct json_object **a, size_t n, struct json_object **ret)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	(void)n;
	cow_format_json(&b, a[0]);
	return string_from(&b, ret);
}

static int mapped(struct json_object *v, int (*one)(int c), bool first_only,
		  struct json_object **ret)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	bool first = true;

	cow_strbuf_add(&b, text_of(v));
	for (size_t i = 0; i < b.len; i++) {
		if (!first_only || first)
			b.data[i] = (char)one((unsigned char)b.data[i]);
		first = isspace((unsigned char)b.data[i]);
	}
	return string_from(&b, ret);
}

static int f_upper(struct json_object **a, size_t n, struct json_object **ret)
{
	(void)n;
	return mapped(a[0], toupper, false, ret);
}

static int f_lower(struct json_object **a, size_t n, struct json_object **ret)
{
	(void)n;
	return mapped(a[0], tolower, false, ret);
}

static int f_title(struct json_object **a, size_t n, struct json_object **ret)
{
	(void)n;
	return mapped(a[0], toupper, true, ret);
}

static int f_join(struct json_object **a, size_t n, struct json_object **ret)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	(void)n;
	if (!is(a[0], json_type_array) || !is(a[1], json_type_string))
		return -EINVAL;
	for (size_t i = 0; i < json_object_array_length(a[0]); i++) {
		cow_strbuf_add(&b, i ? text_of(a[1]) : "");
		template_print(&b, json_object_array_get_idx(a[0], i));
	}
	return string_from(&b, ret);
}

static int f_split(struct json_object **a, size_t n, struct json_object **ret)
{
	const char *rest = text_of(a[0]), *by = text_of(a[1]), *next;
	struct json_object *list = json_object_new_array();

	(void)n;
	if (!*by) {
		json_object_put(list);
		return -EINVAL;
	}
	for (; list && rest; rest = next ? next + strlen(by) : NULL) {
		size_t len;

		next = strstr(rest, by);
		len = next ? (size_t)(next - rest) : strlen(rest);
		if (json_object_array_add(list, json_object_new_string_len(rest, (int)len))) {
			json_object_put(list);
			return -ENOMEM;
		}
	}
	return give(list, ret);
}

/* Characters, not bytes: a character is never cut in two. */
static size_t prefix(const char *s, int64_t characters)
{
	size_t i = 0;

	for (; s[i]; i++)
		if (((unsigned char)s[i] & 0xc0u) != 0x80u && characters-- <= 0)
			break;
	return i;
}

static int f_truncate(struct json_object **a, size_t n, struct json_object **ret)
{
	const char *s = text_of(a[0]);

	(void)n;
	if (!is(a[1], json_type_int))
		return -EINVAL;
	return give(json_object_new_string_len(s, (int)prefix(s, json_object_get_int64(a[1]))), ret);
}

static int f_pad(struct json_object **a, size_t n, struct json_object **ret)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	int64_t before = json_object_get_int64(a[1]), after = json_object_get_int64(a[2]);

	(void)n;
	if (!is(a[1], json_type_int) || !is(a[2], json_type_int) || before < 0 || after < 0 ||
	    before > PAD_MAX || after > PAD_MAX)
		return -EINVAL;
	if (*text_of(a[0]))
		cow_strbuf_addf(&b, "%*s%s%*s", (int)before, "", text_of(a[0]), (int)after, "");
	return string_from(&b, ret);
}

static int f_len(struct json_object **a, size_t n, struct json_object **ret)
{
	(void)n;
	if (is(a[0], json_type_string))
		return give(json_object_new_int(json_object_get_string_len(a[0])), ret);
	if (is(a[0], json_type_array))
		return give(json_object_new_int64((int64_t)json_object_array_length(a[0])), ret);
	if (is(a[0], json_type_object))
		return give(json_object_new_int(json_object_object_length(a[0])), ret);
	return -EINVAL;
}

static int f_index(struct json_object **a, size_t n, struct json_object **ret)
{
	struct json_object *v = a[0];

	for (size_t i = 1; i < n; i++) {
		int64_t at = json_object_get_int64(a[i]);

		if (is(v, json_type_object) && is(a[i], json_type_string))
			v = json_object_object_get(v, text_of(a[i]));
		else if (is(v, json_type_array) && is(a[i], json_type_int) && at >= 0 &&
			 (size_t)at < json_object_array_length(v))
			v = json_object_array_get_idx(v, (size_t)at);
		else
			return -EINVAL;
	}
	*ret = json_object_get(v);
	return 0;
}

static int f_slice(struct json_object **a, size_t n, struct json_object **ret)
{
	bool array = is(a[0], json_type_array);
	int64_t len = array ? (int64_t)json_object_array_length(a[0])
			    : json_object_get_string_len(a[0]);
	int64_t from = n > 1 ? json_object_get_int64(a[1]) : 0;
	int64_t to = n > 2 ? json_object_get_int64(a[2]) : len;
	struct json_object *list;

	if ((!array && !is(a[0], json_type_string)) || from < 0 || to < from || to > len)
		return -EINVAL;
	if (!array)
		return give(json_object_new_string_len(text_of(a[0]) + from, (int)(to - from)),
			    ret);
	list = json_object_new_array();
	for (; list && from < to; from++)
		(void)json_object_array_add(
			list, json_object_get(json_object_array_get_idx(a[0], (size_t)from)));
	return give(list, ret);
}

static int f_not(struct json_object **a, size_t n, struct json_object **ret)
{
	(void)n;
	return give(json_object_new_boolean(!template_truth(a[0])), ret);
}

static int f_and(struct json_object **a, size_t n, struct json_object **ret)
{
	size_t i = 0;

	while (i + 1 < n && template_truth(a[i]))
		i++;
	*ret = json_object_get(a[i]);
	return 0;
}

static int f_or(struct json_object **a, size_t n, struct json_object **ret)
{
	size_t i = 0;

	while (i + 1 < n && !template_truth(a[i]))
		i++;
	*ret = json_object_get(a[i]);
	return 0;
}

/* <0, 0, >0; *ret_ordered is false for what has no order. */
static int compare(struct json_object *a, struct json_object *b, bool *ret_ordered)
{
	*ret_ordered = true;
	if (is_number(a) && is_number(b)) {
		double x = json_object_get_double(a), y = json_object_get_double(b);

		return (x > y) - (x < y);
	}
	if (is(a, json_type_string) && is(b, json_type_string))
		return strcmp(text_of(a), text_of(b));
	*ret_ordered = false;
	return !json_object_equal(a, b);
}

/* eq takes any number: the first is any of the others. */
static int f_eq(struct json_object **a, size_t n, struct json_object **ret)
{
	bool ordered, found = false;

	for (size_t i = 1; i < n; i++)
		found = found || !compare(a[0], a[i], &ordered);
	return give(json_object_new_boolean(found), ret);
}

static int f_ne(struct json_object **a, size_t n, struct json_object **ret)
{
	bool ordered;

	(void)n;
	return give(json_object_new_boolean(compare(a[0], a[1], &ordered) != 0), ret);
}

#define ORDER(name, op)                                                                            \
	static int f_##name(struct json_object **a, size_t n, struct json_object **ret)            \
	{                                                                                          \
		bool ordered;                                                                      \
		int order = compare(a[0], a[1], &ordered);                                         \
                                                                                                   \
		(void)n;                                                                           \
		return ordered ? give(json_object_new_boolean(order op 0), ret) : -EINVAL;         \
	}
ORDER(lt, <)
ORDER(le, <=)
ORDER(gt, >)
ORDER(ge, >=)

static int f_println(struct json_object **a, size_t n, struct json_object **ret)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	for (size_t i = 0; i < n; i++) {
		cow_strbuf_add(&b, i ? " " : "");
		template_print(&b, a[i]);
	}
	cow_strbuf_add(&b, "\n");
	return string_from(&b, ret);
}

/* A space between two that are both no strings, as Go has it. */
static int f_print(struct json_object **a, size_t n, struct json_object **ret)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	for (size_t i = 0; i < n; i++) {
		if (i && !is(a[i], json_type_string) && !is(a[i - 1], json_type_string))
			cow_strbuf_add(&b, " ");
		template_print(&b, a[i]);
	}
	return string_from(&b, ret);
}

/* One %-directive; *p stands behind the '%'. */
static int directive(struct cow_strbuf *out, const char **p, struct json_object *v)
{
	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	bool left = **p == '-';
	long width, digits = -1;
	char *end;

	*p += left;
	width = strtol(*p, &end, 10);
	if (*end == '.')
		digits = strtol(end + 1, &end, 10);
	*p = end + 1;
	if (width < 0 || width > PAD_MAX || digits > 30)
		return -EINVAL;
	switch (*end) {
	case 's':
	case 'v':
	case 'd':
	case 't':
		template_print(&b, v);
		break;
	case 'f':
		cow_strbuf_addf(&b, "%.*f", digits < 0 ? 6 : (int)digits, json_object_get_double(v));
		break;
	case 'q':
		cow_strbuf_json(&b, text_of(v));
		break;
	case 'x':
		cow_strbuf_addf(&b, "%llx", (unsigned long long)json_object_get_int64(v));
		break;
	default:
		return -EINVAL;
	}
	cow_strbuf_addf(out, left ? "%-*s" : "%*s", (int)width, b.data ? b.data : "");
	return b.error;
}

static int f_printf(struct json_object **a, size_t n, struct json_object **ret)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	const char *p = text_of(a[0]);
	size_t next = 1;
	int r = 0;

	while (*p && !r) {
		if (*p != '%') {
			cow_strbuf_addn(&b, p++, 1);
		} else if (p[1] == '%') {
			cow_strbuf_add(&b, "%");
			p += 2;
		} else if (next >= n) {
			r = -EINVAL;
		} else {
			p++;
			r = directive(&b, &p, a[next++]);
		}
	}
	if (!r)
		return string_from(&b, ret);
	cow_strbuf_finish(&b);
	return r;
}

int template_call(const struct template_call *call, struct json_object **ret)
{
	static const struct {
		const char *name;
		size_t min, max;
		int (*run)(struct json_object **args, size_t count, struct json_object **ret);
	} functions[] = {
		{ "json", 1, 1, f_json },	{ "upper", 1, 1, f_upper },
		{ "lower", 1, 1, f_lower },	{ "title", 1, 1, f_title },
		{ "join", 2, 2, f_join },	{ "split", 2, 2, f_split },
		{ "truncate", 2, 2, f_truncate }, { "pad", 3, 3, f_pad },
		{ "len", 1, 1, f_len },		{ "index", 1, 16, f_index },
		{ "slice", 1, 3, f_slice },	{ "not", 1, 1, f_not },
		{ "and", 1, 16, f_and },	{ "or", 1, 16, f_or },
		{ "eq", 2, 16, f_eq },		{ "ne", 2, 2, f_ne },
		{ "lt", 2, 2, f_lt },		{ "le", 2, 2, f_le },
		{ "gt", 2, 2, f_gt },		{ "ge", 2, 2, f_ge },
		{ "print", 0, 16, f_print },	{ "println", 0, 16, f_println },
		{ "printf", 1, 16, f_printf },
	};

	for (size_t i = 0; i < COW_ELEMENTS(functions); i++)
		if (strlen(functions[i].name) == call->name_len &&
		    !memcmp(functions[i].name, call->name, call->name_len))
			return call->count < functions[i].min || call->count > functions[i].max
				? -EINVAL
				: functions[i].run(call->args, call->count, ret);
	return -ENOENT;
}
