/* SPDX-License-Identifier: MIT */
/* Private to the model: the tables, for the stepper and for the documentation. */
#ifndef COW_MODEL_TABLES_H
#define COW_MODEL_TABLES_H

#include "model/state.h"

#include <stddef.h>

struct cow_rule {
	enum cow_state from;
	uint32_t with, without; /* facts that must and must not be the case */
	enum cow_state to;
	enum cow_action action;
	uint32_t clears;
	const char *why;
};

struct cow_process_rule {
	enum cow_process_state from;
	uint32_t with, without;
	enum cow_process_state to;
	const char *why;
};

/* Of one state the first rule that fits counts; where none fits, the state stays. */
extern const struct cow_rule cow_rules[];
extern const size_t cow_rules_count;
extern const struct cow_process_rule cow_process_rules[];
extern const size_t cow_process_rules_count;
extern const char *const cow_fact_names[COW_FACT_COUNT];
extern const char *const cow_deadline_names[COW_DEADLINE_COUNT];

#endif
