/* SPDX-License-Identifier: MIT */
/*
 * Hooks.  The state on stdin and the hook's words on stdout and stderr are memory files: nothing
 * blocks, and a hook that ignores its input harms nobody.  A hook that takes too long is killed,
 * with its group.
 */
#include "parent.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* For what runs in the clone, see clone.c. */
#define RAW __attribute__((no_sanitize("address", "undefined")))

static const char *const hook_names[LAUNCH_HOOK_COUNT] = {
	[LAUNCH_HOOK_PRESTART] = "prestart",
	[LAUNCH_HOOK_CREATE_RUNTIME] = "createRuntime",
	[LAUNCH_HOOK_CREATE_CONTAINER] = "createContainer",
	[LAUNCH_HOOK_START_CONTAINER] = "startContainer",
	[LAUNCH_HOOK_POSTSTART] = "poststart",
	[LAUNCH_HOOK_POSTSTOP] = "poststop",
};

/* All that the clone of a multi-threaded process needs, laid out before. */
struct hook {
	const char *path;
	char **argv, **envp;
	int in, out;
	int pidfd, root_fd;
	uint64_t ns_flags;
};

static char **hook_vector(const struct launch_plan *plan, struct launch_vec vec)
{
	char **v = calloc((size_t)vec.n + 1, sizeof(*v));

	for (uint32_t i = 0; v && i < vec.n; i++)
		v[i] = (char *)(uintptr_t)launch_text(plan, *launch_at(plan, vec, launch_str, i));
	return v;
}

static int hook_file(const char *text)
{
	size_t len = strlen(text);
	int fd = memfd_create("hook", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0) {
		(void)close(fd);
		return -EIO;
	}
	return fd;
}

/* Into the container: its namespaces, as its root, and its root directory. */
RAW static long hook_enter(const struct hook *h)
{
	long r = sys(setns, h->pidfd, h->ns_flags);

	if (r == 0 && h->ns_flags & CLONE_NEWUSER) {
		(void)sys(setresgid, 0, 0, 0);
		(void)sys(setresuid, 0, 0, 0);
	}
	if (r == 0 && h->root_fd >= 0) {
		r = sys(fchdir, h->root_fd);
		if (r == 0)
			r = sys(chroot, ".");
	}
	return r;
}

/* In the clone: raw calls only.  127: it could not be run. */
RAW __attribute__((noreturn)) static void hook_child(const struct hook *h)
{
	uint64_t none = 0;
	long r = sys(setpgid, 0, 0);

	if (r == 0 && h->pidfd >= 0)
		r = hook_enter(h);
	if (r == 0)
		r = sys(chdir, "/");
	if (r == 0)
		r = sys(dup3, h->in, 0, 0);
	if (r >= 0)
		r = sys(dup3, h->out, 1, 0);
	if (r >= 0)
		r = sys(dup3, h->out, 2, 0);
	if (r >= 0)
		r = sys(close_range, 3, 0xffffffffu, 0);
	sys_default_signals();
	if (r == 0)
		(void)sys(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	if (r == 0)
		r = sys(execve, h->path, h->argv, h->envp);
	for (;;)
		(void)sys(exit_group, 127);
}

/*
 * In the container's PID namespace, or its /proc/self would lead nowhere: as in clone.c, by way of this
 * thread.  What may not enter it like that (it has no rights but in its user namespace) stays outside.
 */
static int hook_clone(const struct hook *h, pid_t *ret_pid)
{
	int pidfd = -1, own = -1;
	struct clone_args args = { .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
				   .pidfd = (uint64_t)(uintptr_t)&pidfd,
				   .exit_signal = SIGCHLD };
	bool inside = false;
	long pid;

	if (h->pidfd >= 0 && h->ns_flags & CLONE_NEWPID)
		own = open("/proc/thread-self/ns/pid_for_children", O_RDONLY | O_CLOEXEC);
	if (own >= 0)
		inside = sys(setns, h->pidfd, CLONE_NEWPID) == 0;
	parent_copy_lock();
	pid = sys(clone3, &args, sizeof(args));
	if (pid == 0)
		hook_child(h);
	parent_copy_unlock();
	if (inside && sys(setns, own, CLONE_NEWPID) < 0)
		abort(); /* every later child would be the container's */
	if (own >= 0)
		(void)close(own);
	*ret_pid = (pid_t)pid;
	return pid < 0 ? (int)pid : pidfd;
}

/* Until it ends or its time is over; 0, or -ETIMEDOUT. */
static int hook_wait(int pidfd, pid_t pid, uint32_t timeout_s, siginfo_t *info)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct timespec start, now;
	int64_t left_ms = -1;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		int n;

		if (timeout_s) {
			(void)clock_gettime(CLOCK_MONOTONIC, &now);
			left_ms = (int64_t)timeout_s * 1000 - (now.tv_sec - start.tv_sec) * 1000 -
				  (now.tv_nsec - start.tv_nsec) / 1000000;
		}
		n = timeout_s && left_ms <= 0 ? 0
					      : poll(&p, 1, left_ms > 60000 ? 60000 : (int)left_ms);
		if (n > 0)
			break;
		if (n == 0 && left_ms <= 60000) {
			r = -ETIMEDOUT;
			break;
		}
	}
	if (r < 0) {
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL); /* it is not waited for yet, so the number is its own */
	}
	(void)waitid(P_PIDFD, (id_t)pidfd, info, WEXITED);
	return r;
}

/* The last words of what it wrote, on one line. */
static void hook_output(int fd, char *buf, size_t size)
{
	off_t len = lseek(fd, 0, SEEK_END);
	ssize_t n;

	n = pread(fd, buf, size - 1, len > (off_t)size - 1 ? len - (off_t)size + 1 : 0);
	if (n < 0)
		n = 0;
	while (n && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = '\0';
	for (ssize_t i = 0; i < n; i++) {
		if ((unsigned char)buf[i] < ' ')
			buf[i] = ' ';
	}
}

static int hook_verdict(const struct hook *h, const char *point, const siginfo_t *info,
			int timed_out, struct launch_error *err)
{
	char words[400] = "";

	if (timed_out)
		return parent_error(err, -ETIMEDOUT, "%s hook %s: timed out", point, h->path);
	if (info->si_code == CLD_EXITED && info->si_status == 0)
		return 0;
	hook_output(h->out, words, sizeof(words));
	return parent_error(err, -EIO, "%s hook %s: %s %d%s%s", point, h->path,
			    info->si_code == CLD_EXITED ? "exit status" : "killed by signal",
			    info->si_status, words[0] ? ": " : "", words);
}

static int hook_run(const struct launch_plan *plan, const struct launch_hook *spec, struct hook *h,
		    const char *point, const char *state, struct launch_error *err)
{
	siginfo_t info = { 0 };
	pid_t pid;
	int pidfd, r = 0;

	h->path = launch_text(plan, spec->path);
	h->argv = hook_vector(plan, spec->args);
	h->envp = hook_vector(plan, spec->env);
	h->in = hook_file(state);
	h->out = hook_file("");
	if (!h->argv || !h->envp || h->in < 0 || h->out < 0)
		r = parent_fail(err, h->in < 0 ? h->in : -ENOMEM, "%s hook %s", point, h->path);
	if (r == 0) {
		pidfd = hook_clone(h, &pid);
		if (pidfd < 0) {
			r = parent_fail(err, pidfd, "%s hook %s", point, h->path);
		} else {
			r = hook_wait(pidfd, pid, spec->timeout_s, &info);
			r = hook_verdict(h, point, &info, r, err);
			(void)close(pidfd);
		}
	}
	free(h->argv);
	free(h->envp);
	if (h->in >= 0)
		(void)close(h->in);
	if (h->out >= 0)
		(void)close(h->out);
	return r;
}

int parent_hooks(const struct launch_plan *plan, enum launch_hook_point point,
		 const struct launch_run_options *options, pid_t pid, int pidfd, int root_fd,
		 const char *status, struct launch_error *err)
{
	bool all = point == LAUNCH_HOOK_POSTSTART || point == LAUNCH_HOOK_POSTSTOP;
	struct launch_vec vec = plan->hooks[point];
	int first = 0;
	char *state;

	if (!vec.n)
		return 0;
	state = parent_state(plan, options, pid, status);
	if (!state)
		return parent_fail(err, -ENOMEM, "%s hooks", hook_names[point]);
	for (uint32_t i = 0; i < vec.n && (all || first == 0); i++) {
		struct hook h = { .pidfd = pidfd,
				  .root_fd = root_fd,
				  .ns_flags = parent_ns_flags(plan) };
		int r = hook_run(plan, launch_at(plan, vec, struct launch_hook, i), &h,
				 hook_names[point], state, first ? NULL : err);

		first = first ? first : r;
	}
	free(state);
	return first;
}

int launch_hooks(const struct launch_plan *plan, enum launch_hook_point point,
		 const struct launch_run_options *options, pid_t pid, const char *status,
		 struct launch_error *err)
{
	if (err)
		err->code = 0;
	return parent_hooks(plan, point, options, pid, -1, -1, status, err);
}
