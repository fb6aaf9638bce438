/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's own log: text for people or JSON lines, fixed keys
 * ts level event msg container txn step plugin state_from state_to code errno dur_ms.
 * Only programs and the host log; library code returns errors.
 */
#ifndef COW_BASE_LOG_H
#define COW_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum cow_log_level { COW_LOG_ERROR, COW_LOG_WARN, COW_LOG_INFO, COW_LOG_DEBUG };

struct cow_log_line {
	enum cow_log_level level;
	const char *event; /* "container.start": never NULL */
	const char *msg;   /* the rest may be NULL / 0 = absent */
	const char *container, *txn, *step, *plugin, *state_from, *state_to;
	int code;          /* exit code or negative errno; used when has_code */
	bool has_code;
	int64_t dur_ms;    /* -1 or 0: absent */
};

/* Where lines go: fd (stays the caller's), lowest importance, JSON or text. */
void cow_log_setup(int fd, enum cow_log_level level, bool json);
/* Also give each line, as one JSON object, to sink (the flight recorder, `events`).  NULL: stop. */
void cow_log_tap(void (*sink)(void *arg, const struct cow_log_line *line), void *arg);
void cow_log_write(const struct cow_log_line *line);
/* cow_log(.level = COW_LOG_INFO, .event = "x", .msg = "y"); */
#define cow_log(...) cow_log_write(&(const struct cow_log_line){ __VA_ARGS__ })
int cow_log_level_parse(const char *text, enum cow_log_level *ret);

#endif
