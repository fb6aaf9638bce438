/* SPDX-License-Identifier: MIT */
#include "disk/ext4_xattr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAD(n) (((n) + 3u) & ~(size_t)3u)
#define ENTRY(name_len) (sizeof(struct ext4_xattr_entry) + PAD(name_len))
#define ACL_ACCESS 2u
#define ACL_DEFAULT 3u

/* Longest first where one is the beginning of another. */
static const struct prefix {
	uint8_t index;
	const char *text;
	bool whole; /* the name is nothing but this */
} prefixes[] = {
	{ ACL_ACCESS, "system.posix_acl_access", true },
	{ ACL_DEFAULT, "system.posix_acl_default", true },
	{ 1, "user.", false },
	{ 4, "trusted.", false },
	{ 6, "security.", false },
	{ EXT4_XATTR_INDEX_SYSTEM, "system.", false },
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* ACLs: the kernel shows version 2, tag, permissions, id each; on disk (version 1) only users and
 * groups that are named have an id. */

static bool acl_named(unsigned tag)
{
	return tag == 0x02 || tag == 0x08;
}

static int acl_store(const uint8_t *in, size_t size, uint8_t *out, uint32_t *ret)
{
	const uint32_t version = 1;
	uint32_t used = 4;

	if (size < 4 || (size - 4) % 8 || get32(in) != 2)
		return -EINVAL;
	memcpy(out, &version, 4);
	for (size_t at = 4; at < size; at += 8) {
		uint32_t n = acl_named(get16(in + at)) ? 8 : 4;

		memcpy(out + used, in + at, n);
		used += n;
	}
	*ret = used;
	return 0;
}

int st_xattr_acl_show(const void *value, size_t size, void **ret, size_t *ret_size)
{
	const uint8_t *in = value;
	const uint32_t version = 2;
	uint8_t *out;
	size_t used = 4, at = 4;

	if (size < 4 || get32(in) != 1)
		return -EUCLEAN;
	out = malloc(4 + (size - 4) * 2);
	if (!out)
		return -ENOMEM;
	memcpy(out, &version, 4);
	while (at < size) {
		size_t n = size - at >= 4 && acl_named(get16(in + at)) ? 8 : 4;

		if (size - at < n) {
			free(out);
			return -EUCLEAN;
		}
		memset(out + used, 0xff, 8);
		memcpy(out + used, in + at, n);
		used += 8;
		at += n;
	}
	*ret = out;
	*ret_size = used;
	return 0;
}

bool st_xattr_name(uint8_t index, const char *name, size_t name_len, char *ret, size_t size)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (prefixes[i].index == index) {
			(void)snprintf(ret, size, "%s%.*s", prefixes[i].text,
				       prefixes[i].whole ? 0 : (int)name_len, name);
			return true;
		}
	return false;
}

void st_xattrs_clear(struct st_xattrs *set)
{
	for (size_t i = 0; i < set->count; i++)
		free(set->items[i].value);
	set->count = 0;
}

int st_xattrs_add(struct st_xattrs *set, uint8_t index, const char *name, size_t name_len,
		  const void *value, size_t size)
{
	struct st_xattr *x = NULL;
	void *copy;

	if (name_len > 255 || size > ST_EXT4_BLOCK)
		return -E2BIG;
	for (size_t i = 0; i < set->count && !x; i++)
		if (set->items[i].index == index && set->items[i].name_len == name_len &&
		    memcmp(set->items[i].name, name, name_len) == 0)
			x = &set->items[i];
	if (!x && set->count == ST_XATTRS_MAX)
		return -E2BIG;
	copy = calloc(1, PAD(size) + 4);
	if (!copy)
		return -ENOMEM;
	if (size)
		memcpy(copy, value, size);
	if (!x)
		x = &set->items[set->count++];
	else
		free(x->value);
	*x = (struct st_xattr){ .index = index,
				.name_len = (uint8_t)name_len,
				.name = name,
				.value = copy,
				.size = (uint32_t)size };
	return 0;
}

int st_xattrs_set(struct st_xattrs *set, const char *name, const void *value, size_t size)
{
	const struct prefix *p = NULL;
	uint8_t acl[ST_EXT4_BLOCK];
	uint32_t acl_size;
	size_t length = 0;
	int r;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && !p; i++) {
		length = strlen(prefixes[i].text);
		if (prefixes[i].whole ? strcmp(name, prefixes[i].text) == 0
				      : strncmp(name, prefixes[i].text, length) == 0)
			p = &prefixes[i];
	}
	/* ext4's own use of "system." is not for archives to play with. */
	if (!p || p->index == EXT4_XATTR_INDEX_SYSTEM || (!p->whole && !name[length]))
		return 1;
	if (!p->whole)
		return st_xattrs_add(set, p->index, name + length, strlen(name + length), value,
				     size);
	if (size > sizeof(acl))
		return -E2BIG;
	r = acl_store(value, size, acl, &acl_size);
	return r < 0 ? r : st_xattrs_add(set, p->index, name + length, 0, acl, acl_size);
}

static int by_order(const void *a, const void *b)
{
	const struct st_xattr *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return memcmp(x->name, y->name, x->name_len);
}

static uint32_t entry_hash(const struct st_xattr *x)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < x->name_len; i++)
		hash = (hash << 5) ^ (hash >> 27) ^ (uint8_t)x->name[i];
	for (size_t i = 0; i < x->size; i += 4)
		hash = (hash << 16) ^ (hash >> 16) ^ get32((const uint8_t *)x->value + i);
	return hash;
}

/* One area being filled: entries from the front, values from the back. */
struct area {
	uint8_t *base; /* value offsets count from here */
	size_t entry, value;
	uint32_t hash;
};

/* Four zero bytes end the entries. */
static bool area_fits(const struct area *a, const struct st_xattr *x)
{
	return a->entry + ENTRY(x->name_len) + 4 + PAD(x->size) <= a->value;
}

static void area_put(struct area *a, const struct st_xattr *x)
{
	struct ext4_xattr_entry *e = (void *)(a->base + a->entry);

	a->value -= PAD(x->size);
	*e = (struct ext4_xattr_entry){ .name_len = x->name_len,
					.name_index = x->index,
					.value_offs = x->size ? (uint16_t)a->value : 0,
					.value_size = x->size,
					.hash = entry_hash(x) };
	memcpy(e->name, x->name, x->name_len);
	memcpy(a->base + a->value, x->value, PAD(x->size));
	a->entry += ENTRY(x->name_len);
	a->hash = (a->hash << 16) ^ (a->hash >> 16) ^ e->hash;
}

int st_xattrs_build(struct st_xattrs *set, struct ext4_inode *inode, uint8_t block[ST_EXT4_BLOCK],
		    bool *ret_block)
{
	struct ext4_xattr_header *header = (void *)block;
	struct area in = { .base = inode->attributes + 4, .value = sizeof(inode->attributes) - 4 };
	struct area out = { .base = block, .entry = sizeof(*header), .value = ST_EXT4_BLOCK };
	const uint32_t magic = EXT4_XATTR_MAGIC;

	memset(inode->attributes, 0, sizeof(inode->attributes));
	memset(block, 0, ST_EXT4_BLOCK);
	if (set->count)
		memcpy(inode->attributes, &magic, 4);
	qsort(set->items, set->count, sizeof(set->items[0]), by_order);
	/* What marks inline data has to be in the inode. */
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].index == EXT4_XATTR_INDEX_SYSTEM)
			area_put(&in, &set->items[i]);
	for (size_t i = 0; i < set->count; i++) {
		const struct st_xattr *x = &set->items[i];

		if (x->index == EXT4_XATTR_INDEX_SYSTEM)
			continue;
		if (area_fits(&in, x))
			area_put(&in, x);
		else if (area_fits(&out, x))
			area_put(&out, x);
		else
			return -E2BIG;
	}
	*ret_block = out.entry > sizeof(*header);
	*header = (struct ext4_xattr_header){ .magic = EXT4_XATTR_MAGIC,
					      .refcount = 1,
					      .blocks = 1,
					      .hash = out.hash };
	return 0;
}

static int area_each(const uint8_t *base, size_t size, size_t at, st_xattr_raw_cb cb, void *arg)
{
	struct ext4_xattr_entry e;
	int r;

	for (;;) {
		if (size - at < 4 || get32(base + at) == 0)
			return 0;
		if (size - at < sizeof(e))
			return -EUCLEAN;
		memcpy(&e, base + at, sizeof(e));
		if (ENTRY(e.name_len) > size - at)
			return -EUCLEAN;
		if (e.value_inum)
			return -ENOTSUP;
		if (e.value_size > size || (e.value_size && e.value_offs > size - e.value_size))
			return -EUCLEAN;
		r = cb(arg, e.name_index, (const char *)base + at + sizeof(e), e.name_len,
		       base + (e.value_size ? e.value_offs : 0), e.value_size);
		if (r)
			return r;
		at += ENTRY(e.name_len);
	}
}

int st_xattr_inode_each(const uint8_t *inode, size_t inode_size, st_xattr_raw_cb cb, void *arg)
{
	size_t start;

	if (inode_size < EXT4_GOOD_OLD_SIZE + 4)
		return 0;
	start = EXT4_GOOD_OLD_SIZE + (size_t)get16(inode + EXT4_GOOD_OLD_SIZE);
	if (start % 4 || start + 4 > inode_size)
		return start == EXT4_GOOD_OLD_SIZE || start == inode_size ? 0 : -EUCLEAN;
	if (get32(inode + start) != EXT4_XATTR_MAGIC)
		return 0;
	return area_each(inode + start + 4, inode_size - start - 4, 0, cb, arg);
}

int st_xattr_block_each(const uint8_t *block, size_t block_size, st_xattr_raw_cb cb, void *arg)
{
	const struct ext4_xattr_header *header = (const void *)block;

	if (get32(block) != EXT4_XATTR_MAGIC || header->blocks != 1)
		return -EUCLEAN;
	return area_each(block, block_size, sizeof(*header), cb, arg);
}
