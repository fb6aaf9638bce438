/* SPDX-License-Identifier: MIT */
#include "cli/paths.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/strbuf.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* The first of DIR_OF_PROGRAM/candidate in which `file` is; the last candidate where none has it. */
static char *beside(const char *const *candidates, const char *file)
{
	char exe[PATH_MAX] = "/usr/bin/cowherd";
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash, *found = NULL;

	if (n > 0)
		exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	for (; *candidates; candidates++) {
		_cleanup_free_ char *probe = NULL;

		free(found);
		found = cow_fs_absolute(exe, *candidates);
		probe = found ? cow_fs_join(found, file) : NULL;
		if (!probe || !access(probe, F_OK))
			break;
	}
	return found;
}

char *cow_paths_plugin_dir(const char *chosen)
{
	static const char *const candidates[] = { "../" COW_LIBDIR "/cowherd", "../lib/cowherd",
						  NULL };
	char cwd[PATH_MAX];

	if (!chosen)
		chosen = getenv("COWHERD_PLUGIN_DIR");
	if (!chosen || !*chosen)
		return beside(candidates, ".");
	return cow_fs_absolute(getcwd(cwd, sizeof(cwd)) ? cwd : "/", chosen);
}

char *cow_paths_libexec_dir(void)
{
	static const char *const candidates[] = { ".", "../" COW_LIBEXECDIR "/cowherd", NULL };
	const char *chosen = getenv("COWHERD_LIBEXEC_DIR");

	return chosen && *chosen ? strdup(chosen) : beside(candidates, "cowherd-init");
}
