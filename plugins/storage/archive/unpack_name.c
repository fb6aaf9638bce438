/* SPDX-License-Identifier: MIT */
#include "archive/unpack_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int unpack_name_set(struct unpack *u, struct unpack_name *name, const char *text)
{
	struct tar_text *path = &name->path;
	size_t base = 0;

	path->size = 0;
	if (tar_text_add(path, "", 0))
		return unpack_fail(u, -ENOMEM, NULL);
	name->parent_size = 0;
	while (*text) {
		size_t n = strcspn(text, "/");

		if (n == 2 && !memcmp(text, "..", 2))
			return unpack_fail(u, -EINVAL, "refused: its name or target leads upwards (..)");
		if (n && !(n == 1 && *text == '.')) {
			name->parent_size = path->size;
			if (path->size && tar_text_add(path, "/", 1))
				return unpack_fail(u, -ENOMEM, NULL);
			base = path->size;
			if (tar_text_add(path, text, n))
				return unpack_fail(u, -ENOMEM, NULL);
		}
		text += n + (text[n] == '/');
	}
	name->base = path->data + base;
	return 0;
}

void unpack_name_free(struct unpack_name *name)
{
	free(name->path.data);
}

/* FNV-1a, from a start that is not known beforehand. */
uint64_t unpack_hash(const struct unpack *u, const char *path, size_t size)
{
	uint64_t hash = u->seed ^ 0xcbf29ce484222325u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)path[i]) * 0x100000001b3u;
	return hash ? hash : 1; /* 0 is a free place */
}

static uint64_t *made_place(uint64_t *made, size_t cap, uint64_t hash)
{
	size_t i = (size_t)(hash ^ hash >> 32) & (cap - 1);

	while (made[i] && made[i] != hash)
		i = (i + 1) & (cap - 1);
	return &made[i];
}

static int made_grow(struct unpack *u)
{
	size_t cap = u->made_cap ? u->made_cap * 2 : 1024;
	uint64_t *made = calloc(cap, sizeof(*made));

	if (!made)
		return unpack_fail(u, -ENOMEM, NULL);
	for (size_t i = 0; i < u->made_cap; i++)
		if (u->made[i])
			*made_place(made, cap, u->made[i]) = u->made[i];
	free(u->made);
	u->made = made;
	u->made_cap = cap;
	return 0;
}

int unpack_made_add(struct unpack *u, const char *path, size_t size)
{
	while (size) {
		uint64_t hash = unpack_hash(u, path, size), *place;

		if (u->made_count * 4 >= u->made_cap * 3 && made_grow(u))
			return -ENOMEM;
		place = made_place(u->made, u->made_cap, hash);
		if (*place) /* and what is above it was added with it */
			return 0;
		*place = hash;
		u->made_count++;
		while (size && path[size - 1] != '/')
			size--;
		size -= size > 0;
	}
	return 0;
}

bool unpack_made_has(const struct unpack *u, const char *path, size_t size)
{
	return u->made_cap &&
	       *made_place(u->made, u->made_cap, unpack_hash(u, path, size)) != 0;
}
