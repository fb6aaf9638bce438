/* SPDX-License-Identifier: MIT */
/*
 * Let the n-th allocation fail, for every n: `alloc_fail_each(n) { whole test case; }` repeats the
 * block until no allocation was left to fail.  A test that includes this is linked with it by
 * itself; calls made by the program and our libraries count, those inside shared libraries do not.
 */
#ifndef COW_TESTS_ALLOC_FAIL_H
#define COW_TESTS_ALLOC_FAIL_H

#include <stdbool.h>

#define alloc_fail_each(n) for (unsigned n = 1; alloc_fail_next(n); n++)

/* Allocation n from now on (from 1) fails, once. */
void alloc_fail_arm(unsigned n);
/* For alloc_fail_each(): arm, unless n > 1 and the one before had none to fail. */
bool alloc_fail_next(unsigned n);
/* No more failures, e.g. before judging the outcome; true: one did fail since alloc_fail_arm(). */
bool alloc_fail_stop(void);
/* For functions that stand in for others: is this the one? */
bool alloc_fail_now(void);

#endif
