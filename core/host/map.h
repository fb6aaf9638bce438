/* SPDX-License-Identifier: MIT */
/* 64-bit ids to pointers: operations in flight, timers, watches, compute systems of a plugin. */
#ifndef COW_HOST_MAP_H
#define COW_HOST_MAP_H

#include <stdint.h>

struct cow_map_entry {
	uint64_t key; /* 0: empty */
	void *value;
	uint32_t tag;
};

/* Zero-initialised = empty. */
struct cow_map {
	struct cow_map_entry *entries; /* cap of them, cap a power of two; walk them for all */
	uint32_t count, cap;
};

/* Add or replace; key is not 0.  0 or -ENOMEM. */
int cow_map_put(struct cow_map *map, uint64_t key, void *value, uint32_t tag);
/* Valid until the next change; NULL: not there. */
struct cow_map_entry *cow_map_get(const struct cow_map *map, uint64_t key);
void cow_map_del(struct cow_map *map, uint64_t key);
void cow_map_finish(struct cow_map *map);

#endif
