/* SPDX-License-Identifier: MIT */
/*
 * What the launching process ("parent"), the interpreter in its clone ("child") and cowherd-init
 * ("stub") share.  They talk over one socket pair of sequenced packets: the child's requests and
 * reports up, "go" and answers down.  The parent's end exists in the parent only, so its death is
 * an end of file for the child; the child's end is closed by execve, so an end of file for the
 * parent is success.
 */
#ifndef LAUNCH_INTERNAL_H
#define LAUNCH_INTERNAL_H

#include "plan.h"

#include <stdint.h>

/*
 * What the child or the stub was doing: X(NAME, "words for people").  Objects are added by
 * failure.c.
 */
#define LAUNCH_STEPS(X)                                        \
	X(NONE, "launch")                                      \
	X(FDS, "set up descriptors")                           \
	X(JOIN, "join namespace")                              \
	X(UNSHARE, "make namespaces")                          \
	X(USER_MAP, "map user and group ids")                  \
	X(TIME_OFFSETS, "set time namespace offsets")          \
	X(CLONE, "clone")                                      \
	X(CGROUP_JOIN, "join cgroup")                          \
	X(IDS, "become root of the user namespace")            \
	X(SESSION, "make a session")                           \
	X(KEYRING, "make a session keyring")                   \
	X(CGROUP_NS, "make cgroup namespace")                  \
	X(PROPAGATION, "set propagation of /")                 \
	X(ROOTFS, "mount rootfs")                              \
	X(MOUNT, "mount")                                      \
	X(MOUNT_SOURCE, "mount")                               \
	X(MOUNT_TARGET, "mount")                               \
	X(MOUNT_OPTIONS, "mount")                              \
	X(COPY_UP, "copy up")                                  \
	X(DEVICE, "device")                                    \
	X(SYMLINK, "symlink")                                  \
	X(CONSOLE, "console")                                  \
	X(CWD_MAKE, "make working directory")                  \
	X(MASKED, "mask")                                      \
	X(READONLY, "make read-only")                          \
	X(HOOKS, "hooks")                                      \
	X(ROOT_READONLY, "make / read-only")                   \
	X(PIVOT, "pivot_root")                                 \
	X(SYSCTL, "sysctl")                                    \
	X(HOSTNAME, "set hostname")                            \
	X(DOMAINNAME, "set domainname")                        \
	X(LOOPBACK, "bring up lo")                             \
	X(STUB, "execute cowherd-init")                        \
	X(GATE, "gate")                                        \
	X(FORK, "fork")                                        \
	X(TERMINAL, "make the terminal controlling")           \
	X(RLIMIT, "set rlimit")                                \
	X(SCHEDULER, "set scheduler")                          \
	X(IOPRIO, "set I/O priority")                          \
	X(PERSONALITY, "set personality")                      \
	X(LABEL, "set security label")                         \
	X(BOUNDING, "drop capabilities from the bounding set") \
	X(GROUPS, "set groups")                                \
	X(GID, "set group id")                                 \
	X(UID, "set user id")                                  \
	X(CAPS, "set capabilities")                            \
	X(NO_NEW_PRIVS, "set no_new_privs")                    \
	X(SECCOMP, "load seccomp filter")                      \
	X(CWD, "change to working directory")                  \
	X(EXEC, "exec")

enum launch_step {
#define X(name, text) LAUNCH_STEP_##name,
	LAUNCH_STEPS(X)
#undef X
	LAUNCH_STEP_COUNT
};

enum launch_msg_kind {
	/* up */
	LAUNCH_MSG_ERROR,    /* code, step, index, text; the sender is gone after it */
	LAUNCH_MSG_MAP,      /* wants its user namespace's id maps written */
	LAUNCH_MSG_OFFSETS,  /* wants its time namespace's offsets written */
	LAUNCH_MSG_PID,      /* code: the pid of the real child */
	LAUNCH_MSG_MOUNT,    /* index: wants this mount's source, opened with the parent's rights */
	LAUNCH_MSG_CONSOLE,  /* with the pty master */
	LAUNCH_MSG_HOOKS,    /* everything is set up but for pivot_root */
	LAUNCH_MSG_READY,    /* the stub is at the gate */
	LAUNCH_MSG_LISTENER, /* with the seccomp listener */
	/* down */
	LAUNCH_MSG_GO, /* code: how the request went; perhaps with a descriptor */
};

#define LAUNCH_MOUNT_ROOTFS UINT32_MAX /* LAUNCH_MSG_MOUNT's index for the root itself */

struct launch_msg {
	uint32_t kind;
	int32_t code; /* negative errno */
	uint32_t step, index;
	char text[112];
};

#define LAUNCH_JOB_INIT 0x1u	     /* stay as PID 1 */
#define LAUNCH_JOB_NO_GATE 0x2u	     /* exec: go on at once */
#define LAUNCH_JOB_NO_SETGROUPS 0x4u /* a user namespace that forbids it */
#define LAUNCH_JOB_TERMINAL 0x8u

/*
 * The head of the memory file that the stub gets, followed by a plan.  Its descriptors: 0 to 2 and
 * n_fds more are the user's; then come the socket, the memory file and the status pipe (with INIT).
 */
struct launch_job {
	uint32_t flags, n_fds, fail_step;
	uint32_t personality_set, personality;
	uint32_t last_cap;
	int32_t proc_fd; /* procfs of the child's pid namespace for security labels; -1: none */
	uint32_t reserved;
	/* struct launch_plan follows */
};

/*
 * What the program is called with when it is run as the stub: a word that has no file name's shape.
 */
#define LAUNCH_STUB_NAME "cowherd-init"

#endif
