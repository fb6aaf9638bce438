/* SPDX-License-Identifier: MIT */
/* Processes known by a file: a number alone may be another's by now, so its start time stands beside it. */
#include "rootless/internal.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define END_MS 5000

/* Field 22 of /proc/PID/stat; 0: there is no such process, or it has ended. */
static unsigned long long start_time(pid_t pid)
{
	char path[40], text[512], *at, *save;
	char state = 'Z';
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = 0;
	at = strrchr(text, ')'); /* a process's name may have any before */
	at = at ? strtok_r(at + 1, " ", &save) : NULL;
	if (at)
		state = *at;
	for (int field = 3; at && field < 22; field++)
		at = strtok_r(NULL, " ", &save);
	return at && state != 'Z' && state != 'X' ? strtoull(at, NULL, 10) : 0;
}

int rootless_pid_write(const char *dir, const char *name, pid_t pid)
{
	_cleanup_free_ char *path = NULL, *tmp = NULL;
	unsigned long long start = start_time(pid);
	FILE *f;
	int r;

	if (!start)
		return -ESRCH;
	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (asprintf(&tmp, "%s.tmp", path) < 0) {
		tmp = NULL;
		return -ENOMEM;
	}
	f = fopen(tmp, "we");
	if (!f)
		return -errno;
	r = fprintf(f, "%d %llu\n", pid, start) < 0 ? -EIO : 0;
	if (fclose(f) != 0 || r < 0 || rename(tmp, path) < 0) {
		r = r < 0 ? r : -errno;
		(void)unlink(tmp);
	}
	return r;
}

int rootless_pid_read(const char *dir, const char *name, pid_t *ret)
{
	_cleanup_free_ char *path = NULL;
	unsigned long long start = 0;
	int pid = 0, n;
	FILE *f;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT || errno == ENOTDIR ? -ESRCH : -errno;
	n = fscanf(f, "%d %llu", &pid, &start);
	(void)fclose(f);
	if (n != 2 || pid <= 1 || start_time(pid) != start)
		return -ESRCH;
	*ret = pid;
	return 0;
}

int rootless_end(const char *dir, const char *name, struct plug_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int pidfd = -1;
	struct pollfd p = { .events = POLLIN };
	siginfo_t info;
	pid_t pid, again;
	int r = rootless_pid_read(dir, name, &pid);

	if (r == 0)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
	/* Looked at once more: so the descriptor is of the process that was read of. */
	if (pidfd >= 0 && rootless_pid_read(dir, name, &again) == 0 && again == pid) {
		p.fd = pidfd;
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u);
		if (poll(&p, 1, END_MS) == 0)
			return plug_error_set(err, -EBUSY, "%s/%s: process %d does not end", dir, name, pid);
		(void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG); /* where it is our child */
	}
	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return plug_error_errno(err, -ENOMEM, "%s", dir);
	}
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return plug_error_errno(err, -errno, "%s", path);
	return 0;
}
