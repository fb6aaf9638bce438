/* SPDX-License-Identifier: MIT */
#include "cli/top_ps.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The words behind "ps", run; its output is read from *ret. */
static int start_ps(char *const *argv, int argc, FILE **ret, pid_t *ret_pid)
{
	_cleanup_free_ char **words = calloc((size_t)argc + 2, sizeof(*words));
	posix_spawn_file_actions_t actions;
	int fds[2], r;

	if (!words)
		return -ENOMEM;
	words[0] = (char[]){ "ps" };
	memcpy(words + 1, argv, (size_t)argc * sizeof(*words));
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	r = posix_spawn_file_actions_init(&actions)
		?: posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO)
		?: posix_spawnp(ret_pid, "ps", &actions, NULL, words, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fds[1]);
	*ret = r ? NULL : fdopen(fds[0], "r");
	if (!*ret)
		(void)close(fds[0]);
	return r ? -r : *ret ? 0 : -ENOMEM;
}

/* The number of the field PID in ps's first line; -1: there is none. */
static int pid_field(const char *line)
{
	for (int n = 0;; n++) {
		size_t len;

		line += strspn(line, " \t\n");
		len = strcspn(line, " \t\n");
		if (!len)
			return -1;
		if (len == 3 && !memcmp(line, "PID", 3))
			return n;
		line += len;
	}
}

static bool is_ours(const char *line, int field, struct json_object *processes, size_t column)
{
	long long pid;

	for (; field > 0; field--) {
		line += strspn(line, " \t\n");
		line += strcspn(line, " \t\n");
	}
	pid = atoll(line);
	for (size_t i = 0; i < json_object_array_length(processes); i++) {
		struct json_object *row = json_object_array_get_idx(processes, i);
		const char *text =
			json_object_get_string(json_object_array_get_idx(row, column));

		if (text && atoll(text) == pid)
			return true;
	}
	return false;
}

static int filter(struct cow_strbuf *out, FILE *from, struct json_object *processes, size_t column)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int field = -1;

	while (getline(&line, &size, from) > 0) {
		if (field < 0) {
			field = pid_field(line);
			if (field < 0)
				return -ENOENT;
			cow_strbuf_add(out, line);
		} else if (is_ours(line, field, processes, column)) {
			cow_strbuf_add(out, line);
		}
	}
	return out->error;
}

int cow_top_ps(struct cow_strbuf *out, char *const *argv, int argc, struct json_object *processes,
	       size_t pid_column, struct cow_error *err)
{
	FILE *from;
	pid_t pid;
	int status = 0, r = start_ps(argv, argc, &from, &pid);

	if (r)
		return cow_error_errno(err, r, "ps");
	r = filter(out, from, processes, pid_column);
	(void)fclose(from);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* Closed early, it may have died of that. */
	if (WIFEXITED(status) && WEXITSTATUS(status) && out->len == 0)
		return cow_error_set(err, -EINVAL, "ps: it failed with status %d",
				     WEXITSTATUS(status));
	if (r == -ENOENT)
		return cow_error_set(err, -EINVAL, "ps: there is no field PID in what it says");
	return r ? cow_error_errno(err, r, "ps") : 0;
}
