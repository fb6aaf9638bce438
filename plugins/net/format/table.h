/* SPDX-License-Identifier: MIT */
/* Tables and templates, printed as the storage plugin prints its own: by the same code. */
#ifndef NET_FORMAT_TABLE_H
#define NET_FORMAT_TABLE_H

#include "base/error.h"

#include <stdio.h>

struct json_object;

#define NET_COLUMNS_MAX 8

struct net_column {
	const char *title, *key; /* NULL ends a list */
};

/*
 * format: NULL: a table of the columns; "json": an object a line; "table TEMPLATE"; TEMPLATE, with
 * {{.NAME}}, {{json .NAME}}, {{index .NAME N|"KEY"}}.  -EINVAL: the template is wrong.
 */
int net_format_rows(FILE *out, const char *format, const struct net_column *columns,
		    struct json_object *rows, struct net_error *err);
int net_format_value(FILE *out, const char *template, struct json_object *value,
		     struct net_error *err);

#endif
