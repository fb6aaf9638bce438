/* SPDX-License-Identifier: MIT */
/*
 * The sweep of `cowherd plugin check`.  Each case runs in processes of its own; what has to survive
 * the death of one (the ledger above all) lies in memory they share.
 */
#ifndef COW_HOST_CHECK_H
#define COW_HOST_CHECK_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_ALLOCATORS_MAX 32
#define CHECK_RECORDS_MAX 256

struct check_record {
	char key[256];
	char record[8192];
	bool held;
};

struct check_shared {
	uint32_t allocator_count;
	struct {
		char name[72];
		bool cancels;
	} allocators[CHECK_ALLOCATORS_MAX];
	/* of the case that runs */
	uint32_t points; /* host calls of the acquire that may fail */
	uint32_t turns;  /* of the loop until it was answered */
	uint32_t record_count;
	struct check_record records[CHECK_RECORDS_MAX];
	bool killed; /* the child reached the point where it was to die */
	char why[512];
};

enum check_kind {
	CHECK_PLAIN,       /* acquire, release, again and again */
	CHECK_NEW_PROCESS, /* acquire; release in another process */
	CHECK_FAIL_AT,     /* the host call number `at` of the acquire fails */
	CHECK_KILL_BEFORE, /* the process dies when that call begins */
	CHECK_KILL_AFTER,  /* the process dies when that call has been carried out */
	CHECK_CANCEL_AT,   /* cancelled after `at` turns of the loop */
	CHECK_ABANDON_AT,  /* given up after `at` turns, and released at once */
	CHECK_KIND_COUNT,
};

struct check_case {
	const char *plugin; /* path */
	uint32_t allocator; /* index into shared */
	const char *spec;
	const char *root; /* scratch directory with bundle, run, state, c-run, c-state */
	enum check_kind kind;
	uint32_t at;
	struct check_shared *shared;
};

/*
 * Bodies of child processes.  They leave a text in shared->why where the plugin fails the case; a
 * process that is to die does not return.
 */
void check_offers(const struct check_case *c);
void check_acquire(const struct check_case *c);
void check_release(const struct check_case *c);

/* check_samples.c: the specs to try; the author's own, of FILE.check.json beside FILE.so, come last. */
struct check_samples {
	char **specs;
	uint32_t count;
};
int check_samples_read(const char *plugin, struct check_samples *ret, struct cow_error *err);
void check_samples_finish(struct check_samples *samples);

/* check_scratch.c: where a case runs, and what it leaves behind. */
struct check_scratch {
	char root[64];
	char *mounts; /* /proc/self/mountinfo before */
};
int check_scratch_make(struct check_scratch *scratch);
/* What is left, into why (if still empty); then removes the directory. */
void check_scratch_finish(struct check_scratch *scratch, char *why, size_t size);

#endif
