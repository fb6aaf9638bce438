/* SPDX-License-Identifier: MIT */
/*
 * A container's first process is a copy of the caller's, but not of its heap.  What is not copied
 * costs the caller no page fault at its next write (about a hundred per launch, which was a tenth of
 * its time), and nothing that the heap holds, of other containers and clients, goes into a
 * container.
 *
 * The heap is marked for the moment of the clone, under a lock.  Who else makes a copy of this
 * process that wants the heap takes the lock, too: fork(3), by pthread_atfork(3), and hooks.c.
 */
#include "parent.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t heap_once = PTHREAD_ONCE_INIT;
static uintptr_t heap_start; /* where brk(2) began, for good; 0: not known, then all is copied */

void parent_heap_lock(void)
{
	(void)pthread_mutex_lock(&heap_lock);
}

void parent_heap_unlock(void)
{
	(void)pthread_mutex_unlock(&heap_lock);
}

static void heap_find(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uintptr_t start = 0;
	char *line = NULL;
	size_t size = 0;

	while (f && !start && getline(&line, &size, f) > 0) {
		if (strstr(line, " [heap]"))
			start = (uintptr_t)strtoull(line, NULL, 16);
	}
	free(line);
	if (f)
		(void)fclose(f);
	/* Without its guard against fork(3), the heap is never marked. */
	if (start && pthread_atfork(parent_heap_lock, parent_heap_unlock, parent_heap_unlock) == 0)
		heap_start = start;
}

/* What is to be left out; false if the child needs something of it. */
static bool heap_range(uintptr_t *ret_end)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t end = ((uintptr_t)sbrk(0) + page - 1) & ~(page - 1);
	/* The stack, or (statically linked) this thread's own variables. */
	const uintptr_t needed[] = { (uintptr_t)&end, (uintptr_t)pthread_self() };

	if (!heap_start || heap_start % page || end <= heap_start)
		return false;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (needed[i] >= heap_start && needed[i] < end)
			return false;
	}
	*ret_end = end;
	return true;
}

uintptr_t parent_heap_leave_out(void)
{
	uintptr_t end;

	(void)pthread_once(&heap_once, heap_find);
	parent_heap_lock();
	if (!heap_range(&end))
		return 0;
	/* Where it fails, more is copied than is needed. */
	(void)madvise((void *)heap_start, end - heap_start, MADV_DONTFORK);
	return end;
}

void parent_heap_take_back(uintptr_t end)
{
	if (end)
		(void)madvise((void *)heap_start, end - heap_start, MADV_DOFORK);
	parent_heap_unlock();
}
