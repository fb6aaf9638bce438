/* SPDX-License-Identifier: MIT */
#include "txn/ledger_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRC_DIGITS 8
#define FIELDS_MAX 6

/* CRC-32C (Castagnoli, reflected), four bits at a time. */
static uint32_t crc32c(const char *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned char)data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* A field must contain neither of the separators; an escaped one has no such byte. */
static void line_add_field(struct cow_strbuf *b, const char *s)
{
	cow_strbuf_add(b, "\t");
	for (;;) {
		size_t plain = strcspn(s, "\t\n\\");
		cow_strbuf_addn(b, s, plain);
		s += plain;
		if (*s == '\0')
			return;
		cow_strbuf_add(b, *s == '\t' ? "\\t" : *s == '\n' ? "\\n" : "\\\\");
		s++;
	}
}

static void line_unescape(char *s)
{
	char *out = s;
	for (; *s; s++) {
		if (*s == '\\' && s[1] != '\0') {
			s++;
			*out++ = *s == 't' ? '\t' : *s == 'n' ? '\n' : *s;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* Room for the checksum; returns where the line starts. */
static size_t line_begin(struct cow_strbuf *b)
{
	size_t start = b->len;
	cow_strbuf_add(b, "00000000\t");
	return start;
}

static void line_end(struct cow_strbuf *b, size_t start)
{
	char digits[CRC_DIGITS + 1];
	if (b->error != 0)
		return;
	const char *body = b->data + start + CRC_DIGITS + 1;
	uint32_t crc = crc32c(body, b->len - start - CRC_DIGITS - 1);
	(void)snprintf(digits, sizeof(digits), "%08" PRIx32, crc);
	memcpy(b->data + start, digits, CRC_DIGITS);
	cow_strbuf_add(b, "\n");
}

void cow_ledger_line_header(struct cow_strbuf *b, const char *boot)
{
	size_t start = line_begin(b);
	cow_strbuf_addf(b, "H\t%d", COW_LEDGER_VERSION);
	line_add_field(b, boot);
	line_end(b, start);
}

void cow_ledger_line_intent(struct cow_strbuf *b, const struct cow_ledger_entry *entry)
{
	size_t start = line_begin(b);
	cow_strbuf_addf(b, "I\t%" PRIu64 "\t%c", entry->seq, entry->durable ? 'd' : 'v');
	line_add_field(b, entry->allocator);
	line_add_field(b, entry->key);
	line_add_field(b, entry->record);
	line_end(b, start);
}

void cow_ledger_line_release(struct cow_strbuf *b, uint64_t seq)
{
	size_t start = line_begin(b);
	cow_strbuf_addf(b, "R\t%" PRIu64, seq);
	line_end(b, start);
}

static bool parse_number(const char *s, int base, uint64_t *ret)
{
	char *end;
	if (*s == '\0' || strspn(s, "0123456789abcdef") != strlen(s))
		return false;
	errno = 0;
	*ret = strtoull(s, &end, base);
	return errno == 0 && *end == '\0';
}

/* The fields after the checksum; what was checked by it can be wrong only by a writer's mistake. */
static int parse_fields(char **fields, unsigned count, struct cow_ledger_line *ret)
{
	struct cow_ledger_line line = { .kind = fields[0][0] };
	uint64_t number;
	if (fields[0][0] == '\0' || fields[0][1] != '\0' || count < 2 ||
	    !parse_number(fields[1], 10, &number))
		return -EBADMSG;
	switch (line.kind) {
	case 'H':
		line.version = (unsigned)number;
		line.boot = count > 2 ? fields[2] : "";
		break;
	case 'I':
		if (count != 6)
			return -EBADMSG;
		line.entry = (struct cow_ledger_entry){
			.seq = number,
			.durable = fields[2][0] == 'd',
			.allocator = fields[3],
			.key = fields[4],
			.record = fields[5],
		};
		break;
	case 'R':
		line.entry.seq = number;
		break;
	default:
		return -EBADMSG;
	}
	*ret = line;
	return 0;
}

int cow_ledger_line_parse(char *text, size_t len, struct cow_ledger_line *ret)
{
	char *fields[FIELDS_MAX];
	unsigned count = 0;
	uint64_t crc;
	text[len] = '\0';
	if (len < CRC_DIGITS + 2 || text[CRC_DIGITS] != '\t')
		return -EBADMSG;
	text[CRC_DIGITS] = '\0';
	char *rest = text + CRC_DIGITS + 1;
	if (!parse_number(text, 16, &crc) || crc != crc32c(rest, len - CRC_DIGITS - 1))
		return -EBADMSG;
	while (rest && count < FIELDS_MAX) {
		fields[count++] = strsep(&rest, "\t");
		line_unescape(fields[count - 1]);
	}
	return rest ? -EBADMSG : parse_fields(fields, count, ret);
}
