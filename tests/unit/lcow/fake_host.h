/* SPDX-License-Identifier: MIT */
/*
 * A host for the plugin lcow, in the hand of the test: it loads the plugin from the build tree,
 * fails its calls on demand, and looks whether a child, cgroup, descriptor or file is left. Include
 * it once.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "core/include/cowherd/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WATCHES 32
#define JOBS 32
#define OPS 64

/* The fake host. */

struct seen {
	bool waited, answered;
	int code, fd;
	char message[256], result[2048];
	uint64_t handle;
	int64_t pid;
};

static struct {
	const struct cowherd_plugin *plugin;
	struct cowherd_backend backend;
	const struct cowherd_config_section *section;
	const struct cowherd_verb *verb;
	const struct cowherd_launcher *launcher;
	struct seen ops[OPS];
	uint64_t last_op;
	char record[4096];
	struct {
		int fd;
		cowherd_fd_cb cb;
		void *arg;
	} watches[WATCHES];
	struct {
		uint64_t due_ms;
		cowherd_timer_cb cb;
		void *arg;
	} timers[WATCHES];
	struct {
		cowherd_work_cb work;
		cowherd_work_done_cb done;
		void *arg;
	} jobs[JOBS];
	unsigned job_count;
	unsigned calls, fail_at; /* the fail_at'th call that may fail does; 0: none */
	unsigned exits, exits_awaited;
	struct cowherd_exit exit; /* the newest */
	uint64_t exit_process;
	char dir[64], run_dir[128], spec[2048], id[64], parent[64];
	int fds_before;
} host;

static inline bool fails(void)
{
	return ++host.calls == host.fail_at;
}

static inline uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void on_log(struct cowherd_self *self, int level, const char *container,
			  const char *event, const char *msg)
{
	(void)self;
	(void)level;
	(void)container;
	(void)event;
	(void)msg;
}

static inline int on_backend(struct cowherd_self *self, const struct cowherd_backend *backend,
			     void *arg)
{
	(void)self;
	(void)arg;
	host.backend = *backend;
	return fails() ? -ENOMEM : 0;
}

static int on_hook(struct cowherd_self *self, int hook, cowherd_hook_cb cb, void *arg)
{
	(void)self;
	(void)hook;
	(void)cb;
	(void)arg;
	return 0;
}

static inline int on_config(struct cowherd_self *self, const struct cowherd_config_section *section,
			    void *arg)
{
	(void)self;
	(void)arg;
	host.section = section;
	return fails() ? -ENOMEM : 0;
}

static inline int on_verb(struct cowherd_self *self, const struct cowherd_verb *verb, void *arg)
{
	(void)self;
	(void)arg;
	host.verb = verb;
	return fails() ? -ENOMEM : 0;
}

static inline int on_provide(struct cowherd_self *self, const char *name, uint32_t version,
			     const void *table)
{
	(void)self;
	assert_string_equal(name, COWHERD_SERVICE_LAUNCHER);
	assert_int_equal(version, 1);
	host.launcher = table;
	return fails() ? -ENOMEM : 0;
}

static inline void seen_set(struct seen *s, const struct cowherd_answer *a)
{
	s->answered = true;
	s->code = a->code;
	s->handle = a->handle;
	s->pid = a->pid;
	s->fd = a->fd;
	(void)snprintf(s->message, sizeof(s->message), "%s", a->message ? a->message : "");
	(void)snprintf(s->result, sizeof(s->result), "%s", a->result ? a->result : "");
}

static inline int on_answer(struct cowherd_self *self, cowherd_op op,
			    const struct cowherd_answer *answer)
{
	struct seen *s = &host.ops[op % OPS];

	(void)self;
	if (!s->waited || s->answered) {
		if (answer->fd > 0)
			(void)close(answer->fd);
		return -ENOENT;
	}
	seen_set(s, answer);
	return 0;
}

static inline int on_intend(struct cowherd_self *self, cowherd_op op, const char *key,
			    const char *record)
{
	(void)self;
	assert_string_equal(key, "system");
	if (fails() || !host.ops[op % OPS].waited)
		return -ENOENT;
	assert_true(strlen(record) < sizeof(host.record));
	(void)snprintf(host.record, sizeof(host.record), "%s", record);
	return 0;
}

static inline int on_timer_start(struct cowherd_self *self, uint64_t after_ms, uint64_t repeat_ms,
				 cowherd_timer_cb cb, void *arg, uint64_t *ret_id)
{
	unsigned i = 0;

	(void)self;
	assert_int_equal(repeat_ms, 0);
	if (fails())
		return -ENOMEM;
	while (host.timers[i].cb)
		i++;
	host.timers[i].due_ms = now_ms() + after_ms;
	host.timers[i].cb = cb;
	host.timers[i].arg = arg;
	*ret_id = i + 1;
	return 0;
}

static inline void on_timer_stop(struct cowherd_self *self, uint64_t id)
{
	(void)self;
	host.timers[id - 1].cb = NULL;
}

static inline int on_watch_fd(struct cowherd_self *self, int fd, uint32_t events, cowherd_fd_cb cb,
			      void *arg, uint64_t *ret_id)
{
	unsigned i = 0;

	(void)self;
	assert_int_equal(events, COWHERD_FD_READ);
	if (fails())
		return -ENOMEM;
	while (host.watches[i].cb)
		i++;
	assert_true(i < WATCHES);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0); /* as the real one does */
	host.watches[i].fd = fd;
	host.watches[i].cb = cb;
	host.watches[i].arg = arg;
	*ret_id = i + 1;
	return 0;
}

static inline void on_unwatch_fd(struct cowherd_self *self, uint64_t id)
{
	(void)self;
	host.watches[id - 1].cb = NULL;
}

static inline int on_offload(struct cowherd_self *self, cowherd_work_cb work,
			     cowherd_work_done_cb done, void *arg)
{
	(void)self;
	if (fails())
		return -ENOMEM;
	assert_true(host.job_count < JOBS);
	host.jobs[host.job_count].work = work;
	host.jobs[host.job_count].done = done;
	host.jobs[host.job_count++].arg = arg;
	return 0;
}

static inline void note_exit(uint64_t process, const struct cowherd_exit *status)
{
	host.exits++;
	host.exit = *status;
	host.exit_process = process;
}

static inline void on_exited(struct cowherd_self *self, uint64_t system, uint64_t process,
			     const struct cowherd_exit *status)
{
	(void)self;
	(void)system;
	note_exit(process, status);
}

static const struct cowherd_host table = {
	.size = sizeof(table),
	.abi_major = COWHERD_ABI_MAJOR,
	.abi_minor = COWHERD_ABI_MINOR,
	.version = "test",
	.log = on_log,
	.register_backend = on_backend,
	.register_verb = on_verb,
	.register_config = on_config,
	.register_hook = on_hook,
	.provide = on_provide,
	.answer = on_answer,
	.intend = on_intend,
	.timer_start = on_timer_start,
	.timer_stop = on_timer_stop,
	.watch_fd = on_watch_fd,
	.unwatch_fd = on_unwatch_fd,
	.offload = on_offload,
	.exited = on_exited,
};

/* One turn of the loop: jobs, descriptors that are ready, timers that are due. */
static inline bool turn(int wait_ms)
{
	struct pollfd fds[WATCHES];
	unsigned n = host.job_count;

	for (unsigned i = 0; i < n; i++)
		host.jobs[i].done(host.jobs[i].arg, host.jobs[i].work(host.jobs[i].arg));
	memmove(host.jobs, host.jobs + n, (host.job_count - n) * sizeof(host.jobs[0]));
	host.job_count -= n;
	for (unsigned i = 0; i < WATCHES; i++)
		fds[i] = (struct pollfd){ host.watches[i].cb ? host.watches[i].fd : -1, POLLIN, 0 };
	if (poll(fds, WATCHES, n || host.job_count ? 0 : wait_ms) > 0) {
		for (unsigned i = 0; i < WATCHES; i++) {
			if (fds[i].revents && host.watches[i].cb)
				host.watches[i].cb(host.watches[i].arg, fds[i].fd, COWHERD_FD_READ);
		}
	}
	for (unsigned i = 0; i < WATCHES; i++) {
		cowherd_timer_cb cb = host.timers[i].cb;

		if (cb && now_ms() >= host.timers[i].due_ms) {
			host.timers[i].cb = NULL;
			cb(host.timers[i].arg);
		}
	}
	return n > 0;
}

static inline uint64_t op_open(void)
{
	host.ops[++host.last_op % OPS] = (struct seen){ .waited = true };
	return host.last_op;
}

/* What came of an operation that returned r. */
static inline struct seen *op_end(uint64_t op, int r)
{
	struct seen *s = &host.ops[op % OPS];

	if (r != COWHERD_LATER) {
		s->answered = true;
		s->code = r;
		return s;
	}
	for (uint64_t end = now_ms() + 10000; !s->answered; (void)turn(10))
		assert_true(now_ms() < end);
	return s;
}

#define DO(f, ...)                                                     \
	({                                                             \
		uint64_t _op = op_open();                              \
		op_end(_op, host.backend.f(NULL, _op, ##__VA_ARGS__)); \
	})

/* The world. */

static inline int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static inline void write_spec(const char *args, const char *more)
{
	(void)snprintf(
		host.spec, sizeof(host.spec),
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":%s,\"cwd\":\"/\","
		"\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}},"
		"\"root\":{\"path\":\"%s/rootfs\"},\"mounts\":["
		"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
		"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
		"\"options\":[\"newinstance\",\"ptmxmode=0666\"]}],\"linux\":{\"namespaces\":["
		"{\"type\":\"mount\"},{\"type\":\"pid\"}]%s}}",
		args, host.dir, more);
}

static inline const struct cowherd_request *request(void)
{
	static struct cowherd_request r;

	r = (struct cowherd_request){
		.size = sizeof(r),
		.container = host.id,
		.name = host.id,
		.owner = "test",
		.txn = "",
		.bundle = host.dir,
		.spec = host.spec,
		.options = "{}",
		.run_dir = host.run_dir,
		.state_dir = host.run_dir,
	};
	return &r;
}

static const struct cowherd_stdio quiet = { .size = sizeof(quiet), .in = -1, .out = -1, .err = -1 };

static inline void new_world(void)
{
	static unsigned count;
	char cmd[1024], json[128];

	(void)snprintf(host.dir, sizeof(host.dir), "/tmp/cow-backend-XXXXXX");
	assert_non_null(mkdtemp(host.dir));
	(void)snprintf(host.run_dir, sizeof(host.run_dir), "%s/run", host.dir);
	(void)snprintf(host.id, sizeof(host.id), "c%u", ++count);
	(void)snprintf(cmd, sizeof(cmd),
		       "mkdir -p %s/rootfs/bin %s/rootfs/proc %s/rootfs/dev %s && cp /bin/busybox "
		       "%s/rootfs/bin/ && ln -s busybox %s/rootfs/bin/sh && ln -s busybox "
		       "%s/rootfs/bin/sleep && ln -s busybox %s/rootfs/bin/true",
		       host.dir, host.dir, host.dir, host.run_dir, host.dir, host.dir, host.dir,
		       host.dir);
	assert_int_equal(system(cmd), 0);
	(void)snprintf(host.parent, sizeof(host.parent), "cow-backend-%d", (int)getpid());
	(void)snprintf(json, sizeof(json), "{\"cgroup_parent\":\"%s\"}", host.parent);
	assert_int_equal(host.section->apply(NULL, json), 0);
	write_spec("[\"/bin/sleep\",\"1000\"]", "");
	host.record[0] = 0;
	host.exits = host.exits_awaited = 0;
	host.calls = host.fail_at = 0;
}

static inline void release_record(int other_boot)
{
	const struct cowherd_record record = { .size = sizeof(record),
					       .container = host.id,
					       .key = "system",
					       .record = host.record,
					       .other_boot = other_boot };

	assert_int_equal(DO(release, &record)->code, 0);
}

static inline void no_cgroups(void)
{
	char pattern[256];
	glob_t found;

	(void)snprintf(pattern, sizeof(pattern), "/sys/fs/cgroup/*/%s/%s", host.parent, host.id);
	assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
	(void)snprintf(pattern, sizeof(pattern), "/sys/fs/cgroup/%s/%s", host.parent, host.id);
	assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
}

/* Everything the plugin still does is done; then nothing of it is left. */
static inline void end_world(void)
{
	siginfo_t si;
	char cmd[256];

	host.fail_at = 0;
	if (*host.record) {
		release_record(0);
		release_record(0); /* "already gone" is success */
	}
	for (uint64_t end = now_ms() + 10000;
	     waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0; (void)turn(10))
		assert_true(now_ms() < end);
	assert_int_equal(errno, ECHILD);
	while (turn(0))
		;
	for (unsigned i = 0; i < WATCHES; i++) {
		assert_null(host.watches[i].cb);
		assert_null(host.timers[i].cb);
	}
	no_cgroups();
	(void)snprintf(cmd, sizeof(cmd), "%s/lcow.plan", host.run_dir);
	assert_int_equal(access(cmd, F_OK), -1);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system %s", host.dir);
	assert_int_equal(system(cmd), 0);
	if (!host.fds_before) /* the launcher keeps some from the first launch on */
		host.fds_before = count_fds();
	assert_int_equal(count_fds(), host.fds_before);
}

/* The next one: it may have been told already. */
static inline void wait_exit(void)
{
	for (uint64_t end = now_ms() + 10000; host.exits == host.exits_awaited; (void)turn(10))
		assert_true(now_ms() < end);
	host.exits_awaited++;
}

/* Every registration that fails stops init; the last one leaves a plugin that works. */
static inline int load(void **state)
{
	const struct cowherd_plugin *(*entry)(uint32_t major, uint32_t minor);
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *object;

	(void)state;
	if (n < 0)
		return -1;
	path[n] = 0;
	(void)strcpy(strrchr(path, '/'), "/../lib/cowherd/lcow.so");
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		print_error("%s\n", dlerror());
		return -1;
	}
	*(void **)&entry = dlsym(object, "cowherd_plugin_entry");
	if (!entry || entry(COWHERD_ABI_MAJOR + 1, 0))
		return -1;
	host.plugin = entry(COWHERD_ABI_MAJOR, COWHERD_ABI_MINOR);
	for (host.fail_at = 1; host.fail_at <= 4; host.fail_at++) {
		host.calls = 0;
		if (host.plugin->init(&table, NULL) != -ENOMEM)
			return -1;
	}
	host.fail_at = 0;
	return host.plugin->init(&table, NULL);
}

static inline int unload(void **state)
{
	char message[64];

	(void)state;
	return host.plugin->fini(message, sizeof(message));
}

#endif
