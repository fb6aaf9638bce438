/* SPDX-License-Identifier: MIT */
/* What plugins left running: found by the mark in its environment. */
#include "cni/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define END_MS 5000
#define ENVIRON_MAX 16384 /* ours come first */

static bool environ_has(const char *pid, const char *line)
{
	char path[64], text[ENVIRON_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = 0;
	for (const char *p = text; p < text + n; p += strlen(p) + 1) {
		if (!strcmp(p, line))
			return true;
	}
	return false;
}

/* Looked at again by its descriptor's process: a number alone may be another's by now. */
static void process_end(const char *pid, const char *line)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, atoi(pid), 0u);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0 || !environ_has(pid, line))
		return;
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u);
	(void)poll(&p, 1, END_MS);
}

void cni_stragglers_end(const struct net_cni_paths *paths, const char *container)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *e;

	if (asprintf(&line, CNI_MARK, paths->cache, container) < 0) {
		line = NULL;
		return;
	}
	while (d && (e = readdir(d))) {
		if (*e->d_name > '0' && *e->d_name <= '9' && environ_has(e->d_name, line))
			process_end(e->d_name, line);
	}
}
