/* SPDX-License-Identifier: MIT */
/* Archives in memory, made by hand: what no sane program would write. */
#ifndef ST_TESTS_ARCHIVE_MAKE_H
#define ST_TESTS_ARCHIVE_MAKE_H

#include "archive/tar.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mem {
	uint8_t *data;
	size_t size, cap;
	size_t at;    /* read up to here */
	size_t piece; /* bytes that a read gives at most; 0: as many as are asked for */
	int fail;     /* what reading says at the end, instead of the end */
};

static inline int mem_write(void *arg, const void *data, size_t size)
{
	struct mem *mem = arg;

	if (mem->size + size > mem->cap) {
		size_t cap = 2 * (mem->size + size);
		uint8_t *grown = realloc(mem->data, cap);

		if (!grown)
			return -ENOMEM;
		mem->data = grown;
		mem->cap = cap;
	}
	if (size)
		memcpy(mem->data + mem->size, data, size);
	mem->size += size;
	return 0;
}

static inline ssize_t mem_read(void *arg, void *buffer, size_t size)
{
	struct mem *mem = arg;
	size_t n = mem->size - mem->at;

	if (!n && mem->fail)
		return mem->fail;
	if (n > size)
		n = size;
	if (mem->piece && n > mem->piece)
		n = mem->piece;
	if (n)
		memcpy(buffer, mem->data + mem->at, n);
	mem->at += n;
	return (ssize_t)n;
}

static inline void mem_free(struct mem *mem)
{
	free(mem->data);
	*mem = (struct mem){ 0 };
}

static inline void mem_zeros(struct mem *mem, size_t size)
{
	static const uint8_t zeros[512];

	for (; size; size -= size < 512 ? size : 512)
		(void)mem_write(mem, zeros, size < 512 ? size : 512);
}

static inline void mem_pad(struct mem *mem)
{
	mem_zeros(mem, -mem->size % 512);
}

static inline void mem_sum(uint8_t *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (unsigned i = 0; i < 512; i++)
		sum += block[i];
	(void)snprintf((char *)block + 148, 8, "%06o", sum);
}

/* A ustar header; returns where it is. */
static inline size_t mem_header(struct mem *mem, const char *name, char type, uint64_t size,
				const char *link)
{
	size_t at = mem->size;
	uint8_t block[512] = { 0 };

	(void)strncpy((char *)block, name, 100);
	memcpy(block + 100, "0000644", 8);
	memcpy(block + 108, "0000000", 8);
	memcpy(block + 116, "0000000", 8);
	(void)snprintf((char *)block + 124, 12, "%011llo", (unsigned long long)size);
	memcpy(block + 136, "00000000017", 12);
	block[156] = (uint8_t)type;
	(void)strncpy((char *)block + 157, link ? link : "", 100);
	memcpy(block + 257, "ustar\00000", 8);
	mem_sum(block);
	(void)mem_write(mem, block, 512);
	return at;
}

static inline void mem_data(struct mem *mem, const void *data, size_t size)
{
	(void)mem_write(mem, data, size);
	mem_pad(mem);
}

static inline void mem_file(struct mem *mem, const char *name, const char *text)
{
	(void)mem_header(mem, name, '0', strlen(text), NULL);
	mem_data(mem, text, strlen(text));
}

/* An extended header of one type with this data. */
static inline void mem_extended(struct mem *mem, char type, const void *data, size_t size)
{
	(void)mem_header(mem, "PaxHeaders/x", type, size, NULL);
	mem_data(mem, data, size);
}

/* One record, its length in front. */
static inline size_t record_of(char *to, size_t room, const char *key, const char *value, size_t size)
{
	size_t rest = strlen(key) + size + 3, length = rest;
	char head[32];

	for (;;) {
		size_t n = (size_t)snprintf(head, sizeof(head), "%zu", length);
		if (rest + n == length)
			break;
		length = rest + n;
	}
	if (length > room)
		return 0;
	(void)snprintf(to, room, "%s %s=", head, key);
	memcpy(to + length - 1 - size, value, size);
	to[length - 1] = '\n';
	return length;
}

static inline void mem_pax(struct mem *mem, const char *key, const char *value)
{
	char text[8192];

	mem_extended(mem, 'x', text, record_of(text, sizeof(text), key, value, strlen(value)));
}

static inline void mem_end(struct mem *mem)
{
	mem_zeros(mem, 1024);
}

#endif
