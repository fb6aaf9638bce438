/* SPDX-License-Identifier: MIT */
/*
 * alloc_fail.h, and json-c's functions fail, too, as they do without memory: their own allocations are
 * out of our reach.
 */
#ifndef COW_TESTS_ALLOC_FAIL_JSON_H
#define COW_TESTS_ALLOC_FAIL_JSON_H

#include "tests/alloc_fail.h"

#endif
