/* SPDX-License-Identifier: MIT */
/*
 * What a layer changes in what is below it, as `docker diff` tells: A, C and D.  A directory is changed
 * when something in it is, or its mode or owner; a file when its type, mode, owner, size, time of change
 * or extended attributes are.
 */
#ifndef ST_LAYER_COMPARE_H
#define ST_LAYER_COMPARE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct st_change {
	char kind; /* 'A', 'C', 'D' */
	char *path; /* without a slash before it */
};

struct st_changes {
	struct st_change *change; /* by path */
	size_t count;
	uint64_t bytes; /* of added and changed files, each once however many names it has */
};

/*
 * lower: directories, the nearest first, as overlayfs has them.  whole: upper is a complete tree, what is
 * not in it is deleted; else it is an overlay directory.
 */
int st_compare(int upper, bool whole, const int *lower, size_t lower_count, struct st_changes *ret,
	       struct plug_error *err);
void st_changes_finish(struct st_changes *changes);

#endif
