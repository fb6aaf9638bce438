/* SPDX-License-Identifier: MIT */
/* A verb of a plugin, without a supervisor: the plugins are loaded into this process for one call. */
#ifndef COW_CLI_LOCAL_H
#define COW_CLI_LOCAL_H

#include "base/error.h"
#include "base/strbuf.h"

/*
 * args: a JSON array of the words after the verb.  plugin_dir: NULL: the usual one.  The answer goes to
 * out: JSON or text.  -ENOENT: no plugin offers the verb.
 */
int cow_local_verb(const char *verb, const char *args, const char *cwd, const char *plugin_dir,
		   struct cow_strbuf *out, struct cow_error *err);

#endif
