/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's state: filled in by the parent before the clone, then a private copy in the
 * child.
 */
#ifndef LAUNCH_CHILD_H
#define LAUNCH_CHILD_H

#include "internal.h"

#include <linux/limits.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#define CHILD_JOINS_MAX 16
#define CHILD_CGROUPS_MAX 20
#define CHILD_LATE_MAX 32
#define CHILD_FDS_MAX 96

/* One hierarchy of the container's cgroups, for its cgroup mounts. */
struct child_cgroup {
	const char *name;  /* what it is called below /sys/fs/cgroup; "" on a v2 host */
	const char *alias; /* co-mounted controllers, "cpu,cpuacct", each to become a symlink; or
			      NULL */
	const char *dir;   /* the container's directory, as the host sees it */
};

/* A tmpfs that becomes read-only when what lies in it is there. */
struct child_late {
	int fd;
	uint32_t mount;
};

struct child {
	const struct launch_plan *plan; /* the container's; with exec, of the process */
	bool exec, two_stage, no_pivot, keyring, terminal, dumpable;
	bool userns;	      /* in another user namespace than the parent */
	bool netns;	      /* in a new network namespace */
	bool netns_to_come;   /* which the parent makes meanwhile, and sends */
	bool lo_to_come;      /* and brings lo up in it */
	bool mount_by_fd;     /* mount_setattr(2) is missing */
	uint64_t clone_flags; /* of the (second) clone */
	uint64_t setns_flags; /* exec: what to join by container_pidfd */
	uint32_t fail_step;

	/* Where it is, for the report. */
	uint32_t step, index;
	char text[112];

	/* Descriptors, the child's copies; -1: none. */
	int sock;
	int job, stub, status;
	int in, out, err;
	struct winsize size; /* of the terminal; 0 × 0: the kernel's */
	int proc, null;
	int root_fd, container_pidfd;
	int join_fd[CHILD_JOINS_MAX];
	uint32_t join_type[CHILD_JOINS_MAX];
	uint32_t n_joins;
	int cgroup_fd[CHILD_CGROUPS_MAX]; /* `tasks` or cgroup.procs files to join by */
	uint32_t n_cgroup_fds;
	const int *fds;
	uint32_t n_fds;
	struct child_cgroup cgroup[CHILD_CGROUPS_MAX];
	uint32_t n_cgroups;

	/* The interpreter's own. */
	int root;	/* O_PATH of the rootfs, mounted */
	struct child_late late[CHILD_LATE_MAX];
	uint32_t n_late;
	int masked_dir; /* the empty tmpfs that the masked directories share */
	int node_dir;	/* where the last device or symlink was made, and its path in node_path */
	char node_path[256];
	char buf[PATH_MAX], buf2[PATH_MAX];
};

/* Remember the step for the report; -EIO where a test wants this one to fail. */
static inline int child_step(struct child *c, enum launch_step step, uint32_t index)
{
	c->step = step;
	c->index = index;
	return c->fail_step == (uint32_t)step ? -5 /* EIO */ : 0;
}

/* The child's side, from clone to execve.  Never returns. */
_Noreturn void child_main(struct child *c);

/* child_io.c: descriptors and messages. */
int child_keep_fds(struct child *c);
int child_send(struct child *c, uint32_t kind, int code, uint32_t index, int fd);
/* Wait for "go"; its code.  ret_fd, where not NULL, gets the descriptor that came along, or -1. */
int child_wait(struct child *c, int *ret_fd);
int child_ask(struct child *c, uint32_t kind, uint32_t index, int *ret_fd);
_Noreturn void child_fail(struct child *c, int code);
/* Put the stub's descriptors in their places and become the stub. */
int child_become_stub(struct child *c);

/* child_ns.c */
int child_join(struct child *c);
/* Before anything that depends on the network namespace: have it. */
int child_take_netns(struct child *c);
int child_identity(struct child *c);
int child_join_cgroups(struct child *c);
int child_kernel_settings(struct child *c);

/* child_rootfs.c, child_mount.c, child_cgroup.c, child_copyup.c, child_dev.c */
int child_rootfs(struct child *c);
int child_mount(struct child *c, uint32_t i);
int child_mount_cgroup(struct child *c, const struct launch_mount *m);
int child_copy_up(struct child *c, int from, int to);
int child_devices(struct child *c);
int child_console(struct child *c);
int child_mask(struct child *c);
int child_readonly(struct child *c);
/* Helpers of these. */
int child_set_attr(struct child *c, int fd, uint64_t set, uint64_t clear, bool recursive);
int child_propagate(struct child *c, int fd, uint32_t flags);
int child_attach(int mount_fd, int target_fd);
int child_clone_tree(int dir, const char *path, unsigned flags);

/* resolve.c: paths inside the container's root, whatever its symlinks say. */
#define RESOLVE_MUST_EXIST 0
#define RESOLVE_MAKE_DIR 1
#define RESOLVE_MAKE_FILE 2
#define RESOLVE_NOFOLLOW 4 /* or'ed in: a symlink at the end is taken as such */
#define RESOLVE_NO_LINKS 8 /* or'ed in: -ELOOP where the path passes any */
/* An O_PATH descriptor of path inside root, made on demand, or a negative errno. */
int resolve(int root, const char *path, int how);
/* The directory of path (made on demand), and in *name, of PATH_MAX bytes, its last component. */
int resolve_parent(int root, const char *path, char *name);

#endif
