/* SPDX-License-Identifier: MIT */
#include "base/strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRBUF_FIRST_CAP 64

/* Room for n more bytes and the NUL. */
static bool strbuf_reserve(struct cow_strbuf *b, size_t n)
{
	if (b->error != 0)
		return false;
	if (n < b->cap - b->len)
		return true;
	if (n > SIZE_MAX / 4 - b->len) {
		b->error = -ENOMEM;
		return false;
	}
	size_t cap = b->cap ? b->cap : STRBUF_FIRST_CAP;
	while (cap <= b->len + n)
		cap *= 2;
	char *data = realloc(b->data, cap);
	if (!data) {
		b->error = -ENOMEM;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void cow_strbuf_addn(struct cow_strbuf *b, const char *s, size_t n)
{
	if (!strbuf_reserve(b, n))
		return;
	if (n > 0)
		memcpy(b->data + b->len, s, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void cow_strbuf_add(struct cow_strbuf *b, const char *s)
{
	cow_strbuf_addn(b, s, strlen(s));
}

void cow_strbuf_addf(struct cow_strbuf *b, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0) {
		b->error = -ENOMEM;
		return;
	}
	if (!strbuf_reserve(b, (size_t)n))
		return;
	va_start(ap, format);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, format, ap);
	va_end(ap);
	b->len += (size_t)n;
}

/* Length of the valid UTF-8 sequence at s (RFC 3629: no surrogates, nothing overlong), or 0. */
static size_t utf8_sequence(const unsigned char *s)
{
	static const struct {
		unsigned char first, last, second_min, second_max, len;
	} rows[] = {
		{ 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		if (s[0] < rows[r].first || s[0] > rows[r].last)
			continue;
		if (rows[r].len == 1)
			return 1;
		if (s[1] < rows[r].second_min || s[1] > rows[r].second_max)
			return 0;
		for (size_t i = 2; i < rows[r].len; i++)
			if ((s[i] & 0xc0) != 0x80) /* the NUL stops here, too */
				return 0;
		return rows[r].len;
	}
	return 0;
}

static void strbuf_json_escape(struct cow_strbuf *b, unsigned char c)
{
	static const char shorts[] = "b\bf\fn\nr\rt\t\"\"\\\\";
	for (size_t i = 0; shorts[i]; i += 2) {
		if ((unsigned char)shorts[i + 1] == c) {
			cow_strbuf_addn(b, (const char[]){ '\\', shorts[i] }, 2);
			return;
		}
	}
	cow_strbuf_addf(b, "\\u%04x", c);
}

void cow_strbuf_json(struct cow_strbuf *b, const char *s)
{
	if (!s) {
		cow_strbuf_add(b, "null");
		return;
	}
	cow_strbuf_add(b, "\"");
	const char *plain = s; /* start of what can be copied as it is */
	while (*s) {
		unsigned char c = (unsigned char)*s;
		size_t n = utf8_sequence((const unsigned char *)s);
		if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
			s += n;
			continue;
		}
		cow_strbuf_addn(b, plain, (size_t)(s - plain));
		if (n == 0)
			cow_strbuf_add(b, "\xef\xbf\xbd");
		else
			strbuf_json_escape(b, c);
		plain = ++s;
	}
	cow_strbuf_addn(b, plain, (size_t)(s - plain));
	cow_strbuf_add(b, "\"");
}

char *cow_strbuf_take(struct cow_strbuf *b)
{
	if (!b->data)
		cow_strbuf_addn(b, NULL, 0);
	if (b->error != 0) {
		cow_strbuf_finish(b);
		return NULL;
	}
	char *data = b->data;
	*b = (struct cow_strbuf)COW_STRBUF_INIT;
	return data;
}

void cow_strbuf_finish(struct cow_strbuf *b)
{
	free(b->data);
	*b = (struct cow_strbuf)COW_STRBUF_INIT;
}

char *cow_asprintf(const char *format, ...)
{
	char *s;
	va_list ap;
	va_start(ap, format);
	int n = vasprintf(&s, format, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}
