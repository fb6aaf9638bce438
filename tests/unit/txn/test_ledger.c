/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/strbuf.h"
#include "tests/alloc_fail.h"
#include "tests/scratch.h"
#include "txn/ledger.h"
#include "txn/ledger_line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
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

static struct cow_ledger *reopen(struct cow_ledger *ledger)
{
	struct cow_error err = { 0 };
	cow_ledger_close(ledger);
	assert_int_equal(cow_ledger_open("ledger", &ledger, &err), 0);
	return ledger;
}

static void done(struct cow_ledger *ledger)
{
	cow_ledger_close(ledger);
	assert_int_equal(unlink("ledger"), 0);
}

static uint64_t intend(struct cow_ledger *ledger, const char *key, const char *record)
{
	uint64_t seq = 0;
	assert_int_equal(cow_ledger_intend(ledger, "lcow", key, record, false, &seq), 0);
	return seq;
}

static off_t size_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void holds(const struct cow_ledger *ledger, const char *keys)
{
	char found[64] = "";
	for (const struct cow_ledger_entry *e = cow_ledger_last(ledger); e;
	     e = cow_ledger_before(ledger, e->seq))
		strncat(found, e->key, sizeof(found) - strlen(found) - 1);
	assert_string_equal(found, keys);
	assert_int_equal(cow_ledger_count(ledger), strlen(keys));
}

/* On file at once like any other; only that nobody waits for the disk. */
static void test_lazily(void **state)
{
	struct cow_ledger *ledger = reopen(NULL);
	uint64_t seq = 0;
	(void)state;
	assert_int_equal(cow_ledger_intend_lazily(ledger, "storage", "a", "{}", &seq), 0);
	assert_int_equal(cow_ledger_intend(ledger, "storage", "b", "{}", true, NULL), 0);
	ledger = reopen(ledger);
	holds(ledger, "ba");
	assert_int_equal(cow_ledger_find(ledger, "storage", "a")->seq, seq);
	assert_true(cow_ledger_find(ledger, "storage", "a")->durable);
	done(ledger);
}

static void test_order_replace_release(void **state)
{
	struct cow_ledger *ledger = reopen(NULL);
	struct stat st;
	(void)state;
	assert_int_equal(stat("ledger", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	holds(ledger, "");
	assert_null(cow_ledger_last(ledger));
	uint64_t a = intend(ledger, "a", "{}");
	uint64_t b = intend(ledger, "b", "1");
	uint64_t c = intend(ledger, "c", "2");
	assert_true(a < b && b < c);
	holds(ledger, "cba");
	assert_true(intend(ledger, "b", "newer") == b); /* keeps its place */
	ledger = reopen(ledger);
	holds(ledger, "cba");
	assert_string_equal(cow_ledger_find(ledger, "lcow", "b")->record, "newer");
	assert_null(cow_ledger_find(ledger, "other", "b"));
	assert_int_equal(cow_ledger_release(ledger, b), 0);
	assert_int_equal(cow_ledger_release(ledger, b), -ENOENT);
	assert_int_equal(cow_ledger_release(ledger, 4711), -ENOENT);
	ledger = reopen(ledger);
	holds(ledger, "ca");
	assert_int_equal(cow_ledger_damaged(ledger), 0);
	assert_false(cow_ledger_last(ledger)->other_boot);
	/* One allocator's key is not another's. */
	uint64_t other;
	assert_int_equal(cow_ledger_intend(ledger, "net", "a", "{}", false, &other), 0);
	assert_true(other > c);
	assert_int_equal(cow_ledger_count(ledger), 3);
	done(ledger);
}

static void test_numbers_are_not_used_again(void **state)
{
	struct cow_ledger *ledger = reopen(NULL);
	(void)state;
	(void)intend(ledger, "a", "{}");
	uint64_t b = intend(ledger, "b", "{}");
	assert_int_equal(cow_ledger_release(ledger, b), 0);
	ledger = reopen(ledger);
	assert_true(intend(ledger, "c", "{}") > b);
	done(ledger);
}

static void test_any_text(void **state)
{
	static const char *const texts[] = {
		"",
		"{\"a\":\"line\\nbreak\"}",
		"real\nnewline\ttab\\n\\",
		"\\",
		"\\t",
		"\\\\n",
		"\n",
		"\t\t",
		"\x01\x7f\x80\xff",
		"{\"k\":\"\xc3\xa4\"}",
	};
	struct cow_ledger *ledger = reopen(NULL);
	(void)state;
	for (size_t i = 0; i < COW_ELEMENTS(texts); i++)
		for (size_t k = 0; k < COW_ELEMENTS(texts); k++)
			assert_int_equal(cow_ledger_intend(ledger, texts[i], texts[k],
							   texts[(i + k) % 10], i % 2, NULL),
					 0);
	ledger = reopen(ledger);
	assert_int_equal(cow_ledger_count(ledger), 100);
	assert_int_equal(cow_ledger_damaged(ledger), 0);
	for (size_t i = 0; i < COW_ELEMENTS(texts); i++) {
		for (size_t k = 0; k < COW_ELEMENTS(texts); k++) {
			const struct cow_ledger_entry *e =
				cow_ledger_find(ledger, texts[i], texts[k]);
			assert_non_null(e);
			assert_string_equal(e->record, texts[(i + k) % 10]);
			assert_int_equal(e->durable, i % 2);
		}
	}
	done(ledger);
}

/* The record of the entry itself may be what is written anew. */
static void test_record_of_its_own(void **state)
{
	struct cow_ledger *ledger = reopen(NULL);
	(void)state;
	(void)intend(ledger, "a", "{\"n\":1}");
	const struct cow_ledger_entry *e = cow_ledger_last(ledger);
	assert_int_equal(cow_ledger_intend(ledger, e->allocator, e->key, e->record, true, NULL), 0);
	assert_string_equal(cow_ledger_last(ledger)->record, "{\"n\":1}");
	assert_true(cow_ledger_last(ledger)->durable);
	done(ledger);
}

static void test_empty_again(void **state)
{
	struct cow_ledger *ledger = reopen(NULL);
	(void)state;
	for (int round = 0; round < 3; round++) {
		uint64_t a = intend(ledger, "a", "{}"), b = intend(ledger, "b", "{}");
		assert_int_equal(cow_ledger_release(ledger, a), 0);
		assert_true(size_of("ledger") > 0);
		assert_int_equal(cow_ledger_release(ledger, b), 0);
		assert_int_equal(size_of("ledger"), 0);
	}
	(void)intend(ledger, "c", "{}");
	_cleanup_free_ char *text = NULL;
	assert_int_equal(cow_fs_read("ledger", 4096, &text, NULL), 0);
	assert_non_null(strstr(text, "\tH\t1\t")); /* with a header again */
	ledger = reopen(ledger);
	holds(ledger, "c");
	done(ledger);
}

static void test_other_boot(void **state)
{
	struct cow_strbuf b = COW_STRBUF_INIT;
	const struct cow_ledger_entry old = {
		.seq = 5, .allocator = "lcow", .key = "o", .record = "{}", .durable = true
	};
	(void)state;
	cow_ledger_line_header(&b, "11111111-2222-4333-8444-555555555555");
	cow_ledger_line_intent(&b, &old);
	assert_int_equal(cow_fs_write_atomic("ledger", b.data, b.len, 0600, 0), 0);
	cow_strbuf_finish(&b);
	struct cow_ledger *ledger = reopen(NULL);
	assert_true(cow_ledger_last(ledger)->other_boot);
	(void)intend(ledger, "n", "{}");
	ledger = reopen(ledger);
	holds(ledger, "no");
	assert_false(cow_ledger_last(ledger)->other_boot);
	assert_true(cow_ledger_find(ledger, "lcow", "o")->other_boot);
	/* And also once it was written anew. */
	char longer[4001];
	memset(longer, 'x', 4000);
	longer[4000] = '\0';
	for (int i = 0; i < 20; i++)
		(void)intend(ledger, "n", i < 19 ? longer : "{}");
	assert_true(size_of("ledger") < 20 * 4000);
	ledger = reopen(ledger);
	holds(ledger, "no");
	assert_false(cow_ledger_last(ledger)->other_boot);
	assert_true(cow_ledger_find(ledger, "lcow", "o")->other_boot);
	/* Written anew with nothing of this boot in it, the next intent brings a header of it. */
	assert_int_equal(cow_ledger_release(ledger, cow_ledger_last(ledger)->seq), 0);
	for (size_t i = 0; size_of("ledger") > 100; i++) {
		uint64_t seq = intend(ledger, "m", longer + 4000 - i % 50);
		assert_int_equal(cow_ledger_release(ledger, seq), 0);
		assert_true(i < 100000);
	}
	(void)intend(ledger, "n", "{}");
	ledger = reopen(ledger);
	holds(ledger, "no");
	assert_false(cow_ledger_last(ledger)->other_boot);
	assert_true(cow_ledger_find(ledger, "lcow", "o")->other_boot);
	/* Announced anew, it is of this boot. */
	(void)intend(ledger, "o", "{}");
	ledger = reopen(ledger);
	holds(ledger, "no");
	assert_false(cow_ledger_find(ledger, "lcow", "o")->other_boot);
	done(ledger);
}

/* CRC-32C, bit by bit: another way than the ledger's own. */
static uint32_t crc32c(const char *s)
{
	uint32_t crc = 0xffffffff;
	for (; *s; s++) {
		crc ^= (unsigned char)*s;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static void write_line(const char *line)
{
	_cleanup_free_ char *text = cow_asprintf("%08x\t%s\n", crc32c(line), line);
	assert_int_equal(cow_fs_write_atomic("ledger", text, strlen(text), 0600, 0), 0);
}

static void test_later_version(void **state)
{
	struct cow_error err = { 0 };
	struct cow_ledger *ledger = NULL;
	(void)state;
	write_line("H\t2\tboot\twhatever");
	assert_int_equal(cow_ledger_open("ledger", &ledger, &err), -EPROTONOSUPPORT);
	assert_string_equal(err.message, "ledger: Protocol not supported");
	assert_null(ledger);
	assert_int_equal(unlink("ledger"), 0);
}

/* Lines whose checksum is right, and which still say nothing. */
static void test_strange_lines(void **state)
{
	static const char *const lines[] = {
		"",
		"X\t1",
		"I",
		"I\t1",
		"I\t\td\ta\tb\tc",
		"I\t1\td\ta\tb",
		"I\t1\td\ta\tb\tc\td",
		"I\t-1\td\ta\tb\tc",
		"I\t99999999999999999999\td\ta\tb\tc",
		"R",
		"R\tx",
		"HH\t1\tboot",
		"\t1",
	};
	(void)state;
	for (size_t i = 0; i < COW_ELEMENTS(lines); i++) {
		write_line(lines[i]);
		struct cow_ledger *ledger = reopen(NULL);
		assert_int_equal(cow_ledger_damaged(ledger), 1);
		holds(ledger, "");
		done(ledger);
	}
	write_line("I\t7\td\ta\tb\tc"); /* and one that is right, as a check of the check */
	struct cow_ledger *ledger = reopen(NULL);
	holds(ledger, "b");
	done(ledger);
}

static void test_cannot_open(void **state)
{
	struct cow_error err = { 0 };
	struct cow_ledger *ledger = NULL;
	(void)state;
	assert_int_equal(cow_ledger_open("absent/ledger", &ledger, &err), -ENOENT);
	assert_string_equal(err.message, "absent/ledger: No such file or directory");
	assert_int_equal(cow_ledger_open(".", &ledger, NULL), -EISDIR);
	assert_int_equal(symlink("elsewhere", "ledger"), 0);
	assert_int_equal(cow_ledger_open("ledger", &ledger, NULL), -ELOOP);
	assert_null(ledger);
	assert_int_equal(unlink("ledger"), 0);
	cow_ledger_close(NULL);
}

static void test_stays_small(void **state)
{
	struct cow_ledger *ledger = reopen(NULL);
	off_t largest = 0;
	(void)state;
	(void)intend(ledger, "keep", "{}");
	for (int i = 0; i < 3000; i++) {
		char key[32];
		(void)snprintf(key, sizeof(key), "k%d", i);
		uint64_t seq =
			intend(ledger, key, "{\"some\":\"record of usual length, more or less\"}");
		if (size_of("ledger") > largest)
			largest = size_of("ledger");
		assert_int_equal(cow_ledger_release(ledger, seq), 0);
	}
	assert_true(largest < 20000);
	assert_int_equal(access(".ledger.tmp", F_OK), -1);
	ledger = reopen(ledger);
	assert_int_equal(cow_ledger_count(ledger), 1);
	assert_non_null(cow_ledger_find(ledger, "lcow", "keep"));
	done(ledger);
}

/* 10,000 random operations against a plain table; reopened now and then. */
static void test_against_model(void **state)
{
	enum { KEYS = 20 };
	struct {
		uint64_t seq; /* 0: not held */
		unsigned value;
	} model[KEYS] = { 0 };
	struct cow_ledger *ledger = reopen(NULL);
	unsigned seed = 7, held = 0;
	(void)state;
	for (unsigned n = 0; n < 10000; n++) {
		unsigned k = (unsigned)rand_r(&seed) % KEYS;
		char key[16], record[32];
		(void)snprintf(key, sizeof(key), "key %u", k);
		if (rand_r(&seed) % 2 == 0) {
			uint64_t seq = 0;
			(void)snprintf(record, sizeof(record), "{\"value\":%u}", n);
			assert_int_equal(cow_ledger_intend(ledger, "a", key, record, false, &seq),
					 0);
			assert_true(model[k].seq == 0 || model[k].seq == seq);
			held += model[k].seq == 0;
			model[k].seq = seq;
			model[k].value = n;
		} else {
			int r = cow_ledger_release(ledger, model[k].seq);
			assert_int_equal(r, model[k].seq ? 0 : -ENOENT);
			held -= model[k].seq != 0;
			model[k].seq = 0;
		}
		if (n % 50 == 0)
			ledger = reopen(ledger);
		assert_int_equal(cow_ledger_count(ledger), held);
		assert_int_equal(cow_ledger_damaged(ledger), 0);
		for (k = 0; n % 25 == 0 && k < KEYS; k++) {
			(void)snprintf(key, sizeof(key), "key %u", k);
			const struct cow_ledger_entry *e = cow_ledger_find(ledger, "a", key);
			assert_int_equal(e != NULL, model[k].seq != 0);
			(void)snprintf(record, sizeof(record), "{\"value\":%u}", model[k].value);
			if (e) {
				assert_true(e->seq == model[k].seq);
				assert_string_equal(e->record, record);
			}
		}
	}
	done(ledger);
}

/* Whatever fails for want of memory has changed neither memory nor file. */
static void test_out_of_memory(void **state)
{
	bool failed = true;
	(void)state;
	for (unsigned n = 1; failed; n++) {
		struct cow_ledger *ledger = NULL;
		unsigned held = 0;
		alloc_fail_arm(n);
		int opened = cow_ledger_open("ledger", &ledger, NULL), released = 0;
		for (int i = 0; opened == 0 && i < 12; i++) {
			char key[8];
			(void)snprintf(key, sizeof(key), "%d", i);
			held += cow_ledger_intend(ledger, "a", key, "{\"x\":\"0123456789\"}",
						  i == 3, NULL) == 0;
		}
		if (opened == 0)
			released = cow_ledger_release(ledger, cow_ledger_last(ledger)->seq);
		failed = alloc_fail_stop();
		assert_int_equal(failed, held < 12 || released < 0);
		if (opened == 0)
			assert_int_equal(cow_ledger_count(ledger), held - 1); /* gone in any case */
		ledger = reopen(ledger);
		assert_int_equal(cow_ledger_count(ledger), held - (opened == 0 && released == 0));
		assert_int_equal(cow_ledger_damaged(ledger), 0);
		done(ledger);
	}
}

static void test_out_of_memory_when_read(void **state)
{
	struct cow_ledger *ledger = reopen(NULL);
	(void)state;
	for (const char *key = "abcdefghijkl"; *key; key++)
		(void)intend(ledger, (const char[]){ *key, '\0' }, "{\"some\":\"record\"}");
	alloc_fail_each(n) {
		struct cow_ledger *second = NULL;
		int r = cow_ledger_open("ledger", &second, NULL);
		assert_int_equal(alloc_fail_stop(), r == -ENOMEM);
		assert_int_equal(r < 0, second == NULL);
		cow_ledger_close(second);
	}
	done(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lazily),
		cmocka_unit_test(test_order_replace_release),
		cmocka_unit_test(test_numbers_are_not_used_again),
		cmocka_unit_test(test_any_text),
		cmocka_unit_test(test_record_of_its_own),
		cmocka_unit_test(test_empty_again),
		cmocka_unit_test(test_other_boot),
		cmocka_unit_test(test_later_version),
		cmocka_unit_test(test_strange_lines),
		cmocka_unit_test(test_cannot_open),
		cmocka_unit_test(test_stays_small),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_out_of_memory_when_read),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}
