/* SPDX-License-Identifier: MIT */
/* Compute systems and their processes: handles, and how they end. */
#include "lcow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * ioctl_pidfd(2), Linux 6.15: how a process that was not our child ended.  Older headers lack it.
 */
struct exit_info {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
};
#define EXIT_INFO_GET _IOWR(0xff, 11, struct exit_info)
#define EXIT_INFO_EXIT 0x8u

#define LOST_TRIES 20 /* 10 ms each: until whoever is its parent now has reaped it */
#define LOST_MS 10
#define SETTLE_MAX_MS 250 /* between two looks at what does not want to die */

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void unwatch(uint64_t *watch)
{
	if (*watch)
		lcow.host->unwatch_fd(lcow.self, *watch);
	*watch = 0;
}

/* Exit status. */

static void exit_from_wait(int status, struct cowherd_exit *ret)
{
	*ret = (struct cowherd_exit){ .size = sizeof(*ret), .time_ns = now_ns() };
	if (WIFSIGNALED(status))
		ret->signal = WTERMSIG(status);
	ret->code = ret->signal ? 128 + ret->signal : WEXITSTATUS(status);
}

/* The wait status of a zombie: proc(5) stat, field 52; of that very process, as field 22 says. */
static int exit_of_zombie(const struct launch_child *child, int *ret)
{
	unsigned long long start = 0;
	char path[32], line[1024], *p, state = 0;
	FILE *f;
	int n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", child->pid);
	f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	(void)fclose(f);
	if (!p || sscanf(p + 1, " %c", &state) != 1 || state != 'Z')
		return -EAGAIN;
	/* Behind the name: field 3 is the first. */
	for (int field = 2; field < 22 && p; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, "%llu", &start) != 1 || start != child->start_time)
		return -ESRCH;
	for (int field = 22; field < 52 && p; field++)
		p = strchr(p + 1, ' ');
	if (p)
		n = sscanf(p, "%d", ret);
	return n == 1 ? 0 : -EAGAIN;
}

/*
 * Of somebody else's child: before its parent has reaped it from proc(5), afterwards from the
 * pidfd.
 */
static int exit_read_foreign(struct launch_child *child, struct cowherd_exit *ret)
{
	struct exit_info info = { .mask = EXIT_INFO_EXIT };
	int status;

	if (exit_of_zombie(child, &status) < 0) {
		if (ioctl(child->pidfd, EXIT_INFO_GET, &info) < 0 || !(info.mask & EXIT_INFO_EXIT))
			return -EAGAIN;
		status = info.exit_code;
	}
	exit_from_wait(status, ret);
	return 0;
}

/* -EAGAIN: it is not dead, or how it ended cannot be known yet. */
static int exit_read(struct launch_child *child, bool own, struct cowherd_exit *ret)
{
	siginfo_t si = { 0 };
	int status;

	if (!own)
		return exit_read_foreign(child, ret);
	if (waitid(P_PIDFD, (id_t)child->pidfd, &si, WEXITED | WNOHANG | __WALL) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (si.si_pid == 0)
		return -EAGAIN;
	exit_from_wait(si.si_code == CLD_EXITED ? W_EXITCODE(si.si_status, 0) : si.si_status, ret);
	/* The stub ended: the user's process, as the stub saw it, is what counts. */
	if (child->status >= 0 && read(child->status, &status, sizeof(status)) == sizeof(status))
		exit_from_wait(status, ret);
	return 0;
}

static void exit_lost(struct cowherd_exit *ret, const char *reason)
{
	*ret = (struct cowherd_exit){
		.size = sizeof(*ret), .code = -1, .reason = reason, .time_ns = now_ns()
	};
}

static void tell(struct system *s, uint64_t process, const struct cowherd_exit *status)
{
	if (s->closed)
		return;
	if (s->exit_cb)
		s->exit_cb(s->exit_arg, s->handle, process, status);
	else
		lcow.host->exited(lcow.self, s->handle, process, status);
}

/*
 * Handles: the index in the low half, so that a stale one is seen by the generation in the high
 * half.
 */

struct system *system_find(uint64_t handle)
{
	uint32_t i = (uint32_t)handle;

	if (i >= lcow.slot_count || !lcow.slots[i] || lcow.slots[i]->handle != handle)
		return NULL;
	return lcow.slots[i];
}

static int slot_take(struct system *s)
{
	struct system **grown;
	uint32_t i = 0, count = lcow.slot_count ? lcow.slot_count * 2 : 16;

	while (i < lcow.slot_count && lcow.slots[i])
		i++;
	if (i == lcow.slot_count) {
		grown = realloc(lcow.slots, count * sizeof(struct system *));
		if (!grown)
			return -ENOMEM;
		memset(grown + lcow.slot_count, 0,
		       (count - lcow.slot_count) * sizeof(struct system *));
		lcow.slots = grown;
		lcow.slot_count = count;
	}
	lcow.slots[i] = s;
	s->handle = (uint64_t)++lcow.generation << 32 | i;
	return 0;
}

/* Life. */

struct system *system_new(const char *container, const char *bundle)
{
	struct system *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->child = (struct launch_child){
		.pidfd = -1, .gate = -1, .status = -1, .console = -1, .root_fd = -1
	};
	s->container = strdup(container);
	s->bundle = strdup(bundle ? bundle : "");
	if (s->container && s->bundle)
		return s;
	system_free(s);
	return NULL;
}

void system_options(const struct system *s, struct launch_run_options *ret)
{
	*ret = (struct launch_run_options){
		.id = s->container,
		.bundle = s->bundle,
		.cgroup = s->cgroup,
		.init = s->init,
		.no_pivot = lcow.config.no_pivot,
		.keyring = true,
		.stdio = { .in = -1, .out = -1, .err = -1 },
	};
}

void stdio_for_launch(const struct cowherd_stdio *stdio, struct launch_stdio *ret)
{
	*ret = (struct launch_stdio){ .in = stdio->in,
				      .out = stdio->out,
				      .err = stdio->err,
				      .height = stdio->height,
				      .width = stdio->width };
}

void child_end(struct launch_child *child)
{
	struct pollfd dead = { .fd = child->pidfd, .events = POLLIN };
	siginfo_t si;

	(void)pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
	(void)poll(&dead, 1, -1); /* a watched descriptor does not block in waitid() */
	(void)waitid(P_PIDFD, (id_t)child->pidfd, &si, WEXITED | __WALL);
	launch_close(child);
}

int console_share(struct launch_child *child)
{
	int fd = child->console;

	if (fd >= 0)
		child->console = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd;
}

static void process_free(struct process *p)
{
	unwatch(&p->watch);
	launch_close(&p->child);
	free(p);
}

void system_free(struct system *s)
{
	while (s->processes) {
		struct process *p = s->processes;

		s->processes = p->next;
		process_free(p);
	}
	start_drop(s->starting);
	unwatch(&s->watch);
	if (s->timer)
		lcow.host->timer_stop(lcow.self, s->timer);
	launch_close(&s->child);
	launch_cgroup_free(s->cgroup);
	plan_unref(s->plan);
	free(s->container);
	free(s->bundle);
	free(s->plan_path);
	free(s);
}

/*
 * A closed system stays while a job uses it, and while there are children of ours to be waited for.
 */
static void system_free_if_over(struct system *s)
{
	struct system **at = &lcow.all;

	if (!s->closed || s->jobs || s->processes || (s->own && !s->dead))
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	system_free(s);
}

void systems_drop(void)
{
	while (lcow.all) {
		struct system *s = lcow.all;

		lcow.all = s->next;
		system_free(s);
	}
	free(lcow.slots);
	lcow.slots = NULL;
	lcow.slot_count = 0;
}

void system_job_done(struct system *s)
{
	s->jobs--;
	system_free_if_over(s);
}

void system_close(struct system *s)
{
	lcow.slots[(uint32_t)s->handle] = NULL;
	s->closed = true;
	/* One that was never let go ends by this. */
	if (!s->busy && s->child.gate >= 0) {
		(void)close(s->child.gate);
		s->child.gate = -1;
	}
	system_free_if_over(s);
}

/* Processes that exec made. */

static void process_unlink(struct process *p)
{
	struct process **at = &p->system->processes;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
}

static void process_look(struct process *p)
{
	struct cowherd_exit status;
	struct system *s = p->system;
	int r = exit_read(&p->child, true, &status);

	if (r == -EAGAIN)
		return;
	if (r < 0)
		exit_lost(&status, "it could not be waited for");
	process_unlink(p);
	tell(s, p->id, &status);
	process_free(p);
}

static void process_cb(void *arg, int fd, uint32_t events)
{
	struct process *p = arg;
	struct system *s = p->system;

	(void)fd;
	(void)events;
	s->jobs++; /* whoever is told may close it */
	process_look(p);
	system_job_done(s);
}

int process_publish(struct process *p)
{
	int r = lcow.host->watch_fd(lcow.self, p->child.pidfd, COWHERD_FD_READ, process_cb, p,
				    &p->watch);

	if (r < 0)
		return r;
	p->id = ++p->system->next_process;
	p->next = p->system->processes;
	p->system->processes = p;
	return 0;
}

struct process *process_find(struct system *s, uint64_t id)
{
	struct process *p = s->processes;

	while (p && p->id != id)
		p = p->next;
	return p;
}

/* The end of a system. */

struct settle {
	struct system *system;
	bool populated;
	uint64_t oom;
};

static void system_settle(struct system *s);

static void settle_timer_cb(void *arg)
{
	struct system *s = arg;

	s->timer = 0;
	system_settle(s);
}

static int settle_work(void *arg)
{
	struct settle *w = arg;
	struct launch_cgroup *cg = w->system->cgroup;

	if (launch_cgroup_oom_kills(cg, &w->oom) < 0)
		w->oom = 0;
	if (launch_cgroup_populated(cg, &w->populated) < 0)
		w->populated = false; /* it is gone */
	if (w->populated)
		(void)launch_cgroup_kill(cg, NULL);
	return 0;
}

/* Nothing of it lives any more: first what exec made is told, then the end of all. */
static void system_over(struct system *s)
{
	struct process *next;

	s->jobs++; /* whoever is told may close it */
	for (struct process *p = s->processes; p; p = next) {
		next = p->next;
		process_look(p);
	}
	tell(s, 0, &s->exit);
	system_job_done(s);
}

static void settle_judge(struct system *s, const struct settle *w)
{
	uint64_t ms = s->tries < 6 ? 4u << s->tries : SETTLE_MAX_MS;

	if (w->oom > s->oom_base)
		s->exit.oom = 1;
	s->tries++;
	if (!w->populated)
		system_over(s);
	else if (!s->closed)
		(void)lcow.host->timer_start(lcow.self, ms, 0, settle_timer_cb, s, &s->timer);
}

static void settle_done(void *arg, int result)
{
	struct settle *w = arg;
	struct system *s = w->system;

	(void)result;
	settle_judge(s, w);
	free(w);
	system_job_done(s);
}

/*
 * The usual case, PID 1 of its own namespace has taken everything with it, without a detour by the
 * pool: the unified hierarchy tells in one small file.
 */
static bool settle_now(struct system *s)
{
	struct settle w = { .system = s };

	if (launch_cgroup_mode() == LAUNCH_CGROUP_V1 || s->tries > 0)
		return false;
	if (launch_cgroup_populated(s->cgroup, &w.populated) == 0 && w.populated)
		return false;
	if (launch_cgroup_oom_kills(s->cgroup, &w.oom) < 0)
		w.oom = 0;
	settle_judge(s, &w);
	return true;
}

/* What is left in the cgroup is ended, and looked at until it is gone. */
static void system_settle(struct system *s)
{
	struct settle *w;

	if (!s->cgroup) {
		system_over(s);
		return;
	}
	if (settle_now(s))
		return;
	w = calloc(1, sizeof(*w));
	if (w) {
		w->system = s;
		s->jobs++;
		if (lcow.host->offload(lcow.self, settle_work, settle_done, w) == 0)
			return;
		s->jobs--;
		free(w);
	}
	system_over(s);
}

static void lost_timer_cb(void *arg)
{
	struct system *s = arg;

	s->timer = 0;
	system_look(s);
}

/* The parent of a process we adopted is somebody else, who may take a moment. */
static bool system_waits_for_parent(struct system *s)
{
	unwatch(&s->watch);
	return s->tries++ < LOST_TRIES &&
	       lcow.host->timer_start(lcow.self, LOST_MS, 0, lost_timer_cb, s, &s->timer) == 0;
}

void system_look(struct system *s)
{
	int r;

	if (s->busy || s->dead)
		return;
	r = exit_read(&s->child, s->own, &s->exit);
	if (r == -EAGAIN && (s->own || system_waits_for_parent(s)))
		return;
	if (r < 0)
		exit_lost(&s->exit,
			  s->own ? "it could not be waited for"
				 : "the supervisor that could have waited for it is gone");
	unwatch(&s->watch);
	s->dead = true;
	s->tries = 0;
	if (s->closed)
		system_free_if_over(s);
	else
		system_settle(s);
}

static void system_cb(void *arg, int fd, uint32_t events)
{
	struct system *s = arg;

	(void)fd;
	(void)events;
	if (s->busy)
		unwatch(&s->watch); /* whoever is busy looks when it is done */
	else
		system_look(s);
}

int system_publish(struct system *s)
{
	int r = slot_take(s);

	if (r < 0)
		return r;
	r = lcow.host->watch_fd(lcow.self, s->child.pidfd, COWHERD_FD_READ, system_cb, s,
				&s->watch);
	if (r < 0) {
		lcow.slots[(uint32_t)s->handle] = NULL;
		return r;
	}
	s->next = lcow.all;
	lcow.all = s;
	return 0;
}
