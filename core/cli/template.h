/* SPDX-License-Identifier: MIT */
/*
 * The part of Go's text/template that people use with --format: {{.A.B}}, pipelines, parentheses,
 * {{if}} {{else if}} {{else}} {{range}} {{with}} {{end}}, variables, comments, trimming; functions: and or
 * not eq ne lt le gt ge len index slice print printf println, and docker's json join split lower upper
 * title pad truncate.  Values are JSON.  Errors name the place: "--format: ACTION: cause".
 */
#ifndef COW_CLI_TEMPLATE_H
#define COW_CLI_TEMPLATE_H

#include "base/error.h"
#include "base/strbuf.h"

#include <json-c/json.h>
#include <stddef.h>

/*
 * The value of ".A.B" (path, len) of the document itself: a new reference, or NULL where there is none.
 * A negative errno ends the expansion, err says why.
 */
typedef int (*cow_template_field_cb)(void *arg, struct json_object *root, const char *path,
				     size_t len, struct json_object **ret, struct cow_error *err);

int cow_template_run(struct cow_strbuf *out, const char *text, struct json_object *root,
		     cow_template_field_cb field, void *arg, struct cow_error *err);

#endif
