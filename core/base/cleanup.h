/* SPDX-License-Identifier: MIT */
/* Scope-lifetime cleanup: what a function acquires, it hands over visibly or gives back. */
#ifndef COW_BASE_CLEANUP_H
#define COW_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cow_freep(void *p)
{
	free(*(void **)p);
}

static inline void cow_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cow_fclosep(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

static inline void cow_closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cow_freep)
#define _cleanup_close_ _cleanup_(cow_closep)
#define _cleanup_fclose_ _cleanup_(cow_fclosep)
#define _cleanup_closedir_ _cleanup_(cow_closedirp)

/* Hand-over: the variable forgets, the caller's expression owns. */
static inline int cow_take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define cow_take_ptr(p)                  \
	({                               \
		__typeof__(p) _taken = (p); \
		(p) = NULL;              \
		_taken;                  \
	})

#define COW_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

#endif
