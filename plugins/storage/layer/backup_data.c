/* SPDX-License-Identifier: MIT */
/* What is in backup streams: names, extended attributes, reparse points. */
#include "layer/backup.h"

#include "common/util.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* ---- UTF-16 */

static size_t utf8_put(uint32_t c, char *to)
{
	static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(first[n] | c);
	return n;
}

int st_utf16_decode(const uint8_t *data, size_t size, char **ret)
{
	_cleanup_free_ char *text = malloc(size / 2 * 3 + 1);
	size_t at = 0;

	if (!text)
		return -ENOMEM;
	if (size % 2)
		return -EILSEQ;
	for (size_t i = 0; i < size; i += 2) {
		uint32_t c = get16(data + i), low;

		if (!c || (c & 0xfc00) == 0xdc00)
			return -EILSEQ;
		if ((c & 0xfc00) == 0xd800) {
			i += 2;
			low = i < size ? get16(data + i) : 0;
			if ((low & 0xfc00) != 0xdc00)
				return -EILSEQ;
			c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
		}
		at += utf8_put(c, text + at);
	}
	text[at] = 0;
	*ret = plug_take_ptr(text);
	return 0;
}

/* The character at *p, which moves on; 0: none that there is. */
static uint32_t utf8_next(const char **p)
{
	static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 };
	const uint8_t *s = (const uint8_t *)*p;
	size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? s[0] : n ? s[0] & (0x7fu >> n) : 0;

	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || c >> 11 == 0x1b)
		return 0;
	*p += n;
	return c;
}

int st_utf16_add(struct st_blob *blob, const char *text)
{
	while (*text) {
		uint32_t c = utf8_next(&text);
		uint16_t units[2];
		size_t n = 0;
		int r;

		if (!c)
			return -EILSEQ;
		if (c >= 0x10000) {
			c -= 0x10000;
			units[n++] = htole16((uint16_t)(0xd800 | c >> 10));
			c = 0xdc00 | (c & 0x3ff);
		}
		units[n++] = htole16((uint16_t)c);
		r = st_blob_add(blob, units, 2 * n);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- extended attributes */

int st_ea_next(const struct st_blob *blob, size_t *at, struct st_ea *ret)
{
	size_t left = blob->size - *at, next, name, value;
	const uint8_t *p = blob->data + *at;

	if (!left)
		return 0;
	if (left < 8)
		return -EBADMSG;
	next = get32(p);
	name = p[5];
	value = get16(p + 6);
	if (!name || 8 + name + 1 + value > left || p[8 + name] || memchr(p + 8, 0, name) ||
	    memchr(p + 8, '=', name))
		return -EBADMSG;
	if (next && (next < 8 + name + 1 + value || next >= left))
		return -EBADMSG;
	*ret = (struct st_ea){ (const char *)p + 8, name, p + 8 + name + 1, value };
	*at = next ? *at + next : blob->size;
	return 1;
}

int st_ea_add(struct st_blob *blob, size_t *last, const struct st_ea *ea)
{
	uint8_t head[8] = { 0 }, pad[4] = { 0 };
	size_t at = (blob->size + 3) & ~(size_t)3;
	uint32_t step = htole32((uint32_t)(at - *last));
	int r;

	if (!ea->name_size || ea->name_size > UINT8_MAX || ea->value_size > UINT16_MAX)
		return -E2BIG;
	head[5] = (uint8_t)ea->name_size;
	head[6] = (uint8_t)ea->value_size;
	head[7] = (uint8_t)(ea->value_size >> 8);
	r = st_blob_add(blob, pad, at - blob->size);
	if (r == 0 && at)
		memcpy(blob->data + *last, &step, sizeof(step));
	*last = at;
	if (r == 0)
		r = st_blob_add(blob, head, sizeof(head));
	if (r == 0)
		r = st_blob_add(blob, ea->name, ea->name_size);
	if (r == 0)
		r = st_blob_add(blob, pad, 1);
	return r ?: st_blob_add(blob, ea->value, ea->value_size);
}

/* ---- reparse points */

#define TAG_MOUNT_POINT 0xa0000003u
#define TAG_SYMLINK 0xa000000cu
#define SYMLINK_RELATIVE 1u

int st_reparse_decode(const struct st_blob *blob, char **target, bool *mount_point, uint32_t *tag)
{
	const uint8_t *p = blob->data;
	size_t names, offset, size;

	if (blob->size < 8)
		return -EBADMSG;
	*tag = get32(p);
	if (*tag != TAG_MOUNT_POINT && *tag != TAG_SYMLINK)
		return -ENOTSUP;
	names = *tag == TAG_SYMLINK ? 20 : 16;
	if (blob->size < names || get16(p + 4) != blob->size - 8)
		return -EBADMSG;
	/* The printed name, or where there is none, the one that counts. */
	offset = get16(p + 12);
	size = get16(p + 14);
	if (!size) {
		offset = get16(p + 8);
		size = get16(p + 10);
	}
	if (offset + size > blob->size - names)
		return -EBADMSG;
	*mount_point = *tag == TAG_MOUNT_POINT;
	return st_utf16_decode(p + names + offset, size, target);
}

/* The name that the kernel of Windows takes: "\??\C:\a" of "C:\a". */
static int nt_name(const char *target, char **ret, bool *relative)
{
	const char *prefix = "", *rest = target;
	int n;

	*relative = false;
	if (!strncmp(target, "\\\\?\\", 4)) {
		prefix = "\\??\\";
		rest += 4;
	} else if (!strncmp(target, "\\\\", 2)) {
		prefix = "\\??\\UNC\\";
		rest += 2;
	} else if (isalpha((unsigned char)target[0]) && target[1] == ':') {
		prefix = "\\??\\";
	} else {
		*relative = strncmp(target, "\\??\\", 4) != 0;
	}
	n = asprintf(ret, "%s%s", prefix, rest);
	if (n < 0)
		*ret = NULL;
	return n < 0 ? -ENOMEM : 0;
}

int st_reparse_encode(const char *target, bool mount_point, struct st_blob *ret)
{
	_cleanup_free_ char *nt = NULL;
	struct st_blob names = { 0 }, blob = { 0 };
	uint16_t head[10] = { 0 };
	uint32_t tag = htole32(mount_point ? TAG_MOUNT_POINT : TAG_SYMLINK);
	size_t fixed = mount_point ? 8 : 12, print = 0, end = 0;
	bool relative;
	int r = nt_name(target, &nt, &relative);

	if (r == 0)
		r = st_utf16_add(&names, nt);
	if (r == 0) {
		print = names.size + 2;
		r = st_blob_add(&names, "\0", 2);
	}
	if (r == 0)
		r = st_utf16_add(&names, target);
	if (r == 0) {
		end = names.size;
		r = st_blob_add(&names, "\0", 2);
	}
	if (r == 0 && fixed + names.size > UINT16_MAX)
		r = -E2BIG;
	if (r == 0) {
		memcpy(head, &tag, sizeof(tag));
		head[2] = htole16((uint16_t)(fixed + names.size));
		head[5] = htole16((uint16_t)(print - 2));
		head[6] = htole16((uint16_t)print);
		head[7] = htole16((uint16_t)(end - print));
		head[8] = htole16(relative && !mount_point ? SYMLINK_RELATIVE : 0);
		r = st_blob_add(&blob, head, 8 + fixed) ?: st_blob_add(&blob, names.data, names.size);
	}
	st_blob_finish(&names);
	if (r < 0)
		st_blob_finish(&blob);
	else
		*ret = blob;
	return r;
}
