/* SPDX-License-Identifier: MIT */
/* Verbs of plugins, without a supervisor: the plugins are loaded into this process for one call. */
#ifndef COW_CLI_LOCAL_H
#define COW_CLI_LOCAL_H

#include "base/error.h"
#include "base/strbuf.h"

#include <json-c/json.h>

/*
 * args: a JSON array of the words after the verb.  plugin_dir: NULL: the usual one.  The answer goes to
 * out: JSON or text; *ret_status: the exit status the plugin wishes, 0: none, also with an error.
 * A signal that would end this process is the plugin's `cancel` first.  -ENOPKG: no plugin offers it.
 */
int cow_local_verb(const char *verb, const char *args, const char *cwd, const char *plugin_dir,
		   struct cow_strbuf *out, int *ret_status, struct cow_error *err);
/* What the `verbs` method would say of it: an object, the caller's.  -ENOPKG. */
int cow_local_describe(const char *verb, const char *plugin_dir, struct json_object **ret,
		       struct cow_error *err);
/* How far a verb is, as progress() told it: for people, on standard error. */
void cow_local_progress(struct json_object *value);

#endif
