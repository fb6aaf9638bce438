/* SPDX-License-Identifier: MIT */
#include "rootless/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define LOOK_S 2
#define LOOKS 2 /* nobody there so many times: the container's first process is on its way for a moment */

static bool is_number(const char *name)
{
	return *name > '0' && *name <= '9';
}

/* In this user namespace, and neither this process nor the program. */
static bool is_guest(const char *pid, const char *own, pid_t program)
{
	char path[64], where[64];
	ssize_t n;

	if (atoi(pid) == getpid() || atoi(pid) == program)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%.20s/ns/user", pid);
	n = readlink(path, where, sizeof(where) - 1);
	where[n > 0 ? n : 0] = 0;
	return !strcmp(where, own);
}

/* What the kernel has in the buffer of getdents64(2). */
struct entry {
	uint64_t ino, off;
	unsigned short size;
	unsigned char type;
	char name[];
};

/* Where /proc cannot be read, somebody may be there. */
static bool anybody(int dir)
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(uint64_t) char buffer[4096];
	char own[64];
	ssize_t n = readlink("/proc/self/ns/user", own, sizeof(own) - 1);
	pid_t program = 0;

	if (proc < 0 || n < 0)
		return true;
	own[n] = 0;
	(void)rootless_pid_at(dir, "pid", &program);
	while ((n = syscall(SYS_getdents64, proc, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(const void *)(buffer + at);

			if (is_number(e->name) && is_guest(e->name, own, program))
				return true;
			at += e->size;
		}
	}
	return n < 0;
}

/* Until that supervisor has ended; a new one may have come meanwhile. */
static void keeper_wait(pid_t pid)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0)
		(void)poll(&p, 1, -1);
}

void rootless_keep(int dir)
{
	const struct timespec pause_for = { .tv_sec = LOOK_S };
	pid_t pid;

	for (int looks = 0; looks < LOOKS;) {
		if (rootless_pid_at(dir, "keeper", &pid) == 0) {
			keeper_wait(pid);
			looks = 0;
			continue;
		}
		looks = anybody(dir) ? 0 : looks + 1;
		if (looks < LOOKS)
			(void)nanosleep(&pause_for, NULL);
	}
	if (rootless_pid_at(dir, "pid", &pid) == 0)
		(void)kill(pid, SIGKILL);
	_exit(0);
}
