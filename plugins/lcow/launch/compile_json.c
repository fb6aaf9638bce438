/* SPDX-License-Identifier: MIT */
/* The spec's text as strict JSON, and its members by strict types, with errors that point. */
#include "compile.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TEXT_MAX (16u << 20)
#define DEPTH_MAX 64
/*
 * What one may contain: json-c takes up to a kilobyte for "{}", so that the size of the text alone
 * does not bound the memory.  100,000 mounts with options are 200,000 objects and arrays.
 */
#define CONTAINERS_MAX 262144u
#define VALUES_MAX 2000000u

struct scan {
	size_t line, containers, values;
};

static void parse_fail(struct compile *c, int code, size_t line, const char *cause)
{
	compile_fail(c, NULL, NULL, code, "spec: line %zu: %s", line, cause);
}

/* At a backslash: json-c would end the string, or the key, at such a character. */
static bool escapes_nul(const char *p, size_t left)
{
	return left >= 6 && !memcmp(p, "\\u0000", 6);
}

/* json-c takes the nearest number that it can hold for an integer that it cannot. */
static bool integer_fits(const char *digits, size_t n, bool negative)
{
	const char *most = negative ? "9223372036854775808" : "18446744073709551615";
	size_t most_digits = strlen(most);

	return n < most_digits || (n == most_digits && memcmp(digits, most, n) <= 0);
}

/* The place behind the number that begins at `at`, or 0 with a failure. */
static size_t scan_number(struct compile *c, const char *text, size_t len, size_t at, size_t line)
{
	bool negative = text[at] == '-', integer = true;
	size_t digits = at + negative, end = digits;

	for (; end < len && text[end] && strchr("0123456789.eE+-", text[end]); end++)
		integer = integer && text[end] >= '0' && text[end] <= '9';
	if (!integer || integer_fits(text + digits, end - digits, negative))
		return end;
	parse_fail(c, -EINVAL, line, "a number too large");
	return 0;
}

/* The place behind the string that begins at `at`, or 0 with a failure. */
static size_t scan_string(struct compile *c, const char *text, size_t len, size_t at, size_t line)
{
	for (at++; at < len && text[at] != '"'; at++) {
		if ((unsigned char)text[at] < 0x20)
			break;
		if (text[at] != '\\')
			continue;
		if (escapes_nul(text + at, len - at)) {
			parse_fail(c, -EINVAL, line, "a NUL character in a string");
			return 0;
		}
		at++;
	}
	if (at < len && text[at] == '"')
		return at + 1;
	parse_fail(c, -EINVAL, line,
		   at < len ? "a control character in a string" : "the JSON text ends too early");
	return 0;
}

/* One character outside of strings and numbers; false: it cannot stand there. */
static bool scan_other(struct scan *s, char byte)
{
	switch (byte) {
	case '\n':
		s->line++;
		return true;
	case '{':
	case '[':
		s->containers++;
		return true;
	case ',':
		s->values++;
		return true;
	default:
		return byte && !strchr("NI", byte); /* NaN, Infinity */
	}
}

/* What json-c would accept, but we do not: counted and refused before any memory is taken. */
static bool text_scan(struct compile *c, const char *text, size_t len)
{
	struct scan s = { 1, 0, 0 };
	size_t i = 0;

	while (i < len && !c->code) {
		if (text[i] == '"') {
			i = scan_string(c, text, len, i, s.line);
		} else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
			i = scan_number(c, text, len, i, s.line);
		} else if (scan_other(&s, text[i])) {
			i++;
		} else {
			parse_fail(c, -EINVAL, s.line,
				   text[i] ? "unexpected character" : "a NUL byte");
		}
	}
	if (s.containers > CONTAINERS_MAX || s.values > VALUES_MAX)
		compile_fail(c, NULL, NULL, -E2BIG,
			     "spec: more than %u objects and arrays, or %u values", CONTAINERS_MAX,
			     VALUES_MAX);
	return !c->code;
}

static size_t line_of(const char *text, size_t end)
{
	size_t line = 1;

	for (size_t i = 0; i < end; i++)
		line += text[i] == '\n';
	return line;
}

static struct json_object *text_parse(struct compile *c, struct json_tokener *tok, const char *text,
				      size_t len)
{
	struct json_object *root;
	enum json_tokener_error error;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	root = json_tokener_parse_ex(tok, text, (int)len);
	error = json_tokener_get_error(tok);
	if (error == json_tokener_success)
		return root;
	/* json-c reports a failed allocation in the middle of a text as one error or another. */
	if (error == json_tokener_continue)
		parse_fail(c, -EINVAL, line_of(text, len), "the JSON text ends too early");
	else
		parse_fail(c, -EINVAL, line_of(text, json_tokener_get_parse_end(tok)),
			   json_tokener_error_desc(error));
	return NULL;
}

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

struct json_object *node_parse(struct compile *c, const char *text, size_t len)
{
	struct json_tokener *tok;
	struct json_object *root;
	size_t start = 0;

	while (len && is_space(text[len - 1]))
		len--;
	while (start < len && is_space(text[start]))
		start++;
	if (len > TEXT_MAX)
		compile_fail(c, NULL, NULL, -E2BIG, "spec: larger than %u MiB", TEXT_MAX >> 20);
	else if (start == len || text[start] != '{')
		compile_fail(c, NULL, NULL, -EINVAL, "spec: not an object");
	if (c->code || !text_scan(c, text, len))
		return NULL;
	tok = json_tokener_new_ex(DEPTH_MAX);
	if (!tok) {
		compile_oom(c);
		return NULL;
	}
	root = text_parse(c, tok, text, len);
	json_tokener_free(tok);
	return root;
}

static size_t key_write(const char *key, char *buf, size_t size)
{
	size_t n = 0;

	for (; *key && n + 3 < size; key++) {
		if (*key == '~' || *key == '/') {
			buf[n++] = '~';
			buf[n++] = *key == '~' ? '0' : '1';
		} else {
			buf[n++] = *key;
		}
	}
	buf[n] = '\0';
	return n;
}

static size_t node_write(const struct node *at, char *buf, size_t size)
{
	size_t n;

	buf[0] = '\0';
	if (!at->up)
		return 0;
	n = node_write(at->up, buf, size);
	if (n + 24 > size)
		return n;
	buf[n++] = '/';
	if (at->key)
		return n + key_write(at->key, buf + n, size - n);
	return n + (size_t)snprintf(buf + n, size - n, "%zu", at->index);
}

void node_pointer(const struct node *at, const char *key, char *buf, size_t size)
{
	struct node member = { .up = at, .key = key };

	(void)node_write(key ? &member : at, buf, size);
}

static bool node_member(struct compile *c, const struct node *at, const char *key, struct node *ret)
{
	if (c->code)
		return false;
	*ret = (struct node){ .up = at, .key = key };
	ret->value = json_object_object_get(at->value, key);
	return ret->value != NULL;
}

static bool node_typed(struct compile *c, const struct node *at, const char *key,
		       enum json_type type, const char *cause, struct node *ret)
{
	if (!node_member(c, at, key, ret))
		return false;
	if (json_object_is_type(ret->value, type))
		return true;
	compile_fail(c, ret, NULL, -EINVAL, "%s", cause);
	return false;
}

bool node_object(struct compile *c, const struct node *at, const char *key, struct node *ret)
{
	return node_typed(c, at, key, json_type_object, "not an object", ret);
}

bool node_array(struct compile *c, const struct node *at, const char *key, struct node *ret)
{
	return node_typed(c, at, key, json_type_array, "not an array", ret);
}

size_t node_length(const struct node *array)
{
	return json_object_array_length(array->value);
}

struct node node_element(const struct node *array, size_t i)
{
	return (struct node){ .value = json_object_array_get_idx(array->value, i),
			      .up = array,
			      .index = i };
}

bool node_row(struct compile *c, const struct node *array, size_t i, struct node *ret)
{
	if (c->code)
		return false;
	*ret = node_element(array, i);
	if (json_object_is_type(ret->value, json_type_object))
		return true;
	compile_fail(c, ret, NULL, -EINVAL, "not an object");
	return false;
}

const char *node_string(struct compile *c, const struct node *at)
{
	if (c->code)
		return NULL;
	if (json_object_is_type(at->value, json_type_string))
		return json_object_get_string(at->value);
	compile_fail(c, at, NULL, -EINVAL, "not a string");
	return NULL;
}

const char *node_text(struct compile *c, const struct node *at, const char *key)
{
	struct node member;

	return node_member(c, at, key, &member) ? node_string(c, &member) : NULL;
}

const char *node_text_required(struct compile *c, const struct node *at, const char *key)
{
	const char *text = node_text(c, at, key);

	if (!text || !*text)
		compile_fail(c, at, key, -EINVAL, "is missing");
	return c->code ? NULL : text;
}

bool node_int(struct compile *c, const struct node *at, const char *key, int64_t min, int64_t max,
	      int64_t *ret)
{
	struct node member;
	int64_t n;

	if (!node_typed(c, at, key, json_type_int, "not an integer", &member))
		return false;
	n = json_object_get_int64(member.value);
	/* json-c keeps what is above INT64_MAX apart, and gives INT64_MAX for it here. */
	if (n < min || n > max ||
	    (n == INT64_MAX && json_object_get_uint64(member.value) > INT64_MAX)) {
		compile_fail(c, &member, NULL, -EINVAL, "not between %" PRId64 " and %" PRId64, min,
			     max);
		return false;
	}
	*ret = n;
	return true;
}

bool node_uint(struct compile *c, const struct node *at, const char *key, uint64_t max,
	       uint64_t *ret)
{
	struct node member;
	uint64_t n;

	if (!node_typed(c, at, key, json_type_int, "not an integer", &member))
		return false;
	n = json_object_get_uint64(member.value);
	if (json_object_get_int64(member.value) < 0 || n > max) {
		compile_fail(c, &member, NULL, -EINVAL, "not between 0 and %" PRIu64, max);
		return false;
	}
	*ret = n;
	return true;
}

bool node_u32(struct compile *c, const struct node *at, const char *key, uint32_t *ret)
{
	uint64_t n;

	if (!node_uint(c, at, key, UINT32_MAX, &n))
		return false;
	*ret = (uint32_t)n;
	return true;
}

bool node_bool(struct compile *c, const struct node *at, const char *key, bool *ret)
{
	struct node member;

	if (!node_typed(c, at, key, json_type_boolean, "not true or false", &member))
		return false;
	*ret = json_object_get_boolean(member.value);
	return true;
}

bool node_strings(struct compile *c, const struct node *at, const char *key, struct launch_vec *ret)
{
	struct launch_vec vec;
	struct node array;

	if (!node_array(c, at, key, &array))
		return false;
	vec = build_vec(c, node_length(&array), sizeof(launch_str));
	for (size_t i = 0; i < vec.n && !c->code; i++) {
		struct node element = node_element(&array, i);
		launch_str s = build_str(c, node_string(c, &element));

		build_put(c, vec, i, &s, sizeof(s));
	}
	*ret = vec;
	return !c->code;
}
