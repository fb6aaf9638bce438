/* SPDX-License-Identifier: MIT */
/* Which disk has which place, and who uses it: hcs-behaviour.md §4.4. */
#include "disk/slots.h"
#include "tests/alloc_fail_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct st_slots table;

static int make(void **state)
{
	(void)state;
	table = (struct st_slots){ .controllers = 1, .boot = "this" };
	return 0;
}

static int drop(void **state)
{
	(void)state;
	st_slots_clear(&table);
	return 0;
}

/* Where the path is now; first: nobody used it before. */
static void add(const char *path, const char *owner, bool readonly, unsigned controller, unsigned lun,
		bool first)
{
	unsigned c = 99, l = 99;
	bool was = !first;

	assert_int_equal(st_slots_add(&table, path, owner, readonly, &c, &l, &was), 0);
	assert_int_equal(c, controller);
	assert_int_equal(l, lun);
	assert_int_equal(was, first);
}

static int refusal(const char *path, const char *owner, bool readonly)
{
	unsigned c, l;
	bool first;

	return st_slots_add(&table, path, owner, readonly, &c, &l, &first);
}

static size_t users(const char *path)
{
	unsigned c, l;
	struct st_slot *s = st_slots_find(&table, path, &c, &l);

	return s ? s->owner_count : 0;
}

static void leave(const char *path, const char *owner, bool expected)
{
	unsigned c, l;
	bool last = !expected;

	assert_int_equal(st_slots_remove(&table, path, owner, &last), 0);
	assert_int_equal(last, expected);
	if (last)
		st_slot_free(st_slots_find(&table, path, &c, &l));
}

static void first_free(void **state)
{
	(void)state;
	add("/a", "c1", false, 0, 0, true);
	add("/b", "c1", false, 0, 1, true);
	add("/c", "c2", false, 0, 2, true);
	/* The place that was left is the next one's. */
	leave("/b", "c1", true);
	assert_int_equal(users("/b"), 0);
	add("/d", "c1", false, 0, 1, true);
	add("/e", "c1", false, 0, 3, true);
	/* As another disk of the same name would be. */
	leave("/a", "c1", true);
	add("/a", "c1", true, 0, 0, true);
}

static void counted_by_path(void **state)
{
	(void)state;
	add("/a", "c1/mounts/1", false, 0, 0, true);
	add("/a", "c2/mounts/1", false, 0, 0, false);
	add("/a", "c2/mounts/2", true, 0, 0, false);
	assert_int_equal(users("/a"), 3);
	/* The same owner again is no second use. */
	add("/a", "c1/mounts/1", false, 0, 0, false);
	assert_int_equal(users("/a"), 3);
	leave("/a", "c1/mounts/1", false);
	assert_int_equal(st_slots_remove(&table, "/a", "c1/mounts/1", &(bool){ false }), -ENOENT);
	leave("/a", "c2/mounts/2", false);
	assert_int_equal(users("/a"), 1);
	leave("/a", "c2/mounts/1", true);
	assert_int_equal(st_slots_remove(&table, "/a", "c2/mounts/1", &(bool){ false }), -ENOENT);
}

static void read_only(void **state)
{
	(void)state;
	add("/a", "c1", true, 0, 0, true);
	add("/a", "c2", true, 0, 0, false);
	assert_int_equal(refusal("/a", "c3", false), -EBUSY);
	assert_int_equal(users("/a"), 2);
	/* Who may write may read. */
	add("/b", "c1", false, 0, 1, true);
	add("/b", "c2", true, 0, 1, false);
}

static void exhaustion(void **state)
{
	char path[32];

	(void)state;
	for (table.controllers = 1; table.controllers <= ST_DISK_CONTROLLERS; table.controllers += 3) {
		unsigned room = table.controllers * ST_DISK_LUNS;

		for (unsigned i = 0; i < room; i++) {
			(void)snprintf(path, sizeof(path), "/disk%u", i);
			add(path, "c", false, i / ST_DISK_LUNS, i % ST_DISK_LUNS, true);
		}
		assert_int_equal(refusal("/more", "c", false), -ENOSPC);
		assert_int_equal(users("/more"), 0);
		/* One that has a place is no new one. */
		add("/disk63", "other", false, 0, 63, false);
		leave("/disk63", "c", false);
		leave("/disk63", "other", true);
		add("/more", "c", false, 0, 63, true);
		st_slots_clear(&table);
	}
	table.controllers = 0;
	assert_int_equal(refusal("/a", "c", false), -ENODEV);
	table.controllers = ST_DISK_CONTROLLERS + 1;
	assert_int_equal(refusal("/a", "c", false), -E2BIG);
}

static void messages(void **state)
{
	static const struct {
		int code;
		const char *text;
	} known[] = {
		{ -ENOSPC, "no available location" },
		{ -ENOENT, "not attached" },
		{ -EBUSY, "already attached" },
		{ -ENODEV, "no SCSI controllers configured for this utility VM" },
		{ -E2BIG, "too many SCSI attachments" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_string_equal(st_slots_message(known[i].code), known[i].text);
	assert_null(st_slots_message(0));
	assert_null(st_slots_message(-EIO));
}

static void fill(void)
{
	struct st_slot *s;
	unsigned c, l;

	table.controllers = 2;
	add("/a \"quoted\"\n\xc3\xa4", "c1", true, 0, 0, true);
	add("/a \"quoted\"\n\xc3\xa4", "c2", true, 0, 0, false);
	add("/b", "c1", false, 0, 1, true);
	s = st_slots_find(&table, "/b", &c, &l);
	(void)strcpy(s->token, "cowherd:0123");
	(void)strcpy(s->device, "/dev/loop7");
	s->size = UINT64_C(1) << 40;
}

static void there_and_back(void **state)
{
	struct st_slots back;
	struct st_slot *s;
	unsigned c, l;
	char *text, *again;

	(void)state;
	fill();
	text = st_slots_text(&table);
	assert_int_equal(st_slots_parse(text, &back), 0);
	again = st_slots_text(&back);
	assert_string_equal(text, again);
	assert_int_equal(back.controllers, 2);
	assert_string_equal(back.boot, "this");
	s = st_slots_find(&back, "/b", &c, &l);
	assert_non_null(s);
	assert_int_equal(l, 1);
	assert_false(s->readonly);
	assert_string_equal(s->device, "/dev/loop7");
	assert_true(s->size == UINT64_C(1) << 40);
	st_slots_clear(&back);
	free(text);
	free(again);
}

#define HEAD "{\"version\":1,\"controllers\":1,\"boot\":\"b\",\"slots\":["
#define SLOT "\"owners\":[\"c\"],\"readonly\":false,\"token\":\"t\",\"device\":\"d\",\"size\":1"
#define AT_0 HEAD "{\"controller\":0,\"lun\":0,\"path\":\"/a\","
#define LONG "0123456789012345678901234567890123456789"

static void broken_ones(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "7", "{}", "{\"slots\":[]}",
		"{\"version\":2,\"controllers\":1,\"boot\":\"b\",\"slots\":[]}",
		"{\"version\":1,\"controllers\":1,\"slots\":[]}",
		"{\"version\":1,\"controllers\":1,\"boot\":\"" LONG "\",\"slots\":[]}",
		"{\"version\":1,\"controllers\":1,\"boot\":\"b\",\"slots\":{}}",
		HEAD "1]}", HEAD "{}]}", HEAD "{\"controller\":0,\"lun\":0," SLOT "}]}",
		HEAD "{\"controller\":0,\"lun\":64,\"path\":\"/a\"," SLOT "}]}",
		HEAD "{\"controller\":0,\"lun\":-1,\"path\":\"/a\"," SLOT "}]}",
		HEAD "{\"controller\":4,\"lun\":0,\"path\":\"/a\"," SLOT "}]}",
		HEAD "{\"controller\":0,\"lun\":0,\"path\":7," SLOT "}]}",
		AT_0 "\"owners\":[null],\"token\":\"\",\"device\":\"\"}]}",
		AT_0 "\"owners\":7,\"token\":\"\",\"device\":\"\"}]}",
		AT_0 "\"owners\":[],\"token\":\"" LONG "\",\"device\":\"\"}]}",
		HEAD "{\"controller\":0,\"lun\":0,\"path\":\"/a\"," SLOT "},"
		     "{\"controller\":0,\"lun\":0,\"path\":\"/b\"," SLOT "}]}",
	};
	struct st_slots back;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(st_slots_parse(bad[i], &back), -EBADMSG);
	assert_int_equal(st_slots_parse(AT_0 SLOT "}]}", &back), 0);
	st_slots_clear(&back);
}

static void without_memory(void **state)
{
	(void)state;
	alloc_fail_each(n) {
		struct st_slots back = { 0 };
		unsigned c, l;
		bool first;
		char *text;
		int r;

		table.controllers = 1;
		r = st_slots_add(&table, "/a", "c1", false, &c, &l, &first);
		/* Nobody's place is taken. */
		assert_int_equal(users("/a"), r == 0);
		if (r == 0)
			r = st_slots_add(&table, "/a", "c2", false, &c, &l, &first);
		text = r == 0 ? st_slots_text(&table) : NULL;
		if (r == 0 && !text)
			r = -ENOMEM;
		if (r == 0)
			r = st_slots_parse(text, &back);
		assert_true(alloc_fail_stop() ? r == -ENOMEM || r == -EBADMSG : r == 0);
		free(text);
		st_slots_clear(&back);
		st_slots_clear(&table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_free, make, drop),
		cmocka_unit_test_setup_teardown(counted_by_path, make, drop),
		cmocka_unit_test_setup_teardown(read_only, make, drop),
		cmocka_unit_test_setup_teardown(exhaustion, make, drop),
		cmocka_unit_test_setup_teardown(messages, make, drop),
		cmocka_unit_test_setup_teardown(there_and_back, make, drop),
		cmocka_unit_test_setup_teardown(broken_ones, make, drop),
		cmocka_unit_test_setup_teardown(without_memory, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
