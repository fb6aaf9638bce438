/* SPDX-License-Identifier: MIT */
/* Usage, from whichever controller is there; else summed over the processes. */
#include "cgroup_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNLIMITED (1ULL << 62) /* v1's "no limit" is the largest multiple of a page */

static void number(const char *dir, const char *file, uint64_t *ret)
{
	uint64_t value;

	if (cgroup_read_number(dir, file, &value) == 0)
		*ret = value;
}

static void key(const char *text, const char *name, uint64_t *ret)
{
	uint64_t value;

	if (cgroup_text_key(text, name, &value))
		*ret = value;
}

static void limit(const char *dir, const char *file, uint64_t *ret)
{
	number(dir, file, ret);
	if (*ret >= UNLIMITED)
		*ret = 0;
}

static bool stats_memory(const struct launch_cgroup *cg, struct launch_cgroup_stats *s)
{
	bool v2 = cg->mode == LAUNCH_CGROUP_V2;
	const char *dir = cgroup_dir_of(cg, "memory");
	char text[8192] = "";

	if (!dir || cgroup_read_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes",
				       &s->memory_bytes) < 0)
		return false;
	number(dir, v2 ? "memory.peak" : "memory.max_usage_in_bytes", &s->memory_peak_bytes);
	limit(dir, v2 ? "memory.max" : "memory.limit_in_bytes", &s->memory_limit_bytes);
	(void)cgroup_read(dir, "memory.stat", text, sizeof(text));
	key(text, v2 ? "file" : "total_cache", &s->memory_cache_bytes);
	key(text, v2 ? "anon" : "total_rss", &s->memory_rss_bytes);
	if (v2)
		number(dir, "memory.swap.current", &s->swap_bytes);
	else
		key(text, "total_swap", &s->swap_bytes);
	return true;
}

/* The unified hierarchy counts time without any controller. */
static bool stats_cpu_unified(const struct cgroup_dir *d, struct launch_cgroup_stats *s)
{
	char text[2048];
	uint64_t us[4] = { 0 };

	if (!d->unified || cgroup_read(d->dir, "cpu.stat", text, sizeof(text)) < 0 ||
	    !cgroup_text_key(text, "usage_usec", &us[0]))
		return false;
	key(text, "user_usec", &us[1]);
	key(text, "system_usec", &us[2]);
	key(text, "throttled_usec", &us[3]);
	key(text, "nr_periods", &s->cpu_periods);
	key(text, "nr_throttled", &s->cpu_throttled);
	s->cpu_ns = us[0] * 1000;
	s->cpu_user_ns = us[1] * 1000;
	s->cpu_system_ns = us[2] * 1000;
	s->cpu_throttled_ns = us[3] * 1000;
	return true;
}

static bool stats_cpu(const struct launch_cgroup *cg, struct launch_cgroup_stats *s)
{
	const char *dir = cgroup_dir_of(cg, "cpu");
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	char text[2048];

	if (cg->mode != LAUNCH_CGROUP_V2 && dir &&
	    cgroup_read(dir, "cpu.stat", text, sizeof(text)) > 0) {
		key(text, "nr_periods", &s->cpu_periods);
		key(text, "nr_throttled", &s->cpu_throttled);
		key(text, "throttled_time", &s->cpu_throttled_ns);
	}
	if (stats_cpu_unified(cgroup_tracking(cg), s))
		return true;
	dir = cgroup_dir_of(cg, "cpuacct");
	if (!dir || cgroup_read_number(dir, "cpuacct.usage", &s->cpu_ns) < 0)
		return false;
	if (cgroup_read(dir, "cpuacct.stat", text, sizeof(text)) > 0) {
		key(text, "user", &s->cpu_user_ns);
		key(text, "system", &s->cpu_system_ns);
		s->cpu_user_ns *= tick;
		s->cpu_system_ns *= tick;
	}
	return true;
}

static bool stats_pids(const struct launch_cgroup *cg, struct launch_cgroup_stats *s)
{
	const char *dir = cgroup_dir_of(cg, "pids");

	if (!dir || cgroup_read_number(dir, "pids.current", &s->pids) < 0)
		return false;
	limit(dir, "pids.max", &s->pids_limit);
	return true;
}

/* "8:0 Read 123" lines: the sums of both kinds over all devices. */
static void io_v1(const char *text, uint64_t *reads, uint64_t *writes)
{
	for (const char *line = text; line && *line;) {
		const char *word = strchr(line, ' ');

		if (word && strncmp(word, " Read ", 6) == 0)
			*reads += strtoull(word + 6, NULL, 10);
		else if (word && strncmp(word, " Write ", 7) == 0)
			*writes += strtoull(word + 7, NULL, 10);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..." lines. */
static void io_v2(const char *text, const char *name, uint64_t *sum)
{
	for (const char *at = text; (at = strstr(at, name)); at += strlen(name))
		*sum += strtoull(at + strlen(name), NULL, 10);
}

static bool stats_io(const struct launch_cgroup *cg, struct launch_cgroup_stats *s)
{
	const char *dir = cgroup_dir_of(cg, cg->mode == LAUNCH_CGROUP_V2 ? "io" : "blkio");
	char text[8192];

	if (!dir)
		return false;
	if (cg->mode == LAUNCH_CGROUP_V2) {
		if (cgroup_read(dir, "io.stat", text, sizeof(text)) < 0)
			return false;
		io_v2(text, " rbytes=", &s->io_read_bytes);
		io_v2(text, " wbytes=", &s->io_write_bytes);
		io_v2(text, " rios=", &s->io_reads);
		io_v2(text, " wios=", &s->io_writes);
		return true;
	}
	if (cgroup_read(dir, "blkio.throttle.io_service_bytes_recursive", text, sizeof(text)) < 0)
		return false;
	io_v1(text, &s->io_read_bytes, &s->io_write_bytes);
	if (cgroup_read(dir, "blkio.throttle.io_serviced_recursive", text, sizeof(text)) >= 0)
		io_v1(text, &s->io_reads, &s->io_writes);
	return true;
}

/* One process's share of what no controller counts for us. */
static void stats_process(pid_t pid, unsigned want, struct launch_cgroup_stats *s)
{
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	unsigned long rss, user, system;
	char dir[32], text[1024], *p;

	(void)snprintf(dir, sizeof(dir), "/proc/%d", pid);
	if (want & LAUNCH_STATS_MEMORY && cgroup_read(dir, "statm", text, sizeof(text)) > 0 &&
	    sscanf(text, "%*u %lu", &rss) == 1)
		s->memory_bytes += rss * (uint64_t)sysconf(_SC_PAGESIZE);
	if (want & LAUNCH_STATS_CPU && cgroup_read(dir, "stat", text, sizeof(text)) > 0 &&
	    (p = strrchr(text, ')')) &&
	    sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) ==
		    2) {
		s->cpu_user_ns += user * tick;
		s->cpu_system_ns += system * tick;
	}
	if (want & LAUNCH_STATS_IO && cgroup_read(dir, "io", text, sizeof(text)) > 0) {
		uint64_t value = 0;

		if (cgroup_text_key(text, "read_bytes:", &value))
			s->io_read_bytes += value;
		if (cgroup_text_key(text, "write_bytes:", &value))
			s->io_write_bytes += value;
	}
}

static void stats_estimate(const struct launch_cgroup *cg, struct launch_cgroup_stats *s)
{
	unsigned want =
		(LAUNCH_STATS_MEMORY | LAUNCH_STATS_CPU | LAUNCH_STATS_PIDS | LAUNCH_STATS_IO) &
		~s->have;
	pid_t *pids = NULL;
	size_t n = 0;

	if (!want || launch_cgroup_pids(cg, &pids, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		stats_process(pids[i], want, s);
	free(pids);
	if (want & LAUNCH_STATS_PIDS)
		s->pids = n;
	if (want & LAUNCH_STATS_CPU)
		s->cpu_ns = s->cpu_user_ns + s->cpu_system_ns;
	if (want & LAUNCH_STATS_MEMORY)
		s->memory_rss_bytes = s->memory_bytes;
	s->have |= want;
	s->estimated = want;
}

int launch_cgroup_oom_kills(const struct launch_cgroup *cg, uint64_t *ret)
{
	const char *dir = cgroup_dir_of(cg, "memory");
	const char *file = cg->mode == LAUNCH_CGROUP_V2 ? "memory.events" : "memory.oom_control";
	int r = dir ? cgroup_read_key(dir, file, "oom_kill", ret) : -ENOTSUP;

	return r == -ENOENT || r == -ENODATA ? -ENOTSUP : r;
}

int launch_cgroup_stats(const struct launch_cgroup *cg, struct launch_cgroup_stats *ret)
{
	struct launch_cgroup_stats s = { 0 };

	if (access(cgroup_tracking(cg)->dir, F_OK) < 0)
		return -errno;
	s.have |= stats_memory(cg, &s) ? LAUNCH_STATS_MEMORY : 0;
	s.have |= stats_cpu(cg, &s) ? LAUNCH_STATS_CPU : 0;
	s.have |= stats_pids(cg, &s) ? LAUNCH_STATS_PIDS : 0;
	s.have |= stats_io(cg, &s) ? LAUNCH_STATS_IO : 0;
	s.have |= launch_cgroup_oom_kills(cg, &s.oom_kills) == 0 ? LAUNCH_STATS_OOM : 0;
	stats_estimate(cg, &s);
	*ret = s;
	return 0;
}
