/* SPDX-License-Identifier: MIT */
/* --format: rows as a table, as JSON (one object a line), or by a template (cli/template.h). */
#ifndef COW_CLI_FORMAT_H
#define COW_CLI_FORMAT_H

#include "base/error.h"
#include "base/strbuf.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

struct cow_column {
	const char *
		title; /* "CONTAINER ID"; NULL ends a list, or: not in the default table but known */
	const char *key; /* "ID"; NULL ends a list */
};

/*
 * format: NULL or "table": the columns that have a title; "json"; "table TEMPLATE"; TEMPLATE.  rows: a
 * JSON array of objects.  -EINVAL: the template is wrong, or names what no row has.
 */
int cow_format_rows(struct cow_strbuf *out, const char *format, const struct cow_column *columns,
		    struct json_object *rows, struct cow_error *err);
/* One document by a template; what it does not have is "<no value>". */
int cow_format_value(struct cow_strbuf *out, const char *format, struct json_object *value,
		     struct cow_error *err);
/* Lines of cells parted by tabs, with the cells under each other. */
void cow_format_align(struct cow_strbuf *out, const char *text);
/* JSON without spaces or needless escapes. */
void cow_format_json(struct cow_strbuf *out, struct json_object *value);
/*
 * The member at a path like ".State.Pid": letter case and underscores do not count, and a leading
 * component that is no object (docker's .State, .Config) is passed over.  NULL: none.
 */
struct json_object *cow_format_lookup(struct json_object *value, const char *path, size_t len);
/*
 * The same in what container.inspect says, by docker's names too (".State.Running", ".Config.Cmd"); the
 * result is the caller's.
 */
struct json_object *cow_docker_lookup(struct json_object *container, const char *path, size_t len);

#endif
