/* SPDX-License-Identifier: MIT */
/* A root file system made of busybox, specs for it, and containers run to their end. */
#ifndef TEST_BOX_H
#define TEST_BOX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cgroup.h"
#include "run.h"

struct box {
	char dir[64]; /* of this test: dir/rootfs, and what the test puts beside it */
	char rootfs[80];
	unsigned fds, mounts;
};

/* What makes one spec differ from another; NULL: the default. */
struct box_spec {
	const char *script;  /* run by sh -c; or: */
	const char *args;    /* JSON array */
	const char *process; /* members of process, each with a comma before it: ",\"cwd\":\"/\"" */
	const char *namespaces; /* JSON array */
	const char *mounts;	/* JSON array */
	const char *linux_;	/* members of linux, as process */
	const char *root;	/* members of root, as process */
	const char *top;	/* members of the spec, as process */
	const char *rootfs;
};

struct box_result {
	int error; /* of create or start */
	struct launch_error err;
	int code, status; /* si_code, si_status */
	int init_status;  /* from the status pipe, or -1 */
	char out[32768];
};

#define BOX_NAMESPACES                                                                    \
	"[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}," \
	"{\"type\":\"network\"}]"
#define BOX_PROC "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}"
#define BOX_DEV                                                                                 \
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":["       \
	"\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"                            \
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[" \
	"\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]}"
#define BOX_MOUNTS "[" BOX_PROC "," BOX_DEV "]"

static inline unsigned box_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		(void)closedir(d);
	return n;
}

static inline unsigned box_count_lines(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned n = 0;
	int c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		(void)fclose(f);
	return n;
}

static inline int box_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static inline void box_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* A path below the box's directory; static memory, four of them. */
__attribute__((format(printf, 2, 3))) static inline const char *box_path(const struct box *b,
									 const char *format, ...)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];
	int n = snprintf(path, 512, "%s/", b->dir);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(path + n, 512 - (size_t)n, format, args);
	va_end(args);
	return path;
}

static inline void box_copy_busybox(const char *to)
{
	char buf[65536];
	int in = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	(void)close(in);
	(void)close(out);
}

static inline int box_setup(void **state)
{
	static const char *const dirs[] = { "", "/bin", "/proc", "/dev", "/sys", "/etc", "/tmp" };
	static const char *const tools[] = { "sh",     "true",	   "false", "cat",   "ls",
					     "id",     "ps",	   "echo",  "sleep", "grep",
					     "kill",   "readlink", "stty",  "tty",   "hostname",
					     "env",    "stat",	   "touch", "mkdir", "ip",
					     "umount", "mount",	   "head",  "wc",    "dd",
					     "chmod",  "ln",	   "test" };
	struct box *b = calloc(1, sizeof(*b));
	char path[160];

	assert_non_null(b);
	/* Mounts of its own to count: other tests of the same run come and go. */
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	strcpy(b->dir, "/tmp/cowherd-box-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	assert_int_equal(chmod(b->dir, 0755), 0);
	(void)snprintf(b->rootfs, sizeof(b->rootfs), "%s/rootfs", b->dir);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", b->rootfs, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	(void)snprintf(path, sizeof(path), "%s/bin/busybox", b->rootfs);
	box_copy_busybox(path);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/bin/%s", b->rootfs, tools[i]);
		assert_int_equal(symlink("busybox", path), 0);
	}
	(void)snprintf(path, sizeof(path), "%s/etc/passwd", b->rootfs);
	box_write(path, "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n");
	b->fds = box_count_fds();
	b->mounts = box_count_lines("/proc/self/mountinfo");
	*state = b;
	return 0;
}

/* Nothing may be left: no child, no mount, no descriptor. */
static inline int box_teardown(void **state)
{
	struct box *b = *state;

	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	/* Fewer may be: of a directory that is removed elsewhere the mount goes here, too. */
	assert_true(box_count_lines("/proc/self/mountinfo") <= b->mounts);
	assert_int_equal(box_count_fds(), b->fds);
	assert_int_equal(nftw(b->dir, box_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
	free(b);
	return 0;
}

/* The spec's text; static memory. */
static inline const char *box_text(const struct box *b, const struct box_spec *s)
{
	static char text[65536];
	char args[8192];
	size_t n = 0;

	n += (size_t)snprintf(args, sizeof(args), "[\"/bin/sh\",\"-c\",\"");
	for (const char *p = s->script ? s->script : "true"; *p && n < sizeof(args) - 8; p++) {
		if (*p == '"' || *p == '\\')
			args[n++] = '\\';
		args[n++] = *p;
	}
	(void)snprintf(args + n, sizeof(args) - n, "\"]");
	(void)snprintf(text, sizeof(text),
		       "{\"ociVersion\":\"1.1.0\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},"
		       "\"args\":%s,\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"%s},"
		       "\"root\":{\"path\":\"%s\"%s},\"mounts\":%s,"
		       "\"linux\":{\"namespaces\":%s%s}%s}",
		       s->args ? s->args : args, s->process ? s->process : "",
		       s->rootfs ? s->rootfs : b->rootfs, s->root ? s->root : "",
		       s->mounts ? s->mounts : BOX_MOUNTS,
		       s->namespaces ? s->namespaces : BOX_NAMESPACES, s->linux_ ? s->linux_ : "",
		       s->top ? s->top : "");
	return text;
}

static inline struct launch_plan *box_plan(const struct box *b, const struct box_spec *s)
{
	struct launch_compile_options o = { .bundle = b->dir };
	const char *text = box_text(b, s);
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };

	if (launch_compile(text, strlen(text), &o, &plan, &err) < 0)
		fail_msg("compile: %s", err.text);
	return plan;
}

static inline struct launch_plan *box_exec_plan(const struct box *b, const struct launch_plan *base,
						const char *process)
{
	struct launch_compile_options o = { .bundle = b->dir };
	struct launch_plan *plan = NULL;
	struct launch_error err = { 0 };

	if (launch_compile_exec(process, strlen(process), base, &o, &plan, &err) < 0)
		fail_msg("compile exec: %s", err.text);
	return plan;
}

/* Until end of file or five seconds of silence; text is NUL-terminated. */
static inline void box_read_all(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	ssize_t got;

	while (n + 1 < size && poll(&p, 1, 5000) > 0 &&
	       (got = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
}

/* Wait for a child, at most ten seconds. */
static inline void box_wait(struct launch_child *child, struct box_result *r)
{
	struct pollfd p = { .fd = child->pidfd, .events = POLLIN };
	siginfo_t info = { 0 };

	if (poll(&p, 1, 10000) != 1) {
		(void)kill(child->pid, SIGKILL);
		(void)waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED);
		fail_msg("the container does not end");
	}
	assert_int_equal(waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED), 0);
	r->code = info.si_code;
	r->status = info.si_status;
	r->init_status = -1;
	if (child->status >= 0)
		assert_true(read(child->status, &r->init_status, sizeof(int)) >= 0);
}

/* Create, start, wait, with its output. */
static inline void box_run_plan(const struct launch_plan *plan,
				const struct launch_run_options *more, struct box_result *r)
{
	struct launch_run_options o = more ? *more : (struct launch_run_options){ 0 };
	struct launch_child child;
	int pair[2];

	memset(r, 0, sizeof(*r));
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	o.id = "box";
	o.stdio = (struct launch_stdio){ .in = -1, .out = pair[1], .err = pair[1] };
	r->error = launch_create(plan, &o, &child, &r->err);
	(void)close(pair[1]);
	if (r->error == 0) {
		r->error = launch_start(plan, &o, &child, &r->err);
		box_read_all(child.console >= 0 ? child.console : pair[0], r->out, sizeof(r->out));
		box_wait(&child, r);
		launch_close(&child);
	}
	(void)close(pair[0]);
}

static inline void box_run(const struct box *b, const struct box_spec *s,
			   const struct launch_run_options *more, struct box_result *r)
{
	struct launch_plan *plan = box_plan(b, s);

	box_run_plan(plan, more, r);
	free(plan);
}

#define assert_exit(r, want)                                                              \
	do {                                                                              \
		if ((r)->error)                                                           \
			fail_msg("%d: %s", (r)->error, (r)->err.text);                    \
		if ((r)->code != CLD_EXITED || (r)->status != (want))                     \
			fail_msg("ended by %d/%d: %s", (r)->code, (r)->status, (r)->out); \
	} while (0)
#define assert_has(text, word)                                        \
	do {                                                          \
		if (!strstr(text, word))                              \
			fail_msg("\"%s\" is not in: %s", word, text); \
	} while (0)
#define assert_has_not(text, word)                                \
	do {                                                      \
		if (strstr(text, word))                           \
			fail_msg("\"%s\" is in: %s", word, text); \
	} while (0)

/* What the library opens once per process is no leak of a test's. */
static inline int box_warm_up(void **state)
{
	struct box_result r;

	(void)box_setup(state);
	box_run(*state, &(struct box_spec){ 0 }, NULL, &r);
	((struct box *)*state)->fds = box_count_fds();
	return box_teardown(state);
}

#endif
