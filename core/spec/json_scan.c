/* SPDX-License-Identifier: MIT */
#include "spec/json_scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key seen, told apart from the same key of another object by that object's offset. */
struct key {
	uint32_t hash;
	uint32_t len; /* of the raw text between the quotes */
	size_t at, object; /* at 0: the slot is free (a key stands behind a quote) */
};

struct scan {
	const char *text, *p, *end;
	unsigned depth;
	int code;
	struct cow_json_flaw *flaw; /* NULL: the text passed before */
	struct key *keys;           /* open addressing, a power of two; NULL: not wanted */
	size_t count, cap;
};

static int scan_fail(struct scan *s, const char *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int scan_fail(struct scan *s, const char *at, const char *format, ...)
{
	va_list ap;

	s->code = -EINVAL;
	if (s->flaw) {
		s->flaw->offset = (size_t)(at - s->text);
		memset(s->flaw->pointer, 0, sizeof(s->flaw->pointer));
		va_start(ap, format);
		(void)vsnprintf(s->flaw->cause, sizeof(s->flaw->cause), format, ap);
		va_end(ap);
	}
	return s->code;
}

/* Names an element on the way out, the inner ones before. */
static int flaw_within(struct scan *s, const char *key, size_t len, size_t index)
{
	char token[sizeof(s->flaw->pointer)], outer[sizeof(s->flaw->pointer)];
	size_t n = 0;

	if (!s->flaw || s->code != -EINVAL)
		return s->code;
	if (!key)
		n = (size_t)snprintf(token, sizeof(token), "%zu", index);
	for (size_t i = 0; key && i < len && n < sizeof(token) - 3; i++) {
		bool escaped = key[i] == '/' || key[i] == '~';

		if (escaped)
			token[n++] = '~';
		token[n++] = key[i] == '/' ? '1' : key[i] == '~' ? '0' : key[i];
	}
	token[n] = 0;
	memcpy(outer, s->flaw->pointer, sizeof(outer));
	s->flaw->pointer[0] = '/';
	memcpy(s->flaw->pointer + 1, token, n);
	memcpy(s->flaw->pointer + n + 1, outer, sizeof(outer) - n - 2);
	s->flaw->pointer[sizeof(outer) - 1] = 0;
	return s->code;
}

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

static int hex4(const char *p, const char *end, uint32_t *ret)
{
	uint32_t v = 0;

	if (end - p < 4)
		return -EINVAL;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		v <<= 4;
		if (c >= '0' && c <= '9')
			v |= (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v |= (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return -EINVAL;
	}
	*ret = v;
	return 0;
}

/* Behind "\u": one code point, of one escape or of a surrogate pair. */
static const char *unicode_escape(const char **p, const char *end, uint32_t *ret)
{
	uint32_t high, low;

	if (hex4(*p, end, &high) < 0)
		return "\\u wants four hexadecimal digits";
	*p += 4;
	if (high == 0)
		return "a string cannot contain NUL";
	if (high >= 0xdc00 && high <= 0xdfff)
		return "a lone surrogate";
	if (high >= 0xd800 && high <= 0xdbff) {
		if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u' ||
		    hex4(*p + 2, end, &low) < 0 || low < 0xdc00 || low > 0xdfff)
			return "a lone surrogate";
		*p += 6;
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	*ret = high;
	return NULL;
}

static const char *utf8_char(const char **p, const char *end, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char c = (unsigned char)**p;
	int more = c >= 0xf0 && c < 0xf5   ? 3
		   : c >= 0xe0 && c < 0xf0 ? 2
		   : c >= 0xc2 && c < 0xe0 ? 1
					   : 0;
	uint32_t v = c & (0x3fu >> more);

	if (!more || end - *p <= more)
		return "not UTF-8";
	for (int i = 1; i <= more; i++) {
		if (((unsigned char)(*p)[i] & 0xc0) != 0x80)
			return "not UTF-8";
		v = v << 6 | ((unsigned char)(*p)[i] & 0x3fu);
	}
	if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return "not UTF-8";
	*p += more + 1;
	*ret = v;
	return NULL;
}

/* The next code point of a string's raw text; what is wrong with it, or NULL. */
static const char *next_char(const char **p, const char *end, uint32_t *ret)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *hit;
	unsigned char c = (unsigned char)**p;

	if (c < 0x20)
		return c ? "a control character in a string" : "a string cannot contain NUL";
	if (c >= 0x80)
		return utf8_char(p, end, ret);
	(*p)++;
	*ret = c;
	if (c != '\\')
		return NULL;
	if (*p == end)
		return "the text ends in a string";
	c = (unsigned char)*(*p)++;
	if (c == 'u')
		return unicode_escape(p, end, ret);
	hit = c ? strchr(names, c) : NULL;
	if (!hit)
		return "an unknown escape";
	*ret = (unsigned char)values[hit - names];
	return NULL;
}

/* At the opening quote; gives the raw text between the quotes. */
static int scan_string(struct scan *s, const char **ret, size_t *ret_len)
{
	const char *start = ++s->p;

	while (s->p < s->end && *s->p != '"') {
		uint32_t c;
		const char *at = s->p, *cause = next_char(&s->p, s->end, &c);

		if (cause)
			return scan_fail(s, at, "%s", cause);
	}
	if (s->p == s->end)
		return scan_fail(s, start - 1, "this string does not end");
	*ret = start;
	*ret_len = (size_t)(s->p - start);
	s->p++;
	return 0;
}

static void scan_digits(struct scan *s)
{
	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
}

static int scan_number(struct scan *s)
{
	const char *start = s->p, *digits;

	s->p += *s->p == '-';
	digits = s->p;
	scan_digits(s);
	if (s->p == digits || (*digits == '0' && s->p - digits > 1))
		return scan_fail(s, start, "not a number");
	if (s->p < s->end && *s->p == '.') {
		digits = ++s->p;
		scan_digits(s);
		if (s->p == digits)
			return scan_fail(s, start, "not a number");
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		digits = s->p;
		scan_digits(s);
		if (s->p == digits)
			return scan_fail(s, start, "not a number");
	}
	return 0;
}

static int scan_word(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t n = 0;

	while (s->p + n < s->end && s->p[n] >= 'a' && s->p[n] <= 'z')
		n++;
	for (size_t i = 0; i < 3; i++) {
		if (strlen(words[i]) == n && memcmp(s->p, words[i], n) == 0) {
			s->p += n;
			return 0;
		}
	}
	return scan_fail(s, s->p, "expected a value");
}

static uint32_t key_hash(const char *key, size_t len)
{
	uint32_t hash = 2166136261u, c = 0;

	for (const char *p = key, *end = key + len; p < end;) {
		(void)next_char(&p, end, &c);
		hash = (hash ^ c) * 16777619u;
	}
	return hash;
}

/* "a" and "\u0061" are the same key. */
static bool key_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const char *a_end = a + a_len, *b_end = b + b_len;
	uint32_t x = 0, y = 0;

	while (a < a_end && b < b_end) {
		(void)next_char(&a, a_end, &x);
		(void)next_char(&b, b_end, &y);
		if (x != y)
			return false;
	}
	return a == a_end && b == b_end;
}

static struct key *key_slot(struct scan *s, const struct key *key)
{
	size_t i = (key->hash ^ (uint32_t)(key->object * 2654435761u)) & (s->cap - 1);

	while (s->keys[i].at &&
	       !(s->keys[i].object == key->object && s->keys[i].hash == key->hash &&
		 key_equal(s->text + s->keys[i].at, s->keys[i].len, s->text + key->at, key->len)))
		i = (i + 1) & (s->cap - 1);
	return &s->keys[i];
}

static int keys_grow(struct scan *s)
{
	struct key *old = s->keys;
	size_t old_cap = s->cap;

	if (s->count * 2 < s->cap)
		return 0;
	s->keys = calloc(old_cap * 2, sizeof(*s->keys));
	if (!s->keys) {
		s->keys = old;
		return s->code = -ENOMEM;
	}
	s->cap = old_cap * 2;
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].at)
			*key_slot(s, &old[i]) = old[i];
	free(old);
	return 0;
}

static int key_note(struct scan *s, size_t object, const char *raw, size_t len)
{
	struct key key = { .hash = key_hash(raw, len), .len = (uint32_t)len,
			   .at = (size_t)(raw - s->text), .object = object };
	struct key *slot;

	if (!s->keys)
		return 0;
	if (keys_grow(s) < 0)
		return s->code;
	slot = key_slot(s, &key);
	if (slot->at)
		return scan_fail(s, raw - 1, "duplicate key \"%.*s\"", (int)(len < 80 ? len : 80),
				 raw);
	*slot = key;
	s->count++;
	return 0;
}

static int scan_value(struct scan *s);

/* At a key: it, the colon, and up to the value. */
static int scan_key(struct scan *s, const char **ret, size_t *ret_len)
{
	skip_space(s);
	if (s->p == s->end || *s->p != '"')
		return scan_fail(s, s->p, "expected a key in quotes");
	if (scan_string(s, ret, ret_len) < 0)
		return s->code;
	skip_space(s);
	if (s->p == s->end || *s->p != ':')
		return scan_fail(s, s->p, "expected ':' behind the key");
	s->p++;
	skip_space(s);
	return 0;
}

/* Behind an element: is there another?  1, 0 (the container is closed) or an error. */
static int scan_more(struct scan *s, char close)
{
	skip_space(s);
	if (s->p < s->end && *s->p == close) {
		s->p++;
		return 0;
	}
	if (s->p == s->end || *s->p != ',')
		return scan_fail(s, s->p, "expected ',' or '%c'", close);
	s->p++;
	return 1;
}

/* Behind an opening bracket: is there a first element? */
static int scan_first(struct scan *s, char close)
{
	skip_space(s);
	if (s->p == s->end || *s->p != close)
		return 1;
	s->p++;
	return 0;
}

static int scan_object(struct scan *s)
{
	size_t object = (size_t)(s->p++ - s->text), len;
	const char *key;
	int more = scan_first(s, '}');

	while (more > 0) {
		if (scan_key(s, &key, &len) < 0)
			return s->code;
		if (key_note(s, object, key, len) < 0 || scan_value(s) < 0)
			return flaw_within(s, key, len, 0);
		more = scan_more(s, '}');
	}
	return more;
}

static int scan_array(struct scan *s)
{
	size_t i = 0;
	int more;

	s->p++;
	more = scan_first(s, ']');
	while (more > 0) {
		if (scan_value(s) < 0)
			return flaw_within(s, NULL, 0, i);
		i++;
		more = scan_more(s, ']');
	}
	return more;
}

static int scan_value(struct scan *s)
{
	const char *string;
	size_t len;
	int r;

	skip_space(s);
	if (s->p == s->end)
		return scan_fail(s, s->p, "expected a value, found the end");
	switch (*s->p) {
	case '{':
	case '[':
		if (s->depth == COW_JSON_DEPTH)
			return scan_fail(s, s->p, "nested deeper than %d", COW_JSON_DEPTH);
		s->depth++;
		r = *s->p == '{' ? scan_object(s) : scan_array(s);
		s->depth--;
		return r;
	case '"':
		return scan_string(s, &string, &len);
	case '-':
	case '0' ... '9':
		return scan_number(s);
	default:
		return scan_word(s);
	}
}

int cow_json_scan(const char *text, size_t len, struct cow_json_flaw *ret)
{
	struct scan s = { .text = text, .p = text, .end = text + len, .flaw = ret, .cap = 64 };
	int r;

	s.keys = calloc(s.cap, sizeof(*s.keys));
	if (!s.keys)
		return -ENOMEM;
	r = scan_value(&s);
	if (r == 0) {
		skip_space(&s);
		if (s.p < s.end)
			r = scan_fail(&s, s.p, "text behind the value");
	}
	free(s.keys);
	return r;
}

/* Does the raw key spell the pointer's next token?  "~1" is '/', "~0" is '~'. */
static bool token_matches(const char *key, size_t len, const char *token, size_t token_len)
{
	const char *end = key + len, *token_end = token + token_len;
	uint32_t a = 0, b = 0;

	while (key < end && token < token_end) {
		if (next_char(&key, end, &a))
			return false;
		if (*token == '~' && token + 1 < token_end) {
			b = token[1] == '1' ? '/' : '~';
			token += 2;
		} else if ((unsigned char)*token >= 0x80) {
			if (utf8_char(&token, token_end, &b))
				return false;
		} else {
			b = (unsigned char)*token++;
		}
		if (a != b)
			return false;
	}
	return key == end && token == token_end;
}

/* From inside an object or array: up to the value that the token names. */
static int find_child(struct scan *s, const char *token, size_t token_len)
{
	bool object = *s->p++ == '{';
	unsigned long wanted = object ? 0 : strtoul(token, NULL, 10);
	const char *key;
	size_t len;
	int more = scan_first(s, object ? '}' : ']');

	for (unsigned long i = 0; more > 0; i++) {
		if (object && scan_key(s, &key, &len) < 0)
			return -EINVAL;
		if (object ? token_matches(key, len, token, token_len) : i == wanted) {
			skip_space(s);
			return 0;
		}
		if (scan_value(s) < 0)
			return -EINVAL;
		more = scan_more(s, object ? '}' : ']');
	}
	return -ENOENT;
}

int cow_json_scan_find(const char *text, size_t len, const char *pointer, size_t *ret_offset)
{
	struct scan s = { .text = text, .p = text, .end = text + len };

	skip_space(&s);
	while (*pointer == '/') {
		size_t n = strcspn(++pointer, "/");
		int r;

		if (s.p == s.end || (*s.p != '{' && *s.p != '['))
			return -ENOENT;
		r = find_child(&s, pointer, n);
		if (r < 0)
			return r;
		pointer += n;
	}
	if (*pointer || s.p == s.end)
		return -ENOENT;
	*ret_offset = (size_t)(s.p - text);
	return 0;
}
