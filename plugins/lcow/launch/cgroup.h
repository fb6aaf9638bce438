/* SPDX-License-Identifier: MIT */
/*
 * A container's cgroups on this host: v1, v2 or hybrid.  One of them, the tracking cgroup, answers
 * who belongs to the container: the unified one where the host has it (a hybrid host's needs no
 * controller), else v1's freezer.  On v1, mkdir is what a start pays most for, so only the
 * controllers that the plan sets, or flags ask for, are made.
 *
 * Life: launch_cgroup_new() decides and touches nothing; launch_cgroup_record() goes to the ledger;
 * launch_cgroup_make() takes.  launch_cgroup_release() gives back from the record alone, in any
 * process. A cgroup that was there before is never used, written or removed (parents excepted:
 * those are used). All paths are relative to the hierarchies' roots as mounted; functions block for
 * little.
 */
#ifndef LAUNCH_CGROUP_H
#define LAUNCH_CGROUP_H

#include "plan.h"

#include <sys/types.h>

struct launch_cgroup;

enum launch_cgroup_mode {
	LAUNCH_CGROUP_NONE,
	LAUNCH_CGROUP_V1,
	LAUNCH_CGROUP_V2,
	LAUNCH_CGROUP_HYBRID, /* v1 controllers, and a unified hierarchy for tracking */
};

/* What this host mounts; looked up once per process. */
enum launch_cgroup_mode launch_cgroup_mode(void);

#define LAUNCH_CGROUP_MEMORY 0x1u /* v1: also make memory (oom counter, usage); v2: enable it */
#define LAUNCH_CGROUP_CPU 0x2u	  /* v1: cpuacct and cpu */
#define LAUNCH_CGROUP_PIDS 0x4u
#define LAUNCH_CGROUP_IO 0x8u
#define LAUNCH_CGROUP_FREEZER 0x10u /* v1 and hybrid: the v1 freezer too */
#define LAUNCH_CGROUP_ALL 0x100u    /* every controller there is, as runc and crun do */
/*
 * A release leaves the directories above, which a supervisor shares between its containers: making and
 * removing them each time costs as much as the container's own.  See launch_cgroup_remove_parent().
 */
#define LAUNCH_CGROUP_KEEP_PARENT 0x200u

/*
 * path is used where the plan names none.  -EEXIST: it is there already; -ENOTSUP: a setting needs
 * a controller that this host does not have, or the host has no cgroups.
 */
int launch_cgroup_new(const struct launch_plan *plan, const char *path, unsigned flags,
		      struct launch_cgroup **ret, struct launch_error *err);
/* JSON text for the ledger, to be freed. */
int launch_cgroup_record(const struct launch_cgroup *cg, char **ret);
/* Make the directories, apply the plan's settings and device rules.  Undoes itself on failure. */
int launch_cgroup_make(struct launch_cgroup *cg, const struct launch_plan *plan,
		       struct launch_error *err);
/* From a record, for adoption.  -ENOENT: the tracking cgroup is gone. */
int launch_cgroup_open(const char *record, struct launch_cgroup **ret, struct launch_error *err);
/* Forget; the cgroups stay.  NULL is fine. */
void launch_cgroup_free(struct launch_cgroup *cg);
/* End what is left in them and remove them, from the record alone; "already gone" is success. */
int launch_cgroup_release(const char *record, struct launch_error *err);
/*
 * Where even the record was lost: whatever is at path ("cowherd/x") in any hierarchy.  1: there was
 * something, and it is gone (look_only: it is there still); 0: nothing.
 */
int launch_cgroup_release_path(const char *path, bool look_only, struct launch_error *err);

/* Remove path ("cowherd") from all hierarchies, where nothing is in it; never fails. */
void launch_cgroup_remove_parent(const char *path);

/* Where the tracking cgroup is: "/sys/fs/cgroup/unified/cowherd/x".  Valid as long as cg. */
const char *launch_cgroup_path(const struct launch_cgroup *cg);
/*
 * Settings of a plan compiled from {"linux":{"resources":...}}; all are tried, the first error
 * counts.
 */
int launch_cgroup_update(struct launch_cgroup *cg, const struct launch_plan *plan,
			 struct launch_error *err);
/* Stop or continue every process; returns when it is so. */
int launch_cgroup_freeze(struct launch_cgroup *cg, bool frozen, struct launch_error *err);
int launch_cgroup_frozen(const struct launch_cgroup *cg, bool *ret);
/* SIGKILL to every process, also one that forks meanwhile; frozen ones end too. */
int launch_cgroup_kill(struct launch_cgroup *cg, struct launch_error *err);
/* Any other signal to every process now in it. */
int launch_cgroup_signal(const struct launch_cgroup *cg, int signo);
/* Is a process (zombies excepted) in it or below? */
int launch_cgroup_populated(const struct launch_cgroup *cg, bool *ret);
/*
 * A new descriptor, the caller's, that has POLLPRI|POLLERR when populated or frozen changed (read
 * it from the start to rearm).  -ENOTSUP on a v1 host.
 */
int launch_cgroup_watch(const struct launch_cgroup *cg, int *ret_fd);
/* All processes, sub-cgroups included, unsorted; to be freed. */
int launch_cgroup_pids(const struct launch_cgroup *cg, pid_t **ret, size_t *ret_n);

#define LAUNCH_STATS_MEMORY 0x1u
#define LAUNCH_STATS_CPU 0x2u
#define LAUNCH_STATS_PIDS 0x4u
#define LAUNCH_STATS_IO 0x8u
#define LAUNCH_STATS_OOM 0x10u
struct launch_cgroup_stats {
	unsigned have;	    /* LAUNCH_STATS_: which groups below are known */
	unsigned estimated; /* of these, which were summed over /proc for want of a controller */
	uint64_t memory_bytes, memory_limit_bytes, memory_peak_bytes,
		swap_bytes; /* limit 0: none */
	uint64_t memory_cache_bytes, memory_rss_bytes;
	uint64_t cpu_ns, cpu_user_ns, cpu_system_ns;
	uint64_t cpu_periods, cpu_throttled, cpu_throttled_ns;
	uint64_t pids, pids_limit; /* limit 0: none */
	uint64_t io_read_bytes, io_write_bytes, io_reads, io_writes;
	uint64_t oom_kills;
};
int launch_cgroup_stats(const struct launch_cgroup *cg, struct launch_cgroup_stats *ret);
/* Processes that the kernel killed for want of memory; -ENOTSUP without the memory controller. */
int launch_cgroup_oom_kills(const struct launch_cgroup *cg, uint64_t *ret);

#endif
