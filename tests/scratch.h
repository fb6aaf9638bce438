/* SPDX-License-Identifier: MIT */
/* A directory of a test's own, and a mount namespace in which it may mount, as root. */
#ifndef COW_TESTS_SCRATCH_H
#define COW_TESTS_SCRATCH_H

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

static char scratch_dir[64];

/* The directory is made, and is the working directory; the path is in scratch_dir. */
static inline bool scratch_enter(void)
{
	(void)snprintf(scratch_dir, sizeof(scratch_dir), "/tmp/cow-test-XXXXXX");
	return mkdtemp(scratch_dir) && chdir(scratch_dir) == 0;
}

/* It must be empty by now. */
static inline bool scratch_leave(void)
{
	return chdir("/") == 0 && rmdir(scratch_dir) == 0;
}

/* This process alone sees what it mounts from here on.  False: not allowed to. */
static inline bool scratch_own_mounts(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

#endif
