/* SPDX-License-Identifier: MIT */
/* The flat block under construction: strings and rows are appended, the head goes in last. */
#include "compile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_FIRST 8192u
#define BLOCK_MAX (256u << 20) /* far below what an offset can say */
#define BLOCK_ALIGN 8u
#define IGNORED_MAX 64u /* nobody reads more */

void compile_begin(struct compile *c, const struct launch_compile_options *options,
		   struct launch_error *err)
{
	memset(c, 0, sizeof(*c));
	c->options = options;
	c->err = err;
	c->plan.magic = LAUNCH_PLAN_MAGIC;
	c->plan.version = LAUNCH_PLAN_VERSION;
	c->used = sizeof(struct launch_plan);
	c->room = BLOCK_FIRST;
	c->block = malloc(c->room);
	if (!c->block)
		compile_oom(c);
}

/* Control characters would reach terminals and logs. */
static void text_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void compile_fail(struct compile *c, const struct node *at, const char *key, int code,
		  const char *format, ...)
{
	char pointer[512];
	va_list args;
	size_t n = 0;

	if (c->code)
		return;
	c->code = code;
	if (!c->err)
		return;
	c->err->code = code;
	if (at) {
		node_pointer(at, key, pointer, sizeof(pointer));
		n = (size_t)snprintf(c->err->text, sizeof(c->err->text),
				     "%s: ", *pointer ? pointer : "spec");
	}
	va_start(args, format);
	(void)vsnprintf(c->err->text + n, sizeof(c->err->text) - n, format, args);
	va_end(args);
	text_clean(c->err->text);
}

void compile_oom(struct compile *c)
{
	compile_fail(c, NULL, NULL, -ENOMEM, "launch plan: out of memory");
}

static bool ignored_already(const struct compile *c, const char *cause)
{
	const launch_str *at = (const launch_str *)(const void *)c->ignored.data;
	size_t len = strlen(cause);

	for (size_t i = 0; i < c->ignored.n; i++) {
		const char *text = c->block + at[i];
		size_t n = strlen(text);

		if (n > len && strcmp(text + n - len, cause) == 0)
			return true;
	}
	return false;
}

void compile_ignore(struct compile *c, const struct node *at, const char *cause)
{
	char pointer[512], text[1024];
	launch_str s;

	if (c->code || c->ignored.n == IGNORED_MAX)
		return;
	(void)snprintf(text, sizeof(text), ": %s", cause);
	text_clean(text);
	if (ignored_already(c, text))
		return;
	node_pointer(at, NULL, pointer, sizeof(pointer));
	s = build_format(c, "%s%s", pointer, text);
	rows_add(c, &c->ignored, &s, sizeof(s));
}

/* n more bytes at an aligned place; 0 on failure. */
static size_t block_take(struct compile *c, size_t n, size_t align)
{
	size_t at = (c->used + align - 1) & ~(align - 1);
	size_t room = c->room;
	char *block;

	if (c->code)
		return 0;
	if (n > BLOCK_MAX - at) {
		compile_fail(c, NULL, NULL, -E2BIG, "launch plan: larger than %u MiB",
			     BLOCK_MAX >> 20);
		return 0;
	}
	while (room < at + n)
		room *= 2;
	if (room != c->room) {
		block = realloc(c->block, room);
		if (!block) {
			compile_oom(c);
			return 0;
		}
		c->block = block;
		c->room = room;
	}
	memset(c->block + c->used, 0, at - c->used); /* the gap */
	c->used = at + n;
	return at;
}

launch_str build_strn(struct compile *c, const char *s, size_t n)
{
	size_t at = block_take(c, n + 1, 1);

	if (!at)
		return 0;
	memcpy(c->block + at, s, n);
	c->block[at + n] = '\0';
	return (launch_str)at;
}

launch_str build_str(struct compile *c, const char *s)
{
	return s ? build_strn(c, s, strlen(s)) : 0;
}

launch_str build_format(struct compile *c, const char *format, ...)
{
	char *text = NULL;
	launch_str s;
	va_list args;
	int n;

	if (c->code)
		return 0;
	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		compile_oom(c);
		return 0;
	}
	s = build_strn(c, text, (size_t)n);
	free(text);
	return s;
}

struct launch_vec build_vec(struct compile *c, size_t n, size_t size)
{
	struct launch_vec vec = { 0, 0 };
	size_t at;

	if (!n || c->code)
		return vec;
	at = block_take(c, n > BLOCK_MAX / size ? BLOCK_MAX : n * size, BLOCK_ALIGN);
	if (!at)
		return vec;
	memset(c->block + at, 0, n * size);
	vec.off = (uint32_t)at;
	vec.n = (uint32_t)n;
	return vec;
}

void build_put(struct compile *c, struct launch_vec vec, size_t i, const void *row, size_t size)
{
	if (!c->code)
		memcpy(c->block + vec.off + i * size, row, size);
}

struct launch_vec build_copy(struct compile *c, const void *rows, size_t n, size_t size)
{
	struct launch_vec vec = build_vec(c, n, size);

	if (vec.n)
		memcpy(c->block + vec.off, rows, n * size);
	return vec;
}

void rows_add(struct compile *c, struct rows *rows, const void *row, size_t size)
{
	size_t room = rows->room ? rows->room * 2 : 16;
	char *data;

	if (c->code)
		return;
	if (rows->n == rows->room) {
		data = realloc(rows->data, room * size);
		if (!data) {
			compile_oom(c);
			return;
		}
		rows->data = data;
		rows->room = room;
	}
	memcpy(rows->data + rows->n++ * size, row, size);
}

struct launch_vec rows_take(struct compile *c, struct rows *rows, size_t size)
{
	struct launch_vec vec = build_copy(c, rows->data, rows->n, size);

	free(rows->data);
	memset(rows, 0, sizeof(*rows));
	return vec;
}

int compile_end(struct compile *c, struct launch_plan **ret)
{
	char *block;

	c->plan.ignored = rows_take(c, &c->ignored, sizeof(launch_str));
	/* The last byte of every plan is 0: so every string in it ends, see plan_check.c. */
	(void)build_strn(c, "", 0);
	(void)block_take(c, 0, BLOCK_ALIGN);
	if (c->code) {
		free(c->block);
		return c->code;
	}
	c->plan.size = (uint32_t)c->used;
	memcpy(c->block, &c->plan, sizeof(c->plan));
	block = realloc(c->block, c->used);
	*ret = (struct launch_plan *)(void *)(block ? block : c->block);
	return 0;
}
