/* SPDX-License-Identifier: MIT */
/* How people write and read times, sizes and command lines.  Pure. */
#ifndef COW_CLI_TEXT_H
#define COW_CLI_TEXT_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "90", "1m30s", "1.5h", "200ms" to milliseconds; a plain number is seconds.  -EINVAL. */
int cow_text_duration_ms(const char *text, int64_t *ret);
/* "512", "64m", "1.5GiB" to bytes, powers of 1024.  -EINVAL, -ERANGE. */
int cow_text_size(const char *text, int64_t *ret);
/* RFC 3339 (zone and time of day optional, then UTC and midnight), Unix seconds, or "10m" before now. */
int cow_text_time_ns(const char *text, uint64_t now_ns, uint64_t *ret);
int cow_text_int(const char *text, int64_t *ret);
int cow_text_decimal(const char *text, double *ret);

/* "3 seconds", "About a minute", "2 days". */
void cow_text_ago(uint64_t seconds, char *buf, size_t size);
/* 1536 -> "1.5KiB" (binary) or "1.54kB" (decimal), at most four digits. */
void cow_text_bytes(uint64_t bytes, bool binary, char *buf, size_t size);
/* "2024-05-01T10:11:12.123456789Z"; whole seconds where fraction is false. */
void cow_text_rfc3339(uint64_t ns, bool fraction, char *buf, size_t size);
/* One word as a POSIX shell would have to read it. */
void cow_text_quote(struct cow_strbuf *out, const char *word);
/* As many characters (not bytes) as width allows, the last one an ellipsis where text was cut. */
void cow_text_cut(struct cow_strbuf *out, const char *text, size_t width);
/* Characters, as a terminal counts them: UTF-8 continuation bytes take no column. */
size_t cow_text_width(const char *text);

#endif
