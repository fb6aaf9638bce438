/* SPDX-License-Identifier: MIT */
#include "base/flight.h"
#include "base/ids.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHT_FIRST_CAP 256

/* What stands in front of each text; the records lie one behind the other, oldest first. */
struct record {
	uint64_t ts_ms;
	uint8_t len;
} __attribute__((packed));

_Static_assert(COW_FLIGHT_TEXT_MAX <= UINT8_MAX, "its length is kept in a byte");
_Static_assert(COW_FLIGHT_BYTES <= UINT16_MAX, "offsets are kept in two bytes");

static struct record record_at(const struct cow_flight *f, size_t at)
{
	struct record record;
	memcpy(&record, f->data + at, sizeof(record));
	return record;
}

static void flight_drop_oldest(struct cow_flight *f)
{
	size_t size = sizeof(struct record) + record_at(f, 0).len;
	memmove(f->data, f->data + size, f->len - size);
	f->len = (uint16_t)(f->len - size);
	f->events--;
}

static bool flight_grow(struct cow_flight *f, size_t need)
{
	size_t cap = f->cap ? f->cap : FLIGHT_FIRST_CAP;
	while (cap < need)
		cap *= 2;
	if (cap > COW_FLIGHT_BYTES)
		cap = COW_FLIGHT_BYTES;
	if (cap == f->cap)
		return true;
	unsigned char *data = realloc(f->data, cap);
	if (!data)
		return false;
	f->data = data;
	f->cap = (uint16_t)cap;
	return true;
}

void cow_flight_add(struct cow_flight *f, const char *format, ...)
{
	char text[COW_FLIGHT_TEXT_MAX + 1];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0)
		return;
	const struct record record = {
		.ts_ms = cow_realtime_ns() / 1000000u,
		.len = (uint8_t)(n > COW_FLIGHT_TEXT_MAX ? COW_FLIGHT_TEXT_MAX : n),
	};
	size_t size = sizeof(record) + record.len;
	while (f->events >= COW_FLIGHT_EVENTS || f->len + size > COW_FLIGHT_BYTES)
		flight_drop_oldest(f);
	if (f->len + size > f->cap && !flight_grow(f, f->len + size)) {
		/* No more memory: make do with what there is. */
		if (size > f->cap)
			return;
		while (f->len + size > f->cap)
			flight_drop_oldest(f);
	}
	memcpy(f->data + f->len, &record, sizeof(record));
	memcpy(f->data + f->len + sizeof(record), text, record.len);
	f->len = (uint16_t)(f->len + size);
	f->events++;
}

void cow_flight_json(const struct cow_flight *f, struct cow_strbuf *b)
{
	cow_strbuf_add(b, "[");
	for (size_t at = 0; at < f->len;) {
		char text[COW_FLIGHT_TEXT_MAX + 1];
		struct record record = record_at(f, at);
		memcpy(text, f->data + at + sizeof(record), record.len);
		text[record.len] = '\0';
		cow_strbuf_addf(b, "%s{\"ts_ms\":%llu,\"text\":", at > 0 ? "," : "",
				(unsigned long long)record.ts_ms);
		cow_strbuf_json(b, text);
		cow_strbuf_add(b, "}");
		at += sizeof(record) + record.len;
	}
	cow_strbuf_add(b, "]");
}

void cow_flight_finish(struct cow_flight *f)
{
	free(f->data);
	*f = (struct cow_flight){ 0 };
}
