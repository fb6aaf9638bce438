/* SPDX-License-Identifier: MIT */
#include "model/state.h"
#include "model/tables.h"

static void add_facts(struct cow_strbuf *out, uint32_t with, uint32_t without)
{
	const char *between = "";

	for (unsigned i = 0; i < COW_FACT_COUNT; i++) {
		if (!((with | without) & 1u << i))
			continue;
		cow_strbuf_addf(out, "%s%s%s", between, without & 1u << i ? "not " : "",
				cow_fact_names[i]);
		between = ", ";
	}
	if (!*between)
		cow_strbuf_add(out, "otherwise");
}

static void add_timers(struct cow_strbuf *out, uint32_t timers)
{
	static const char *const names[] = { "deadline", "health", "stable" };
	const char *between = "";

	for (unsigned i = 0; i < 3; i++) {
		if (!(timers & 1u << i))
			continue;
		cow_strbuf_addf(out, "%s%s", between, names[i]);
		between = ", ";
	}
}

static void add_states(struct cow_strbuf *out)
{
	cow_strbuf_add(out, "| state | what | `ps` status | OCI status | deadline | timers |\n"
			    "|---|---|---|---|---|---|\n");
	for (unsigned s = 0; s < COW_STATE_COUNT; s++) {
		const struct cow_state_info *info = cow_state_info((enum cow_state)s);

		cow_strbuf_addf(out, "| %s | %s | %s | %s | %s | ", info->name, info->what,
				info->status, info->oci, cow_deadline_names[info->deadline]);
		add_timers(out, info->timers);
		cow_strbuf_add(out, " |\n");
	}
}

static void add_rules(struct cow_strbuf *out)
{
	cow_strbuf_add(out,
		       "| from | when | to | action | clears | why |\n|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < cow_rules_count; i++) {
		const struct cow_rule *r = &cow_rules[i];

		cow_strbuf_addf(out, "| %s | ", cow_state_info(r->from)->name);
		add_facts(out, r->with, r->without);
		cow_strbuf_addf(out, " | %s | %s | ",
				r->to == r->from ? "(stays)" : cow_state_info(r->to)->name,
				cow_action_name(r->action));
		if (r->clears)
			add_facts(out, r->clears, 0);
		cow_strbuf_addf(out, " | %s |\n", r->why);
	}
}

static void add_process(struct cow_strbuf *out)
{
	cow_strbuf_add(out, "| from | when | to | why |\n|---|---|---|---|\n");
	for (size_t i = 0; i < cow_process_rules_count; i++) {
		const struct cow_process_rule *r = &cow_process_rules[i];

		cow_strbuf_addf(out, "| %s | ", cow_process_state_name(r->from));
		add_facts(out, r->with, r->without);
		cow_strbuf_addf(out, " | %s | %s |\n",
				r->to == r->from ? "(stays)" : cow_process_state_name(r->to),
				r->why);
	}
}

void cow_model_document(struct cow_strbuf *out)
{
	cow_strbuf_add(out, "# States\n\n"
			    "Generated from `core/model/tables.c` and `core/model/state.c` by\n"
			    "`cowherd-states > docs/states.md`; a test compares. Do not edit.\n\n"
			    "A step looks at the facts and moves at most one state: of the rules "
			    "of the present state the\n"
			    "first that fits counts, and where none fits the state stays. Events "
			    "carry nothing; they only\n"
			    "say \"look again\". Facts in capitals are wishes; a transition that "
			    "grants or voids one clears\n"
			    "it. On entry the facts busy, failed and expired are unset, and timers "
			    "that the new state does\n"
			    "not own are dropped.\n\n"
			    "## A container\n\n");
	add_states(out);
	cow_strbuf_add(out, "\n### Rules\n\n");
	add_rules(out);
	cow_strbuf_add(out, "\n## A process (exec)\n\n");
	add_process(out);
}
