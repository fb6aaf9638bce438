/* SPDX-License-Identifier: MIT */
#include "cli/text.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = { { "0", 0 },          { "90", 90000 },          { "1.5", 1500 },
		     { "200ms", 200 },    { "1m30s", 90000 },       { "1.5h", 5400000 },
		     { "2d", 172800000 }, { "1h1m1s1ms", 3661001 }, { "1500us", 2 },
		     { "10m", 600000 } };
	static const char *const bad[] = { "",    "s",   "-1s", "1x",    "1 s", "1m30",
					   "1e3", "inf", ".",   "1..5s", "+3" };
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cow_text_duration_ms(good[i].text, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ms = 42;
		assert_int_equal(cow_text_duration_ms(bad[i], &ms), -EINVAL);
		assert_int_equal(ms, 42);
	}
	assert_int_equal(cow_text_duration_ms("99999999999999999d", &ms), -ERANGE);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = { { "0", 0 },
		     { "512", 512 },
		     { "512b", 512 },
		     { "64k", 65536 },
		     { "64M", 67108864 },
		     { "1.5g", 1610612736 },
		     { "2GiB", 2147483648 },
		     { "1kb", 1024 } };
	static const char *const bad[] = { "", "k", "-1", "1x", "1 k", "1kbb", "1bb", "1kibi" };
	int64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cow_text_size(good[i].text, &bytes), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cow_text_size(bad[i], &bytes), -EINVAL);
	assert_int_equal(cow_text_size("9999999p", &bytes), -ERANGE);
}

static void numbers(void **state)
{
	int64_t n;
	double d;

	(void)state;
	assert_int_equal(cow_text_int("-12", &n), 0);
	assert_int_equal(n, -12);
	assert_int_equal(cow_text_int("12x", &n), -EINVAL);
	assert_int_equal(cow_text_int(" 1", &n), -EINVAL);
	assert_int_equal(cow_text_int("", &n), -EINVAL);
	assert_int_equal(cow_text_int("99999999999999999999", &n), -ERANGE);
	assert_int_equal(cow_text_decimal("1.5", &d), 0);
	assert_true(d > 1.49 && d < 1.51);
	assert_int_equal(cow_text_decimal("1.5.2", &d), -EINVAL);
	assert_int_equal(cow_text_decimal("nan", &d), -EINVAL);
}

static void times(void **state)
{
	const uint64_t now = 1714558272000000000u; /* 2024-05-01T10:11:12Z */
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "2024-05-01T10:11:12Z", 1714558272000000000u },
		{ "2024-05-01T10:11:12.5Z", 1714558272500000000u },
		{ "2024-05-01T12:11:12+02:00", 1714558272000000000u },
		{ "2024-05-01T10:11:12.123456789", 1714558272123456789u },
		{ "2024-05-01T10:11", 1714558260000000000u },
		{ "2024-05-01", 1714521600000000000u },
		{ "1714558272", 1714558272000000000u },
		{ "1714558272.25", 1714558272250000000u },
		{ "10m", 1714557672000000000u },
		{ "1h30m", 1714552872000000000u },
		{ "500000h", 0 },
	};
	static const char *const bad[] = {
		"",    "yesterday", "2024-13-01",  "2024-05-01T10:11:12X", "2024-05-01T10:11:12.",
		"-5m", "5x",        "1714558272.x"
	};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cow_text_time_ns(good[i].text, now, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(cow_text_time_ns(bad[i], now, &ns), 0);
}

static void ago(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} cases[] = { { 0, "Less than a second" }, { 1, "1 second" },
		      { 59, "59 seconds" },        { 60, "About a minute" },
		      { 125, "2 minutes" },        { 3600, "About an hour" },
		      { 7200, "2 hours" },         { 172800, "2 days" },
		      { 1209600, "2 weeks" },      { 5184000, "2 months" },
		      { 63072000, "2 years" } };
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cow_text_ago(cases[i].seconds, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].text);
	}
}

static void bytes(void **state)
{
	char buf[32];

	(void)state;
	cow_text_bytes(0, true, buf, sizeof(buf));
	assert_string_equal(buf, "0B");
	cow_text_bytes(1536, true, buf, sizeof(buf));
	assert_string_equal(buf, "1.5KiB");
	cow_text_bytes(1536, false, buf, sizeof(buf));
	assert_string_equal(buf, "1.536kB");
	cow_text_bytes(UINT64_MAX, true, buf, sizeof(buf));
	assert_string_equal(buf, "16EiB");
	cow_text_rfc3339(1714558272000000005u, true, buf, sizeof(buf));
	assert_string_equal(buf, "2024-05-01T10:11:12.000000005Z");
	cow_text_rfc3339(1714558272000000005u, false, buf, sizeof(buf));
	assert_string_equal(buf, "2024-05-01T10:11:12Z");
}

static void expect_quoted(const char *word, const char *quoted)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_text_quote(&b, word);
	assert_string_equal(b.data, quoted);
	cow_strbuf_finish(&b);
}

static void quoting(void **state)
{
	(void)state;
	expect_quoted("plain-word_1.0", "plain-word_1.0");
	expect_quoted("", "''");
	expect_quoted("two words", "'two words'");
	expect_quoted("it's", "'it'\\''s'");
	expect_quoted("$HOME", "'$HOME'");
}

static void expect_cut(const char *text, size_t width, const char *cut)
{
	struct cow_strbuf b = COW_STRBUF_INIT;

	cow_text_cut(&b, text, width);
	assert_string_equal(b.data, cut);
	cow_strbuf_finish(&b);
}

static void cutting(void **state)
{
	(void)state;
	expect_cut("abcdef", 6, "abcdef");
	expect_cut("abcdefg", 6, "abcde…");
	expect_cut("äöüäöü", 6, "äöüäöü");
	expect_cut("äöüäöüä", 6, "äöüäö…");
	assert_int_equal(cow_text_width("äöü"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations), cmocka_unit_test(sizes),   cmocka_unit_test(numbers),
		cmocka_unit_test(times),     cmocka_unit_test(ago),     cmocka_unit_test(bytes),
		cmocka_unit_test(quoting),   cmocka_unit_test(cutting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
