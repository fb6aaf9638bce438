/* SPDX-License-Identifier: MIT */
/* The names of the archive: found by directory and name through a hash table that grows. */
#include <errno.h>
#include <string.h>

#include "disk/ext4_writer.h"

#define NODES_PER_PAGE (ST_SPILL_PAGE / sizeof(struct writer_node))
#define BUCKETS_PER_PAGE (ST_SPILL_PAGE / sizeof(uint32_t))

int ext4_names_open(struct writer_names *n, int dirfd)
{
	int r;

	*n = (struct writer_names){ .node_count = 1, .bucket_count = BUCKETS_PER_PAGE };
	r = st_spill_create(dirfd, 1024, &n->nodes);
	if (r == 0)
		r = st_spill_create(dirfd, 384, &n->heap);
	if (r == 0)
		r = st_spill_create(dirfd, 512, &n->buckets);
	return r;
}

void ext4_names_close(struct writer_names *n)
{
	st_spill_destroy(n->nodes);
	st_spill_destroy(n->heap);
	st_spill_destroy(n->buckets);
}

int ext4_names_node(struct writer_names *n, uint32_t node, bool write, struct writer_node **ret)
{
	void *page;
	int r = st_spill_page(n->nodes, node / NODES_PER_PAGE, write, &page);

	if (r == 0)
		*ret = (struct writer_node *)page + node % NODES_PER_PAGE;
	return r;
}

int ext4_names_name(struct writer_names *n, const struct writer_node *node, const char **ret)
{
	uint64_t at = node->name;
	void *page;
	int r = st_spill_page(n->heap, at / ST_SPILL_PAGE, 0, &page);

	if (r == 0)
		*ret = (const char *)page + at % ST_SPILL_PAGE;
	return r;
}

static uint32_t name_hash(uint32_t parent, const char *name, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ parent * 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

static int bucket_get(struct writer_names *n, uint32_t hash, bool write, uint32_t **ret)
{
	uint32_t i = hash & (n->bucket_count - 1);
	void *page;
	int r = st_spill_page(n->buckets, n->bucket_base + i / BUCKETS_PER_PAGE, write, &page);

	if (r == 0)
		*ret = (uint32_t *)page + i % BUCKETS_PER_PAGE;
	return r;
}

static int bucket_enter(struct writer_names *n, uint32_t node)
{
	struct writer_node *entry;
	uint32_t *bucket;
	int r = ext4_names_node(n, node, true, &entry);

	if (r == 0)
		r = bucket_get(n, entry->hash, true, &bucket);
	if (r < 0)
		return r;
	entry->chain = *bucket;
	*bucket = node;
	return 0;
}

/* Twice as many, behind the old ones. */
static int buckets_grow(struct writer_names *n)
{
	int r = 0;

	n->bucket_base += n->bucket_count / BUCKETS_PER_PAGE;
	n->bucket_count *= 2;
	for (uint32_t i = 1; r == 0 && i < n->node_count; i++)
		r = bucket_enter(n, i);
	return r;
}

int ext4_names_find(struct writer_names *n, uint32_t parent, const char *name, size_t len,
		    uint32_t *ret)
{
	uint32_t hash = name_hash(parent, name, len), *bucket, at;
	struct writer_node *node;
	const char *text;
	int r = bucket_get(n, hash, false, &bucket);

	if (r < 0)
		return r;
	for (at = *bucket; at; at = node->chain) {
		r = ext4_names_node(n, at, false, &node);
		if (r < 0)
			return r;
		if (node->hash != hash || node->parent != parent || node->name_len != len)
			continue;
		r = ext4_names_name(n, node, &text);
		if (r < 0)
			return r;
		if (memcmp(text, name, len) == 0)
			break;
	}
	*ret = at;
	return 0;
}

int ext4_names_add(struct writer_names *n, uint32_t parent, const char *name, size_t len,
		   uint32_t *ret)
{
	uint64_t left = ST_SPILL_PAGE - n->heap_used % ST_SPILL_PAGE;
	struct writer_node *node;
	void *page;
	int r;

	if (n->node_count == UINT32_MAX / 2)
		return -EFBIG;
	if (n->node_count > n->bucket_count) {
		r = buckets_grow(n);
		if (r < 0)
			return r;
	}
	if (left < len)
		n->heap_used += left;
	r = st_spill_page(n->heap, n->heap_used / ST_SPILL_PAGE, 1, &page);
	if (r == 0)
		r = ext4_names_node(n, n->node_count, true, &node);
	if (r < 0)
		return r;
	memcpy((char *)page + n->heap_used % ST_SPILL_PAGE, name, len);
	*node = (struct writer_node){ .parent = parent,
				      .name = n->heap_used,
				      .hash = name_hash(parent, name, len),
				      .name_len = (uint8_t)len };
	r = bucket_enter(n, n->node_count);
	if (r < 0)
		return r;
	n->heap_used += len;
	*ret = n->node_count++;
	return 0;
}
