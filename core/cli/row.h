/* SPDX-License-Identifier: MIT */
/* From what container.list and container.stats say to the columns docker shows.  Pure. */
#ifndef COW_CLI_ROW_H
#define COW_CLI_ROW_H

#include "cli/format.h"

#include <stdbool.h>
#include <stdint.h>

extern const struct cow_column cow_ps_columns[], cow_ps_size_columns[];
/* NULL: out of memory. */
struct json_object *cow_ps_row(struct json_object *container, uint64_t now_ns, bool no_trunc);
/* "Up 3 seconds (healthy)", "Exited (0) 2 minutes ago" */
void cow_ps_status(struct cow_strbuf *out, struct json_object *container, uint64_t now_ns);

extern const struct cow_column cow_stats_columns[];
/* memory_bytes: the machine's, the limit of a container that has none. */
struct json_object *cow_stats_row(struct json_object *sample, uint64_t memory_bytes, bool no_trunc);

#endif
