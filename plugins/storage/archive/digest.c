/* SPDX-License-Identifier: MIT */
#include "archive/digest.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Nettle takes the processor's SHA instructions where it has them, as libcrypto does; but a supervisor that
 * has only loaded this plugin pays a quarter of a megabyte for it, not one and a half.
 */
struct st_hash {
	struct sha256_ctx context;
};

int st_hash_create(struct st_hash **ret)
{
	struct st_hash *hash = calloc(1, sizeof(*hash));

	if (!hash)
		return -ENOMEM;
	sha256_init(&hash->context);
	*ret = hash;
	return 0;
}

void st_hash_destroy(struct st_hash *hash)
{
	free(hash);
}

void st_hash_add(struct st_hash *hash, const void *data, size_t size)
{
	if (size)
		sha256_update(&hash->context, size, data);
}

static void hex_of(const uint8_t *bytes, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*ret++ = digits[bytes[i] >> 4];
		*ret++ = digits[bytes[i] & 15];
	}
	*ret = 0;
}

void st_hash_end(struct st_hash *hash, char ret[static ST_DIGEST_MAX])
{
	uint8_t bytes[ST_SHA256_BYTES];

	sha256_digest(&hash->context, sizeof(bytes), bytes);
	memcpy(ret, "sha256:", 7);
	hex_of(bytes, ST_SHA256_BYTES, ret + 7);
}

int st_digest_of(const void *data, size_t size, char ret[static ST_DIGEST_MAX])
{
	struct st_hash *hash;
	int r = st_hash_create(&hash);

	if (r)
		return r;
	st_hash_add(hash, data, size);
	st_hash_end(hash, ret);
	st_hash_destroy(hash);
	return 0;
}

const char *st_digest_hex(const char *digest)
{
	if (!digest || strncmp(digest, "sha256:", 7) != 0)
		return NULL;
	digest += 7;
	return strspn(digest, "0123456789abcdef") == 64 && !digest[64] ? digest : NULL;
}
