/* SPDX-License-Identifier: MIT */
/* Any bytes as an extended header (the first says which) before a file of 8 bytes. */
#include "archive/tar.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	uint8_t *data;
	size_t size, at;
};

static ssize_t bytes_read(void *arg, void *buffer, size_t size)
{
	struct bytes *bytes = arg;
	size_t n = bytes->size - bytes->at < size ? bytes->size - bytes->at : size;

	memcpy(buffer, bytes->data + bytes->at, n);
	bytes->at += n;
	return (ssize_t)n;
}

static uint8_t *header(uint8_t *block, char type, size_t size)
{
	unsigned sum = 0;

	memcpy(block, "name", 4);
	memcpy(block + 100, "0000644", 8);
	(void)snprintf((char *)block + 124, 12, "%011o", (unsigned)size);
	block[156] = (uint8_t)type;
	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (unsigned i = 0; i < 512; i++)
		sum += block[i];
	(void)snprintf((char *)block + 148, 8, "%06o", sum);
	return block + 512;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char types[] = "xgLKS";
	size_t text = size ? size - 1 : 0, room = 512 + text + 511 + 512 + 2048 + 1024;
	uint8_t *archive = calloc(1, room), *at = archive;
	struct bytes in = { .data = archive, .size = room };
	const struct st_entry *entry;
	struct st_tar *tar;
	const void *piece;
	ssize_t n;
	int r;

	if (!archive || !size)
		goto out;
	at = header(at, types[data[0] % 5], text);
	memcpy(at, data + 1, text);
	at += (text + 511) / 512 * 512;
	at = header(at, '0', 8);
	/* Beginnings of maps, should it be called sparse. */
	memcpy(at, "1\n0\n8\n", 6);
	in.size = (size_t)(at - archive) + 512 + 1024;
	if (st_tar_open(bytes_read, &in, NULL, &tar))
		abort();
	while ((r = st_tar_next(tar, &entry)) > 0) {
		for (size_t i = 0; i < entry->pax_count; i++)
			if (strlen(entry->pax[i].key) > text || entry->pax[i].size > text)
				abort();
		while ((n = st_tar_take(tar, &piece)) > 0)
			;
		if (n < 0)
			break;
	}
	if (r < 0 && !st_tar_error(tar)[0])
		abort();
	st_tar_close(tar);
out:
	free(archive);
	return 0;
}
