/* SPDX-License-Identifier: MIT */
/* The holder: a process that does nothing but be in the namespaces that it made. */
#include "rootless/internal.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* In the child of a process with many threads.  It says its errno, waits, and says another; 0 is good. */
__attribute__((noreturn)) static void holder_main(int talk)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	unsigned char e = 0;
	char go;
	int fd;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "cowherd-holder");
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		e = (unsigned char)errno;
	if (write(talk, &e, 1) != 1 || e || read(talk, &go, 1) != 1) /* until it is root in there */
		_exit(1);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		e = (unsigned char)errno;
	if (write(talk, &e, 1) != 1 || e)
		_exit(1);
	(void)syscall(SYS_close_range, 0u, ~0u, 0u);
	for (;;)
		(void)pause();
}

static int proc_write(pid_t pid, const char *name, const char *text)
{
	char path[64];
	_cleanup_close_ int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : plug_write_all(fd, text, strlen(text));
}

static int holder_says(int talk)
{
	unsigned char e;
	ssize_t n;

	do {
		n = read(talk, &e, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? -(int)e : -EIO;
}

static int holder_map(pid_t pid)
{
	char uid[48], gid[48];

	(void)snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
	(void)snprintf(gid, sizeof(gid), "0 %u 1", getegid());
	/* Who has no right over groups may not drop any of them either: user_namespaces(7). */
	return proc_write(pid, "setgroups", "deny") ?: proc_write(pid, "uid_map", uid)
		       ?: proc_write(pid, "gid_map", gid);
}

int net_rootless_hold(const char *dir, pid_t *ret, struct plug_error *err)
{
	int pair[2], r;
	pid_t pid;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", dir);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return plug_error_errno(err, -errno, "user and network namespace");
	pid = fork();
	if (pid == 0)
		holder_main(pair[1]);
	r = pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	r = r ?: rootless_pid_write(dir, "holder", pid); /* from now on it is found again */
	r = r ?: holder_says(pair[0]);
	r = r ?: holder_map(pid);
	r = r ?: plug_write_all(pair[0], "g", 1);
	r = r ?: holder_says(pair[0]);
	(void)close(pair[0]);
	if (r == 0) {
		*ret = pid;
		return 0;
	}
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		(void)rootless_end(dir, "holder", NULL);
	}
	return plug_error_errno(err, r, "user and network namespace");
}
