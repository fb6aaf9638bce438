/* SPDX-License-Identifier: MIT */
/* Verbs that do one thing to each container named: all are asked at once, answers are told in order. */
#ifndef COW_CLI_EACH_H
#define COW_CLI_EACH_H

#include "base/strbuf.h"
#include "cli/client.h"

/*
 * params: members added to each request ("" or ",\"force\":true"), may be NULL.  print: the container's
 * name, as it was given, for each that went well.  Returns the exit status: one failure is enough.
 */
int cow_each_container(const struct cow_args *args, const char *method, const char *params,
		       bool print);

typedef void (*cow_each_cb)(void *arg, const char *container, struct json_object *result);
struct cow_each {
	const char *method, *params;
	cow_each_cb on_result; /* may be NULL */
	void *arg;
	int ignore;          /* an error code that is success (-ENOENT), or 0 */
	int64_t deadline_ms; /* for all together; 0: none */
};
int cow_each_run(const struct cow_args *args, struct cow_client *client,
		 const struct cow_each *each);

#endif
