/* SPDX-License-Identifier: MIT */
/* One direction of a relay: bytes from one descriptor to another, unchanged, without ever blocking. */
#ifndef COW_CLI_PUMP_H
#define COW_CLI_PUMP_H

#include "cli/terminal.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define COW_PUMP_BYTES (64u << 10)

struct cow_pump {
	int from, to; /* -1: not in use; `to` is never one's own standard stream itself */
	bool close_from, close_to;
	bool ended;                /* nothing more comes: end of file, or told so */
	bool broken;               /* `to` has no reader any more */
	size_t chunk;              /* largest write that cannot block */
	struct cow_detach *detach; /* NULL: all bytes pass */
	bool detached;
	size_t offset, len; /* bytes in buf that wait to be written */
	unsigned char *buf; /* COW_PUMP_BYTES + COW_DETACH_MAX */
	int error;          /* first failure other than the above */
};
#define COW_PUMP_INIT                                                                              \
	{                                                                                          \
		.from = -1, .to = -1                                                               \
	}

/*
 * Descriptors from the supervisor (pipes, a pty master) are taken over and made non-blocking.  One's
 * own standard streams stay as they are, for others share them: they are opened anew where the kernel
 * lets us, and otherwise written to in pieces that poll(2) promises room for.
 */
int cow_pump_in(struct cow_pump *pump, int own, int to, bool close_to);
int cow_pump_out(struct cow_pump *pump, int from, bool close_from, int own);
void cow_pump_finish(struct cow_pump *pump);

/* Nothing left to do, now or later. */
bool cow_pump_done(const struct cow_pump *pump);
/* What to wait for; -1 in ret->fd: nothing. */
void cow_pump_poll(const struct cow_pump *pump, struct pollfd *ret);
/* After poll(2). */
void cow_pump_run(struct cow_pump *pump, const struct pollfd *polled);

#endif
