/* SPDX-License-Identifier: MIT */
#include "disk/verity.h"

#include "common/util.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096u
#define PER_BLOCK (BLOCK / 32)
#define LEVELS 10 /* 128^10 blocks are more than there can be */
#define CHUNK (256u << 10)

struct super {
	uint8_t signature[8];
	uint32_t version, hash_type;
	uint8_t uuid[16];
	char algorithm[32];
	uint32_t data_block_size, hash_block_size;
	uint64_t data_blocks;
	uint16_t salt_size;
	uint8_t pad[6];
	uint8_t salt[256];
	uint8_t rest[168];
} __attribute__((packed));
_Static_assert(sizeof(struct super) == 512, "superblock");

/* The tree grows from its leaves: a block of digests per level, given up when it is full. */
struct tree {
	struct sha256_ctx salted; /* what every digest begins with */
	const struct st_verity *v;
	int fd; /* -1: only the root is wanted */
	unsigned levels;
	uint64_t place[LEVELS]; /* byte offset of each level's next block */
	size_t used[LEVELS];
	uint8_t block[LEVELS][BLOCK];
};

static void digest_block(const struct tree *t, const uint8_t *data, uint8_t ret[32])
{
	struct sha256_ctx ctx = t->salted;

	sha256_update(&ctx, BLOCK, data);
	sha256_digest(&ctx, 32, ret);
}

/* Levels from the leaves up; in the file the root's comes first.  Gives the bytes of the tree. */
static uint64_t tree_layout(struct tree *t, uint64_t data_blocks, uint64_t start)
{
	uint64_t count[LEVELS], n = data_blocks, at = start;

	t->levels = 0;
	do {
		n = (n + PER_BLOCK - 1) / PER_BLOCK;
		count[t->levels++] = n;
	} while (n > 1);
	for (unsigned i = t->levels; i-- > 0; at += count[i] * BLOCK)
		t->place[i] = at;
	return at - start;
}

static int tree_add(struct tree *t, unsigned level, const uint8_t digest[32]);

static int tree_flush(struct tree *t, unsigned level)
{
	uint8_t digest[32];
	int r;

	memset(t->block[level] + t->used[level], 0, BLOCK - t->used[level]);
	t->used[level] = 0;
	if (t->fd >= 0) {
		r = plug_pwrite_all(t->fd, t->block[level], BLOCK, t->place[level]);
		if (r < 0)
			return r;
		t->place[level] += BLOCK;
	}
	digest_block(t, t->block[level], digest);
	return tree_add(t, level + 1, digest);
}

/* Above the top level lies the root. */
static int tree_add(struct tree *t, unsigned level, const uint8_t digest[32])
{
	if (level == LEVELS)
		return -EFBIG;
	memcpy(t->block[level] + t->used[level], digest, 32);
	t->used[level] += 32;
	return t->used[level] == BLOCK && level < t->levels ? tree_flush(t, level) : 0;
}

static int tree_build(struct tree *t, const struct st_source *source, uint64_t bytes, uint8_t root[32])
{
	uint8_t *buffer = malloc(CHUNK), digest[32];
	int r = buffer ? 0 : -ENOMEM;

	for (uint64_t at = 0, n; r == 0 && at < bytes; at += n) {
		n = bytes - at < CHUNK ? bytes - at : CHUNK;
		r = st_source_read(source, buffer, (size_t)n, at);
		for (size_t i = 0; r == 0 && i < n; i += BLOCK) {
			digest_block(t, buffer + i, digest);
			r = tree_add(t, 0, digest);
		}
	}
	for (unsigned i = 0; r == 0 && i < t->levels; i++)
		if (t->used[i])
			r = tree_flush(t, i);
	if (r == 0)
		memcpy(root, t->block[t->levels], 32);
	free(buffer);
	return r;
}

static int tree_run(const struct st_source *source, const struct st_verity *v, int fd,
		    uint8_t root[32], uint64_t *ret_bytes)
{
	struct tree *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	if (t) {
		sha256_init(&t->salted);
		sha256_update(&t->salted, v->salt_size, v->salt);
		t->v = v;
		t->fd = fd;
		*ret_bytes = BLOCK + tree_layout(t, v->data_bytes / BLOCK, v->data_bytes + BLOCK);
		r = tree_build(t, source, v->data_bytes, root);
	}
	free(t);
	return r;
}

int st_verity_append(int fd, uint64_t data_bytes, const uint8_t uuid[16], struct st_verity *ret)
{
	struct st_verity v = { .data_bytes = data_bytes, .salt_size = 32 };
	uint8_t block[BLOCK] = { 0 };
	struct super s = { .signature = "verity",
			   .version = 1,
			   .hash_type = 1,
			   .algorithm = "sha256",
			   .data_block_size = BLOCK,
			   .hash_block_size = BLOCK,
			   .data_blocks = data_bytes / BLOCK,
			   .salt_size = 32 };
	struct st_source source;
	int r;

	if (data_bytes == 0 || data_bytes % BLOCK)
		return -EINVAL;
	memcpy(s.uuid, uuid, 16);
	memcpy(v.uuid, uuid, 16);
	memcpy(block, &s, sizeof(s));
	r = plug_pwrite_all(fd, block, BLOCK, data_bytes);
	if (r < 0)
		return r;
	st_source_fd(&source, &fd, data_bytes);
	r = tree_run(&source, &v, fd, v.root, &v.hash_bytes);
	if (r == 0)
		*ret = v;
	return r;
}

int st_verity_read(const struct st_source *source, uint64_t data_bytes, struct st_verity *ret)
{
	struct st_verity v = { .data_bytes = data_bytes };
	struct super s;
	int r = st_source_read(source, &s, sizeof(s), data_bytes);

	if (r < 0 || memcmp(s.signature, "verity\0\0", 8) != 0)
		return r < 0 && r != -EIO ? r : -ENOENT;
	if (s.version != 1 || s.hash_type != 1 || strncmp(s.algorithm, "sha256", 32) != 0 ||
	    s.data_block_size != BLOCK || s.hash_block_size != BLOCK ||
	    s.salt_size > sizeof(s.salt) || s.data_blocks != data_bytes / BLOCK || !data_bytes)
		return -EUCLEAN;
	memcpy(v.uuid, s.uuid, 16);
	memcpy(v.salt, s.salt, s.salt_size);
	v.salt_size = s.salt_size;
	*ret = v;
	return 0;
}

int st_verity_root(const struct st_source *source, const struct st_verity *v, uint8_t ret[32])
{
	uint64_t bytes;

	return tree_run(source, v, -1, ret, &bytes);
}

int st_digest_source(const struct st_source *source, uint8_t ret[32])
{
	uint8_t *buffer = malloc(CHUNK);
	struct sha256_ctx ctx;
	int r = buffer ? 0 : -ENOMEM;

	sha256_init(&ctx);
	for (uint64_t at = 0, n; r == 0 && at < source->size; at += n) {
		n = source->size - at < CHUNK ? source->size - at : CHUNK;
		r = st_source_read(source, buffer, (size_t)n, at);
		if (r == 0)
			sha256_update(&ctx, (size_t)n, buffer);
	}
	if (r == 0)
		sha256_digest(&ctx, 32, ret);
	free(buffer);
	return r;
}
