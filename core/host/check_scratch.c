/* SPDX-License-Identifier: MIT */
/* Where a case of the sweep runs, and what is found there afterwards. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/strbuf.h"
#include "host/check.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MOUNTINFO_MAX (16u << 20)

static const char *const dirs[] = { "bundle", "bundle/rootfs", "run", "state", "c-run", "c-state" };

static char *mounts_now(void)
{
	char *text;

	return cow_fs_read("/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) == 0 ? text : NULL;
}

int check_scratch_make(struct check_scratch *scratch)
{
	const char *tmp = getenv("TMPDIR");
	int rc = 0;

	if (!tmp || tmp[0] != '/' || strlen(tmp) > sizeof(scratch->root) - 24)
		tmp = "/tmp";
	(void)snprintf(scratch->root, sizeof(scratch->root), "%s/cowherd-check-XXXXXX", tmp);
	if (!mkdtemp(scratch->root))
		return -errno;
	for (size_t i = 0; rc == 0 && i < COW_ELEMENTS(dirs); i++) {
		_cleanup_free_ char *path = cow_fs_join(scratch->root, dirs[i]);

		rc = !path ? -ENOMEM : mkdir(path, 0700) < 0 ? -errno : 0;
	}
	if (rc < 0) {
		(void)cow_fs_remove_tree(scratch->root);
		return rc;
	}
	scratch->mounts = mounts_now();
	return 0;
}

static void say(char *why, size_t size, const char *what, const char *which)
{
	if (!why[0])
		(void)snprintf(why, size, "%s is left behind%s%s", what, which ? ": " : "",
			       which ? which : "");
}

/* A plugin's processes come to us when their parent dies: we are their subreaper. */
static void end_processes(char *why, size_t size)
{
	_cleanup_free_ char *path = cow_asprintf("/proc/self/task/%d/children", getpid()), *pids = NULL;
	char *rest;

	if (!path || cow_fs_read(path, MOUNTINFO_MAX, &pids, NULL) < 0)
		return;
	rest = pids;
	for (char *word; (word = strsep(&rest, " \n"));) {
		pid_t pid = (pid_t)strtol(word, NULL, 10);

		/* One that has ended already is only reaped. */
		if (pid <= 0 || waitpid(pid, NULL, WNOHANG) != 0)
			continue;
		say(why, size, "a process", word);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
}

static void scan_directory(const struct check_scratch *scratch, const char *name, char *why, size_t size)
{
	_cleanup_free_ char *path = cow_fs_join(scratch->root, name);
	_cleanup_closedir_ DIR *dir = path ? opendir(path) : NULL;

	if (!dir) {
		say(why, size, "not even the directory it was given", name);
		return;
	}
	for (struct dirent *d; (d = readdir(dir));) {
		_cleanup_free_ char *left = NULL;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    strcmp(d->d_name, "rootfs") == 0)
			continue;
		left = cow_asprintf("%s/%s", name, d->d_name);
		say(why, size, "a file", left);
	}
}

/* Field 5 of a line of mountinfo is where the mount is. */
static void detach(const struct check_scratch *scratch, const char *line)
{
	char where[4096];

	if (sscanf(line, "%*s %*s %*s %*s %4095s", where) == 1 &&
	    strncmp(where, scratch->root, strlen(scratch->root)) == 0)
		(void)umount2(where, MNT_DETACH);
}

/* Lines are unique by their first field; what is new is below what it stands on, so last first. */
static void compare_mounts(const struct check_scratch *scratch, char *why, size_t size)
{
	_cleanup_free_ char *after = mounts_now();

	if (!scratch->mounts || !after)
		return;
	for (char *end = after + strlen(after); end > after;) {
		char *line;

		*--end = '\0';
		line = strrchr(after, '\n');
		line = line ? line + 1 : after;
		if (!strstr(scratch->mounts, line)) {
			say(why, size, "a mount", line);
			detach(scratch, line);
		}
		end = line;
	}
}

void check_scratch_finish(struct check_scratch *scratch, char *why, size_t size)
{
	end_processes(why, size);
	compare_mounts(scratch, why, size);
	for (size_t i = 0; i < COW_ELEMENTS(dirs); i++)
		scan_directory(scratch, dirs[i], why, size);
	(void)cow_fs_remove_tree(scratch->root);
	free(scratch->mounts);
	scratch->mounts = NULL;
}
