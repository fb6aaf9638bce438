/* SPDX-License-Identifier: MIT */
/*
 * A container's first process is a copy of the caller's, but of little more than the code that it
 * runs and the stack that it runs on: not of the heap, of other threads' stacks, of libraries.  What
 * is not copied costs no time at the clone, none at the child's execve, which drops it again, and
 * the caller no page fault at its next write; and nothing that the heap holds, of other containers
 * and clients, goes into a container.
 *
 * All that is to be left out is marked for the moment of the clone, under a lock.  Who else makes a
 * copy of this process that wants more takes the lock, too: fork(3), by pthread_atfork(3), and
 * hooks.c.  The child's code may call no library, then; tests/unit/lcow/child_symbols.sh sees to it.
 */
#include "parent.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <unistd.h>

#define KEPT_FIXED 8
#define KEPT_MORE 4 /* this thread's stack, its variables, what the caller names */

static pthread_mutex_t copy_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t copy_once = PTHREAD_ONCE_INIT;
/* What is always copied: this library, and what the kernel maps and does not let be marked. */
static struct parent_range copy_fixed[KEPT_FIXED];
static size_t copy_n_fixed;
/* All that is marked lies in this: from the lowest mapping to the main thread's stack. */
static struct parent_range copy_all; /* empty: not known, then all is copied */
static __thread struct parent_range copy_stack;

void parent_copy_lock(void)
{
	(void)pthread_mutex_lock(&copy_lock);
}

void parent_copy_unlock(void)
{
	(void)pthread_mutex_unlock(&copy_lock);
}

/* Page by page. */
static struct parent_range copy_range(uintptr_t from, uintptr_t to)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	return (struct parent_range){ from & ~(page - 1), (to + page - 1) & ~(page - 1) };
}

/* A line of /proc/self/maps; false: it is none. */
static bool copy_maps_line(const char *line, struct parent_range *ret)
{
	char *end;

	ret->from = (uintptr_t)strtoull(line, &end, 16);
	if (*end != '-')
		return false;
	ret->to = (uintptr_t)strtoull(end + 1, &end, 16);
	return *end == ' ';
}

static int copy_find_library(struct dl_phdr_info *info, size_t size, void *arg)
{
	uintptr_t here = (uintptr_t)&copy_fixed, from = UINTPTR_MAX, to = 0;

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD)
			continue;
		if (info->dlpi_addr + p->p_vaddr < from)
			from = info->dlpi_addr + p->p_vaddr;
		if (info->dlpi_addr + p->p_vaddr + p->p_memsz > to)
			to = info->dlpi_addr + p->p_vaddr + p->p_memsz;
	}
	if (here < from || here >= to)
		return 0;
	copy_fixed[copy_n_fixed++] = copy_range(from, to);
	return 1;
}

static void copy_find(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	struct parent_range all = { 0 }, at;
	bool stack = false, fits = dl_iterate_phdr(copy_find_library, NULL) == 1;
	char *line = NULL;
	size_t size = 0;

	while (f && !stack && fits && getline(&line, &size, f) > 0) {
		if (!copy_maps_line(line, &at))
			continue;
		stack = strstr(line, " [stack]") != NULL;
		all.from = all.from ? all.from : at.from;
		all.to = stack ? all.to : at.to;
		if (!strstr(line, " [v"))
			continue;
		fits = copy_n_fixed < KEPT_FIXED;
		if (fits)
			copy_fixed[copy_n_fixed++] = at;
	}
	free(line);
	if (f)
		(void)fclose(f);
	/* Without its guard against fork(3), nothing is ever marked. */
	if (stack && fits &&
	    pthread_atfork(parent_copy_lock, parent_copy_unlock, parent_copy_unlock) == 0)
		copy_all = all;
#ifdef COW_SANITIZE
	copy_all = (struct parent_range){ 0 }; /* its runtime has a say in what is mapped */
#endif
}

/* The main thread's lies outside of copy_all. */
static bool copy_find_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	pthread_attr_t attr;
	size_t size = 0;
	void *at = NULL;

	if (copy_stack.to || here >= copy_all.to)
		return true;
	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return false;
	if (pthread_attr_getstack(&attr, &at, &size) != 0)
		size = 0;
	(void)pthread_attr_destroy(&attr);
	if (here < (uintptr_t)at || here >= (uintptr_t)at + size)
		return false;
	copy_stack = copy_range((uintptr_t)at, (uintptr_t)at + size);
	return true;
}

void parent_copy_gaps(struct parent_range all, const struct parent_range *keep, size_t n,
		      struct parent_left *ret)
{
	uintptr_t at = all.from;

	ret->n = 0;
	while (at < all.to && ret->n < PARENT_LEFT_MAX) {
		const struct parent_range *next = NULL;
		uintptr_t end;

		for (size_t i = 0; i < n; i++) {
			if (keep[i].to > at && keep[i].from < keep[i].to &&
			    (!next || keep[i].from < next->from))
				next = &keep[i];
		}
		end = next && next->from < all.to ? next->from : all.to;
		if (end > at)
			ret->range[ret->n++] = (struct parent_range){ at, end };
		at = next ? next->to : all.to;
	}
}

void parent_copy_begin(const void *needed, size_t size, struct parent_left *ret)
{
	struct parent_range keep[KEPT_FIXED + KEPT_MORE];
	uintptr_t self = (uintptr_t)__builtin_thread_pointer();
	uintptr_t rseq = self + (uintptr_t)__rseq_offset;
	size_t n;

	(void)pthread_once(&copy_once, copy_find);
	parent_copy_lock();
	ret->n = 0;
	if (copy_all.to == 0 || !copy_find_stack())
		return;
	n = copy_n_fixed;
	memcpy(keep, copy_fixed, n * sizeof(keep[0]));
	keep[n++] = copy_stack;
	/* Of the main thread these lie elsewhere: the stack protector's word, what the kernel writes. */
	keep[n++] = copy_range(self, self + 1);
	keep[n++] = copy_range(rseq, rseq + sizeof(struct rseq));
	keep[n++] = copy_range((uintptr_t)needed, (uintptr_t)needed + size);
	parent_copy_gaps(copy_all, keep, n, ret);
	/* Where it fails, more is copied than is needed; ENOMEM says no more than: there are holes. */
	for (size_t i = 0; i < ret->n; i++)
		(void)madvise((void *)ret->range[i].from, ret->range[i].to - ret->range[i].from,
			      MADV_DONTFORK);
}

/* Something in the middle cannot be unmarked (a device's memory): all else, one by one. */
static void copy_unmark_each(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	struct parent_range at;
	char *line = NULL;
	size_t size = 0;

	if (!f)
		abort(); /* the next fork(3) would be without its libraries */
	while (getline(&line, &size, f) > 0) {
		if (copy_maps_line(line, &at))
			(void)madvise((void *)at.from, at.to - at.from, MADV_DOFORK);
	}
	free(line);
	(void)fclose(f);
}

void parent_copy_end(const struct parent_left *left)
{
	bool odd = false;

	for (size_t i = 0; i < left->n; i++)
		odd |= madvise((void *)left->range[i].from,
			       left->range[i].to - left->range[i].from, MADV_DOFORK) < 0 &&
		       errno != ENOMEM;
	if (odd) {
		copy_unmark_each();
		copy_all = (struct parent_range){ 0 }; /* and never again */
	}
	parent_copy_unlock();
}
