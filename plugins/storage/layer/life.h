/* SPDX-License-Identifier: MIT */
/*
 * The calls of hcs-behaviour.md §5.2 on layer directories.  A layer is mounted at LAYER/mnt;
 * LAYER/targets names where else, written before anything is mounted there, so that each of these works
 * in any process, after any crash, and any number of times.  All of them lock the layer.
 */
#ifndef ST_LAYER_LIFE_H
#define ST_LAYER_LIFE_H

#include "disk/seal.h"
#include "layer/chain.h"

#include <stdint.h>

/* CreateScratchLayer.  bytes: the most it may hold; 0: no limit. */
int st_life_create(const char *path, const struct st_chain *parents, uint64_t bytes,
		   struct plug_error *err);
/* ActivateLayer: a scratch layer's own file system is mounted; read-only layers: nothing. */
int st_life_activate(const char *path, struct plug_error *err);
/*
 * PrepareLayer: what the parents have and what is written is seen at LAYER/mnt; of a read-only layer,
 * what it and its parents have.  One at a time.  Packed layers are verified as they are mounted; what is
 * prepared already stays as it is.
 */
int st_life_prepare(const char *path, const struct st_chain *parents, enum st_verify how,
		    struct plug_error *err);
/*
 * GetLayerMountPath, to be freed: LAYER/mnt; of a read-only layer the directory of its files, or the
 * image, while that is not mounted.
 */
int st_life_path(const char *path, char **ret, struct plug_error *err);
int st_life_unprepare(const char *path, struct plug_error *err);
int st_life_deactivate(const char *path, struct plug_error *err);

/* Activate, prepare, path, and what fails is undone; target (NULL: none) shows the same. */
int st_life_mount(const char *path, const struct st_chain *parents, enum st_verify how,
		  const char *target, char **ret, struct plug_error *err);
/* target NULL: all of it; else that place only, and the rest with the last one. */
int st_life_unmount(const char *path, const char *target, struct plug_error *err);
/* Unprepare, deactivate, DestroyLayer.  Absent: fine. */
int st_life_remove(const char *path, struct plug_error *err);

#endif
