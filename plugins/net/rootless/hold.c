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
__attribute__((noreturn)) static void holder_main(int talk, int dir)
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
	if (dup2(dir, 0) != 0)
		_exit(1);
	(void)syscall(SYS_close_range, 1u, ~0u, 0u);
	rootless_keep(0);
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

static int place_link(const char *dir, const char *name, pid_t pid, const char *kind)
{
	_cleanup_free_ char *path = NULL;
	char to[48];

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	(void)snprintf(to, sizeof(to), "/proc/%d/ns/%s", pid, kind);
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return symlink(to, path) < 0 ? -errno : 0;
}

/* By names that stay, whatever number the holder has: in a specification that is used again. */
static int places_link(const char *dir, pid_t pid)
{
	return place_link(dir, NET_ROOTLESS_USERNS, pid, "user") ?:
	       place_link(dir, NET_ROOTLESS_NETNS, pid, "net");
}

int net_rootless_adopt(const char *dir)
{
	return rootless_pid_write(dir, "keeper", getpid());
}

/* The other side of holder_main(). */
static int holder_begin(const char *dir, pid_t pid, int talk)
{
	int r = rootless_pid_write(dir, "holder", pid); /* from now on it is found again */

	r = r ?: places_link(dir, pid);
	r = r ?: holder_says(talk);
	r = r ?: holder_map(pid);
	r = r ?: plug_write_all(talk, "g", 1);
	return r ?: holder_says(talk);
}

static int holder_fork(const char *dir, int at, pid_t *ret)
{
	int pair[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		holder_main(pair[1], at);
	r = pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	r = r ?: holder_begin(dir, pid, pair[0]);
	(void)close(pair[0]);
	if (r == 0) {
		*ret = pid;
	} else if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		(void)rootless_end(dir, "holder", NULL);
	}
	return r;
}

int net_rootless_hold(const char *dir, pid_t *ret, struct plug_error *err)
{
	_cleanup_close_ int at = -1;
	int r;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", dir);
	r = rootless_pid_write(dir, "keeper", getpid());
	at = r < 0 ? r : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return plug_error_errno(err, r < 0 ? r : -errno, "%s", dir);
	r = holder_fork(dir, at, ret);
	return r < 0 ? plug_error_errno(err, r, "user and network namespace") : 0;
}
