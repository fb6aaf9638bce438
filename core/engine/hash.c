/* SPDX-License-Identifier: MIT */
#include "engine/hash.h"

#include <errno.h>
#include <stdlib.h>

int hash_init(struct hash *h)
{
	h->buckets = calloc(64, sizeof(*h->buckets));
	if (!h->buckets)
		return -ENOMEM;
	h->mask = 63;
	h->count = 0;
	return 0;
}

void hash_finish(struct hash *h)
{
	free(h->buckets);
	h->buckets = NULL;
}

static void hash_grow(struct hash *h)
{
	uint32_t mask = h->mask * 2 + 1;
	struct hash_node **buckets = calloc((size_t)mask + 1, sizeof(*buckets));

	if (!buckets)
		return;
	for (uint32_t i = 0; i <= h->mask; i++) {
		for (struct hash_node *n = h->buckets[i], *next; n; n = next) {
			next = n->next;
			n->next = buckets[n->hash & mask];
			buckets[n->hash & mask] = n;
		}
	}
	free(h->buckets);
	h->buckets = buckets;
	h->mask = mask;
}

void hash_add(struct hash *h, struct hash_node *node, uint64_t hash)
{
	if (h->count > h->mask)
		hash_grow(h);
	node->hash = hash;
	node->next = h->buckets[hash & h->mask];
	node->in = 1;
	h->buckets[hash & h->mask] = node;
	h->count++;
}

void hash_del(struct hash *h, struct hash_node *node)
{
	if (!node->in)
		return;
	for (struct hash_node **p = &h->buckets[node->hash & h->mask]; *p; p = &(*p)->next) {
		if (*p != node)
			continue;
		*p = node->next;
		node->in = 0;
		h->count--;
		return;
	}
}

static struct hash_node *same_hash(struct hash_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct hash_node *hash_first(const struct hash *h, uint64_t hash)
{
	return same_hash(h->buckets[hash & h->mask], hash);
}

struct hash_node *hash_next(const struct hash_node *node)
{
	return same_hash(node->next, node->hash);
}

uint64_t hash_string(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h ^ h >> 32;
}

uint64_t hash_number(uint64_t n)
{
	n *= 0x9e3779b97f4a7c15u;
	return n ^ n >> 32;
}
