/* SPDX-License-Identifier: MIT */
/* Tables and templates, as the client's own verbs print them; and how people read sizes and times. */
#ifndef PLUG_FORMAT_H
#define PLUG_FORMAT_H

#include "common/json.h"

#include <stdio.h>

struct plug_column {
	const char *title, *key; /* NULL ends a list */
};

/*
 * format: NULL: a table of the columns; "json": an object a line; "table TEMPLATE"; TEMPLATE, with
 * {{.NAME}}, {{json .NAME}}, {{index .NAME N|"KEY"}}.  -EINVAL: the template is wrong.
 */
int plug_format_rows(FILE *out, const char *format, const struct plug_column *columns,
		     struct json_object *rows, struct plug_error *err);
int plug_format_value(FILE *out, const char *template, struct json_object *value,
		      struct plug_error *err);
/* Cells parted by tabs, under each other. */
void plug_format_align(FILE *out, const char *text);

/* "4.26MB" */
void plug_format_bytes(uint64_t bytes, char ret[16]);
/* "2 weeks ago", "N/A"; text: RFC 3339 or NULL. */
void plug_format_ago(const char *text, char ret[48]);
/* Seconds since 1970; INT64_MIN where it is no time. */
int64_t plug_format_time(const char *text);

#endif
