/* SPDX-License-Identifier: MIT */
/* Inside of launch_explain(): one sentence a line, text of the spec made harmless for terminals. */
#ifndef LAUNCH_EXPLAIN_H
#define LAUNCH_EXPLAIN_H

#include "plan.h"

/* Control characters as \xNN, so that a spec cannot move the reader's cursor. */
void explain_text(FILE *out, const char *text);
/* "a, b and c": before the i-th of n. */
void explain_and(FILE *out, uint32_t i, uint32_t n);
void explain_strings(FILE *out, const struct launch_plan *plan, struct launch_vec strings);
void explain_bytes(FILE *out, uint64_t bytes); /* "512 MiB", or "1000 bytes" */

void explain_mounts(const struct launch_plan *plan, FILE *out);
void explain_cgroup(const struct launch_plan *plan, FILE *out);
void explain_process(const struct launch_plan *plan, FILE *out);

#endif
