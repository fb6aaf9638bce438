/* SPDX-License-Identifier: MIT */
/* A growing string.  Failure is sticky: append at will, look once at the end. */
#ifndef COW_BASE_STRBUF_H
#define COW_BASE_STRBUF_H

#include <stddef.h>

struct cow_strbuf {
	char *data; /* NUL-terminated once something was appended; else NULL */
	size_t len, cap;
	int error; /* 0 or -ENOMEM */
};

#define COW_STRBUF_INIT { NULL, 0, 0, 0 }

void cow_strbuf_add(struct cow_strbuf *b, const char *s);
void cow_strbuf_addn(struct cow_strbuf *b, const char *s, size_t n);
void cow_strbuf_addf(struct cow_strbuf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A JSON string literal with its quotes; NULL gives null; invalid UTF-8 becomes U+FFFD. */
void cow_strbuf_json(struct cow_strbuf *b, const char *s);
/* The string, owned by the caller (never NULL on success), or NULL where an append failed. */
char *cow_strbuf_take(struct cow_strbuf *b);
void cow_strbuf_finish(struct cow_strbuf *b);
/* For _cleanup_(). */
static inline void cow_strbuf_finishp(struct cow_strbuf *b)
{
	cow_strbuf_finish(b);
}

/* asprintf that returns NULL when out of memory. */
char *cow_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
