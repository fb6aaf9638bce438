/* SPDX-License-Identifier: MIT */
#include "format/table.h"
#include "image/format.h"

#include <errno.h>

static int taken_over(struct net_error *err, int code, const struct st_error *why)
{
	return code < 0 ? net_error_set(err, code, "%s", why->text) : code;
}

int net_format_rows(FILE *out, const char *format, const struct net_column *columns,
		    struct json_object *rows, struct net_error *err)
{
	struct st_column theirs[NET_COLUMNS_MAX + 1] = { 0 };
	struct st_error why = { 0 };

	for (size_t i = 0; columns[i].key && i < NET_COLUMNS_MAX; i++)
		theirs[i] = (struct st_column){ columns[i].title, columns[i].key };
	return taken_over(err, st_format_rows(out, format, theirs, rows, &why), &why);
}

int net_format_value(FILE *out, const char *template, struct json_object *value,
		     struct net_error *err)
{
	struct st_error why = { 0 };

	return taken_over(err, st_format_value(out, template, value, &why), &why);
}
