/* SPDX-License-Identifier: MIT */
/* Who is in it; stop them, let them go on, end them. */
#include "cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FREEZE_MS 10000
#define KILL_ROUNDS 50

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int events_fd(const struct cgroup_dir *d)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.events", d->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int launch_cgroup_watch(const struct launch_cgroup *cg, int *ret_fd)
{
	char buf[64];
	int fd;

	if (!cgroup_tracking(cg)->unified)
		return -ENOTSUP;
	fd = events_fd(cgroup_tracking(cg));
	if (fd < 0)
		return fd;
	(void)!read(fd, buf, sizeof(buf)); /* what is so now is no news */
	*ret_fd = fd;
	return 0;
}

int cgroup_dir_populated(const struct cgroup_dir *d, bool *ret)
{
	size_t n = 0, cap = 0;
	pid_t *pids = NULL;
	uint64_t value;
	int r;

	if (d->unified) {
		r = cgroup_read_key(d->dir, "cgroup.events", "populated", &value);
		if (r == 0)
			*ret = value != 0;
		return r == -ENODEV ? -ENOENT : r;
	}
	r = cgroup_tree_pids(d->dir, &pids, &n, &cap);
	free(pids);
	if (r == 0)
		*ret = n != 0;
	return r;
}

int launch_cgroup_populated(const struct launch_cgroup *cg, bool *ret)
{
	int r = cgroup_dir_populated(cgroup_tracking(cg), ret);

	if (r != -ENOENT)
		return r;
	*ret = false;
	return 0;
}

int launch_cgroup_pids(const struct launch_cgroup *cg, pid_t **ret, size_t *ret_n)
{
	size_t n = 0, cap = 0;
	pid_t *pids = NULL;
	int r = cgroup_tree_pids(cgroup_tracking(cg)->dir, &pids, &n, &cap);

	if (r < 0) {
		free(pids);
		return r;
	}
	*ret = pids;
	*ret_n = n;
	return 0;
}

/* Where freezing is done, which on v1 need not be the tracking one's neighbour. */
static const char *freezer_dir(const struct launch_cgroup *cg)
{
	return cgroup_tracking(cg)->unified ? cgroup_tracking(cg)->dir
					    : cgroup_dir_of(cg, "freezer");
}

int launch_cgroup_frozen(const struct launch_cgroup *cg, bool *ret)
{
	const char *dir = freezer_dir(cg);
	char state[32];
	uint64_t value;
	ssize_t n;
	int r;

	if (!dir)
		return -ENOTSUP;
	if (cgroup_tracking(cg)->unified) {
		r = cgroup_read_key(dir, "cgroup.events", "frozen", &value);
		if (r == 0)
			*ret = value != 0;
		return r;
	}
	n = cgroup_read(dir, "freezer.state", state, sizeof(state));
	if (n < 0)
		return (int)n;
	*ret = strncmp(state, "FROZEN", 6) == 0;
	return 0;
}

/* v1 gives up on tasks that fork or are in the middle of something: asked again until it is so. */
static int freeze_v1(const struct launch_cgroup *cg, bool frozen)
{
	uint64_t end = now_ms() + FREEZE_MS;
	struct timespec pause = { .tv_nsec = 1000000 };
	bool is = !frozen;
	int r;

	for (;;) {
		r = cgroup_write(freezer_dir(cg), "freezer.state", frozen ? "FROZEN" : "THAWED");
		if (r == 0)
			r = launch_cgroup_frozen(cg, &is);
		if (r < 0 || is == frozen || now_ms() > end)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return r < 0 ? r : is == frozen ? 0 : -ETIMEDOUT;
}

static int freeze_unified(const struct launch_cgroup *cg, bool frozen)
{
	uint64_t end = now_ms() + FREEZE_MS;
	struct pollfd p = { .fd = events_fd(cgroup_tracking(cg)), .events = POLLPRI };
	int r = p.fd < 0 ? p.fd
			 : cgroup_write(cgroup_tracking(cg)->dir, "cgroup.freeze",
					frozen ? "1" : "0");

	while (r == 0) {
		uint64_t now = now_ms(), value;
		char buf[128];
		ssize_t n = pread(p.fd, buf, sizeof(buf) - 1, 0);

		buf[n > 0 ? n : 0] = '\0';
		if (n <= 0)
			r = n < 0 ? -errno : -EIO;
		else if (!cgroup_text_key(buf, "frozen", &value))
			r = -ENOTSUP;
		else if ((value != 0) == frozen)
			break;
		else if (now >= end)
			r = -ETIMEDOUT;
		else
			(void)poll(&p, 1, (int)(end - now));
	}
	if (p.fd >= 0)
		(void)close(p.fd);
	return r;
}

int launch_cgroup_freeze(struct launch_cgroup *cg, bool frozen, struct launch_error *err)
{
	int r;

	if (!freezer_dir(cg))
		return parent_error(err, -ENOTSUP, "cgroup %s: it has no freezer", cg->path);
	r = cgroup_tracking(cg)->unified ? freeze_unified(cg, frozen) : freeze_v1(cg, frozen);
	if (r < 0 && frozen) /* not half frozen */
		(void)(cgroup_tracking(cg)->unified
			       ? cgroup_write(freezer_dir(cg), "cgroup.freeze", "0")
			       : cgroup_write(freezer_dir(cg), "freezer.state", "THAWED"));
	return r < 0 ? parent_fail(err, r, "cgroup %s: %s", freezer_dir(cg),
				   frozen ? "freeze" : "thaw")
		     : 0;
}

static int signal_all(const char *dir, int signo, size_t *ret_n)
{
	size_t n = 0, cap = 0;
	pid_t *pids = NULL, self = getpid();
	int r = cgroup_tree_pids(dir, &pids, &n, &cap);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (pids[i] != self)
			(void)kill(pids[i], signo);
	}
	free(pids);
	*ret_n = n;
	return r;
}

/* Before Linux 5.14, and on v1: hold them still, so that none is born while the rest is told. */
int cgroup_dir_kill(const struct cgroup_dir *d)
{
	struct timespec pause = { .tv_nsec = 200000 };
	size_t left = 1;
	int r = d->unified ? cgroup_write(d->dir, "cgroup.kill", "1") : -ENOENT;

	if (r != -ENOENT)
		return r == -ENODEV ? 0 : r;
	for (int round = 0; round < KILL_ROUNDS && left; round++) {
		(void)(d->unified ? cgroup_write(d->dir, "cgroup.freeze", "1")
				  : cgroup_write(d->dir, "freezer.state", "FROZEN"));
		r = signal_all(d->dir, SIGKILL, &left);
		(void)(d->unified ? cgroup_write(d->dir, "cgroup.freeze", "0")
				  : cgroup_write(d->dir, "freezer.state", "THAWED"));
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		if (left)
			(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int launch_cgroup_kill(struct launch_cgroup *cg, struct launch_error *err)
{
	int r = cgroup_dir_kill(cgroup_tracking(cg));

	return r < 0 ? parent_fail(err, r, "cgroup %s: kill", cgroup_tracking(cg)->dir) : 0;
}

int launch_cgroup_signal(const struct launch_cgroup *cg, int signo)
{
	size_t n;

	return signal_all(cgroup_tracking(cg)->dir, signo, &n);
}
