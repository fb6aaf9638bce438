/* SPDX-License-Identifier: MIT */
#include "rootless/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define READY_MS 10000
#define READY_FD 3
#define LOOK_MS 20
#define NOISE "bytes to syslog " /* pasta, where there is none */

static const char *const places[] = { "/usr/bin", "/usr/local/bin" };

static int program_find(const char *name, char **ret)
{
	for (size_t i = 0; i < PLUG_ELEMENTS(places); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", places[i], name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (access(path, X_OK) == 0) {
			*ret = plug_take_ptr(path);
			return 0;
		}
	}
	return -ENOENT;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* In the child of a process with many threads.  A session of its own: it outlives us and our terminal. */
__attribute__((noreturn)) static void program_main(char *const *argv, int words, int ready)
{
	static char *const envp[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	sigset_t none;
	int null;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	null = open("/dev/null", O_RDONLY);
	if (dup2(null, 0) >= 0 && dup2(words, 1) >= 0 && dup2(words, 2) >= 0 && dup2(ready, READY_FD) >= 0 &&
	    chdir("/") == 0 && syscall(SYS_close_range, READY_FD + 1u, ~0u, 0u) == 0)
		(void)execve(argv[0], argv, envp);
	_exit(127);
}

/* The end of what it said, on one line. */
static int verdict(const char *program, int words, struct plug_error *err)
{
	char text[301] = "";
	off_t len = lseek(words, 0, SEEK_END);
	ssize_t n = pread(words, text, 300, len > 300 ? len - 300 : 0);
	const char *said;

	while (n > 0 && (unsigned char)text[n - 1] <= ' ')
		text[--n] = 0;
	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
	said = strstr(text, NOISE);
	said = said ? said + strlen(NOISE) : text;
	return plug_error_set(err, strstr(said, "in use") ? -EADDRINUSE : -EIO, "%s: %s", program,
			      *said ? said : "it ended at once");
}

/* pasta writes its file when all is set up; slirp4netns, a byte. */
static bool is_ready(const char *file, int ready)
{
	char byte;

	return read(ready, &byte, 1) == 1 || access(file, F_OK) == 0;
}

/* Until it is ready, or has ended, or its time is over. */
static int program_wait(const struct net_rootless *q, const char *program, pid_t pid, int words, int ready,
			struct plug_error *err)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
	_cleanup_free_ char *file = NULL;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	uint32_t limit = q->ready_ms ? q->ready_ms : READY_MS;
	int64_t end = now_ms() + limit;

	if (pidfd < 0)
		return plug_error_errno(err, -errno, "%s", program);
	if (asprintf(&file, "%s/pasta", q->dir) < 0) {
		file = NULL;
		return plug_error_errno(err, -ENOMEM, "%s", program);
	}
	while (!is_ready(file, ready)) {
		if (poll(&p, 1, LOOK_MS) > 0)
			return verdict(program, words, err);
		if (now_ms() >= end)
			return plug_error_set(err, -ETIMEDOUT, "%s: not ready after %u ms", program, limit);
	}
	return 0;
}

static int program_run(const struct net_rootless *q, const char *program, const struct words *w, pid_t *ret,
		       struct plug_error *err)
{
	_cleanup_close_ int words = memfd_create("rootless", MFD_CLOEXEC);
	int ready[2], r;
	pid_t pid;

	if (words < 0 || pipe2(ready, O_CLOEXEC | O_NONBLOCK) < 0)
		return plug_error_errno(err, -errno, "%s", program);
	pid = fork();
	if (pid == 0)
		program_main(w->word, words, ready[1]);
	r = pid < 0 ? -errno : 0;
	(void)close(ready[1]);
	r = r ?: rootless_pid_write(q->dir, "pid", pid);
	if (r == -ESRCH) /* it has ended already: its words say why */
		r = 0;
	if (r < 0)
		(void)plug_error_errno(err, r, "%s", program);
	else
		r = program_wait(q, program, pid, words, ready[0], err);
	(void)close(ready[0]);
	if (r == 0) {
		*ret = pid;
		return 0;
	}
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	return r;
}

static int start_pasta(const struct net_rootless *q, const char *path, pid_t *ret, struct plug_error *err)
{
	_cleanup_words_ struct words w = { 0 };
	int r = rootless_pasta_words(q, path, &w);

	return r < 0 ? plug_error_errno(err, r, "pasta") : program_run(q, "pasta", &w, ret, err);
}

static int start_slirp(const struct net_rootless *q, const char *path, pid_t *ret, struct plug_error *err)
{
	_cleanup_words_ struct words w = { 0 };
	int r = rootless_slirp_words(q, path, READY_FD, &w);

	if (r < 0)
		return plug_error_errno(err, r, "slirp4netns");
	r = program_run(q, "slirp4netns", &w, ret, err);
	return r < 0 ? r : rootless_slirp_ports(q, err);
}

static int names_remove(const char *dir, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, names[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* What belongs to a program that has ended. */
static int leftovers_remove(const char *dir)
{
	static const char *const names[] = { "pasta", "api", "pid.tmp", "holder.tmp", "keeper.tmp" };

	return names_remove(dir, names, PLUG_ELEMENTS(names));
}

int net_rootless_choose(enum net_rootless_kind wanted, enum net_rootless_kind *ret, struct plug_error *err)
{
	static const struct {
		enum net_rootless_kind kind;
		const char *name;
	} programs[] = { { NET_ROOTLESS_PASTA, "pasta" }, { NET_ROOTLESS_SLIRP, "slirp4netns" } };
	static const char *const missing[] = {
		[NET_ROOTLESS_ANY] = "pasta (package passt), and no slirp4netns",
		[NET_ROOTLESS_PASTA] = "pasta (package passt)",
		[NET_ROOTLESS_SLIRP] = "slirp4netns (package slirp4netns)",
	};
	int r = -ENOENT;

	for (size_t i = 0; i < PLUG_ELEMENTS(programs) && r == -ENOENT; i++) {
		_cleanup_free_ char *path = NULL;

		if (wanted != NET_ROOTLESS_ANY && wanted != programs[i].kind)
			continue;
		r = program_find(programs[i].name, &path);
		if (r == 0)
			*ret = programs[i].kind;
	}
	if (r == -ENOENT)
		return plug_error_set(err, r, "network without root: there is no %s", missing[wanted]);
	return r < 0 ? plug_error_errno(err, r, "network") : 0;
}

int net_rootless_start(const struct net_rootless *q, pid_t *ret, struct plug_error *err)
{
	_cleanup_free_ char *path = NULL;
	enum net_rootless_kind kind;
	pid_t pid = 0;
	int r = net_rootless_choose(q->kind, &kind, err);

	if (r < 0)
		return r;
	r = program_find(kind == NET_ROOTLESS_PASTA ? "pasta" : "slirp4netns", &path);
	if (r < 0)
		return plug_error_errno(err, r, "network");
	if (mkdir(q->dir, 0700) < 0 && errno != EEXIST)
		return plug_error_errno(err, -errno, "%s", q->dir);
	r = leftovers_remove(q->dir);
	if (r < 0)
		return plug_error_errno(err, r, "%s", q->dir);
	r = kind == NET_ROOTLESS_PASTA ? start_pasta(q, path, &pid, err) : start_slirp(q, path, &pid, err);
	if (r < 0) {
		(void)rootless_end(q->dir, "pid", NULL);
		(void)leftovers_remove(q->dir);
		return r;
	}
	*ret = pid;
	return 0;
}

int net_rootless_find(const char *dir, pid_t *ret)
{
	return rootless_pid_read(dir, "pid", ret);
}

int net_rootless_holder(const char *dir, pid_t *ret)
{
	return rootless_pid_read(dir, "holder", ret);
}

static int places_remove(const char *dir)
{
	static const char *const names[] = { NET_ROOTLESS_USERNS, NET_ROOTLESS_NETNS, "keeper" };

	return names_remove(dir, names, PLUG_ELEMENTS(names));
}

int net_rootless_stop(const char *dir, struct plug_error *err)
{
	int r = rootless_end(dir, "pid", err) ?: rootless_end(dir, "holder", err);

	if (r < 0)
		return r;
	r = leftovers_remove(dir);
	if (r == 0)
		r = places_remove(dir);
	if (r == 0 && rmdir(dir) < 0 && errno != ENOENT)
		r = -errno;
	return r < 0 ? plug_error_errno(err, r, "%s", dir) : 0;
}
