/* SPDX-License-Identifier: MIT */
/*
 * The launch plan: an OCI spec compiled into one flat block of memory with everything laid out in
 * advance -- mounts, ids, limits, seccomp program, environment.  A plan has no pointers: every
 * string and array is an offset from its start, so it can be cached, compared, written to a file
 * and sent to a guest agent.  Compiling is pure (no system calls but what the allocator and
 * libseccomp's export make); executing (run.h) allocates nothing.
 */
#ifndef LAUNCH_PLAN_H
#define LAUNCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LAUNCH_PLAN_MAGIC 0x706c776fu
#define LAUNCH_PLAN_VERSION 2u

/* No hole in any of these: the same spec gives the same bytes, and nothing else goes to a guest. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

typedef uint32_t launch_str; /* offset of a NUL-terminated string; 0: absent */
struct launch_vec {          /* offset of the first element, number of elements */
	uint32_t off, n;
};

struct launch_ns_join {
	uint32_t type; /* CLONE_NEW... */
	launch_str path;
};

struct launch_idmap {
	uint32_t inside, outside, count;
};

enum launch_mount_kind {
	LAUNCH_MOUNT_FS,     /* a new file system of `type` */
	LAUNCH_MOUNT_BIND,   /* source is a path of the host's view */
	LAUNCH_MOUNT_CGROUP, /* the container's cgroups, as this host has them */
	LAUNCH_MOUNT_REMOUNT,/* only flags of what is there already */
};

#define LAUNCH_MOUNT_REC 0x1u        /* rbind */
#define LAUNCH_MOUNT_TMPCOPYUP 0x2u  /* a tmpfs that starts with the content below it */
#define LAUNCH_MOUNT_IDMAP 0x4u      /* mapped ids (idmap option, or mappings of its own) */
#define LAUNCH_MOUNT_IDMAP_REC 0x8u
#define LAUNCH_MOUNT_NOFOLLOW_SRC 0x10u
#define LAUNCH_MOUNT_NOFOLLOW_DST 0x20u
#define LAUNCH_MOUNT_IN_ROOT 0x40u   /* the bind's source is taken inside the rootfs */
#define LAUNCH_MOUNT_OPTIONAL 0x80u
#define LAUNCH_MOUNT_COPY_SYMLINK 0x100u /* a symlink as source is made again, not followed */
#define LAUNCH_MOUNT_REMOUNT_BIND 0x200u /* a remount of the mount alone, not of its file system */

struct launch_mount {
	uint32_t kind, opts;
	launch_str source, target, type, data; /* data: what the options leave for the file system */
	uint64_t sb_flags; /* MS_ flags of the superblock: RDONLY, SYNCHRONOUS, ...; 0 for binds */
	/* MOUNT_ATTR_ of the mount; an atime in either: all of MOUNT_ATTR__ATIME in clear */
	uint64_t attr_set, attr_clear;
	uint64_t rec_attr_set, rec_attr_clear; /* the same for the tree below (rro, rnosuid, ...) */
	uint32_t propagation[2];               /* MS_PRIVATE, MS_SLAVE|MS_REC, ... in order; 0: none */
	struct launch_vec uid_maps, gid_maps;  /* struct launch_idmap; none: the container's own */
};

struct launch_device {
	launch_str path;
	uint32_t type; /* S_IFCHR, S_IFBLK, S_IFIFO */
	uint32_t major, minor, mode, uid, gid;
};

struct launch_symlink {
	launch_str target, path;
};

struct launch_sysctl {
	launch_str file; /* "net/ipv4/ip_forward", below /proc/sys */
	launch_str key, value;
};

struct launch_rlimit {
	uint32_t resource, reserved;
	uint64_t soft, hard;
};

/* One setting of a cgroup file, for both versions; 0 where one has no such thing. */
struct launch_cgroup_setting {
	launch_str controller; /* "memory", "cpu", "cpuset", "pids", "blkio", "hugetlb", "net_cls", ... */
	launch_str v1_file, v1_value;
	launch_str v2_controller, v2_file, v2_value; /* v2's name: "io" for blkio, ... */
	uint32_t optional; /* 1: skip where the kernel has no such thing (ENOENT, EOPNOTSUPP) */
	uint32_t again;    /* 1: when refused on v1 (EINVAL, EBUSY), after the next row again */
	launch_str what;   /* JSON pointer into the spec, for errors: "/linux/resources/memory/limit" */
};

struct launch_cgroup_device {
	uint32_t allow;
	uint32_t type;         /* 'a', 'b', 'c' */
	int64_t major, minor;  /* -1: any */
	uint32_t access;       /* 1 read, 2 write, 4 mknod */
	uint32_t reserved;
};

struct launch_hook {
	launch_str path;
	struct launch_vec args, env; /* launch_str; args is never empty */
	uint32_t timeout_s;          /* 0: none */
};

enum launch_hook_point {
	LAUNCH_HOOK_PRESTART,
	LAUNCH_HOOK_CREATE_RUNTIME,
	LAUNCH_HOOK_CREATE_CONTAINER,
	LAUNCH_HOOK_START_CONTAINER,
	LAUNCH_HOOK_POSTSTART,
	LAUNCH_HOOK_POSTSTOP,
	LAUNCH_HOOK_COUNT,
};

/* A process: the container's first, or one exec'd into it (then compiled on its own). */
struct launch_process {
	struct launch_vec args, env; /* launch_str; args[0] is searched in env's PATH, inside the rootfs */
	launch_str cwd;
	uint32_t uid, gid;
	struct launch_vec groups;    /* uint32_t */
	uint32_t umask_set, umask;
	/*
	 * Consistent (effective and ambient are in permitted, ambient is in inheritable).  A spec
	 * without capabilities has none; set is 0 only in plans not made from a spec: leave them.
	 */
	uint32_t caps_set;
	uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
	uint32_t no_new_privs;
	uint32_t terminal;
	uint16_t height, width;
	struct launch_vec rlimits;   /* struct launch_rlimit */
	uint32_t oom_score_adj_set;
	int32_t oom_score_adj;
	launch_str apparmor, selinux; /* profile, label; 0: none */
	uint32_t scheduler_set, sched_policy, sched_flags, sched_priority;
	int32_t sched_nice;
	uint64_t sched_runtime, sched_deadline, sched_period;
	uint32_t ioprio_set, ioprio; /* as ioprio_set(2) takes it */
};

struct launch_seccomp {
	struct launch_vec filter; /* struct sock_filter, n instructions; 0: none */
	uint32_t flags;           /* SECCOMP_FILTER_FLAG_... */
	launch_str listener_path, listener_metadata; /* for SCMP_ACT_NOTIFY */
};

struct launch_plan {
	uint32_t magic, version;
	uint32_t size; /* of the whole block, in bytes */
	uint32_t has_process;
	/* namespaces */
	uint32_t clone_flags; /* CLONE_NEW... that are new */
	struct launch_vec joins; /* struct launch_ns_join */
	struct launch_vec uid_maps, gid_maps; /* struct launch_idmap */
	uint32_t timens_set;
	int64_t time_monotonic_s, time_boottime_s;
	uint32_t time_monotonic_ns, time_boottime_ns;
	/* file system */
	launch_str rootfs; /* absolute */
	uint32_t rootfs_readonly;
	uint32_t rootfs_propagation; /* MS_PRIVATE, SHARED, ..., with MS_REC or not; 0: default */
	struct launch_vec mounts;    /* struct launch_mount, in order; none without a mount namespace */
	struct launch_vec devices;   /* struct launch_device: the default ones and the spec's */
	struct launch_vec symlinks;  /* struct launch_symlink */
	struct launch_vec masked, readonly; /* launch_str */
	/* identity and kernel settings */
	launch_str hostname, domainname;
	struct launch_vec sysctls; /* struct launch_sysctl */
	uint32_t personality_set, personality;
	/* cgroup */
	launch_str cgroup_path; /* as the spec says; 0: the caller chooses */
	struct launch_vec cgroup;         /* struct launch_cgroup_setting, in the order to write them */
	struct launch_vec cgroup_devices; /* struct launch_cgroup_device, in order */
	/* the process */
	struct launch_process process;
	launch_str mount_label; /* SELinux context of the mounts; 0: none */
	struct launch_seccomp seccomp;
	struct launch_vec hooks[LAUNCH_HOOK_COUNT]; /* struct launch_hook */
	struct launch_vec annotations; /* launch_str pairs: key, value, key, value (for hooks' state) */
	struct launch_vec ignored;     /* launch_str, "pointer: cause": what the spec asks for in vain */
};

#pragma GCC diagnostic pop

static inline const char *launch_text(const struct launch_plan *plan, launch_str s)
{
	return s ? (const char *)plan + s : NULL;
}

/* launch_at(plan, plan->mounts, struct launch_mount, i) */
#define launch_at(plan, vec, type, i) \
	(&((const type *)(const void *)((const char *)(plan) + (vec).off))[i])

struct launch_error {
	int code;        /* negative errno */
	char text[1024]; /* "object: cause", with the JSON pointer where the spec is wrong */
};

struct launch_compile_options {
	const char *bundle;     /* absolute; what root.path and relative bind sources are relative to */
	bool rootless;          /* the caller is not root in its user namespace */
	uint64_t caps_possible; /* mask of the capabilities this kernel knows; 0: all in its headers */
	bool cgroup_mount_rw;   /* reserved, false */
};

/*
 * spec: OCI runtime spec, JSON text.  On success *ret is to be freed with free().
 * -EINVAL: the spec is wrong, err says where; -ENOTSUP: it asks for something that cannot be had.
 */
int launch_compile(const char *spec, size_t len, const struct launch_compile_options *options,
		   struct launch_plan **ret, struct launch_error *err);
/*
 * An exec: process is an OCI process object; what it leaves out (caps, user, seccomp, ...) is taken
 * from base, the container's plan.  The result has process and seccomp filled in, namespaces and
 * mounts empty.
 */
int launch_compile_exec(const char *process, size_t len, const struct launch_plan *base,
			const struct launch_compile_options *options, struct launch_plan **ret,
			struct launch_error *err);
/*
 * An update: resources is an OCI linux.resources object.  The result has cgroup filled in, and
 * cgroup_devices where the object has device rules; nothing else.
 */
int launch_compile_resources(const char *resources, size_t len, struct launch_plan **ret,
			     struct launch_error *err);
/* Are all offsets inside, all strings terminated?  For plans that come from a file or a peer. */
int launch_plan_check(const struct launch_plan *plan, size_t len);
/* In order and in plain words: what will be mounted, created, limited, dropped, run. */
int launch_explain(const struct launch_plan *plan, FILE *out);

#endif
