/* SPDX-License-Identifier: MIT */
#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int text_reserve(struct plug_text *t, size_t more)
{
	size_t size = t->size ? t->size : 256;
	char *data;

	while (size - t->len <= more)
		size *= 2;
	if (size == t->size)
		return 0;
	data = realloc(t->data, size);
	if (!data)
		return -ENOMEM;
	t->data = data;
	t->size = size;
	return 0;
}

void plug_text_add(struct plug_text *t, const char *format, ...)
{
	va_list args, again;
	int n;

	if (t->failed)
		return;
	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (n < 0 || text_reserve(t, (size_t)n) < 0)
		t->failed = -ENOMEM;
	else
		t->len += (size_t)vsnprintf(t->data + t->len, t->size - t->len, format, again);
	va_end(again);
	va_end(args);
}

void plug_text_finish(struct plug_text *t)
{
	free(t->data);
	*t = (struct plug_text){ 0 };
}
