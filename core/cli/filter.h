/* SPDX-License-Identifier: MIT */
/* --filter KEY=VALUE: values of one key are alternatives, keys (and labels) must all hold. */
#ifndef COW_CLI_FILTER_H
#define COW_CLI_FILTER_H

#include "base/error.h"
#include "cli/options.h"

#include <json-c/json.h>

enum cow_filter_match {
	COW_FILTER_EQUAL,
	COW_FILTER_PREFIX,
	COW_FILTER_PART,
	COW_FILTER_OBJECT, /* the name of its container, or the id, or as much of it as ps shows */
	COW_FILTER_LABEL, /* NAME or NAME=VALUE in an object */
};

struct cow_filter_key {
	const char *key;    /* on the command line; NULL ends a list */
	const char *member; /* in the row */
	enum cow_filter_match match;
};

/* -EINVAL: not KEY=VALUE, or a key that is not in keys. */
int cow_filter_check(const struct cow_args *args, const struct cow_filter_key *keys,
		     struct cow_error *err);
bool cow_filter_holds(const struct cow_args *args, const struct cow_filter_key *keys,
		      struct json_object *row);
/* Is there a filter with that key? */
bool cow_filter_has(const struct cow_args *args, const char *key);

#endif
