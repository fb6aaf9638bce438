/* SPDX-License-Identifier: MIT */
/* Hash table of nodes that live in their elements; keys are the users' business. */
#ifndef COW_ENGINE_HASH_H
#define COW_ENGINE_HASH_H

#include <stdint.h>

struct hash_node {
	struct hash_node *next;
	uint64_t hash;
	uint8_t in; /* 1: in a table */
};

struct hash {
	struct hash_node **buckets;
	uint32_t mask, count;
};

int hash_init(struct hash *h); /* 0 or -ENOMEM */
void hash_finish(struct hash *h);
/* Grows where it can; where it cannot, it gets slower. */
void hash_add(struct hash *h, struct hash_node *node, uint64_t hash);
void hash_del(struct hash *h, struct hash_node *node); /* one that is in no table stays harmless */
/* Candidates for a key with that hash, one after the other; NULL at the end. */
struct hash_node *hash_first(const struct hash *h, uint64_t hash);
struct hash_node *hash_next(const struct hash_node *node);
uint64_t hash_string(const char *s);
uint64_t hash_number(uint64_t n);

#endif
