/* SPDX-License-Identifier: MIT */
#include "cli/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define NS_PER_S 1000000000ull

int cow_text_int(const char *text, int64_t *ret)
{
	char *end;
	long long n;

	if (!*text || isspace((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end)
		return -EINVAL;
	*ret = n;
	return 0;
}

/* Digits with at most one point: no sign, no exponent, no "inf". */
static int plain_number(const char *text, double *ret, const char **ret_end)
{
	const char *p = text;
	size_t digits = 0;

	for (int points = 0; isdigit((unsigned char)*p) || (*p == '.' && !points); p++) {
		points += *p == '.';
		digits += *p != '.';
	}
	if (!digits || p - text > 20)
		return -EINVAL;
	*ret = strtod(text, NULL);
	*ret_end = p;
	return 0;
}

int cow_text_decimal(const char *text, double *ret)
{
	const char *end;
	double d;
	int r = plain_number(text, &d, &end);

	if (r || *end)
		return -EINVAL;
	*ret = d;
	return 0;
}

static const struct {
	const char *name;
	double ms;
} duration_units[] = { { "ns", 1e-6 }, { "us", 1e-3 },  { "ms", 1 },     { "s", 1e3 },
		       { "m", 60e3 },  { "h", 3600e3 }, { "d", 86400e3 } };

int cow_text_duration_ms(const char *text, int64_t *ret)
{
	double total = 0;

	if (!*text)
		return -EINVAL;
	for (const char *p = text; *p;) {
		double n, ms = 0;
		size_t len = 0;

		if (plain_number(p, &n, &p))
			return -EINVAL;
		while (isalpha((unsigned char)p[len]))
			len++;
		for (size_t i = 0; len && i < sizeof(duration_units) / sizeof(duration_units[0]);
		     i++)
			if (strlen(duration_units[i].name) == len &&
			    !memcmp(p, duration_units[i].name, len))
				ms = duration_units[i].ms;
		/* Only a lone number may go without a unit. */
		if (!len && !*p && !strpbrk(text, "numshd"))
			ms = 1e3;
		if (ms <= 0)
			return -EINVAL;
		p += len;
		total += n * ms;
	}
	if (total > 9e15)
		return -ERANGE;
	*ret = (int64_t)(total + 0.5);
	return 0;
}

int cow_text_size(const char *text, int64_t *ret)
{
	static const char units[] = "bkmgtp";
	const char *end, *unit;
	double n;

	if (plain_number(text, &n, &end))
		return -EINVAL;
	if (*end) {
		unit = strchr(units, tolower((unsigned char)*end));
		if (!unit)
			return -EINVAL;
		end++;
		if (*unit != 'b' && strcasecmp(end, "") && strcasecmp(end, "b") &&
		    strcasecmp(end, "ib"))
			return -EINVAL;
		if (*unit == 'b' && *end)
			return -EINVAL;
		for (; unit > units; unit--)
			n *= 1024;
	}
	if (n >= 9.2e18)
		return -ERANGE;
	*ret = (int64_t)n;
	return 0;
}

/* ".123", then "Z", "+02:00" or nothing, up to the end of text. */
static int fraction_and_zone(const char *p, uint64_t *ret_ns, long *ret_offset_s)
{
	uint64_t ns = 0, unit = NS_PER_S;
	int hours, minutes, used = 0;
	char sign;

	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p) && unit > 1; p++) {
			unit /= 10;
			ns += (uint64_t)(*p - '0') * unit;
		}
		if (unit == NS_PER_S)
			return -EINVAL;
	}
	*ret_offset_s = 0;
	if (sscanf(p, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) == 3 && used == 6 &&
	    (sign == '+' || sign == '-')) {
		*ret_offset_s = (hours * 3600L + minutes * 60L) * (sign == '+' ? 1 : -1);
		p += used;
	} else if (*p == 'Z' || *p == 'z') {
		p++;
	}
	*ret_ns = ns;
	return *p ? -EINVAL : 0;
}

static int calendar_time(const char *text, uint64_t *ret)
{
	static const char *const formats[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm = { 0 };
		const char *rest = strptime(text, formats[i], &tm);
		uint64_t ns;
		long offset;
		time_t t;

		if (!rest || fraction_and_zone(rest, &ns, &offset))
			continue;
		t = timegm(&tm) - offset;
		if (t < 0)
			return -ERANGE;
		*ret = (uint64_t)t * NS_PER_S + ns;
		return 0;
	}
	return -EINVAL;
}

int cow_text_time_ns(const char *text, uint64_t now_ns, uint64_t *ret)
{
	const char *end;
	int64_t ms;
	double n;

	if (!calendar_time(text, ret))
		return 0;
	if (!plain_number(text, &n, &end) && !*end) {
		char *after;
		uint64_t ns = 0;
		unsigned long long whole = strtoull(text, &after, 10);
		long offset;

		if (whole > UINT64_MAX / NS_PER_S - 1 || fraction_and_zone(after, &ns, &offset))
			return -EINVAL;
		*ret = whole * NS_PER_S + ns;
		return 0;
	}
	if (cow_text_duration_ms(text, &ms))
		return -EINVAL;
	*ret = (uint64_t)ms * 1000000 < now_ns ? now_ns - (uint64_t)ms * 1000000 : 0;
	return 0;
}

void cow_text_ago(uint64_t s, char *buf, size_t size)
{
	static const struct {
		uint64_t below, seconds;
		const char *unit;
	} steps[] = { { 60, 1, "second" },
		      { 3600, 60, "minute" },
		      { 48 * 3600, 3600, "hour" },
		      { 14 * 86400, 86400, "day" },
		      { 60 * 86400, 7 * 86400, "week" },
		      { 730 * 86400, 30 * 86400, "month" },
		      { UINT64_MAX, 365 * 86400, "year" } };
	size_t i = 0;
	uint64_t n;

	if (s < 1) {
		(void)snprintf(buf, size, "Less than a second");
		return;
	}
	while (s >= steps[i].below)
		i++;
	n = s / steps[i].seconds;
	if (n == 1 && i > 0)
		(void)snprintf(buf, size, "About %s %s", i == 2 ? "an" : "a", steps[i].unit);
	else
		(void)snprintf(buf, size, "%llu %s%s", (unsigned long long)n, steps[i].unit,
			       n == 1 ? "" : "s");
}

void cow_text_bytes(uint64_t bytes, bool binary, char *buf, size_t size)
{
	static const char *const names[2][7] = { { "B", "kB", "MB", "GB", "TB", "PB", "EB" },
						 { "B", "KiB", "MiB", "GiB", "TiB", "PiB",
						   "EiB" } };
	double n = (double)bytes, base = binary ? 1024 : 1000;
	int unit = 0;

	for (; n >= base && unit < 6; unit++)
		n /= base;
	(void)snprintf(buf, size, "%.4g%s", n, names[binary][unit]);
}

void cow_text_rfc3339(uint64_t ns, bool fraction, char *buf, size_t size)
{
	time_t t = (time_t)(ns / NS_PER_S);
	struct tm tm;
	size_t n;

	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	if (fraction)
		(void)snprintf(buf + n, size - n, ".%09uZ", (unsigned)(ns % NS_PER_S));
	else
		(void)snprintf(buf + n, size - n, "Z");
}

void cow_text_quote(struct cow_strbuf *out, const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_@%+=:,./-";

	if (*word && strspn(word, safe) == strlen(word)) {
		cow_strbuf_add(out, word);
		return;
	}
	cow_strbuf_add(out, "'");
	for (const char *p = word; *p; p++)
		if (*p == '\'')
			cow_strbuf_add(out, "'\\''");
		else
			cow_strbuf_addn(out, p, 1);
	cow_strbuf_add(out, "'");
}

static bool continuation(char c)
{
	return ((unsigned char)c & 0xc0u) == 0x80u;
}

size_t cow_text_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += !continuation(*text);
	return n;
}

void cow_text_cut(struct cow_strbuf *out, const char *text, size_t width)
{
	const char *p = text;

	if (cow_text_width(text) <= width) {
		cow_strbuf_add(out, text);
		return;
	}
	for (size_t n = 0; n + 1 < width; n++)
		for (p++; continuation(*p); p++)
			;
	cow_strbuf_addn(out, text, (size_t)(p - text));
	cow_strbuf_add(out, "…");
}
