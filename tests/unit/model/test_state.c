/* SPDX-License-Identifier: MIT */
/* The tables: total, sound, and nothing in them that can never apply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "model/state.h"
#include "model/tables.h"

#include <stdio.h>
#include <string.h>

#define ALL_FACTS (1u << COW_FACT_COUNT)

static void every_state_and_facts(void **state)
{
	(void)state;
	for (unsigned s = 0; s < COW_STATE_COUNT; s++) {
		for (uint32_t facts = 0; facts < ALL_FACTS; facts++) {
			struct cow_move move = cow_container_step((enum cow_state)s, facts);

			assert_true((unsigned)move.to < COW_STATE_COUNT);
			assert_true((unsigned)move.action < COW_ACTION_COUNT);
			/* Only wishes are granted; facts are what they are. */
			assert_int_equal(move.clears & ~(uint32_t)COW_FACTS_ASKED, 0);
			if (cow_state_info((enum cow_state)s)->final)
				assert_int_equal(move.to, s);
			/* Whoever stays is asked to do nothing but what may be done twice. */
			if (move.to == s)
				assert_true(move.action == COW_ACTION_NONE ||
					    move.action == COW_ACTION_CANCEL);
			/* Never a second copy of what lives. */
			if (move.action == COW_ACTION_START)
				assert_false(facts & COW_FACT_ALIVE);
			/* Nothing is forgotten while an operation is in flight. */
			if (move.action == COW_ACTION_FORGET)
				assert_false(facts & COW_FACT_BUSY);
		}
	}
}

/* A rule that another one always hides is a mistake. */
static void every_rule_applies(void **state)
{
	(void)state;
	for (size_t i = 0; i < cow_rules_count; i++) {
		const struct cow_rule *rule = &cow_rules[i];
		bool found = false;

		for (uint32_t facts = 0; facts < ALL_FACTS && !found; facts++) {
			size_t first = 0;

			while (first < cow_rules_count &&
			       (cow_rules[first].from != rule->from ||
				(facts & cow_rules[first].with) != cow_rules[first].with ||
				facts & cow_rules[first].without))
				first++;
			found = first == i;
		}
		if (!found)
			fail_msg("rule %zu (from %s: %s) never applies", i,
				 cow_state_info(rule->from)->name, rule->why);
	}
}

static void every_state_is_reached(void **state)
{
	bool reached[COW_STATE_COUNT] = {
		[COW_STATE_CREATING] = true, [COW_STATE_RECOVERING] = true
	};

	(void)state;
	for (unsigned round = 0; round < COW_STATE_COUNT; round++)
		for (size_t i = 0; i < cow_rules_count; i++)
			reached[cow_rules[i].to] |= reached[cow_rules[i].from];
	for (unsigned s = 0; s < COW_STATE_COUNT; s++)
		assert_true(reached[s]);
}

/*
 * From wherever it is, a container that is dead and wanted gone gets there, when nothing is in
 * flight.
 */
static void delete_always_ends(void **state)
{
	(void)state;
	for (unsigned s = 0; s < COW_STATE_COUNT; s++) {
		enum cow_state at = (enum cow_state)s;
		uint32_t wishes = COW_FACT_DELETE | COW_FACT_KILL;
		unsigned steps = 0;

		if (at == COW_STATE_CREATING || at == COW_STATE_STARTING)
			continue; /* those end by their transaction */
		while (!cow_state_info(at)->final && steps++ < COW_STATE_COUNT) {
			struct cow_move move = cow_container_step(at, wishes);

			assert_int_not_equal(move.to, at);
			wishes &= ~move.clears;
			at = move.to;
		}
		assert_int_equal(at, COW_STATE_DELETED);
	}
}

static void deadlines_have_timers(void **state)
{
	(void)state;
	for (unsigned s = 0; s < COW_STATE_COUNT; s++) {
		const struct cow_state_info *info = cow_state_info((enum cow_state)s);
		bool timed = info->deadline >= COW_DEADLINE_STOP;

		assert_non_null(info->name);
		assert_non_null(info->status);
		assert_non_null(info->oci);
		assert_int_equal(timed, (info->timers & COW_TIMER_DEADLINE) != 0);
	}
}

static void coarse_words(void **state)
{
	static const char *const docker[] = { "created", "running",  "paused", "restarting",
					      "exited",  "removing", "dead" };
	static const char *const oci[] = { "creating", "created", "running", "stopped" };

	(void)state;
	for (unsigned s = 0; s < COW_STATE_COUNT; s++) {
		const struct cow_state_info *info = cow_state_info((enum cow_state)s);
		unsigned found = 0;

		for (size_t i = 0; i < COW_ELEMENTS(docker); i++)
			found += strcmp(docker[i], info->status) == 0;
		for (size_t i = 0; i < COW_ELEMENTS(oci); i++)
			found += strcmp(oci[i], info->oci) == 0;
		assert_int_equal(found, 2);
	}
}

static void processes(void **state)
{
	(void)state;
	for (unsigned s = 0; s < COW_PROCESS_COUNT; s++) {
		enum cow_process_state at = (enum cow_process_state)s;

		for (uint32_t facts = 0; facts < ALL_FACTS; facts++) {
			enum cow_process_state to = cow_process_step(at, facts);

			assert_true((unsigned)to < COW_PROCESS_COUNT);
			if (cow_process_state_final(at))
				assert_int_equal(to, at);
		}
		assert_non_null(cow_process_state_name(at));
	}
	assert_int_equal(cow_process_step(COW_PROCESS_STARTING, COW_FACT_BUSY),
			 COW_PROCESS_STARTING);
	assert_int_equal(cow_process_step(COW_PROCESS_STARTING, COW_FACT_FAILED),
			 COW_PROCESS_FAILED);
	assert_int_equal(cow_process_step(COW_PROCESS_STARTING, COW_FACT_ALIVE),
			 COW_PROCESS_RUNNING);
	assert_int_equal(cow_process_step(COW_PROCESS_RUNNING, 0), COW_PROCESS_EXITED);
}

static void document(void **state)
{
	struct cow_strbuf out = COW_STRBUF_INIT;

	(void)state;
	cow_model_document(&out);
	assert_int_equal(out.error, 0);
	for (unsigned s = 0; s < COW_STATE_COUNT; s++)
		assert_non_null(strstr(out.data, cow_state_info((enum cow_state)s)->what));
	cow_strbuf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_and_facts), cmocka_unit_test(every_rule_applies),
		cmocka_unit_test(every_state_is_reached), cmocka_unit_test(delete_always_ends),
		cmocka_unit_test(deadlines_have_timers), cmocka_unit_test(coarse_words),
		cmocka_unit_test(processes), cmocka_unit_test(document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
