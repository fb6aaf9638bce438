/* SPDX-License-Identifier: MIT */
/* Errors for people: one line "object: cause" in a buffer of the caller's, with the errno beside it. */
#ifndef ST_DISK_ERROR_H
#define ST_DISK_ERROR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Where messages go; text may be NULL. */
struct st_message {
	char *text;
	size_t size;
};

/* Writes the message and returns code, so that `return st_fail(…)` reads well. */
__attribute__((format(printf, 3, 4))) static inline int st_fail(const struct st_message *m, int code,
								const char *format, ...)
{
	va_list args;

	if (m && m->text && m->size) {
		va_start(args, format);
		(void)vsnprintf(m->text, m->size, format, args);
		va_end(args);
	}
	return code;
}

#endif
