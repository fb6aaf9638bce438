/* SPDX-License-Identifier: MIT */
/*
 * A flight recorder: the last events of one container, kept cheaply, looked at when something
 * failed.  One block of memory that grows up to COW_FLIGHT_BYTES: the oldest events make room.
 */
#ifndef COW_BASE_FLIGHT_H
#define COW_BASE_FLIGHT_H

#include "base/strbuf.h"

#include <stdint.h>

#define COW_FLIGHT_EVENTS 64
#define COW_FLIGHT_BYTES 5120
#define COW_FLIGHT_TEXT_MAX 255 /* longer ones are cut */

/* Zero-initialised = empty, and without memory. */
struct cow_flight {
	unsigned char *data; /* private: as are the others */
	uint16_t len, cap, events;
};

/* Out of memory is no error here: what cannot be kept is not. */
void cow_flight_add(struct cow_flight *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* As a JSON array, oldest first: [{"ts_ms":1763792999123,"text":"..."}], ts_ms since 1970. */
void cow_flight_json(const struct cow_flight *f, struct cow_strbuf *b);
void cow_flight_finish(struct cow_flight *f);

#endif
