/* SPDX-License-Identifier: MIT */
/*
 * dm-verity: SHA-256, blocks of 4096 bytes, hash type 1, as veritysetup and hcsshim's ext4/dmverity
 * have it: behind the data one block with the superblock, then the tree, root block first.
 */
#ifndef ST_DISK_VERITY_H
#define ST_DISK_VERITY_H

#include <stddef.h>
#include <stdint.h>

#include "disk/source.h"

struct st_verity {
	uint8_t root[32];
	uint8_t salt[256];
	size_t salt_size;
	uint64_t data_bytes; /* a multiple of 4096 */
	uint64_t hash_bytes; /* superblock and tree */
	uint8_t uuid[16];
};

/* Appends superblock and tree for the first data_bytes of fd; salt: 32 zero bytes. */
int st_verity_append(int fd, uint64_t data_bytes, const uint8_t uuid[16], struct st_verity *ret);
/* The superblock behind data_bytes of data.  -ENOENT: there is none; -EUCLEAN: it cannot be. */
int st_verity_read(const struct st_source *, uint64_t data_bytes, struct st_verity *ret);
/*
 * Reads all data and computes the root anew: what the image says of itself is not believed, only a root
 * that is known from elsewhere is.
 */
int st_verity_root(const struct st_source *, const struct st_verity *, uint8_t ret[32]);
/* SHA-256 of a whole source. */
int st_digest_source(const struct st_source *, uint8_t ret[32]);

#endif
