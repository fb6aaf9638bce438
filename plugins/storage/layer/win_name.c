/* SPDX-License-Identifier: MIT */
/* Names in archives of Windows layers, and what of them is refused (CVE-2018-8115). */
#include "layer/tree.h"
#include "layer/win_private.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static const char *const roots[] = { WIN_FILES, "Hives", WIN_UVM };

/* "Files/x", "./Files": the first part is one of the three. */
bool st_win_is_root(const char *path)
{
	while (path[0] == '.' && path[1] == '/')
		path += 2;
	for (size_t i = 0; i < PLUG_ELEMENTS(roots); i++) {
		size_t n = strlen(roots[i]);

		if (!strncmp(path, roots[i], n) && (!path[n] || path[n] == '/'))
			return true;
	}
	return false;
}

/* "CON", "nul.txt", "COM1": devices, whatever directory they are in. */
static bool reserved(const char *part, size_t size)
{
	static const char *const names[] = { "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$" };
	size_t n = 0;

	while (n < size && part[n] != '.' && part[n] != ' ')
		n++;
	for (size_t i = 0; i < PLUG_ELEMENTS(names); i++)
		if (strlen(names[i]) == n && !strncasecmp(part, names[i], n))
			return true;
	return n == 4 && (!strncasecmp(part, "COM", 3) || !strncasecmp(part, "LPT", 3)) &&
	       part[3] >= '1' && part[3] <= '9';
}

static const char *part_refused(const char *part, size_t size)
{
	if (size == 2 && part[0] == '.' && part[1] == '.')
		return "path leads upwards";
	if (size > 255)
		return "name is too long";
	for (size_t i = 0; i < size; i++) {
		if (part[i] == ':')
			return "path contains invalid character `:`";
		if (part[i] == '\\')
			return "path contains invalid character `\\`";
		if ((unsigned char)part[i] < 32 || strchr("<>\"|?*", part[i]))
			return "path contains an invalid character";
	}
	return reserved(part, size) ? "name is reserved for a device" : NULL;
}

int win_name_clean(const char *text, char **ret, const char **cause)
{
	_cleanup_free_ char *path = malloc(strlen(text) + 1);
	char *to = path;

	if (!path)
		return -ENOMEM;
	*cause = *text == '/' ? "expected relative path" : NULL;
	while (!*cause && *text) {
		size_t n = strcspn(text, "/");

		if (n && !(n == 1 && *text == '.')) {
			*cause = part_refused(text, n);
			if (to != path)
				*to++ = '/';
			memcpy(to, text, n);
			to += n;
		}
		text += n + (text[n] == '/');
	}
	*to = 0;
	if (!*cause && !st_win_is_root(path))
		*cause = "not below Files, Hives or UtilityVM";
	if (*cause)
		return -EINVAL;
	*ret = plug_take_ptr(path);
	return 0;
}

const char *win_name_stream(const char *text, const char *path, const char **cause)
{
	size_t n = strlen(path);

	*cause = NULL;
	while (text[0] == '.' && text[1] == '/')
		text += 2;
	if (!n || strncmp(text, path, n) != 0 || text[n] != ':')
		return NULL;
	text += n + 1;
	n = strlen(text);
	if (!n || strpbrk(text, "/\\:"))
		*cause = "path contains invalid character `:`";
	for (size_t i = 0; !*cause && i < n; i++)
		if ((unsigned char)text[i] < 32)
			*cause = "path contains an invalid character";
	return text;
}

bool win_name_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && path[n] == '/';
}

char *win_name_windows(const char *path)
{
	char *copy = strdup(path);

	for (char *p = copy; p && *p; p++)
		*p = *p == '/' ? '\\' : *p;
	return copy;
}

const char *win_name_backup(const char *path)
{
	static const char *const files[][2] = {
		{ "BCD", "bcd.bak" },
		{ "BCD.LOG", "bcd.log.bak" },
		{ "BCD.LOG1", "bcd.log1.bak" },
		{ "BCD.LOG2", "bcd.log2.bak" },
	};
	static const char dir[] = "UtilityVM/Files/EFI/Microsoft/Boot/";

	if (strncmp(path, dir, sizeof(dir) - 1) != 0)
		return NULL;
	for (size_t i = 0; i < PLUG_ELEMENTS(files); i++)
		if (!strcasecmp(path + sizeof(dir) - 1, files[i][0]))
			return files[i][1];
	return NULL;
}

/* The directory of path, below Files, is that many steps down. */
static size_t depth_of(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* "C:\a\b", with \??\ or \\?\ before it: what is behind the drive; else NULL. */
static const char *behind_drive(const char *target)
{
	if (!strncmp(target, "\\??\\", 4) || !strncmp(target, "\\\\?\\", 4))
		target += 4;
	if (!isalpha((unsigned char)target[0]) || target[1] != ':' ||
	    (target[2] && target[2] != '\\' && target[2] != '/'))
		return NULL;
	return toupper((unsigned char)target[0]) == 'C' ? target + 2 : NULL;
}

char *win_name_target(const char *path, const char *target)
{
	const char *rest = behind_drive(target);
	size_t up = win_name_below(path, WIN_FILES) ? depth_of(path) - 1 : 0, at = 0;
	char *text = malloc(3 * up + strlen(target) + 3);

	if (!text)
		return NULL;
	if (!rest) { /* relative, or a volume, a share: backslashes alone would be one long name */
		rest = target;
		up = 0;
	} else {
		rest += strspn(rest, "\\/");
	}
	for (size_t i = 0; i < up; i++, at += 3)
		memcpy(text + at, "../", 3);
	for (; *rest; rest++)
		text[at++] = *rest == '\\' ? '/' : *rest;
	if (!at)
		text[at++] = '.';
	text[at] = 0;
	return text;
}
