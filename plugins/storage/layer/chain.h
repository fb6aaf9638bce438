/* SPDX-License-Identifier: MIT */
/*
 * layerchain.json: a layer's parents, as Docker's graph driver for Windows keeps them
 * (hcs-behaviour.md §5.1, §5.7): a JSON array of absolute paths, the nearest parent first, mode 0600.
 * No file: no parents.
 */
#ifndef ST_LAYER_CHAIN_H
#define ST_LAYER_CHAIN_H

#include "common/error.h"

#include <stddef.h>

#define ST_CHAIN_MAX 128 /* layers of one container */

struct st_chain {
	char **path; /* nearest first */
	size_t count;
};

/* What the layer at dirfd has.  "Unable to read layerchain file - …", "Failed to unmarshall …". */
int st_chain_read(int dirfd, struct st_chain *ret, struct plug_error *err);
/* Synced.  "Failed to marshall layerchain json - …", "Unable to write layerchain file - …". */
int st_chain_write(int dirfd, const struct st_chain *chain, struct plug_error *err);
/* Adds a copy at the end, absolute and below ST_CHAIN_MAX, or -EINVAL, -E2BIG. */
int st_chain_add(struct st_chain *chain, const char *path, struct plug_error *err);
void st_chain_finish(struct st_chain *chain);

#endif
