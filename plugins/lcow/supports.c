/* SPDX-License-Identifier: MIT */
/*
 * Which specs this backend runs.  Asked on the loop for every create: so the spec, which may be
 * megabytes, is looked through for its top-level members and not parsed.
 */
#include "lcow.h"

#include <string.h>

/* Behind the closing quote of a string, or the end of the text. */
static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
	}
	return *p ? p + 1 : p;
}

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* The value of a top-level member, or NULL. */
static const char *member_find(const char *json, const char *key)
{
	size_t len = strlen(key);
	unsigned depth = 0;

	for (const char *p = json; *p;) {
		const char *start = p;

		if (*p != '"') {
			depth += *p == '{' || *p == '[';
			depth -= depth > 0 && (*p == '}' || *p == ']');
			p++;
			continue;
		}
		p = skip_string(p);
		if (depth == 1 && (size_t)(p - start) == len + 2 &&
		    memcmp(start + 1, key, len) == 0 && *skip_space(p) == ':')
			return skip_space(skip_space(p) + 1);
	}
	return NULL;
}

bool spec_is_for_us(const char *spec, const char *options)
{
	const char *linux_section = member_find(spec, "linux");
	const char *windows = member_find(spec, "windows");
	const char *isolation = options ? member_find(options, "isolation") : NULL;
	const char *hosting = options ? member_find(options, "hosting_system") : NULL;

	if (!linux_section || *linux_section != '{')
		return false;
	if (isolation && strncmp(isolation, "\"process\"", 9) != 0 &&
	    strncmp(isolation, "null", 4) != 0)
		return false;
	/* In a utility VM of somebody's. */
	if (hosting && strncmp(hosting, "null", 4) != 0)
		return false;
	/*
	 * A hyperv object in the Windows section asks for a utility VM, also for Linux containers.
	 */
	return !windows || *windows != '{' || !member_find(windows, "hyperv");
}
