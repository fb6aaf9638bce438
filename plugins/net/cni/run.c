/* SPDX-License-Identifier: MIT */
/*
 * One plugin, run to its end.  Its input and what it says are memory files of a fixed size, so that nothing
 * blocks and nothing grows.  It dies with the thread that runs it, and so with the supervisor; one that takes
 * too long, or is not wanted any more, is killed with its group.
 */
#include "cni/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define TIMEOUT_MS 30000
#define STOP_MS 100
#define AGAIN 11 /* CNI's "try again later" */
#define WORDS 300

static const char *const usual_plugins[] = { "/usr/lib/cni", "/opt/cni/bin", NULL };

/* All that the child needs, laid out before. */
struct spawn {
	const char *path;
	char *argv[2];
	char *envp[10];
	int in, out, err;
};

static void spawn_finish(struct spawn *s)
{
	for (size_t i = 0; i < PLUG_ELEMENTS(s->envp); i++)
		free(s->envp[i]);
	plug_closep(&s->in);
	plug_closep(&s->out);
	plug_closep(&s->err);
}

static int memory_file(const char *text)
{
	_cleanup_close_ int fd = memfd_create("cni", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	if (text) {
		r = plug_write_all(fd, text, strlen(text));
		if (r < 0)
			return r;
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
	} else if (ftruncate(fd, CNI_TEXT_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0) {
		return -errno;
	}
	return plug_take_fd(&fd);
}

__attribute__((format(printf, 3, 4))) static int env_add(struct spawn *s, size_t *n, const char *format,
							  ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = vasprintf(&s->envp[*n], format, args);
	va_end(args);
	if (r < 0) {
		s->envp[*n] = NULL;
		return -ENOMEM;
	}
	(*n)++;
	return 0;
}

static int path_join(const char *const *dirs, char **ret)
{
	_cleanup_text_ struct plug_text path = { 0 };

	for (size_t i = 0; dirs[i]; i++)
		plug_text_add(&path, "%s%s", i ? ":" : "", dirs[i]);
	*ret = path.failed ? NULL : strdup(path.data ? path.data : "");
	return *ret ? 0 : -ENOMEM;
}

static int env_make(struct spawn *s, const struct cni_run *run)
{
	const struct net_cni_attachment *a = run->attachment;
	_cleanup_free_ char *path = NULL;
	const char *own = getenv("PATH");
	size_t n = 0;
	int r = path_join(run->paths->plugins ? run->paths->plugins : usual_plugins, &path);

	r = r ?: env_add(s, &n, "CNI_COMMAND=%s", run->command);
	r = r ?: env_add(s, &n, CNI_MARK, run->paths->cache, a->container);
	r = r ?: env_add(s, &n, "CNI_CONTAINERID=%s", a->container);
	r = r ?: env_add(s, &n, "CNI_NETNS=%s", run->netns);
	r = r ?: env_add(s, &n, "CNI_IFNAME=%s", a->ifname);
	r = r ?: env_add(s, &n, "CNI_PATH=%s", path);
	r = r ?: env_add(s, &n, "PATH=%s", own && *own ? own : "/usr/sbin:/usr/bin:/sbin:/bin");
	return r || !a->args ? r : env_add(s, &n, "CNI_ARGS=%s", a->args);
}

/* In the child of a process with many threads: what is safe there, and no more.  127: it could not be run. */
__attribute__((noreturn)) static void spawn_child(const struct spawn *s, pid_t parent)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	(void)sigemptyset(&none);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && setpgid(0, 0) == 0 &&
	    dup2(s->in, 0) >= 0 && dup2(s->out, 1) >= 0 && dup2(s->err, 2) >= 0 && chdir("/") == 0 &&
	    syscall(SYS_close_range, 3u, ~0u, 0u) == 0) {
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)execve(s->path, s->argv, s->envp);
	}
	_exit(127);
}

/* Descriptors of ours must not be 0 to 2, or the first dup2() would overwrite the second's source. */
static int spawn_start(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
	pid_t parent = getpid(), pid;
	siginfo_t info;
	int fd;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		spawn_child(s, parent);
	fd = (int)syscall(SYS_pidfd_open, pid, 0u);
	if (fd < 0) {
		int r = -errno;

		(void)kill(pid, SIGKILL);
		(void)waitid(P_PID, (id_t)pid, &info, WEXITED);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = fd;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t timeout_ms(const struct net_cni_limits *limits)
{
	return limits && limits->timeout_ms ? limits->timeout_ms : TIMEOUT_MS;
}

/* How long until the next look; 0: its time is over. */
static int wait_ms(const struct net_cni_limits *limits, int64_t end)
{
	int64_t left = end - now_ms();

	if (limits && limits->stop && left > STOP_MS)
		return STOP_MS;
	return left > 0 ? (int)left : 0;
}

static bool unwanted(const struct net_cni_limits *limits, const struct pollfd *cancel)
{
	return cancel->revents || (limits && limits->stop && atomic_load(limits->stop));
}

/* 0: it has ended; -ETIMEDOUT, -ECANCELED: it was killed.  Reaped, in any case. */
static int spawn_wait(pid_t pid, int pidfd, const struct net_cni_limits *limits, siginfo_t *info)
{
	int64_t end = now_ms() + timeout_ms(limits);
	int cancel = limits && limits->cancel_fd > 0 ? limits->cancel_fd : -1, r = 0;
	struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN }, { .fd = cancel, .events = POLLIN } };

	while (r == 0) {
		int left = wait_ms(limits, end);

		(void)poll(p, 2, left);
		if (p[0].revents)
			break;
		if (unwanted(limits, &p[1]))
			r = -ECANCELED;
		else if (!left)
			r = -ETIMEDOUT;
	}
	if (r < 0) {
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL); /* it is not waited for yet, so the number is its own */
	}
	while (waitid(P_PIDFD, (id_t)pidfd, info, WEXITED) < 0 && errno == EINTR)
		;
	return r;
}

/* What was written, as far as it was. */
static int output_read(int fd, char **ret, size_t *ret_size)
{
	off_t len = lseek(fd, 0, SEEK_CUR);
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	if (len < 0 || len > CNI_TEXT_MAX)
		return -EIO;
	text = malloc((size_t)len + 1);
	if (!text)
		return -ENOMEM;
	n = pread(fd, text, (size_t)len, 0);
	if (n < 0)
		return -errno;
	text[n] = 0;
	*ret = plug_take_ptr(text);
	*ret_size = (size_t)n;
	return 0;
}

/* The last words on its stderr, on one line. */
static void last_words(int fd, char words[WORDS + 3])
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, from;

	words[0] = 0;
	if (output_read(fd, &text, &size) < 0)
		return;
	while (size && (unsigned char)text[size - 1] <= ' ')
		text[--size] = 0;
	from = size > WORDS ? size - WORDS : 0;
	if (!size)
		return;
	(void)snprintf(words, WORDS + 3, ": %s", text + from);
	for (char *p = words; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
}

#define HEAD 80
#define TAIL 110

/* Where it is long: its beginning and its end, which is what a program that the plugin ran said last. */
static void shorten(const char *text, char ret[HEAD + TAIL + 8])
{
	size_t len = strlen(text);
	bool cut = len > HEAD + TAIL;
	int n = snprintf(ret, HEAD + TAIL + 8, "%.*s%s%s", cut ? HEAD : HEAD + TAIL, text, cut ? " … " : "",
			 cut ? text + len - TAIL : "");

	while (n > 0 && (unsigned char)ret[n - 1] <= ' ')
		ret[--n] = 0;
	for (char *p = ret; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
}

/* The plugin's own error, in its words (section "Error" of the specification). */
static int verdict_own(const struct cni_run *run, struct json_object *said, struct plug_error *err)
{
	const char *msg = cni_string(said, "msg"), *details = cni_string(said, "details");
	struct json_object *code = cni_get(said, "code", json_type_int);
	int number = code ? json_object_get_int(code) : 0;
	char words[HEAD + TAIL + 8], more[HEAD + TAIL + 8];

	if (!msg || !code)
		return 0;
	shorten(msg, words);
	shorten(details ? details : "", more);
	return plug_error_set(err, number == AGAIN ? -EAGAIN : -EIO, "cni %s: %s: %s%s%s (code %d)",
			      run->network, run->type, words, *more ? ": " : "", more, number);
}

static int verdict(const struct cni_run *run, const struct spawn *s, const siginfo_t *info,
		   struct json_object **ret, struct plug_error *err)
{
	_cleanup_json_ struct json_object *said = NULL;
	_cleanup_free_ char *text = NULL;
	char words[WORDS + 3];
	size_t size = 0;
	int r = output_read(s->out, &text, &size);

	if (r < 0)
		return plug_error_errno(err, r, "cni %s: %s", run->network, run->type);
	r = cni_parse(text, size, &said);
	if (info->si_code == CLD_EXITED && info->si_status == 0) {
		if (ret && r < 0)
			return plug_error_set(err, -EBADMSG, "cni %s: %s: %s gave no result", run->network,
					      run->type, run->command);
		if (ret)
			*ret = plug_take_ptr(said);
		return 0;
	}
	r = r == 0 ? verdict_own(run, said, err) : 0;
	if (r < 0)
		return r;
	last_words(s->err, words);
	return plug_error_set(err, -EIO, "cni %s: %s: %s %s %d%s", run->network, run->type, run->command,
			      info->si_code == CLD_EXITED ? "ended with status" : "was ended by signal",
			      info->si_status, words);
}

static int plugin_find(const struct cni_run *run, char **ret, struct plug_error *err)
{
	const char *const *dirs = run->paths->plugins ? run->paths->plugins : usual_plugins;
	_cleanup_text_ struct plug_text looked = { 0 };

	for (; *dirs; dirs++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", *dirs, run->type) < 0) {
			path = NULL;
			return plug_error_errno(err, -ENOMEM, "cni %s", run->network);
		}
		if (access(path, X_OK) == 0) {
			*ret = plug_take_ptr(path);
			return 0;
		}
		plug_text_add(&looked, "%s%s", looked.len ? ", " : "", *dirs);
	}
	return plug_error_set(err, -ENOENT, "cni %s: there is no plugin %s in %.300s", run->network,
			      run->type,
			      looked.data ? looked.data : "no directory");
}

/* At 3 or above. */
static int file_above(int fd)
{
	int above;

	if (fd < 0 || fd > 2)
		return fd;
	above = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	above = above < 0 ? -errno : above;
	(void)close(fd);
	return above;
}

int cni_run(const struct cni_run *run, struct json_object **ret, struct plug_error *err)
{
	_cleanup_(spawn_finish) struct spawn s = { .in = -1, .out = -1, .err = -1 };
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int pidfd = -1;
	siginfo_t info = { 0 };
	pid_t pid = 0;
	int r = plugin_find(run, &path, err);

	if (r < 0)
		return r;
	s.path = path;
	s.argv[0] = path;
	s.in = file_above(memory_file(run->conf));
	s.out = file_above(memory_file(NULL));
	s.err = file_above(memory_file(NULL));
	r = s.in < 0 ? s.in : s.out < 0 ? s.out : s.err < 0 ? s.err : env_make(&s, run);
	if (r == 0)
		r = spawn_start(&s, &pid, &pidfd);
	if (r < 0)
		return plug_error_errno(err, r, "cni %s: %s", run->network, run->type);
	r = spawn_wait(pid, pidfd, run->limits, &info);
	if (r == -ETIMEDOUT)
		return plug_error_set(err, r, "cni %s: %s: %s took longer than %u ms", run->network,
				      run->type,
				      run->command, timeout_ms(run->limits));
	if (r < 0)
		return plug_error_set(err, r, "cni %s: %s: %s was canceled", run->network, run->type,
				      run->command);
	return verdict(run, &s, &info, ret, err);
}
