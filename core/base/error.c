/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line, whatever the object is called: nothing that moves a terminal's cursor. */
static void error_line(struct cow_error *err)
{
	for (char *p = err->message; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

/* The object stands at the beginning, the cause at the end: a long text loses its middle. */
static void error_keep_ends(struct cow_error *err, const char *whole, size_t len)
{
	static const char gap[] = "...";
	char *tail = err->message + (sizeof(err->message) - sizeof(gap)) / 2;
	size_t room = (size_t)(err->message + sizeof(err->message) - 1 - tail) - strlen(gap);

	memcpy(tail, gap, strlen(gap));
	memcpy(tail + strlen(gap), whole + len - room, room + 1);
}

__attribute__((format(printf, 2, 0))) static void error_format(struct cow_error *err,
							       const char *format, va_list ap)
{
	char *whole;
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(err->message, sizeof(err->message), format, ap);
	if (n < 0)
		err->message[0] = '\0';
	else if ((size_t)n >= sizeof(err->message) && vasprintf(&whole, format, again) == n) {
		error_keep_ends(err, whole, (size_t)n);
		free(whole);
	}
	va_end(again);
	error_line(err);
}

int cow_error_set(struct cow_error *err, int code, const char *format, ...)
{
	if (!err || err->code != 0)
		return code;
	va_list ap;
	va_start(ap, format);
	error_format(err, format, ap);
	va_end(ap);
	err->code = code;
	return code;
}

int cow_error_errno(struct cow_error *err, int code, const char *format, ...)
{
	struct cow_error object = { 0 };

	if (!err || err->code != 0)
		return code;
	va_list ap;
	va_start(ap, format);
	error_format(&object, format, ap);
	va_end(ap);
	return cow_error_set(err, code, "%s: %s", object.message, cow_errno_text(code));
}

const char *cow_errno_text(int code)
{
	const char *text = strerrordesc_np(code < 0 ? -code : code);
	return text ? text : "Unknown error";
}

const char *cow_errno_name(int code)
{
	const char *name = strerrorname_np(code < 0 ? -code : code);
	return name ? name : "E?";
}
