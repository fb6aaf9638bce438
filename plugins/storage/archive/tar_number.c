/* SPDX-License-Identifier: MIT */
#include "archive/tar_private.h"

#include <errno.h>
#include <string.h>

/* Bit 7 of the first byte: big endian, two's complement, of all other bits (GNU, star). */
static int number_binary(const uint8_t *p, size_t size, int64_t *ret)
{
	bool negative = p[0] & 0x40;
	uint64_t value = negative ? UINT64_MAX : 0, sign = value;

	for (size_t i = 0; i < size; i++) {
		uint8_t byte = i ? p[i] : (uint8_t)(negative ? p[0] | 0x80 : p[0] & 0x7f);

		if (value >> 55 != sign >> 55)
			return -ERANGE; /* the next eight bits would lose some */
		value = value << 8 | byte;
	}
	*ret = (int64_t)value;
	return 0;
}

/* Octal digits among spaces, up to a NUL or space; nothing at all is 0. */
static int number_octal(const uint8_t *p, size_t size, int64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	while (i < size && p[i] == ' ')
		i++;
	for (; i < size && p[i] >= '0' && p[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(p[i] - '0'); /* 12 digits at most: 36 bits */
	for (; i < size && p[i]; i++)
		if (p[i] != ' ')
			return -EBADMSG;
	*ret = (int64_t)value;
	return 0;
}

int tar_field_number(const uint8_t *block, struct tar_field field, int64_t *ret)
{
	const uint8_t *p = block + field.at;

	return p[0] & 0x80 ? number_binary(p, field.size, ret) : number_octal(p, field.size, ret);
}

int tar_field_unsigned(const uint8_t *block, struct tar_field field, uint64_t *ret)
{
	int64_t value;
	int r = tar_field_number(block, field, &value);

	if (r)
		return r;
	if (value < 0)
		return -ERANGE;
	*ret = (uint64_t)value;
	return 0;
}

int tar_decimal(const char *text, size_t size, uint64_t *ret)
{
	uint64_t value = 0;

	if (!size)
		return -EBADMSG;
	for (size_t i = 0; i < size; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9')
			return -EBADMSG;
		/* Up to 2^63 - 1: what is counted here is added to, and is a file's size. */
		if (value > ((uint64_t)INT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}

/* Seconds with an optional fraction, of which nine digits count. */
int tar_time(const char *text, size_t size, struct timespec *ret)
{
	bool negative = size && text[0] == '-';
	const char *dot;
	size_t whole, digits = 0;
	uint64_t seconds;
	long nanos = 0;
	int r;

	text += negative;
	size -= negative;
	dot = memchr(text, '.', size);
	whole = dot ? (size_t)(dot - text) : size;
	r = tar_decimal(text, whole, &seconds);
	if (r)
		return r;
	for (size_t i = whole + 1; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EBADMSG;
		if (digits < 9) {
			nanos = nanos * 10 + (text[i] - '0');
			digits++;
		}
	}
	for (; digits < 9; digits++)
		nanos *= 10;
	ret->tv_sec = negative ? -(time_t)seconds : (time_t)seconds;
	ret->tv_nsec = nanos;
	if (negative && nanos) { /* -1.25 is -2 and three quarters */
		ret->tv_sec--;
		ret->tv_nsec = 1000000000 - nanos;
	}
	return 0;
}

/* The sum of all bytes, those of the sum taken as spaces; old tars took char as signed. */
int tar_checksum(const uint8_t *block)
{
	const struct tar_field field = TAR_CHECKSUM;
	int64_t expected, sum = 0, with_sign = 0;

	if (tar_field_number(block, field, &expected))
		return -EBADMSG;
	for (unsigned i = 0; i < TAR_BLOCK; i++) {
		uint8_t byte = i - field.at < field.size ? ' ' : block[i];

		sum += byte;
		with_sign += (int8_t)byte;
	}
	return expected == sum || expected == with_sign ? 0 : -EBADMSG;
}
