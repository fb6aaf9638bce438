/* SPDX-License-Identifier: MIT */
/*
 * The processes of a container: those of /proc in the cgroup of its first one, looked up on the
 * pool.
 */
#include "engine/container.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct top {
	uv_work_t work;
	struct cow_engine *engine;
	struct waiter *waiter;
	int64_t pid;
	struct cow_strbuf out;
	int code;
};

static char *proc_read(const char *pid, const char *file, size_t *ret_len)
{
	_cleanup_free_ char *path = cow_asprintf("/proc/%s/%s", pid, file);
	char *text = NULL;

	return path && cow_fs_read(path, 1 << 20, &text, ret_len) == 0 ? text : NULL;
}

/* In the same cgroups, or in ones below: line by line the same beginning. */
static bool same_cgroup(const char *ours, const char *theirs)
{
	while (*ours && *theirs) {
		size_t a = strcspn(ours, "\n"), b = strcspn(theirs, "\n");

		if (b < a || strncmp(ours, theirs, a) != 0 ||
		    (b > a && theirs[a] != '/' && ours[a - 1] != '/'))
			return false;
		ours += a + (ours[a] == '\n');
		theirs += b + (theirs[b] == '\n');
	}
	return !*ours && !*theirs;
}

struct stat_fields {
	int ppid, tty;
	unsigned long utime, stime;
	unsigned long long start;
	char comm[64];
};

static bool parse_stat(const char *text, struct stat_fields *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');

	if (!open || !close)
		return false;
	(void)snprintf(ret->comm, sizeof(ret->comm), "%.*s", (int)(close - open - 1), open + 1);
	return sscanf(close + 1,
		      " %*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d "
		      "%llu",
		      &ret->ppid, &ret->tty, &ret->utime, &ret->stime, &ret->start) == 5;
}

static char *command_of(const char *pid, const struct stat_fields *f)
{
	size_t len = 0;
	char *text = proc_read(pid, "cmdline", &len);

	for (size_t i = 0; text && i + 1 < len; i++)
		if (!text[i])
			text[i] = ' ';
	if (text && len > 0)
		return text;
	free(text);
	return cow_asprintf("[%s]", f->comm);
}

static uint64_t uptime_s(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

static void add_process(struct cow_strbuf *out, const char *pid, const struct stat_fields *f)
{
	_cleanup_free_ char *path = cow_asprintf("/proc/%s", pid), *command = command_of(pid, f);
	unsigned long ticks = (unsigned long)sysconf(_SC_CLK_TCK),
		      used = (f->utime + f->stime) / ticks;
	time_t start =
		(time_t)(cow_realtime_ns() / 1000000000u) - (time_t)(uptime_s() - f->start / ticks);
	struct stat st = { 0 };
	struct tm tm;
	char clock[16] = "";

	if (path)
		(void)stat(path, &st);
	if (localtime_r(&start, &tm))
		(void)strftime(clock, sizeof(clock), "%H:%M", &tm);
	cow_strbuf_addf(out, "[\"%u\",\"%s\",\"%d\",\"0\",\"%s\",\"%s\",\"%02lu:%02lu:%02lu\",",
			st.st_uid, pid, f->ppid, clock, f->tty ? "pts" : "?", used / 3600,
			used / 60 % 60, used % 60);
	cow_strbuf_json(out, command ? command : f->comm);
	cow_strbuf_add(out, "]");
}

static void top_work(uv_work_t *work)
{
	struct top *t = cow_container_of(work, struct top, work);
	char pid[24];
	_cleanup_free_ char *ours = NULL;
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	const char *between = "";

	(void)snprintf(pid, sizeof(pid), "%lld", (long long)t->pid);
	ours = proc_read(pid, "cgroup", NULL);
	if (!ours || !proc) {
		t->code = -ESRCH;
		return;
	}
	cow_strbuf_add(
		&t->out,
		"{\"titles\":[\"UID\",\"PID\",\"PPID\",\"C\",\"STIME\",\"TTY\",\"TIME\",\"CMD\"],"
		"\"processes\":[");
	for (struct dirent *d = readdir(proc); d; d = readdir(proc)) {
		_cleanup_free_ char *cgroup = isdigit((unsigned char)*d->d_name) ?
						      proc_read(d->d_name, "cgroup", NULL) :
						      NULL;
		_cleanup_free_ char *text = NULL;
		struct stat_fields f = { 0 };

		if (!cgroup || !same_cgroup(ours, cgroup))
			continue;
		text = proc_read(d->d_name, "stat", NULL);
		if (!text || !parse_stat(text, &f))
			continue;
		cow_strbuf_add(&t->out, between);
		add_process(&t->out, d->d_name, &f);
		between = ",";
	}
	cow_strbuf_add(&t->out, "]}");
	t->code = t->out.error;
}

static void top_done(uv_work_t *work, int status)
{
	struct top *t = cow_container_of(work, struct top, work);

	(void)status;
	t->engine->jobs--;
	if (t->code < 0)
		waiter_refuse(t->waiter, t->code, "top: %s", cow_errno_text(t->code));
	else
		waiter_ok(t->waiter, cow_strbuf_take(&t->out));
	cow_strbuf_finish(&t->out);
	free(t);
}

static int top_start(struct cow_engine *e, int64_t pid, struct waiter *w)
{
	struct top *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return -ENOMEM;
	t->engine = e;
	t->waiter = w;
	t->pid = pid;
	rc = uv_queue_work(e->setup.loop, &t->work, top_work, top_done);
	if (rc < 0)
		free(t);
	else
		e->jobs++;
	return rc;
}

void cow_engine_container_top(struct cow_engine *e, const char *key, cow_engine_cb cb, void *arg)
{
	struct waiter *w = waiter_new(e, WAIT_CALL, cb, arg);
	struct cow_error err = { 0 };
	struct container *c;
	int rc;

	if (!w)
		return;
	c = container_find(e, key, &err);
	if (!c) {
		waiter_fail(w, &err);
	} else if (!container_alive(c)) {
		waiter_refuse(w, -ESRCH, "container %s: is not running", c->def->name);
	} else if (c->pid <= 0) {
		waiter_refuse(w, -ENOTSUP, "container %s: its backend tells no process id",
			      c->def->name);
	} else {
		rc = top_start(e, c->pid, w);
		if (rc < 0)
			waiter_refuse(w, rc, "container %s: %s", c->def->name, cow_errno_text(rc));
	}
}
