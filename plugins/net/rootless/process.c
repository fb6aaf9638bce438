/* SPDX-License-Identifier: MIT */
/* Processes known by a file: a number alone may be another's by now, so its start time stands beside it. */
#include "rootless/internal.h"
#include "common/files.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define END_MS 5000

/* All of a small file of the kernel's or ours; without allocating: the holder reads, too.  < 0: -errno. */
static ssize_t text_read(int dir, const char *name, char *text, size_t size)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : read(fd, text, size - 1);

	if (fd >= 0 && n < 0)
		n = -errno;
	text[n > 0 ? n : 0] = 0;
	return n;
}

/* Field 22 of /proc/PID/stat; 0: there is no such process, or it has ended. */
static unsigned long long start_time(pid_t pid)
{
	char path[40], text[512], *at, *save;
	char state = 'Z';

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (text_read(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return 0;
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
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned long long start = start_time(pid);
	char text[64], making[40];

	if (at < 0)
		return -errno;
	if (!start)
		return -ESRCH;
	(void)snprintf(text, sizeof(text), "%d %llu\n", pid, start);
	(void)snprintf(making, sizeof(making), "%s.tmp", name);
	return plug_file_write(at, name, making, text, PLUG_FILE_REPLACE);
}

int rootless_pid_at(int dir, const char *name, pid_t *ret)
{
	unsigned long long start = 0;
	char text[64];
	int pid = 0;
	ssize_t n = text_read(dir, name, text, sizeof(text));

	if (n < 0)
		return n == -ENOENT || n == -ENOTDIR ? -ESRCH : (int)n;
	if (sscanf(text, "%d %llu", &pid, &start) != 2 || pid <= 1 || start_time(pid) != start)
		return -ESRCH;
	*ret = pid;
	return 0;
}

int rootless_pid_read(const char *dir, const char *name, pid_t *ret)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ESRCH : -errno;
	return rootless_pid_at(at, name, ret);
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
