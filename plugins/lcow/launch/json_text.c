/* SPDX-License-Identifier: MIT */
#include "json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *launch_json_text(const char *text)
{
	char *quoted = malloc(6 * strlen(text) + 3), *at = quoted;

	if (!quoted)
		return NULL;
	*at++ = '"';
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			*at++ = '\\';
		if ((unsigned char)*p < ' ')
			at += sprintf(at, "\\u%04x", (unsigned)*p);
		else
			*at++ = *p;
	}
	*at++ = '"';
	*at = '\0';
	return quoted;
}
