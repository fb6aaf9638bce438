/* SPDX-License-Identifier: MIT */
#include "image/sha.h"

#include <nettle/sha2.h>
#include <string.h>

void st_sha256_text(const void *data, size_t size, char ret[ST_DIGEST_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	struct sha256_ctx context;
	unsigned char sum[SHA256_DIGEST_SIZE];
	char *p = ret + sizeof("sha256:") - 1;

	sha256_init(&context);
	sha256_update(&context, size, data);
	sha256_digest(&context, sizeof(sum), sum);
	memcpy(ret, "sha256:", sizeof("sha256:") - 1);
	for (size_t i = 0; i < sizeof(sum); i++) {
		*p++ = digits[sum[i] >> 4];
		*p++ = digits[sum[i] & 15];
	}
	*p = 0;
}

void st_chain_id(const char *parent, const char *diff, char ret[ST_DIGEST_SIZE])
{
	char both[2 * ST_DIGEST_SIZE];

	if (!*parent) {
		(void)strcpy(ret, diff);
		return;
	}
	(void)strcpy(both, parent);
	(void)strcat(both, " ");
	(void)strcat(both, diff);
	st_sha256_text(both, strlen(both), ret);
}

bool st_digest_valid(const char *digest)
{
	const char *hex = digest + sizeof("sha256:") - 1;

	return !strncmp(digest, "sha256:", sizeof("sha256:") - 1) &&
	       strspn(hex, "0123456789abcdef") == 64 && !hex[64];
}
