/* SPDX-License-Identifier: MIT */
/* A directory in the making, beside its place. */
#ifndef ST_LAYER_STAGE_H
#define ST_LAYER_STAGE_H

#include "common/error.h"

struct st_stage {
	char *path;
	const char *base;
	char making[256], removing[256]; /* names beside base */
	int parent, fd; /* fd is locked while its maker lives */
};

/* -EEXIST: something is there that is not an empty layer; -EBUSY: another one is at it. */
int st_stage_begin(const char *path, struct st_stage *ret, struct plug_error *err);
/* Moves it to its place, synced; ends the stage on success. */
int st_stage_commit(struct st_stage *stage, struct plug_error *err);
/* Removes it; after a commit, or zeroed with both descriptors -1: nothing. */
void st_stage_abort(struct st_stage *stage);

/*
 * DestroyLayer: renamed to NAME-removing, then deleted; what an import that died left goes too.
 * Absent: fine.
 */
int st_layer_destroy(const char *path, struct plug_error *err);

#endif
