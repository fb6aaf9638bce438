/* SPDX-License-Identifier: MIT */
/* What is done to a running system: signals, size, freezing, counting, ending. */
#include "lcow.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>

/* One job on the cgroup. */
struct control {
	struct reply reply;
	struct system *system;
	int (*work)(struct control *c);
	int signo;
	bool frozen;
	char *result;
	struct launch_error err;
};

static int control_work(void *arg)
{
	struct control *c = arg;

	return c->work(c);
}

static void control_done(void *arg, int result)
{
	struct control *c = arg;
	struct cowherd_answer answer = {
		.size = sizeof(answer), .code = result, .fd = -1, .result = c->result
	};

	if (result < 0 && *c->err.text)
		answer.message = c->err.text;
	(void)reply_answer(&c->reply, &answer);
	system_job_done(c->system);
	free(c->result);
	free(c);
}

static int control_run(struct system *s, const struct control *proto, const struct reply *reply)
{
	struct control *c = malloc(sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = *proto;
	c->reply = *reply;
	c->system = s;
	r = lcow.host->offload(lcow.self, control_work, control_done, c);
	if (r < 0) {
		free(c);
		return r;
	}
	s->jobs++;
	return COWHERD_LATER;
}

static int send_signal(const struct launch_child *child, int signo)
{
	return pidfd_send_signal(child->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

static int signal_all_work(struct control *c)
{
	struct launch_cgroup *cg = c->system->cgroup;

	return c->signo == SIGKILL ? launch_cgroup_kill(cg, &c->err)
				   : launch_cgroup_signal(cg, c->signo);
}

int lcow_signal(uint64_t system, uint64_t process, int signo, uint32_t flags,
		const struct reply *reply)
{
	struct system *s = system_find(system);
	struct process *p;

	if (!s)
		return -ENOENT;
	if (process) {
		p = process_find(s, process);
		return p ? send_signal(&p->child, signo) : -ESRCH;
	}
	if (s->dead)
		return -ESRCH;
	if ((flags & COWHERD_SIGNAL_ALL) && s->cgroup)
		return control_run(s, &(struct control){ .work = signal_all_work, .signo = signo },
				   reply);
	return send_signal(&s->child, signo);
}

int lcow_resize(uint64_t system, uint64_t process, uint16_t height, uint16_t width)
{
	struct system *s = system_find(system);
	struct process *p = s && process ? process_find(s, process) : NULL;
	const struct launch_child *child = process ? (p ? &p->child : NULL) : s ? &s->child : NULL;
	struct winsize size = { .ws_row = height, .ws_col = width };

	if (!child)
		return s ? -ESRCH : -ENOENT;
	if (child->console < 0)
		return -ENOTTY;
	return ioctl(child->console, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

static int freeze_work(struct control *c)
{
	return launch_cgroup_freeze(c->system->cgroup, c->frozen, &c->err);
}

int lcow_freeze(uint64_t system, bool frozen, const struct reply *reply)
{
	struct system *s = system_find(system);

	if (!s)
		return -ENOENT;
	if (s->dead || !s->cgroup)
		return s->dead ? -ESRCH : -ENOTSUP;
	return control_run(s, &(struct control){ .work = freeze_work, .frozen = frozen }, reply);
}

static int kill_work(struct control *c)
{
	return launch_cgroup_kill(c->system->cgroup, &c->err);
}

int lcow_terminate(uint64_t system, const struct reply *reply)
{
	struct system *s = system_find(system);
	int r;

	if (!s)
		return -ENOENT;
	if (s->dead)
		return 0; /* and what is left of it is being ended */
	if (s->cgroup)
		return control_run(s, &(struct control){ .work = kill_work }, reply);
	r = send_signal(&s->child, SIGKILL);
	return r == -ESRCH ? 0 : r;
}

/* Statistics. */

struct net {
	uint64_t rx, tx;
};

/* All interfaces of the container's network namespace but its loopback. */
static void net_read(pid_t pid, struct net *ret)
{
	char path[32], line[512];
	FILE *f;

	*ret = (struct net){ 0 };
	(void)snprintf(path, sizeof(path), "/proc/%d/net/dev", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		char *colon = strrchr(line, ':');
		uint64_t rx, tx;

		if (!colon || strncmp(line + strspn(line, " "), "lo:", 3) == 0)
			continue;
		if (sscanf(colon + 1, "%" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &rx,
			   &tx) == 2) {
			ret->rx += rx;
			ret->tx += tx;
		}
	}
	(void)fclose(f);
}

static void put_number(FILE *f, const char *key, uint64_t value)
{
	(void)fprintf(f, ",\"%s\":%" PRIu64, key, value);
}

static void put_stats(FILE *f, const struct launch_cgroup_stats *st)
{
	if (st->have & LAUNCH_STATS_CPU) {
		put_number(f, "cpu_ns", st->cpu_ns);
		put_number(f, "cpu_user_ns", st->cpu_user_ns);
		put_number(f, "cpu_system_ns", st->cpu_system_ns);
	}
	if (st->have & LAUNCH_STATS_MEMORY) {
		put_number(f, "memory_bytes", st->memory_bytes);
		put_number(f, "memory_limit_bytes", st->memory_limit_bytes);
		put_number(f, "memory_peak_bytes", st->memory_peak_bytes);
		put_number(f, "swap_bytes", st->swap_bytes);
	}
	if (st->have & LAUNCH_STATS_PIDS) {
		put_number(f, "pids", st->pids);
		put_number(f, "pids_limit", st->pids_limit);
	}
	if (st->have & LAUNCH_STATS_IO) {
		put_number(f, "block_read_bytes", st->io_read_bytes);
		put_number(f, "block_write_bytes", st->io_write_bytes);
	}
	if (st->have & LAUNCH_STATS_OOM)
		put_number(f, "oom_kills", st->oom_kills);
	(void)fprintf(f, ",\"estimated\":%s", st->estimated ? "true" : "false");
}

static int stats_work(struct control *c)
{
	struct launch_cgroup_stats st = { 0 };
	struct net net;
	size_t len;
	FILE *f;
	int r = launch_cgroup_stats(c->system->cgroup, &st);

	if (r < 0)
		return r;
	f = open_memstream(&c->result, &len);
	if (!f)
		return -ENOMEM;
	net_read(c->system->child.pid, &net);
	(void)fprintf(f, "{\"net_rx_bytes\":%" PRIu64 ",\"net_tx_bytes\":%" PRIu64, net.rx, net.tx);
	put_stats(f, &st);
	(void)fputc('}', f);
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

int lcow_stats(uint64_t system, const struct reply *reply)
{
	struct system *s = system_find(system);

	if (!s)
		return -ENOENT;
	if (s->dead || !s->cgroup)
		return s->dead ? -ESRCH : -ENOTSUP;
	return control_run(s, &(struct control){ .work = stats_work }, reply);
}
