/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 as image digests write it: "sha256:" and 64 lower-case hexadecimal digits (OCI image
 * specification, descriptor.md).  Safe on any thread, one hash on one thread at a time.
 */
#ifndef ST_ARCHIVE_DIGEST_H
#define ST_ARCHIVE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define ST_SHA256_BYTES 32
#define ST_HEX_MAX (2 * ST_SHA256_BYTES + 1)  /* 64 digits and the NUL */
#define ST_DIGEST_MAX (7 + ST_HEX_MAX)        /* "sha256:" before them */

struct st_hash;

/* The caller destroys it.  -ENOMEM. */
int st_hash_create(struct st_hash **ret);
void st_hash_destroy(struct st_hash *hash); /* NULL: nothing */
void st_hash_add(struct st_hash *hash, const void *data, size_t size);
/* The digest of all that was added, as text; once. */
void st_hash_end(struct st_hash *hash, char ret[static ST_DIGEST_MAX]);

/* The digest of one piece of memory.  -ENOMEM. */
int st_digest_of(const void *data, size_t size, char ret[static ST_DIGEST_MAX]);

/* The 64 digits within a well-formed SHA-256 digest (its end), or NULL for any other text. */
const char *st_digest_hex(const char *digest);

#endif
