/* SPDX-License-Identifier: MIT */
/* `top CONTAINER PS-OPTIONS`: ps(1) of this host, of which the container's processes are shown. */
#ifndef COW_CLI_TOP_PS_H
#define COW_CLI_TOP_PS_H

#include "base/error.h"
#include "base/strbuf.h"

#include <json-c/json.h>

/* processes: rows of container.top; pid_column: where a row has its number.  argv: ps's own words. */
int cow_top_ps(struct cow_strbuf *out, char *const *argv, int argc, struct json_object *processes,
	       size_t pid_column, struct cow_error *err);

#endif
