/* SPDX-License-Identifier: MIT */
/*
 * A pass over JSON text that builds nothing: is it strict JSON, and where in it does a value stand?
 * json-c, which builds the objects, merges duplicate keys and takes liberties with strings; what
 * passes here means one thing only.
 */
#ifndef COW_SPEC_JSON_SCAN_H
#define COW_SPEC_JSON_SCAN_H

#include <stddef.h>

#define COW_JSON_DEPTH 64

struct cow_json_flaw {
	size_t offset;    /* of the first byte that is wrong */
	char cause[128];
	/* Of the innermost value around it; keys as the text spells them, a long one is cut. */
	char pointer[256];
};

/* 0; -EINVAL and what is wrong where; -ENOMEM. */
int cow_json_scan(const char *text, size_t len, struct cow_json_flaw *ret);
/*
 * Where the value at a pointer starts in text that passed the scan; -ENOENT: there is no such
 * value.
 */
int cow_json_scan_find(const char *text, size_t len, const char *pointer, size_t *ret_offset);

#endif
