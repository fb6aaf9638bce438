/* SPDX-License-Identifier: MIT */
/* A ledger cut off at each byte, with each bit flipped, and on disks that fill up. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "tests/scratch.h"
#include "txn/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

static int enter(void **state)
{
	(void)state;
	return scratch_enter() ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	return scratch_leave() ? 0 : -1;
}

static struct cow_ledger *open_ledger(const char *path)
{
	struct cow_ledger *ledger = NULL;
	assert_int_equal(cow_ledger_open(path, &ledger, NULL), 0);
	return ledger;
}

/* a, b, c taken; b replaced; a released; d taken.  Returns the text and what each line's end is. */
#define LINES 7
static char *sample(size_t *ret_len, size_t ends[LINES])
{
	struct cow_ledger *ledger = open_ledger("ledger");
	uint64_t a, seq;
	char *text;
	assert_int_equal(cow_ledger_intend(ledger, "lcow", "a", "{\"pid\":1}", false, &a), 0);
	assert_int_equal(cow_ledger_intend(ledger, "lcow", "b", "{\"pid\":2}", false, &seq), 0);
	assert_int_equal(cow_ledger_intend(ledger, "net", "c", "multi\nline", true, &seq), 0);
	assert_int_equal(cow_ledger_intend(ledger, "lcow", "b", "{\"pid\":22}", false, &seq), 0);
	assert_int_equal(cow_ledger_release(ledger, a), 0);
	assert_int_equal(cow_ledger_intend(ledger, "lcow", "d", "{\"pid\":4}", false, &seq), 0);
	cow_ledger_close(ledger);
	assert_int_equal(cow_fs_read("ledger", 4096, &text, ret_len), 0);
	size_t line = 0;
	for (size_t i = 0; i < *ret_len; i++)
		if (text[i] == '\n')
			ends[line++] = i + 1;
	assert_int_equal(line, LINES);
	return text;
}

static const char *record_of(const struct cow_ledger *ledger, const char *allocator,
			     const char *key)
{
	const struct cow_ledger_entry *e = cow_ledger_find(ledger, allocator, key);
	return e ? e->record : "-";
}

/* What is held once the first `lines` lines count, the header being the first. */
static void holds_after(const struct cow_ledger *ledger, size_t lines)
{
	assert_string_equal(record_of(ledger, "lcow", "a"),
			    lines >= 2 && lines < 6 ? "{\"pid\":1}" : "-");
	assert_string_equal(record_of(ledger, "lcow", "b"), lines >= 5   ? "{\"pid\":22}"
							    : lines >= 3 ? "{\"pid\":2}"
									 : "-");
	assert_string_equal(record_of(ledger, "net", "c"), lines >= 4 ? "multi\nline" : "-");
	assert_string_equal(record_of(ledger, "lcow", "d"), lines >= 7 ? "{\"pid\":4}" : "-");
}

static void test_cut_at_each_byte(void **state)
{
	size_t len, ends[LINES];
	_cleanup_free_ char *text = sample(&len, ends);
	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		size_t lines = 0;
		while (lines < LINES && ends[lines] <= cut)
			lines++;
		assert_int_equal(cow_fs_write_atomic("ledger", text, cut, 0600, 0), 0);
		struct cow_ledger *ledger = open_ledger("ledger");
		holds_after(ledger, lines);
		assert_int_equal(cow_ledger_damaged(ledger), 0); /* a torn tail is no damage */
		/* And what is written now does not stick to the torn tail. */
		assert_int_equal(cow_ledger_intend(ledger, "new", "n", "{}", false, NULL), 0);
		cow_ledger_close(ledger);
		_cleanup_free_ char *now = NULL;
		size_t now_len;
		assert_int_equal(cow_fs_read("ledger", 4096, &now, &now_len), 0);
		assert_int_equal(now[now_len - 1], '\n');
		ledger = open_ledger("ledger");
		holds_after(ledger, lines);
		assert_string_equal(record_of(ledger, "new", "n"), "{}");
		assert_int_equal(cow_ledger_damaged(ledger), 0);
		cow_ledger_close(ledger);
	}
	assert_int_equal(unlink("ledger"), 0);
}

/* Nothing is invented: what is found is what was once written under that key. */
static void nothing_invented(const struct cow_ledger *ledger)
{
	for (const struct cow_ledger_entry *e = cow_ledger_last(ledger); e;
	     e = cow_ledger_before(ledger, e->seq)) {
		bool known = false;
		known = known || (e->key[0] == 'a' && strcmp(e->record, "{\"pid\":1}") == 0);
		known = known || (e->key[0] == 'b' && strcmp(e->record, "{\"pid\":2}") == 0);
		known = known || (e->key[0] == 'b' && strcmp(e->record, "{\"pid\":22}") == 0);
		known = known || (e->key[0] == 'c' && strcmp(e->record, "multi\nline") == 0);
		known = known || (e->key[0] == 'd' && strcmp(e->record, "{\"pid\":4}") == 0);
		assert_true(known);
		assert_false(e->other_boot);
	}
}

static void test_flip_of_each_bit(void **state)
{
	size_t len, ends[LINES];
	_cleanup_free_ char *text = sample(&len, ends);
	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		size_t at = bit / 8, line = 0;
		while (ends[line] <= at)
			line++;
		text[at] = (char)(text[at] ^ 1 << bit % 8);
		assert_int_equal(cow_fs_write_atomic("ledger", text, len, 0600, 0), 0);
		text[at] = (char)(text[at] ^ 1 << bit % 8);
		struct cow_ledger *ledger = open_ledger("ledger");
		nothing_invented(ledger);
		bool newline =
			at + 1 ==
			ends[line]; /* takes the next line with it; the last one is torn then */
		assert_true(cow_ledger_damaged(ledger) > 0 || (newline && line == LINES - 1));
		/* All lines but the damaged ones count. */
#define HURT(l) (line == (l) || (newline && line + 1 == (l)))
		if (!HURT(3))
			assert_string_equal(record_of(ledger, "net", "c"), "multi\nline");
		if (!HURT(4))
			assert_string_equal(record_of(ledger, "lcow", "b"), "{\"pid\":22}");
		if (!HURT(6))
			assert_string_equal(record_of(ledger, "lcow", "d"), "{\"pid\":4}");
		if (!HURT(5))
			assert_string_equal(record_of(ledger, "lcow", "a"), "-");
		/* And it goes on: takes, and lets go of all. */
		assert_int_equal(cow_ledger_intend(ledger, "new", "n", "{}", false, NULL), 0);
		while (cow_ledger_last(ledger))
			assert_int_equal(cow_ledger_release(ledger, cow_ledger_last(ledger)->seq),
					 0);
		cow_ledger_close(ledger);
		ledger = open_ledger("ledger");
		assert_int_equal(cow_ledger_count(ledger), 0);
		assert_int_equal(cow_ledger_damaged(ledger), 0);
		cow_ledger_close(ledger);
	}
	assert_int_equal(unlink("ledger"), 0);
}

static void test_garbage(void **state)
{
	char noise[4096];
	unsigned seed = 3;
	(void)state;
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)(rand_r(&seed) % (round % 2 ? 256 : 16));
		size_t len = (size_t)rand_r(&seed) % sizeof(noise);
		assert_int_equal(cow_fs_write_atomic("ledger", noise, len, 0600, 0), 0);
		struct cow_ledger *ledger = open_ledger("ledger");
		assert_int_equal(cow_ledger_count(ledger), 0);
		assert_int_equal(cow_ledger_intend(ledger, "a", "b", "c", false, NULL), 0);
		cow_ledger_close(ledger);
		ledger = open_ledger("ledger");
		assert_int_equal(cow_ledger_count(ledger), 1);
		cow_ledger_close(ledger);
	}
	assert_int_equal(unlink("ledger"), 0);
}

/*
 * The file may not grow beyond each size in turn.  An intent that fails is not found again; what
 * went before is; and all can be let go.
 */
static void test_each_size_limit(void **state)
{
	struct rlimit before;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (rlim_t limit = 0; limit < 260; limit++) {
		const struct rlimit now = { limit, before.rlim_max };
		struct cow_ledger *ledger = open_ledger("ledger");
		uint32_t held = 0;
		int r = 0;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
		for (int i = 0; i < 6; i++) {
			const char key[] = { (char)('a' + i), '\0' };
			r = cow_ledger_intend(ledger, "lcow", key,
					      "{\"n\":\"01234567890123456789\"}", false, NULL);
			assert_true(r == 0 || r == -EFBIG);
			held += r == 0;
			assert_int_equal(cow_ledger_count(ledger), held);
		}
		assert_int_equal(r, -EFBIG); /* the limit is met in any case */
		struct cow_ledger *second = open_ledger("ledger");
		assert_int_equal(cow_ledger_count(second), held);
		assert_int_equal(cow_ledger_damaged(second), 0);
		cow_ledger_close(second);
		while (cow_ledger_last(ledger)) {
			r = cow_ledger_release(ledger, cow_ledger_last(ledger)->seq);
			assert_true(r == 0 || r == -EFBIG);
		}
		struct stat st;
		assert_int_equal(stat("ledger", &st), 0);
		assert_int_equal(st.st_size, 0); /* the last one needs no room */
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		cow_ledger_close(ledger);
		assert_int_equal(unlink("ledger"), 0);
	}
}

static void test_disk_full(void **state)
{
	uint32_t held = 0;
	int r = 0;
	(void)state;
	if (!scratch_own_mounts())
		skip();
	assert_int_equal(mkdir("tiny", 0700), 0);
	assert_int_equal(mount("tiny", "tiny", "tmpfs", 0, "size=32k"), 0);
	struct cow_ledger *ledger = open_ledger("tiny/ledger");
	for (int i = 0; r == 0; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "%d", i);
		r = cow_ledger_intend(ledger, "lcow", key, "{\"record\":\"of some length\"}", i % 2,
				      NULL);
		held += r == 0;
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(held > 100);
	struct cow_ledger *second = open_ledger("tiny/ledger");
	assert_int_equal(cow_ledger_count(second), held);
	assert_int_equal(cow_ledger_damaged(second), 0);
	cow_ledger_close(second);
	/* Releases that cannot be written down, and then everything is gone after all. */
	while (cow_ledger_last(ledger)) {
		r = cow_ledger_release(ledger, cow_ledger_last(ledger)->seq);
		assert_true(r == 0 || r == -ENOSPC);
	}
	assert_int_equal(r, 0);
	assert_int_equal(cow_ledger_intend(ledger, "lcow", "again", "{}", false, NULL), 0);
	cow_ledger_close(ledger);
	ledger = open_ledger("tiny/ledger");
	assert_int_equal(cow_ledger_count(ledger), 1);
	cow_ledger_close(ledger);
	assert_int_equal(umount("tiny"), 0);
	assert_int_equal(rmdir("tiny"), 0);
}

/* Writing anew needs room, too: without it the long file goes on. */
static void test_no_room_to_write_anew(void **state)
{
	(void)state;
	assert_int_equal(mkdir("dir", 0700), 0);
	struct cow_ledger *ledger = open_ledger("dir/ledger");
	assert_int_equal(cow_ledger_intend(ledger, "a", "k", "{}", false, NULL), 0);
	/* A directory in the way of the temporary file. */
	assert_int_equal(cow_fs_mkdirs("dir/.ledger.tmp/x", 0700), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			cow_ledger_intend(ledger, "a", "k", "{\"some\":\"record\"}", false, NULL),
			0);
	struct stat st;
	assert_int_equal(stat("dir/ledger", &st), 0);
	assert_true(st.st_size > 30000);
	assert_int_equal(cow_fs_remove_tree("dir/.ledger.tmp"), 0);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(
			cow_ledger_intend(ledger, "a", "k", "{\"some\":\"record\"}", false, NULL),
			0);
	assert_int_equal(stat("dir/ledger", &st), 0);
	assert_true(st.st_size < 20000);
	cow_ledger_close(ledger);
	assert_int_equal(cow_fs_remove_tree("dir"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_at_each_byte),
		cmocka_unit_test(test_flip_of_each_bit),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_each_size_limit),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_no_room_to_write_anew),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
