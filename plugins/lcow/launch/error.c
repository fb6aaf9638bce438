/* SPDX-License-Identifier: MIT */
#include "parent.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *parent_errno(int code, char *buf, size_t size)
{
	const char *text = strerrordesc_np(-code);

	if (!text) {
		(void)snprintf(buf, size, "error %d", -code);
		return buf;
	}
	(void)snprintf(buf, size, "%s", text);
	/* A sentence goes on here; but "I/O error" stays. */
	if (size > 1 && islower((unsigned char)buf[1]))
		buf[0] = (char)tolower((unsigned char)buf[0]);
	return buf;
}

static void error_format(struct launch_error *err, int code, const char *format, va_list args)
{
	err->code = code;
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
}

int parent_error(struct launch_error *err, int code, const char *format, ...)
{
	va_list args;

	if (err) {
		va_start(args, format);
		error_format(err, code, format, args);
		va_end(args);
	}
	return code;
}

int parent_fail(struct launch_error *err, int code, const char *format, ...)
{
	char buf[128];
	const char *cause = parent_errno(code, buf, sizeof(buf));
	va_list args;
	size_t n, room;

	if (!err)
		return code;
	va_start(args, format);
	error_format(err, code, format, args);
	va_end(args);
	/* However long the object's name is, the cause is told. */
	n = strlen(err->text);
	room = sizeof(err->text) - strlen(": ") - strlen(cause) - 1;
	if (n > room) {
		n = room;
		memcpy(err->text + n - 3, "...", 3);
	}
	(void)snprintf(err->text + n, sizeof(err->text) - n, ": %s", cause);
	return code;
}
