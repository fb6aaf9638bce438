/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static void keys(void **state)
{
	struct cow_detach d;

	(void)state;
	assert_int_equal(cow_detach_parse(COW_DETACH_KEYS, &d), 0);
	assert_int_equal(d.count, 2);
	assert_int_equal(d.keys[0], 16);
	assert_int_equal(d.keys[1], 17);
	assert_int_equal(cow_detach_parse("ctrl-@,x,ctrl-_,,", &d), 0);
	assert_int_equal(d.count, 4);
	assert_memory_equal(d.keys, "\0x\037,", 4);
	assert_int_equal(cow_detach_parse("", &d), 0);
	assert_int_equal(d.count, 0);
	assert_int_equal(cow_detach_parse("ctrl-", &d), -EINVAL);
	assert_int_equal(cow_detach_parse("ctrl-1", &d), -EINVAL);
	assert_int_equal(cow_detach_parse("xy", &d), -EINVAL);
	assert_int_equal(cow_detach_parse("a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", &d), -EINVAL);
}

/* Feed in pieces of `step` bytes: what comes out, and whether the sequence was seen. */
static bool feed(const char *sequence, const char *typed, size_t step, char *out)
{
	size_t len = strlen(typed), n, at = 0;
	struct cow_detach d;
	bool found = false;

	assert_int_equal(cow_detach_parse(sequence, &d), 0);
	for (size_t i = 0; i < len && !found; i += step) {
		unsigned char piece[256];

		found = cow_detach_feed(&d, (const unsigned char *)typed + i,
					len - i < step ? len - i : step, piece, &n);
		memcpy(out + at, piece, n);
		at += n;
	}
	out[at] = '\0';
	return found;
}

static void matching(void **state)
{
	static const struct {
		const char *sequence, *typed, *out;
		bool found;
	} cases[] = {
		{ "a,b", "hello", "hello", false }, { "a,b", "xab", "x", true },
		{ "a,b", "xaab", "xa", true },      { "a,b", "xacab", "xac", true },
		{ "a,a,b", "aaab", "a", true },     { "a,b,a,c", "ababac", "ab", true },
		{ "a,b", "a", "", false },          { "", "ab", "ab", false },
		{ "a", "xxay", "xx", true },
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 8; step++) {
			assert_int_equal(feed(cases[i].sequence, cases[i].typed, step, out),
					 cases[i].found);
			assert_string_equal(out, cases[i].out);
		}
}

/* Whatever is typed passes unchanged as long as the sequence does not occur. */
static void nothing_is_lost(void **state)
{
	char typed[64], out[128];

	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)(rand() % 20), len;
		char *hit;

		for (size_t i = 0; i < n; i++)
			typed[i] = (char)('a' + rand() % 2);
		memcpy(typed + n, "z", 2);
		hit = strstr(typed, "aba");
		assert_int_equal(feed("a,b,a", typed, (size_t)(1 + rand() % 5), out), hit != NULL);
		len = hit ? (size_t)(hit - typed) : n + 1;
		assert_int_equal(strlen(out), len);
		assert_memory_equal(out, typed, len);
	}
}

static void raw_and_back(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct termios before, now;
	uint16_t height, width;

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master) || unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &before), 0);
	assert_int_equal(cow_terminal_raw(slave), 0);
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_false(now.c_lflag & (ICANON | ECHO));
	cow_terminal_restore();
	cow_terminal_restore();
	assert_int_equal(tcgetattr(slave, &now), 0);
	assert_int_equal(now.c_lflag, before.c_lflag);
	assert_int_equal(now.c_oflag, before.c_oflag);
	(void)close(slave);
	(void)close(master);
	assert_int_equal(cow_terminal_raw(-1), -EBADF);
	cow_terminal_size(-1, &height, &width);
	assert_int_equal(height + width, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(matching),
		cmocka_unit_test(nothing_is_lost),
		cmocka_unit_test(raw_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
