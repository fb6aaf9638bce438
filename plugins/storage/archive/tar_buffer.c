/* SPDX-License-Identifier: MIT */
/* The bytes of the archive, and texts that grow out of them. */
#include "archive/tar_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void tar_shown(const char *path, char *ret, size_t size)
{
	size_t length = strlen(path);

	(void)snprintf(ret, size, "%s%s", length >= size ? "..." : "",
		       length >= size ? path + length - (size - 4) : path);
	for (; *ret; ret++)
		if ((unsigned char)*ret < ' ' || *ret == 0x7f)
			*ret = '?';
}

int tar_fail(struct st_tar *tar, int code, const char *format, ...)
{
	char name[128], cause[sizeof(tar->message) - sizeof(name) - 32];
	va_list ap;

	if (tar->state < 0) /* the first one counts */
		return tar->state;
	va_start(ap, format);
	(void)vsnprintf(cause, sizeof(cause), format, ap);
	va_end(ap);
	tar_shown(tar->path.size ? tar->path.data : "", name, sizeof(name));
	if (name[0])
		(void)snprintf(tar->message, sizeof(tar->message), "entry %s: %s", name, cause);
	else
		(void)snprintf(tar->message, sizeof(tar->message), "byte %llu of the archive: %s",
			       (unsigned long long)tar->offset, cause);
	tar->state = code;
	return code;
}

int tar_grow(void *list, size_t *cap, size_t count, size_t element)
{
	void *old, *grown;
	size_t n = *cap ? *cap * 2 : 8;

	if (count < *cap)
		return 0;
	memcpy(&old, list, sizeof(old)); /* a pointer to any type */
	grown = reallocarray(old, n, element);
	if (!grown)
		return -ENOMEM;
	memcpy(list, &grown, sizeof(grown));
	*cap = n;
	return 0;
}

static int text_reserve(struct tar_text *text, size_t more)
{
	size_t need = text->size + more + 1, cap = text->cap ? text->cap : 128;
	char *grown;

	if (need <= text->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	grown = realloc(text->data, cap);
	if (!grown)
		return -ENOMEM;
	text->data = grown;
	text->cap = cap;
	return 0;
}

int tar_text_add(struct tar_text *text, const void *data, size_t size)
{
	int r = text_reserve(text, size);

	if (r)
		return r;
	memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = 0;
	return 0;
}

int tar_need(struct st_tar *tar, size_t size)
{
	while (tar->filled - tar->at < size && !tar->end) {
		ssize_t n;

		if (tar->at) {
			memmove(tar->buffer, tar->buffer + tar->at, tar->filled - tar->at);
			tar->filled -= tar->at;
			tar->at = 0;
		}
		n = tar->read(tar->arg, tar->buffer + tar->filled, TAR_BUFFER_BYTES - tar->filled);
		if (n < 0)
			return tar_fail(tar, (int)n, "cannot be read: %s", strerror((int)-n));
		tar->end = !n;
		tar->filled += (size_t)n;
	}
	if (tar->filled - tar->at >= size)
		return 1;
	return tar->filled == tar->at ? 0 : tar_fail(tar, -EBADMSG, "the archive ends too early");
}

void tar_consume(struct st_tar *tar, size_t size)
{
	tar->at += size;
	tar->offset += size;
}

int tar_some(struct st_tar *tar, uint64_t size, size_t *ret)
{
	int r = tar_need(tar, 1);

	if (r <= 0)
		return r ? r : tar_fail(tar, -EBADMSG, "the archive ends too early");
	*ret = tar->filled - tar->at;
	if (*ret > size)
		*ret = (size_t)size;
	return 0;
}

int tar_read_text(struct st_tar *tar, struct tar_text *text, uint64_t size)
{
	while (size) {
		size_t n;
		int r = tar_some(tar, size, &n);

		if (r)
			return r;
		r = tar_text_add(text, tar->buffer + tar->at, n);
		if (r)
			return tar_fail(tar, r, "%s", strerror(-r));
		tar_consume(tar, n);
		size -= n;
	}
	return 0;
}

int tar_skip(struct st_tar *tar, uint64_t size)
{
	while (size) {
		size_t n;
		int r = tar_some(tar, size, &n);

		if (r)
			return r;
		tar_consume(tar, n);
		size -= n;
	}
	return 0;
}
