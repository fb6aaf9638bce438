/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static size_t error_format(struct cow_error *err,
								 const char *format, va_list ap)
{
	int n = vsnprintf(err->message, sizeof(err->message), format, ap);
	if (n < 0) {
		err->message[0] = '\0';
		return 0;
	}
	return (size_t)n < sizeof(err->message) ? (size_t)n : sizeof(err->message) - 1;
}

int cow_error_set(struct cow_error *err, int code, const char *format, ...)
{
	if (!err || err->code != 0)
		return code;
	va_list ap;
	va_start(ap, format);
	(void)error_format(err, format, ap);
	va_end(ap);
	err->code = code;
	return code;
}

int cow_error_errno(struct cow_error *err, int code, const char *format, ...)
{
	if (!err || err->code != 0)
		return code;
	va_list ap;
	va_start(ap, format);
	size_t len = error_format(err, format, ap);
	va_end(ap);
	(void)snprintf(err->message + len, sizeof(err->message) - len, ": %s",
		       cow_errno_text(code));
	err->code = code;
	return code;
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
