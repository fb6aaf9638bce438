/* SPDX-License-Identifier: MIT */
#include "base/log.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/ids.h"
#include "base/strbuf.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static struct {
	int fd;
	enum cow_log_level level;
	bool json;
	void (*sink)(void *arg, const struct cow_log_line *line);
	void *sink_arg;
	bool in_sink;
} logger = { .fd = STDERR_FILENO, .level = COW_LOG_INFO };

void cow_log_setup(int fd, enum cow_log_level level, bool json)
{
	logger.fd = fd;
	logger.level = level;
	logger.json = json;
}

void cow_log_tap(void (*sink)(void *arg, const struct cow_log_line *line), void *arg)
{
	logger.sink = sink;
	logger.sink_arg = arg;
}

int cow_log_level_parse(const char *text, enum cow_log_level *ret)
{
	for (size_t i = 0; i < COW_ELEMENTS(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret = (enum cow_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* RFC 3339, UTC, milliseconds. */
static void log_timestamp(char *buf, size_t size)
{
	uint64_t ns = cow_realtime_ns();
	time_t seconds = (time_t)(ns / 1000000000u);
	struct tm tm;
	char date[32];
	(void)gmtime_r(&seconds, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf, size, "%s.%03uZ", date, (unsigned)(ns / 1000000u % 1000u));
}

/* The optional members that both formats write by key. */
struct log_pair {
	const char *key, *value;
};

static void log_json(struct cow_strbuf *b, const char *ts, const struct cow_log_line *line)
{
	const struct log_pair pairs[] = {
		{ "msg", line->msg },           { "container", line->container },
		{ "txn", line->txn },           { "step", line->step },
		{ "plugin", line->plugin },     { "state_from", line->state_from },
		{ "state_to", line->state_to },
	};
	cow_strbuf_addf(b, "{\"ts\":\"%s\",\"level\":\"%s\",\"event\":", ts,
			level_names[line->level]);
	cow_strbuf_json(b, line->event);
	for (size_t i = 0; i < COW_ELEMENTS(pairs); i++) {
		if (!pairs[i].value)
			continue;
		cow_strbuf_addf(b, ",\"%s\":", pairs[i].key);
		cow_strbuf_json(b, pairs[i].value);
	}
	if (line->has_code) {
		cow_strbuf_addf(b, ",\"code\":%d", line->code);
		if (line->code < 0)
			cow_strbuf_addf(b, ",\"errno\":\"%s\"", cow_errno_name(line->code));
	}
	if (line->dur_ms > 0)
		cow_strbuf_addf(b, ",\"dur_ms\":%lld", (long long)line->dur_ms);
	cow_strbuf_add(b, "}\n");
}

/* Prose stays readable, but one line, and without what moves a terminal's cursor. */
static void log_text_prose(struct cow_strbuf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '\n')
			cow_strbuf_add(b, "\\n");
		else if (c < 0x20 || c == 0x7f)
			cow_strbuf_addf(b, "\\x%02x", c);
		else
			cow_strbuf_addn(b, s, 1);
	}
}

static void log_text_value(struct cow_strbuf *b, const char *s)
{
	bool bare = *s != '\0';
	for (const char *p = s; *p; p++)
		bare = bare && *p > ' ' && *p != '"' && *p != '\\' && *p != 0x7f;
	if (bare)
		cow_strbuf_add(b, s);
	else
		cow_strbuf_json(b, s);
}

static void log_text(struct cow_strbuf *b, const char *ts, const struct cow_log_line *line)
{
	const struct log_pair pairs[] = {
		{ "txn", line->txn },
		{ "step", line->step },
		{ "plugin", line->plugin },
		{ "state_from", line->state_from },
		{ "state_to", line->state_to },
	};
	cow_strbuf_addf(b, "%s %s ", ts, level_names[line->level]);
	log_text_prose(b, line->event);
	if (line->container) {
		cow_strbuf_add(b, " ");
		log_text_prose(b, line->container);
	}
	if (line->msg) {
		cow_strbuf_add(b, ": ");
		log_text_prose(b, line->msg);
	}
	for (size_t i = 0; i < COW_ELEMENTS(pairs); i++) {
		if (!pairs[i].value)
			continue;
		cow_strbuf_addf(b, " %s=", pairs[i].key);
		log_text_value(b, pairs[i].value);
	}
	if (line->has_code) {
		cow_strbuf_addf(b, " code=%d", line->code);
		if (line->code < 0)
			cow_strbuf_addf(b, " errno=%s", cow_errno_name(line->code));
	}
	if (line->dur_ms > 0)
		cow_strbuf_addf(b, " dur_ms=%lld", (long long)line->dur_ms);
	cow_strbuf_add(b, "\n");
}

void cow_log_write(const struct cow_log_line *line)
{
	if (logger.sink && !logger.in_sink) {
		logger.in_sink = true; /* a sink that logs does not hear itself */
		logger.sink(logger.sink_arg, line);
		logger.in_sink = false;
	}
	if (line->level > logger.level || logger.fd < 0)
		return;

	_cleanup_(cow_strbuf_finishp) struct cow_strbuf b = COW_STRBUF_INIT;
	char ts[64];
	log_timestamp(ts, sizeof(ts));
	if (logger.json)
		log_json(&b, ts, line);
	else
		log_text(&b, ts, line);
	/* Nobody to tell that a log line is lost; the caller's work goes on. */
	if (b.error == 0)
		(void)cow_fs_write_all(logger.fd, b.data, b.len);
}
