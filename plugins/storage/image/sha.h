/* SPDX-License-Identifier: MIT */
/* SHA-256 of what is in memory. */
#ifndef ST_IMAGE_SHA_H
#define ST_IMAGE_SHA_H

#include "image/store.h"

/* "sha256:…"; aborts where libcrypto has no SHA-256. */
void st_sha256_text(const void *data, size_t size, char ret[ST_DIGEST_SIZE]);

#endif
