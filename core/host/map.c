/* SPDX-License-Identifier: MIT */
/* Open addressing with linear probing; a deletion moves its followers up, so there are no tombstones. */
#include "host/map.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t map_home(const struct cow_map *map, uint64_t key)
{
	return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (map->cap - 1);
}

static struct cow_map_entry *map_slot(const struct cow_map *map, uint64_t key)
{
	uint32_t i = map_home(map, key);

	while (map->entries[i].key && map->entries[i].key != key)
		i = (i + 1) & (map->cap - 1);
	return &map->entries[i];
}

static int map_grow(struct cow_map *map)
{
	struct cow_map bigger = { .count = map->count, .cap = map->cap ? map->cap * 2 : 16 };

	bigger.entries = calloc(bigger.cap, sizeof(*bigger.entries));
	if (!bigger.entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < map->cap; i++)
		if (map->entries[i].key)
			*map_slot(&bigger, map->entries[i].key) = map->entries[i];
	free(map->entries);
	*map = bigger;
	return 0;
}

int cow_map_put(struct cow_map *map, uint64_t key, void *value, uint32_t tag)
{
	struct cow_map_entry *entry;

	/* At most three quarters full: a probe always ends at an empty place. */
	if (map->count + 1 > map->cap / 4 * 3) {
		int rc = map_grow(map);
		if (rc < 0)
			return rc;
	}
	entry = map_slot(map, key);
	if (!entry->key)
		map->count++;
	*entry = (struct cow_map_entry){ .key = key, .value = value, .tag = tag };
	return 0;
}

struct cow_map_entry *cow_map_get(const struct cow_map *map, uint64_t key)
{
	struct cow_map_entry *entry;

	if (!map->cap || !key)
		return NULL;
	entry = map_slot(map, key);
	return entry->key ? entry : NULL;
}

void cow_map_del(struct cow_map *map, uint64_t key)
{
	struct cow_map_entry *entry = cow_map_get(map, key);
	uint32_t mask = map->cap - 1, hole, i;

	if (!entry)
		return;
	hole = (uint32_t)(entry - map->entries);
	for (i = (hole + 1) & mask; map->entries[i].key; i = (i + 1) & mask) {
		uint32_t home = map_home(map, map->entries[i].key);

		/* It may move up only to a place at or after its home, seen around the ring. */
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		map->entries[hole] = map->entries[i];
		hole = i;
	}
	map->entries[hole] = (struct cow_map_entry){ 0 };
	map->count--;
}

void cow_map_finish(struct cow_map *map)
{
	free(map->entries);
	*map = (struct cow_map){ 0 };
}
